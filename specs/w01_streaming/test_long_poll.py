"""A long poll on a log whose next event is on the disk and not yet announced."""

from __future__ import annotations

import json

import trio

from runtime.hub import Hub
from runtime.log import Head, Record, Segment
from runtime.telemetry import Metrics
from specs.requirements import requirement
from transports.ingress.http.readers import Readers
from transports.ingress.http.reading import LogQuery, read_page

STREAM = "jobs/job_1"
BODY = b'{"sequence":1}'


class CommittedFirst:
    """A log as its reader sees it between a commit and its announcement."""

    def __init__(self) -> None:
        self.announced: list[Segment] = []

    def head(self, stream: str) -> Head:
        return Head(sequence=1, ended=False)

    def read(self, stream: str, *, after: int, limit: int = 1000) -> list[Segment]:
        return [segment for segment in self.announced if segment.last > after]

    def remember(self, stream: str, segment: Segment) -> None:
        self.announced.append(segment)

    def forget(self, stream: str) -> None:
        self.announced.clear()


@requirement("log.page-wait")
async def test_it_waits_for_the_announcement_and_then_brings_the_event(
    autojump_clock: trio.abc.Clock,
) -> None:
    log, hub = CommittedFirst(), Hub()

    async def announce() -> None:
        await trio.sleep(5)
        log.remember(STREAM, Segment([Record(1, "job.started", BODY)]))
        hub.announce(STREAM)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(announce)
        answer = await read_page(log, hub, Readers(Metrics()), STREAM, 0, LogQuery(wait=30))
    assert trio.current_time() == 5
    page = json.loads(await answer.get_data())
    assert page == {"events": [{"sequence": 1}], "head": 1, "ended": False}
