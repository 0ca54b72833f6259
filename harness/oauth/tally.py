"""What was proved of a provider: each scenario passed, failed, or could not be asked of it."""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

How: TypeAlias = Literal["passed", "failed", "not asked"]


class Wrong(Exception):
    """Something is not as it has to be."""


class NotOffered(Exception):
    """The provider has no such thing, or not in a way that can be reached from here."""


def same(what: str, found: Any, wanted: Any) -> None:
    """Hold that something is what it has to be.

    Raises:
        Wrong: it is not.
    """
    if found != wanted:
        raise Wrong(f"{what}: {found!r}, not {wanted!r}")


def some(what: str, found: Sized) -> None:
    """Hold that there is one at least.

    Raises:
        Wrong: there is none.
    """
    if not found:
        raise Wrong(f"{what}: none")


@dataclass(slots=True, kw_only=True)
class Tally:
    """The scenarios of a run, in order."""

    rows: list[tuple[str, str, How, str]] = field(default_factory=list)

    def note(self, provider: str, scenario: str, how: How, why: str = "") -> str:
        """Keep how one went; return the line that says so."""
        self.rows.append((provider, scenario, how, why))
        return f"{how} {provider}: {scenario}{f' ({why})' if why else ''}"

    def count(self, how: How) -> int:
        """Return how many went so."""
        return sum(row[2] == how for row in self.rows)

    @property
    def total(self) -> int:
        """All that were asked."""
        return self.count("passed") + self.count("failed")

    @property
    def holds(self) -> bool:
        """Whether something was asked and all of it passed."""
        return self.total > 0 and self.count("failed") == 0

    def summary(self) -> str:
        """Return the last lines of the run."""
        left = self.count("not asked")
        return f"not asked: {left}\n{self.count('passed')}/{self.total}"
