"""What a soak finds wrong: lost and doubled events, growing memory, things left behind.

Pure: nothing here opens, reads or waits, so that a spec can show each judge a wrong and see it
found. A log is known by the checksums of its events, by their places: the first reader that hears
an event writes it down, every other one and at last the log itself must agree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from zlib import crc32

END = "job.ended"
SECONDS_IN_MINUTE = 60


class Wrong(Exception):
    """A promise is broken."""


@dataclass(slots=True, kw_only=True)
class Log:
    """What is known of one stream of numbered events."""

    name: str
    checksums: list[int] = field(default_factory=list)
    end: int = 0  # sequence of its end; 0 while it has none

    def hear(self, cursor: int, sequence: int, kind: str, body: bytes) -> int:
        """Take what a reader at `cursor` was sent; return its new cursor.

        Raises:
            Wrong: it is not the next event, or another than others heard, or follows the end.
        """
        if sequence != cursor + 1:
            raise Wrong(f"{self.name}: a reader at {cursor} was sent {sequence}")
        if self.end and sequence > self.end:
            raise Wrong(f"{self.name}: {sequence} follows the end, which is {self.end}")
        if kind == END and self.end not in (0, sequence):
            raise Wrong(f"{self.name}: ends at {self.end} and again at {sequence}")
        checksum = crc32(body)
        if sequence > len(self.checksums):
            self.checksums.append(checksum)
        elif self.checksums[cursor] != checksum:
            raise Wrong(f"{self.name}: two readers were sent two events {sequence}")
        if kind == END:
            self.end = sequence
        return sequence

    def compare(self, kept: Sequence[bytes]) -> None:
        """Hold what was heard against the log that is kept.

        Raises:
            Wrong: they differ, or somebody never heard of the end.
        """
        if len(kept) != len(self.checksums) or [crc32(each) for each in kept] != self.checksums:
            heard = len(self.checksums)
            raise Wrong(f"{self.name}: {heard} events were heard, {len(kept)} others are kept")
        if self.end != len(kept):
            raise Wrong(f"{self.name}: its end is {self.end} of {len(kept)} events")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The memory of the service at one moment."""

    at_s: float
    resident_kib: float


def slope_kib_per_min(samples: Sequence[Sample]) -> float:
    """Return how fast memory grows: the line of least squares through the samples."""
    if len(samples) < 2:  # noqa: PLR2004  a line needs two points
        return 0.0
    middle_s = sum(each.at_s for each in samples) / len(samples)
    middle_kib = sum(each.resident_kib for each in samples) / len(samples)
    spread = sum((each.at_s - middle_s) ** 2 for each in samples)
    rise = sum((each.at_s - middle_s) * (each.resident_kib - middle_kib) for each in samples)
    return SECONDS_IN_MINUTE * rise / spread


def after_warm_up(samples: Sequence[Sample], warm_s: float) -> list[Sample]:
    """Return the samples that were taken once everything bounded had filled."""
    return [each for each in samples if each.at_s >= warm_s]


def left_behind(before: Mapping[str, int], after: Mapping[str, int]) -> list[str]:
    """Return a sentence for each thing of which there is more than before the load."""
    return [
        f"{after[name] - before.get(name, 0)} {name} left: {before.get(name, 0)} before the load,"
        f" {after[name]} once it had drained"
        for name in sorted(after)
        if after[name] > before.get(name, 0)
    ]
