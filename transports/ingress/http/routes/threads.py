"""/v1/conversations: what responses can be said in, and its items.

Source: OpenAI's API reference, "Conversations"; contract section 6.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from quart import Blueprint

from actors.threads import Receipt, Threads
from runtime.problems import AuditUnavailable, ShuttingDown
from store.turns import ThreadRow
from transports.ingress.http.context import services
from transports.ingress.http.dto import STRICT
from transports.ingress.http.operation import Call, Nothing, operation
from transports.ingress.http.responses import listing
from transports.ingress.http.responses.asked import Metadata
from transports.ingress.http.responses.listing import ItemsQuery
from transports.ingress.http.responses.views import DeletedView, ItemsView, Object, ThreadView

routes = Blueprint("threads", __name__, url_prefix="/v1/conversations")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewThread:
    """A conversation to begin, with items that are in it from the start."""

    __pydantic_config__ = STRICT
    metadata: Metadata | None = None
    items: tuple[Mapping[str, Any], ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedThread:
    """What is to be changed."""

    __pydantic_config__ = STRICT
    metadata: Metadata


@dataclass(frozen=True, slots=True, kw_only=True)
class NewItems:
    """Items to be put at the end."""

    __pydantic_config__ = STRICT
    items: tuple[Mapping[str, Any], ...]


@routes.post("")
@operation(
    "Begin a conversation.",
    body=NewThread,
    answers=ThreadView,
    idempotent=True,
    problems=(AuditUnavailable, ShuttingDown),
)
async def create_thread(call: Call[NewThread, Nothing]) -> ThreadView:
    body, receipt = call.body, Receipt(shown=_shown, claim=call.claim)
    view: ThreadView = await _threads().create(
        call.caller, body.metadata or {}, body.items or (), call.request_id, receipt
    )
    return view


@routes.get("/<id>")
@operation("One conversation.", answers=ThreadView)
async def read_thread(call: Call[Nothing, Nothing], id: str) -> ThreadView:
    return _shown(_threads().find(call.caller, id))


@routes.post("/<id>")
@operation(
    "Give a conversation other metadata.",
    body=ChangedThread,
    answers=ThreadView,
    problems=(AuditUnavailable,),
)
async def update_thread(call: Call[ChangedThread, Nothing], id: str) -> ThreadView:
    return _shown(await _threads().update(call.caller, id, call.body.metadata, call.request_id))


@routes.delete("/<id>")
@operation("Delete a conversation.", answers=DeletedView, problems=(AuditUnavailable,))
async def delete_thread(call: Call[Nothing, Nothing], id: str) -> DeletedView:
    await _threads().delete(call.caller, id, call.request_id)
    return DeletedView(id=id, object="conversation.deleted", deleted=True)


@routes.get("/<id>/items")
@operation("Its items, newest first.", query=ItemsQuery, answers=ItemsView)
async def list_items(call: Call[Nothing, ItemsQuery], id: str) -> ItemsView:
    return listing.page(_threads().items(call.caller, id), call.query)


@routes.post("/<id>/items")
@operation(
    "Put items at its end.",
    body=NewItems,
    answers=ItemsView,
    idempotent=True,
    problems=(AuditUnavailable,),
)
async def put_items(call: Call[NewItems, Nothing], id: str) -> ItemsView:
    receipt = Receipt(shown=listing.listed, claim=call.claim)
    view: ItemsView = await _threads().put(
        call.caller, id, call.body.items, call.request_id, receipt
    )
    return view


@routes.get("/<id>/items/<item>")
@operation("One of its items.", answers=Object)
async def read_item(call: Call[Nothing, Nothing], id: str, item: str) -> Object:
    return _threads().item(call.caller, id, item)


@routes.delete("/<id>/items/<item>")
@operation("Take an item out.", answers=ThreadView, problems=(AuditUnavailable,))
async def delete_item(call: Call[Nothing, Nothing], id: str, item: str) -> ThreadView:
    return _shown(await _threads().take_out(call.caller, id, item, call.request_id))


def _threads() -> Threads:
    return services().desk.responses.threads


def _shown(row: ThreadRow) -> ThreadView:
    return ThreadView(
        id=row.id,
        object="conversation",
        created_at=row.created_at_ms // 1000,
        metadata=orjson.loads(row.metadata),
    )
