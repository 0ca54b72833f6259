"""/v1/responses: OpenAI's Responses API over jobs and their logs.

Source: Open Responses 2026-04-24; OpenAI's API reference, "Responses"; contract section 6.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field
from quart import Blueprint, Response, g

from actors import fitting, prompt
from runtime.problems import (
    AuditUnavailable,
    Busy,
    Invalid,
    JobActive,
    NotFound,
    ShuttingDown,
    TooManyRequests,
    UpstreamSaid,
)
from transports.ingress.http.context import services
from transports.ingress.http.dto import STRICT
from transports.ingress.http.operation import Call, Nothing, operation
from transports.ingress.http.responses import compacting, listing, sending
from transports.ingress.http.responses.asked import CreateResponse
from transports.ingress.http.responses.beginning import begin, wanted
from transports.ingress.http.responses.listing import ItemsQuery
from transports.ingress.http.responses.resource import job_id_of
from transports.ingress.http.responses.views import (
    CompactionView,
    DeletedView,
    ItemsView,
    ResponseView,
    TokensView,
)

routes = Blueprint("responses", __name__, url_prefix="/v1/responses")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadQuery:
    """Whether to read the stream, and from where."""

    stream: bool = False
    starting_after: Annotated[int, Field(ge=0)] | None = None


@routes.post("")
@operation(
    "Answer an input: as one object, as events, or in the background.",
    body=CreateResponse,
    answers=ResponseView,
    streams="asked",
    idempotent="itself",
    problems=(NotFound, JobActive, AuditUnavailable, ShuttingDown, TooManyRequests),
)
async def create_response(call: Call[CreateResponse, Nothing]) -> Response:
    known, body = services(), call.body
    new = wanted(known, body, claim=call.claim, traceparent=g.traceparent)
    begun = await begin(known, call.caller, new, call.request_id)
    found, awaited = begun.found, not body.background and not begun.replayed
    if body.stream:
        response = sending.streamed(known, call, found, awaited=awaited)
    elif body.background:
        response = sending.just_begun(found)
    else:
        response = sending.whole(await sending.when_ended(found, awaited=awaited))
    if begun.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return response


@routes.get("/<id>")
@operation(
    "One response, or its events from any place.",
    query=ReadQuery,
    answers=ResponseView,
    streams="asked",
    problems=(TooManyRequests,),
)
async def read_response(call: Call[Nothing, ReadQuery], id: str) -> Response:
    known, query = services(), call.query
    found = known.desk.responses.find(call.caller, job_id_of(id))
    if query.stream:
        after = -1 if query.starting_after is None else query.starting_after
        await sending.require_told(found, after)
        return sending.streamed(known, call, found, after=after)
    if query.starting_after is not None:
        raise Invalid.at("/starting_after", "This needs `stream=true`.")
    return await sending.as_it_stands(found)


@routes.delete("/<id>")
@operation(
    "Delete a response; one that is being made is ended.",
    answers=DeletedView,
    problems=(AuditUnavailable,),
)
async def delete_response(call: Call[Nothing, Nothing], id: str) -> DeletedView:
    await services().desk.responses.delete(call.caller, job_id_of(id), call.request_id)
    return DeletedView(id=id, object="response", deleted=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelBody:
    """Nothing is asked."""

    __pydantic_config__ = STRICT


@routes.post("/<id>/cancel")
@operation(
    "End a response; answered once its end is committed.",
    body=CancelBody,
    answers=ResponseView,
    problems=(AuditUnavailable,),
)
async def cancel_response(call: Call[CancelBody, Nothing], id: str) -> Response:
    desk = services().desk.responses
    return sending.whole(await desk.cancel(call.caller, job_id_of(id), call.request_id))


@routes.get("/<id>/input_items")
@operation("What a response was given, newest first.", query=ItemsQuery, answers=ItemsView)
async def list_input_items(call: Call[Nothing, ItemsQuery], id: str) -> ItemsView:
    desk = services().desk.responses
    return listing.page(desk.input_items(desk.find(call.caller, job_id_of(id))), call.query)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compact:
    """A conversation to be made short."""

    __pydantic_config__ = STRICT
    model: str
    input: str | tuple[Mapping[str, Any], ...] | None = None
    previous_response_id: str | None = None
    instructions: str | None = None
    prompt_cache_key: str | None = None


@routes.post("/compact")
@operation(
    "Make a conversation short, to go on from.",
    body=Compact,
    answers=CompactionView,
    problems=(AuditUnavailable, ShuttingDown, Busy, UpstreamSaid),
)
async def compact_response(call: Call[Compact, Nothing]) -> CompactionView:
    known, body = services(), call.body
    asked = CreateResponse(
        model=body.model,
        input=body.input,
        previous_response_id=body.previous_response_id,
        instructions=body.instructions,
    )
    desk = known.desk.responses
    told = desk.told(call.caller, wanted(known, asked))
    text = compacting.request(told)
    row = await desk.ask_aside(call.caller, body.model, text, call.request_id)
    return compacting.compacted(row, prompt.framed_tokens(text))


@routes.post("/input_tokens")
@operation(
    "Count the tokens of an input; without the model's tokenizer an estimate, more than fewer.",
    body=CreateResponse,
    answers=TokensView,
)
async def count_input_tokens(call: Call[CreateResponse, Nothing]) -> TokensView:
    known = services()
    new = wanted(known, call.body)
    told = known.desk.responses.told(call.caller, new)
    tools = list(map(str, new.asked.wanted.tools))
    count = await fitting.count(told, tools, known.catalog.find(new.model)[1])
    return TokensView(object="response.input_tokens", input_tokens=count)
