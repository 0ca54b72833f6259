"""Cursors: numbers that only keep caches between us and a reader from answering in a circle.

A cursor is the number of the interval it is made in, and always more than one a client has seen.
Source: Durable Streams protocol 1.0, section 10.1.
"""

from __future__ import annotations

from random import Random
from typing import Final

from runtime import limits

EPOCH_MS: Final = 1_728_432_000_000  # 2024-10-09T00:00:00Z


def interval_at(now_ms: int) -> int:
    """Return the number of the interval of a moment."""
    return (now_ms - EPOCH_MS) // (1000 * limits.CURSOR_S)


def cursor_at(now_ms: int, seen: int | None, chance: Random) -> int:
    """Return the cursor of this moment; past `seen` by a leap where that is not behind."""
    interval = interval_at(now_ms)
    if seen is None or seen < interval:
        return interval
    return seen + max(1, chance.randint(1, limits.CURSOR_JITTER_S) // limits.CURSOR_S)
