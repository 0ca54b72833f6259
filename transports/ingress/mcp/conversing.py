"""Conversations as MCP tools: list them, read one, search them all, and ask a model.

A question is a job like any other: its task id is the job's id, so that a task outlives the
connection, and the service. Progress tells the words as they come. A client that cancels a question
ends its job. Everything goes by the desk, as the HTTP routes do, with its audit and its refusals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Final, Literal

import trio
from mcp.server.context import HandlerResult
from mcp_types import CallToolRequestParams, CallToolResult, ContentBlock, TextContent, Tool
from pydantic import Field

from actors import searching
from actors.desk import Desk, Order
from actors.ending import stream_of
from actors.views import JobView
from runtime import limits
from runtime.caller import Caller
from runtime.events import CURRENT, JOB_END, TextPart, decode
from runtime.hub import Hub
from runtime.log import EventLog, Subscription
from runtime.problems import Invalid, JobEnded
from store.database import Database
from transports.ingress.mcp.arguments import STRICT, Act, capped, told
from transports.ingress.mcp.shelf import Asker, Context, takes_tasks

TITLE_CHARS: Final = 80  # of a conversation that begins with a question
Limit = Annotated[int, Field(ge=1, le=100, description="How many at most.")]
Cursor = Annotated[
    str | None, Field(description="`next_cursor` of the page before; none for the first.")
]
ConversationId = Annotated[str, Field(description="The id of a conversation.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListThem:
    """Which page."""

    __pydantic_config__ = STRICT
    limit: Limit = 25
    cursor: Cursor = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOne:
    """Which page of which conversation."""

    __pydantic_config__ = STRICT
    conversation_id: ConversationId
    limit: Limit = 25
    cursor: Cursor = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What to look for."""

    __pydantic_config__ = STRICT
    query: Annotated[
        str,
        Field(
            min_length=1,
            max_length=limits.SEARCH_CHARS_MAX,
            description="Words as they were said; case does not matter.",
        ),
    ]
    limit: Limit = 25
    cursor: Cursor = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What to ask, of whom, and where."""

    __pydantic_config__ = STRICT
    input: Annotated[str, Field(min_length=1, description="The question.")]
    conversation_id: Annotated[
        str | None, Field(description="The conversation to go on with; none begins a new one.")
    ] = None
    model: Annotated[str | None, Field(description="The model; none is the service's own.")] = None
    on_active: Annotated[
        Literal["refuse", "replace", "queue"],
        Field(description="What to do where the conversation is being answered."),
    ] = "refuse"


class Conversing:
    """The shelf of conversations, and the keeper of the tasks that are jobs."""

    def __init__(self, desk: Desk, log: EventLog, hub: Hub, reader: Database) -> None:
        self._desk, self._log, self._hub, self._reader = desk, log, hub, reader
        acts: tuple[Act[Any], ...] = (
            Act(
                name="ask",
                title="Ask a model",
                description="Put a question to a language model and wait for its answer.",
                arguments=Ask,
                run=self._ask,
                reads=False,
            ),
            Act(
                name="list_conversations",
                title="List conversations",
                description="Your conversations, newest first.",
                arguments=ListThem,
                run=self._list,
                reads=True,
            ),
            Act(
                name="read_conversation",
                title="Read a conversation",
                description="The messages of a conversation, oldest first.",
                arguments=ReadOne,
                run=self._read,
                reads=True,
            ),
            Act(
                name="search",
                title="Search conversations",
                description="Look for words in the titles and messages of your conversations.",
                arguments=Search,
                run=self._search,
                reads=True,
            ),
        )
        self._acts = {act.name: act for act in acts}
        self._tools = tuple(act.tool() for act in acts)

    async def tools(self, _: Asker) -> Sequence[Tool]:
        """Return the four tools; they are everybody's."""
        return self._tools

    async def call(
        self, ctx: Context, asker: Asker, params: CallToolRequestParams
    ) -> HandlerResult:
        """Call one of them."""
        act = self._acts.get(params.name)
        return await act.run(ctx, asker, act.read(params.arguments)) if act else None

    async def _list(self, _: Context, asker: Asker, wanted: ListThem) -> CallToolResult:
        page = self._desk.conversations(asker.caller, limit=wanted.limit, before=wanted.cursor)
        return told(asdict(page))

    async def _read(self, _: Context, asker: Asker, wanted: ReadOne) -> CallToolResult:
        page = self._desk.messages(
            asker.caller,
            wanted.conversation_id,
            limit=wanted.limit,
            after=_position(wanted.cursor),
        )
        shown, left = list[Mapping[str, Any]](), limits.MCP_SERVED_CHARS
        next_cursor = page.next_cursor
        for place, message in enumerate(page.items):
            text = "".join(part["text"] for part in message.parts if part["type"] == "text")
            if len(text) > left and shown:  # it opens the next page
                next_cursor = self._cursor_before(asker.caller, wanted, place)
                break
            left -= len(text)
            where = f"/api/conversations/{wanted.conversation_id}/messages"
            text, truncated = capped(text, where)
            shown.append(
                {
                    "id": message.id,
                    "role": message.role,
                    "text": text,
                    "truncated": truncated,
                    "job_id": message.job_id,
                    "created_at": message.created_at,
                    "status": message.status,
                }
            )
        return told({"items": shown, "next_cursor": next_cursor})

    def _cursor_before(self, caller: Caller, wanted: ReadOne, place: int) -> str | None:
        """Return the cursor behind the first `place` messages of a page."""
        page = self._desk.messages(
            caller, wanted.conversation_id, limit=place, after=_position(wanted.cursor)
        )
        return page.next_cursor

    async def _search(self, _: Context, asker: Asker, wanted: Search) -> CallToolResult:
        page = await searching.search(
            self._reader, asker.caller, wanted.query, limit=wanted.limit, before=wanted.cursor
        )
        return told(asdict(page))

    async def _ask(self, ctx: Context, asker: Asker, wanted: Ask) -> HandlerResult:
        if len(wanted.input.encode()) > limits.INPUT_BYTES_MAX:
            raise Invalid(f"/input: The input is longer than {limits.INPUT_BYTES_MAX} bytes.")
        order = Order(
            input=(TextPart(text=wanted.input),), model=wanted.model, on_active=wanted.on_active
        )
        self._desk.check(order)  # before a conversation is begun for it
        home = wanted.conversation_id or await self._begin(asker, wanted.input)
        job = await self._desk.start_job(asker.caller, home, order, None, asker.request_id)
        if takes_tasks(ctx):
            return {**_task_of(job), "resultType": "task"}
        try:
            await self._follow(ctx, job.id)
        except trio.Cancelled:
            with trio.CancelScope(shield=True):
                await self.cancel(asker, job.id)
            raise
        return _result_of(await self._desk.job(asker.caller, job.id))

    async def _begin(self, asker: Asker, question: str) -> str:
        title = " ".join(question.split())[:TITLE_CHARS]
        view = await self._desk.create_conversation(asker.caller, title, None, asker.request_id)
        return view.id

    async def _follow(self, ctx: Context, job_id: str) -> None:
        """Wait for the job's end, and tell its words as they come."""
        stream = stream_of(job_id)
        reading = Subscription(self._log, self._hub, stream, after=0, terminal=JOB_END)
        said = 0
        while not reading.ended:
            segments = reading.read()
            if not segments:
                await reading.wait()
                continue
            bodies = [body for each in segments for body in each.bodies]
            words = "".join(map(_words_of, bodies))
            said += len(words)
            if words:
                telling = words[-limits.MCP_PROGRESS_CHARS :]
                await ctx.session.report_progress(float(said), message=telling)

    async def task(self, asker: Asker, task_id: str) -> Mapping[str, Any]:
        """Return a job as a task."""
        return _task_of(await self._desk.job(asker.caller, task_id), detailed=True)

    async def answer(self, asker: Asker, task_id: str, answers: Mapping[str, Any]) -> None:
        """Pass over the answers: a job asks nothing of this client."""
        del answers
        await self._desk.job(asker.caller, task_id)

    async def cancel(self, asker: Asker, task_id: str) -> None:
        """End the job; one that has ended stays as it is."""
        with suppress(JobEnded):
            await self._desk.abort_job(asker.caller, task_id, asker.request_id)


def _position(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdigit()) or int(cursor) > limits.ORDINAL_MAX:
        raise Invalid("/cursor: This is no cursor of this list.")
    return int(cursor)


def _words_of(body: bytes) -> str:
    """Return the words that an event adds to the answer."""
    event = decode(body)
    return (event["data"].get("text") or "") if event["kind"] == "item.delta" else ""


def _answer_of(job: JobView) -> str:
    said = [item for item in job.items if item["type"] in {"message", "refusal"}]
    return "".join(item.get("text") or "" for item in said)


def _result_of(job: JobView) -> CallToolResult:
    """Return what came of a question; an unfinished answer is never shown as a finished one."""
    text, truncated = capped(_answer_of(job), f"/api/jobs/{job.id}")
    known = {
        "conversation_id": job.conversation_id,
        "job_id": job.id,
        "status": job.status,
        "model": job.model,
        "text": text,
        "truncated": truncated,
    }
    content: list[ContentBlock] = [TextContent(text=text)]
    finished = job.status == "completed"
    if not finished:
        why = f" ({job.reason})" if job.reason else ""
        content.append(TextContent(text=f"[The answer ended {job.status}{why}.]"))
    return CallToolResult(content=content, structured_content=known, is_error=not finished)


def _task_of(job: JobView, *, detailed: bool = False) -> dict[str, Any]:
    status = "working" if job.status in CURRENT else "completed"
    if job.status == "aborted":
        status = "cancelled"
    task: dict[str, Any] = {
        "taskId": job.id,
        "status": status,
        "createdAt": job.created_at,
        "lastUpdatedAt": job.ended_at or job.started_at or job.created_at,
        "ttlMs": None,  # as long as the job is kept
        "pollIntervalMs": limits.MCP_POLL_MS,
    }
    if detailed and status == "completed":
        result = _result_of(job).model_dump(mode="json", by_alias=True, exclude_none=True)
        task["result"] = result
    return task
