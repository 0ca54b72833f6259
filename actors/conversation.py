"""The conversation actor: owns which job of its conversation is current, and what runs next.

Stream: `conversations/<id>`. Events: conversation.created message.added job.queued job.current
job.superseded job.ended. Messages: StartJob, AbortJob, Leave, Interrupt, GaveUp, Finished.

Everything that changes which job is current is one message here and one transaction in the store:
rows, the audit entry, the idempotency record, this log's events and the closing events of the job
that ends. So of N racing submissions one is first, and no crash leaves half a replacement.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, assert_never

import orjson
import structlog
import trio

from actors import job_door
from actors.claims import Claim
from actors.ending import Ending, stream_of
from actors.job import Finished
from actors.job_rows import Birth, Death, first_records
from actors.job_state import verdict_for
from actors.spine import Spine
from actors.views import JobView
from runtime import limits
from runtime.actor import TrioActor
from runtime.caller import Caller
from runtime.events import Data, JobCurrent, JobEnded, TextPart, records
from runtime.problems import (
    JobActive,
    JobChanged,
    NotFound,
    Problem,
    QueueFull,
    SequenceConflict,
    StoreUnavailable,
)
from store import change, conversations, jobs
from store.database import Database
from store.jobs import JobRow
from store.turns import TurnRow
from store.writer import Append, Write

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class StartJob:
    """Ask the conversation's model. Answered with the job's view, once it is durable.

    Raises (as the answer): JobActive, JobChanged, QueueFull, NotFound, AuditUnavailable.
    """

    caller: Caller
    input: tuple[TextPart, ...]
    model: str  # known to the catalog
    endpoint: str
    options: Mapping[str, Any]  # read and found good
    on_active: Literal["refuse", "replace", "queue"]
    replaces: str | None
    claim: Claim | None
    request_id: str
    traceparent: str = ""  # W3C trace context, passed on to the provider
    turn: TurnRow | None = None  # what a front asked, in place of `input`; it names the job
    receipt: Any = None  # kept under the claim's key; None: the job's view
    tools: bytes | None = None  # JSON: those that it may use


@dataclass(frozen=True, slots=True, kw_only=True)
class AbortJob:
    """Stop a job. Answered with its view once its end is committed; again: the same.

    Raises (as the answer): runtime.problems.JobEnded when it has ended otherwise.
    """

    caller: Caller
    job_id: str
    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave:
    """Nobody waits for the job any more: end it as aborted, if it has not ended."""

    job_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Interrupt:
    """The service is stopping: end the current job, start no other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GaveUp:
    """The job's actor cannot live; its log needs an end."""

    job_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StartNext:
    """Start the oldest queued job, if nothing runs: told to itself after a pause."""


Message: TypeAlias = StartJob | AbortJob | Leave | Finished | Interrupt | GaveUp | StartNext


class Conversation(TrioActor):
    """The register of one conversation's current job, and its queue."""

    def __init__(self, spine: Spine, conversation_id: str) -> None:
        super().__init__()
        self.spine, self.id = spine, conversation_id
        self.row: JobRow | None = None  # of the job that runs
        self.queue: deque[str] = deque()
        self.stream = f"conversations/{conversation_id}"

    async def started(self) -> None:
        """Rebuild from the store; ask the current job for an end that may have been missed."""
        reader = self.spine.reader
        if (founded := self.spine.founded.pop(self.id, None)) is not None:
            self.head, self.row = founded.head, founded.job
        else:
            head = self.spine.log.head(self.stream)
            if head is None:
                raise NotFound("No such conversation.")
            self.head, self.row = head.sequence, jobs.current(reader, self.id)
            self.queue = deque(each.id for each in jobs.queued(reader, self.id))
        await (self._start_next() if self.row is None else self._wake(self.row))

    @property
    def current(self) -> str | None:
        """The job that runs."""
        return self.row.id if self.row is not None else None

    def idle(self) -> bool:
        """Nothing is running: the store knows all there is to know."""
        return self.current is None and not self.queue

    async def handle(self, message: Message) -> JobView | None:
        """Act on one message; see the module's head."""
        match message:
            case StartJob():
                return await self._start(message)
            case AbortJob():
                return await self._abort(message)
            case Leave():
                await self._leave(message.job_id)
            case Finished():
                if message.job_id == self.current:
                    await self._end(message.job_id, message.close)
            case Interrupt():
                if self.current:
                    await self._conclude(self.current, verdict_for("shutdown"))
            case GaveUp():
                await self._bury(message.job_id)
            case StartNext():
                await self._start_next()
            case _:
                assert_never(message)
        return None

    async def _start(self, order: StartJob) -> JobView:
        self._check(order)
        if self.current and order.on_active == "replace":
            return await self._replace(order, self.current)
        return await self._admit(order, old=None)

    def _check(self, order: StartJob) -> None:
        if order.replaces is not None and order.replaces != self.current:
            raise JobChanged("Another job is current.", current_job=self.current)
        if self.current is None:
            return
        if order.on_active == "refuse":
            raise JobActive("A job is running in this conversation.", job_id=self.current)
        if order.on_active == "queue" and len(self.queue) >= limits.QUEUED_JOBS_MAX:
            raise QueueFull(f"{limits.QUEUED_JOBS_MAX} jobs wait already.")

    async def _replace(self, order: StartJob, current: str) -> JobView:
        job_id = self.spine.ids.new("job_")
        verdict = verdict_for("superseded", superseded_by=job_id)
        await job_door.rehearse(self.spine, order.caller, job_id, order.request_id)
        old = await job_door.prepare_end(self.spine, current, verdict)
        if old is None:
            self.row = None  # its log had its end already
        try:
            return await self._admit(order, old=old, job_id=job_id)
        except BaseException:
            await job_door.settle(self.spine, current, committed=False)
            raise

    async def _admit(
        self, order: StartJob, *, old: Ending | None, job_id: str | None = None
    ) -> JobView:
        """Commit the new job, with the end of the one it replaces; then let it run."""
        runs_now = self.current is None or order.on_active == "replace"
        job_id = order.turn.job_id if order.turn else job_id or self.spine.ids.new("job_")
        birth = self._birth(order, job_id, runs_now=runs_now)
        now_ms = birth.row.created_at_ms
        ended = self._ended_rows(old, self.current) if old and self.current else None
        events = [*(ended.events if ended else ()), *birth.events]
        appends = [*(ended.appends if ended else ()), self._append(events), *birth.appends]

        view = birth.view if order.receipt is None else order.receipt
        record = order.claim.record(order.caller, view, now_ms) if order.claim else None

        def rows(db: Database) -> None:
            birth.write(db)
            if ended:
                ended.write(db)

        await self.spine.writer.write(
            change.change(
                order.caller,
                action="job.start",
                object_id=birth.row.id,
                at_ms=now_ms,
                request_id=order.request_id,
                access=lambda db: conversations.get(db, order.caller, self.id) is not None,
                rows=rows,
                appends=appends,
                idempotency=record,
            )
        )
        self.head += len(events)
        if old and self.current:
            self.spine.metrics.job_ended(old.verdict.status)
            await job_door.settle(self.spine, self.current, committed=True)
        if order.traceparent:
            self.spine.traces[birth.row.id] = order.traceparent
        if runs_now:
            await self._run(birth.row)
        else:
            self.queue.append(birth.row.id)
        return birth.view

    def _birth(self, order: StartJob, job_id: str, *, runs_now: bool) -> Birth:
        now_ms = self.spine.clock.now_ms()
        row = JobRow(
            id=job_id,
            conversation_id=self.id,
            tenant=order.caller.tenant,
            user=order.caller.user,
            ordinal=jobs.next_ordinal(self.spine.reader, self.id),
            message_id=self.spine.ids.new("msg_"),
            status="running" if runs_now else "queued",
            reason=None,
            model=order.model,
            endpoint=order.endpoint,
            options=orjson.dumps(order.options),
            superseded_by=None,
            created_at_ms=now_ms,
            started_at_ms=now_ms if runs_now else None,
            ended_at_ms=None,
            result=None,
            tools=order.tools,
        )
        return Birth.of(row, order.input, now_ms, order.turn)

    async def _run(self, row: JobRow) -> None:
        self.row = row
        self.spine.metrics.job_started()
        await self._wake(row)

    async def _wake(self, row: JobRow) -> None:
        if not await job_door.wake(self.spine, row):
            self.actor_ref.tell(GaveUp(job_id=row.id))

    async def _start_next(self) -> None:
        """Make the oldest queued job current, unless the service is stopping."""
        if self.current or not self.spine.starts_jobs:
            return
        row = self._next_queued()
        if row is None:
            return
        job_id, now_ms = row.id, self.spine.clock.now_ms()
        started = Append(stream=stream_of(job_id), after=0, records=first_records(row, now_ms))
        current = self._append([JobCurrent(job_id=job_id)])

        def rows(db: Database) -> None:
            jobs.set_running(db, job_id, now_ms)

        try:
            await self.spine.writer.write(Write(rows=rows, appends=(current, started)))
        except StoreUnavailable:  # the job stays queued
            self.life.start_soon(self._start_next_later)
            return
        self.head += 1
        self.queue.popleft()
        await self._run(replace(row, status="running", started_at_ms=now_ms))

    def _next_queued(self) -> JobRow | None:
        """Return the oldest job that still waits; one that has ended elsewhere is let go."""
        while self.queue:
            row = jobs.get_any(self.spine.reader, self.queue[0])
            if row is not None and row.status == "queued":
                return row
            self.queue.popleft()
        return None

    async def _start_next_later(self) -> None:
        await trio.sleep(limits.STORE_RETRY_S[1])
        self.actor_ref.tell(StartNext())

    async def _abort(self, order: AbortJob) -> JobView:
        if order.job_id == self.current:
            await job_door.rehearse(self.spine, order.caller, order.job_id, order.request_id)
            await self._conclude(order.job_id, verdict_for("aborted"), order)
        elif order.job_id in self.queue:
            close = await job_door.from_log(self.spine, order.job_id, verdict_for("aborted"))
            await self._commit_end(order.job_id, close, order)
            self.queue.remove(order.job_id)
            self.spine.traces.pop(order.job_id, None)
        return job_door.aborted(self.spine, order.job_id)

    async def _conclude(
        self, job_id: str, verdict: JobEnded, order: AbortJob | None = None
    ) -> None:
        """End the current job and start the next.

        Args:
            verdict: the provider's own end wins over it if it came first.
            order: the caller's wish, which is audited and answered.
        """
        if job_id != self.current:
            return
        close = await job_door.prepare_end(self.spine, job_id, verdict)
        if close is not None:
            await self._end(job_id, close, order)

    async def _end(self, job_id: str, close: Ending, order: AbortJob | None = None) -> None:
        """Commit the end of the current job, tell it, and start the next."""
        kept_for = order if close.verdict.status == "aborted" else None  # else: refused, not obeyed
        try:
            await self._commit_end(job_id, close, kept_for)
        except BaseException as failure:
            await job_door.settle(self.spine, job_id, committed=False)
            # nobody asked for this end: the job tells it again later, or has begun anew since
            if order is None and isinstance(failure, StoreUnavailable | SequenceConflict):
                return
            raise
        await job_door.settle(self.spine, job_id, committed=True)
        self.row = None
        await self._start_next()

    async def _leave(self, job_id: str) -> None:
        try:
            await self._conclude(job_id, verdict_for("aborted"))
        except Problem:  # nobody waits for this; the job goes on to its own end
            log.exception("leave_failed", job_id=job_id)

    async def _bury(self, job_id: str) -> None:
        """End a job whose actor gave up; its supervisor asks again while this fails."""
        if job_id != self.current:
            return
        close = await job_door.from_log(self.spine, job_id, verdict_for("crashed"))
        await self._commit_end(job_id, close, None)
        self.row = None
        await self._start_next()

    async def _commit_end(self, job_id: str, close: Ending, order: AbortJob | None) -> None:
        """Commit the end of a job in both logs, its row and the message it made."""
        ended = self._ended_rows(close, job_id)
        appends = [*ended.appends, self._append(ended.events)]
        if order is None:
            await self.spine.writer.write(Write(rows=ended.write, appends=tuple(appends)))
        else:
            await self.spine.writer.write(
                change.change(
                    order.caller,
                    action="job.abort",
                    object_id=job_id,
                    at_ms=close.at_ms,
                    request_id=order.request_id,
                    access=lambda db: jobs.get(db, order.caller, job_id) is not None,
                    rows=ended.write,
                    appends=appends,
                    idempotency=None,
                )
            )
        self.head += len(ended.events)
        self.spine.metrics.job_ended(close.verdict.status)

    def _ended_rows(self, close: Ending, job_id: str) -> Death:
        known = self.row if job_id == self.current else None
        row = known or jobs.get_any(self.spine.reader, job_id)
        if row is None:
            raise NotFound("No such job.")
        return Death.of(row, close, self.spine.ids.new("msg_"))

    def _append(self, events: Sequence[Data]) -> Append:
        made = records(self.head, events, self.spine.clock.now_ms())
        return Append(stream=self.stream, after=self.head, records=made)
