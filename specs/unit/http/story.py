"""An event log in memory, for what reads one: the real segments, page and hub."""

from __future__ import annotations

from collections.abc import Callable

from runtime import limits
from runtime.events import Data, ItemDelta, JobEnded, records
from runtime.hub import Hub
from runtime.log import Head, Record, Segment, page
from runtime.problems import Problem

STREAM = "jobs/job_1"


def verdict(check: Callable[..., object], *given: object) -> str:
    """What a check says of something: `let in`, or the name of its problem."""
    try:
        check(*given)
    except Problem as problem:
        return problem.name()
    return "let in"


class Story:
    """One stream that a spec writes."""

    def __init__(self) -> None:
        self.hub = Hub()
        self.segments: list[Segment] = []

    def say(self, *texts: str) -> None:
        """Append a delta for each text, in one commit, and announce it."""
        self._append([ItemDelta(item_id="item_1", text=text) for text in texts])

    def end(self) -> None:
        """Append the end of the job."""
        self._append([JobEnded(status="completed", reason="stop", end_state="finished")])

    def _append(self, data: list[Data]) -> None:
        head = self.head(STREAM).sequence
        self.segments.append(Segment(records(head, data, 0)))
        self.hub.announce(STREAM)

    def head(self, stream: str) -> Head:
        newest = self.segments[-1].records[-1] if self.segments else Record(0, "", b"")
        return Head(sequence=newest.sequence, ended=newest.kind == JobEnded.kind)

    def read(
        self, stream: str, *, after: int, limit: int = limits.READ_EVENTS_MAX
    ) -> list[Segment]:
        rest = [segment for segment in self.segments if segment.last > after]
        return page(rest, after, limit, limits.PAGE_BYTES)

    def remember(self, stream: str, segment: Segment) -> None:
        """The story is its own tail."""
