"""The part of a job's actor that runs tools: what the job may call, its calls, and who is asked.

The model ends its turn with calls; `tools.called` in the log makes that final. Each call is made by
an actor of its own (`actors.tools.tool`), some at once; its result becomes an item, committed with
the evidence. When all have theirs the model is asked again. Approvals live in the log alone, each
answered once: so a job that waits for a human can be taken up by a later process too.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, assert_never

import orjson
import structlog
import trio
from pykka import ActorDeadError

from actors import job_state
from actors.items_out import call_id
from actors.tools import checking
from actors.tools.toolbox import ToolCatalog
from actors.tools.words import AskHuman, Begin, CallEnded, Cancel, Progressed, ToolOrder, Word
from actors.views import ApprovalView
from runtime import limits
from runtime.caller import Caller
from runtime.clock import from_rfc3339, rfc3339
from runtime.events import Data, Item, ItemDelta, ItemDone, ItemStarted, JobNoted
from runtime.problems import ApprovalResolved as HasAnswer
from runtime.problems import Invalid, JobEnded, MailboxFull, NotFound, ShuttingDown
from runtime.reply import Reply
from runtime.tool_events import ApprovalRequested, ApprovalResolved, ToolProgressed, ToolsCalled
from store import change, jobs
from store.writer import Append, Write
from transports.egress.providers import asked
from transports.egress.providers.base import INCOMPLETE, End

if TYPE_CHECKING:
    from actors.job import Job

log = structlog.get_logger(__name__)
DIRECT: Final = "tool"  # the endpoint of a job that is one call, made by the caller
ALL: Final = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """What the job may call is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expire:
    """A question's time is over."""

    approval_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A human answers a question. Answered with an ApprovalView once that is committed.

    Raises (as the answer): NotFound, ApprovalResolved, Invalid, AuditUnavailable.
    """

    caller: Caller
    approval_id: str
    approves: bool
    content: Mapping[str, Any] | None
    request_id: str


Message: TypeAlias = Listed | CallEnded | Progressed | AskHuman | Answer | Expire


class ToolLoop:
    """One job's tools, over all the lives of its actor."""

    def __init__(self, job: Job) -> None:
        self.job, self.spine = job, job.spine
        self.catalog = ToolCatalog()
        self.offered = self.spine.offered.pop(job.job_id, None)
        self.begun: set[str] = set()  # items whose call has been begun in this life
        self.waiting: dict[str, Reply] = {}  # by approval

    def start(self) -> None:
        """Find out what the job may call; the job is told. Questions go on as they were asked."""
        self.begun = set()
        self.job.life.start_soon(self._list)
        for approval in self.job.state.open_approvals():
            self.job.life.start_soon(self._expire_later, approval)

    @property
    def _chosen(self) -> Any:
        """The ids of the tools that were named for the job, or ALL."""
        assert self.job.row.tools is not None, "a job without tools has no loop"
        return orjson.loads(self.job.row.tools)

    async def _list(self) -> None:
        catalog, self.offered, chosen = self.offered, None, self._chosen
        ids = None if chosen == ALL else chosen
        self.catalog = catalog or await self.spine.toolbox.catalog(self.job.owner, ids)
        self.job.actor_ref.tell(Listed())

    async def handle(self, message: Message) -> Any:
        """Act on a message to the job that is about tools."""
        match message:
            case Listed():
                await self._listed()
            case CallEnded():
                await self._ended(message)
            case Progressed():
                await self._progressed(message)
            case AskHuman():
                return await self._ask(message)
            case Answer():
                return await self._answer(message)
            case Expire():
                await self._expire(message.approval_id)
            case _:
                assert_never(message)
        return None

    # --- rounds ---

    async def _listed(self) -> None:
        """Begin: with the calls that the log knows of, or with the model."""
        if not self.job.is_idle():
            return
        state = self.job.state
        dead = [each for each in state.open_approvals() if "schema" in each]
        gone = [each["approval_id"] for each in dead if each["approval_id"] not in self.waiting]
        events: list[Data] = [ApprovalResolved(approval_id=id_, outcome="expired") for id_ in gone]
        chosen = self._chosen
        missing = () if chosen == ALL else [id_ for id_ in chosen if id_ not in self.catalog.offers]
        if missing and not state.items:
            detail = f"Not to be had now: {', '.join(missing)}"[: limits.TOOL_PROGRESS_CHARS]
            events.append(JobNoted(code="tools-missing", detail=detail, count=len(missing)))
        if events:
            await self.job.append(events)
        await self.job.go_on()

    def wanted(self) -> asked.Wanted:
        """Return the tools as the model is told them."""
        offers = self.catalog.offers.values()
        return asked.Wanted(
            tools=tuple(
                asked.Tool(
                    name=each.name, description=each.tool.description, parameters=each.tool.schema
                )
                for each in offers
            )
        )

    def follow(self, end: End) -> bool:
        """Whether calls follow an end of the model's turn."""
        whole = end.end_state in {"finished", "finished_no_reason"} and end.reason not in INCOMPLETE
        return whole and bool(self._new_calls())

    def _new_calls(self) -> list[job_state.OpenItem]:
        state = self.job.state
        since = list(state.items.values())[state.kept :]
        return [item for item in since if item.type == "tool_call"]

    def round_events(self) -> list[Data]:
        """Return what makes the model's turn final, and says what it calls."""
        calls: list[dict[str, Any]] = []
        for place, item in enumerate(self._new_calls()):
            call: dict[str, Any] = {
                "item_id": item.id,
                "tool_call_id": self.spine.ids.new("tcall_"),
            }
            offer = self.catalog.named(item.name or "")
            if place >= limits.TOOL_ROUND_CALLS_MAX:
                call["beyond"] = True
            elif offer is not None:
                call |= {"tool": offer.tool.id, "version": offer.tool.version}
            calls.append(call)
        done = job_state.open_items(self.job.state, "completed")
        return [*done, ToolsCalled(calls=tuple(calls))]

    async def begin_more(self) -> None:
        """Begin the calls for which there is a place."""
        calls = self.job.state.calls
        running = len(self.begun & calls.keys())
        for item_id, call in list(calls.items()):
            if running >= limits.TOOL_CALLS_MAX:
                break
            if item_id in self.begun:
                continue
            self.begun.add(item_id)
            running += 1
            try:
                actor = await self.spine.tool_calls.find(call["tool_call_id"])
            except ShuttingDown:
                return
            actor.tell(Begin(job=self.job.actor_ref, order=self._order(call)))
        self._note()

    def _order(self, call: Mapping[str, Any]) -> ToolOrder:
        row, item = self.job.row, self.job.state.items[call["item_id"]]
        tool = call.get("tool", "")
        owner = self.job.owner
        return ToolOrder(
            id=call["tool_call_id"],
            job_id=row.id,
            item_id=item.id,
            caller=owner,
            made_by=owner.name if row.endpoint == DIRECT else row.model,
            tool=tool,
            name=item.name or "",
            version=call.get("version", ""),
            arguments="".join(item.arguments),
            offer=self.catalog.offers.get(tool),
            beyond=call.get("beyond", False),
        )

    async def _ended(self, message: CallEnded) -> None:
        """Commit a result with its evidence; after the last of a round ask the model again."""
        state = self.job.state
        if not self.job.is_calling() or message.item_id not in state.calls:
            self.job.life.start_soon(self._settle, message)
            return
        if self.job.row.endpoint == DIRECT:  # its one call
            await self.job.finish_with(self._result(message), End(), message.settle)
            return
        await self.job.append(self._result(message), rows=message.settle)
        if state.calls:
            await self.begin_more()
        else:
            self._note()
            await self.job.go_on()

    async def _settle(self, message: CallEnded) -> None:
        """Settle the evidence of a call whose job has ended meanwhile."""
        await self.spine.write_until_kept(Write(rows=message.settle))

    def _result(self, message: CallEnded) -> list[Data]:
        state, result = self.job.state, message.result
        call = state.items[message.item_id]
        item_id = self.spine.ids.new("item_")
        known = call_id(self.job.job_id, call.item("completed").to_json())
        about: dict[str, Any] = {
            "type": "tool_result",
            "role": "tool",
            "index": state.items_started,
            "call_id": known,
            "name": call.name,
            "answers": call.id,
        }
        item = Item(
            id=item_id,
            status="completed",
            text=result.text or None,
            is_error=result.is_error,
            content=result.content or None,
            structured=result.structured,
            **about,
        )
        words = [ItemDelta(item_id=item_id, text=result.text)] if result.text else []
        done = ItemDone(item_id=item_id, item=item)
        return [ItemStarted(item_id=item_id, **about), *words, done]

    async def _progressed(self, message: Progressed) -> None:
        if self.job.is_calling() and message.item_id in self.job.state.calls:
            event = ToolProgressed(
                item_id=message.item_id,
                done=message.done,
                of=message.of,
                words=message.words or None,
            )
            await self.job.append([event])

    async def cancel(self) -> None:
        """Stop all calls, and wait for that a moment."""
        with trio.move_on_after(limits.TOOL_CLOSE_S) as late:
            stopped: list[trio.Event] = []
            for actor in self._alive():
                with suppress(ActorDeadError, MailboxFull):
                    stopped.append(await actor.request(Cancel()))
            for event in stopped:
                await event.wait()
        if late.cancelled_caught:
            log.warning("tool_stops_late", job_id=self.job.job_id)
        self.begun = set()
        self._note()

    def abandon(self) -> None:
        """Stop all calls without waiting: the job's actor is gone for good."""
        for actor in self._alive():
            with suppress(ActorDeadError, MailboxFull):
                actor.tell(Cancel())

    def _alive(self) -> list[Any]:
        open_calls = self.job.state.calls.values()
        found = (self.spine.tool_calls.alive(each["tool_call_id"]) for each in open_calls)
        return [each for each in found if each is not None]

    # --- approvals ---

    async def _ask(self, message: AskHuman) -> Reply:
        """Put a question, or find it where it was put before; the Reply is the human's word."""
        state, reply = self.job.state, Reply()
        if message.schema is None:
            for id_, known in state.approvals.items():
                if known["item_id"] == message.item_id and "schema" not in known:
                    self.waiting[id_] = reply
                    if (said := state.resolved.get(id_)) is not None:
                        self._tell(id_, said)
                    self._note()
                    return reply
        now_ms = self.spine.clock.now_ms()
        request = ApprovalRequested(
            approval_id=self.spine.ids.new("appr_"),
            item_id=message.item_id,
            question=message.question,
            tool=message.tool,
            schema=message.schema,
            expires_at=rfc3339(now_ms + limits.APPROVAL_MS),
        )
        await self.job.append([request])
        self.waiting[request.approval_id] = reply
        self.job.life.start_soon(self._expire_later, request.to_json())
        self._note()
        return reply

    async def _answer(self, message: Answer) -> ApprovalView:
        """Commit a human's word with its audit entry, and pass it on."""
        state, id_ = self.job.state, message.approval_id
        if (asked_for := state.approvals.get(id_)) is None:
            raise NotFound("There is no such approval.")
        if (said := state.resolved.get(id_)) is not None:
            raise HasAnswer(f"This was {said} before.", outcome=said)
        if not self._goes_on():
            raise JobEnded("The job is ending.", job_status=self.job.row.status)
        schema = asked_for.get("schema")
        if message.approves and schema is not None:
            await _check(schema, message.content or {})
        outcome: Literal["approved", "denied"] = "approved" if message.approves else "denied"
        by = message.caller.name
        event = ApprovalResolved(approval_id=id_, outcome=outcome, by=by)

        def audited(append: Append) -> Write[None]:
            return change.change(
                message.caller,
                action=f"approval.{outcome}",
                object_id=id_,
                at_ms=self.spine.clock.now_ms(),
                request_id=message.request_id,
                access=lambda db: jobs.has(db, message.caller, self.job.job_id),
                rows=lambda _: None,
                appends=(append,),
            )

        await self.job.append_once([event], audited)
        self._tell(id_, outcome, message.content)
        return ApprovalView(id=id_, job_id=self.job.job_id, outcome=outcome)

    async def _expire(self, approval_id: str) -> None:
        if self._goes_on() and approval_id not in self.job.state.resolved:
            await self.job.append([ApprovalResolved(approval_id=approval_id, outcome="expired")])
            self._tell(approval_id, "expired")

    def _goes_on(self) -> bool:
        """Whether something may still be added to the log."""
        return self.job.is_calling() or self.job.is_idle()

    def _tell(self, id_: str, said: Any, content: Mapping[str, Any] | None = None) -> None:
        if (reply := self.waiting.pop(id_, None)) is not None:
            reply.set(Word(approval_id=id_, outcome=said, content=content))
        self._note()

    async def _expire_later(self, approval: Mapping[str, Any]) -> None:
        left_ms = from_rfc3339(approval["expires_at"]) - self.spine.clock.now_ms()
        await trio.sleep(max(0, left_ms) / 1000)
        self.job.actor_ref.tell(Expire(approval_id=approval["approval_id"]))

    def _note(self) -> None:
        """Let the service know whether this job does nothing but wait for a human."""
        state = self.job.state
        asked_of = {
            each["item_id"] for each in state.open_approvals() if "schema" not in each
        } & state.calls.keys()
        busy = (self.begun & state.calls.keys()) - asked_of
        if self.job.is_calling() and asked_of and not busy:
            self.spine.waiting.add(self.job.job_id)
        else:
            self.spine.waiting.discard(self.job.job_id)


async def _check(schema: Mapping[str, Any], content: Mapping[str, Any]) -> None:
    """Check what a human wrote against what was asked for.

    Raises:
        Invalid: it is something else.
    """
    problem = await checking.problem_with(schema, content)
    if problem:
        raise Invalid.at("/content", problem)
