"""Sets of actions that a person made from documents, and the tokens that go with them."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.caller import Caller
from store.database import Database

COLUMNS = "name, settings, actions, sealed, created_at_ms, changed_at_ms"
OF_ONE = "tenant = ? AND user = ?"


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionSetRow:
    """A set as it is kept: JSON of its settings and actions, and its secrets sealed, if any."""

    name: str
    settings: bytes
    actions: bytes
    sealed: bytes | None
    created_at_ms: int
    changed_at_ms: int


def put(db: Database, owner: Caller, row: ActionSetRow) -> None:
    """Keep a person's set, in place of what its name meant before."""
    own = (row.name, row.settings, row.actions, row.sealed, row.created_at_ms, row.changed_at_ms)
    db.execute(
        f"INSERT OR REPLACE INTO action_set (tenant, user, {COLUMNS})"  # noqa: S608 - our own columns
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (owner.tenant, owner.user, *own),
    )


def remove(db: Database, owner: Caller, name: str) -> None:
    """Forget a person's set, its secrets and its tokens."""
    for table in ("action_set", "action_grant"):
        db.execute(
            f"DELETE FROM {table} WHERE {OF_ONE} AND name = ?",  # noqa: S608 - our own tables
            (owner.tenant, owner.user, name),
        )


def names(db: Database, owner: Caller) -> frozenset[str]:
    """Return the names of a person's sets; nothing else of them is read into memory."""
    rows = db.execute(
        f"SELECT name FROM action_set WHERE {OF_ONE}",  # noqa: S608 - our own columns
        (owner.tenant, owner.user),
    )
    return frozenset(name for (name,) in rows)


def list_all(
    db: Database, owner: Caller, of_names: frozenset[str] | None = None
) -> list[ActionSetRow]:
    """Return a person's sets, by name: all, or those of some names, and no other is read."""
    named = sorted(of_names or ())
    among = "" if of_names is None else f" AND name IN ({', '.join('?' * len(named))})"
    rows = db.execute(
        f"SELECT {COLUMNS} FROM action_set WHERE {OF_ONE}{among} ORDER BY name",  # noqa: S608 - our own columns
        (owner.tenant, owner.user, *named),
    )
    return [_row(*row) for row in rows]


def get(db: Database, owner: Caller, name: str) -> ActionSetRow | None:
    """Return a person's set of a name."""
    row = db.execute(
        f"SELECT {COLUMNS} FROM action_set WHERE {OF_ONE} AND name = ?",  # noqa: S608 - our own columns
        (owner.tenant, owner.user, name),
    ).fetchone()
    return _row(*row) if row else None


def put_grant(db: Database, owner: Caller, name: str, sealed: bytes, at_ms: int) -> None:
    """Keep the tokens of a set, in place of those before."""
    db.execute(
        "INSERT OR REPLACE INTO action_grant VALUES (?, ?, ?, ?, ?)",
        (owner.tenant, owner.user, name, sealed, at_ms),
    )


def grant(db: Database, owner: Caller, name: str) -> bytes | None:
    """Return the tokens of a set, sealed."""
    row = db.execute(
        f"SELECT sealed FROM action_grant WHERE {OF_ONE} AND name = ?",  # noqa: S608 - our own columns
        (owner.tenant, owner.user, name),
    ).fetchone()
    return row[0] if row else None


def forget_grant(db: Database, owner: Caller, name: str) -> None:
    """Forget the tokens of a set."""
    db.execute(
        f"DELETE FROM action_grant WHERE {OF_ONE} AND name = ?",  # noqa: S608 - our own columns
        (owner.tenant, owner.user, name),
    )


def _row(
    name: str,
    settings: bytes,
    actions: bytes,
    sealed: bytes | None,
    created_at_ms: int,
    changed_at_ms: int,
) -> ActionSetRow:
    return ActionSetRow(
        name=name,
        settings=settings,
        actions=actions,
        sealed=sealed,
        created_at_ms=created_at_ms,
        changed_at_ms=changed_at_ms,
    )
