"""Bytes to dataclasses: the body and the query of a request, with a pointer to what is wrong.

A body that is no JSON is 400; JSON that is not what the operation takes is 422 with an RFC 6901
pointer for each mistake. Unknown fields are mistakes, unknown query parameters are not. Text that
no UTF-8 can hold (lone surrogates) or no C string (NUL) is refused here, so that nothing behind has
to think of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final, TypeVar, cast

import orjson
from pydantic import ConfigDict, TypeAdapter, ValidationError

from runtime.problems import BadJson, Invalid, Problem

STRICT: Final = ConfigDict(extra="forbid", strict=True)  # `__pydantic_config__` of every body
T = TypeVar("T")
Location = tuple[int | str, ...]


@cache
def adapter(kind: Any) -> TypeAdapter[Any]:
    """Return what reads a type; made once."""
    return TypeAdapter(kind)


def read_body(raw: bytes, kind: type[T]) -> T:
    """Return the body as the dataclass.

    Raises:
        BadJson: it is no JSON, or nested too deep.
        Invalid: it is JSON, but not this.
    """
    document = parse(raw or b"{}")
    try:
        body: T = adapter(cast("Any", kind)).validate_json(raw or b"{}")
    except ValidationError as error:
        raise _invalid(error, document) from None
    return body


def parse(raw: bytes) -> Any:
    """Return the JSON document in these bytes; refuse text that cannot be kept."""
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        _refuse_surrogates(raw)
        raise BadJson(f"The body is not valid JSON: {error.msg}.") from None
    if b"\\u0000" in raw:
        _check_strings(document, "\x00", "NUL is not allowed in text.")
    return document


def _refuse_surrogates(raw: bytes) -> None:
    """Tell JSON whose escapes make no Unicode text from what is no JSON at all."""
    try:
        document = json.loads(raw, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return
    found = [
        pointer
        for pointer, text in _strings(document)
        if any("\ud800" <= c <= "\udfff" for c in text)
    ]
    if found:
        detail = "A surrogate escape without its partner is no Unicode text."
        raise Invalid(detail, errors=[{"pointer": each, "detail": detail} for each in found])


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _check_strings(document: Any, forbidden: str, detail: str) -> None:
    found = [pointer for pointer, text in _strings(document) if forbidden in text]
    if found:
        raise Invalid(detail, errors=[{"pointer": each, "detail": detail} for each in found])


def _strings(document: Any) -> Iterator[tuple[str, str]]:
    """Yield every string of a document, keys too, with its pointer."""
    waiting: list[tuple[Location, Any]] = [((), document)]
    while waiting:
        location, value = waiting.pop()
        match value:
            case str():
                yield pointer(location), value
            case list():
                waiting += [((*location, i), each) for i, each in enumerate(value)]
            case dict():
                for key, each in value.items():
                    yield pointer((*location, key)), key
                    waiting.append(((*location, key), each))
            case _:
                pass


def read_query(given: Mapping[str, str], kind: type[T]) -> T:
    """Return the query as the dataclass; parameters it does not have are ignored.

    Raises:
        Invalid: a value is wrong; its pointer is `/name`.
    """
    names = kind.__dataclass_fields__  # type: ignore[attr-defined]
    known = {name: value for name, value in given.items() if name in names}
    try:
        query: T = adapter(cast("Any", kind)).validate_strings(known)
    except ValidationError as error:
        raise _invalid(error, known) from None
    return query


def pointer(location: Location) -> str:
    """Return the RFC 6901 pointer."""
    steps = (str(step).replace("~", "~0").replace("/", "~1") for step in location)
    return _sayable("".join(f"/{step}" for step in steps))


def _sayable(text: str) -> str:
    """Return text that UTF-8 can hold: a lone surrogate of a key is told as its escape."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _invalid(error: ValidationError, document: Any) -> Problem:
    """Return the mistakes, each at its place in the document, the deeper one where two tell."""
    told: dict[str, str] = {}
    for each in error.errors(include_url=False, include_context=False, include_input=False):
        if each["type"] == "json_invalid":  # what orjson takes and pydantic does not: its nesting
            return BadJson("The body is nested too deep.")
        place = pointer(_place(each["loc"], each["type"], document))
        told.setdefault(place, _sentence(each["type"], each["msg"]))
    mistakes = [
        {"pointer": place, "detail": detail}
        for place, detail in told.items()
        if not any(other.startswith(f"{place}/") for other in told)
    ]
    told_of = (f"{m['pointer']}: {m['detail']}".removeprefix(": ") for m in mistakes)
    return Invalid("; ".join(told_of), errors=mistakes)


def _place(location: Location, kind: str, document: Any) -> Location:
    """Keep the steps that are in the document: pydantic names the branch of a union as well."""
    place: list[int | str] = []
    here = document
    for position, step in enumerate(location):
        last = position == len(location) - 1
        inside = (isinstance(here, dict) and step in here) or (
            isinstance(here, list) and isinstance(step, int) and step < len(here)
        )
        if inside:
            here = here[step]
            place.append(step)
        elif last and kind == "missing":
            place.append(step)
    return tuple(place)


def _sentence(kind: str, message: str) -> str:
    if kind in {"unexpected_keyword_argument", "extra_forbidden"}:
        return "There is no such field."
    if kind == "missing":
        return "This field is needed."
    return f"{message}."
