"""Conversations as MCP tools: list them, read one, search them all, and ask a model.

A question is a job like any other. Everything goes by the desk, as the HTTP routes do, with its
audit and its refusals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Final, Literal

from mcp.server.context import HandlerResult
from mcp_types import CallToolRequestParams, CallToolResult, Tool
from pydantic import Field

from actors import searching
from actors.desk import Desk, Order
from runtime import limits
from runtime.caller import Caller
from runtime.events import TextPart
from runtime.problems import Invalid
from store.database import Database
from transports.ingress.mcp.arguments import STRICT, Act, capped, told
from transports.ingress.mcp.jobs import Jobs
from transports.ingress.mcp.shelf import Asker, Context

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
    """The shelf of conversations."""

    def __init__(self, desk: Desk, jobs: Jobs, reader: Database) -> None:
        self._desk, self._jobs, self._reader = desk, jobs, reader
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

    @property
    def names(self) -> frozenset[str]:
        """What they are called."""
        return frozenset(self._acts)

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
        await self._desk.check(order)  # before a conversation is begun for it
        home = wanted.conversation_id or await self._begin(asker, wanted.input)
        job = await self._desk.start_job(asker.caller, home, order, None, asker.request_id)
        return await self._jobs.run(ctx, asker, job)

    async def _begin(self, asker: Asker, question: str) -> str:
        title = " ".join(question.split())[:TITLE_CHARS]
        view = await self._desk.create_conversation(asker.caller, title, None, asker.request_id)
        return view.id


def _position(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdigit()) or int(cursor) > limits.ORDINAL_MAX:
        raise Invalid("/cursor: This is no cursor of this list.")
    return int(cursor)
