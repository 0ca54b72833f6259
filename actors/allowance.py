"""How often somebody may do something: a bucket of permits that fills up again with time.

One bucket a caller, of the loop's own clock; a full one is forgotten. Source: the token bucket of
RFC 2697.
"""

from __future__ import annotations

import trio

from runtime.caller import Caller
from runtime.problems import TooManyRequests


class Allowance:
    """The permits of all callers for one kind of thing."""

    def __init__(self, *, burst: int, per_s: float) -> None:
        self._burst, self._per_s = burst, per_s
        self._spent: dict[str, tuple[float, float]] = {}  # what was spent, as of when

    def spend(self, caller: Caller) -> None:
        """Take one permit of the caller's.

        Raises:
            TooManyRequests: there is none left now.
        """
        now = trio.current_time()
        spent = self._left_over(caller.name, now)
        if spent + 1 > self._burst:
            raise TooManyRequests(f"At most {self._per_s:g} calls a second may be made for long.")
        self._spent[caller.name] = (spent + 1, now)
        oldest = next(iter(self._spent))
        if self._left_over(oldest, now) == 0:
            del self._spent[oldest]

    def _left_over(self, name: str, now: float) -> float:
        spent, since = self._spent.pop(name, (0.0, now))
        left = max(0.0, spent - (now - since) * self._per_s)
        self._spent[name] = (left, now)
        return left
