"""How one scenario of the protocol's own suite went."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Of a scenario's checks, so many passed."""

    scenario: str
    passed: int
    failed: int
    again: bool = False  # the second time, alone

    @property
    def holds(self) -> bool:
        """Whether there was something to pass, and all of it did."""
        return self.passed > 0 and self.failed == 0
