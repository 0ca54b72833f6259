"""Hub: tells waiting readers that a stream has grown. It carries wake-ups, never events.

The event log is the only truth: a reader reads the log after its cursor and waits here once it has
read all. No wake-up is lost: everything here runs on the one trio thread, and a writer announces
after its commit, so whoever read nothing and waits without an await in between is woken. Tasks are
parked by hand, since a thousand readers of one stream wait once an event each: that is cheaper than
an Event a reader. Source: trio, `wait_task_rescheduled`.
"""

from __future__ import annotations

import trio
from trio.lowlevel import Abort, Task


class Hub:
    """One per process, used from the trio thread only, so it needs no lock."""

    def __init__(self) -> None:
        self._waiting: dict[str, dict[Task, None]] = {}  # ordered: who came first is woken first
        self._streams: dict[Task, tuple[str, ...]] = {}  # what each waiting task waits for

    def announce(self, stream: str) -> None:
        """Wake every reader that waits for `stream`. Call it after the append has committed."""
        for task in self._waiting.pop(stream, ()):
            self.release(task)

    async def wait(self, stream: str) -> None:
        """Wait until `stream` is announced; call it right after a read that found nothing."""
        await self.wait_any((stream,))

    async def wait_any(self, streams: tuple[str, ...]) -> None:
        """Wait until one of `streams` is announced, or the task is released; none is for that."""
        task = trio.lowlevel.current_task()
        for stream in streams:
            tasks = self._waiting.get(stream)
            if tasks is None:
                tasks = self._waiting[stream] = {}
            tasks[task] = None
        self._streams[task] = streams

        def leave(_: object) -> Abort:
            self._forget(task)
            return Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(leave)

    def release(self, task: Task) -> None:
        """Wake one task for a reason of its own; where it does not wait here, nothing happens."""
        if self._forget(task):
            trio.lowlevel.reschedule(task)

    def _forget(self, task: Task) -> bool:
        """Take a task out; say whether it waited."""
        streams = self._streams.pop(task, None)
        for stream in streams or ():
            if tasks := self._waiting.get(stream):
                tasks.pop(task, None)
                if not tasks:
                    del self._waiting[stream]  # the last has left: a stream at rest costs nothing
        return streams is not None

    def waiting(self) -> int:
        """Return how many streams have a reader waiting; for the metrics and the soak."""
        return len(self._waiting)
