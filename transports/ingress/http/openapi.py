"""The contract as a document: OpenAPI 3.1, made from the mounted routes and their operations.

What every operation may refuse stands once, under `components.responses`; an operation lists the
ones that can happen to it by what it takes, and spells out its own. Source: OpenAPI 3.1.0.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final, get_args, get_origin

from pydantic import TypeAdapter
from quart import Quart

from runtime import problems
from runtime.problems import Problem
from transports.ingress.http import openai_errors
from transports.ingress.http.operation import JSON, Nothing, Operation, operation_of
from transports.ingress.http.problems import MEDIA_TYPE

SCHEMAS: Final = "#/components/schemas/"
PATH_PART: Final = re.compile(r"<(?:\w+:)?(\w+)>")
ALL: Final = (problems.OriginNotAllowed, problems.HostNotAllowed)
OF_CALLERS: Final = (problems.Unauthenticated, problems.Busy)
OF_BODIES: Final = (
    problems.BadJson,
    problems.BodyTooSlow,
    problems.TooLarge,
    problems.MediaTypeNotSupported,
    problems.Invalid,
)
COMMON: Final = (*ALL, *OF_CALLERS, *OF_BODIES, problems.NotFound, problems.NotAcceptable)
PROBLEM: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {"type": "string", "pattern": "^urn:runchat:problem:[a-z0-9-]+$"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string", "pattern": "^urn:request:"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
    "additionalProperties": True,
}


def document(app: Quart, version: str) -> dict[str, Any]:
    """Return the OpenAPI document of an app."""
    schemas: dict[str, Any] = {"Problem": PROBLEM, "Error": openai_errors.SCHEMA}
    paths: dict[str, dict[str, Any]] = defaultdict(dict)
    for path, method, known in operations(app):
        paths[path][method.lower()] = _operation(path, known, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Runchat", "version": version, "license": {"name": "Apache-2.0"}},
        "security": [{"token": []}, {"session": []}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "runchat_session"},
            },
            "responses": {kind.__name__: _refusal([kind]) for kind in COMMON},
            "schemas": dict(sorted(schemas.items())),
        },
    }


def operations(app: Quart) -> Iterator[tuple[str, str, Operation]]:
    """Yield every mounted path, method and contract, sorted."""
    found = [
        (PATH_PART.sub(r"{\1}", rule.rule), method, operation_of(app.view_functions[rule.endpoint]))
        for rule in app.url_map.iter_rules()
        for method in set(rule.methods or ()) - {"HEAD", "OPTIONS"}
    ]
    yield from sorted(found, key=lambda each: each[:2])


def common(path: str, known: Operation) -> list[type[Problem]]:
    """Return what may refuse this operation without being its own."""
    refusals: list[type[Problem]] = list(ALL)
    if known.auth != "none":
        refusals += OF_CALLERS
    if known.auth == "admin" or ("{" in path and known.auth != "wake" and not known.makes):
        refusals.append(problems.NotFound)
    if known.body is not Nothing:
        refusals += OF_BODIES
    elif known.query is not Nothing:
        refusals.append(problems.Invalid)
    if known.idempotent:
        refusals.append(problems.IdempotencyConflict)
    if known.answers is not None or known.streams != "no":
        refusals.append(problems.NotAcceptable)
    return refusals


def _operation(path: str, known: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {"operationId": known.name, "summary": known.summary}
    if known.auth == "none":
        described["security"] = []
    if parameters := [*_parameters(path, known)]:
        described["parameters"] = parameters
    if known.body is not Nothing:
        content = {JSON: {"schema": _schema(known.body, schemas, "validation")}}
        described["requestBody"] = {"required": _needs_fields(known.body), "content": content}
    elif known.takes:
        described["requestBody"] = {"content": {known.takes: {}}}
    responses: dict[str, Any] = {str(known.status): _good(known, schemas)}
    for status, sentence in known.others:
        responses[str(status)] = {"description": sentence}
        if status == HTTPStatus.OK and known.answers is not None:
            responses[str(status)]["content"] = responses[str(known.status)]["content"]
    responses |= _refusals(path, known)
    described["responses"] = dict(sorted(responses.items()))
    return described


def _refusals(path: str, known: Operation) -> dict[str, Any]:
    """Return the refusals by status: a reference where one common problem is all there is."""
    by_status: dict[int, list[type[Problem]]] = defaultdict(list)
    for kind in [*common(path, known), *known.problems]:
        if kind not in by_status[kind.status]:
            by_status[kind.status].append(kind)
    if openai_errors.speaks(path):
        return _openai_refusals(by_status)
    return {
        str(status): (
            {"$ref": f"#/components/responses/{kinds[0].__name__}"}
            if len(kinds) == 1 and kinds[0] in COMMON
            else _refusal(kinds)
        )
        for status, kinds in by_status.items()
    }


def _openai_refusals(by_status: Mapping[int, list[type[Problem]]]) -> dict[str, Any]:
    told: dict[int, list[type[Problem]]] = defaultdict(list)
    for kind in (each for kinds in by_status.values() for each in kinds):
        told[openai_errors.status_of(kind)].append(kind)
    return {
        str(status): {
            "description": " ".join(
                f"`{openai_errors.code_of(kind)}`: {kind.title}." for kind in kinds
            ),
            "content": {JSON: {"schema": {"$ref": f"{SCHEMAS}Error"}}},
        }
        for status, kinds in told.items()
    }


def _refusal(kinds: Iterable[type[Problem]]) -> dict[str, Any]:
    kinds = list(kinds)
    return {
        "description": " ".join(f"`{kind.name()}`: {kind.title}." for kind in kinds),
        "content": {MEDIA_TYPE: {"schema": {"$ref": f"{SCHEMAS}Problem"}}},
        "x-problems": [kind.name() for kind in kinds],
    }


def _good(known: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    good: dict[str, Any] = {"description": known.summary}
    content: dict[str, Any] = {}
    if known.answers is not None:
        content[JSON] = {"schema": _schema(known.answers, schemas, "serialization")}
    if known.streams != "no":
        content["text/event-stream"] = {"schema": {"type": "string"}}
    if known.sends:
        content[known.sends] = {}
    if content:
        good["content"] = content
    if known.location:
        good["headers"] = {"Location": {"schema": {"type": "string"}}}
    return good


def _parameters(path: str, known: Operation) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"{(\w+)}", path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
    if known.query is not Nothing:
        query = TypeAdapter(known.query).json_schema(ref_template=SCHEMAS + "{model}")
        for name, schema in query["properties"].items():
            schema.pop("title", None)
            needed = name in query.get("required", ())
            yield {"name": name, "in": "query", "required": needed, "schema": schema}
    if known.streams == "also":
        yield {"name": "Last-Event-ID", "in": "header", "schema": {"type": "string"}}
    if known.idempotent:
        schema = {"type": "string", "minLength": 1, "maxLength": 128}
        yield {"name": "Idempotency-Key", "in": "header", "schema": schema}


def _schema(kind: Any, schemas: dict[str, Any], mode: Any) -> dict[str, Any]:
    """Return a reference to the type's schema, kept with all it needs among the components."""
    made = TypeAdapter(kind).json_schema(mode=mode, ref_template=SCHEMAS + "{model}")
    for name, schema in made.pop("$defs", {}).items():
        schemas[name] = untitled(schema)
    name = "".join(each.__name__ for each in (get_origin(kind) or kind, *get_args(kind)))
    schemas[name] = untitled(made)
    return {"$ref": SCHEMAS + name}


def _needs_fields(kind: Any) -> bool:
    return bool(TypeAdapter(kind).json_schema().get("required"))


def untitled(schema: Any) -> Any:
    """Drop the titles that pydantic makes of names; they say nothing."""
    if isinstance(schema, dict):
        return {
            key: untitled(value)
            for key, value in schema.items()
            if not (key == "title" and isinstance(value, str))
        }
    return [untitled(each) for each in schema] if isinstance(schema, list) else schema
