"""Opens the store of a data folder: schema checked or migrated, one database to write, one to read.

Only `serve` migrates; every other program takes the schema as it must be or refuses.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

from runtime.clock import SystemClock
from runtime.ids import Ids
from runtime.problems import FolderUnusable, SchemaOlder
from store.database import MEMORY, Connect, Database, connect, open_database
from store.guards import authorizer
from store.migrate import migrate, require_current, steps

FILE = "runchat.db"


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """An open store. In memory, both databases are one."""

    writer: Database
    reader: Database
    log_epoch: str  # new after a restore: cursors of before mean nothing

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close what nobody else has closed; the last connection empties the WAL."""
        self.reader.close()
        self.writer.close()


def open_store(
    folder: Path, *, migrates: bool, ids: Ids | None = None, connect: Connect = connect
) -> Store:
    """Open the store in `folder`.

    Args:
        migrates: make the database where it is missing and bring it up to date; `serve` only.
        ids: names a new store's history; None takes the machine's randomness.

    Raises:
        SchemaNewer, SchemaOlder: the database belongs to another version.
        FolderUnusable: it cannot be read or written, or is none.
    """
    path = folder / FILE
    try:
        if migrates:
            _prepare(path, ids or Ids(SystemClock()), connect)
        elif not path.exists():
            raise SchemaOlder("There is no database yet. Start `runchat serve` once.")
        reader = open_database(path, role="reader", connect=connect)
        if not migrates:
            require_current(reader)
        writer = open_database(path, role="writer", connect=connect)
        return Store(writer=writer, reader=reader, log_epoch=log_epoch(reader))
    except (sqlite3.Error, UnicodeDecodeError) as error:  # its schema may be damaged, in its words
        raise FolderUnusable(f"{path} cannot be opened: {error}.") from error


def open_memory(ids: Ids) -> Store:
    """Return a store in memory for the simulation: one connection reads and writes."""
    database = open_database(MEMORY, role="migrator")
    _migrated().backup(database.conn)
    set_epoch(database, ids)
    database.role = "writer"
    database.conn.set_authorizer(authorizer("writer"))
    return Store(writer=database, reader=database, log_epoch=log_epoch(database))


@cache
def _migrated() -> sqlite3.Connection:
    """Return an empty store in memory, of which others are copies: to migrate each takes 7 ms."""
    database = open_database(MEMORY, role="migrator")
    migrate(database, steps())
    return database.conn


def _prepare(path: Path, ids: Ids, connect: Connect) -> None:
    database = open_database(path, role="migrator", connect=connect)
    try:
        migrate(database, steps())
        if not log_epoch(database):
            set_epoch(database, ids)
    finally:
        database.close()


def log_epoch(db: Database) -> str:
    """Return the name of this history of the store; "" before it has one."""
    row = db.execute("SELECT value FROM meta WHERE key = 'log_epoch'").fetchone()
    return str(row[0]) if row else ""


def set_epoch(db: Database, ids: Ids) -> None:
    """Begin a new history: every cursor of before is void."""
    db.execute(
        "INSERT INTO meta VALUES ('log_epoch', ?)"
        " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (ids.secret()[:16],),
    )
