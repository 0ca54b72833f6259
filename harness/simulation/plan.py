"""What the clients of one run do, and when: a list of steps made from the seed alone.

Theory: a step holds the numbers it will need and finds its objects when it runs (`number % len`),
so any of the steps can be left out and the rest still make sense; that is what shrinking does.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final

STEPS: Final = 40
NUMBERS: Final = 6
WIRE_EVERY: Final = 16  # seeds; one that speaks HTTP costs three times as much
# how often each step is taken, and the fault that it belongs to ("" is no fault)
KINDS: Final[dict[str, tuple[int, str]]] = {
    "begin": (2, ""),
    "ask": (16, ""),
    "again": (3, ""),  # the last POST once more, with its idempotency key
    "follow": (9, ""),
    "drop": (4, "drop"),
    "resume": (5, ""),
    "abort": (6, ""),
    "look": (5, ""),
    "page": (4, ""),
    "messages": (2, ""),
    "intrude": (3, ""),
    "crash_message": (4, "crash"),
    "crash_write": (4, "crash"),
    "kill": (2, "kill"),
    "kill_commit": (2, "kill"),
    "stop": (1, "stop"),
    "disk": (1, "disk"),
    "disk_once": (2, "disk"),
    "fsync": (1, "fsync"),
    "stall": (3, "stall"),
    "leap": (2, "clock"),
    "revoke": (2, "revoke"),
}
PAUSES_MS: Final = (0, 0, 0, 1, 3, 10, 10, 40, 150, 600, 2500)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing a client or the world does."""

    kind: str
    numbers: tuple[int, ...]  # decide the rest
    pause_ms: int  # before the next step
    waits: bool  # for the answer, before the next step

    def __str__(self) -> str:
        """Return the step as a line, for whoever reads a shrunken plan."""
        numbers = " ".join(map(str, self.numbers))
        waited = "answered, then" if self.waits else "not waited for;"
        return f"{self.kind} ({numbers}): {waited} a pause of {self.pause_ms} ms"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All of a run: the same plan gives the same trace."""

    seed: int
    steps: tuple[Step, ...]
    faults: frozenset[str]
    speaks_http: bool = True  # else requests and answers skip the bytes of HTTP; `direct`, `vendor`

    def keep(self, places: Collection[int]) -> Plan:
        """Return the plan with only the steps at these places."""
        kept = tuple(step for place, step in enumerate(self.steps) if place in places)
        return replace(self, steps=kept)


def make(seed: int, faults: Collection[str], steps: int = STEPS) -> Plan:
    """Return the plan of a seed."""
    chance = random.Random(f"plan {seed}")  # noqa: S311  it repeats, that is its point
    kinds = [kind for kind, (_, fault) in KINDS.items() if not fault or fault in faults]
    weights = [KINDS[kind][0] for kind in kinds]
    chosen = ["begin", "ask", *chance.choices(kinds, weights, k=max(0, steps - 2))]
    return Plan(
        seed=seed,
        steps=tuple(_step(chance, kind) for kind in chosen[:steps]),
        faults=frozenset(faults),
        speaks_http=seed % WIRE_EVERY == 0,
    )


def _step(chance: random.Random, kind: str) -> Step:
    numbers = tuple(chance.getrandbits(24) for _ in range(NUMBERS))
    return Step(kind, numbers, chance.choice(PAUSES_MS), chance.random() < 0.6)  # noqa: PLR2004


def pick(options: Sequence[str], number: int) -> str:
    """Return one of the options."""
    return options[number % len(options)]
