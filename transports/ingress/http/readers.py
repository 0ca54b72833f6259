"""The open streams of this service: counted, bounded per caller, and ended together at the end.

A reader that waits can be woken here; that is how a stop reaches a thousand of them at once.
"""

from __future__ import annotations

from collections import Counter
from typing import Protocol

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


class Readers:
    """One per service."""

    def __init__(
        self, metrics: Metrics, most_per_caller: int = limits.STREAMS_PER_CALLER_MAX
    ) -> None:
        self.metrics = metrics
        self._open: dict[Wakeable, None] = {}  # ordered, so that two runs of a seed are one trace
        self._by_caller: Counter[str] = Counter()
        self._most_per_caller = most_per_caller
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

    def drain(self) -> None:
        """End every open stream cleanly, and let each later one end once it is up to date."""
        self.draining = True
        for reader in tuple(self._open):
            reader.wake()
