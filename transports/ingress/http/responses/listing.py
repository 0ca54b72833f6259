"""Pages of items as the Responses API gives them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from actors.items_in import Item
from runtime import limits
from runtime.problems import Invalid
from transports.ingress.http.responses.views import ItemsView


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemsQuery:
    """Which page: what follows the item `after` in this order."""

    limit: Annotated[int, Field(ge=1, le=limits.LIST_LIMIT_MAX)] = 20
    order: Literal["asc", "desc"] = "desc"
    after: str | None = None
    before: str | None = None


def page(oldest_first: Sequence[Item], query: ItemsQuery) -> ItemsView:
    """Return a page of the items.

    Raises:
        Invalid: there is no such item to go on from.
    """
    items = list(oldest_first if query.order == "asc" else reversed(oldest_first))
    if query.after is not None:
        items = items[_place(items, query.after, "after") + 1 :]
    if query.before is not None:
        items = items[: _place(items, query.before, "before")]
    return listed(items[: query.limit], has_more=len(items) > query.limit)


def listed(items: Sequence[Item], *, has_more: bool = False) -> ItemsView:
    """Return items as a list."""
    return ItemsView(
        object="list",
        data=tuple(items),
        first_id=items[0]["id"] if items else None,
        last_id=items[-1]["id"] if items else None,
        has_more=has_more,
    )


def _place(items: Sequence[Item], id: str, name: str) -> int:
    for place, item in enumerate(items):
        if item["id"] == id:
            return place
    raise Invalid.at(f"/{name}", "There is no such item in this list.")
