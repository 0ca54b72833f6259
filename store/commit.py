"""Makes transactions of Writes: many in one commit, each whole or not at all.

Plain appends share one INSERT and, where a batch is nothing else, one autocommit statement: while
a busy loop holds the interpreter, every statement is a wait for it (limits.SWITCH_INTERVAL_S). So
rows are counted up to a power of two and padded with NULLs, which lets a dozen prepared statements
serve all sizes. A Write with rows has a savepoint; where the shared INSERT is refused, each of its
Writes is tried alone: a bad one fails alone.

The WAL is bounded by WAL_BYTES plus one batch, since its checkpoint runs between two commits and
readers hold no snapshot over a wait; only while a backup is made it grows by what is written.

A COMMIT that fails in fsync may leave its whole transaction in the WAL, to be found at the next
start: those who waited are told that it failed, and may see that it happened. Half never happens.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any, TypeAlias
from zlib import crc32

from runtime import limits
from runtime.log import Record
from runtime.problems import AuditUnavailable, Problem, SequenceConflict
from store import audit
from store.database import Database, let_go
from store.failures import grade, is_fsync, problem_for
from store.streams import StreamIds, checksum_seed, end_stream
from store.writer import Append, Write

COLUMNS, BODY = 5, 3  # of a row of `event`, and which of them is the body
PLAIN_BYTES = 2 * 4096  # an append's pages of SQLite in the WAL, beside its bodies: about two,
CHANGE_BYTES = 8 * 4096  # and those of a Write with rows about eight
WIDTHS = tuple(2**power for power in range(11))
INSERTS = {
    width: "INSERT INTO event SELECT * FROM"  # noqa: S608 - made of question marks
    f" (VALUES {','.join(['(?,?,?,?,?)'] * width)}) WHERE column1 IS NOT NULL"
    for width in WIDTHS
}


@dataclass(frozen=True, slots=True)
class Done:
    """The Write is committed; `value` is what its rows returned."""

    value: Any


@dataclass(frozen=True, slots=True)
class Failed:
    """Nothing of the Write has happened."""

    error: Exception


Outcome: TypeAlias = Done | Failed


class Committer:
    """Owns the writing connection. Used from one thread; knows nothing of threads and loops."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.closed = False  # for good, after an I/O error
        self.fsync_errors = 0
        self.disk_full = 0
        self._ids = StreamIds(database)
        self._wal_bytes = 0  # estimate of what is in the WAL and not in the database file

    def commit(self, writes: Sequence[Write[Any]]) -> list[Outcome]:
        """Commit the Writes in their order, in one transaction; return how each went."""
        if self.closed:
            return [Failed(problem_for("fatal", audited=bool(each.audit))) for each in writes]
        try:
            outcomes = self._commit_plain(writes)
            if outcomes is None:
                outcomes = self._commit_each(writes)
                self._wal_bytes += CHANGE_BYTES * len(writes)
        except sqlite3.Error as error:
            return self._all_failed(writes, error)
        except Exception as bug:  # noqa: BLE001 - a bug of ours: the callers are told, the writer lives
            self._roll_back()
            return [Failed(bug) for _ in writes]
        return outcomes

    def _commit_plain(self, writes: Sequence[Write[Any]]) -> list[Outcome] | None:
        """Commit by one statement; None where there is more to do, or something was refused."""
        if not all(each.is_plain for each in writes):
            return None
        try:
            values = self._encode(append for each in writes for append in each.appends)
            if len(values) > COLUMNS * WIDTHS[-1]:
                return None
            self._insert(values)
        except SequenceConflict:
            return None
        except sqlite3.Error as error:
            if grade(error) != "statement":
                raise
            return None
        self._wal_bytes += PLAIN_BYTES * len(writes)
        return [Done(None)] * len(writes)

    def _commit_each(self, writes: Sequence[Write[Any]]) -> list[Outcome]:
        if len(writes) == 1:
            return [self._apply(writes[0], self._transaction())]
        self.database.begin()
        outcomes: list[Outcome] = []
        plain: list[Write[Any]] = []
        for each in writes:
            if each.is_plain:
                plain.append(each)
                continue
            outcomes += self._apply_plain(plain)
            plain.clear()
            outcomes.append(self._apply(each, self._savepoint()))
        outcomes += self._apply_plain(plain)
        self.database.execute("COMMIT")
        return outcomes

    def _apply_plain(self, writes: Sequence[Write[Any]]) -> list[Outcome]:
        """Append the Writes in one statement, or, where that is refused, each alone."""
        if len(writes) > 1:
            try:
                with self._savepoint():
                    self._insert(self._encode(append for each in writes for append in each.appends))
            except SequenceConflict:
                pass
            except sqlite3.Error as error:
                if grade(error) != "statement":
                    raise
            else:
                return [Done(None)] * len(writes)
        return [self._apply(each, self._savepoint()) for each in writes]

    def _apply(self, write: Write[Any], undone: AbstractContextManager[None]) -> Outcome:
        """Do one Write within `undone`, which undoes it where it fails."""
        try:
            with undone:
                value = write.rows(self.database) if write.rows else None
                self._append(write.appends)
                if write.audit:
                    self._audit(write.audit)
        except sqlite3.Error as error:
            if grade(error) != "statement":
                raise
            return Failed(error)
        except Exception as refusal:  # noqa: BLE001 - whatever `rows` raised belongs to its caller
            return Failed(refusal)
        return Done(value)

    def _append(self, appends: Sequence[Append]) -> None:
        try:
            self._insert(self._encode(appends))
        except sqlite3.IntegrityError as error:
            raise SequenceConflict("The append does not continue its stream.") from error
        for each in appends:
            if each.ends:
                end_stream(self.database, self._id_of(each))

    def _audit(self, entry: audit.AuditEntry) -> None:
        try:
            audit.insert(self.database, entry)
        except sqlite3.Error as error:
            if grade(error) != "statement":
                raise
            raise AuditUnavailable("The audit entry was refused; nothing has changed.") from error

    def _encode(self, appends: Iterable[Append]) -> list[Any]:
        """Return the columns of all rows of the appends, each in its stream's order.

        Raises:
            SequenceConflict: an append is not numbered from its head on, or has no stream.
        """
        streams: list[int] = []
        expected: list[int] = []
        records: list[Record] = []
        for each in appends:
            count = len(each.records)
            streams += repeat(self._id_of(each), count)
            expected += range(each.after + 1, each.after + count + 1)
            records += each.records
        if not records:
            return []
        sequences, kinds, bodies = zip(*records, strict=True)
        if sequences != tuple(expected):
            raise SequenceConflict("An append is not numbered from its stream's head on.")
        checksums = map(crc32, bodies, map(checksum_seed, streams, kinds))
        rows = zip(streams, sequences, kinds, bodies, checksums, strict=True)
        return list(chain.from_iterable(rows))  # in C from end to end: most of a commit was this

    def _id_of(self, append: Append) -> int:
        found = self._ids.find(append.stream)
        if found is None:
            raise SequenceConflict(f"There is no stream {append.stream}.")
        return found

    def _insert(self, values: Sequence[Any]) -> None:
        for start in range(0, len(values), COLUMNS * WIDTHS[-1]):
            chunk = values[start : start + COLUMNS * WIDTHS[-1]]
            width = 1 << (len(chunk) // COLUMNS - 1).bit_length()
            padding = [None] * (COLUMNS * width - len(chunk))
            self.database.execute(INSERTS[width], [*chunk, *padding])
            sizes = list(map(len, chunk[BODY::COLUMNS]))
            self._wal_bytes += sum(sizes)
            let_go(self.database, INSERTS[width], COLUMNS * width, max(sizes))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Commit what the block did: with nobody beside it a Write needs no savepoint."""
        self.database.begin()
        try:
            yield
            self.database.execute("COMMIT")
        except BaseException:
            self._ids.clear()
            self.database.rollback()
            raise

    @contextmanager
    def _savepoint(self) -> Iterator[None]:
        """Undo what the block did where it raises, unless the whole transaction is gone."""
        self.database.execute("SAVEPOINT each")
        try:
            yield
        except BaseException:
            if self.database.conn.in_transaction:
                self.database.execute("ROLLBACK TO each")
                self.database.execute("RELEASE each")
            self._ids.clear()  # a stream made by the block is gone, and its id free again
            raise
        self.database.execute("RELEASE each")

    def _all_failed(self, writes: Sequence[Write[Any]], error: sqlite3.Error) -> list[Outcome]:
        found = grade(error)
        self.fsync_errors += is_fsync(error)
        self.disk_full += found == "full"
        if not self._roll_back():
            found = "fatal"
        self.closed = found == "fatal"
        if found == "statement":
            return [Failed(error) for _ in writes]
        problems: list[Problem] = [problem_for(found, audited=bool(w.audit)) for w in writes]
        for problem in problems:
            problem.__cause__ = error
        return [Failed(problem) for problem in problems]

    def _roll_back(self) -> bool:
        """End the transaction, if SQLite has not done so itself; say whether that worked."""
        self._ids.clear()
        try:
            self.database.rollback()
        except sqlite3.Error:
            return False
        return True

    @property
    def wants_checkpoint(self) -> bool:
        """The WAL has reached its bound."""
        return self._wal_bytes >= limits.WAL_BYTES

    def checkpoint(self, *, truncate: bool = False) -> None:
        """Copy the WAL into the database file, as far as no reader needs it."""
        if self.closed or not (self._wal_bytes or truncate):
            return
        mode = "TRUNCATE" if truncate else "PASSIVE"
        try:
            self.database.execute(f"PRAGMA wal_checkpoint({mode})").fetchall()
        except sqlite3.Error as error:
            self.closed = grade(error) == "fatal"
            self.fsync_errors += is_fsync(error)
        self._wal_bytes = 0

    def close(self) -> None:
        """Checkpoint and close the connection."""
        self.checkpoint(truncate=True)
        self.database.close()


def commit_one(database: Database, write: Write[Any]) -> Any:
    """Commit one Write over a connection of one's own, beside the service; return its rows' result.

    Raises:
        Problem: as `Writer.write`.
    """
    [outcome] = Committer(database).commit([write])
    if isinstance(outcome, Failed):
        raise outcome.error
    return outcome.value
