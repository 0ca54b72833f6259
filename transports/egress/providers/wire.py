"""What the four wires have in common: an answer that is folded, payload by payload, into parts.

A wire's answer knows its state and nothing of the network. Items are numbered in the order in which
they begin. Usage is held back until the end, since a later one takes the place of an earlier one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import orjson

from runtime.events import ItemType
from runtime.problems import UpstreamLost
from transports.egress.providers.asked import Native
from transports.egress.providers.base import ItemDone, ItemStart, Part, Usage


class Answer(Protocol):
    """One answer as its wire tells it."""

    ignored: int  # values that nobody here knows
    reason: str | None  # the wire's own word for the end, once it is said
    is_done: bool  # nothing more will come
    usage: Usage | None  # the latest

    def take(self, payload: str) -> Iterator[Part]:
        """Yield the parts of one event's data.

        Raises:
            UpstreamSaid: it is an error.
            UpstreamLost: it is not JSON; what it was meant to say is lost.
        """
        ...

    def close(self) -> Iterator[Part]:
        """Yield the last parts: nothing where the wire had no mark of its own."""
        ...


class Items:
    """Numbers the items of an answer, and puts the wire and the model on their native forms."""

    def __init__(self, wire: str, model: str) -> None:
        self._wire, self._model = wire, model
        self.count = 0

    def start(
        self, item_type: ItemType, *, call_id: str | None = None, name: str | None = None
    ) -> ItemStart:
        """Return the beginning of the next item; its index is `count - 1` from then on."""
        self.count += 1
        return ItemStart(index=self.count - 1, type=item_type, call_id=call_id, name=name)

    def done(self, index: int, value: Mapping[str, Any] | None = None) -> ItemDone:
        """Return the end of an item.

        Args:
            value: the item in the wire's own form; None where its words are enough.
        """
        if value is None:
            return ItemDone(index=index)
        return ItemDone(index=index, native=Native(wire=self._wire, model=self._model, value=value))


def read_json(payload: str) -> Mapping[str, Any] | None:
    """Return one event's JSON object; None where it is JSON of another kind.

    Raises:
        UpstreamLost: it is not JSON.
    """
    try:
        value = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise UpstreamLost("The provider sent what is not JSON.") from error
    return value if isinstance(value, dict) else None


def dicts(value: Any) -> list[dict[str, Any]]:
    """Return the objects of a list; nothing of what is none."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def object_at(value: Any, name: str) -> Mapping[str, Any]:
    """Return the object under a name, an empty one where there is none."""
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def text_at(value: Any, name: str) -> str:
    """Return the string under a name, "" where there is none."""
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, str) else ""


def count_at(value: Any, name: str) -> int | None:
    """Return the whole number under a name."""
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def total(*counts: int | None) -> int | None:
    """Return the sum of the counts that are known, None where none is."""
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


Handler = Callable[[Mapping[str, Any]], Iterator[Part]]
