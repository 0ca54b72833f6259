"""What specs of the store start from: stores on disk, events, and connections that fail on cue."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from runtime.hub import Hub
from runtime.ids import Ids
from runtime.log import Record, Tail
from store.commit import commit_one
from store.database import Connection, Database
from store.event_log import SqliteEventLog, create_stream
from store.opening import FILE, Store, open_store
from store.thread_writer import ThreadWriter
from store.writer import Append, Committed, Write

NOW_MS = 1_700_000_000_000


class Stopped:
    """A clock that stands still."""

    def now_ms(self) -> int:
        return NOW_MS


def ids() -> Ids:
    return Ids(Stopped(), random.Random(1))  # noqa: S311 - the same every time


def record(sequence: int, text: str = "word") -> Record:
    body = {"sequence": sequence, "kind": "item.delta", "data": {"text": text}}
    return Record(sequence, "item.delta", orjson.dumps(body))


def append(stream: str, after: int, count: int = 1, *, ends: bool = False) -> Append:
    records = tuple(record(after + place) for place in range(1, count + 1))
    return Append(stream=stream, after=after, records=records, ends=ends)


def appends(*each: Append) -> Write[None]:
    return Write(appends=each)


def make(*names: str) -> Write[None]:
    """The Write that makes streams of one user."""

    def rows(db: Database) -> None:
        for name in names:
            create_stream(db, name, "t", "u")

    return Write(rows=rows)


def fill(store: Store, stream: str, count: int, size: int = 100) -> None:
    """Put events into a stream, beside any writer."""
    create_stream(store.writer, stream, "t", "u")
    for after in range(0, count, 1000):
        last = min(after + 1000, count)
        records = tuple(record(place, "x" * size) for place in range(after + 1, last + 1))
        commit_one(
            store.writer, Write(appends=(Append(stream=stream, after=after, records=records),))
        )


@dataclass
class Bench:
    """A store with its log and its writer thread."""

    store: Store
    log: SqliteEventLog
    hub: Hub
    writer: ThreadWriter
    commits: list[Committed] = field(default_factory=list)
    fatal: list[str] = field(default_factory=list)


@asynccontextmanager
async def running(store: Store, tail: Tail | None = None) -> AsyncIterator[Bench]:
    """A writer thread over an open store; closed at the end."""
    log, hub = SqliteEventLog(store.reader, tail), Hub()
    commits: list[Committed] = []
    fatal: list[str] = []
    writer = ThreadWriter(
        store.writer, log, hub, on_fatal=lambda: fatal.append("fatal"), on_commit=commits.append
    )
    try:
        yield Bench(store, log, hub, writer, commits, fatal)
    finally:
        await writer.close()
        store.close()


def opened(folder: Path, **options: Any) -> Store:
    return open_store(folder, ids=ids(), migrates=True, **options)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def raw(folder: Path) -> sqlite3.Connection:
    """A foreign program's connection: no guards but those in the file itself."""
    return sqlite3.connect(folder / FILE, isolation_level=None)


class FailingConnection(sqlite3.Connection):
    """SQLite on a disk that fails when told: each of `failures` fails one commit."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.failures: list[int] = []

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        commits = sql == "COMMIT" or (
            sql.startswith("INSERT INTO event") and not self.in_transaction
        )
        if self.failures and commits:
            raise failure(self.failures.pop(0))
        return super().execute(sql, *parameters)


def failure(code: int) -> sqlite3.OperationalError:
    """What sqlite3 raises for a result code."""
    error = sqlite3.OperationalError("the disk failed")
    error.sqlite_errorcode = code
    return error


def connect_failing(path: Path) -> Connection:
    return sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, factory=FailingConnection
    )


def fail_next(store: Store, *codes: int) -> None:
    """Let the writer's next commits fail with these result codes."""
    connection = store.writer.conn
    assert isinstance(connection, FailingConnection)
    connection.failures += codes
