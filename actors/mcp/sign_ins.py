"""The sign-ins desk: sends a person to an issuer, takes them back once, and signs them out.

What comes back is bound to the browser that was sent (`actors.way_back`). To sign out forgets the
tokens first and then tells the issuer, so that a silent issuer keeps nobody signed in here.
Source: MCP 2026-07-28, security best practices.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import structlog
import trio

from actors.changing import commit
from actors.mcp.installed import Installed
from actors.mcp.sessions import CLIENT, McpSessions, key_of
from actors.mcp.sign_in import Begin, Finish, McpSignIn
from actors.way_back import WaysBack, expires_at_ms, same_person
from runtime import limits
from runtime.caller import Caller
from runtime.clock import rfc3339
from runtime.problems import Invalid
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


class McpSignIns:
    """One per service."""

    def __init__(self, spine: Spine, sessions: McpSessions) -> None:
        self._spine, self._sessions = spine, sessions
        self.ways_back: WaysBack[str] = WaysBack(spine.clock)  # to the servers of these names

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
        began_ms, name = self._spine.clock.now_ms(), server.name
        key = key_of(caller, name)
        url = await (await self._spine.mcp_sign_ins.ask(key, Begin(redirect_uri=redirect_uri)))
        if url is None:
            self._sessions.reopen(caller, name)
        else:
            [state] = parse_qs(urlsplit(url).query)["state"]
            self.ways_back.forget(
                lambda each: each.what == name and same_person(each.caller, caller)
            )
            self.ways_back.send(state, caller, proof, name, began_ms)
        expires_at = rfc3339(expires_at_ms(began_ms))
        return McpSignInView(authorization_url=url, expires_at=expires_at)

    async def finish(self, returned: Returned, proof: str, caller: Caller | None) -> str:
        """Take a person back, once; return the server's name when their tokens are kept.

        Args:
            proof: what the browser holds; "" for nothing.
            caller: who shows a credential.

        Raises:
            NotFound: no sign-in waits for this state, or not for this browser.
            Upstream: the issuer refused, or what came is not its answer.
        """
        away = self.ways_back.come(returned.state or "", proof, caller)
        key = key_of(away.caller, away.what)
        await (await self._spine.mcp_sign_ins.ask(key, Finish(returned=returned)))
        self._sessions.reopen(away.caller, away.what)
        return away.what

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


def _nothing() -> None:
    """Be told that the list of tools has changed, which nobody looks at here."""
