"""What a person may do at an MCP server: a row for each issuer, sealed; the latest is in use."""

from __future__ import annotations

from dataclasses import dataclass

from store.database import Database

KEY = "tenant = ? AND user = ? AND server = ?"


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantKey:
    """Whose grant it is, and at which server."""

    tenant: str
    user: str
    server: str

    @property
    def columns(self) -> tuple[str, str, str]:
        """The key as the columns of a row."""
        return (self.tenant, self.user, self.server)


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantRow:
    """A grant as it is kept. `issuer` is "" for a server that names none."""

    issuer: str
    sealed: bytes
    changed_at_ms: int


def put(db: Database, key: GrantKey, row: GrantRow) -> None:
    """Keep a grant in place of the one of the same issuer."""
    db.execute(
        "INSERT OR REPLACE INTO mcp_grant VALUES (?, ?, ?, ?, ?, ?)",
        (*key.columns, row.issuer, row.sealed, row.changed_at_ms),
    )


def latest(db: Database, key: GrantKey) -> GrantRow | None:
    """Return the grant that was changed last."""
    found = db.execute(
        "SELECT issuer, sealed, changed_at_ms FROM mcp_grant"  # noqa: S608 - our own columns
        f" WHERE {KEY} ORDER BY changed_at_ms DESC LIMIT 1",
        key.columns,
    ).fetchone()
    if found is None:
        return None
    issuer, sealed, changed_at_ms = found
    return GrantRow(issuer=issuer, sealed=sealed, changed_at_ms=changed_at_ms)


def remove(db: Database, key: GrantKey) -> None:
    """Forget all grants of a person at a server."""
    db.execute(f"DELETE FROM mcp_grant WHERE {KEY}", key.columns)  # noqa: S608 - our own columns
