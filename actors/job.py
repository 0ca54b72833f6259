"""The job actor: owns one answer being made, and is the only writer of its log while it lives.

Stream: `jobs/<id>`. Events: section 4 of the contract. Messages: PrepareEnd, Settle, Look, Tick,
CallLost; parts come from the provider's actor as `(call, part)`.

A burst of parts becomes events, then one append; while that commits, the next parts wait in the
mailbox and the provider waits for them. The end is not appended here: the conversation's actor
commits it together with its own events, so that no reader of either log sees half an end.

After a crash the new life reads the log, takes back what the lost call had said and asks again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import Any, TypeAlias, assert_never

import orjson
import structlog
import trio
from pykka import ActorDeadError

from actors import ending, job_state, prompt
from actors.ending import Ending, stream_of
from actors.job_state import Answering, JobState
from actors.provider import LOST, CallLost, Cancel, Generate
from actors.spine import Prepared, Spine
from actors.turns import asked_of, spoken, whole_input
from actors.views import JobView
from runtime import limits
from runtime.actor import TrioActor
from runtime.caller import Caller
from runtime.clock import rfc3339
from runtime.events import Data, Error, JobEnded, Status, encode, facts, portions
from runtime.problems import Invalid, MailboxFull, NotFound
from runtime.reply import Reply
from store import jobs, messages, turns
from store.jobs import JobRow
from store.writer import Append, Write
from transports.egress.providers.asked import NOTHING_MORE
from transports.egress.providers.base import End, Model, Part, Request, read_options

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareEnd:
    """Stop, and answer with the Ending to commit. `verdict` None: the provider's own end."""

    verdict: JobEnded | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settle:
    """The ending that was prepared has been committed, or could not be."""

    committed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Answer with the job as its log stands: a JobView."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Tell the conversation again if the answer has ended: it may have missed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """Told to the conversation: the provider has ended; ask me to PrepareEnd."""

    job_id: str


Message: TypeAlias = PrepareEnd | Settle | Look | Report | CallLost


class Phase(Enum):
    """Where a job is between its start and its end."""

    ANSWERING = auto()
    FINISHED = auto()  # the provider has ended; the conversation has been told
    ENDING = auto()  # the last events are being committed
    ENDED = auto()


class Job(TrioActor):
    """One answer being made."""

    def __init__(self, spine: Spine, job_id: str) -> None:
        super().__init__()
        self.spine, self.job_id, self.stream = spine, job_id, stream_of(job_id)
        self.call = ""  # the newest; it may outlive the life that made it
        self.traceparent = spine.traces.pop(job_id, "")
        self.prepared = spine.prepared.pop(job_id, None)

    async def started(self) -> None:
        """Rebuild from the row and the log, and ask the provider (again)."""
        row = jobs.get_any(self.spine.reader, self.job_id)
        if row is None:
            raise NotFound("No such job.")
        self.row: JobRow = row
        self.state: JobState = await ending.fold_log(self.spine.log, self.job_id)
        self.phase = Phase.ENDED if self.state.ended else Phase.ANSWERING
        self.verdict: JobEnded | None = None
        if self.phase is Phase.ANSWERING:
            await self._ask_provider()

    def idle(self) -> bool:
        """Stay until the end is committed; whoever prepared it may have crashed before Settle."""
        if self.phase is Phase.ENDING:
            head = self.spine.log.head(self.stream)
            return head is not None and head.ended
        return self.phase is Phase.ENDED

    def bury(self, error: BaseException | None = None) -> None:
        """End for good, and leave no call behind: after a give-up nobody else would cancel it."""
        super().bury(error)
        provider = self.spine.providers.alive(self.row.endpoint) if self.call else None
        if provider is not None:
            with suppress(ActorDeadError, MailboxFull):
                provider.tell(Cancel(call=self.call))

    async def handle(self, message: Message) -> Ending | JobView | None:
        """Act on one message; see the module's head."""
        match message:
            case PrepareEnd():
                return await self._prepare_end(message.verdict)
            case Settle():
                await self._settle(committed=message.committed)
            case Look():
                return view(self.row, self.state)
            case Report():
                await self._report()
            case CallLost():
                if message.call == self.call and self.phase is Phase.ANSWERING:
                    self._finish(LOST)
            case _:
                assert_never(message)
        return None

    async def handle_parts(self, offered: Sequence[tuple[str, Part]]) -> None:
        """Append what the provider sent; parts of another call, or after the end, are dropped."""
        if self.phase is not Phase.ANSWERING:
            return
        parts = [part for call, part in offered if call == self.call]
        events, end = job_state.on_parts(self.state, self.answering, parts)
        if events:
            await self._append(events)
        if end:
            self._finish(end)

    async def _ask_provider(self) -> None:
        """Close an earlier call and take back what it said; start a new one."""
        if self.call:
            await self._close_call()
        if self.state.items:
            await self._append(job_state.retraction(self.state))
        self.call = self.spine.ids.new("call_")
        try:
            provider, model = self.spine.catalog.find(self.row.model)
            options = read_options(model, orjson.loads(self.row.options))
            fitted, wanted = self._prompt(model, options)
        except Invalid as problem:
            self._finish(_refused(problem))
            return
        new_id = partial(self.spine.ids.new, "item_")
        self.answering = Answering(new_id=new_id, merges=provider.merges)
        request = Request(
            job_id=self.job_id,
            model=model,
            input=fitted,
            options=options,
            wanted=wanted,
            at_ms=self.row.created_at_ms,
            traceparent=self.traceparent,
        )
        owner = Caller(tenant=self.row.tenant, user=self.row.user)
        order = Generate(job=self.actor_ref, call=self.call, owner=owner, request=request)
        endpoint = await self.spine.providers.find(provider.endpoint)
        self.life.start_soon(self._see_taken, endpoint.ask(order, block=False), order.call)

    def _prompt(self, model: Model, options: object) -> Prepared:
        """Return what the model is asked: the turn of a front, or the conversation so far."""
        if self.prepared is not None:
            prepared, self.prepared = self.prepared, None
            return prepared
        reader = self.spine.reader
        if (turn := turns.get_any(reader, self.job_id)) is not None:
            asked = asked_of(turn)
            told = whole_input(self.spine.readers, turn, self.row.ordinal)
            return prompt.fit(told, model, options, drops=asked.drops), asked.wanted
        newest_first = messages.for_prompt(
            reader,
            self.row.conversation_id,
            before_position=2 * self.row.ordinal + 1,
            size_bytes=limits.PROMPT_BYTES_MAX,
        )
        told = spoken(reader, reversed(newest_first))
        return prompt.fit(told, model, options), NOTHING_MORE

    async def _see_taken(self, reply: Reply, call: str) -> None:
        """See that the endpoint took the call; not awaited by us: it may pause after a crash."""
        try:
            await reply
        except Exception:  # a bug of the provider's actor costs it a life, and this job its call
            log.exception("call_not_taken", job_id=self.job_id)
            self.actor_ref.tell(CallLost(call=call))

    async def _append(self, events: Sequence[Data]) -> None:
        """Append, commit, and only then let the state show it."""
        for portion in portions(facts(events), limits.APPEND_BYTES):
            head = self.state.head
            kept = encode(head, portion, self.spine.clock.now_ms())
            append = Append(stream=self.stream, after=head, records=kept)
            await self.spine.write_until_kept(Write(appends=(append,)))
            for sequence, (kind, data) in enumerate(portion, head + 1):
                job_state.fold(self.state, sequence, kind, data)

    def _finish(self, end: End) -> None:
        self.phase, self.verdict = Phase.FINISHED, job_state.verdict_of(end)
        self.life.start_soon(self._tell_finished)  # it may be starting, and wait for this actor

    async def _tell_finished(self) -> None:
        told = Finished(job_id=self.job_id)
        await self.spine.conversations.tell(self.row.conversation_id, told)

    async def _prepare_end(self, verdict: JobEnded | None) -> Ending | None:
        """Close the provider's connection first, then say how the log ends.

        An end of the provider's own that came before wins. None: it has ended already, or there
        is nothing to end.
        """
        if self.phase is Phase.ENDED:
            return None
        chosen = self.verdict or verdict
        if chosen is None:
            return None
        if self.phase is Phase.ANSWERING:
            await self._close_call()
        self.phase = Phase.ENDING
        return ending.make(self.job_id, self.state, chosen, self.spine.clock.now_ms())

    async def _close_call(self) -> None:
        with trio.move_on_after(limits.PROVIDER_CLOSE_S) as late:
            closed: trio.Event = await self.spine.providers.ask(
                self.row.endpoint, Cancel(call=self.call)
            )
            await closed.wait()
        if late.cancelled_caught:
            log.warning("provider_close_late", job_id=self.job_id)

    async def _settle(self, *, committed: bool) -> None:
        """The log has its end; or nothing has happened: then the answer begins again."""
        if self.phase is not Phase.ENDING:
            return
        if committed:
            self.phase = Phase.ENDED
            self.row = jobs.get_any(self.spine.reader, self.job_id) or self.row
            status, reason = self.row.status, self.row.reason
            log.info("job_ended", job_id=self.job_id, status=status, reason=reason)
        elif self.verdict:
            self.state = await ending.fold_log(self.spine.log, self.job_id)
            self.phase = Phase.FINISHED
            self.life.start_soon(self._tell_finished_later)
        else:
            await self.started()

    async def _tell_finished_later(self) -> None:
        await trio.sleep(limits.STORE_RETRY_S[0])
        if self.phase is Phase.FINISHED:
            await self._tell_finished()

    async def _report(self) -> None:
        """Tell a conversation that has begun a new life what its last one did not live to do."""
        if self.phase is Phase.FINISHED:
            self.life.start_soon(self._tell_finished)
        elif self.phase is Phase.ENDING:  # it still takes us for running: that end is not kept
            await self._settle(committed=False)


def _refused(problem: Invalid) -> End:
    """Return the end of a job whose request could not be made, though it was fine when it came."""
    error = Error(class_="invalid_request", code=problem.name(), message=problem.detail)
    return End(end_state="provider_error", reason="request-refused", error=error)


def view(row: JobRow, state: JobState) -> JobView:
    """Return what a caller is shown of a job in `state`."""
    ended = state.ended
    error = ended.get("error") if ended else None
    status: Status = ended["status"] if ended else row.status
    return _view(row, status, state.head, state.item_list(), state.usage, error)


def view_of_ended(row: JobRow, head: int) -> JobView:
    """Return what a caller is shown of a job that waits or has ended, from its row alone."""
    result: Mapping[str, Any] = orjson.loads(row.result) if row.result else {}
    items, usage, error = (result.get(name) for name in ("items", "usage", "error"))
    return _view(row, row.status, head, tuple(items or ()), usage, error)


def _view(
    row: JobRow,
    status: Status,
    head: int,
    items: tuple[Mapping[str, Any], ...],
    usage: Mapping[str, Any] | None,
    error: Mapping[str, Any] | None,
) -> JobView:
    return JobView(
        id=row.id,
        conversation_id=row.conversation_id,
        message_id=row.message_id,
        status=status,
        reason=row.reason,
        model=row.model,
        head=head,
        items=items,
        usage=usage,
        error=error,
        superseded_by=row.superseded_by,
        created_at=rfc3339(row.created_at_ms),
        started_at=None if row.started_at_ms is None else rfc3339(row.started_at_ms),
        ended_at=None if row.ended_at_ms is None else rfc3339(row.ended_at_ms),
    )
