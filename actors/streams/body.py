"""What a body is to a stream: the records it becomes, and the content types that mean the same.

A stream of JSON keeps values as the bytes that came; an array is its elements, one level deep, and
those are kept together, with commas between, as many as make a record. Any other stream keeps one
record an append. Pure.
Source: Durable Streams protocol 1.0, sections 5.2 and 9.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from json.scanner import make_scanner
from typing import Any, Final, cast

import orjson

from runtime import limits
from runtime.problems import BadJson, BadRequest

JSON: Final = "application/json"
DEFAULT: Final = "application/octet-stream"
MESSAGE: Final = "stream.message"  # the kind of a JSON record
BYTES: Final = "stream.bytes"
OPENING: Final = re.compile(r"[ \t\r\n]*\[[ \t\r\n]*")
COMMA: Final = re.compile(r"[ \t\r\n]*,?[ \t\r\n]*")  # the last element has none
SCAN: Any = make_scanner(cast("Any", json.JSONDecoder()))  # in C: a value, and where it ends


def media_type(content_type: str) -> str:
    """Return what of a content type counts when two are compared."""
    return content_type.partition(";")[0].strip().lower()


def is_json(content_type: str) -> bool:
    """Whether the stream keeps JSON values."""
    return media_type(content_type) == JSON


def is_text(content_type: str) -> bool:
    """Whether the stream's bytes go into an event stream as they are."""
    return is_json(content_type) or content_type.lower().startswith("text/")


def kind_of(content_type: str) -> str:
    """Return the kind of a stream's records."""
    return MESSAGE if is_json(content_type) else BYTES


def split(content_type: str, body: bytes) -> list[bytes]:
    """Return the records that a body becomes; none for no body and for an empty array.

    Raises:
        BadJson: the stream keeps JSON and the body is none.
        BadRequest: it is JSON nested too deep, or with numbers too long.
    """
    if not body or not is_json(content_type):
        return [body] if body else []
    return together(values(body), limits.STREAM_RECORD_BYTES)


def values(body: bytes) -> list[bytes]:
    """Return the text of each value of a body of JSON: of an array, its elements.

    Raises:
        BadJson, BadRequest: as `split`.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadJson(f"The body is not valid JSON: {error.msg}.") from None
    if not isinstance(value, list):
        return [body.strip(b" \t\r\n")]
    try:
        return _objects(value, body) or list(_elements(body.decode()))
    except (ValueError, RecursionError) as error:
        raise BadRequest("The body is nested too deep, or has a number too long.") from error


def together(values: Sequence[bytes], size_bytes: int) -> list[bytes]:
    """Return the values as records: in each as many as fit into so many bytes, and one at least."""
    upto = [0, *accumulate(len(value) + 1 for value in values)]  # bytes of the first so many
    records: list[bytes] = []
    first = 0
    while first < len(values):
        after = max(bisect_right(upto, upto[first] + size_bytes) - 1, first + 1)
        records.append(b",".join(values[first:after]))
        first = after
    return records


def apart(record: bytes) -> list[bytes]:
    """Return the text of each value in a record of a stream of JSON."""
    return values(b"[%b]" % record)


def _objects(value: list[Any], body: bytes) -> list[bytes] | None:
    """Return the text of each element of an array of objects that is written without white space.

    Then `},{` stands between any two of them; where it stands nowhere else, cutting there is right,
    and five times as fast as looking for where each ends. None for any other array.
    """
    found = body[2:-2].split(b"},{")
    if len(found) != len(value) or set(map(type, value)) != {dict}:
        return None
    try:
        if orjson.dumps(value) != body:
            return None
    except orjson.JSONEncodeError:  # nested deeper than it writes
        return None
    return [b"{%b}" % each for each in found]


def _elements(text: str) -> list[bytes]:
    """Return the text of each element of an array, which is valid JSON."""
    found: list[bytes] = []
    at = _past(OPENING, text, 0)
    while text[at] != "]":
        _, end = SCAN(text, at)
        found.append(text[at:end].encode())
        at = _past(COMMA, text, end)
    return found


def _past(mark: re.Pattern[str], text: str, at: int) -> int:
    found = mark.match(text, at)
    assert found is not None, "or it would be no array"
    return found.end()
