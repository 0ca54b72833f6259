"""What a document lets one do: its operations, each with what it takes, and why one is left out.

An operation is a method of a path; no other key of a path is one. Its parameters are those of the
path and its own, which come first. An operation that could not be called as it is meant is left
out with the reason; what it can do without is left out of it, and noted.
Source: OpenAPI 3.1 sections 4.8.9 to 4.8.14; RFC 9110 section 9.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from runtime import limits
from transports.egress.actions import swagger
from transports.egress.actions.pointers import Document, mapping, text
from transports.egress.actions.reading import Unusable

METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
PLACES: Final = ("path", "query", "header", "cookie")
NOT_OURS: Final = (  # OpenAPI ignores the first three; the others are of the connection
    *("accept", "content-type", "authorization", "host", "content-length", "connection", "te"),
    *("transfer-encoding", "upgrade", "trailer", "expect", "cookie", "proxy-authorization"),
)
FOREIGN: Final = re.compile(r"[^a-zA-Z0-9_-]+")
IN_PATH: Final = re.compile(r"\{([^{}]+)\}")
NAME_CHARS_MAX: Final = 64
DIGEST_CHARS: Final = 8
JSONS: Final = re.compile(r"application/(?:json|\*)|.+\+json|\*/\*")
FORMS: Final = (swagger.FORM, swagger.MULTIPART)
TEXTS: Final = re.compile(r"text/.+|application/(?:xml|.+\+xml|x-ndjson|yaml|x-yaml|graphql)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter as it is to be sent.

    Args:
        media: a media type that its value is written in; "" where `style` says how.
        schema: as the document has it.
    """

    name: str
    place: str
    required: bool
    style: str
    explode: bool
    media: str
    schema: Any
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What is sent with a request.

    Args:
        kind: json, form, multipart or text.
        encoding: of a form's fields, as the document has it.
    """

    kind: str
    media: str
    required: bool
    schema: Any
    words: str
    encoding: dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Found:
    """An operation, looked at.

    Args:
        left_out: why it is; "" where it can be called.
        notes: what of it is left out.
        parameter_count: of the document, those left out with them.
    """

    method: str
    path: str
    said: dict[str, Any]
    name: str = ""
    parameters: list[Parameter] = field(default_factory=list)
    body: Body | None = None
    left_out: str = ""
    notes: list[str] = field(default_factory=list)
    parameter_count: int = 0

    @property
    def title(self) -> str:
        """A line that says what it does."""
        return text(self.said, "summary", "description", "operationId")


def operations(document: Document) -> list[Found]:
    """Return all operations of a document, in its order, each under a name of its own."""
    found: list[Found] = []
    for path, item in mapping(document.root, "paths").items():
        try:
            followed = document.followed(item)
        except Unusable:
            continue
        if not (path.startswith("/") and isinstance(followed, dict)):
            continue
        for method in METHODS:
            if isinstance(followed.get(method), dict):
                found.append(_looked_at(document, method, path, followed))
                if len(found) > limits.ACTION_OPERATIONS_MAX:
                    most = limits.ACTION_OPERATIONS_MAX
                    raise Unusable("too-many", f"It has more than {most} operations.")
    for each, name in zip(found, _names(found), strict=True):
        each.name = name
    return found


def _looked_at(document: Document, method: str, path: str, item: dict[str, Any]) -> Found:
    found = Found(method=method, path=path, said=item[method])
    said = list(_parameters(document, item, found.said))
    found.parameter_count = len(said)
    for each in said:
        if each["in"] not in PLACES:
            continue  # Swagger's bodies
        note = "" if each["in"] != "header" else _not_ours(each["name"])
        if each["in"] == "path" and f"{{{each['name']}}}" not in path:
            note = f"The path has no {{{each['name']}}}."
        if note:
            found.notes.append(note)
        else:
            found.parameters.append(_parameter(document, each))
    missing = set(IN_PATH.findall(path.partition("#")[0])) - {
        each.name for each in found.parameters if each.place == "path"
    }
    if method == "trace":
        found.left_out = "TRACE shows credentials to whoever asks."
    elif missing:
        found.left_out = f"The path wants {', '.join(sorted(missing))}, which nothing describes."
    elif len(found.parameters) > limits.ACTION_PARAMETERS_MAX:
        found.left_out = f"It has more than {limits.ACTION_PARAMETERS_MAX} parameters."
    else:
        _take_body(document, found, said)
    return found


def _not_ours(name: str) -> str:
    return f"{name} is not a parameter's to say." if name.lower() in NOT_OURS else ""


def _parameters(
    document: Document, item: dict[str, Any], own: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """Yield the parameters of an operation: its own in place of the path's of the same name."""
    known: dict[tuple[str, str], dict[str, Any]] = {}
    for owner in (item, own):
        for each in document.listed(owner, "parameters"):
            name, place = each.get("name"), each.get("in")
            if isinstance(name, str) and isinstance(place, str):
                known[(place, name.lower() if place == "header" else name)] = each
    yield from known.values()


def _parameter(document: Document, said: dict[str, Any]) -> Parameter:
    if document.swagger:
        said = swagger.parameter(said)
    place: str = said["in"]
    media, schema = "", said.get("schema", {})
    if content := mapping(said, "content"):  # it has one
        media = next(iter(content))
        schema = mapping(content[media], "schema")
    usual = "form" if place in {"query", "cookie"} else "simple"
    style = said.get("style")
    style = style if isinstance(style, str) else usual
    explode = said.get("explode")
    return Parameter(
        name=said["name"],
        place=place,
        required=place == "path" or said.get("required") is True,
        style=style,
        explode=explode if isinstance(explode, bool) else style == "form",
        media=media,
        schema=schema,
        words=text(said, "description"),
    )


def _take_body(document: Document, found: Found, said: list[dict[str, Any]]) -> None:
    """Take the body that an operation wants, or leave out what cannot be sent."""
    if document.swagger:
        whole = swagger.body(said, found.said, document.root)
    else:
        try:
            whole = document.followed(found.said.get("requestBody"))
        except Unusable as problem:
            found.left_out = f"Its body: {problem}"
            return
    content = mapping(whole, "content")
    if not content:
        return
    if found.method in {"get", "head"}:
        found.notes.append("A body of GET or HEAD means nothing.")
        return
    required = isinstance(whole, dict) and whole.get("required") is True
    for kind, media in _by_preference(content):
        part = content[media] if isinstance(content[media], dict) else {}
        schema = part.get("schema", {})
        if kind in {"form", "multipart"} and (why := _no_form(document, schema)):
            found.notes.append(f"{media}: {why}")
            continue
        found.body = Body(
            kind=kind,
            media=media if kind != "json" or "*" not in media else swagger.JSON,
            required=required,
            schema=schema,
            words=text(whole, "description"),
            encoding=mapping(part, "encoding"),
        )
        found.notes += [f"{each}: another media type is used." for each in content if each != media]
        return
    why = f"A body of {', '.join(content)} cannot be sent: no model writes bytes."
    if required:
        found.left_out = why
    else:
        found.notes.append(why)


def _by_preference(content: dict[str, Any]) -> list[tuple[str, str]]:
    """Return kind and media type of what can be sent, the best first."""
    kinds = [(_kind(media), media) for media in content]
    order = ("json", "form", "multipart", "text")
    return sorted((each for each in kinds if each[0]), key=lambda each: order.index(each[0]))


def _kind(media: str) -> str:
    plain = media.partition(";")[0].strip().lower()
    if JSONS.fullmatch(plain):
        return "json"
    if plain in FORMS:
        return "form" if plain == swagger.FORM else "multipart"
    return "text" if TEXTS.fullmatch(plain) else ""


def _no_form(document: Document, schema: Any) -> str:
    """Return why a form cannot be filled in; "" where it can."""
    try:
        meant = document.followed(schema)
        required = meant.get("required", []) if isinstance(meant, dict) else []
        for name, each in mapping(meant, "properties").items():
            field_schema = document.followed(each)
            if is_binary(field_schema) and isinstance(required, list) and name in required:
                return f"it wants a file as {name}, and no model writes bytes."
    except Unusable as problem:
        return str(problem)
    return ""


def is_binary(schema: Any) -> bool:
    """Say whether a schema is that of bytes."""
    return isinstance(schema, dict) and (
        schema.get("format") == "binary" or schema.get("type") == "file"
    )


def _names(found: list[Found]) -> list[str]:
    """Return a name for each: of its operationId, or of method and path; twins get a digest."""
    plain = [_plain(each) for each in found]
    lowered = Counter(each.lower() for each in plain)
    names = []
    for each, name in zip(found, plain, strict=True):
        if len(name) <= NAME_CHARS_MAX and lowered[name.lower()] == 1:
            names.append(name)
            continue
        digest = hashlib.sha256(f"{each.method} {each.path}".encode()).hexdigest()[:DIGEST_CHARS]
        names.append(f"{name[: NAME_CHARS_MAX - 1 - DIGEST_CHARS]}_{digest}")
    return names


def _plain(found: Found) -> str:
    said = found.said.get("operationId")
    words = said if isinstance(said, str) else ""
    name = FOREIGN.sub("_", words).strip("_")
    return name or FOREIGN.sub("_", f"{found.method}{found.path}").strip("_")
