"""A Write that waits for its commit, and what the loop does once it is committed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import trio

from runtime.hub import Hub
from runtime.log import EventLog, Segment
from store.commit import Done, Failed, Outcome
from store.writer import Write

R = TypeVar("R")


class Pending(Generic[R]):
    """One task's wait for one Write. Made, awaited and settled on the trio thread."""

    __slots__ = ("_outcome", "_task", "write")

    def __init__(self, write: Write[R]) -> None:
        self.write = write
        self._outcome: Outcome | None = None
        self._task: trio.lowlevel.Task | None = None

    async def wait(self) -> R:
        """Return the rows' result, or raise why nothing has happened."""
        if self._outcome is None:
            self._task = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._abandon)
        assert self._outcome is not None
        if isinstance(self._outcome, Failed):
            raise self._outcome.error
        value: R = self._outcome.value
        return value

    def _abandon(self, _: Any) -> trio.lowlevel.Abort:
        self._task = None  # the Write goes its way
        return trio.lowlevel.Abort.SUCCEEDED

    def settle(self, outcome: Outcome) -> None:
        """Wake the waiter, if it still waits."""
        self._outcome = outcome
        if self._task:
            trio.lowlevel.reschedule(self._task)
            self._task = None


def publish(
    batch: Sequence[Pending[Any]], outcomes: Sequence[Outcome], log: EventLog, hub: Hub
) -> None:
    """Show a committed batch to readers, in order, and only then answer those who wrote it."""
    for each, outcome in zip(batch, outcomes, strict=True):
        if isinstance(outcome, Done):
            for append in each.write.appends:
                if append.records:
                    log.remember(append.stream, Segment(append.records, ends=append.ends))
                if append.records or append.ends:
                    hub.announce(append.stream)
    for each, outcome in zip(batch, outcomes, strict=True):
        each.settle(outcome)
