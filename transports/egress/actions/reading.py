"""Reads the text of an OpenAPI document, JSON or YAML, into plain values, within bounds.

JSON is tried first: it is what most documents are, and read a hundred times faster. YAML is made of
the parser's events with the rules of JSON for what a plain word means (no dates, no `no` for
false), as OpenAPI asks for; nothing is ever constructed by a tag. An alias shares what its anchor
made, and what all of them would come to when written out is counted, so that a bomb is met early.
Source: OpenAPI 3.1 section 4.1; YAML 1.2 section 10.2 (the JSON schema); libyaml's events.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any, Final

import orjson

from runtime import limits

NULLS: Final = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
BOOLEANS: Final = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
WORDS: Final[dict[str, Any]] = {**NULLS, **BOOLEANS}
NUMBER: Final = re.compile(r"-?(?:0|[1-9]\d{0,39})(\.\d*)?([eE][-+]?\d{1,3})?")
STRING: Final = "tag:yaml.org,2002:str"
MERGE: Final = "<<"
HTML: Final = re.compile(rb"\s*<(?:!doctype|html|head|body|\?xml)", re.IGNORECASE)


class Unusable(Exception):
    """What a document is refused for.

    Args:
        rule: a word for it; the sentence is the message.
    """

    def __init__(self, rule: str, words: str) -> None:
        super().__init__(words)
        self.rule = rule


def read(text: bytes) -> dict[str, Any]:
    """Return the document that a text is.

    Raises:
        Unusable: it is none, or goes past a bound.
    """
    if len(text) > limits.ACTION_JSON_BYTES:
        raise Unusable("too-large", f"A document has {limits.ACTION_JSON_BYTES} bytes at most.")
    if HTML.match(text[:1024].removeprefix(b"\xef\xbb\xbf")):
        raise Unusable("html", "This is a web page, not a document of an API.")
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        if text.lstrip()[:1] in {b"{", b"["} and len(text) > limits.ACTION_YAML_BYTES:
            raise Unusable("json", f"It is not JSON: {error}.") from None
        found = _yaml(text)
    if not isinstance(found, dict):
        raise Unusable("no-object", "A document is an object, and this is something else.")
    return found


def _yaml(text: bytes) -> Any:
    if len(text) > limits.ACTION_YAML_BYTES:
        most = limits.ACTION_YAML_BYTES
        raise Unusable("yaml-too-large", f"YAML has {most} bytes at most; JSON may have more.")
    yaml = import_module("yaml")  # most documents are JSON; it has no types
    parser = import_module("yaml.cyaml").CParser
    try:
        return _Tree(parser(text)).value()
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        words = " ".join(str(error).split())[: limits.LOG_LINE_CHARS]
        raise Unusable("yaml", f"It is neither JSON nor YAML: {words}") from None


class _Tree:
    """Makes values of the events of a parser, one level of Python's stack a level of the text."""

    def __init__(self, parser: Any) -> None:
        self._events: Iterator[Any] = iter(parser.get_event, None)
        self._anchors: dict[str, tuple[Any, int]] = {}  # the value, and how much it comes to
        self._aliases = self._count = self._depth = 0

    def value(self) -> Any:
        """Return what the first document of the stream says."""
        for event in self._events:
            kind = type(event).__name__
            if kind not in {"StreamStartEvent", "DocumentStartEvent"}:
                return None if kind == "StreamEndEvent" else self._of(event)
        return None

    def _of(self, event: Any) -> Any:
        kind = type(event).__name__
        if kind == "AliasEvent":
            return self._alias(event.anchor)
        before = self._grow(1)
        if kind == "ScalarEvent":
            made: Any = _scalar(event)
        else:
            self._depth += 1
            if self._depth > limits.ACTION_DEPTH_MAX:
                raise Unusable("too-deep", f"It nests deeper than {limits.ACTION_DEPTH_MAX}.")
            made = self._sequence() if kind == "SequenceStartEvent" else self._mapping()
            self._depth -= 1
        if event.anchor is not None:
            if len(self._anchors) >= limits.ACTION_ANCHORS_MAX:
                most = limits.ACTION_ANCHORS_MAX
                raise Unusable("anchors", f"It has more than {most} anchors.")
            self._anchors[event.anchor] = (made, self._count - before + 1)
        return made

    def _alias(self, anchor: str) -> Any:
        self._aliases += 1
        if self._aliases > limits.ACTION_ANCHORS_MAX:
            raise Unusable("anchors", f"It has more than {limits.ACTION_ANCHORS_MAX} aliases.")
        if anchor not in self._anchors:
            raise Unusable("anchors", "An alias stands within its own anchor, or has none.")
        made, count = self._anchors[anchor]
        self._grow(count)
        return made

    def _grow(self, count: int) -> int:
        """Count what stands there, with all that aliases repeat."""
        self._count += count
        if self._count > limits.ACTION_NODES_MAX:
            raise Unusable("too-many-nodes", "Written out, its aliases come to too much.")
        return self._count

    def _sequence(self) -> list[Any]:
        made: list[Any] = []
        for event in self._events:
            if type(event).__name__ == "SequenceEndEvent":
                break
            made.append(self._of(event))
        return made

    def _mapping(self) -> dict[str, Any]:
        made: dict[str, Any] = {}
        merged: list[Any] = []
        for event in self._events:
            if type(event).__name__ == "MappingEndEvent":
                break
            key = self._key(event)
            value = self._of(next(self._events))
            if key == MERGE and isinstance(value, dict | list):
                merged += value if isinstance(value, list) else [value]
            else:
                made[key] = value
        for each in merged:
            if isinstance(each, dict):
                made = each | made
        return made

    def _key(self, event: Any) -> str:
        """Return a key as JSON would have it: `200` is the text of a number."""
        kind = type(event).__name__
        key = self._alias(event.anchor) if kind == "AliasEvent" else None
        if kind == "ScalarEvent":
            self._of(event)
            key = event.value
        if not isinstance(key, str):
            raise Unusable("key", "A key of a mapping is no text.")
        return key


def _scalar(event: Any) -> Any:
    text: str = event.value
    if event.style or event.tag == STRING or not event.implicit[0]:
        return text
    if text in WORDS:
        return WORDS[text]
    found = NUMBER.fullmatch(text)
    if found is None:
        return text
    return float(text) if found.group(1) or found.group(2) else int(text)
