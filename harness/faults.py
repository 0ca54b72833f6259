"""What can go wrong on purpose: actors that crash, a process that dies, a disk that fails.

Theory: a fault is armed by a step of the plan and strikes at the n-th thing of its kind from then
on (a message handled, a Write asked for, a commit), so it can strike between any two of them, and
at the same two when the seed is run again. A killed process commits nothing more: `dead` is looked
at before each commit, and what still unwinds finds the store gone. A disk is full for a while or
for one statement; a failed fsync may have lost the transaction or kept it, and whatever is written
after it, before the process has started again, breaks a law.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import trio

Side: TypeAlias = Literal["before", "after"]
Act: TypeAlias = Literal["message", "write"]
WRITES: Final = ("INSERT", "UPDATE", "COMMIT")
NAMES: Final = (
    "crash",
    "kill",
    "stop",
    "disk",
    "fsync",
    "provider",
    "drop",
    "stall",
    "clock",
    "revoke",
)
NEVER: Final = -1


class Crash(Exception):
    """An actor's bug, on purpose."""


class Killed(BaseException):
    """The process has died at this very point."""


@dataclass(slots=True)
class Armed:
    """A fault that waits for its moment."""

    act: Act | Literal["commit"]
    kind: str  # of the actor; "" for the process
    side: Side
    countdown: int  # how many more pass before it strikes


class Faults:
    """The faults of one run; shared by all lives of the process."""

    def __init__(self, note: Callable[..., None]) -> None:
        self._note = note
        self.armed: list[Armed] = []
        self.crashes = 0
        self.disk_full = False
        self.full_after = NEVER  # statements that write, until one finds no space
        self.fails_after = NEVER  # commits, until the fsync of one fails
        self.fail_keeps = False  # whether the data of that one reached the disk all the same
        self.fsync_failed = False  # in this life of the process
        self.disk_errors = 0
        self.written_after = False  # something was written though an fsync had failed
        self.outside = False  # another program writes, to whom nothing happens

    def arm(self, act: Act | Literal["commit"], kind: str, side: Side, countdown: int) -> None:
        """Let it strike once `countdown` more of its kind have passed."""
        self.armed.append(Armed(act, kind, side, countdown))

    def disarm(self) -> None:
        """Let nothing go wrong from now on."""
        self.armed.clear()
        self.disk_full = False
        self.full_after = self.fails_after = NEVER

    def pass_by(self, act: Act, kind: str, side: Side) -> None:
        """Say that an actor of `kind` is before or after an act.

        Raises:
            Crash: it dies here.
        """
        if self._strikes(act, kind, side):
            self.crashes += 1
            self._note("crash", act, kind, side)
            raise Crash(f"{act} {kind} {side}")

    def kills(self, side: Side) -> bool:
        """Say that a commit is about to be made or has been made; whether the process dies here."""
        if not self._strikes("commit", "", side):
            return False
        self._note("killed", side, "commit")
        return True

    def _strikes(self, act: str, kind: str, side: Side) -> bool:
        for each in self.armed:
            if (each.act, each.kind, each.side) == (act, kind, side):
                each.countdown -= 1
                if each.countdown < 0:
                    self.armed.remove(each)
                    return True
        return False

    def fill_disk(self) -> None:
        """From now on every write to the database finds no space."""
        self.disk_full = True
        self._note("disk", "full")

    def fill_disk_once(self, statements: int) -> None:
        """Let one statement find no space, after so many that do."""
        self.full_after = statements

    def fail_fsync(self, commits: int, *, keeps: bool) -> None:
        """Let the fsync of a commit fail, after so many that do not."""
        self.fails_after, self.fail_keeps = commits, keeps

    def finds_no_space(self) -> bool:
        """Say that something is written; whether there is no space for it."""
        if self.full_after >= 0:
            self.full_after -= 1
            if self.full_after < 0:
                self._note("disk", "full once")
                return True
        return self.disk_full

    def loses_fsync(self) -> bool:
        """Say that something is committed; whether its fsync fails."""
        if self.fails_after < 0:
            return False
        self.fails_after -= 1
        self.fsync_failed = self.fails_after < 0
        if self.fsync_failed:
            self._note("disk", "fsync failed", self.fail_keeps)
        return self.fsync_failed


class FaultyConnection:
    """An SQLite connection whose disk can be full or fail; see `store.database.Connection`."""

    def __init__(self, inner: Any, faults: Faults) -> None:
        self._inner, self._faults = inner, faults

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def execute(self, sql: str, *parameters: Any) -> Any:
        """Run one statement, or fail as SQLite does where the disk does."""
        faults = self._faults
        if faults.outside or not sql.startswith(WRITES):
            return self._inner.execute(sql, *parameters)
        faults.written_after |= faults.fsync_failed
        if faults.finds_no_space():
            faults.disk_errors += 1
            raise _error("database or disk is full", "SQLITE_FULL")
        commits = sql == "COMMIT" or not self._inner.in_transaction
        if not commits or not faults.loses_fsync():
            return self._inner.execute(sql, *parameters)
        faults.disk_errors += 1
        if faults.fail_keeps:
            self._inner.execute(sql, *parameters)
        elif sql == "COMMIT":
            self._inner.execute("ROLLBACK")
        raise _error("disk I/O error", "SQLITE_IOERR_FSYNC")


def _error(words: str, name: str) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(words)
    error.sqlite_errorcode, error.sqlite_errorname = getattr(sqlite3, name), name
    return error


def kind_of_task() -> str:
    """Return the kind of actor whose life runs the present task: `jobs`; "" for anybody else."""
    name = trio.lowlevel.current_task().name
    return name.split(":")[2] if name.startswith("urn:runchat:") else ""
