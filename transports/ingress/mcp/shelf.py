"""What is offered over MCP: tools by the shelf, and tasks by their keeper; who asks for them.

A shelf holds tools of one kind, for the caller who asks. A call may end in a result, in a question
to the client (`input_required`), or in a task, which its keeper then tells of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

from mcp.server.context import HandlerResult, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import MISSING_REQUIRED_CLIENT_CAPABILITY, CallToolRequestParams, Tool
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from runtime.caller import Caller

ASKER: Final = "runchat.asker"  # where the scope carries it
BEGUN: Final = "runchat.begun"  # and the event that its client has heard the first of the answer
TASKS: Final = "io.modelcontextprotocol/tasks"
Context: TypeAlias = ServerRequestContext[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Who asks, in which request."""

    caller: Caller
    request_id: str


class Shelf(Protocol):
    """Tools of one kind."""

    async def tools(self, asker: Asker) -> Sequence[Tool]:
        """Return what the caller may call, in the same order each time."""
        ...

    async def call(
        self, ctx: Context, asker: Asker, params: CallToolRequestParams
    ) -> HandlerResult:
        """Call a tool of this shelf; None where it has none of this name.

        Raises:
            Problem: what the caller is told; it becomes the tool's error.
        """
        ...


class Keeper(Protocol):
    """Knows the tasks of one kind."""

    async def task(self, asker: Asker, task_id: str) -> Mapping[str, Any]:
        """Return a task as `tasks/get` shows it.

        Raises:
            NotFound: there is none, for this caller.
        """
        ...

    async def answer(self, asker: Asker, task_id: str, answers: Mapping[str, Any]) -> None:
        """Take answers to questions of a task; what nobody asked is passed over."""
        ...

    async def cancel(self, asker: Asker, task_id: str) -> None:
        """End a task; one that has ended stays as it is."""
        ...


def asker_of(ctx: Context) -> Asker:
    """Return who asks; the front has put it beside the request."""
    asker: Asker = ctx.request.scope[ASKER]  # type: ignore[union-attr]  # Starlette's request
    return asker


def is_modern(ctx: Context) -> bool:
    """Whether the request speaks a revision without sessions."""
    return ctx.protocol_version in MODERN_PROTOCOL_VERSIONS


def takes_tasks(ctx: Context) -> bool:
    """Whether the client said, in this very request, that it knows what a task is."""
    capabilities = ctx.session.client_capabilities if is_modern(ctx) else None
    return capabilities is not None and TASKS in (capabilities.extensions or {})


def needs_tasks() -> MCPError:
    """Return the refusal of what only a client with tasks can have."""
    required: dict[str, Any] = {"requiredCapabilities": {"extensions": {TASKS: {}}}}
    return MCPError(MISSING_REQUIRED_CLIENT_CAPABILITY, "This needs the tasks extension.", required)
