"""The job actor: owns one answer being made, and is the only writer of its log while it lives.

Stream: `jobs/<id>`. Events: section 4 of the contract. Messages: PrepareEnd, Settle, Look, Report,
CallLost, its tools' (`actors.tools.loop`); parts come from the provider's actor as `(call, part)`.

A burst of parts becomes events, then one append; while that commits, the next parts wait in the
mailbox and the provider waits for them. The end is not appended here: the conversation's actor
commits it together with its own events, so that no reader of either log sees half an end.

Where the model calls tools, its turn is final, the calls are made, and it is asked again with their
results. After a crash the new life reads the log, takes back what the lost call of the model had
said and asks again, unless its end is being committed; calls of tools are never made again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import partial
from typing import Any, TypeAlias

import orjson
import structlog
import trio
from pykka import ActorDeadError

from actors import ending, fitting, job_state
from actors.ending import Ending, Rows, ended_row, stream_of
from actors.job_state import Answering, JobState
from actors.job_view import view
from actors.provider import LOST, CallLost, Cancel, Generate, refused
from actors.spine import Prepared, Spine
from actors.tools import loop as tool_loop
from actors.turns import answered, asked_of, spoken, whole_input
from runtime import limits
from runtime.actor import TrioActor
from runtime.caller import Caller
from runtime.events import Data, Fact, JobEnded, encode, facts, portions
from runtime.problems import Invalid, MailboxFull, NotFound
from runtime.reply import Reply
from store import jobs, messages, turns
from store.database import Database
from store.jobs import JobRow
from store.writer import Append, Write
from transports.egress.providers.asked import NOTHING_MORE
from transports.egress.providers.base import End, Model, Part, Request, read_options

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareEnd:
    """Stop, and answer with the Ending to commit: of the provider's own end where that came."""

    verdict: JobEnded


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
    """Told to the conversation: the provider has ended; this is to be committed."""

    job_id: str
    close: Ending


Message: TypeAlias = PrepareEnd | Settle | Look | Report | CallLost | tool_loop.Message


class Phase(Enum):
    """Where a job is between its start and its end."""

    ANSWERING = auto()
    CALLING = auto()  # the model waits for its tools
    FINISHED = auto()  # the provider has ended; the conversation has been told to commit the end
    ENDING = auto()  # the last events are being committed
    ENDED = auto()


class Job(TrioActor):
    """One answer being made."""

    phase = Phase.ANSWERING
    verdict: JobEnded | None
    last: Sequence[Fact]  # said with the provider's end, and kept with ours
    last_rows: Rows | None  # likewise
    close: Ending | None

    def __init__(self, spine: Spine, job_id: str) -> None:
        super().__init__()
        self.spine, self.job_id, self.stream = spine, job_id, stream_of(job_id)
        self.call = ""  # the newest; it may outlive the life that made it
        self.traceparent = spine.traces.pop(job_id, "")
        self.prepared = spine.prepared.pop(job_id, None)
        self.born = spine.rows.pop(job_id, None)  # its row, where it was kept just now
        self.tools: tool_loop.ToolLoop | None = None

    async def started(self) -> None:
        """Rebuild from the row and the log, and ask the provider (again)."""
        row, self.born = self.born or jobs.get_any(self.spine.reader, self.job_id), None
        if row is None:
            raise NotFound("No such job.")
        self.row: JobRow = row
        self.state: JobState = await ending.fold_log(self.spine.log, self.job_id)
        if self.phase is Phase.ENDING and self.close and not self.state.ended:
            return  # the life before has handed over the end: Settle or Report is on its way
        self.phase = Phase.ENDED if self.state.ended else Phase.ANSWERING
        self.verdict, self.last, self.last_rows, self.close = None, (), None, None
        if self.phase is Phase.ENDED:
            return
        if row.tools is None:
            await self._ask_provider()
            return
        await self._close_call()
        self.call = ""
        self.tools = self.tools or tool_loop.ToolLoop(self)
        self.tools.start()

    def idle(self) -> bool:
        """Stay until the end is committed; whoever committed it may have crashed before Settle."""
        if self.phase in {Phase.FINISHED, Phase.ENDING}:
            head = self.spine.log.head(self.stream)
            return head is not None and head.ended
        return self.phase is Phase.ENDED

    def bury(self, error: BaseException | None = None) -> None:
        """End for good, and leave no call behind: after a give-up nobody else would cancel it."""
        super().bury(error)
        if self.tools is not None:
            self.tools.abandon()
        provider = self.spine.providers.alive(self.row.endpoint) if self.call else None
        if provider is not None:
            with suppress(ActorDeadError, MailboxFull):
                provider.tell(Cancel(call=self.call))

    @property
    def owner(self) -> Caller:
        """Whose job it is."""
        return Caller(tenant=self.row.tenant, user=self.row.user)

    def is_idle(self) -> bool:
        """Whether nothing has been begun yet in this life."""
        return self.phase is Phase.ANSWERING and not self.call

    def is_calling(self) -> bool:
        """Whether the model waits for its tools."""
        return self.phase is Phase.CALLING

    async def handle(self, message: Message) -> Any:
        """Act on one message; see the module's head."""
        match message:
            case PrepareEnd():
                return await self._prepare_end(message.verdict)
            case Settle():
                await self._settle(committed=message.committed)
            case Look():  # an end that is not committed is none
                if self.phase in {Phase.FINISHED, Phase.ENDING}:
                    return view(self.row, await ending.fold_log(self.spine.log, self.job_id))
                return view(self.row, self.state)
            case Report():
                await self._report()
            case CallLost():
                if message.call == self.call and self.phase is Phase.ANSWERING:
                    self._finish(LOST)
            case _:
                assert self.tools is not None, "only tools say more"
                return await self.tools.handle(message)
        return None

    async def handle_parts(self, offered: Sequence[tuple[str, Part]]) -> None:
        """Append what the provider sent; parts of another call, or after the end, are dropped."""
        if self.phase is not Phase.ANSWERING:
            return
        parts = [part for call, part in offered if call == self.call]
        events, end = job_state.on_parts(self.state, self.answering, parts)
        if end is None or self.tools is not None:  # what is called is looked for in the state
            await self.append(events)
            events = []
        if end and self.tools is not None and self.tools.follow(end):
            await self._call_tools(end)
        elif end:
            await self.finish_with(events, end)

    async def _call_tools(self, end: End) -> None:
        """The model's turn is final; what it has called is called, or it has called too often."""
        assert self.tools is not None, "somebody follows"
        if self.state.rounds >= limits.TOOL_ROUNDS_MAX:
            self._finish(replace(end, reason="tool-limit"))
            return
        self.call = ""
        await self.append(self.tools.round_events())
        await self.go_on()

    async def go_on(self) -> None:
        """Make the calls that wait, or else let the model speak."""
        assert self.tools is not None, "without tools there is one turn"
        self.phase = Phase.CALLING if self.state.calls else Phase.ANSWERING
        if self.state.calls:
            await self.tools.begin_more()
        else:
            await self._ask_provider()

    async def _ask_provider(self) -> None:
        """Close an earlier call and take back what it said; start a new one."""
        await self._close_call()
        if retracted := job_state.retraction(self.state):
            await self.append(retracted)
        self.call = self.spine.ids.new("call_")
        try:
            provider, model = self.spine.catalog.find(self.row.model)
            fitted, wanted, options = await self._prompt(model)
        except Invalid as problem:
            self._finish(refused(problem))
            return
        new_id = partial(self.spine.ids.new, "item_")
        used = self.state.usage_before
        self.answering = Answering(new_id=new_id, merges=provider.merges, usage_before=used)
        request = Request(
            job_id=self.job_id,
            model=model,
            input=fitted,
            options=options,
            wanted=wanted,
            at_ms=self.row.created_at_ms,
            traceparent=self.traceparent,
        )
        order = Generate(job=self.actor_ref, call=self.call, owner=self.owner, request=request)
        endpoint = await self.spine.providers.find(provider.endpoint)
        reply: Reply = endpoint.ask(order, block=False)
        reply.when_failed(partial(self._not_taken, order.call))

    async def _prompt(self, model: Model) -> Prepared:
        """Return what the model is asked: the turn of a front, or the conversation so far."""
        if self.prepared is not None:
            prepared, self.prepared = self.prepared, None
            return prepared
        reader, options = self.spine.reader, read_options(model, orjson.loads(self.row.options))
        if (turn := turns.get_any(reader, self.job_id)) is not None:
            asked = asked_of(turn)
            told = whole_input(self.spine.readers, turn, self.row.ordinal)
            fitted = await fitting.fit(told, model, options, drops=asked.drops)
            return fitted, asked.wanted, options
        newest_first = messages.for_prompt(
            reader,
            self.row.conversation_id,
            before_position=2 * self.row.ordinal + 1,
            size_bytes=limits.PROMPT_BYTES_MAX,
        )
        told = spoken(reader, reversed(newest_first))
        rounds = self.state.item_list()[: self.state.kept]
        told += answered(self.job_id, rounds)
        wanted = NOTHING_MORE if self.tools is None else self.tools.wanted()
        return await fitting.fit(told, model, options), wanted, options

    def _not_taken(self, call: str, error: BaseException) -> None:
        """A bug of the provider's actor costs it a life, and this job its call."""
        log.error("call_not_taken", job_id=self.job_id, exc_info=error)
        with suppress(ActorDeadError, MailboxFull):
            self.actor_ref.tell(CallLost(call=call))

    async def append(
        self, events: Sequence[Data], rows: Callable[[Database], None] | None = None
    ) -> None:
        """Append, commit, and only then let the state show it.

        Args:
            rows: written in the transaction of the last of the events.
        """
        said = facts(events)
        for portion in portions(said, limits.APPEND_BYTES):
            await self._keep(portion, rows if portion[-1] is said[-1] else None)

    async def _keep(
        self, said: Sequence[Fact], rows: Callable[[Database], None] | None = None
    ) -> None:
        write = Write(appends=(self._next(said),), rows=rows)
        await self.spine.write_until_kept(write)
        self._fold(said)

    async def append_once(
        self, events: Sequence[Data], write: Callable[[Append], Write[None]]
    ) -> None:
        """Append what is refused where it cannot be kept at once: then nothing has happened."""
        said = facts(events)
        await self.spine.writer.write(write(self._next(said)))
        self._fold(said)

    def _next(self, said: Sequence[Fact]) -> Append:
        head = self.state.head
        kept = encode(head, said, self.spine.clock.now_ms())
        return Append(stream=self.stream, after=head, records=kept)

    def _fold(self, said: Sequence[Fact]) -> None:
        for sequence, (kind, data) in enumerate(said, self.state.head + 1):
            job_state.fold(self.state, sequence, kind, data)

    async def finish_with(self, events: Sequence[Data], end: End, rows: Rows | None = None) -> None:
        """Finish; the last events, a portion of them, and rows are committed with the end."""
        *most, last = (*portions(facts(events), limits.APPEND_BYTES),) or ((),)
        for portion in most:
            await self._keep(portion)
        self.last, self.last_rows = last, rows
        self.call = ""  # it has ended by itself
        self._finish(end)

    def _finish(self, end: End) -> None:
        self.phase, self.verdict = Phase.FINISHED, job_state.verdict_of(end)
        told = Finished(job_id=self.job_id, close=self._close_with(self.verdict))
        home = self.spine.conversations.alive(self.row.conversation_id)
        with suppress(ActorDeadError, MailboxFull):
            if home is not None:
                home.tell(told)
                return
        self.life.start_soon(self._tell_finished)  # it may be starting, and wait for this actor

    async def _tell_finished(self) -> None:
        if self.close is not None:
            told = Finished(job_id=self.job_id, close=self.close)
            await self.spine.conversations.tell(self.row.conversation_id, told)

    def _close_with(self, verdict: JobEnded) -> Ending:
        now_ms = self.spine.clock.now_ms()
        self.close = ending.make(
            self.job_id, self.state, verdict, now_ms, before=self.last, rows=self.last_rows
        )
        return self.close

    async def _prepare_end(self, verdict: JobEnded) -> Ending | None:
        """Close the provider's connection first, then say how the log ends.

        An end of the provider's own that came before wins. None: it has ended already.
        """
        if self.phase is Phase.ENDED:
            return None
        if self.phase is Phase.ANSWERING:
            await self._close_call()
        elif self.phase is Phase.CALLING and self.tools is not None:
            self.phase = Phase.ENDING
            await self.tools.cancel()
        close = self.close if self.close and self.verdict else self._close_with(verdict)
        self.phase = Phase.ENDING
        return close

    async def _close_call(self) -> None:
        if not self.call:
            return
        with trio.move_on_after(limits.PROVIDER_CLOSE_S) as late:
            closed: trio.Event = await self.spine.providers.ask(
                self.row.endpoint, Cancel(call=self.call)
            )
            await closed.wait()
        if late.cancelled_caught:
            log.warning("provider_close_late", job_id=self.job_id)

    async def _settle(self, *, committed: bool) -> None:
        """The log has its end; or nothing has happened: then the answer begins again."""
        if self.phase not in {Phase.FINISHED, Phase.ENDING}:
            return
        if committed:
            self.phase = Phase.ENDED
            if self.close is not None:
                self.row = ended_row(self.row, self.close)
            status, reason = self.row.status, self.row.reason
            log.info("job_ended", job_id=self.job_id, status=status, reason=reason)
        elif self.verdict:
            self.phase = Phase.FINISHED
            self.life.start_soon(self._tell_finished_later)
        else:
            self.phase = Phase.ANSWERING
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
