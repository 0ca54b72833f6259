"""What the clients of one run do, and when: a list of steps made from the seed alone.

Theory: a step holds the numbers it will need and finds its objects when it runs (`number % len`),
so any of the steps can be left out and the rest still make sense; that is what shrinking does.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

STEPS: Final = 48
NUMBERS: Final = 6
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
    "disk": (2, "disk"),
}
PAUSES_MS: Final = (0, 0, 0, 1, 3, 10, 10, 40, 150, 600, 2500)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing a client or the world does."""

    kind: str
    numbers: tuple[int, ...]  # decide the rest
    pause_ms: int  # before the next step
    waits: bool  # for the answer, before the next step


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All of a run: the same plan gives the same trace."""

    seed: int
    steps: tuple[Step, ...]
    faults: frozenset[str]

    def keep(self, places: Collection[int]) -> Plan:
        """Return the plan with only the steps at these places."""
        kept = tuple(step for place, step in enumerate(self.steps) if place in places)
        return Plan(seed=self.seed, steps=kept, faults=self.faults)


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
    )


def _step(chance: random.Random, kind: str) -> Step:
    numbers = tuple(chance.getrandbits(24) for _ in range(NUMBERS))
    return Step(kind, numbers, chance.choice(PAUSES_MS), chance.random() < 0.6)  # noqa: PLR2004


def pick(options: Sequence[str], number: int) -> str:
    """Return one of the options."""
    return options[number % len(options)]
