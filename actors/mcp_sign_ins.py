"""The sign-ins desk: sends a person to an issuer, takes them back once, and signs them out.

What comes back is bound to the browser that was sent: it holds a proof in a cookie, or shows the
credential that began. A state is good for one return; whoever lacks the proof does not spend it. To
sign out forgets the tokens first and then tells the issuer, so that a silent issuer keeps nobody
signed in here.
Source: RFC 6749 section 10.12; RFC 9700 section 4.7; MCP 2026-07-28, security best practices.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import structlog
import trio

from actors.changing import commit
from actors.mcp_installed import Installed
from actors.mcp_sessions import CLIENT, McpSessions, key_of
from actors.mcp_sign_in import Begin, Finish, McpSignIn
from runtime import limits
from runtime.caller import Caller
from runtime.clock import rfc3339
from runtime.problems import Invalid, NotFound
from runtime.secret import Secret
from store import mcp_grants
from store.mcp_grants import GrantKey
from transports.egress.mcp.configured import access_of, server_of
from transports.egress.mcp.servers import Consent, HttpServer, Returned
from transports.egress.mcp.words import Session

if TYPE_CHECKING:
    from actors.spine import Spine

OURSELVES = "/api/mcp/client.json"  # what we are, as an issuer reads it
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class McpSignInView:
    """Where the person signs in; null: the server lets them in as they are."""

    authorization_url: str | None
    expires_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A sign-in that waits for its return.

    Args:
        proof: digest of what the browser holds.
    """

    caller: Caller
    server: str
    proof: bytes
    expires_at_ms: int


class McpSignIns:
    """One per service."""

    def __init__(self, spine: Spine, sessions: McpSessions) -> None:
        self._spine, self._sessions = spine, sessions
        self._pending: dict[str, Pending] = {}  # by state, the oldest first

    def start(self, key: str) -> McpSignIn:
        """Return the actor of a key; see `Supervisor`."""
        tenant, user, name = key.split("/")
        caller = Caller(tenant=tenant, user=user)

        @asynccontextmanager
        async def opening(redirect_uri: str, consent: Consent) -> AsyncIterator[Session]:
            await trio.to_thread.run_sync(import_module, CLIENT)
            from transports.egress.mcp.client import connect  # noqa: PLC0415 -- as the sessions do

            settings = self._spine.mcp.find(caller, name).settings
            server = server_of(name, settings, self._spine.settled.places)
            access = access_of(
                settings,
                redirect_uri=redirect_uri,
                metadata_url=self._metadata_url(),
                consent=consent,
            )
            assert isinstance(server, HttpServer)
            means = self._sessions.means(caller, name)
            whose = replace(server, access=access)
            async with connect(whose, replace(means, asker=None), _nothing) as session:
                yield session

        return McpSignIn(opening)

    def _metadata_url(self) -> str:
        """Return our own URL as a client; "" where no issuer could read it."""
        public = self._spine.settled.public_url
        return f"{public}{OURSELVES}" if public.startswith("https://") else ""

    def known_proof(self, caller: Caller, proof: str) -> bool:
        """Say whether a browser holds the proof of a sign-in of this caller that waits."""
        held = _digest(proof)
        mine = [each for each in self._pending.values() if _same(each.caller, caller)]
        return any(hmac.compare_digest(each.proof, held) for each in mine)

    async def begin(
        self, caller: Caller, server: Installed, redirect_uri: str, proof: str
    ) -> McpSignInView:
        """Return where the person signs in.

        Raises:
            Invalid: nobody signs in there.
            Upstream: the server or its issuer cannot be asked, or cannot be trusted.
        """
        if server.settings.auth != "person" or not server.in_use:
            raise Invalid.at("/auth", "Nobody signs in at this server, as it is configured.")
        now_ms = self._spine.clock.now_ms()
        expires_at_ms = now_ms + int(1000 * limits.MCP_SIGN_IN_S)
        key = key_of(caller, server.name)
        url = await (await self._spine.mcp_sign_ins.ask(key, Begin(redirect_uri=redirect_uri)))
        if url is None:
            self._sessions.reopen(caller, server.name)
        else:
            [state] = parse_qs(urlsplit(url).query)["state"]
            self._keep(
                state,
                Pending(
                    caller=caller,
                    server=server.name,
                    proof=_digest(proof),
                    expires_at_ms=expires_at_ms,
                ),
                now_ms,
            )
        return McpSignInView(authorization_url=url, expires_at=rfc3339(expires_at_ms))

    async def finish(self, returned: Returned, proof: str, caller: Caller | None) -> str:
        """Take a person back, once; return the server's name when their tokens are kept.

        Args:
            proof: what the browser holds; "" for nothing.
            caller: who shows a credential.

        Raises:
            NotFound: no sign-in waits for this state, or not for this browser.
            Upstream: the issuer refused, or what came is not its answer.
        """
        state = returned.state or ""
        pending = self._pending.get(state)
        if pending is None or pending.expires_at_ms < self._spine.clock.now_ms():
            raise NotFound("No sign-in waits for this.")
        shown = caller is not None and caller.credential != "" and caller == pending.caller
        if not (shown or hmac.compare_digest(pending.proof, _digest(proof))):
            raise NotFound("No sign-in waits for this.")
        del self._pending[state]
        key = key_of(pending.caller, pending.server)
        await (await self._spine.mcp_sign_ins.ask(key, Finish(returned=returned)))
        self._sessions.reopen(pending.caller, pending.server)
        return pending.server

    async def sign_out(self, caller: Caller, server: Installed, request_id: str) -> None:
        """Forget what the person may do at a server, and tell its issuer."""
        record = await self.record(caller, server.name)
        key = GrantKey(tenant=caller.tenant, user=caller.user, server=server.name)
        rows = lambda db: mcp_grants.remove(db, key)
        await commit(self._spine, caller, "mcp.sign-out", server.name, rows, request_id)
        self._sessions.reopen(caller, server.name)
        await self.revoke(server, record)

    async def record(self, caller: Caller, name: str) -> Secret | None:
        """Return what is kept of a person's sign-in."""
        kept = self._sessions.kept(caller, name)
        return await kept.load() if kept is not None else None

    async def revoke(self, server: Installed, record: Secret | None) -> None:
        """Tell an issuer that tokens which are forgotten here are of no use; it may be away."""
        if record is None:
            return
        await trio.to_thread.run_sync(import_module, CLIENT)
        from transports.egress.mcp.revoking import revoke  # noqa: PLC0415 -- as above

        settled = self._spine.settled
        where = server_of(server.name, server.settings, settled.places)
        revoked = False
        if isinstance(where, HttpServer):
            with trio.move_on_after(limits.MCP_REVOKE_S):
                revoked = await revoke(where, record, settled.on_decision)
        log.info("mcp_signed_out", server=server.name, revoked=revoked)

    def _keep(self, state: str, pending: Pending, now_ms: int) -> None:
        """Keep a state, in place of the person's earlier one there, and no more than may be."""
        gone = [
            each
            for each, other in self._pending.items()
            if other.expires_at_ms < now_ms
            or (_same(other.caller, pending.caller) and other.server == pending.server)
        ]
        for each in gone:
            del self._pending[each]
        self._pending[state] = pending
        while len(self._pending) > limits.MCP_SIGN_INS_MAX:
            del self._pending[next(iter(self._pending))]


def _nothing() -> None:
    """Be told that the list of tools has changed, which nobody looks at here."""


def _same(one: Caller, other: Caller) -> bool:
    return (one.tenant, one.user) == (other.tenant, other.user)


def _digest(proof: str) -> bytes:
    return hashlib.sha256(proof.encode()).digest()
