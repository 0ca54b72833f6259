"""What a failure of SQLite means for the service, by its result code.

A full disk and a lock pass: nothing was written and the writer goes on. An I/O error does not:
after a failed fsync the kernel may have marked pages clean that never reached the disk, so nothing
is tried again in this process (Rebello et al., "Can Applications Recover from fsync Failures?",
USENIX ATC 2020). Anything else is the fault of one statement. Source: sqlite.org/rescode.html
"""

from __future__ import annotations

import sqlite3
from typing import Literal, TypeAlias

from runtime.problems import AuditUnavailable, Problem, StoreClosed, StoreUnavailable

Grade: TypeAlias = Literal["full", "locked", "fatal", "statement"]

FATAL = frozenset(
    {
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_READONLY,  # a disk that failed is remounted so
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
    }
)
FSYNC_FAILED = frozenset({sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC})


def grade(error: sqlite3.Error) -> Grade:
    """Return what the error means; see the module's head."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return "statement"  # the module's own complaint, such as a wrong number of values
    primary = code & 0xFF
    if primary == sqlite3.SQLITE_FULL or code == sqlite3.SQLITE_IOERR_SHMSIZE:
        return "full"  # SHMSIZE: no room for the WAL's index, before anything was written
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return "locked"
    return "fatal" if primary in FATAL else "statement"


def is_fsync(error: sqlite3.Error) -> bool:
    """It says that data did not reach the disk."""
    return getattr(error, "sqlite_errorcode", None) in FSYNC_FAILED


def problem_for(found: Grade, *, audited: bool) -> Problem:
    """Return what the waiting caller is told."""
    if audited:
        return AuditUnavailable(
            "The change could not be kept with its audit entry; nothing has changed."
        )
    if found == "fatal":
        return StoreClosed("The store failed and stays closed until the service starts again.")
    if found == "full":
        return StoreUnavailable("There is no space to write; nothing has been written.")
    return StoreUnavailable("Another program holds the store; nothing has been written.")
