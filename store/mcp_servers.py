"""MCP servers that a person added for themselves."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.caller import Caller
from store.database import Database

COLUMNS = "tenant, user, name, settings, sealed, created_at_ms, changed_at_ms"
OF_ONE = "tenant = ? AND user = ?"


@dataclass(frozen=True, slots=True, kw_only=True)
class McpServerRow:
    """A server as it is kept: JSON of its settings, and its secrets sealed; None: it has none."""

    name: str
    settings: bytes
    sealed: bytes | None
    created_at_ms: int
    changed_at_ms: int


def put(db: Database, owner: Caller, row: McpServerRow) -> None:
    """Keep a person's server, in place of what its name meant before."""
    own = (row.name, row.settings, row.sealed, row.created_at_ms, row.changed_at_ms)
    db.execute(
        f"INSERT OR REPLACE INTO mcp_server ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - our own columns
        (owner.tenant, owner.user, *own),
    )


def remove(db: Database, owner: Caller, name: str) -> None:
    """Forget a person's server, with its secrets."""
    db.execute(
        f"DELETE FROM mcp_server WHERE {OF_ONE} AND name = ?",  # noqa: S608 - our own columns
        (owner.tenant, owner.user, name),
    )


def list_all(db: Database, owner: Caller) -> list[McpServerRow]:
    """Return a person's servers, by name."""
    rows = db.execute(
        "SELECT name, settings, sealed, created_at_ms, changed_at_ms FROM mcp_server"  # noqa: S608 - our own columns
        f" WHERE {OF_ONE} ORDER BY name",
        (owner.tenant, owner.user),
    )
    return [_row(*row) for row in rows]


def get(db: Database, owner: Caller, name: str) -> McpServerRow | None:
    """Return a person's server of a name."""
    return next((row for row in list_all(db, owner) if row.name == name), None)


def _row(
    name: str, settings: bytes, sealed: bytes | None, created_at_ms: int, changed_at_ms: int
) -> McpServerRow:
    return McpServerRow(
        name=name,
        settings=settings,
        sealed=sealed,
        created_at_ms=created_at_ms,
        changed_at_ms=changed_at_ms,
    )
