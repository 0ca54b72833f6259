"""Puts a token on each request of a session, and gets one where it is missing.

The SDK's flows decide what to ask of whom. What they ask is sent by a client of its own, whose
reach is that of authorization (`servers.oauth_reach_of`), never by the session's. A request with a
token that is known goes out at once; only one that is refused waits for the flow, in which one of
all that wait does the work. Where the issuer takes DPoP, tokens are bound to a key.
Source: the SDK's `OAuthClientProvider` (whose lock would let one request through at a time);
RFC 9449.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, TypeAlias

import httpx2
import orjson

from runtime.clock import Clock
from transports.egress.mcp import dpop
from transports.egress.mcp.vault import Vault

Ask: TypeAlias = Callable[[httpx2.Request], Awaitable[httpx2.Response]]

WELL_KNOWN = "/.well-known/"
REFUSED = frozenset({401, 403})


class Authorized(httpx2.Auth):
    """What the client of one session authorizes its requests with."""

    def __init__(self, flow: httpx2.Auth, vault: Vault, ask: Ask, clock: Clock) -> None:
        """Take a flow and where it keeps its tokens.

        Args:
            ask: sends what the flow asks of an authorization server.
        """
        self._flow, self._vault, self._ask, self._clock = flow, vault, ask, clock
        self._nonces = dpop.Nonces()

    async def async_auth_flow(
        self, request: httpx2.Request
    ) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """Yield the request with a token, and again with a better one; see `httpx2.Auth`."""
        refused: httpx2.Response | None = None
        token = self._vault.access_token
        if token is not None:
            self._present(request, token)
            refused = yield request
            if self._nonces.note(request.url, refused) and self._vault.grant.bound:
                self._present(request, token)
                refused = yield request
            if refused.status_code not in REFUSED:
                return
        flow = self._flow.async_auth_flow(request)
        try:
            outgoing = await anext(flow)
            while True:
                if outgoing is not request:
                    answer = await self._asked(outgoing)
                elif refused is not None and self._vault.access_token == token:
                    answer = refused  # the flow would present what was refused just now
                else:
                    fresh = self._vault.access_token
                    if fresh is not None:
                        self._present(request, fresh)
                    answer = yield request
                    if self._nonces.note(request.url, answer) and self._vault.grant.bound:
                        self._present(request, fresh or "")
                        answer = yield request
                refused = None
                outgoing = await flow.asend(answer)
        except StopAsyncIteration:
            return
        finally:
            await flow.aclose()

    def _present(self, request: httpx2.Request, token: str) -> None:
        """Put the token on a request, with a proof where it is bound to a key."""
        grant = self._vault.grant
        if not (grant.bound and grant.key):
            request.headers["Authorization"] = f"Bearer {token}"
            return
        request.headers["Authorization"] = f"DPoP {token}"
        request.headers[dpop.HEADER] = self._proof(request, grant.key, token)

    def _proof(self, request: httpx2.Request, key: dict[str, Any], token: str | None) -> str:
        now_s = self._clock.now_ms() // 1000
        nonce = self._nonces.of(request.url)
        return dpop.proof(key, request.method, str(request.url), now_s, token=token, nonce=nonce)

    async def _asked(self, request: httpx2.Request) -> httpx2.Response:
        """Send what the flow asks, and note what is found of issuer and tokens."""
        if request.method == "GET":
            answer = await self._ask(request)
            self._note_metadata(request, answer)
            return answer
        issuer = self._vault.grant.issuer or {}
        for_token = str(request.url) == issuer.get("token_endpoint")
        if not for_token or dpop.ALGORITHM not in _listed(
            issuer, "dpop_signing_alg_values_supported"
        ):
            return await self._ask(request)
        key = self._vault.grant.key or dpop.new_key()
        request.headers[dpop.HEADER] = self._proof(request, key, None)
        answer = await self._ask(request)
        if self._nonces.note(request.url, answer) and _json(answer).get("error") == dpop.WANTED:
            request.headers[dpop.HEADER] = self._proof(request, key, None)
            answer = await self._ask(request)
        return self._bound(answer, key)

    def _note_metadata(self, request: httpx2.Request, answer: httpx2.Response) -> None:
        if answer.status_code != httpx2.codes.OK or WELL_KNOWN not in request.url.path:
            return
        found = _json(answer)
        if "token_endpoint" in found:
            self._vault.note(issuer=found)
        elif "authorization_servers" in found:
            self._vault.note(resource=found, issuer=None)

    def _bound(self, answer: httpx2.Response, key: dict[str, Any]) -> httpx2.Response:
        """Note whether the token of an answer is bound; the SDK knows Bearer alone."""
        found = _json(answer)
        bound = str(found.get("token_type", "")).lower() == "dpop"
        if "access_token" not in found:
            return answer
        must = bool((self._vault.grant.resource or {}).get("dpop_bound_access_tokens_required"))
        if must and not bound:
            raise httpx2.ProtocolError("The server wants bound tokens, and its issuer made none.")
        self._vault.note(key=key if bound else None, bound=bound)
        if not bound:
            return answer
        told = orjson.dumps({**found, "token_type": "Bearer"})
        headers = {"Content-Type": "application/json"}
        return httpx2.Response(
            answer.status_code, headers=headers, content=told, request=answer.request
        )


def _json(answer: httpx2.Response) -> dict[str, Any]:
    """Return the object that an answer holds; an empty one where it holds none."""
    try:
        found = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _listed(found: dict[str, Any], name: str) -> list[Any]:
    value = found.get(name)
    return value if isinstance(value, list) else []
