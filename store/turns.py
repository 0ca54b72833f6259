"""Turns: what a front asked a job's model, and the threads that such jobs may belong to.

A turn's input is its own; what came before is found by `previous`, the job of the turn before, or
by its thread. `asked` is how the model is to answer, `shown` what the front shows of the request.
All three are JSON made by `actors`. A turn is deleted by a mark: those that follow it still stand
on what it said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any

from runtime.caller import Caller
from store.database import Database, let_go


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRow:
    """A turn as it is kept; the fields are the columns, in order."""

    job_id: str
    front: str
    previous: str | None
    thread: str | None
    asked: bytes
    input: bytes
    shown: bytes
    deleted_at_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadRow:
    """A thread as it is kept; the fields are the columns, in order."""

    id: str
    metadata: bytes  # JSON
    created_at_ms: int  # of its conversation


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadItemRow:
    """An item put into a thread, or, without a value, one taken out of it."""

    thread: str
    id: str
    position: int  # see `position`; kept as the ordinal
    value: bytes | None  # JSON


NAMES = tuple(field.name for field in fields(TurnRow))
VALUES = attrgetter(*NAMES)
SLOTS = ", ".join(f"?{number}" for number in range(1, len(NAMES) + 1))
SELECT = f"SELECT {', '.join(f'turn.{name}' for name in NAMES)} FROM turn"  # noqa: S608 - our own
INSERT = f"INSERT INTO turn ({', '.join(NAMES)}) SELECT {SLOTS} WHERE ?1 IS NOT NULL"
PLACES = 2**32  # more than a thread can hold
ITEMS = "SELECT thread, id, ordinal, value FROM thread_item"


def insert(db: Database, row: TurnRow) -> None:
    """Keep a new turn, with its job's row."""
    db.execute(INSERT, VALUES(row))
    let_go(db, INSERT, len(NAMES), len(row.input))


def get(db: Database, caller: Caller, job_id: str, front: str) -> TurnRow | None:
    """Return the caller's turn of a front; None for what is not there, deleted or another's."""
    where = "JOIN job ON job.id = job_id WHERE job_id = ? AND job.tenant = ? AND job.user = ?"
    sql = f"{SELECT} {where} AND front = ? AND deleted_at_ms IS NULL"
    row = db.execute(sql, (job_id, caller.tenant, caller.user, front)).fetchone()
    return _turn(row) if row else None


def running(db: Database, caller: Caller, front: str, chat: str) -> TurnRow | None:
    """Return the caller's newest running turn of a chat, as `shown` names it."""
    where = "JOIN job ON job.id = job_id WHERE job.status = 'running' AND job.tenant = ?"
    named = "AND job.user = ? AND front = ? AND CAST(shown AS TEXT) ->> '$.chat' = ?"
    sql = f"{SELECT} {where} {named} ORDER BY job_id DESC LIMIT 1"
    row = db.execute(sql, (caller.tenant, caller.user, front, chat)).fetchone()
    return _turn(row) if row else None


def get_any(db: Database, job_id: str) -> TurnRow | None:
    """Return a turn whosever it is, a deleted one too; for actors, never for a request."""
    row = db.execute(f"{SELECT} WHERE job_id = ?", (job_id,)).fetchone()
    return _turn(row) if row else None


def delete(db: Database, job_id: str, at_ms: int) -> None:
    """Mark a turn as deleted: no caller sees it any more."""
    db.execute("UPDATE turn SET deleted_at_ms = ? WHERE job_id = ?", (at_ms, job_id))


def insert_thread(db: Database, id: str, metadata: bytes) -> None:
    """Keep a new thread, with its conversation's row."""
    db.execute("INSERT INTO thread (id, metadata) VALUES (?, ?)", (id, metadata))


def get_thread(db: Database, caller: Caller, id: str) -> ThreadRow | None:
    """Return the caller's thread; None for what is not there, deleted or another's."""
    row = db.execute(
        "SELECT thread.id, metadata, created_at_ms FROM thread"
        " JOIN conversation ON conversation.id = thread.id"
        " WHERE thread.id = ? AND tenant = ? AND user = ? AND deleted_at_ms IS NULL",
        (id, caller.tenant, caller.user),
    ).fetchone()
    return ThreadRow(id=row[0], metadata=row[1], created_at_ms=row[2]) if row else None


def set_metadata(db: Database, id: str, metadata: bytes) -> None:
    """Give a thread other metadata."""
    db.execute("UPDATE thread SET metadata = ? WHERE id = ?", (metadata, id))


def delete_thread(db: Database, id: str, at_ms: int) -> None:
    """Mark a thread as deleted; its turns stay."""
    db.execute("UPDATE thread SET deleted_at_ms = ? WHERE id = ?", (at_ms, id))


def position(ordinal: int, place: int) -> int:
    """Return where an item stands: behind the job of this ordinal, and behind what came before."""
    return ordinal * PLACES + place


def put_item(db: Database, row: ThreadItemRow) -> None:
    """Put an item into a thread, or mark one as taken out."""
    db.execute(
        "INSERT INTO thread_item (thread, id, ordinal, value) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (thread, id) DO UPDATE SET value = excluded.value",
        (row.thread, row.id, row.position, row.value),
    )


def items_of(db: Database, thread: str) -> list[ThreadItemRow]:
    """Return what was put into a thread and taken out of it, in order."""
    rows = db.execute(f"{ITEMS} WHERE thread = ? ORDER BY ordinal, id", (thread,))
    return [ThreadItemRow(thread=r[0], id=r[1], position=r[2], value=r[3]) for r in rows]


def turns_of(db: Database, thread: str, before_ordinal: int) -> list[tuple[int, TurnRow]]:
    """Return the turns of a thread before a place, oldest first, each with its job's ordinal."""
    rows = db.execute(
        f"SELECT ordinal, {', '.join(f'turn.{name}' for name in NAMES)} FROM turn"  # noqa: S608
        " JOIN job ON job.id = turn.job_id"
        " WHERE job.conversation_id = ? AND ordinal < ? ORDER BY ordinal",
        (thread, before_ordinal),
    )
    return [(row[0], _turn(row[1:])) for row in rows]


def newest_ordinal(db: Database, thread: str) -> int:
    """Return the number of a thread's newest job, 0 where it has none."""
    sql = "SELECT COALESCE(MAX(ordinal), 0) FROM job WHERE conversation_id = ?"
    return int(db.execute(sql, (thread,)).fetchone()[0])


def _turn(values: Sequence[Any]) -> TurnRow:
    return TurnRow(**dict(zip(NAMES, values, strict=True)))
