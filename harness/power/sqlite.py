"""Another SQLite under the store: apsw's own, over files whose every write is taken down.

Theory: apsw lets a program stand between SQLite and the file system (a VFS). Each call goes on to
the real one, so reads cost nothing here, and what changes the disk is also noted as a step. The
system's VFS syncs the folder by itself at a journal's or WAL's first sync (`UNIXFILE_DIRSYNC`), so
that is noted as such. A thin connection gives apsw's the shape that the store asks for, and its
errors the classes and codes of the standard library, by which the store decides.
Source: sqlite.org/vfs.html; SQLite's os_unix.c, `unixOpen` and `unixSync`; sqlite3ext.h.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import apsw

from harness.power.disk import Opened, Removed, Step, Synced, Truncated, Written
from store.guards import Authorizer

SYNCS_ITS_FOLDER: Final = (
    apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_SUPER_JOURNAL | apsw.SQLITE_OPEN_WAL
)
NAME: Final = "noted"


class NotedFile(apsw.VFSFile):
    """A file whose changes are noted."""

    def __init__(self, name: Any, flags: list[int], note: Callable[[Step], None]) -> None:
        super().__init__("", name, flags)
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._name, self._note = Path(path).name, note
        self._new_journal = bool(flags[0] & SYNCS_ITS_FOLDER and flags[0] & apsw.SQLITE_OPEN_CREATE)
        note(Opened(self._name))

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802  SQLite's own names
        super().xWrite(data, offset)
        self._note(Written(self._name, offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        super().xTruncate(newsize)
        self._note(Truncated(self._name, newsize))

    def xSync(self, flags: int) -> None:  # noqa: ARG002, N802  the note is the sync
        self._note(Synced(self._name, self._new_journal))
        self._new_journal = False


class NotedVfs(apsw.VFS):
    """The system's file system, noted; temporary files without a name are none of our business."""

    def __init__(self, note: Callable[[Step], None]) -> None:
        self._note = note
        super().__init__(NAME, "")

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        if name is None:
            return apsw.VFSFile("", name, flags)
        return NotedFile(name, flags, self._note)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        super().xDelete(filename, syncdir)
        self._note(Removed(Path(filename).name, bool(syncdir)))


@contextmanager
def noted(note: Callable[[Step], None]) -> Iterator[None]:
    """Have what `connect` opens tell `note` each step on the disk."""
    vfs = NotedVfs(note)
    try:
        yield
    finally:
        vfs.unregister()


class Cursor:
    """The rows of one statement, which has been carried out already."""

    def __init__(self, rows: list[Any], description: Any, lastrowid: int, rowcount: int) -> None:
        self._rows, self._place = rows, 0
        self.description, self.lastrowid, self.rowcount = description, lastrowid, rowcount

    def __iter__(self) -> Iterator[Any]:
        while (row := self.fetchone()) is not None:
            yield row

    def fetchone(self) -> Any:
        """Return the next row, or None."""
        self._place += 1
        return self._rows[self._place - 1] if self._place <= len(self._rows) else None

    def fetchall(self) -> list[Any]:
        """Return all rows that are left."""
        return list(self)

    def close(self) -> None:
        """Nothing is held."""


class ApswConnection:
    """apsw's connection as `store.database.Connection`."""

    def __init__(self, path: Path, *, synchronous: str = "FULL") -> None:
        """Open the file.

        Args:
            synchronous: taken in place of the store's FULL, to show what that is for.
        """
        self._inner = apsw.Connection(str(path), vfs=NAME)
        self._synchronous = synchronous

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self._inner.in_transaction

    def execute(self, sql: str, parameters: Any = ()) -> Cursor:
        """Run one statement and fetch all it gives."""
        sql = sql.replace("PRAGMA synchronous=FULL", f"PRAGMA synchronous={self._synchronous}")
        described: list[Any] = []

        def trace(cursor: apsw.Cursor, *_: object) -> bool:
            described.append(cursor.get_description() or None)
            return True

        with _as_sqlite3():
            cursor = self._inner.cursor()
            cursor.exec_trace = trace
            rows = list(cursor.execute(sql, parameters))
        last = described[-1] if described else None
        description = last and [(name, *[None] * 6) for name, _ in last]
        return Cursor(rows, description, self._inner.last_insert_rowid(), self._inner.changes())

    def executemany(self, sql: str, parameters: Any) -> Cursor:
        """Run one statement for each of several sets of parameters."""
        with _as_sqlite3():
            rows = list(self._inner.executemany(sql, parameters))
        return Cursor(rows, None, self._inner.last_insert_rowid(), self._inner.changes())

    def executescript(self, sql: str) -> Cursor:
        """Run several statements."""
        return self.execute(sql)

    def create_function(
        self,
        name: str,
        narg: int,
        func: Callable[..., Any] | None,
        *,
        deterministic: bool = False,
    ) -> None:
        """Make a function known to SQL."""
        self._inner.create_scalar_function(name, func, narg, deterministic=deterministic)

    def set_authorizer(self, authorizer_callback: Authorizer | None) -> None:
        """Let a function decide on what is prepared."""
        self._inner.authorizer = authorizer_callback

    def rollback(self) -> None:
        """Undo the open transaction."""
        if self.in_transaction:
            self.execute("ROLLBACK")

    def close(self) -> None:
        """Close the connection."""
        with _as_sqlite3():
            self._inner.close()


@contextmanager
def _as_sqlite3() -> Iterator[None]:
    try:
        yield
    except apsw.Error as error:
        code = getattr(error, "extendedresult", None)
        kind = (
            sqlite3.IntegrityError
            if isinstance(error, apsw.ConstraintError)
            else sqlite3.OperationalError
        )
        told = kind(str(error))
        if code is not None:
            told.sqlite_errorcode = code
        raise told from error


def connect(synchronous: str) -> Callable[[Path], ApswConnection]:
    """Return what `store.opening.open_store` takes as its `connect`."""
    return lambda path: ApswConnection(path, synchronous=synchronous)
