"""The one source of ids and randomness.

An id is a prefix and 26 characters of Crockford base 32: 48 bits of time in milliseconds, then 80
random bits, so that ids sort by time and cannot be guessed. Within one millisecond the random part
counts up, so that ids of one process sort by birth. Source: the ULID layout.
"""

from __future__ import annotations

import random
import secrets

from runtime.clock import Clock

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
RANDOM_BITS = 80
LENGTH = 26  # characters after the prefix


class Ids:
    """Makes ids and secrets; give it a seeded `random` and a virtual clock and they repeat."""

    def __init__(self, clock: Clock, chance: random.Random | None = None) -> None:
        self.clock = clock
        self.random: random.Random = chance or secrets.SystemRandom()
        self._latest = 0

    def new(self, prefix: str) -> str:
        """Return a fresh id such as `job_01j9...`; larger than every id made here before."""
        fresh = (self.clock.now_ms() << RANDOM_BITS) | self.random.getrandbits(RANDOM_BITS)
        if fresh >> RANDOM_BITS <= self._latest >> RANDOM_BITS:
            fresh = self._latest + 1
        self._latest = fresh
        digits = [ALPHABET[(fresh >> shift) & 31] for shift in range(5 * (LENGTH - 1), -1, -5)]
        return prefix + "".join(digits)

    def secret(self) -> str:
        """Return 256 random bits as 64 hexadecimal digits: a token, a code, a cookie."""
        return f"{self.random.getrandbits(256):064x}"
