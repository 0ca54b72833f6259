"""The one clock: what time it is for everything that is recorded or expires.

Waiting is trio's affair (`trio.sleep`, deadlines); this is only about dates. The harness puts a
virtual clock here and trio's MockClock there, and both move together.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Protocol


class Clock(Protocol):
    """Tells the date."""

    def now_ms(self) -> int:
        """Unix time, milliseconds."""
        ...


class SystemClock:
    """The machine's clock, kept from running backwards within this process."""

    def __init__(self, read_ns: Callable[[], int] = time.time_ns) -> None:
        """Begin to tell the time.

        Args:
            read_ns: Unix time in nanoseconds, which may leap either way.
        """
        self._read_ns = read_ns
        self._latest_ms = 0

    def now_ms(self) -> int:
        """Unix time, milliseconds; never less than it was before."""
        self._latest_ms = max(self._latest_ms, self._read_ns() // 1_000_000)
        return self._latest_ms


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def rfc3339(at_ms: int) -> str:
    """Return the moment as RFC 3339 in UTC with milliseconds: `2026-01-31T09:00:00.000Z`."""
    seconds, ms = divmod(at_ms, 1000)
    return f"{_second(seconds)}.{ms:03d}Z"


def from_rfc3339(at: str) -> int:
    """Return the Unix milliseconds of a moment as `rfc3339` writes it."""
    return (datetime.fromisoformat(at) - EPOCH) // timedelta(milliseconds=1)


@lru_cache(maxsize=256)
def _second(seconds: int) -> str:
    """Return the moment without its end; what is written now is mostly of the same second."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"
