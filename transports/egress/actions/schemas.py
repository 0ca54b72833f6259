"""Schemas of a document as JSON Schema 2020-12 that stands by itself: no reference is left in it.

References are replaced by what they mean. Where one leads back into itself, or the whole would be
more than a model should be told, it is cut, and the place says so: it takes anything there. How
deep is found by trying: the deepest that fits. What OpenAPI 3.0 says in words of its own is said in
those of the standard; what only a server sends is left out.
Source: OpenAPI 3.0.3, Schema Object; JSON Schema 2020-12, core and validation.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import orjson

from runtime import limits
from transports.egress.actions.pointers import Document, mapping
from transports.egress.actions.reading import Unusable

TYPES: Final = frozenset({"string", "number", "integer", "boolean", "object", "array", "null"})
WHOLE: Final = ("title", "description", "format", "pattern", "contentMediaType", "contentEncoding")
COUNTS: Final = (
    *("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"),
    *("minContains", "maxContains"),
)
NUMBERS: Final = ("minimum", "maximum", "multipleOf", "exclusiveMinimum", "exclusiveMaximum")
LISTS: Final = ("anyOf", "oneOf", "allOf", "prefixItems")
ONES: Final = ("items", "not", "additionalProperties", "contains", "propertyNames", "if", "then")
DEPTHS: Final = (12, 8, 6, 4, 3, 2, 1, 0)


class _TooMuch(Exception):
    """The schema comes to more than a model should be told."""


def standing(document: Document, schema: Any, bytes_max: int) -> dict[str, Any]:
    """Return a schema by itself, as deep as fits into so many bytes.

    Raises:
        Unusable: it is no schema, or does not fit however little is told of it.
    """
    for depth in DEPTHS:
        try:
            made = _Maker(document, depth).schema(schema)
        except (_TooMuch, RecursionError):
            continue
        if len(orjson.dumps(made)) <= bytes_max:
            return made
    return {"description": "Its schema is too large to be told of."}


class _Maker:
    """Makes one schema, to a depth."""

    def __init__(self, document: Document, depth: int) -> None:
        self._document, self._most = document, depth
        self._nodes = 0
        self._within: list[str] = []  # the references that are being followed

    def schema(self, said: Any, depth: int = 0) -> dict[str, Any]:
        """Return a schema and all in it."""
        self._nodes += 1
        if self._nodes > limits.ACTION_SCHEMA_NODES:
            raise _TooMuch
        if said is False:
            return {"not": {}}
        if not isinstance(said, dict):
            return {}
        if isinstance(said.get("$ref"), str):
            return self._referred(said, depth)
        if depth > self._most:
            return _cut(said, "It goes on deeper than is told here.")
        made = _plain(said)
        self._nested(said, made, depth)
        parts = made.pop("allOf", None)
        if parts:
            made = merged([made, *parts])
        return _nullable(said, made)

    def _referred(self, said: dict[str, Any], depth: int) -> dict[str, Any]:
        pointer: str = said["$ref"]
        name = pointer.rpartition("/")[2]
        if pointer in self._within:
            return {"description": f"{name} again: it holds itself, and is not told a second time."}
        try:
            target = self._document.at(pointer)
        except Unusable as problem:
            return {"description": str(problem)}
        self._within.append(pointer)
        made = self.schema(target, depth)
        self._within.pop()
        beside = {key: value for key, value in said.items() if key in {"description", "title"}}
        return made | beside

    def _nested(self, said: dict[str, Any], made: dict[str, Any], depth: int) -> None:
        properties = mapping(said, "properties")
        if properties or isinstance(said.get("properties"), dict):
            kept = {key: each for key, each in properties.items() if not self._is_sent(each)}
            made["properties"] = {key: self.schema(each, depth + 1) for key, each in kept.items()}
            dropped = properties.keys() - kept.keys()
            names = [each for each in made.pop("required", ()) if each not in dropped]
            made |= {"required": names} if names else {}
            made.setdefault("type", "object")
        for word in ONES:
            found = said.get(word)
            if isinstance(found, dict):
                made[word] = self.schema(found, depth + 1)
            elif isinstance(found, bool):
                made[word] = found
        for word in LISTS:
            found = said.get(word)
            if isinstance(found, list) and found:
                made[word] = [self.schema(each, depth + 1) for each in found]
        if made.get("type") == "array":
            made.setdefault("items", {})

    def _is_sent(self, said: Any) -> bool:
        """Say whether only the server says this; see `readOnly`."""
        try:
            meant = self._document.followed(said)
        except Unusable:
            return False
        told = (each for each in (said, meant) if isinstance(each, dict))
        return any(each.get("readOnly") is True for each in told)


def _plain(said: dict[str, Any]) -> dict[str, Any]:
    """Return what a schema says of itself, where it says it in a way that means something."""
    made: dict[str, Any] = {}
    kinds = said.get("type")
    told = kinds if isinstance(kinds, list) else [kinds]
    known = list(dict.fromkeys(each for each in told if isinstance(each, str) and each in TYPES))
    if known:
        made["type"] = known if isinstance(kinds, list) else known[0]
    made |= {word: said[word] for word in WHOLE if isinstance(said.get(word), str)}
    if "description" in made:
        made["description"] = made["description"][: limits.ACTION_WORDS_CHARS]
    made |= _bounds(said)
    if said.get("uniqueItems") is True:
        made["uniqueItems"] = True
    if isinstance(said.get("enum"), list) and said["enum"]:
        made["enum"] = said["enum"][: limits.ACTION_CHOICES_MAX]
        if len(said["enum"]) > limits.ACTION_CHOICES_MAX:
            made["examples"] = made.pop("enum")
    for word in ("default", "const"):
        if word in said:
            made[word] = said[word]
    if names := _names(said.get("required")):
        made["required"] = names
    return made


def _bounds(said: dict[str, Any]) -> dict[str, Any]:
    made = {word: said[word] for word in COUNTS if _is_count(said.get(word))}
    made |= {word: said[word] for word in NUMBERS if _is_number(said.get(word))}
    for word, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if said.get(word) is True and bound in made:
            made[word] = made.pop(bound)
    if not made.get("multipleOf", 1) > 0:
        del made["multipleOf"]
    return made


def _nullable(said: dict[str, Any], made: dict[str, Any]) -> dict[str, Any]:
    """Return a schema that takes null too, where OpenAPI 3.0 says so."""
    if said.get("nullable") is not True and said.get("x-nullable") is not True:
        return made
    kind = made.get("type")
    if isinstance(kind, str) and kind != "null":
        choices = made.get("enum")
        more = {"enum": [*choices, None]} if choices and None not in choices else {}
        return made | {"type": [kind, "null"]} | more
    return {"anyOf": [made, {"type": "null"}]} if kind is None and made else made


def merged(parts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return one schema that says what all parts say; `allOf` where that cannot be put into one."""
    whole: dict[str, Any] = {}
    beside: list[dict[str, Any]] = []
    for part in parts:
        if not part:
            continue
        if all(_agrees(whole, word, part[word]) for word in part):
            _take(whole, part)
        else:
            beside.append(part)
    return {**whole, "allOf": beside} if beside else whole


def _agrees(whole: dict[str, Any], word: str, value: Any) -> bool:
    own = {"properties", "required", "title", "description"}
    return word not in whole or word in own or whole[word] == value


def _take(whole: dict[str, Any], part: dict[str, Any]) -> None:
    for word, value in part.items():
        if word == "properties":
            mine = whole.setdefault(word, {})
            for name, each in value.items():
                known = mine.get(name)
                mine[name] = each if known in (None, each) else merged([known, each])
        elif word == "required":
            whole[word] = list(dict.fromkeys([*whole.get(word, ()), *value]))
        else:
            whole.setdefault(word, value)


def _cut(said: dict[str, Any], why: str) -> dict[str, Any]:
    made: dict[str, Any] = {"description": why}
    if isinstance(said.get("type"), str) and said["type"] in TYPES:
        made["type"] = said["type"]
    return made


def _names(found: Any) -> list[str]:
    names = found if isinstance(found, list) else []
    return list(dict.fromkeys(each for each in names if isinstance(each, str)))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return _is_number(value) and value >= 0 and value == int(value)
