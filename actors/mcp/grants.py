"""Keeps what a person may do at an MCP server: sealed, a row an issuer, each change audited.

What does not open (another key, a row that was moved) is as if it were not there: somebody signs in
again. Source: ARCHITECTURE.md laws 5 and 11.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from runtime.caller import Caller
from runtime.clock import Clock
from runtime.secret import Secret
from store import mcp_grants
from store.audit import AuditEntry
from store.database import Database
from store.keyring import Keyring, SealBroken
from store.mcp_grants import GrantKey, GrantRow
from store.writer import Write, Writer

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grants:
    """One person's grants at one server; see `transports.egress.mcp.vault.Kept`."""

    caller: Caller
    server: str
    keyring: Keyring
    reader: Database
    writer: Writer
    clock: Clock

    async def load(self) -> Secret | None:
        """Return the record that was kept last; None where there is none or it does not open."""
        return self.record()

    def record(self) -> Secret | None:
        """Return the same at once."""
        row = mcp_grants.latest(self.reader, self._key)
        if row is None:
            return None
        try:
            return self.keyring.open(row.sealed, self._owner(row.issuer))
        except SealBroken:
            log.warning("mcp_grant_lost", server=self.server)
            return None

    async def keep(self, issuer: str, record: Secret) -> None:
        """Keep a record in place of the one of the same issuer; what is not audited is not kept."""
        now_ms = self.clock.now_ms()
        sealed = self.keyring.seal(record, self._owner(issuer))
        row = GrantRow(issuer=issuer, sealed=sealed, changed_at_ms=now_ms)
        entry = AuditEntry(
            at_ms=now_ms,
            tenant=self.caller.tenant,
            actor=self.caller.name,
            action="mcp.grant",
            object_id=self.server,
            outcome="done",
            request_id="",
        )
        await self.writer.write(
            Write(rows=lambda db: mcp_grants.put(db, self._key, row), audit=entry)
        )

    @property
    def _key(self) -> GrantKey:
        caller = self.caller
        return GrantKey(tenant=caller.tenant, user=caller.user, server=self.server)

    def _owner(self, issuer: str) -> str:
        """Return the name that a record is sealed for: moved to another row it does not open."""
        return f"mcp/{self.caller.tenant}/{self.caller.user}/{self.server}/{issuer}"
