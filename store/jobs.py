"""Jobs: who asked which model in which conversation, and how each ended.

A row is what lists and recovery need; the truth of a job is its stream. `result` is the fold of
that stream, written with the end, so that an ended job is shown without reading its log.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any

from runtime.caller import Caller
from runtime.events import CURRENT, EndStatus, Status
from store.conversations import AFTER_ALL_IDS
from store.database import Database, let_go


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """A job as it is kept; the fields are the columns, in order."""

    id: str
    conversation_id: str
    tenant: str
    user: str
    ordinal: int  # 1, 2, 3 in its conversation
    message_id: str  # the user's message
    status: Status
    reason: str | None
    model: str
    endpoint: str
    options: bytes  # JSON
    superseded_by: str | None
    created_at_ms: int
    started_at_ms: int | None
    ended_at_ms: int | None
    result: bytes | None  # JSON of items, usage, error; None until it has ended
    tools: bytes | None = None  # JSON: ids of the tools that it may use, or "all"; None: none


NAMES = tuple(field.name for field in fields(JobRow))
VALUES = attrgetter(*NAMES)
SELECT = f"SELECT {', '.join(NAMES)} FROM job"  # noqa: S608 - our own columns
INSERT = f"INSERT INTO job ({', '.join(NAMES)}) VALUES ({', '.join('?' * len(NAMES))})"  # noqa: S608


END = (
    "UPDATE job SET status = ?, reason = ?, superseded_by = ?, ended_at_ms = ?, result = ?"
    " WHERE id = ? AND ended_at_ms IS NULL"
)


def insert(db: Database, row: JobRow) -> None:
    """Keep a new job; its stream is made by `event_log.create_stream`."""
    db.execute(INSERT, VALUES(row))


def set_running(db: Database, id: str, started_at_ms: int) -> None:
    """A queued job has become the current one."""
    db.execute(
        "UPDATE job SET status = 'running', started_at_ms = ? WHERE id = ? AND status = 'queued'",
        (started_at_ms, id),
    )


def set_ended(
    db: Database,
    id: str,
    *,
    status: EndStatus,
    reason: str,
    superseded_by: str | None,
    ended_at_ms: int,
    result: bytes,
) -> None:
    """The job's log has its end; happens once."""
    db.execute(END, (status, reason, superseded_by, ended_at_ms, result, id))
    let_go(db, END, 6, len(result))


def get(db: Database, caller: Caller, id: str) -> JobRow | None:
    """Return the caller's job; None for one that is not there and for another's alike."""
    where = "WHERE id = ? AND tenant = ? AND user = ?"
    return _one(db, where, (id, caller.tenant, caller.user))


def has(db: Database, caller: Caller, id: str) -> bool:
    """Say whether `get` would find the job; without its result, which may be megabytes."""
    sql = "SELECT 1 FROM job WHERE id = ? AND tenant = ? AND user = ?"
    return db.execute(sql, (id, caller.tenant, caller.user)).fetchone() is not None


def get_any(db: Database, id: str) -> JobRow | None:
    """Return a job whosever it is; for actors, never for a request."""
    return _one(db, "WHERE id = ?", (id,))


def list_page(
    db: Database,
    caller: Caller,
    *,
    status: str | None = None,
    conversation_id: str | None = None,
    limit: int,
    before_id: str | None = None,
) -> list[JobRow]:
    """Return the caller's jobs before a place in the list, newest first.

    Args:
        status: a Status, `active` for queued and running, None for all.
    """
    where = ["tenant = ?", "user = ?", "id < ?"]
    values: list[Any] = [caller.tenant, caller.user, before_id or AFTER_ALL_IDS]
    if status is not None:
        wanted = CURRENT if status == "active" else (status,)
        where.append(f"status IN ({', '.join('?' * len(wanted))})")
        values += wanted
    if conversation_id is not None:
        where.append("conversation_id = ?")
        values.append(conversation_id)
    sql = f"WHERE {' AND '.join(where)} ORDER BY id DESC LIMIT ?"
    return _all(db, sql, [*values, limit])


def next_ordinal(db: Database, conversation_id: str) -> int:
    """Return the number of the conversation's next job."""
    sql = "SELECT 1 + COALESCE(MAX(ordinal), 0) FROM job WHERE conversation_id = ?"
    return int(db.execute(sql, (conversation_id,)).fetchone()[0])


def current(db: Database, conversation_id: str) -> JobRow | None:
    """Return the conversation's running job."""
    return _one(db, "WHERE status = 'running' AND conversation_id = ?", (conversation_id,))


def queued(db: Database, conversation_id: str) -> list[JobRow]:
    """Return the jobs that wait in a conversation, in their order."""
    where = "WHERE status = 'queued' AND conversation_id = ? ORDER BY ordinal"
    return _all(db, where, (conversation_id,))


def unfinished(db: Database) -> list[JobRow]:
    """Return every running job; at the start of the service, those a dead process left."""
    return _all(db, "WHERE status = 'running' ORDER BY conversation_id, ordinal", ())


def ended_before(db: Database, ended_at_ms: int, limit: int) -> list[tuple[str, str]]:
    """Return the jobs that have ended by a moment, the first first, each with its conversation."""
    rows = db.execute(
        "SELECT id, conversation_id FROM job WHERE ended_at_ms <= ? ORDER BY ended_at_ms LIMIT ?",
        (ended_at_ms, limit),
    )
    return [(row[0], row[1]) for row in rows]


def count(db: Database) -> int:
    """Return how many jobs are kept."""
    return int(db.execute("SELECT COUNT(*) FROM job").fetchone()[0])


def conversations_waiting(db: Database) -> list[str]:
    """Return the ids of the conversations in which jobs wait."""
    rows = db.execute(
        "SELECT DISTINCT conversation_id FROM job WHERE status = 'queued' ORDER BY conversation_id"
    )
    return [row[0] for row in rows]


def _one(db: Database, where: str, values: Sequence[Any]) -> JobRow | None:
    row = db.execute(f"{SELECT} {where}", values).fetchone()
    return _row(row) if row else None


def _all(db: Database, where: str, values: Sequence[Any]) -> list[JobRow]:
    return [_row(row) for row in db.execute(f"{SELECT} {where}", values)]


def _row(values: Sequence[Any]) -> JobRow:
    return JobRow(**dict(zip(NAMES, values, strict=True)))
