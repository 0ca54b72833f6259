"""How long one try of an answer may be silent: to its first event, between parts, and in all.

A ping is an event and no part: it shows that somebody is there, and does not make a silence longer.
"""

from __future__ import annotations

import trio

from runtime.problems import UpstreamLost


class Patience:
    """Of one try; `until` is the trio time up to which it may be waited for."""

    def __init__(self, first_byte_s: float, idle_s: float, total_s: float) -> None:
        """Begin to wait."""
        now = trio.current_time()
        self.heard = False
        self._idle_s, self._total = idle_s, now + total_s
        self.until = min(now + first_byte_s, self._total)

    def hear(self) -> None:
        """Begin to wait anew: something has been said."""
        self.heard = True
        self.until = min(trio.current_time() + self._idle_s, self._total)

    def lost(self) -> UpstreamLost:
        """Return why it is waited for no more; the code is the reason of the job's end."""
        if self.until >= self._total:
            return UpstreamLost("The whole answer took too long.", code="total-timeout")
        code = "idle-timeout" if self.heard else "first-byte-timeout"
        return UpstreamLost("The provider fell silent.", code=code)
