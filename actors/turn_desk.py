"""The seam of every front: a caller asks a model to answer a list of items, with tools.

A turn is a job like any other, with an input of its own in place of its conversation's messages;
each that belongs to no thread has a conversation to itself, made with it in one transaction. There
is a desk for each core: the durable one, and the one in memory for what must leave nothing on disk.
Whoever asked waits for the job's end here, or reads its log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
import structlog
import trio
from pykka import ActorDeadError

from actors import fitting, prompt
from actors.claims import Claim
from actors.conversation import AbortJob, Leave, StartJob
from actors.ending import stream_of
from actors.founding import Founding
from actors.items_in import Item
from actors.job_rows import Birth
from actors.spine import Founded, Spine
from actors.turns import Asked, whole_input
from runtime.caller import Caller
from runtime.events import JOB_END
from runtime.log import Subscription
from runtime.problems import JobEnded, MailboxFull, NotFound, ShuttingDown
from store import change, jobs, turns
from store.database import Database
from store.jobs import JobRow
from store.turns import TurnRow
from store.writer import Append, Write
from transports.egress.providers.base import read_options

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is asked of a model.

    Args:
        job_id: of the job to be made, new; the items' ids may be made of it.
        front: whose turn it is; a turn is found again by this front alone.
        items: the turn's own input, as `items_in.read_items` gives it.
        previous: the job of the turn that this one follows, of the same core.
        thread: the conversation that it belongs to, in place of one to itself.
        shown: JSON that the front wants back when it shows the turn.
        receipt: what is kept under the claim's key.
    """

    job_id: str
    front: str
    model: str | None
    items: Sequence[Item]
    asked: Asked = field(default_factory=Asked)
    options: Mapping[str, Any] = field(default_factory=dict)
    previous: str | None = None
    thread: str | None = None
    shown: Mapping[str, Any] = field(default_factory=dict)
    receipt: Any = None
    claim: Claim | None = None
    traceparent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A turn and its job, and the core that has them."""

    desk: TurnDesk
    turn: TurnRow
    job: JobRow


class TurnDesk:
    """The turns of one core."""

    def __init__(self, spine: Spine, *, audits: bool = True) -> None:
        """Take the core.

        Args:
            audits: whether what happens here is audited in this core's own store; in memory it
                would be lost, so that whoever puts it there audits it elsewhere.
        """
        self.spine, self._audits = spine, audits

    async def ask(self, caller: Caller, order: Order, request_id: str) -> Found:
        """Begin the job of a turn; it is committed when this returns.

        Raises:
            Invalid: no such model or option, or an input that no provider would take.
            JobActive: the thread is being answered.
            ShuttingDown, AuditUnavailable.
        """
        if not self.spine.starts_jobs:
            raise ShuttingDown("The service is stopping.")
        provider, model = self.spine.catalog.find(order.model)
        options = read_options(model, order.options)
        turn = TurnRow(
            job_id=order.job_id,
            front=order.front,
            previous=order.previous,
            thread=order.thread,
            asked=orjson.dumps(order.asked),
            input=orjson.dumps(order.items),
            shown=orjson.dumps(order.shown),
        )
        reader = self.spine.reader
        place = jobs.next_ordinal(reader, order.thread) if order.thread else 1
        told = whole_input(self.spine.readers, turn, place, order)
        prompt.check_pairs(told)
        fitted = await fitting.fit(told, model, options, drops=order.asked.drops)
        await self._permit(caller, order, request_id)
        self.spine.prepared[order.job_id] = (fitted, order.asked.wanted, options)
        message = StartJob(
            caller=caller,
            input=(),
            model=model.id,
            endpoint=provider.endpoint,
            options=order.options,
            on_active="refuse",
            replaces=None,
            claim=order.claim,
            request_id=request_id,
            traceparent=order.traceparent,
            turn=turn,
            receipt=order.receipt,
        )
        try:
            if order.thread:
                await self.spine.conversations.ask(order.thread, message)
                job = self.job(order.job_id)
            else:
                job = await self._found(message, turn)
        except BaseException:
            self.spine.prepared.pop(order.job_id, None)
            raise
        log.info("turn_taken", job_id=order.job_id, front=order.front, model=model.id)
        return Found(desk=self, turn=turn, job=job)

    async def _permit(self, caller: Caller, order: Order, request_id: str) -> None:
        """Do what comes before a turn that is in order is begun: in the durable core, nothing."""

    async def _found(self, order: StartJob, turn: TurnRow) -> JobRow:
        """Commit a conversation with its one job; its actor finds the job running, and wakes it."""
        spine, caller = self.spine, order.caller
        founding = Founding.of(spine, caller, kind="turn")
        home, now_ms = founding.row, founding.row.created_at_ms
        row = JobRow(
            id=turn.job_id,
            conversation_id=home.id,
            tenant=caller.tenant,
            user=caller.user,
            ordinal=1,
            message_id=spine.ids.new("msg_"),
            status="running",
            reason=None,
            model=order.model,
            endpoint=order.endpoint,
            options=orjson.dumps(order.options),
            superseded_by=None,
            created_at_ms=now_ms,
            started_at_ms=now_ms,
            ended_at_ms=None,
            result=None,
        )
        birth = Birth.of(row, (), now_ms, turn)

        def rows(db: Database) -> None:
            founding.write(db)
            birth.write(db)

        begun = founding.append(birth.events)
        appends = (begun, *birth.appends)
        if order.traceparent:
            spine.traces[row.id] = order.traceparent
        with trio.CancelScope(shield=True):  # else a job could be kept that nobody answers
            await spine.writer.write(self._audited(order, row.id, rows, appends, now_ms))
            spine.metrics.job_started()
            spine.founded[home.id] = Founded(head=len(begun.records), job=row)
            try:
                await spine.conversations.find(home.id)
            finally:
                spine.founded.pop(home.id, None)
        return row

    def _audited(
        self, order: StartJob, job_id: str, rows: Any, appends: Sequence[Append], now_ms: int
    ) -> Write[None]:
        record = order.claim.record(order.caller, order.receipt, now_ms) if order.claim else None
        write = change.change(
            order.caller,
            action="job.start",
            object_id=job_id,
            at_ms=now_ms,
            request_id=order.request_id,
            access=lambda _: True,
            rows=rows,
            appends=appends,
            idempotency=record,
        )
        return write if self._audits else replace(write, audit=None)

    def turn(self, caller: Caller, job_id: str, front: str) -> TurnRow:
        """Return the caller's turn.

        Raises:
            NotFound: there is none, for this caller.
        """
        row = turns.get(self.spine.reader, caller, job_id, front)
        if row is None:
            raise NotFound("There is no such turn.")
        return row

    def job(self, job_id: str) -> JobRow:
        """Return the row of a turn's job, which holds its result once it has ended."""
        row = jobs.get_any(self.spine.reader, job_id)
        if row is None:
            raise NotFound("There is no such turn.")
        return row

    def keeps(self, job_id: str) -> bool:
        """Whether a turn that is there may still be read."""
        return bool(job_id)

    async def cancel(self, caller: Caller, job: JobRow, request_id: str) -> None:
        """End a job that is being answered; its end is committed when this returns."""
        message = AbortJob(caller=caller, job_id=job.id, request_id=request_id)
        with suppress(JobEnded):  # it came to its own end first
            await self.spine.conversations.ask(job.conversation_id, message)

    async def delete(self, caller: Caller, job_id: str, request_id: str) -> None:
        """Mark a turn as deleted."""
        now_ms = self.spine.clock.now_ms()
        write = change.change(
            caller,
            action="response.delete",
            object_id=job_id,
            at_ms=now_ms,
            request_id=request_id,
            access=lambda db: jobs.has(db, caller, job_id),
            rows=lambda db: turns.delete(db, job_id, now_ms),
        )
        await self.spine.writer.write(write if self._audits else replace(write, audit=None))

    def log_of(self, job_id: str, after: int = 0) -> Subscription:
        """Return a place in the job's log."""
        spine = self.spine
        return Subscription(spine.log, spine.hub, stream_of(job_id), after=after, terminal=JOB_END)

    async def ended(self, job_id: str) -> JobRow:
        """Wait for the job's end to be committed; return its row."""
        reading = self.log_of(job_id)
        while not reading.ended:
            if not reading.read():
                await reading.wait()
        return self.job(job_id)

    def leave(self, job_id: str) -> None:
        """Have the job ended, if it has not: nobody waits for it any more. Never waits."""
        row = jobs.get_any(self.spine.reader, job_id)
        if row is None or row.status != "running":
            return
        home = self.spine.conversations.alive(row.conversation_id)
        if home is not None:
            try:
                home.tell(Leave(job_id=job_id))
            except (ActorDeadError, MailboxFull):
                log.warning("leave_lost", job_id=job_id)
