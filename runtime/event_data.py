"""What the data of every event is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import cache
from operator import attrgetter
from typing import Any, ClassVar


class Data:
    """Base of the data of an event: knows its kind and how it becomes JSON."""

    __slots__ = ()
    kind: ClassVar[str]
    inner: ClassVar[tuple[str, ...]] = ()  # fields that are Data themselves

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object: fields that are None are left out, `class_` is `class`."""
        names, values = _fields(type(self))  # type: ignore[arg-type]  # a class is hashable
        told = {
            name: value
            for name, value in zip(names, values(self), strict=True)
            if value is not None
        }
        for name in self.inner:
            if name in told:
                told[name] = told[name].to_json()
        return told


@cache  # of the kinds that there are
def _fields(kind: type[Data]) -> tuple[tuple[str, ...], Callable[[Data], tuple[Any, ...]]]:
    """Return the names in JSON of the fields of a kind, and what gets their values."""
    names = [each.name for each in fields(kind)]  # type: ignore[arg-type]
    get = attrgetter(*names)
    told = tuple(name.rstrip("_") for name in names)
    return told, get if len(names) > 1 else lambda data: (get(data),)
