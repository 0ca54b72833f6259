"""Calls that a server answers with a task: asked about until it has ended, answered, cancelled.

Theory: a server may turn any call into a task, once we say that we know what one is. Whoever waits
for the call waits for its end and need not know. What a task asks is put to whoever the questions
of calls are put to. The server says how often it wants to be asked; we keep to it, within bounds.
Source: SEP-2663 (`tasks/get`, `tasks/update`, `tasks/cancel`; results come inlined).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import mcp_types as types
import trio
from mcp.client.context import ClientRequestContext
from mcp.client.extension import ClaimContext, ClientExtension, ResultClaim
from mcp.client.session import ClientSession
from mcp.shared.exceptions import MCPError
from pydantic import Field, TypeAdapter

from runtime import limits

QUESTIONS: Final[TypeAdapter[types.InputRequest]] = TypeAdapter(types.InputRequest)
LOST: Final = types.ErrorData(code=types.INTERNAL_ERROR, message="The task has no such end.")


class Made(types.Result):
    """A task in place of a result, or as it stands."""

    result_type: Literal["task"] = Field(default="task", alias="resultType")
    task_id: str = Field(alias="taskId")
    poll_ms: int | None = Field(default=None, alias="pollIntervalMs")


class Told(types.Result):
    """A task as it stands; the answers to the other methods have nothing of it."""

    status: str = ""
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    asked: dict[str, Any] | None = Field(default=None, alias="inputRequests")
    poll_ms: int | None = Field(default=None, alias="pollIntervalMs")


class OfTask(types.RequestParams):
    """Which task; and what is answered to its questions."""

    task_id: str = Field(alias="taskId")
    input_responses: dict[str, Any] | None = Field(default=None, alias="inputResponses")


class TaskRequest(types.Request[OfTask, str]):
    """One of the extension's methods; its header names the task."""

    name_param = "taskId"


class Tasks(ClientExtension):
    """Says that we know what a task is, and sees each to its end."""

    identifier = "io.modelcontextprotocol/tasks"

    def claims(self) -> Sequence[ResultClaim[Any]]:
        """Return what a call may answer besides a result; see the SDK."""
        return (ResultClaim(result_type="task", model=Made, resolve=_ended),)


async def _ended(made: Made, context: ClaimContext) -> types.CallToolResult:
    """Wait for the end of a task and return its result.

    Raises:
        MCPError: it failed, or was cancelled at the server.
    """
    session, least_s, most_s = context.session, *limits.MCP_TASK_POLL_S
    answered: set[str] = set()
    try:
        while True:
            told = await _ask(session, "tasks/get", OfTask(taskId=made.task_id))
            match told.status:
                case "completed":
                    return types.CallToolResult.model_validate(told.result)
                case "working":
                    pass
                case "input_required":
                    await _answer(session, made.task_id, told.asked or {}, answered)
                case _:
                    raise MCPError.from_error_data(_why(told))
            pause_s = (told.poll_ms or made.poll_ms or 0) / 1000
            await trio.sleep(min(max(pause_s, least_s), most_s))
    except trio.Cancelled:
        with trio.move_on_after(limits.MCP_CLOSE_S, shield=True):
            await _ask(session, "tasks/cancel", OfTask(taskId=made.task_id))
        raise


async def _ask(session: ClientSession, method: str, params: OfTask) -> Told:
    return await session.send_request(TaskRequest(method=method, params=params), Told)


async def _answer(
    session: ClientSession, task_id: str, asked: dict[str, Any], answered: set[str]
) -> None:
    """Put a task's questions to the person, each once, and send what they answer."""
    responses: dict[str, Any] = {}
    for key in [each for each in asked if each not in answered][: limits.MCP_ROUNDS_MAX]:
        question = QUESTIONS.validate_python(asked[key])
        context = ClientRequestContext(session=session, request_id=key, meta=None)
        answer = await session.dispatch_input_request(context, question)
        if isinstance(answer, types.ErrorData):
            raise MCPError.from_error_data(answer)
        responses[key] = answer.model_dump(mode="json", by_alias=True, exclude_none=True)
        answered.add(key)
    if responses:
        await _ask(session, "tasks/update", OfTask(taskId=task_id, inputResponses=responses))


def _why(told: Told) -> types.ErrorData:
    if told.error is not None:
        return types.ErrorData.model_validate(told.error)
    if told.status == "cancelled":
        return types.ErrorData(code=types.INTERNAL_ERROR, message="The server cancelled the task.")
    return LOST
