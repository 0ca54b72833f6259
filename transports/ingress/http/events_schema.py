"""The contract of the event logs as a JSON schema, made from the dataclasses of `runtime.events`.

A field that is None is left out of the bytes, so that here it is optional and never null; the few
that are there even as null are named in NULLABLE. Source: JSON Schema 2020-12.
"""

from __future__ import annotations

from typing import Any, Final

from pydantic import TypeAdapter

from runtime.events import CONVERSATION_EVENTS, JOB_EVENTS, Data
from transports.ingress.http.openapi import untitled

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
NULLABLE: Final = {"JobEnded": ("provider_reason", "end_state")}
AT: Final = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"


def schema() -> dict[str, Any]:
    """Return the schema: `$defs.job_event` and `$defs.conversation_event`, by kind."""
    found: dict[str, Any] = {}
    logs = {"job_event": JOB_EVENTS, "conversation_event": CONVERSATION_EVENTS}
    for log, kinds in logs.items():
        for kind in kinds:
            found[kind.__name__] = _event(kind, found)
        found[log] = {"oneOf": [{"$ref": f"#/$defs/{kind.__name__}"} for kind in kinds]}
    return {
        "$schema": DIALECT,
        "title": "Events of Runchat's logs",
        "anyOf": [{"$ref": f"#/$defs/{log}"} for log in logs],
        "$defs": dict(sorted(found.items())),
    }


def _event(kind: type[Data], found: dict[str, Any]) -> dict[str, Any]:
    made = TypeAdapter(kind).json_schema(mode="serialization", ref_template="#/$defs/{model}")
    for name, each in made.pop("$defs", {}).items():
        found[name] = _stored(untitled(each), name)
    return {
        "type": "object",
        "required": ["sequence", "kind", "at", "data"],
        "properties": {
            "sequence": {"type": "integer", "minimum": 1},
            "kind": {"const": kind.kind},
            "at": {"type": "string", "pattern": AT},
            "data": _stored(untitled(made), kind.__name__),
        },
    }


def _stored(schema: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the schema of what is stored: without nulls, and with what is always there."""
    if "properties" not in schema:
        return schema
    properties: dict[str, Any] = {}
    required: list[str] = []
    for field, given in schema["properties"].items():
        shown = field.rstrip("_")
        kept = {key: value for key, value in given.items() if key != "default"}
        choices = kept.get("anyOf", [])
        nullable = {"type": "null"} in choices
        if nullable and field not in NULLABLE.get(name, ()):
            rest = [each for each in choices if each != {"type": "null"}]
            kept = rest[0] if len(rest) == 1 else {"anyOf": rest}
        else:
            required.append(shown)
        properties[shown] = kept
    described = {"description": schema["description"]} if "description" in schema else {}
    return {**described, "type": "object", "required": required, "properties": properties}
