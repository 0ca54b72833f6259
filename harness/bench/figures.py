"""What a measure says: lines with a target, their values of each run, and the forms they take.

A figure is the median of its runs, with the least and the greatest beside it. A target is a bound
from below or from above; a line without one is a reference, taken in the same run so that a figure
of a slow machine or a busy hour can be read. Nothing here knows how a value is measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

HUNDRED, TEN = 100, 10  # from here on a value is shown with no decimal, and with one


class Wrong(Exception):
    """What was delivered is not what was written: a figure of it would mean nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One row of the table.

    Args:
        key: names the value in what a run returns.
        at_most: the target, where less is better.
        at_least: the target, where more is better.
        durable: the value depends on the disk, so that its fsync latency is shown beside it.
    """

    key: str
    title: str
    unit: str
    at_most: float | None = None
    at_least: float | None = None
    durable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A line with what was measured.

    Args:
        fsync_ms: p50 and p99 of the disk under it, at that time; None where it does not matter.
    """

    line: Line
    runs: tuple[float, ...]
    fsync_ms: tuple[float, float] | None = None

    @property
    def value(self) -> float:
        """The median of the runs."""
        return median(self.runs)

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        if self.line.at_most is not None:
            return self.value <= self.line.at_most
        return None if self.line.at_least is None else self.value >= self.line.at_least

    def to_json(self) -> dict[str, Any]:
        """Return the figure for a machine."""
        line = self.line
        return {
            "key": line.key,
            "title": line.title,
            "unit": line.unit,
            "median": self.value,
            "min": min(self.runs),
            "max": max(self.runs),
            "runs": list(self.runs),
            "at_most": line.at_most,
            "at_least": line.at_least,
            "met": self.met,
            "fsync_ms": self.fsync_ms and {"p50": self.fsync_ms[0], "p99": self.fsync_ms[1]},
        }


def figures(
    lines: Sequence[Line],
    runs: Sequence[Mapping[str, float]],
    fsync_ms: Sequence[tuple[float, float]],
) -> list[Figure]:
    """Return the figures of a measure's lines.

    Args:
        runs: what each run returned, by the lines' keys.
        fsync_ms: p50 and p99 of the disk in each run.
    """
    disk = (median(each[0] for each in fsync_ms), median(each[1] for each in fsync_ms))
    return [
        Figure(
            line=line,
            runs=tuple(run[line.key] for run in runs),
            fsync_ms=disk if line.durable else None,
        )
        for line in lines
    ]


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which `share` of the values lie; nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def shown(value: float) -> str:
    """Return a value with three digits that mean something."""
    if value >= HUNDRED:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= TEN else f"{value:.2f}"


def row(figure: Figure) -> tuple[str, ...]:
    """Return the cells of a figure: measure, median, least to greatest, target, met, disk."""
    line = figure.line
    target = ""
    if line.at_most is not None:
        target = f"<= {shown(line.at_most)}"
    elif line.at_least is not None:
        target = f">= {shown(line.at_least)}"
    met = {None: "", True: "yes", False: "**no**"}[figure.met]
    span = f"{shown(min(figure.runs))} to {shown(max(figure.runs))}"
    disk = ""
    if figure.fsync_ms:
        disk = f"{shown(figure.fsync_ms[0])} / {shown(figure.fsync_ms[1])}"
    return (line.title, f"{shown(figure.value)} {line.unit}", span, target, met, disk)


HEADS = ("measure", "median", "least to greatest", "reach", "met", "fsync p50 / p99, ms")


def table(taken: Sequence[Figure]) -> str:
    """Return the figures as a Markdown table."""
    lines = [HEADS, tuple("---" for _ in HEADS), *map(row, taken)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"
