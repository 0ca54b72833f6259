"""/api/jobs: start one in a conversation, look at it, abort it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import Field
from quart import Blueprint, Response, g

from actors import export
from actors.desk import Order
from actors.tools.loop import Answer
from actors.views import ApprovalView, JobView, Page
from runtime import limits
from runtime.events import Status, TextPart
from runtime.problems import (
    ApprovalResolved,
    AuditUnavailable,
    Invalid,
    JobActive,
    JobChanged,
    JobEnded,
    QueueFull,
    ShuttingDown,
)
from transports.ingress.http.context import services
from transports.ingress.http.dto import STRICT
from transports.ingress.http.lists import ListQuery, id_cursor
from transports.ingress.http.operation import Call, Nothing, operation

JSONL: Final = "application/jsonl"
Tools: TypeAlias = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=limits.TOOL_ID_CHARS)], ...],
    Field(max_length=limits.TOOLS_MAX),
]
routes = Blueprint("jobs", __name__, url_prefix="/api")


@dataclass(frozen=True, slots=True, kw_only=True)
class InputPart:
    """A piece of the input."""

    __pydantic_config__ = STRICT
    type: Literal["text"]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """What to ask of a model, and what to do about a job that is running.

    `tools` are the ids of those that the model may call, or `all` that the caller may.
    """

    __pydantic_config__ = STRICT
    input: (
        Annotated[str, Field(min_length=1)]
        | Annotated[tuple[InputPart, ...], Field(min_length=1, max_length=limits.INPUT_PARTS_MAX)]
    )
    model: str | None = None
    on_active: Literal["refuse", "replace", "queue"] = "refuse"
    replaces: str | None = None
    options: Mapping[str, Any] | None = None
    tools: Literal["all"] | Tools | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalAnswer:
    """A human's word; `content` is what a tool asked for, by the question's `schema`."""

    __pydantic_config__ = STRICT
    answer: Literal["approve", "deny"]
    content: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AbortBody:
    """Nothing is asked; an empty object is taken as well as no body."""

    __pydantic_config__ = STRICT


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsQuery(ListQuery):
    """Which jobs."""

    status: Status | Literal["active"] | None = None
    conversation_id: str | None = None


@routes.post("/conversations/<id>/jobs")
@operation(
    "Ask a model; the answer comes as the job's events.",
    body=NewJob,
    answers=JobView,
    status=202,
    idempotent=True,
    location="/api/jobs/{id}",
    problems=(JobActive, JobChanged, QueueFull, AuditUnavailable, ShuttingDown),
)
async def start_job(call: Call[NewJob, Nothing], id: str) -> JobView:
    return await services().desk.start_job(
        call.caller, id, order_of(call.body, g.traceparent), call.claim, call.request_id
    )


@routes.get("/jobs")
@operation("The caller's jobs.", query=JobsQuery, answers=Page[JobView])
async def list_jobs(call: Call[Nothing, JobsQuery]) -> Page[JobView]:
    return services().desk.jobs(
        call.caller,
        status=call.query.status,
        conversation_id=call.query.conversation_id,
        limit=call.query.limit,
        before=id_cursor(call.query.cursor),
    )


@routes.get("/jobs/<id>")
@operation("One job, as its log tells it.", answers=JobView)
async def read_job(call: Call[Nothing, Nothing], id: str) -> JobView:
    return await services().desk.job(call.caller, id)


@routes.post("/jobs/<id>/abort")
@operation(
    "Stop a job; answered once its end is committed.",
    body=AbortBody,
    answers=JobView,
    problems=(JobEnded, AuditUnavailable),
)
async def abort_job(call: Call[AbortBody, Nothing], id: str) -> JobView:
    return await services().desk.abort_job(call.caller, id, call.request_id)


@routes.post("/jobs/<id>/approvals/<approval_id>")
@operation(
    "Answer what a human is asked in a job; answered once.",
    body=ApprovalAnswer,
    answers=ApprovalView,
    problems=(ApprovalResolved, JobEnded, AuditUnavailable),
)
async def answer_approval(
    call: Call[ApprovalAnswer, Nothing], id: str, approval_id: str
) -> ApprovalView:
    answer = Answer(
        caller=call.caller,
        approval_id=approval_id,
        approves=call.body.answer == "approve",
        content=call.body.content,
        request_id=call.request_id,
    )
    return await services().desk.answer_approval(call.caller, id, answer)


@routes.get("/jobs/<id>/export")
@operation(
    "A job as JSON lines that replay it: its inputs, what its actor was given, and its log.",
    sends=JSONL,
)
async def export_job(call: Call[Nothing, Nothing], id: str) -> Response:
    known = services()
    row = export.job_of(known.reader, call.caller, id)
    lines = export.lines(known.reader, known.log, row, f"runchat {known.version}")
    return Response(lines, 200, content_type=JSONL)


def order_of(body: NewJob, traceparent: str) -> Order:
    """Return the order that a body makes.

    Raises:
        Invalid: the input is empty or too long, or a replaced job is named without replacing.
    """
    given = body.input
    parts = (
        (TextPart(text=given),)
        if isinstance(given, str)
        else tuple(TextPart(text=part.text) for part in given)
    )
    size_bytes = sum(len(part.text.encode()) for part in parts)
    if not size_bytes:
        raise Invalid.at("/input", "The input is empty.")
    if size_bytes > limits.INPUT_BYTES_MAX:
        raise Invalid.at("/input", f"The input is longer than {limits.INPUT_BYTES_MAX} bytes.")
    if body.replaces is not None and body.on_active != "replace":
        raise Invalid.at("/replaces", "This needs `on_active` to be `replace`.")
    return Order(
        traceparent=traceparent,
        input=parts,
        model=body.model,
        on_active=body.on_active,
        replaces=body.replaces,
        options=body.options,
        tools=body.tools,
    )
