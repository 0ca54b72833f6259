"""The only way a stream ever leaves: whole, by its own connection, with an audit entry (law 13).

On every other connection the authorizer refuses the DELETE, and `erasing` answers 0, which the
trigger `stream_stays` asks; here it answers 1 for the very streams of this call. Events cannot be
deleted even here but by the trigger that runs when their stream has gone. Freed pages are
overwritten (`secure_delete`), and the WAL is emptied as far as readers let it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

from store import audit
from store.audit import AuditEntry
from store.database import Database, open_database, transaction
from store.guards import authorizer
from store.streams import find_stream

Eraser: TypeAlias = Callable[[Sequence[str], AuditEntry], Awaitable[None]]  # off the loop


def erase_streams(path: Path, names: Sequence[str], entry: AuditEntry) -> int:
    """Erase the streams of these names, those that are there, in one transaction; return how many.

    The caller drops what is cached of them (`SqliteEventLog.forget`). Beside a running service this
    waits for the writer's commit, and the writer for it.

    Args:
        path: the database file.
        entry: written in the same transaction, also where no stream was there.
    """
    database = open_database(path, role="eraser")
    doomed: set[int] = set()
    database.conn.create_function("erasing", 1, lambda stream: int(stream in doomed))
    try:
        with transaction(database):
            for name in names:
                if row := find_stream(database, name):
                    doomed.add(row.id)
                    database.execute("DELETE FROM stream WHERE id = ?", (row.id,))
            audit.insert(database, entry)
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    finally:
        database.close()
    return len(doomed)


def erase_in_memory(database: Database, names: Sequence[str], jobs: Sequence[str]) -> None:
    """Erase jobs of a store in memory: rows and streams. What was there is audited elsewhere.

    Args:
        database: the one connection of the store, with no transaction open.
        names: of the streams.
        jobs: their ids; the conversations that were theirs alone go with them.
    """
    doomed = {row[0] for row in _of(database, "SELECT id FROM stream WHERE name", names)}
    homes = [row[0] for row in _of(database, "SELECT conversation_id FROM job WHERE id", jobs)]
    database.conn.create_function("erasing", 1, lambda stream: int(stream in doomed))
    _look_after(database, "OFF")  # for each job all messages would be read: none of its own is left
    database.conn.set_authorizer(authorizer("eraser"))
    try:
        with transaction(database):
            _of(database, "DELETE FROM stream WHERE name", names)
            for place in ("turn WHERE job_id", "message WHERE job_id", "job WHERE id"):
                _of(database, f"DELETE FROM {place}", jobs)  # noqa: S608 - our own
            _of(database, "DELETE FROM conversation WHERE id", homes)
    finally:
        _look_after(database, "ON")
        database.conn.set_authorizer(authorizer("writer"))
        database.conn.create_function("erasing", 1, lambda _stream: 0)


def _look_after(database: Database, keys: Literal["ON", "OFF"]) -> None:
    """Have foreign keys looked after, or not; nobody else may, so the authorizer is taken away."""
    database.conn.set_authorizer(None)
    database.execute(f"PRAGMA foreign_keys={keys}")


def _of(database: Database, sql: str, values: Sequence[str]) -> list[Any]:
    """Run a statement for all of the values, which its last word names, at once."""
    return database.execute(f"{sql} IN ({','.join('?' * len(values))})", values).fetchall()
