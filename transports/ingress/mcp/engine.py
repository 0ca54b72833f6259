"""The SDK's server behind the door, made when somebody first asks: both ways of the protocol.

`run` holds what the SDK needs for requests without a session; sessions are ours.
Source: mcp 2.3 `server/streamable_http_manager.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import trio
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared.inbound import MCP_PROTOCOL_VERSION_HEADER
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

from runtime import limits
from runtime.caller import Caller
from runtime.problems import TooManyRequests
from transports.ingress.mcp.calling import Calling
from transports.ingress.mcp.conversing import Conversing
from transports.ingress.mcp.door import Parts
from transports.ingress.mcp.jobs import Jobs
from transports.ingress.mcp.server import build
from transports.ingress.mcp.sessions import Sessions
from transports.ingress.mcp.shelf import ASKER, Asker, Keeper, Shelf

VERSION_HEADER = MCP_PROTOCOL_VERSION_HEADER.encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fittings:
    """What is offered beside Runchat's own.

    Args:
        extend: puts further methods on the server.
    """

    shelves: Sequence[Shelf] = ()
    keepers: Sequence[Keeper] = ()
    extend: Callable[[Server[Any]], None] | None = None


class Engine:
    """One per service."""

    def __init__(self, parts: Parts) -> None:
        self._ids = parts.ids
        jobs = Jobs(parts.desk, parts.log, parts.hub)
        talk = Conversing(parts.desk, jobs, parts.reader)
        called = Calling(parts.desk, jobs, talk.names)
        more = parts.more() if parts.more else Fittings()
        shelves, keepers = (talk, *more.shelves, called), (jobs, *more.keepers)
        self._server = build(shelves, keepers, version("runchat"))
        if more.extend is not None:
            more.extend(self._server)
        self._sessions: Sessions
        self._alone = StreamableHTTPSessionManager(
            self._server, stateless=True, max_request_body_size=limits.BODY_BYTES_MAX
        )
        self._under_way: dict[str, int] = {}
        self._closing = trio.Event()
        self._listening: set[trio.CancelScope] = set()  # to changes, until either side ends it

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Carry what is open until `close`, and a moment longer where something is under way."""
        async with self._alone.run(), trio.open_nursery() as nursery:
            self._sessions = Sessions(self._server, self._ids, nursery)
            task_status.started()
            await self._closing.wait()
            nursery.cancel_scope.deadline = trio.current_time() + limits.END_S

    async def serve(
        self, caller: Caller, request_id: str, method: str, scope: Any, receive: Any, send: Any
    ) -> None:
        """Answer a request.

        Args:
            method: the JSON-RPC method; empty where there is none.

        Raises:
            TooManyRequests: the caller has as many under way as it may.
        """
        name = caller.name
        if self._under_way.get(name, 0) >= limits.MCP_SERVED_REQUESTS_MAX:
            raise TooManyRequests("So many requests are under way that no more can be had now.")
        self._under_way[name] = self._under_way.get(name, 0) + 1
        scope[ASKER] = Asker(caller=caller, request_id=request_id)
        try:
            if _has_no_session(scope):
                await self._serve_alone(method, scope, receive, send)
            else:
                opens = method == "initialize"
                await self._sessions.serve(caller, opens, scope, receive, send)
        finally:
            self._under_way[name] -= 1
            if not self._under_way[name]:
                del self._under_way[name]

    async def _serve_alone(self, method: str, scope: Any, receive: Any, send: Any) -> None:
        with trio.CancelScope() as open_ended:
            if method == "subscriptions/listen":
                self._listening.add(open_ended)
            try:
                await self._alone.handle_request(scope, receive, send)
            finally:
                self._listening.discard(open_ended)

    def close(self) -> None:
        """End each session with its last request, and who listens to changes at once."""
        self._closing.set()
        self._sessions.close()
        for each in tuple(self._listening):
            each.cancel()


def _has_no_session(scope: Any) -> bool:
    """Whether the header names a revision without sessions, or one that nobody knows."""
    said = next((value for name, value in scope["headers"] if name == VERSION_HEADER), None)
    return said is not None and said.decode("latin-1") not in HANDSHAKE_PROTOCOL_VERSIONS
