"""The audit trail: who did what to which object, numbered without a gap, never changed."""

from __future__ import annotations

from dataclasses import dataclass

from store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One accepted change. `actor` is the caller's name, `outcome` a word such as `done`."""

    at_ms: int
    tenant: str
    actor: str
    action: str
    object_id: str
    outcome: str
    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """An entry with its number."""

    sequence: int
    entry: AuditEntry


def insert(db: Database, entry: AuditEntry) -> None:
    """Add the entry under the next number."""
    db.execute(
        "INSERT INTO audit (sequence, at_ms, tenant, actor, action, object_id, outcome, request_id)"
        " SELECT 1 + COALESCE((SELECT MAX(sequence) FROM audit), 0), ?, ?, ?, ?, ?, ?, ?",
        (
            entry.at_ms,
            entry.tenant,
            entry.actor,
            entry.action,
            entry.object_id,
            entry.outcome,
            entry.request_id,
        ),
    )


def of_this_machine(action: str, object_id: str, at_ms: int) -> AuditEntry:
    """Return the entry of what was done at this machine, by the owner of the data folder."""
    return AuditEntry(
        at_ms=at_ms,
        tenant="local",
        actor="local/owner",
        action=action,
        object_id=object_id,
        outcome="done",
        request_id="",
    )


def list_page(
    db: Database, tenant: str, *, limit: int, before: int | None = None
) -> list[AuditRow]:
    """Return entries of a tenant, newest first.

    Args:
        before: a sequence; only older entries are returned.
    """
    rows = db.execute(
        "SELECT sequence, at_ms, tenant, actor, action, object_id, outcome, request_id FROM audit"
        " WHERE tenant = ? AND sequence < ? ORDER BY sequence DESC LIMIT ?",
        (tenant, 2**63 - 1 if before is None else before, limit),
    )
    return [AuditRow(sequence=row[0], entry=_entry(*row[1:])) for row in rows]


def _entry(
    at_ms: int, tenant: str, actor: str, action: str, object_id: str, outcome: str, request_id: str
) -> AuditEntry:
    return AuditEntry(
        at_ms=at_ms,
        tenant=tenant,
        actor=actor,
        action=action,
        object_id=object_id,
        outcome=outcome,
        request_id=request_id,
    )
