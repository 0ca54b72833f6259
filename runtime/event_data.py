"""What the data of every event is."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from typing import Any, ClassVar


class Data:
    """Base of the data of an event: knows its kind and how it becomes JSON."""

    __slots__ = ()
    kind: ClassVar[str]

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object: fields that are None are left out, `class_` is `class`."""
        told: dict[str, Any] = {}
        for field, name in _names(type(self)):  # type: ignore[arg-type]  # a class is hashable
            if (value := getattr(self, field)) is not None:
                told[name] = value.to_json() if isinstance(value, Data) else value
        return told


@cache  # of the kinds that there are
def _names(kind: type[Data]) -> tuple[tuple[str, str], ...]:
    """Return the fields of a kind, each with its name in JSON."""
    return tuple((each.name, each.name.rstrip("_")) for each in fields(kind))  # type: ignore[arg-type]
