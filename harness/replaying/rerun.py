"""Runs a recorded job again: the real actors, given again what was given, at the times recorded.

Theory: store, log, conversation, job and provider actors are the product's, over a store in memory.
What is not is what a replay must fix: the clock says the recorded moment, ids that were given are
given again, and the provider says the recorded parts, one at a time, each after the events of the
one before are committed, so that nothing is merged that was not. What the actors make of it
(places, whole items, statuses, ends, the order of all) is made anew, and that is compared.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Final

import trio

from actors.conversation import GaveUp
from actors.desk import Order
from actors.ending import stream_of
from actors.job import Job
from harness.replaying.recording import Recording, Step, ms_of, part_of
from runtime import limits
from runtime.caller import Caller
from runtime.events import Data, TextPart
from runtime.hub import Hub
from runtime.ids import Ids
from runtime.problems import Problem
from runtime.telemetry import Metrics
from store import opening
from store.event_log import SqliteEventLog
from store.loop_writer import LoopWriter
from transports import compose
from transports.compose import Core
from transports.egress.providers.base import Model, Part, Request
from transports.egress.providers.catalog import Catalog

CALLER: Final = Caller(tenant="replay", user="replay")
PATIENCE_S: Final = 10.0  # for events that do not come; the replay has left the record by then
PAUSE_MAX_S: Final = limits.PROVIDER_IDLE_S / 2  # a longer one is shortened: it would be an end
REQUEST: Final = "req_replay"


class RecordedClock:
    """The clock that stands at the moment of the record; it may go back, as a machine's does."""

    def __init__(self, at_ms: int) -> None:
        self.at_ms = at_ms

    def now_ms(self) -> int:
        """Unix time, milliseconds."""
        return self.at_ms


class RecordedIds(Ids):
    """Gives the recorded ids again, in their order, and fresh ones where there are none."""

    def __init__(self, clock: RecordedClock) -> None:
        super().__init__(clock)
        self.given: dict[str, deque[str]] = {}

    def give(self, *ids: str) -> None:
        """Let these be the next of their kind."""
        for each in ids:
            self.given.setdefault(each.partition("_")[0] + "_", deque()).append(each)

    def new(self, prefix: str) -> str:
        """Return the next recorded id of this kind, or a fresh one."""
        waiting = self.given.get(prefix)
        return waiting.popleft() if waiting else super().new(prefix)


class RecordedProvider:
    """Says the parts it is handed, to the recorded job alone; others wait."""

    merges = True
    patience_s = limits.PROVIDER_IDLE_S
    concurrency = limits.UNMETERED_JOBS_MAX

    def __init__(self, job: Mapping[str, Any]) -> None:
        self.endpoint = str(job["endpoint"])
        self.models: tuple[Model, ...] = (Model(id=job["model"], endpoint=self.endpoint),)
        self._job_id = job["id"]
        self.say, self._said = trio.open_memory_channel[Part](0)

    async def answer(self, request: Request) -> AsyncGenerator[Part, None]:
        """Yield what is said meanwhile."""
        if request.job_id != self._job_id:
            await trio.sleep_forever()
        while True:
            yield await self._said.receive()

    async def aclose(self) -> None:
        """There is nothing to let go of."""


@dataclass(frozen=True, slots=True)
class Foreign(Data):
    """An event of a kind that the job's actor does not make: it is appended as it was."""

    kind: str  # type: ignore[misc]  # of this one event, and not of a class
    data: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return its data."""
        return dict(self.data)


@dataclass(slots=True, kw_only=True)
class Rerun:
    """One replay.

    Args:
        speed: 1 keeps the recorded pauses, 2 halves them; 0 makes none.
        upto: stop after so many events; None plays all.
        on_core: called with the core of each life of the process, before anything is played.
        on_end: called when all has been played, while the last life goes on.
    """

    recording: Recording
    speed: float = 0
    upto: int | None = None
    on_core: Callable[[Rerun, Core], Awaitable[None]] | None = None
    on_end: Callable[[Rerun], Awaitable[None]] | None = None
    clock: RecordedClock = field(init=False)
    ids: RecordedIds = field(init=False)
    store: opening.Store = field(init=False)
    log: SqliteEventLog = field(init=False)
    writer: LoopWriter = field(init=False)
    catalog: Catalog = field(init=False)
    hub: Hub = field(default_factory=Hub)
    metrics: Metrics = field(default_factory=Metrics)
    refused: str = ""  # what the actors said to a message that they had obeyed before
    _provider: RecordedProvider = field(init=False)
    _blocker: str = ""  # the job that the recorded one waited for
    _expected: int = 0  # events that the steps so far must have made

    def __post_init__(self) -> None:
        self.clock = RecordedClock(ms_of(self.recording.job["created_at"]))
        self.ids = RecordedIds(self.clock)
        self.store = opening.open_memory(self.ids)
        self.log = SqliteEventLog(self.store.reader)
        self.writer = LoopWriter(self.store.writer, self.log, self.hub)
        self._provider = RecordedProvider(self.recording.job)
        self.catalog = Catalog([self._provider], default=self.recording.job["model"])

    @property
    def stream(self) -> str:
        """The name of the job's log."""
        return stream_of(self.recording.job["id"])

    def replayed(self) -> list[bytes]:
        """Return the log that the actors have made."""
        found: list[bytes] = []
        while page := self.log.read(self.stream, after=len(found)):
            found += [each.body for segment in page for each in segment.records]
        return found

    async def run(self) -> list[bytes]:
        """Play the record, and return the log that came of it."""
        steps = deque(self.recording.steps)
        async with self._life() as core:
            await self._prepare(core)
            if self.on_core:
                await self.on_core(self, core)
            while steps and not self._is_enough() and _name(steps[0]) != "die":
                await self._take(steps.popleft(), core)
            dies = bool(steps) and not self._is_enough()
            if self.on_end and not dies:
                await self.on_end(self)
        if dies:  # the next life of the process writes the end
            self._turn_to(steps[0])
            async with self._life() as core:
                if self.on_core:
                    await self.on_core(self, core)
                if self.on_end:
                    await self.on_end(self)
        return self.replayed()

    def _life(self) -> AbstractAsyncContextManager[Core]:
        return compose.open_core(
            clock=self.clock,
            ids=self.ids,
            hub=self.hub,
            event_log=self.log,
            reader=self.store.reader,
            writer=self.writer,
            catalog=self.catalog,
            metrics=self.metrics,
        )

    def _is_enough(self) -> bool:
        return bool(self.refused) or (self.upto is not None and self._expected >= self.upto)

    async def _prepare(self, core: Core) -> None:
        """Make the conversation, and where the job was queued, what it waited for, and the job."""
        job = self.recording.job
        self.ids.give(job["conversation_id"], *self.recording.item_ids)
        await core.desk.create_conversation(CALLER, "Replay", None, REQUEST)
        if self.recording.waited:
            self._blocker = await self._ask(core, "refuse")
            await self._ask_again(core, "queue")

    async def _ask_again(self, core: Core, on_active: str) -> None:
        """Ask what the recorded job was asked."""
        self.ids.give(self.recording.job["id"], self.recording.job["message_id"])
        await self._ask(core, on_active)

    async def _ask(self, core: Core, on_active: Any) -> str:
        order = Order(
            input=(TextPart(text=self.recording.question or "?"),),
            model=self.recording.job["model"],
            on_active=on_active,
        )
        talk = self.recording.job["conversation_id"]
        return (await core.desk.start_job(CALLER, talk, order, None, REQUEST)).id

    def _turn_to(self, step: Step) -> None:
        self.clock.at_ms = step.at_ms
        self._expected += len(step.events)

    async def _take(self, step: Step, core: Core) -> None:
        pause_s = (step.at_ms - self.clock.at_ms) / 1000
        if self.speed and pause_s > 0:
            await trio.sleep(min(pause_s / self.speed, PAUSE_MAX_S))
        self._turn_to(step)
        try:
            with trio.fail_after(PATIENCE_S):
                if "part" in step.cause:
                    await self._provider.say.send(part_of(step.cause["part"]))
                else:
                    await self._tell(core, step.cause["message"])
                await self._until_appended()
        except trio.TooSlowError:
            self.refused = f"The job's actor made no event of {step.cause}."
        except Problem as problem:
            self.refused = f"The actors refused {step.cause}: {problem.detail}"

    async def _tell(self, core: Core, message: Mapping[str, Any]) -> None:
        job_id, spine = self.recording.job["id"], core.spine
        match message["type"]:
            case "start" if self._blocker:
                await core.desk.abort_job(CALLER, self._blocker, REQUEST)
            case "start":
                await self._ask_again(core, "refuse")
            case "abort":
                await core.desk.abort_job(CALLER, job_id, REQUEST)
            case "replace":
                self.ids.give(message["superseded_by"])
                await self._ask(core, "replace")
            case "interrupt":
                core.tree.start_no_more()
                await core.tree.interrupt()
            case "give_up":
                talk = self.recording.job["conversation_id"]
                await spine.conversations.ask(talk, GaveUp(job_id=job_id))
            case _:  # "append"
                await spine.jobs.find(job_id)
                actor = spine.jobs._kept[job_id].actor  # noqa: SLF001  no message says this
                assert isinstance(actor, Job)
                await actor.append([Foreign(message["kind"], message["data"])])

    async def _until_appended(self) -> None:
        while (head := self.log.head(self.stream)) is None or head.sequence < self._expected:
            await self.hub.wait(self.stream)


def _name(step: Step) -> str:
    return str(step.cause.get("message", {}).get("type", "part"))
