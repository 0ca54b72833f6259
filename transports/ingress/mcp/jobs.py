"""A job as a client of MCP sees it: waited for and told of, or a task whose id is the job's.

So a task outlives the connection, and the service. A client that cancels a call ends its job; one
that only loses its connection does not, where its revision says so. What a human is asked meanwhile
is a question of the task, which its client may answer; who has no tasks is told that it waits, and
a person answers elsewhere. An unfinished answer is an error that says how it ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Literal

import trio
from mcp.server.context import HandlerResult
from mcp_types import (
    BlobResourceContents,
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    TextContent,
)
from pydantic import TypeAdapter, ValidationError

from actors.desk import Desk
from actors.ending import stream_of
from actors.tools import result as tool_result
from actors.tools.loop import Answer
from actors.views import JobView
from runtime import limits
from runtime.events import CURRENT, JOB_END, decode
from runtime.hub import Hub
from runtime.log import EventLog, Subscription
from runtime.problems import ApprovalResolved, Invalid, JobEnded
from transports.egress.providers.asked import DATA_URL, Content, Text
from transports.ingress.mcp.arguments import capped
from transports.ingress.mcp.shelf import Asker, Context, takes_tasks

YES: Final[Mapping[str, Any]] = {"type": "object", "properties": {}}  # to accept it is to say so


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a user said to a question."""

    action: Literal["accept", "decline", "cancel"]
    content: dict[str, Any] | None = None


SAID: Final = TypeAdapter(Said)


class Jobs:
    """The callers' jobs, and the keeper of the tasks that they are."""

    def __init__(self, desk: Desk, log: EventLog, hub: Hub) -> None:
        self._desk, self._log, self._hub = desk, log, hub

    async def run(self, ctx: Context, asker: Asker, job: JobView) -> HandlerResult:
        """Return a job that has just begun: as a task, or what came of it."""
        if takes_tasks(ctx):
            return {**_task_of(job), "resultType": "task"}
        try:
            await self._follow(ctx, job.id)
        except trio.Cancelled:
            with trio.CancelScope(shield=True):
                await self.cancel(asker, job.id)
            raise
        return _result_of(await self._desk.job(asker.caller, job.id))

    async def _follow(self, ctx: Context, job_id: str) -> None:
        """Wait for the job's end, and tell what it says as it comes."""
        stream = stream_of(job_id)
        reading = Subscription(self._log, self._hub, stream, after=0, terminal=JOB_END)
        told = 0.0
        while not reading.ended:
            segments = reading.read()
            if not segments:
                await reading.wait()
                continue
            events = [decode(body) for each in segments for body in each.bodies]
            words = "".join(map(_words_of, events))
            told += len(words)
            if words:
                await ctx.session.report_progress(told, None, words[-limits.MCP_PROGRESS_CHARS :])

    async def task(self, asker: Asker, task_id: str) -> Mapping[str, Any]:
        """Return a job as a task."""
        return _task_of(await self._desk.job(asker.caller, task_id), detailed=True)

    async def answer(self, asker: Asker, task_id: str, answers: Mapping[str, Any]) -> None:
        """Answer what a human is asked in the job; what nobody asks is passed over."""
        job = await self._desk.job(asker.caller, task_id)
        asked = {each["approval_id"] for each in job.approvals}
        for key in sorted(asked & set(answers)):
            try:
                said = SAID.validate_python(answers[key])
            except ValidationError:
                raise Invalid("This is no answer to the question.") from None
            message = Answer(
                caller=asker.caller,
                approval_id=key,
                approves=said.action == "accept",
                content=said.content,
                request_id=asker.request_id,
            )
            with suppress(ApprovalResolved):  # somebody else was first
                await self._desk.answer_approval(asker.caller, task_id, message)

    async def cancel(self, asker: Asker, task_id: str) -> None:
        """End the job; one that has ended stays as it is."""
        with suppress(JobEnded):
            await self._desk.abort_job(asker.caller, task_id, asker.request_id)


def _words_of(event: Mapping[str, Any]) -> str:
    """Return what an event lets be told."""
    data = event["data"]
    match event["kind"]:
        case "item.delta":
            return data.get("text") or ""
        case "tool.progressed":
            return data.get("words") or f"{data['done']:g}\n"
        case "approval.requested":
            return f"[waits for an answer: {data['question']}]\n"
        case _:
            return ""


def _result_of(job: JobView) -> CallToolResult:
    """Return what came of a job: of a call its result, of a question the answer."""
    results = [item for item in job.items if item["type"] == "tool_result"]
    if results and job.status == "completed":
        return _of_tool(results[-1])
    said = [item for item in job.items if item["type"] in {"message", "refusal"}]
    whole = "".join(item.get("text") or "" for item in said)
    text, truncated = capped(whole, f"/api/jobs/{job.id}")
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


def _of_tool(item: Mapping[str, Any]) -> CallToolResult:
    return CallToolResult(
        content=[_block(each) for each in tool_result.contents(item)],
        structured_content=item.get("structured"),
        is_error=bool(item.get("is_error")),
    )


def _block(part: Content) -> ContentBlock:
    if isinstance(part, Text):
        return TextContent(text=part.text)
    match = DATA_URL.fullmatch(part.url)
    assert match is not None, "what is kept of a result is the thing itself"
    kind, data = match.groups()
    if kind.startswith("image/"):
        return ImageContent(data=data, mime_type=kind)
    blob = BlobResourceContents(uri="result://document", mime_type=kind or None, blob=data)
    return EmbeddedResource(resource=blob)


def _task_of(job: JobView, *, detailed: bool = False) -> dict[str, Any]:
    task: dict[str, Any] = {
        "taskId": job.id,
        "status": _status_of(job) if detailed else "working",
        "createdAt": job.created_at,
        "lastUpdatedAt": job.ended_at or job.started_at or job.created_at,
        "ttlMs": None,  # as long as the job is kept
        "pollIntervalMs": limits.MCP_POLL_MS,
    }
    if task["status"] == "completed":
        result = _result_of(job).model_dump(mode="json", by_alias=True, exclude_none=True)
        task["result"] = result
    if task["status"] == "input_required":
        task["inputRequests"] = {each["approval_id"]: _question(each) for each in job.approvals}
    return task


def _status_of(job: JobView) -> str:
    if job.status in CURRENT:
        return "input_required" if job.approvals else "working"
    return "cancelled" if job.status == "aborted" else "completed"


def _question(approval: Mapping[str, Any]) -> dict[str, Any]:
    schema = approval.get("schema") or YES
    params = {"mode": "form", "message": approval["question"], "requestedSchema": schema}
    return {"method": "elicitation/create", "params": params}
