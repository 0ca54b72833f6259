"""The open streams of this service: counted, bounded per caller, and ended together at the end.

A reader that waits can be woken here; that is how a stop reaches a thousand of them at once. One
task keeps the time of all that wait, since a deadline for each wait of each reader costs a third of
a delivery: a reader is looked at when the first thing it has to do would be due, and that has most
often been put off meanwhile.
"""

from __future__ import annotations

from collections import Counter
from heapq import heappop, heappush
from typing import Protocol

import trio

from runtime import limits
from runtime.caller import Caller
from runtime.problems import TooManyRequests
from runtime.telemetry import Metrics
from transports.ingress.http.pump import Pumps


class Wakeable(Protocol):
    """An open stream."""

    caller: Caller

    def wake(self) -> None:
        """Let it look again at what it waits for."""
        ...


class Beating(Protocol):
    """An open stream that has something to do in the course of time."""

    timed_s: float | None  # when it is looked at

    @property
    def due_s(self) -> float:
        """When it has something to do; each look finds it later, or due."""
        ...

    def beat(self) -> None:
        """Do what is due."""
        ...


class Readers:
    """One per service."""

    def __init__(
        self, metrics: Metrics, most_per_caller: int = limits.STREAMS_PER_CALLER_MAX
    ) -> None:
        self.metrics, self.pumps = metrics, Pumps(metrics)
        self._open: dict[Wakeable, None] = {}  # ordered, so that two runs of a seed are one trace
        self._by_caller: Counter[str] = Counter()
        self._most_per_caller = most_per_caller
        self._timed: dict[float, dict[Beating, None]] = {}  # by when they are looked at
        self._moments: list[float] = []  # a heap of those
        self._watching: trio.CancelScope | None = None
        self.draining = False

    @property
    def open(self) -> int:
        """How many streams are open."""
        return len(self._open)

    def admit(self, caller: Caller) -> None:
        """Check that the caller may open one more stream.

        Raises:
            TooManyRequests: it has as many open as it may.
        """
        if self._by_caller[caller.name] >= self._most_per_caller:
            raise TooManyRequests(f"At most {self._most_per_caller} streams may be open at once.")

    def join(self, reader: Wakeable) -> None:
        """Count a stream in."""
        self._open[reader] = None
        self._by_caller[reader.caller.name] += 1
        self.metrics.readers.inc()

    def leave(self, reader: Wakeable) -> None:
        """Count a stream out; a second time does nothing."""
        if reader in self._open:
            del self._open[reader]
            self.metrics.readers.inc(by=-1)
            name = reader.caller.name
            self._by_caller[name] -= 1
            if not self._by_caller[name]:
                del self._by_caller[name]

    def rest(self, reader: Beating) -> None:
        """Keep the time of a reader that waits: once something is due it is told to beat."""
        if reader.timed_s is None:
            self._time(reader, reader.due_s)

    def stir(self, reader: Beating) -> None:
        """Keep the time of a reader no more."""
        if reader.timed_s is not None:
            together = self._timed[reader.timed_s]
            del together[reader]
            if not together:
                del self._timed[reader.timed_s]
            reader.timed_s = None

    def _time(self, reader: Beating, due_s: float) -> None:
        reader.timed_s = due_s
        if (together := self._timed.get(due_s)) is None:
            together = self._timed[due_s] = {}
            heappush(self._moments, due_s)
        together[reader] = None
        if self._watching is None:
            self._watching = trio.CancelScope()
            trio.lowlevel.spawn_system_task(self._watch)  # ends by itself once nobody waits
        elif due_s < self._watching.deadline:
            self._watching.deadline = due_s

    async def _watch(self) -> None:
        while self._moments:
            if (moment_s := self._moments[0]) > trio.current_time():
                with trio.CancelScope(deadline=moment_s) as self._watching:
                    await trio.sleep_forever()
                continue
            heappop(self._moments)
            for reader in self._timed.pop(moment_s, ()):
                reader.timed_s = None
                if (due_s := reader.due_s) > trio.current_time():
                    self._time(reader, due_s)
                else:
                    reader.beat()
        self._watching = None

    def drain(self) -> None:
        """End every open stream cleanly, and let each later one end once it is up to date."""
        self.draining = True
        for reader in tuple(self._open):
            reader.wake()
