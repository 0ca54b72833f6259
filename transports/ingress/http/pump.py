"""One task that carries what is committed to all who have read a stream to its end.

A reader that has caught up is sent the same bytes as its neighbours, so that a task of its own for
each event is most of what the event costs. Here it waits aboard: the pump reads the log once, makes
one chunk, and hands it to the sockets one after the other. Whose socket does not take all of it at
once is let off with the rest and goes on by itself, as does everybody where the pump finds nothing
that is the same for all. Nothing is queued: aboard is a place in the log, no more.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Protocol

import trio

from runtime import limits
from runtime.hub import Hub
from runtime.telemetry import Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What follows a place in a stream: the bytes, how many events, and the place after them.

    Args:
        is_last: nothing will follow.
        is_all: there was nothing more when it was read.
    """

    data: bytes
    events: int
    reached: int
    is_last: bool
    is_all: bool = True


class Course(Hashable, Protocol):
    """What readers have in common who are told the same; equal for those."""

    @property
    def stream(self) -> str:
        """Whose announcements tell of more."""
        ...

    def load(self, after: int) -> Load | None:
        """Return the next page after a place in the stream; None where there is none yet."""
        ...


class Rider(Protocol):
    """A reader aboard."""

    reached: int  # its place in the stream
    unsent: memoryview | None  # what its socket has not taken
    was_last: bool  # nothing will follow

    def write_now(self, data: bytes) -> int:
        """Return how many bytes its socket took, without waiting."""
        ...

    def wake(self) -> None:
        """Let it go on by itself."""
        ...


class Pump:
    """Carries the readers of one course."""

    __slots__ = ("_course", "_hub", "_metrics", "_reached", "_riders", "_task", "readers", "sent_s")

    def __init__(self, course: Course, hub: Hub, metrics: Metrics) -> None:
        self._course, self._hub, self._metrics = course, hub, metrics
        self._riders: dict[Rider, None] = {}  # ordered: who came first is sent to first
        self._reached = 0
        self._task: trio.lowlevel.Task | None = None
        self.readers = 0  # that follow the course, aboard or not
        self.sent_s = 0.0  # when it last sent something

    def take(self, rider: Rider, reached: int) -> None:
        """Carry a reader that has read all there was, with no await in between."""
        rider.reached, rider.unsent, rider.was_last = reached, None, False
        self._riders[rider] = None
        if self._task is None:
            self._reached = reached
            self._task = trio.lowlevel.spawn_system_task(self._run)

    def let_off(self, rider: Rider) -> None:
        """Carry a reader no more; the pump rests once nobody is aboard."""
        self._riders.pop(rider, None)
        if not self._riders and self._task is not None:
            self._hub.release(self._task)

    async def _run(self) -> None:
        try:
            while self._riders:
                try:
                    load = await self._next()
                except Exception:  # noqa: BLE001 - each meets it by itself, where it is answered
                    load = None
                if load is None or not load.is_all:
                    self._all_off()
                else:
                    await self._carry(load)
        finally:
            self._task = None

    async def _next(self) -> Load | None:
        """Return what follows; None where there was an announcement of something else."""
        load = self._course.load(self._reached)
        if load is None:
            await self._hub.wait(self._course.stream)
            load = self._course.load(self._reached)
        return load

    def _all_off(self) -> None:
        riders, self._riders = self._riders, {}
        for rider in riders:
            rider.wake()

    async def _carry(self, load: Load) -> None:
        """Send to everybody who was aboard, some at a time; who boards meanwhile has read it."""
        chunk = b"%x\r\n%b\r\n" % (len(load.data), load.data)
        size, before, self._reached = len(chunk), self._reached, load.reached
        sent = 0
        for rider in tuple(self._riders):
            if rider.reached == before and rider in self._riders:
                rider.reached, taken = load.reached, rider.write_now(chunk)
                sent += 1
                if taken < size or load.is_last:
                    rider.unsent = memoryview(chunk)[taken:] if taken < size else None
                    rider.was_last = load.is_last
                    self._off(rider)
                if sent % limits.PUMP_WRITES == 0:
                    await trio.lowlevel.checkpoint()
            elif rider.reached < load.reached:
                self._off(rider)  # it boarded in the middle of this page, and reads the rest itself
        self.sent_s = trio.current_time()
        self._metrics.reader_lag.observe(load.events, times=sent)
        await trio.lowlevel.checkpoint()

    def _off(self, rider: Rider) -> None:
        if rider in self._riders:
            del self._riders[rider]
            rider.wake()


class Pumps:
    """The pumps of a service; there is one for each course that somebody follows."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._by_course: dict[Course, Pump] = {}

    def join(self, course: Course, hub: Hub) -> Pump:
        """Count a reader in, and return what would carry it."""
        pump = self._by_course.get(course)
        if pump is None:
            pump = self._by_course[course] = Pump(course, hub, self._metrics)
        pump.readers += 1
        return pump

    def leave(self, course: Course) -> None:
        """Count a reader out."""
        pump = self._by_course[course]
        pump.readers -= 1
        if not pump.readers:
            del self._by_course[course]
