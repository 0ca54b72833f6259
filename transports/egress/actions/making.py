"""Makes of a document what is kept of it: the actions that were chosen, and a preview of all.

An action stands by itself: where it goes, what its arguments are and how each is sent. Its schema
has a property for each parameter, under a name that every vendor takes, and one for the body.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import orjson

from runtime import limits
from transports.egress.actions import servers
from transports.egress.actions.operations import (
    FOREIGN,
    NAME_CHARS_MAX,
    Body,
    Found,
    Parameter,
    operations,
)
from transports.egress.actions.pointers import Document, mapping, text
from transports.egress.actions.reading import Unusable, read
from transports.egress.actions.schemas import standing
from transports.egress.actions.security import schemes

VERSION_CHARS: Final = 16
PARAMETER_BYTES: Final = 4096  # of one parameter's schema; most have a line


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What is wanted of a document.

    Args:
        base: where it came from; "" for a text.
        server: where calls go; "": the first of the document.
        variables: of its servers.
        operations: names of those to make; None: all that can be called.
        search: the preview shows the operations with these words; "": all.
        makes: the actions are wanted, and not only the preview.
    """

    base: str = ""
    server: str = ""
    variables: dict[str, str] = field(default_factory=dict)
    operations: tuple[str, ...] | None = None
    search: str = ""
    makes: bool = False


def made(document: bytes, choice: Choice) -> dict[str, Any]:
    """Return the preview of a document, and the actions where they are wanted, as JSON.

    Raises:
        Unusable: nothing can be made of it.
    """
    read_ = Document(read(document))
    found = operations(read_)
    offered = _offered(read_, found, choice)
    try:
        server = servers.agreed(offered, choice.server)
    except Unusable as problem:
        if choice.makes or problem.rule != "no-server":
            raise
        server = ""
    for each in found:
        if server and not each.left_out:
            _place(read_, each, server, choice)
    chosen = _chosen(found, choice)
    answer: dict[str, Any] = {"preview": _preview(read_, found, chosen, choice, server, offered)}
    if choice.makes:
        answer["actions"] = actions(read_, chosen, server, choice)
    return answer


def _offered(document: Document, found: list[Found], choice: Choice) -> list[str]:
    """Return all servers that a document names, its own first."""
    own = servers.servers(document, document.root, choice.variables, choice.base)
    others = [url for each in found for url in _own_servers(document, each, choice)]
    return list(dict.fromkeys([*own, *others]))[: limits.ACTION_SERVERS_MAX]


def _place(document: Document, found: Found, server: str, choice: Choice) -> None:
    """Leave out an operation that is somewhere else."""
    said = _own_servers(document, found, choice)
    if said and servers.origin(server) not in {servers.origin(each) for each in said}:
        found.left_out = "It is at another server."


def _own_servers(document: Document, found: Found, choice: Choice) -> list[str]:
    """Return the servers that an operation or its path names; none where neither does."""
    try:
        item = document.followed(document.root["paths"][found.path])
    except Unusable:
        item = {}
    for owner in (found.said, item):
        if not document.swagger and isinstance(owner, dict) and owner.get("servers"):
            return servers.servers(document, owner, choice.variables, choice.base)
    return []


def _chosen(found: list[Found], choice: Choice) -> list[Found]:
    """Return the operations to make.

    Raises:
        Unusable: one has no such name, or they are too many.
    """
    takeable = {each.name: each for each in found if not each.left_out}
    if choice.operations is None:
        chosen = list(takeable.values())
    else:
        unknown = [name for name in choice.operations if name not in takeable]
        if unknown:
            raise Unusable("operations", f"No operation that can be called is named {unknown[0]}.")
        chosen = [takeable[name] for name in dict.fromkeys(choice.operations)]
    if choice.makes and len(chosen) > limits.ACTIONS_MAX:
        most = limits.ACTIONS_MAX
        words = f"It has {len(chosen)} operations: name those wanted, {most} at most."
        raise Unusable("choose", words)
    if choice.makes and not chosen:
        raise Unusable("nothing", "It has no operation that can be called.")
    return chosen


def _preview(
    document: Document,
    found: list[Found],
    chosen: list[Found],
    choice: Choice,
    server: str,
    offered: list[str],
) -> dict[str, Any]:
    info = mapping(document.root, "info")
    wanted = choice.search.lower()
    matching = [
        each
        for each in found
        if wanted in f"{each.name} {each.method} {each.path} {each.title}".lower()
    ]
    names = {each.name for each in chosen}
    return {
        "title": text(info, "title")[: limits.CLI_TITLE_CHARS],
        "version": str(info.get("version", ""))[: limits.CLI_TITLE_CHARS],
        "server": server or None,
        "servers": offered,
        "security": schemes(document),
        "total": len(found),
        "taken": len(chosen),
        "left_out": sum(bool(each.left_out) for each in found),
        "matching": len(matching),
        "operations": [_row(each, names) for each in matching[: limits.ACTION_ROWS_MAX]],
    }


def _row(found: Found, names: set[str]) -> dict[str, Any]:
    return {
        "name": found.name,
        "method": found.method.upper(),
        "path": found.path[: limits.LOG_LINE_CHARS],
        "title": found.title[: limits.LOG_SAID_CHARS],
        "taken": found.name in names,
        "left_out": found.left_out[: limits.LOG_LINE_CHARS] or None,
        "notes": [each[: limits.LOG_SAID_CHARS] for each in found.notes[: limits.ACTION_HOPS_MAX]],
    }


def actions(
    document: Document, chosen: Sequence[Found], server: str, choice: Choice
) -> list[dict[str, Any]]:
    """Return the actions of operations; where all would be too much to tell, each is told less."""
    most = limits.ACTION_SCHEMA_BYTES
    whole = [_action(document, each, server, choice, most) for each in chosen]
    if sum(len(orjson.dumps(each["schema"])) for each in whole) > limits.ACTION_SET_BYTES:
        most = limits.ACTION_SET_BYTES // len(chosen)
        whole = [_action(document, each, server, choice, most) for each in chosen]
    return whole


def _action(
    document: Document, found: Found, server: str, choice: Choice, bytes_max: int
) -> dict[str, Any]:
    own = [
        each
        for each in _own_servers(document, found, choice)
        if servers.origin(each) == servers.origin(server)
    ]
    names = list(_arguments(found))
    properties: dict[str, Any] = {}
    required: list[str] = []
    for name, parameter in zip(names, found.parameters, strict=False):
        schema = standing(document, parameter.schema, min(PARAMETER_BYTES, bytes_max))
        if parameter.words:
            words = parameter.words[: limits.ACTION_WORDS_CHARS]
            schema = {**schema, "description": words}
        properties[name] = schema
        if parameter.required:
            required.append(name)
    if found.body is not None:
        properties[names[-1]] = _body_schema(document, found.body, bytes_max)
        if found.body.required:
            required.append(names[-1])
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    action: dict[str, Any] = {
        "name": found.name,
        "description": _words(found),
        "method": found.method.upper(),
        "path": found.path.partition("#")[0],
        "server": own[0] if own else server,
        "anonymous": found.said.get("security") == [],
        "parameters": [
            _sent(name, each) for name, each in zip(names, found.parameters, strict=False)
        ],
        "body": _sent_body(names[-1], found.body) if found.body else None,
        "schema": schema | ({"required": required} if required else {}),
    }
    digest = hashlib.sha256(orjson.dumps(action)).hexdigest()
    return {**action, "version": digest[:VERSION_CHARS]}


def _arguments(found: Found) -> Iterator[str]:
    """Yield a name for each parameter, and for the body, that every vendor takes."""
    taken: set[str] = set()
    wanted = [(each.name, each.place) for each in found.parameters]
    for said, place in [*wanted, *([("body", "request")] if found.body else ())]:
        plain = FOREIGN.sub("_", said).strip("_")[:NAME_CHARS_MAX] or place
        name, number = plain, 1
        while name in taken:
            number += 1
            more = f"_{place}" if number == 2 else f"_{number}"  # noqa: PLR2004  the first twin
            name = plain[: NAME_CHARS_MAX - len(more)] + more
        taken.add(name)
        yield name


def _sent(argument: str, parameter: Parameter) -> dict[str, Any]:
    kept = ("name", "place", "style", "explode", "media")
    return {"argument": argument, **{name: getattr(parameter, name) for name in kept}}


def _sent_body(argument: str, body: Body) -> dict[str, Any]:
    how = asdict(body)
    kinds = {
        name: {"contentType": text(each, "contentType"), "style": text(each, "style")}
        for name, each in how["encoding"].items()
        if isinstance(each, dict)
    }
    return {"argument": argument, "kind": body.kind, "media": body.media, "encoding": kinds}


def _body_schema(document: Document, body: Body, bytes_max: int) -> dict[str, Any]:
    words = body.words[: limits.ACTION_WORDS_CHARS]
    if body.kind == "text":
        return {"type": "string", "description": words or f"The body, as {body.media}."}
    schema = standing(document, body.schema, bytes_max)
    if body.kind != "json":
        schema = {"type": "object", **schema}
        bytes_ = [
            name
            for name, each in mapping(schema, "properties").items()
            if isinstance(each, dict) and each.get("format") == "binary"
        ]
        kept = {
            name: each for name, each in mapping(schema, "properties").items() if name not in bytes_
        }
        schema |= {"properties": kept}
    return {"description": words, **schema} if words else schema


def _words(found: Found) -> str:
    summary, more = text(found.said, "summary"), text(found.said, "description")
    said = summary if more.startswith(summary) and len(more) > len(summary) else ""
    words = more if said else f"{summary}\n{more}".strip()
    return (words or f"{found.method.upper()} {found.path}")[: limits.ACTION_WORDS_CHARS]
