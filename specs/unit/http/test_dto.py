"""Bodies and queries become dataclasses, or say where they are wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from runtime.problems import BadJson, Invalid
from transports.ingress.http.dto import pointer, read_body, read_query
from transports.ingress.http.reading import LogQuery
from transports.ingress.http.routes.jobs import InputPart, NewJob


@pytest.mark.parametrize(
    "raw",
    [b"{", b'{"input": NaN}', b"\xff", b'"' + b"[" * 10, b"[" * 5000, b'{"input": "a"} x', b"nul"],
)
def test_what_is_no_json_is_bad_json(raw: bytes) -> None:
    with pytest.raises(BadJson):
        read_body(raw, NewJob)


WRONG: Mapping[bytes, list[str]] = {
    b"[]": [""],
    b"null": [""],
    b"{}": ["/input"],
    b'{"input": 5}': ["/input"],
    b'{"input": ""}': ["/input"],
    b'{"input": []}': ["/input"],
    b'{"input": ["a"]}': ["/input/0"],
    b'{"input": [{"type": "image", "text": "a"}]}': ["/input/0/type"],
    b'{"input": [{"type": "text", "text": "a", "b~/c": 1}]}': ["/input/0/b~0~1c"],
    b'{"input": "a", "on_active": "maybe", "model": 1}': ["/model", "/on_active"],
    b'{"input": "a", "inptu": "b"}': ["/inptu"],
    b'{"input": "a", "options": [1]}': ["/options"],
    b'{"input": "a\\u0000b"}': ["/input"],
    b'{"input": "a", "options": {"\\u0000": 1}}': ["/options/\x00"],
    b'{"input": "\\ud800"}': ["/input"],
    b'{"input": "a", "\\ud800": 1}': ["/\\ud800"],
    b'{"input": [{"type": "text", "text": "\\udfff x"}]}': ["/input/0/text"],
}


@pytest.mark.parametrize("raw", WRONG)
def test_what_is_wrong_is_pointed_at(raw: bytes) -> None:
    with pytest.raises(Invalid) as raised:
        read_body(raw, NewJob)
    pointers = [each["pointer"] for each in raised.value.extensions["errors"]]
    assert sorted(pointers) == WRONG[raw]


def test_a_body_is_read_as_it_is() -> None:
    parts = b'{"input": [{"type": "text", "text": "\\ud83d\\ude00"}], "options": {"seed": 1}}'
    assert read_body(parts, NewJob) == NewJob(
        input=(InputPart(type="text", text="😀"),), options={"seed": 1}
    )
    assert read_body(b'{"input": "hi"}', NewJob) == NewJob(input="hi")


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({"limit": "0"}, "/limit"),
        ({"limit": "1001"}, "/limit"),
        ({"limit": "many"}, "/limit"),
        ({"limit": ""}, "/limit"),
        ({"wait": "-1"}, "/wait"),
        ({"wait": "31"}, "/wait"),
        ({"wait": "nan"}, "/wait"),
    ],
)
def test_a_wrong_parameter_is_pointed_at(given: dict[str, str], place: str) -> None:
    with pytest.raises(Invalid) as raised:
        read_query(given, LogQuery)
    assert [each["pointer"] for each in raised.value.extensions["errors"]] == [place]


def test_a_parameter_nobody_knows_is_let_be() -> None:
    assert read_query({"limit": "7", "utm": "x"}, LogQuery) == LogQuery(limit=7)


def test_a_pointer_escapes_as_rfc_6901_says() -> None:
    places: list[tuple[tuple[Any, ...], str]] = [((), ""), (("a", 0), "/a/0"), (("~/",), "/~0~1")]
    assert [pointer(place) for place, _ in places] == [text for _, text in places]
