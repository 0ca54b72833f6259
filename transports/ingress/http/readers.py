"""The open streams of this service: counted, bounded per caller, and ended together at the end.

A reader that waits can be woken here; that is how a stop reaches a thousand of them at once. One
task keeps the time of all that rest, since a deadline for each wait of each reader costs a third of
a delivery: all rest equally long, so that the first to lie down is the first to be due.
"""

from __future__ import annotations

from collections import Counter
from typing import Protocol

import trio

from runtime import limits
from runtime.caller import Caller
from runtime.problems import TooManyRequests
from runtime.telemetry import Metrics


class Wakeable(Protocol):
    """An open stream."""

    caller: Caller

    def wake(self) -> None:
        """Let it look again at what it waits for."""
        ...


class Beating(Protocol):
    """An open stream that says something after a long silence."""

    def beat(self) -> None:
        """Break the silence."""
        ...


class Readers:
    """One per service."""

    def __init__(
        self, metrics: Metrics, most_per_caller: int = limits.STREAMS_PER_CALLER_MAX
    ) -> None:
        self.metrics = metrics
        self._open: dict[Wakeable, None] = {}  # ordered, so that two runs of a seed are one trace
        self._by_caller: Counter[str] = Counter()
        self._most_per_caller = most_per_caller
        self._due_s: dict[Beating, float] = {}  # of those that rest, the first due first
        self._watched = False
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
        """Note that a stream waits from now on: after limits.HEARTBEAT_S it is told to beat."""
        self._due_s[reader] = trio.current_time() + limits.HEARTBEAT_S
        if not self._watched:
            self._watched = True
            trio.lowlevel.spawn_system_task(self._watch)  # ends by itself once nobody rests

    def stir(self, reader: Beating) -> None:
        """Note that a stream has something to do."""
        self._due_s.pop(reader, None)

    async def _watch(self) -> None:
        while self._due_s:
            reader, due_s = next(iter(self._due_s.items()))
            if due_s <= trio.current_time():
                del self._due_s[reader]
                reader.beat()
            else:
                await trio.sleep_until(due_s)
        self._watched = False

    def drain(self) -> None:
        """End every open stream cleanly, and let each later one end once it is up to date."""
        self.draining = True
        for reader in tuple(self._open):
            reader.wake()
