"""change(): the only way to change something on a caller's behalf, so that it is always audited.

One transaction holds the access check, the rows, the idempotency record, the appends and the audit
entry. What cannot be audited does not happen (law 11); what the caller may not touch is NotFound.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import TypeVar

from runtime import limits
from runtime.caller import Caller
from runtime.problems import AuditUnavailable, NotFound
from store import audit
from store import idempotency as answers
from store.audit import AuditEntry
from store.database import Database
from store.idempotency import IdempotencyRow
from store.writer import Append, Write

R = TypeVar("R")


def change(
    caller: Caller,
    *,
    action: str,
    object_id: str,
    at_ms: int,
    request_id: str,
    access: Callable[[Database], bool],
    rows: Callable[[Database], R],
    appends: Sequence[Append] = (),
    idempotency: IdempotencyRow | None = None,
) -> Write[R]:
    """Return the Write to hand to a writer.

    Args:
        access: says, inside the transaction, whether the caller may do this; else NotFound.
        rows: what changes; its result is the result of the Write.
        idempotency: the answer to keep under the caller's key.
    """

    def all_rows(db: Database) -> R:
        if not access(db):
            raise NotFound("There is no such thing.")
        result = rows(db)
        if idempotency:
            answers.expire(db, at_ms - limits.IDEMPOTENCY_MS)
            answers.insert(db, idempotency)
        return result

    entry = _entry(caller, action, object_id, at_ms, request_id)
    return Write(appends=tuple(appends), rows=all_rows, audit=entry)


def rehearsal(
    caller: Caller, *, action: str, object_id: str, at_ms: int, request_id: str
) -> Write[None]:
    """Return a Write that finds out whether something could be audited, and keeps nothing.

    For a change that begins outside: what was closed there cannot be opened again.
    """
    entry = _entry(caller, action, object_id, at_ms, request_id)

    def rows(db: Database) -> None:
        db.execute("SAVEPOINT rehearsal")
        try:
            audit.insert(db, entry)
        except sqlite3.IntegrityError as error:
            raise AuditUnavailable("The audit entry was refused; nothing has changed.") from error
        finally:
            db.execute("ROLLBACK TO rehearsal")
            db.execute("RELEASE rehearsal")

    return Write(rows=rows)


def _entry(caller: Caller, action: str, object_id: str, at_ms: int, request_id: str) -> AuditEntry:
    return AuditEntry(
        at_ms=at_ms,
        tenant=caller.tenant,
        actor=caller.name,
        action=action,
        object_id=object_id,
        outcome="done",
        request_id=request_id,
    )
