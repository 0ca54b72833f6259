"""The client of a session as the SDK takes it: one failed request does not end the session.

The SDK lets whatever a request raises end its transport, and with it every other call. Once a
session stands, a failure becomes the answer of the one request that it happened to.
Source: the SDK's `stream_within_origin` (what it asks of a client) and `_handle_post_request`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import httpx2
import orjson
import trio
from mcp.client.auth import OAuthFlowError

from runtime import limits
from runtime.problems import Problem

if TYPE_CHECKING:
    from transports.egress.connection import Client

SESSION: Final = "mcp-session-id"
FAILED: Final = -32000  # JSON-RPC's range for whoever implements it


class Contained:
    """Stands in for httpx2's client where the SDK sends."""

    def __init__(self, client: Client) -> None:
        self.stands = False  # whether failures are contained from now on
        self.max_redirects = client.max_redirects
        self.failure: Exception | None = None  # of the latest request that failed
        self._client = client
        self._session: tuple[str, httpx2.Headers] | None = None

    def build_request(self, *how: Any, **more: Any) -> httpx2.Request:
        """See `httpx2.AsyncClient`."""
        return self._client.build_request(*how, **more)

    async def send(self, request: httpx2.Request, **how: Any) -> httpx2.Response:
        """Send a request; once the session stands, a failure is an answer too."""
        try:
            response = await self._client.send(request, **how)
        except (httpx2.HTTPError, OAuthFlowError, Problem) as error:
            self.failure = error
            if not self.stands:
                raise
            body = orjson.dumps(
                {"jsonrpc": "2.0", "id": None, "error": {"code": FAILED, "message": said(error)}}
            )
            headers = {"Content-Type": "application/json"}
            return httpx2.Response(
                httpx2.codes.BAD_GATEWAY, headers=headers, content=body, request=request
            )
        if SESSION in response.headers:
            self._session = (response.headers[SESSION], request.headers)
        return response

    async def leave(self, url: str) -> None:
        """Tell a server that keeps a session that it may forget it."""
        if self._session is None:
            return
        name, headers = self._session
        with trio.move_on_after(limits.MCP_CLOSE_S, shield=True):
            told = {SESSION: name, "mcp-protocol-version": headers.get("mcp-protocol-version", "")}
            await self.send(self.build_request("DELETE", url, headers=told))


def said(error: BaseException) -> str:
    """Return the words of an error, bounded."""
    return (str(error) or type(error).__name__)[: limits.ERROR_CHARS]
