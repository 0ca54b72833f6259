"""/api/tools: what a caller may call, and calls without a model; the evidence of all calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from quart import Blueprint

from actors.tools.desk import ToolCallView, ToolList
from actors.views import JobView, Page
from runtime.problems import AuditUnavailable, ShuttingDown, TooManyRequests
from store.tool_calls import Outcome
from transports.ingress.http.context import services
from transports.ingress.http.dto import STRICT
from transports.ingress.http.lists import ListQuery, id_cursor
from transports.ingress.http.operation import Call, Nothing, operation

routes = Blueprint("tools", __name__, url_prefix="/api")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCall:
    """The arguments of a call, by the tool's `schema`."""

    __pydantic_config__ = STRICT
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallsQuery(ListQuery):
    """Which calls."""

    outcome: Outcome | None = None


@routes.get("/tools")
@operation("What the caller may call, with schemas.", answers=ToolList)
async def list_tools(call: Call[Nothing, Nothing]) -> ToolList:
    return await services().desk.tools.list_all(call.caller)


@routes.post("/tools/<path:path>/calls")
@operation(
    "Call a tool; its result comes as the job's events, and ends the job.",
    body=NewCall,
    answers=JobView,
    status=202,
    idempotent=True,
    location="/api/jobs/{id}",
    problems=(TooManyRequests, AuditUnavailable, ShuttingDown),
)
async def call_tool(call: Call[NewCall, Nothing], path: str) -> JobView:
    return await services().desk.tools.call(
        call.caller, path, call.body.arguments, call.claim, call.request_id
    )


@routes.get("/tool-calls")
@operation(
    "The evidence of the tenant's calls of tools, newest first. For admins.",
    query=ToolCallsQuery,
    answers=Page[ToolCallView],
    auth="admin",
)
async def list_tool_calls(call: Call[Nothing, ToolCallsQuery]) -> Page[ToolCallView]:
    return services().desk.tools.evidence(
        call.caller,
        outcome=call.query.outcome,
        limit=call.query.limit,
        before=id_cursor(call.query.cursor),
    )
