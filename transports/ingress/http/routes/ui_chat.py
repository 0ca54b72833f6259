"""/api/chat: what the AI SDK's `useChat` speaks, its UI message stream, version 1.

The client keeps the messages and sends all of them; the answer is a job like any other, which runs
on when its reader has left, and is read again from its start. A chat has one answer under way: a
newer request ends an older one. Source: npm `ai` 6, `DefaultChatTransport`; contract section 6.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import orjson
from quart import Blueprint, Response, g

from actors.responses_desk import Numbered
from actors.turn_desk import Order
from runtime.caller import Caller
from runtime.events import JOB_END, one_line
from runtime.log import Record
from runtime.problems import AuditUnavailable, ShuttingDown, TooManyRequests
from store import turns
from store.turns import TurnRow
from transports.ingress.http import projected
from transports.ingress.http.context import services
from transports.ingress.http.operation import Call, Nothing, empty, operation
from transports.ingress.http.projected import DONE
from transports.ingress.http.ui_chat import asked
from transports.ingress.http.ui_chat.asked import UiChat
from transports.ingress.http.ui_chat.projection import Parts

routes = Blueprint("ui_chat", __name__, url_prefix="/api/chat")
FRONT: Final = "ui"
VERSION: Final = ("x-vercel-ai-ui-message-stream", "v1")


@routes.post("")
@operation(
    "Answer a chat of the AI SDK's, as a UI message stream.",
    body=UiChat,
    streams="asked",
    idempotent="itself",
    problems=(AuditUnavailable, ShuttingDown, TooManyRequests),
)
async def answer_ui_chat(call: Call[UiChat, Nothing]) -> Response:
    known, body = services(), call.body
    known.readers.admit(call.caller)  # before a model is asked
    job_id = known.ids.new("job_")
    order = Order(
        job_id=job_id,
        front=FRONT,
        model=body.model,
        items=asked.read_messages(body.messages, Numbered(job_id)),
        asked=asked.asked_of(body),
        options=body.options or {},
        shown={"chat": body.id, "message": asked.continued(body) or _message_id(job_id)},
        receipt={"id": job_id},
        claim=call.claim,
        traceparent=g.traceparent,
    )

    async def make() -> Any:
        await _end(call.caller, body.id, call.request_id)
        await known.desk.turns.ask(call.caller, order, call.request_id)
        return {"id": job_id}

    receipt = await known.claims.once(call.caller, call.claim, make)
    begun = orjson.loads(receipt.body)["id"]
    response = _streamed(call, known.desk.turns.turn(call.caller, begun, FRONT))
    if receipt.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return response


@routes.get("/<id>/stream")
@operation(
    "The answer under way in a chat, from its start.",
    streams="asked",
    makes=True,
    others=((204, "Nothing is being answered in this chat."),),
    problems=(TooManyRequests,),
)
async def resume_ui_chat(call: Call[Nothing, Nothing], id: str) -> Response:
    turn = turns.running(services().reader, call.caller, FRONT, id)
    return empty(204) if turn is None else _streamed(call, turn)


@routes.delete("/<id>/stream")
@operation(
    "End the answer under way in a chat, if there is one.",
    makes=True,
    status=204,
    problems=(AuditUnavailable,),
)
async def stop_ui_chat(call: Call[Nothing, Nothing], id: str) -> Response:
    await _end(call.caller, id, call.request_id)
    return empty(204)


async def _end(caller: Caller, chat: str, request_id: str) -> None:
    desk = services().desk.turns
    if (turn := turns.running(services().reader, caller, FRONT, chat)) is not None:
        await desk.cancel(caller, desk.job(turn.job_id), request_id)


def _message_id(job_id: str) -> str:
    return f"msg_{job_id.partition('_')[2]}"


def _streamed(call: Call[Any, Any], turn: TurnRow) -> Response:
    known, job_id = services(), turn.job_id
    desk = known.desk.turns
    parts = Parts(job_id, orjson.loads(turn.shown)["message"])

    async def permitted() -> None:
        desk.turn(known.authenticator.authenticate(call.credentials), job_id, FRONT)

    def frames(record: Record) -> Iterator[bytes]:
        for part in parts.take(record):
            yield b"data: %b\n\n" % one_line(part)
        if record.kind == JOB_END:
            yield DONE

    log = desk.log_of(job_id)
    response = projected.streamed(known, call.caller, log, frames, permitted=permitted)
    response.headers[VERSION[0]] = VERSION[1]
    return response
