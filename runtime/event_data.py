"""What the data of every event is."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, ClassVar


class Data:
    """Base of the data of an event: knows its kind and how it becomes JSON."""

    __slots__ = ()
    kind: ClassVar[str]

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object: fields that are None are left out, `class_` is `class`."""
        values = {each.name.rstrip("_"): getattr(self, each.name) for each in fields(self)}  # type: ignore[arg-type]
        return {
            name: value.to_json() if isinstance(value, Data) else value
            for name, value in values.items()
            if value is not None
        }
