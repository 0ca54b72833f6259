"""The one source of ids and randomness.

An id is a prefix and 26 characters of Crockford base 32: 48 bits of time in milliseconds, then 80
random bits, so that ids sort by time and cannot be guessed. Within one millisecond the random part
counts up, and where the clock was set back the time does, so that ids sort by birth: those of one
process by themselves, those of the next one from `follow` on. Source: the ULID layout.
"""

from __future__ import annotations

import random
import secrets

from runtime import limits
from runtime.clock import Clock

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
RANDOM_BITS = 80
LENGTH = 26  # characters after the prefix
PAIRS = [high + low for high in ALPHABET for low in ALPHABET]  # two at once: an id in half the time
SHIFTS = range(5 * (LENGTH - 2), -1, -10)


class Drawn(random.SystemRandom):
    """The system's randomness, some of it ahead: to ask for it takes as long as a dozen ids."""

    def __init__(self) -> None:
        super().__init__()
        self._ahead = b""

    def getrandbits(self, k: int) -> int:
        """Return so many random bits; each is given out once."""
        size = -(-k // 8)
        if size > len(self._ahead):
            self._ahead = secrets.token_bytes(max(size, limits.RANDOM_AHEAD_BYTES))
        drawn, self._ahead = self._ahead[:size], self._ahead[size:]
        return int.from_bytes(drawn, "big") >> (8 * size - k)


class Ids:
    """Makes ids and secrets; give it a seeded `random` and a virtual clock and they repeat."""

    def __init__(self, clock: Clock, chance: random.Random | None = None) -> None:
        self.clock = clock
        self.random: random.Random = chance or Drawn()
        self._latest = 0

    def new(self, prefix: str) -> str:
        """Return a fresh id such as `job_01j9...`; larger than every id made here before."""
        fresh = (self.clock.now_ms() << RANDOM_BITS) | self.random.getrandbits(RANDOM_BITS)
        behind_ms = (self._latest >> RANDOM_BITS) - (fresh >> RANDOM_BITS)
        if behind_ms > 0:
            fresh += (behind_ms + 1) << RANDOM_BITS
        elif behind_ms == 0:
            fresh = self._latest + 1
        self._latest = fresh
        digits = [PAIRS[(fresh >> shift) & 1023] for shift in SHIFTS]
        return prefix + "".join(digits)

    def follow(self, earlier: str) -> None:
        """Let every id made from now on be larger than this one, whatever the clock shows."""
        value = 0
        for digit in earlier[-LENGTH:]:
            value = value << 5 | max(0, ALPHABET.find(digit))
        self._latest = max(self._latest, value)

    def secret(self) -> str:
        """Return 256 random bits as 64 hexadecimal digits: a token, a code, a cookie."""
        return f"{self.random.getrandbits(256):064x}"
