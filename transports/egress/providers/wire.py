"""What the four wires have in common: an answer that is folded, payload by payload, into parts.

A wire's answer knows its state and nothing of the network. Items are numbered in the order in which
they begin. Usage is held back until the end, since a later one takes the place of an earlier one.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import orjson

from runtime import limits
from runtime.events import ItemType
from runtime.problems import UpstreamLost
from transports.egress.providers.asked import Native
from transports.egress.providers.base import Delta, ItemDone, ItemStart, Part, Usage


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
    """Numbers the items of an answer, and puts the wire and the model on their native forms.

    What nobody here knows is an opaque item of its kind, which notes each as it came.
    """

    def __init__(self, wire: str, model: str) -> None:
        self._wire, self._model = wire, model
        self.count = 0
        self._strange: dict[str, tuple[int, Any]] = {}  # kind: its item, the latest that came

    def again(self) -> None:
        """Number from the start: all that was said has been taken back."""
        self.count = 0
        self._strange.clear()

    def strange(self, kind: str, value: Mapping[str, Any]) -> Iterator[Part]:
        """Keep what nobody here knows; the same again says nothing, nor does one kind too many."""
        index, latest = self._strange.get(kind, (-1, None))
        if index < 0:
            if len(self._strange) >= limits.STRANGE_KINDS_MAX:
                return
            yield self.start("opaque", name=kind)
            index = self.count - 1
        if value != latest:
            yield Delta(index=index, annotation=value)
        self._strange[kind] = index, value

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
    """Return one event's JSON object, also out of a list; None where it is JSON of another kind.

    Raises:
        UpstreamLost: it is not JSON.
    """
    try:
        value = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise UpstreamLost("The provider sent what is not JSON.") from error
    if isinstance(value, list) and len(value) == 1:
        value = value[0]  # as Google tells an error
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


def key_at(value: Any, name: str) -> int | str | None:
    """Return the number or name under a name that tells one thing from the others."""
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, int | str) else None


def count_at(value: Any, name: str) -> int | None:
    """Return the whole number under a name."""
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def bytes_at(value: Any, name: str) -> bytes:
    """Return the base64 under a name as bytes, none where it is no base64."""
    try:
        return b64decode(text_at(value, name), validate=True)
    except binascii.Error:
        return b""


def total(*counts: int | None) -> int | None:
    """Return the sum of the counts that are known, None where none is."""
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


Handler = Callable[[Mapping[str, Any]], Iterator[Part]]
