"""The tool call actor: makes one call, once, and leaves the evidence of it.

Owns no stream. Messages: Begin, Cancel. A call goes through the same steps whoever wants it, a
model in a job or a caller of the API: the tool's policy and its version, the arguments against the
schema, a human's word where the policy asks for one, the intent committed with its audit entry, and
only then the call, in its time. What cannot be recorded is not called. The job is told the result
together with what settles the evidence, and commits both in one transaction.

A call is never repeated: a second life of the actor, or of the process, finds the intent, and says
that it is not known whether it happened.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias

import structlog
import trio
from pykka import ActorDeadError

from actors.spine import Spine
from actors.tools import checking
from actors.tools import result as tool_result
from actors.tools.asking import Asking, ask
from actors.tools.result import ToolResult, failed
from actors.tools.toolbox import Offer
from actors.tools.tooling import Outcome
from actors.tools.words import AskHuman, Begin, CallEnded, Cancel, Settle, ToolOrder, Word
from runtime.actor import TrioActor
from runtime.problems import MailboxFull, Problem, UpstreamLost
from store import change, jobs, tool_calls
from store.database import Database
from store.tool_calls import Settlement, ToolCallRow
from store.writer import Write

log = structlog.get_logger(__name__)


Message: TypeAlias = Begin | Cancel


class NotCalled(Exception):
    """The call is not made; says why."""

    def __init__(self, reason: str, words: str, approval: Word | None = None) -> None:
        super().__init__(words)
        self.reason, self.words, self.approval = reason, words, approval


class ToolCall(TrioActor):
    """See the module."""

    def __init__(self, spine: Spine, call_id: str) -> None:
        super().__init__()
        self.spine, self.call_id = spine, call_id
        self.begun: Begin | None = None
        self.ended: CallEnded | None = None
        self.scope, self.stopped = trio.CancelScope(), trio.Event()

    async def started(self) -> None:
        """Begin with nothing; a second life ends what the first was doing."""
        if self.begun is not None and self.ended is None:
            self._end(self._lost("crashed"))

    def idle(self) -> bool:
        """Whether nothing is under way."""
        return self.begun is None or self.ended is not None

    async def handle(self, message: Message) -> trio.Event | None:
        """Act on one message; see the module."""
        match message:
            case Begin() if self.begun is None:
                self.begun = message
                self.life.start_soon(self._run, message.order)
            case Begin() if self.ended is not None:
                self.begun = message
                self._tell(self.ended)
            case Cancel():
                if self.begun is None or self.ended is not None:
                    self.stopped.set()
                self.scope.cancel()
                return self.stopped
        return None

    async def _run(self, order: ToolOrder) -> None:
        with self.scope:
            self._end(await self._made(order))
        if self.ended is None:
            ended = self._lost("cancelled")
            self.ended = replace(ended, settle=_nothing)  # for a job that goes on after all
            self.stopped.set()
            await self._settle(ended.settle)

    def _end(self, ended: CallEnded) -> None:
        self.ended = ended
        self.stopped.set()
        self._tell(ended)

    def _tell(self, ended: CallEnded) -> None:
        assert self.begun is not None, "who is to be told wanted the call"
        try:
            self.begun.job.tell(ended)
        except (ActorDeadError, MailboxFull):
            log.warning("tool_call_unheard", call_id=self.call_id)
            self.life.start_soon(self._settle, ended.settle)

    async def _settle(self, settle: Settle) -> None:
        try:
            await self.spine.writer.write(Write(rows=settle))
        except Problem:  # the next start of the service settles it
            log.exception("tool_call_not_settled", call_id=self.call_id)

    async def _made(self, order: ToolOrder) -> CallEnded:
        """Go through all steps of the call; return what came of it."""
        if tool_calls.get_any(self.spine.reader, order.id) is not None:
            return self._lost("process-died")
        try:
            offer = _current(order)
            arguments = await self._arguments(offer, order.arguments)
            word = await self._approval(offer, order)
            await self._intend(order, offer, word)
        except NotCalled as refusal:
            return self._refused(order, refusal)
        began_ms = self.spine.clock.now_ms()
        result, settlement = await self._called(order, offer, arguments)
        log.info(
            "tool_called",
            call_id=order.id,
            job_id=order.job_id,
            tool=order.tool,
            outcome=settlement.outcome,
            ms=settlement.settled_at_ms - began_ms,
        )
        settle = partial(tool_calls.settle, id=order.id, settlement=settlement)
        return CallEnded(item_id=order.item_id, result=result, settle=settle)

    async def _arguments(self, offer: Offer, text: str) -> dict[str, Any]:
        problem, arguments = await checking.read(offer.tool.schema, text)
        if problem:
            raise NotCalled("bad-arguments", problem)
        return arguments

    async def _approval(self, offer: Offer, order: ToolOrder) -> Word | None:
        """Return a human's yes, or None where nobody needs to be asked."""
        if offer.tool.policy == "auto":
            return None
        question = f"May {offer.tool.name} ({offer.tool.id}) be called with these arguments?"
        asked = AskHuman(item_id=order.item_id, tool=order.tool, question=question)
        assert self.begun is not None, "somebody wants the call"
        word = await ask(self.begun.job, asked)
        if word.outcome != "approved":
            said = "The user said no." if word.outcome == "denied" else "The user did not answer."
            raise NotCalled(word.outcome, f"{said} The tool was not called.", word)
        return word

    async def _intend(self, order: ToolOrder, offer: Offer, word: Word | None) -> None:
        """Commit that the call is about to be made.

        Raises:
            NotCalled: it could not be committed.
        """
        row = self._row(order, word)
        write = change.change(
            order.caller,
            action="tool.call",
            object_id=order.id,
            at_ms=row.intended_at_ms,
            request_id="",
            access=lambda db: jobs.has(db, order.caller, order.job_id),
            rows=partial(tool_calls.insert, row=row),
        )
        try:
            with trio.CancelScope(shield=True):  # or it would be intended, and nobody knew
                await self.spine.writer.write(write)
        except Problem as problem:
            log.warning("tool_call_not_recorded", tool=offer.tool.id, problem=problem.name())
            words = "The call could not be recorded, and so it was not made. Try again later."
            raise NotCalled("not-recorded", words) from problem

    async def _called(
        self, order: ToolOrder, offer: Offer, arguments: Mapping[str, Any]
    ) -> tuple[ToolResult, Settlement]:
        """Call the tool in its time."""
        settled = Settlement(outcome="unknown", settled_at_ms=0)
        try:
            async with self.spine.toolbox.place(order.caller):
                outcome = await self._timed(order, offer, arguments)
            result = await tool_result.kept(outcome)
            settled = Settlement(
                outcome="failed" if result.is_error else "done",
                settled_at_ms=0,
                dialled=outcome.dialled,
                result_sha256=result.sha256,
                result_bytes=result.size_bytes,
            )
        except trio.TooSlowError:
            words = f"The tool did not answer within {offer.tool.timeout_s:g} s."
            result, settled = failed(words + UNKNOWN), replace(settled, reason="timeout")
        except UpstreamLost as problem:
            result, settled = failed(problem.detail + UNKNOWN), replace(settled, reason="lost")
        except Problem as problem:
            result = failed(tool_result.cut(problem.detail))
            settled = replace(settled, outcome="failed", reason=problem.name())
        except Exception:  # a bug of a source costs its call alone
            log.exception("tool_failed", tool=offer.tool.id)
            result, settled = (
                failed("The tool broke." + UNKNOWN),
                replace(settled, reason="crashed"),
            )
        return result, replace(settled, settled_at_ms=self.spine.clock.now_ms())

    async def _timed(self, order: ToolOrder, offer: Offer, arguments: Mapping[str, Any]) -> Outcome:
        with trio.fail_after(offer.tool.timeout_s) as scope:
            assert self.begun is not None, "somebody wants the call"
            calling = Asking(self.begun.job, order, scope).calling()
            return await offer.source.call(order.caller, offer.tool, arguments, calling)
        raise AssertionError("unreachable")

    def _lost(self, reason: str) -> CallEnded:
        """Return the end of a call that was cut off: it may have happened, if it was intended."""
        assert self.begun is not None, "there is something to end"
        order, now_ms = self.begun.order, self.spine.clock.now_ms()
        row = tool_calls.get_any(self.spine.reader, order.id)
        settle: Settle = _nothing
        if row is not None and row.outcome == "intended":
            settlement = Settlement(outcome="unknown", reason=reason, settled_at_ms=now_ms)
            settle = partial(tool_calls.settle, id=order.id, settlement=settlement)
        words = f"The call was cut off ({reason})." + (UNKNOWN if row else " It was not made.")
        return CallEnded(item_id=order.item_id, result=failed(words), settle=settle)

    def _refused(self, order: ToolOrder, refusal: NotCalled) -> CallEnded:
        """Return the end of a call that was not made, which is evidence as well."""
        now_ms = self.spine.clock.now_ms()
        row = replace(
            self._row(order, refusal.approval),
            outcome="refused",
            reason=refusal.reason,
            settled_at_ms=now_ms,
        )
        settle = partial(tool_calls.insert, row=row)
        return CallEnded(item_id=order.item_id, result=failed(refusal.words), settle=settle)

    def _row(self, order: ToolOrder, word: Word | None) -> ToolCallRow:
        return ToolCallRow(
            id=order.id,
            tenant=order.caller.tenant,
            user=order.caller.user,
            job_id=order.job_id,
            item_id=order.item_id,
            made_by=order.made_by,
            tool=order.tool,
            version=order.version,
            arguments_sha256=hashlib.sha256(order.arguments.encode()).hexdigest(),
            approval=word.outcome if word else "auto",
            approval_id=word.approval_id if word else None,
            intended_at_ms=self.spine.clock.now_ms(),
        )


UNKNOWN = " It is not known whether it did what was asked."


def _nothing(db: Database) -> None:
    """Settle nothing: there is no evidence to settle, or it is settled."""


def _current(order: ToolOrder) -> Offer:
    """Return the tool as it was when the call was decided.

    Raises:
        NotCalled: there is none such, it has changed since, or it may not be called.
    """
    offer = order.offer
    if order.beyond:
        raise NotCalled("too-many-calls", "These are too many calls at once; it was not made.")
    if offer is None:
        raise NotCalled("no-such-tool", f"There is no tool named {order.name!r}.")
    if offer.tool.version != order.version:
        raise NotCalled("tool-changed", "The tool has changed since it was offered.")
    if offer.tool.policy == "deny":
        raise NotCalled("denied", "This tool may not be called.")
    return offer
