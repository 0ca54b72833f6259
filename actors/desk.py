"""The desk: what a caller can ask of conversations and jobs, each as one call.

The front turns a request into one of these calls and its result into bytes. Reads come from the
store, but for a job that is being answered, which its actor shows. What a caller may not see is
absent: NotFound, the same for a thing that never was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

import orjson
import structlog
from pykka import ActorDeadError

from actors import fitting
from actors.claims import Claim
from actors.conversation import AbortJob, StartJob
from actors.ending import fold_log, stream_of
from actors.endpoints import Endpoints
from actors.founding import Founding
from actors.job import Look
from actors.job_view import view_of_ended
from actors.model_facts import ModelFacts
from actors.responses_desk import Responses
from actors.spine import Spine
from actors.streams.streams import Streams
from actors.subscriptions.desk import Subscriptions
from actors.tools.desk import ToolDesk
from actors.tools.loop import Answer
from actors.turn_desk import TurnDesk
from actors.views import ApprovalView, ConversationView, JobView, MessageView, Page
from runtime.caller import Caller
from runtime.clock import rfc3339
from runtime.events import TextPart
from runtime.problems import ApprovalResolved, JobEnded, NotFound, ShuttingDown
from store import change, conversations, jobs, messages
from store.conversations import ConversationRow
from store.jobs import JobRow
from transports.egress.providers.asked import said
from transports.egress.providers.base import Model, Provider, read_options

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a caller asks of a model."""

    input: tuple[TextPart, ...]
    model: str | None = None
    on_active: Literal["refuse", "replace", "queue"] = "refuse"
    replaces: str | None = None
    options: Mapping[str, Any] | None = None
    traceparent: str = ""
    tools: Sequence[str] | Literal["all"] | None = None  # ids; None: none


class Desk:
    """One per service. `closing` is set once the service takes no new work."""

    def __init__(self, spine: Spine) -> None:
        self._spine = spine
        self.streams = Streams(spine)
        self.endpoints = Endpoints(spine)
        self.facts = ModelFacts(spine)
        self.mcp = spine.mcp
        self.actions = spine.actions
        self.subscriptions = Subscriptions(spine)
        self.tools = ToolDesk(spine)
        self.turns = TurnDesk(spine)
        self.responses = Responses(spine, self.turns)
        self.closing = False

    async def create_conversation(
        self, caller: Caller, title: str, claim: Claim | None, request_id: str
    ) -> ConversationView:
        """Begin a conversation, durable when this returns."""
        if self.closing:
            raise ShuttingDown("The service is stopping.")
        founding = Founding.of(self._spine, caller, title=title)
        view, now_ms = _conversation_view(founding.row, None), founding.row.created_at_ms
        await self._spine.writer.write(
            change.change(
                caller,
                action="conversation.create",
                object_id=founding.row.id,
                at_ms=now_ms,
                request_id=request_id,
                access=lambda _: True,
                rows=founding.write,
                appends=(founding.append(),),
                idempotency=claim.record(caller, view, now_ms) if claim else None,
            )
        )
        return view

    async def start_job(
        self,
        caller: Caller,
        conversation_id: str,
        order: Order,
        claim: Claim | None,
        request_id: str,
    ) -> JobView:
        """Ask a model; the job is durable when this returns.

        Raises:
            NotFound, Invalid, JobActive, JobChanged, QueueFull, ShuttingDown, AuditUnavailable.
        """
        if self.closing:
            raise ShuttingDown("The service is stopping.")
        self._conversation(caller, conversation_id)
        provider, model = await self.check(order)
        message = StartJob(
            caller=caller,
            input=order.input,
            model=model.id,
            endpoint=provider.endpoint,
            options=order.options or {},
            on_active=order.on_active,
            replaces=order.replaces,
            claim=claim,
            request_id=request_id,
            traceparent=order.traceparent,
            tools=orjson.dumps(order.tools) if order.tools else None,
        )
        view: JobView = await self._spine.conversations.ask(conversation_id, message)
        log.info("job_taken", job_id=view.id, status=view.status, model=view.model)
        return view

    async def check(self, order: Order) -> tuple[Provider, Model]:
        """Return who is asked, where the order can be filled at all.

        Raises:
            Invalid: no such model or option, or an input that does not fit it.
        """
        provider, model = self._spine.catalog.find(order.model)
        options = read_options(model, order.options)
        text = "".join(part.text for part in order.input)
        await fitting.fit([said("user", text)], model, options)
        return provider, model

    async def abort_job(self, caller: Caller, job_id: str, request_id: str) -> JobView:
        """Stop a job; its end is committed when this returns. Again: the same.

        Raises:
            NotFound, runtime.problems.JobEnded, AuditUnavailable.
        """
        row = self._job(caller, job_id)
        message = AbortJob(caller=caller, job_id=job_id, request_id=request_id)
        view: JobView = await self._spine.conversations.ask(row.conversation_id, message)
        return view

    async def answer_approval(self, caller: Caller, job_id: str, answer: Answer) -> ApprovalView:
        """Answer what a human is asked in a job; the answer is committed when this returns.

        Raises:
            NotFound, ApprovalResolved, runtime.problems.JobEnded, Invalid, AuditUnavailable.
        """
        row = self._job(caller, job_id)
        if row.status == "running" and row.tools is not None:
            with suppress(ActorDeadError):
                view: ApprovalView = await self._spine.jobs.ask(job_id, answer)
                return view
        state = await fold_log(self._spine.log, job_id)
        if answer.approval_id not in state.approvals:
            raise NotFound("There is no such approval.")
        if (said := state.resolved.get(answer.approval_id)) is not None:
            raise ApprovalResolved(f"This was {said} before.", outcome=said)
        raise JobEnded(f"The job has ended as {row.status}.", job_status=row.status)

    async def job(self, caller: Caller, job_id: str) -> JobView:
        """Return a job as its log stands."""
        row = self._job(caller, job_id)
        if row.status == "running":
            try:
                view: JobView = await self._spine.jobs.ask(job_id, Look())
            except ActorDeadError:
                row = self._job(caller, job_id)
            else:
                return view
        return view_of_ended(row, self._head(job_id))

    def jobs(
        self,
        caller: Caller,
        *,
        status: str | None,
        conversation_id: str | None,
        limit: int,
        before: str | None,
    ) -> Page[JobView]:
        """Return the caller's jobs, newest first.

        Args:
            status: a Status, `active` for queued and running, or None for all.
            before: the cursor, an id.
        """
        rows = jobs.list_page(
            self._spine.reader,
            caller,
            status=status,
            conversation_id=conversation_id,
            limit=limit + 1,
            before_id=before,
        )
        shown = tuple(view_of_ended(row, self._head(row.id)) for row in rows[:limit])
        return Page(items=shown, next_cursor=shown[-1].id if len(rows) > limit else None)

    def conversation(self, caller: Caller, conversation_id: str) -> ConversationView:
        """Return a conversation."""
        row = self._conversation(caller, conversation_id)
        return self._shown(row)

    def conversations(
        self, caller: Caller, *, limit: int, before: str | None
    ) -> Page[ConversationView]:
        """Return the caller's conversations, newest first."""
        rows = conversations.list_page(
            self._spine.reader, caller, limit=limit + 1, before_id=before
        )
        shown = tuple(map(self._shown, rows[:limit]))
        return Page(items=shown, next_cursor=shown[-1].id if len(rows) > limit else None)

    def messages(
        self, caller: Caller, conversation_id: str, *, limit: int, after: int
    ) -> Page[MessageView]:
        """Return a conversation's messages, oldest first.

        Args:
            after: the cursor: the position of the last message seen, 0 for the start.
        """
        self._conversation(caller, conversation_id)
        rows = messages.list_page(
            self._spine.reader, conversation_id, limit=limit + 1, after_position=after
        )
        shown = tuple(
            MessageView(
                id=row.id,
                role=row.role,
                parts=tuple(orjson.loads(row.parts)),
                job_id=row.job_id,
                created_at=rfc3339(row.created_at_ms),
                status=row.status,
            )
            for row in rows[:limit]
        )
        more = len(rows) > limit
        return Page(items=shown, next_cursor=str(rows[limit - 1].position) if more else None)

    def open_stream(self, caller: Caller, stream: str) -> None:
        """Check that the caller may read a stream: `jobs/<id>` or `conversations/<id>`.

        Raises:
            NotFound: there is none, for this caller.
        """
        noun, _, thing_id = stream.partition("/")
        if noun == "jobs":
            if not jobs.has(self._spine.reader, caller, thing_id):
                raise NotFound("No such job.")
        elif noun == "conversations":
            self._conversation(caller, thing_id)
        else:
            raise NotFound("No such stream.")

    def _job(self, caller: Caller, job_id: str) -> JobRow:
        row = jobs.get(self._spine.reader, caller, job_id)
        if row is None:
            raise NotFound("No such job.")
        return row

    def _conversation(self, caller: Caller, conversation_id: str) -> ConversationRow:
        row = conversations.get(self._spine.reader, caller, conversation_id)
        if row is None:
            raise NotFound("No such conversation.")
        return row

    def _shown(self, row: ConversationRow) -> ConversationView:
        current = jobs.current(self._spine.reader, row.id)
        return _conversation_view(row, current.id if current else None)

    def _head(self, job_id: str) -> int:
        head = self._spine.log.head(stream_of(job_id))
        return head.sequence if head else 0


def _conversation_view(row: ConversationRow, current_job: str | None) -> ConversationView:
    return ConversationView(
        id=row.id,
        title=row.title,
        created_at=rfc3339(row.created_at_ms),
        current_job=current_job,
    )
