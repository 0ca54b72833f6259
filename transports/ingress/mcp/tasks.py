"""The Tasks extension: a call that goes on after its answer, asked about by its id.

Theory: whoever makes a task keeps it, and the id says nothing that the caller may not know; one
that is not there and another's are refused alike. The extension has `get`, `update` and `cancel`;
results come inlined, there is no list. It exists for clients that declare it, on the revision
without sessions. Source: SEP-2663, SEP-2243 for the header that names the task.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from mcp_types import HEADER_MISMATCH, INVALID_PARAMS, METHOD_NOT_FOUND, RequestParams
from pydantic import Field

from runtime.problems import NotFound
from transports.ingress.mcp.shelf import (
    TASKS,
    Asker,
    Context,
    Keeper,
    asker_of,
    is_modern,
    needs_tasks,
    takes_tasks,
)

T = TypeVar("T")
ENDED: Final = frozenset({"completed", "failed", "cancelled"})


class OfTask(RequestParams):
    """Which task."""

    task_id: str = Field(alias="taskId")


class Answers(OfTask):
    """What the client answers to the questions of a task, by their keys."""

    input_responses: dict[str, Any] = Field(alias="inputResponses")


def offer(server: Server[Any], keepers: Sequence[Keeper]) -> None:
    """Put the extension's methods on a server."""

    async def get(ctx: Context, params: OfTask) -> dict[str, Any]:
        asker = _admitted(ctx, params)
        told = await _of_its_keeper(keepers, lambda keeper: keeper.task(asker, params.task_id))
        return {**told, "resultType": "complete"}

    async def update(ctx: Context, params: Answers) -> dict[str, Any]:
        asker, said = _admitted(ctx, params), params.input_responses
        await _of_its_keeper(keepers, lambda keeper: keeper.answer(asker, params.task_id, said))
        return {"resultType": "complete"}

    async def cancel(ctx: Context, params: OfTask) -> dict[str, Any]:
        asker = _admitted(ctx, params)
        await _of_its_keeper(keepers, lambda keeper: keeper.cancel(asker, params.task_id))
        return {"resultType": "complete"}

    server.extensions[TASKS] = {}
    server.add_request_handler("tasks/get", OfTask, get)
    server.add_request_handler("tasks/update", Answers, update)
    server.add_request_handler("tasks/cancel", OfTask, cancel)


def _admitted(ctx: Context, params: OfTask) -> Asker:
    if not is_modern(ctx):
        raise MCPError(METHOD_NOT_FOUND, "Method not found", ctx.method)
    if not takes_tasks(ctx):
        raise needs_tasks()
    if ctx.request is None or ctx.request.headers.get("mcp-name", "").strip() != params.task_id:
        raise MCPError(HEADER_MISMATCH, "The Mcp-Name header does not name the task.")
    return asker_of(ctx)


async def _of_its_keeper(keepers: Sequence[Keeper], act: Callable[[Keeper], Awaitable[T]]) -> T:
    for keeper in keepers:
        try:
            return await act(keeper)
        except NotFound:
            continue
    raise MCPError(INVALID_PARAMS, "No such task.")
