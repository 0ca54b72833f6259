"""Bugs planted on purpose, to prove that the laws catch them: a rig that catches none is no proof.

Theory: each is a mistake that somebody could make in one place of the product, put in through the
seams of `Build`: another writer, log or hub, or a method of one actor replaced. The fences that
would hide it (the triggers of the database) are taken down where the mistake is about what they
guard. `specs/unit/harness/test_sim_rig.py` replays the seed that caught each one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import orjson
import trio

from actors import job_state
from actors.job import Job, Phase
from harness.simulation.machine import Build, DiskWriter
from harness.simulation.planted_edges import PLANTED_AT_EDGES
from runtime import limits
from runtime.actor import TrioActor
from runtime.events import JOB_END
from runtime.hub import Hub
from runtime.log import Record, Segment
from store import jobs
from store.event_log import SqliteEventLog
from store.opening import Store
from store.writer import Append, Write
from transports.compose import Core
from transports.egress.providers.base import End

LOST_EVERY: Final = 5  # announcements


class AnnouncesFirst(DiskWriter):
    """Shows what is not yet committed."""

    async def write(self, write: Write[Any]) -> Any:
        for append in write.appends:
            if append.records:
                self._log.remember(append.stream, Segment(append.records))
                self._hub.announce(append.stream)
        return await super().write(write)


class EndsTwice(DiskWriter):
    """Says job.ended once more."""

    async def write(self, write: Write[Any]) -> Any:
        appends = tuple(_twice(each) if each.ends else each for each in write.appends)
        return await super().write(replace(write, appends=appends))


def _twice(append: Append) -> Append:
    last = append.records[-1]
    body = orjson.loads(last.body) | {"sequence": last.sequence + 1}
    again = Record(last.sequence + 1, last.kind, orjson.dumps(body))
    return replace(append, records=(*append.records, again))


class SkipsOnResume(SqliteEventLog):
    """Goes on one event too late, where a reader comes back to what is no longer in the tail."""

    def read(
        self, stream: str, *, after: int, limit: int = limits.READ_EVENTS_MAX
    ) -> list[Segment]:
        cold = self._tail.read(stream, after, limit, limits.PAGE_BYTES) is None
        return super().read(stream, after=after + 1 if cold and after else after, limit=limit)


class RepeatsOnResume(SqliteEventLog):
    """Gives a reader that comes back its last event once more, where there are others too."""

    def read(
        self, stream: str, *, after: int, limit: int = limits.READ_EVENTS_MAX
    ) -> list[Segment]:
        cold = self._tail.read(stream, after, limit, limits.PAGE_BYTES) is None
        found = super().read(stream, after=after, limit=limit)
        again = found and cold and after  # at the end, whoever reads all would never be done
        return super().read(stream, after=after - 1, limit=limit) if again else found


class ForgetsToWake(Hub):
    """Loses one wake-up in a few."""

    def __init__(self) -> None:
        super().__init__()
        self._count = 0

    def announce(self, stream: str) -> None:
        self._count += 1
        if self._count % LOST_EVERY:
            super().announce(stream)


def _without_fence(store: Store) -> None:
    """Let the database take an event after the end."""
    connection = store.writer.conn
    connection.set_authorizer(None)
    connection.execute("DROP TRIGGER event_in_order")


def _talks_on(actor: TrioActor) -> None:
    """Let a job take parts whatever its phase."""
    if not isinstance(actor, Job):
        return
    job = actor

    async def handle_parts(offered: Sequence[Any]) -> None:
        parts = [part for call, part in offered if call == job.call]
        events, end = job_state.on_parts(job.state, job.answering, parts)
        if events:
            await job.append(events)
        if end and job.phase is Phase.ANSWERING:
            job._finish(end)  # noqa: SLF001

    job.handle_parts = handle_parts  # type: ignore[method-assign]


def _mixes_calls(actor: TrioActor) -> None:
    """Let a job take the parts of a call that its last life made."""
    if isinstance(actor, Job):
        job, handle_parts = actor, actor.handle_parts

        async def mixed(offered: Sequence[Any]) -> None:
            await handle_parts([(job.call, part) for _, part in offered])

        async def left_open() -> None:
            await trio.lowlevel.checkpoint()

        job.handle_parts = mixed  # type: ignore[method-assign]
        job._close_call = left_open  # type: ignore[method-assign]  # noqa: SLF001


def _calls_a_cut_an_end(actor: TrioActor) -> None:
    """Let a job take a connection that was cut for an answer that is whole."""
    if isinstance(actor, Job):
        finish: Callable[[End], None] = actor._finish  # noqa: SLF001
        actor._finish = lambda end: finish(  # type: ignore[method-assign]  # noqa: SLF001
            replace(end, end_state="finished") if end.end_state == "truncated" else end
        )


def _shows_all(core: Core) -> None:
    """Let everybody read every job."""

    def found(_: object, job_id: str) -> Any:
        return jobs.get_any(core.spine.reader, job_id)

    core.desk._job = found  # type: ignore[assignment]  # noqa: SLF001


class Unaudited(DiskWriter):
    """Starts jobs without an audit entry."""

    async def write(self, write: Write[Any]) -> Any:
        silent = write.audit is not None and write.audit.action == "job.start"
        return await super().write(replace(write, audit=None) if silent else write)


class ForgetsConversation(DiskWriter):
    """Ends a job in its own log and not in its conversation's."""

    async def write(self, write: Write[Any]) -> Any:
        kept = tuple(
            each
            for each in write.appends
            if not (each.stream.startswith("conv") and each.records[-1].kind == JOB_END)
        )
        return await super().write(replace(write, appends=kept))


PLANTED: Final[Mapping[str, Build]] = {
    "announce-before-commit": Build(writer=AnnouncesFirst),
    "double-terminal": Build(writer=EndsTwice),
    "skip-on-resume": Build(log=SkipsOnResume),
    "repeat-on-resume": Build(log=RepeatsOnResume),
    "lost-wake-up": Build(hub=ForgetsToWake),
    "late-part": Build(on_actor=_talks_on, on_store=_without_fence),
    "mixed-calls": Build(on_actor=_mixes_calls),
    "cut-is-completed": Build(on_actor=_calls_a_cut_an_end),
    "cross-tenant-read": Build(on_core=_shows_all),
    "unaudited": Build(writer=Unaudited),
    "half-an-end": Build(writer=ForgetsConversation),
    **PLANTED_AT_EDGES,
}
