"""/v1/chat/completions and /v1/models: OpenAI's Chat Completions API over jobs and their logs.

Source: OpenAI's API reference, "Chat" and "Models"; contract section 6.
"""

from __future__ import annotations

from quart import Blueprint, Response, g

from runtime.problems import (
    AuditUnavailable,
    Invalid,
    NotFound,
    ShuttingDown,
    TooManyRequests,
    UpstreamSaid,
)
from transports.egress.providers.base import Model
from transports.ingress.http.chat_completions import sending
from transports.ingress.http.chat_completions.asked import CreateCompletion
from transports.ingress.http.chat_completions.beginning import begin, find_stored
from transports.ingress.http.chat_completions.projection import job_id_of
from transports.ingress.http.chat_completions.views import CompletionView, KnownModel, KnownModels
from transports.ingress.http.context import services
from transports.ingress.http.operation import Call, Nothing, operation
from transports.ingress.http.responses.sending import when_ended

routes = Blueprint("completions", __name__, url_prefix="/v1")


@routes.post("/chat/completions")
@operation(
    "Answer a chat: as one object, or as chunks.",
    body=CreateCompletion,
    answers=CompletionView,
    streams="asked",
    idempotent="itself",
    problems=(AuditUnavailable, ShuttingDown, TooManyRequests, UpstreamSaid),
)
async def create_completion(call: Call[CreateCompletion, Nothing]) -> Response:
    known, body = services(), call.body
    if body.stream:
        known.readers.admit(call.caller)  # before a model is asked
    begun = await begin(
        known, call.caller, body, call.request_id, claim=call.claim, traceparent=g.traceparent
    )
    awaited, tells = not begun.replayed, body.tells_usage
    if body.stream:
        response = sending.streamed(known, call, begun.found, tells_usage=tells, awaited=awaited)
    else:
        response = sending.whole((await when_ended(begun.found, awaited=awaited)).job)
    if begun.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return response


@routes.get("/chat/completions/<id>")
@operation("A completion that was to be stored.", answers=CompletionView, problems=(UpstreamSaid,))
async def read_completion(call: Call[Nothing, Nothing], id: str) -> Response:
    return sending.whole(find_stored(services(), call.caller, job_id_of(id)).job)


@routes.get("/models")
@operation("The models that can be asked, as OpenAI's API lists them.", answers=KnownModels)
async def list_known_models(_: Call[Nothing, Nothing]) -> KnownModels:
    return KnownModels(data=tuple(map(_shown, services().catalog.models())))


@routes.get("/models/<path:path>")
@operation("One of them; its id may hold slashes.", answers=KnownModel)
async def read_known_model(_: Call[Nothing, Nothing], path: str) -> KnownModel:
    try:
        return _shown(services().catalog.find(path)[1])
    except Invalid as unknown:
        raise NotFound(unknown.detail) from None


def _shown(model: Model) -> KnownModel:
    return KnownModel(id=model.id, owned_by=model.endpoint)
