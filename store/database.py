"""Opens the database: pragmas, guards and readers, behind a small seam.

WAL with `synchronous=FULL`: a commit that has returned survives a power cut (NORMAL loses some).
The seam is what the store asks of a connection (`Connection`): the power-loss rig puts another
SQLite underneath by handing its own `connect`. sqlite-utils wraps it for schema, migrations and
queries. Nothing bounds the WAL by itself here: the writer checkpoints (`store.commit`).
Source: https://www.sqlite.org/pragma.html, https://www.sqlite.org/wal.html
"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeAlias, cast

import sqlite_utils

from runtime import limits
from store.guards import Authorizer, Role, authorizer

Values: TypeAlias = Sequence[Any] | Mapping[str, Any]
MEMORY = Path(":memory:")
PAGE_BYTES = 4096  # SQLite's own choice


class Connection(Protocol):
    """What the store needs of SQLite; `sqlite3.Connection` in autocommit mode has it."""

    @property
    def in_transaction(self) -> bool: ...
    def execute(self, sql: str, parameters: Values = ..., /) -> Any: ...
    def executemany(self, sql: str, parameters: Any, /) -> Any: ...
    def executescript(self, sql: str, /) -> Any: ...
    def create_function(
        self, name: str, narg: int, func: Callable[..., Any] | None, /, *, deterministic: bool = ...
    ) -> None: ...
    def set_authorizer(self, authorizer_callback: Authorizer | None) -> None: ...
    def close(self) -> None: ...


Connect: TypeAlias = Callable[[Path], Connection]


class Database(sqlite_utils.Database):
    """One connection in a role; outside a transaction, each statement commits by itself."""

    def __init__(self, connection: Connection, role: Role, path: Path) -> None:
        super().__init__(cast("sqlite3.Connection", connection), execute_plugins=False)
        self.role, self.path = role, path

    def execute(self, sql: str, parameters: Values | None = None) -> sqlite3.Cursor:
        """Run one statement; the connection never opens a transaction by itself."""
        return self.conn.execute(sql) if parameters is None else self.conn.execute(sql, parameters)

    def begin(self) -> None:
        """Start a transaction that writes; waits for another program at most BUSY_TIMEOUT_MS."""
        self.conn.execute("BEGIN IMMEDIATE")


def used_bytes(database: Database) -> int:
    """Return how much of the database is in use."""
    pages, free = (
        database.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "freelist_count")
    )
    return int(pages - free) * PAGE_BYTES


def let_go(database: Database, sql: str, values: int, size_bytes: int) -> None:
    """Run a statement that did something large once more with NULLs, which does nothing.

    A prepared statement keeps a copy of what it was last given, for as long as it is kept itself.

    Args:
        values: how many parameters it has.
        size_bytes: of the largest value it was given; a small one is not worth the trouble.
    """
    if size_bytes >= limits.LARGE_VALUE_BYTES:
        database.execute(sql, (None,) * values)


def connect(path: Path) -> Connection:
    """Return a plain connection of the standard library, usable from one thread at a time."""
    return sqlite3.connect(
        path,
        isolation_level=None,
        check_same_thread=False,  # opened by compose, used by the writer's thread
        cached_statements=limits.STATEMENTS_MAX,
    )


def open_database(path: Path, *, role: Role, connect: Connect = connect) -> Database:
    """Open the file in a role; its schema is not looked at (`store.opening` does).

    Args:
        connect: makes the connection; another SQLite may be put underneath here.
    """
    if path != MEMORY and not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # -wal and -shm get the same mode
    connection = connect(path)
    database = Database(connection, role, path)
    for pragma in _pragmas(role):
        database.execute(f"PRAGMA {pragma}").fetchall()
    connection.create_function("erasing", 1, lambda _stream: 0)
    _be_defensive(connection)
    if role != "migrator":
        connection.set_authorizer(authorizer(role))
    return database


def _pragmas(role: Role) -> Iterator[str]:
    yield f"busy_timeout={limits.BUSY_TIMEOUT_MS}"
    yield "journal_mode=WAL"
    yield "synchronous=FULL"
    yield "foreign_keys=ON"
    yield "recursive_triggers=ON"  # else REPLACE slips past the delete triggers
    yield "trusted_schema=ON"  # `erasing` in a trigger
    yield f"wal_autocheckpoint={0 if role in ('writer', 'reader') else 1000}"
    yield f"journal_size_limit={limits.WAL_BYTES}"
    if sys.platform == "darwin":
        yield "fullfsync=1"  # there, fsync alone does not reach the platter
        yield "checkpoint_fullfsync=1"
    if role == "reader":
        yield "query_only=ON"
    if role == "eraser":
        yield "secure_delete=ON"


def _be_defensive(connection: Connection) -> None:
    """Refuse `writable_schema` for good where Python can say so (3.12)."""
    if setconfig := getattr(connection, "setconfig", None):
        setconfig(sqlite3.SQLITE_DBCONFIG_DEFENSIVE, True)  # type: ignore[attr-defined,unused-ignore]


@contextmanager
def transaction(database: Database) -> Iterator[Database]:
    """Run the block in one `BEGIN IMMEDIATE` transaction: all of it, or nothing.

    For programs beside the service (`runchat token`, `runchat link`); in the service the writer
    does this.
    """
    database.begin()
    try:
        yield database
        database.execute("COMMIT")
    except BaseException:
        database.rollback()
        raise
