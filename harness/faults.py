"""What can go wrong on purpose: actors that crash, a process that dies, a disk that is full.

Theory: a fault is armed by a step of the plan and strikes at the n-th thing of its kind from then
on (a message handled, a Write asked for, a commit), so it can strike between any two of them, and
at the same two when the seed is run again. A killed process commits nothing more: `dead` is looked
at before each commit, and what still unwinds finds the store gone.
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
NAMES: Final = ("crash", "kill", "stop", "disk", "provider", "drop")


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
        self.disk_episodes = 0

    def arm(self, act: Act | Literal["commit"], kind: str, side: Side, countdown: int) -> None:
        """Let it strike once `countdown` more of its kind have passed."""
        self.armed.append(Armed(act, kind, side, countdown))

    def disarm(self) -> None:
        """Let nothing go wrong from now on."""
        self.armed.clear()
        self.disk_full = False

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
        self.disk_episodes += 1
        self._note("disk", "full")


class FaultyConnection:
    """An SQLite connection whose disk can be full; see `store.database.Connection`."""

    def __init__(self, inner: Any, faults: Faults) -> None:
        self._inner, self._faults = inner, faults

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def execute(self, sql: str, *parameters: Any) -> Any:
        """Run one statement, or fail as SQLite does where there is no space."""
        if self._faults.disk_full and sql.startswith(WRITES):
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            error.sqlite_errorname = "SQLITE_FULL"
            raise error
        return self._inner.execute(sql, *parameters)


def kind_of_task() -> str:
    """Return the kind of actor whose life runs the present task: `jobs`; "" for anybody else."""
    name = trio.lowlevel.current_task().name
    return name.split(":")[2] if name.startswith("urn:runchat:") else ""
