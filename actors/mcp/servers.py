"""The registry of MCP servers: what a person may use, what they add, change, try and remove.

The operator's servers come first and are everybody's; a person's own are nobody else's. Secrets go
in, are sealed and never come out; another address wants them to be given again, and forgets the
sign-in at the old one. Each change is audited, and counts for the next session.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import structlog

from actors.changing import commit
from actors.claims import Claim
from actors.mcp import given as mcp_given
from actors.mcp.installed import Installed, approving, installed_in, parts_of
from actors.mcp.session import Fetch
from actors.mcp.sessions import McpSessions
from actors.mcp.sign_ins import McpSignIns
from actors.mcp.views import McpServerView, McpTools, tools_of, view_of
from runtime import limits
from runtime.caller import Caller
from runtime.problems import Invalid, NotFound, ServerExists, ServerFixed, Upstream
from runtime.settings import ENDPOINT_NAME, McpServer, mcp_server_of
from store import mcp_grants, mcp_servers
from store.database import Database
from store.keyring import Keyring, SealBroken
from store.mcp_grants import GrantKey
from store.mcp_servers import McpServerRow
from transports.egress.mcp.configured import server_of

if TYPE_CHECKING:
    from actors.spine import Spine

log = structlog.get_logger(__name__)


class McpServers:
    """One per service."""

    def __init__(self, spine: Spine) -> None:
        self._spine = spine
        self.sessions = McpSessions(spine, self.find)
        self.sign_ins = McpSignIns(spine, self.sessions)

    def settle(self, settled: Mapping[str, McpServer]) -> list[str]:
        """Take up the servers of the settings file that was read again; return what changed.

        Sessions with what changed end, whoever's they are: a call that runs is told so, and the
        next one sees the server as it is now.
        """
        before = self._spine.settled.servers
        names = sorted({*before, *settled})
        changed = [each for each in names if before.get(each) != settled.get(each)]
        self._spine.settled = replace(self._spine.settled, servers=settled)
        self.sessions.reopen_all(frozenset(changed))
        return changed

    def installed(self, caller: Caller) -> tuple[Installed, ...]:
        """Return the servers of a person, by name."""
        found = {
            name: Installed(name=name, source="settings", settings=each, title=name)
            for name, each in self._spine.settled.servers.items()
        }
        for row in mcp_servers.list_all(self._spine.reader, caller):
            if row.name not in found:
                found[row.name] = self._opened(caller, row)
        return tuple(found[name] for name in sorted(found))

    def find(self, caller: Caller, name: str) -> Installed:
        """Return one of a person's servers.

        Raises:
            NotFound: they have none of this name.
        """
        if (settled := self._spine.settled.servers.get(name)) is not None:
            return Installed(name=name, source="settings", settings=settled, title=name)
        row = mcp_servers.get(self._spine.reader, caller, name)
        if row is None:
            raise NotFound("No such MCP server.")
        return self._opened(caller, row)

    def list_all(self, caller: Caller) -> tuple[McpServerView, ...]:
        """Return a person's servers as they are shown."""
        return tuple(self._view(caller, each) for each in self.installed(caller))

    def one(self, caller: Caller, name: str) -> McpServerView:
        """Return one of them; raises NotFound."""
        return self._view(caller, self.find(caller, name))

    async def add(
        self, caller: Caller, given: Mapping[str, Any], claim: Claim | None, request_id: str
    ) -> McpServerView:
        """Keep a new server of the caller's.

        Args:
            given: settings by their names, or a `server_json` with its `inputs`, and a `name`.

        Raises:
            Invalid: a value cannot be, or what a `server.json` asks for is missing.
            ServerExists: the name is taken.
        """
        self._keyring()
        given = mcp_given.unfolded(given)
        name = str(given.get("name", ""))
        if not ENDPOINT_NAME.fullmatch(name):
            raise Invalid.at("/name", "Small letters, digits, - and _.")
        taken = {each.name for each in self.installed(caller)}
        if len(taken) >= limits.MCP_SERVERS_MAX:
            raise Invalid.at("/name", f"There are {limits.MCP_SERVERS_MAX} servers already.")
        now_ms = self._spine.clock.now_ms()
        server = await self._made(caller, name, given, None, now_ms)
        row, view = self._row(caller, server, now_ms), self._view(caller, server)

        def rows(db: Database) -> None:
            if name in taken or mcp_servers.get(db, caller, name):
                raise ServerExists("The name is taken.")
            mcp_servers.put(db, caller, row)

        await commit(
            self._spine, caller, "mcp.server.create", name, rows, request_id, claim=claim, view=view
        )
        return view

    async def change(
        self, caller: Caller, name: str, given: Mapping[str, Any], request_id: str
    ) -> McpServerView:
        """Change what `given` says of a server; its session is closed, the next one sees it.

        Raises:
            NotFound, ServerFixed, Invalid.
            Upstream: a tool is to run without being asked for, and the server cannot be asked.
        """
        before = self._own(caller, name)
        after = await self._made(
            caller, name, mcp_given.unfolded(given), before, before.created_at_ms or 0
        )
        moved = after.settings.url != before.settings.url
        row = self._row(caller, after, before.created_at_ms or 0)
        record = await self.sign_ins.record(caller, name) if moved else None

        def rows(db: Database) -> None:
            mcp_servers.put(db, caller, row)
            if moved:
                mcp_grants.remove(db, self._grants(caller, name))

        await commit(self._spine, caller, "mcp.server.change", name, rows, request_id)
        self.sessions.reopen(caller, name)
        await self.sign_ins.revoke(before, record)
        return self.one(caller, name)

    async def remove(self, caller: Caller, name: str, request_id: str) -> None:
        """Forget a server with its secrets, and what the person may do there.

        Raises:
            NotFound, ServerFixed.
        """
        server, record = self._own(caller, name), await self.sign_ins.record(caller, name)

        def rows(db: Database) -> None:
            mcp_servers.remove(db, caller, name)
            mcp_grants.remove(db, self._grants(caller, name))

        await commit(self._spine, caller, "mcp.server.remove", name, rows, request_id)
        self.sessions.reopen(caller, name)
        await self.sign_ins.revoke(server, record)

    async def test(self, caller: Caller, name: str) -> McpServerView:
        """Ask a server for its tools, after a fresh attempt; the view says how that went."""
        self.find(caller, name)
        self.sessions.reopen(caller, name)
        try:
            await self.sessions.list(caller, name, afresh=True)
        except Upstream as problem:
            log.info("mcp_test_failed", server=name, reason=problem.detail)
        return self.one(caller, name)

    async def tools(self, caller: Caller, name: str) -> McpTools:
        """Return the tools of a server; raises NotFound, Upstream."""
        catalog = await self.sessions.list(caller, name)
        return tools_of(self.find(caller, name), catalog)

    async def fetch(self, caller: Caller, name: str, wanted: Fetch) -> Mapping[str, Any]:
        """Return what else a server has; raises NotFound, Upstream."""
        return await self.sessions.fetch(caller, name, wanted)

    def _keyring(self) -> Keyring:
        if self._spine.sealing is None:
            raise ServerFixed("This service keeps no servers of its own.")
        return self._spine.sealing.keyring

    def _own(self, caller: Caller, name: str) -> Installed:
        found = self.find(caller, name)
        if found.source == "settings":
            raise ServerFixed("It is configured in the settings.")
        return found

    async def _made(
        self,
        caller: Caller,
        name: str,
        given: Mapping[str, Any],
        before: Installed | None,
        created_at_ms: int,
    ) -> Installed:
        """Return a server of what is given, checked, over what it was before."""
        kept = mcp_given.values(before.settings) if before else {}
        if before is not None and given.get("url", before.settings.url) != before.settings.url:
            mcp_given.wanted_again(before.settings, given)
        values = {each: given[each] for each in given if each in McpServer.__slots__}
        settings = mcp_server_of(name, {**kept, **values})
        mcp_given.check(settings)
        try:
            server_of(name, settings, self._spine.settled.places)
        except ValueError as error:
            raise Invalid.at("/url", str(error)) from error
        server = Installed(
            name=name,
            source="added",
            settings=settings,
            approved=before.approved if before else {},
            title=given.get("title") or (before.title if before else ""),
            release=given.get("release") or (before.release if before else ""),
            key_lost=before is not None and before.key_lost and "headers" not in values,
            created_at_ms=created_at_ms,
        )
        auto = {tool for tool, policy in values.get("tools", {}).items() if policy == "auto"}
        if not auto:
            return approving(server, {})
        if before is None:
            raise Invalid.at("/tools", "A tool can be let run once its server is there.")
        catalog = await self.sessions.list(caller, name)
        if unknown := sorted(auto - set(catalog.tools)):
            raise Invalid.at(f"/tools/{unknown[0]}", "The server has no such tool.")
        return approving(server, {tool: catalog.versions[tool] for tool in auto})

    def _row(self, caller: Caller, server: Installed, created_at_ms: int) -> McpServerRow:
        settings, secrets = parts_of(server)
        owner = _owner(caller, server.name)
        return McpServerRow(
            name=server.name,
            settings=settings,
            sealed=self._keyring().seal(secrets, owner) if secrets else None,
            created_at_ms=created_at_ms,
            changed_at_ms=self._spine.clock.now_ms(),
        )

    def _opened(self, caller: Caller, row: McpServerRow) -> Installed:
        secrets = None
        if row.sealed is not None and self._spine.sealing is not None:
            try:
                secrets = self._spine.sealing.keyring.open(row.sealed, _owner(caller, row.name))
            except SealBroken:
                log.warning("mcp_secrets_lost", server=row.name)
        return installed_in(row, secrets)

    def _grants(self, caller: Caller, name: str) -> GrantKey:
        return GrantKey(tenant=caller.tenant, user=caller.user, server=name)

    def _view(self, caller: Caller, server: Installed) -> McpServerView:
        person = server.settings.auth == "person"
        return view_of(
            server,
            self.sessions.health(caller, server.name),
            whole=server.source == "added" or caller.admin,
            signed_in=person and self.sessions.signed_in(caller, server),
        )


def _owner(caller: Caller, name: str) -> str:
    """Return the name that a server's secrets are sealed for."""
    return f"mcp-server/{caller.tenant}/{caller.user}/{name}"
