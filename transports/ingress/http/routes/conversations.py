"""/api/conversations and their messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from quart import Blueprint

from actors.views import ConversationView, MessageView, Page
from runtime import limits
from runtime.problems import AuditUnavailable, ShuttingDown
from transports.ingress.http.context import services
from transports.ingress.http.dto import STRICT
from transports.ingress.http.lists import ListQuery, id_cursor, position_cursor
from transports.ingress.http.operation import Call, Nothing, operation

routes = Blueprint("conversations", __name__, url_prefix="/api/conversations")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewConversation:
    """A conversation to begin."""

    __pydantic_config__ = STRICT
    title: Annotated[str, Field(max_length=limits.TITLE_CHARS_MAX)] = ""


@routes.post("")
@operation(
    "Begin a conversation.",
    body=NewConversation,
    answers=ConversationView,
    status=201,
    idempotent=True,
    location="/api/conversations/{id}",
    problems=(AuditUnavailable, ShuttingDown),
)
async def create_conversation(call: Call[NewConversation, Nothing]) -> ConversationView:
    return await services().desk.create_conversation(
        call.caller, call.body.title, call.claim, call.request_id
    )


@routes.get("")
@operation("The caller's conversations.", query=ListQuery, answers=Page[ConversationView])
async def list_conversations(call: Call[Nothing, ListQuery]) -> Page[ConversationView]:
    return services().desk.conversations(
        call.caller, limit=call.query.limit, before=id_cursor(call.query.cursor)
    )


@routes.get("/<id>")
@operation("One conversation.", answers=ConversationView)
async def read_conversation(call: Call[Nothing, Nothing], id: str) -> ConversationView:
    return services().desk.conversation(call.caller, id)


@routes.get("/<id>/messages")
@operation("Its messages, oldest first.", query=ListQuery, answers=Page[MessageView])
async def list_messages(call: Call[Nothing, ListQuery], id: str) -> Page[MessageView]:
    return services().desk.messages(
        call.caller, id, limit=call.query.limit, after=position_cursor(call.query.cursor)
    )
