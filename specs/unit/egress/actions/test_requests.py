"""A request is written as the document says, and no argument leaves its place."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runtime.problems import Invalid
from specs.requirements import requirement
from transports.egress.actions.requests import Made, request

SERVER = "https://api.example.com/v1"
LIST, OBJECT = ["blue", "black"], {"R": 100, "G": 200}


def parameter(place: str, style: str, *, explode: bool, media: str = "") -> dict[str, Any]:
    how = {"style": style, "explode": explode, "media": media}
    return {"argument": "color", "name": "color", "place": place, **how}


def action(*parameters: dict[str, Any], path: str = "/cats", body: Any = None) -> dict[str, Any]:
    return {
        "method": "POST",
        "server": SERVER,
        "path": path,
        "parameters": list(parameters),
        "body": body,
    }


def sent(parameter: dict[str, Any], value: Any, path: str = "/cats") -> Made:
    return request(action(parameter, path=path), {"color": value})


@pytest.mark.parametrize(
    ("style", "explode", "value", "written"),
    [  # the table of OpenAPI 3.0.3, "Style Examples"
        ("form", False, "", "color="),
        ("form", False, LIST, "color=blue,black"),
        ("form", True, LIST, "color=blue&color=black"),
        ("form", False, OBJECT, "color=R,100,G,200"),
        ("form", True, OBJECT, "R=100&G=200"),
        ("spaceDelimited", False, LIST, "color=blue%20black"),
        ("pipeDelimited", False, LIST, "color=blue%7Cblack"),
        ("deepObject", True, OBJECT, "color[R]=100&color[G]=200"),
        ("form", True, True, "color=true"),
        ("form", True, "a&b=c#d", "color=a%26b%3Dc%23d"),
    ],
)
@requirement("actions.request")
def test_a_query_is_written_in_its_style(
    style: str, explode: bool, value: Any, written: str
) -> None:
    made = sent(parameter("query", style, explode=explode), value)
    assert made.url == f"{SERVER}/cats?{written}"


@pytest.mark.parametrize(
    ("style", "explode", "value", "written"),
    [
        ("simple", False, LIST, "blue,black"),
        ("simple", True, OBJECT, "R=100,G=200"),
        ("simple", False, OBJECT, "R,100,G,200"),
        ("label", False, "blue", ".blue"),
        ("label", True, LIST, ".blue.black"),
        ("matrix", False, "blue", ";color=blue"),
        ("matrix", False, LIST, ";color=blue,black"),
        ("matrix", True, LIST, ";color=blue;color=black"),
        ("matrix", True, OBJECT, ";R=100;G=200"),
    ],
)
def test_a_part_of_a_path_is_written_in_its_style(
    style: str, explode: bool, value: Any, written: str
) -> None:
    made = sent(parameter("path", style, explode=explode), value, "/cats/{color}/x?say=1")
    assert made.url == f"{SERVER}/cats/{written}/x?say=1"


@requirement("actions.request")
@example(".")
@example("..")
@example("../x")
@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_no_argument_leaves_its_segment(value: str) -> None:
    placed = parameter("path", "simple", explode=False)
    if value.strip(".") == "":
        with pytest.raises(Invalid):
            sent(placed, value, "/a/{color}/b")
        return
    parts = urlsplit(sent(placed, value, "/a/{color}/b").url)
    assert (parts.query, parts.fragment) == ("", "")
    assert [unquote(each) for each in parts.path.split("/")] == ["", "v1", "a", value, "b"]


def test_headers_and_cookies_are_one_line() -> None:
    header, cookie = (
        parameter("header", "simple", explode=False),
        parameter("cookie", "form", explode=False),
    )
    assert sent(header, LIST).headers == (("color", "blue,black"),)
    assert sent(header, OBJECT).headers == (("color", "R,100,G,200"),)
    assert sent(cookie, "a;b").headers == (("Cookie", "color=a%3Bb"),)
    with pytest.raises(Invalid):
        sent(header, "a\r\nX-Evil: 1")


def test_a_parameter_with_a_media_type_is_written_in_it() -> None:
    placed = parameter("query", "form", explode=True, media="application/json")
    assert sent(placed, {"a": [1]}).url == f"{SERVER}/cats?color=%7B%22a%22%3A%5B1%5D%7D"


@pytest.mark.parametrize(
    ("kind", "media", "value", "content", "told"),
    [
        ("json", "application/json", {"a": None}, b'{"a":null}', "application/json"),
        ("text", "text/csv", "a;\u00e9", "a;\u00e9".encode(), "text/csv; charset=utf-8"),
        (
            "form",
            "application/x-www-form-urlencoded",
            {"a b": ["1", 2], "o": {"x": 1}, "t": "a&b=c"},
            b"a+b=1&a+b=2&o=%7B%22x%22%3A1%7D&t=a%26b%3Dc",
            "application/x-www-form-urlencoded",
        ),
    ],
)
def test_a_body_is_written_in_its_media_type(
    kind: str, media: str, value: Any, content: bytes, told: str
) -> None:
    body = {"argument": "body", "kind": kind, "media": media, "encoding": {}}
    made = request(action(body=body), {"body": value})
    assert (made.content, made.headers) == (content, (("Content-Type", told),))


def test_a_form_of_many_parts_keeps_its_edges() -> None:
    body = {"argument": "body", "kind": "multipart", "media": "multipart/form-data"}
    value = {'a"\r\nb': "x\r\n--runchat", "o": {"k": 1}}
    made = request(action(body=body | {"encoding": {}}), {"body": value})
    boundary = made.headers[0][1].partition("boundary=")[2]
    assert made.content.decode() == (
        f"--{boundary}\r\n"
        'Content-Disposition: form-data; name="a%22%0D%0Ab"\r\n\r\nx\r\n--runchat\r\n'
        f"--{boundary}\r\n"
        'Content-Disposition: form-data; name="o"\r\n'
        'Content-Type: application/json\r\n\r\n{"k":1}\r\n'
        f"--{boundary}--\r\n"
    )


@pytest.mark.parametrize(("arguments", "place"), [({"x": 1}, "/x"), ({}, "/color")])
def test_an_argument_too_many_or_too_few_is_refused(arguments: dict[str, Any], place: str) -> None:
    known = action(parameter("path", "simple", explode=False), path="/{color}")
    with pytest.raises(Invalid) as caught:
        request(known, arguments)
    assert caught.value.extensions["errors"][0]["pointer"] == place
