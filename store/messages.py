"""Messages: what was said in a conversation, in the order in which it is read.

`position` is 2 * ordinal for the question of a job and 2 * ordinal + 1 for its answer: so a queued
question stands before its own answer and after the answer of the job before it, whenever each was
written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any, Literal

import orjson

from runtime.events import Status
from store.database import Database, let_go


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRow:
    """A message as it is kept; the fields are the columns, in order."""

    id: str
    conversation_id: str
    job_id: str
    role: Literal["user", "assistant"]
    parts: bytes  # JSON: a list of parts
    created_at_ms: int
    status: Status
    position: int

    @property
    def text(self) -> str:
        """The text of all parts, joined."""
        return "".join(part["text"] for part in orjson.loads(self.parts) if part["type"] == "text")


NAMES = tuple(field.name for field in fields(MessageRow))
VALUES = attrgetter(*NAMES)
SELECT = f"SELECT {', '.join(NAMES)} FROM message"  # noqa: S608 - our own columns
SLOTS = ", ".join(f"?{number}" for number in range(1, len(NAMES) + 1))
INSERT = f"INSERT INTO message ({', '.join(NAMES)}) SELECT {SLOTS} WHERE ?1 IS NOT NULL"


def insert(db: Database, row: MessageRow) -> None:
    """Keep a new message."""
    db.execute(INSERT, VALUES(row))
    let_go(db, INSERT, len(NAMES), len(row.parts))


def list_page(
    db: Database, conversation_id: str, *, limit: int, after_position: int = 0
) -> list[MessageRow]:
    """Return a conversation's messages behind a position, oldest first."""
    rows = db.execute(
        f"{SELECT} WHERE conversation_id = ? AND position > ? ORDER BY position LIMIT ?",
        (conversation_id, after_position, limit),
    )
    return [_row(row) for row in rows]


def for_prompt(
    db: Database, conversation_id: str, *, before_position: int, size_bytes: int
) -> list[MessageRow]:
    """Return what a model is told, newest first, until `size_bytes` of parts are reached.

    What a superseded job said is left out. The newest message is always there.
    """
    rows = db.execute(
        f"{SELECT} WHERE conversation_id = ? AND position < ?"
        " AND (role = 'user' OR status <> 'superseded') ORDER BY position DESC",
        (conversation_id, before_position),
    )
    chosen: list[MessageRow] = []
    try:
        for values in rows:
            message = _row(values)
            size_bytes -= len(message.parts)
            if size_bytes < 0 and chosen:
                break
            chosen.append(message)
    finally:
        rows.close()
    return chosen


def _row(values: Sequence[Any]) -> MessageRow:
    return MessageRow(**dict(zip(NAMES, values, strict=True)))
