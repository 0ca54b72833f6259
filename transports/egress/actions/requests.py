"""Makes the request of a call: an action, its arguments, nothing else. Pure.

Each value is written as the document says (`style`, `explode`) and escaped, so that no argument can
leave its place: not a path its segment, not a header its line, not a field its form. An argument
that is none of the action's is refused, and so is a path's that would be no segment.
Source: OpenAPI 3.1 section 4.8.12 (styles); RFC 3986; RFC 9110 section 5.5; RFC 7578.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, quote_plus

import orjson

from runtime.problems import Invalid

SEPARATORS: Final = {"spaceDelimited": "%20", "pipeDelimited": "%7C"}
LINE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
PLACEHOLDER: Final = re.compile(r"\{([^{}]+)\}")
FORM: Final = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A request, without the credentials."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    content: bytes = b""


def request(action: Mapping[str, Any], arguments: Mapping[str, Any]) -> Made:
    """Return the request of a call.

    Raises:
        Invalid: an argument is unknown, or cannot be sent where it belongs.
    """
    known = {each["argument"] for each in action["parameters"]}
    body = action["body"]
    if unknown := arguments.keys() - known - ({body["argument"]} if body else set()):
        raise Invalid.at(f"/{min(unknown)}", "The action has no such argument.")
    segments: dict[str, str] = {}
    query: list[str] = []
    headers: list[tuple[str, str]] = []
    cookies: list[str] = []
    for parameter in action["parameters"]:
        argument = parameter["argument"]
        if argument not in arguments:
            continue
        value = arguments[argument]
        match parameter["place"]:
            case "path":
                segments[parameter["name"]] = _segment(parameter, value)
            case "query":
                query += _pairs(parameter, value)
            case "cookie":
                cookies += _pairs(parameter, value)
            case _:
                headers.append((parameter["name"], _line(parameter, value)))
    if cookies:
        headers.append(("Cookie", "; ".join(cookies)))
    content = b""
    if body and body["argument"] in arguments:
        media, content = _body(body, arguments[body["argument"]])
        headers.append(("Content-Type", media))
    path, _, said = action["path"].partition("?")
    filled = PLACEHOLDER.sub(lambda found: _filled(segments, found.group(1)), path)
    whole = "&".join([*([said] if said else []), *query])
    return Made(
        method=action["method"],
        url=f"{action['server']}{filled}" + (f"?{whole}" if whole else ""),
        headers=tuple(headers),
        content=content,
    )


def _filled(segments: Mapping[str, str], name: str) -> str:
    if name not in segments:
        raise Invalid.at(f"/{name}", "The path wants it.")
    return segments[name]


def _segment(parameter: Mapping[str, Any], value: Any) -> str:
    """Return a value as a part of a path."""
    name, explode = quote(parameter["name"], safe=""), parameter["explode"]
    style = parameter["style"]
    if parameter["media"]:
        written = quote(orjson.dumps(value).decode(), safe="")
    elif style == "label":
        written = "." + _joined(value, "." if explode else ",", explode=explode)
    elif style == "matrix":
        written = _matrix(name, value, explode=explode)
    else:
        written = _joined(value, ",", explode=explode)
    if written.strip(".") == "":
        raise Invalid.at(f"/{parameter['argument']}", "It cannot be a part of a path.")
    return written


def _matrix(name: str, value: Any, *, explode: bool) -> str:
    if explode and isinstance(value, list):
        return "".join(f";{name}={_escaped(each)}" for each in value)
    if explode and isinstance(value, dict):
        return "".join(f";{_escaped(key)}={_escaped(each)}" for key, each in value.items())
    return f";{name}={_joined(value, ',', explode=False)}"


def _joined(value: Any, separator: str, *, explode: bool) -> str:
    if isinstance(value, list):
        return separator.join(map(_escaped, value))
    if isinstance(value, dict):
        between = "=" if explode else ","
        pairs = (f"{_escaped(key)}{between}{_escaped(each)}" for key, each in value.items())
        return separator.join(pairs)
    return _escaped(value)


def _pairs(parameter: Mapping[str, Any], value: Any) -> Iterator[str]:
    """Yield `name=value`, as often as the style wants."""
    name, style = quote(parameter["name"], safe="[]"), parameter["style"]
    if parameter["media"]:
        yield f"{name}={quote(orjson.dumps(value).decode(), safe='')}"
    elif style == "deepObject" and isinstance(value, dict):
        yield from _deep(name, value)
    elif isinstance(value, list):
        if parameter["explode"]:
            yield from (f"{name}={_escaped(each)}" for each in value)
        else:
            yield f"{name}={SEPARATORS.get(style, ',').join(map(_escaped, value))}"
    elif isinstance(value, dict):
        if parameter["explode"]:
            yield from (f"{_escaped(key)}={_escaped(each)}" for key, each in value.items())
        else:
            separator = SEPARATORS.get(style, ",")
            flat = (each for pair in value.items() for each in pair)
            yield f"{name}={separator.join(map(_escaped, flat))}"
    else:
        yield f"{name}={_escaped(value)}"


def _deep(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _deep(f"{name}[{_escaped(key)}]", each)
    elif isinstance(value, list):
        yield from (f"{name}={_escaped(each)}" for each in value)
    else:
        yield f"{name}={_escaped(value)}"


def _line(parameter: Mapping[str, Any], value: Any) -> str:
    """Return a value as that of a header, which is not escaped but must be one line."""
    if parameter["media"]:
        text = orjson.dumps(value).decode()
    elif isinstance(value, list):
        text = ",".join(map(_plain, value))
    elif isinstance(value, dict):
        between = "=" if parameter["explode"] else ","
        text = ",".join(f"{key}{between}{_plain(each)}" for key, each in value.items())
    else:
        text = _plain(value)
    if not LINE.fullmatch(text):
        raise Invalid.at(f"/{parameter['argument']}", "A header cannot hold it.")
    return text


def _escaped(value: Any) -> str:
    return quote(_plain(value), safe="")


def _plain(value: Any) -> str:
    """Return a value as text: as JSON where it is neither text nor a number."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return orjson.dumps(value).decode()


def _body(body: Mapping[str, Any], value: Any) -> tuple[str, bytes]:
    match body["kind"]:
        case "json":
            return body["media"], orjson.dumps(value)
        case "text":
            charset = "" if "charset" in body["media"].lower() else "; charset=utf-8"
            return f"{body['media']}{charset}", _plain(value).encode()
        case "form":
            fields = _fields(body, value)
            return FORM, "&".join(f"{quote_plus(k)}={quote_plus(v)}" for k, v, _ in fields).encode()
    parts = [_part(*each) for each in _fields(body, value)]
    boundary = f"runchat-{hashlib.sha256(b''.join(parts)).hexdigest()[:32]}"
    edge = f"--{boundary}\r\n".encode()
    content = b"".join(edge + part + b"\r\n" for part in parts) + f"--{boundary}--\r\n".encode()
    return f"multipart/form-data; boundary={boundary}", content


def _fields(body: Mapping[str, Any], value: Any) -> Iterator[tuple[str, str, str]]:
    """Yield name, value and media type of each field of a form; a list is as many."""
    if not isinstance(value, dict):
        raise Invalid.at(f"/{body['argument']}", "A form is an object.")
    for name, each in value.items():
        told = body["encoding"].get(name, {}).get("contentType", "")
        for one in each if isinstance(each, list) else [each]:
            kind = told or ("application/json" if isinstance(one, dict | list) else "")
            yield name, _plain(one), kind


def _part(name: str, value: str, kind: str) -> bytes:
    escaped = name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
    media = f"Content-Type: {kind}\r\n" if kind and LINE.fullmatch(kind) else ""
    disposition = f'Content-Disposition: form-data; name="{escaped}"\r\n'
    return f"{disposition}{media}\r\n{value}".encode()
