"""Conversations: whose they are and what they are called. Their events are a stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from runtime.caller import Caller
from store.database import Database

Kind: TypeAlias = Literal["talk", "turn", "thread", "tool"]
COLUMNS = "id, tenant, user, title, created_at_ms, kind"
AFTER_ALL_IDS = "~"  # sorts behind every id: they are lower-case letters, digits and `_`


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationRow:
    """A conversation as it is kept."""

    id: str
    tenant: str
    user: str
    title: str
    created_at_ms: int
    kind: Kind = "talk"  # only a talk is listed


def insert(db: Database, row: ConversationRow) -> None:
    """Keep a new conversation; its stream is made by `event_log.create_stream`."""
    db.execute(
        f"INSERT INTO conversation ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)",  # noqa: S608 - our own columns
        (row.id, row.tenant, row.user, row.title, row.created_at_ms, row.kind),
    )


def get(db: Database, caller: Caller, id: str) -> ConversationRow | None:
    """Return the caller's conversation; None for one that is not there and for another's alike."""
    return _one(db, "id = ? AND tenant = ? AND user = ?", (id, caller.tenant, caller.user))


def get_any(db: Database, id: str) -> ConversationRow | None:
    """Return a conversation whosever it is; for actors, never for a request."""
    return _one(db, "id = ?", (id,))


def list_page(
    db: Database, caller: Caller, *, limit: int, before_id: str | None = None
) -> list[ConversationRow]:
    """Return the caller's talks before a place in the list, newest first."""
    rows = db.execute(
        f"SELECT {COLUMNS} FROM conversation"  # noqa: S608 - our own columns
        " WHERE tenant = ? AND user = ? AND kind = 'talk' AND id < ? ORDER BY id DESC LIMIT ?",
        (caller.tenant, caller.user, before_id or AFTER_ALL_IDS, limit),
    )
    return [_row(*row) for row in rows]


def _one(db: Database, where: str, values: tuple[str, ...]) -> ConversationRow | None:
    sql = f"SELECT {COLUMNS} FROM conversation WHERE {where}"  # noqa: S608 - our own columns
    row = db.execute(sql, values).fetchone()
    return _row(*row) if row else None


def _row(
    id: str, tenant: str, user: str, title: str, created_at_ms: int, kind: Any
) -> ConversationRow:
    return ConversationRow(
        id=id, tenant=tenant, user=user, title=title, created_at_ms=created_at_ms, kind=kind
    )
