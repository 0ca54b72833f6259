"""The store of a run: empty but for its callers, and in memory.

Theory: to open a database costs a run little, but what SQLite and Python have compiled for it is
lost with the connection, a twentieth of a run. So one connection serves all runs of a process: what
a run does is one transaction of SQLite's, rolled back when the next begins, and the transactions of
the product are savepoints in it. Between the two a trigger, a constraint and a statement that fails
do the same, as long as none is deferred to the commit or rolls back by itself
(`specs/unit/harness/test_sim_renewed.py`). Where SQL is guarded each run has its own connection.
Source: https://www.sqlite.org/lang_savepoint.html.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final, cast

from harness.simulation import badges
from runtime.clock import SystemClock
from runtime.ids import Ids
from store import opening
from store.database import MEMORY, Database, open_database, transaction
from store.guards import authorizer
from store.opening import Store

NESTED: Final = {"BEGIN IMMEDIATE": "SAVEPOINT life", "COMMIT": "RELEASE life"}


class Renewed:
    """An SQLite connection that can be put back to where it began."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.in_transaction = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def renew(self) -> None:
        """Undo whatever has been done."""
        self._inner.rollback()
        self._inner.execute("BEGIN")
        self.in_transaction = False

    def execute(self, sql: str, *parameters: Any) -> Any:
        """Run one statement; a transaction is a savepoint."""
        if sql in NESTED:
            done = self._inner.execute(NESTED[sql])
            self.in_transaction = sql != "COMMIT"
            return done
        if sql == "ROLLBACK":
            return self.rollback()
        return self._inner.execute(sql, *parameters)

    def rollback(self) -> None:
        """Undo what the transaction has done, if there is one."""
        if self.in_transaction:
            self._inner.execute("ROLLBACK TO life")
            self._inner.execute("RELEASE life")
            self.in_transaction = False

    def close(self) -> None:
        """Leave it for the next run."""


def open_store(*, guarded: bool) -> Store:
    """Return a fresh store in memory; the one before it must not be used any more.

    What reads has the bare connection: only a Write meets the faults of a disk.

    Args:
        guarded: what SQL is run is looked at too; that costs a tenth of a run.
    """
    if guarded:
        store = _open()
        store.writer.conn.set_authorizer(authorizer("writer"))
    else:
        store, connection = _kept()
        connection.renew()
        store.writer.conn = cast("Any", connection)  # a run puts its faults round it
    return store


@cache
def _kept() -> tuple[Store, Renewed]:
    """Return the store that all runs share, one after the other."""
    store = _open()
    return store, Renewed(store.reader.conn)


def _open() -> Store:
    database = open_database(MEMORY, role="migrator")
    database.conn.deserialize(_template())
    database.role = "writer"
    reader = Database(database.conn, "reader", MEMORY)
    return Store(writer=database, reader=reader, log_epoch="simulated")


@cache
def _template() -> bytes:
    """Return a store with its callers and nothing else as bytes, its migrations run once."""
    database = opening.open_memory(Ids(SystemClock())).writer
    with transaction(database) as db:
        badges.make_first(db)
    return database.conn.serialize()
