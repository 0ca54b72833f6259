"""An action stands by itself, and a preview says what of a document is taken and what is not."""

from __future__ import annotations

from typing import Any

import pytest

from runtime import limits
from specs.requirements import requirement
from specs.unit.egress.actions.kit import SERVER, action, actions, openapi, preview, swagger
from transports.egress.actions.reading import Unusable

CATS: dict[str, Any] = {"get": {"operationId": "listCats", "summary": "All cats"}}


def test_an_action_holds_all_that_a_call_needs() -> None:
    operation = {
        "operationId": "feed",
        "summary": "Feed it",
        "description": "Gives it food.",
        "parameters": [
            {"name": "$filter", "in": "query", "schema": {"type": "string"}},
            {"name": "filter", "in": "header", "description": "Why", "schema": {}},
            {"name": "body", "in": "query", "required": True, "schema": {"type": "boolean"}},
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": {}}}},
    }
    made = action(operation)
    assert made.pop("version") == action(operation)["version"]
    sent = {"style": "form", "explode": True, "media": ""}
    assert made == {
        "name": "feed",
        "description": "Feed it\nGives it food.",
        "method": "POST",
        "path": "/cats",
        "server": SERVER,
        "anonymous": False,
        "parameters": [
            {"argument": "filter", "name": "$filter", "place": "query", **sent},
            {"argument": "filter_header", "name": "filter", "place": "header"}
            | {"style": "simple", "explode": False, "media": ""},
            {"argument": "body", "name": "body", "place": "query", **sent},
        ],
        "body": {
            "argument": "body_request",
            "kind": "json",
            "media": "application/json",
            "encoding": {},
        },
        "schema": {
            "type": "object",
            "properties": {
                "filter": {"type": "string"},
                "filter_header": {"description": "Why"},
                "body": {"type": "boolean"},
                "body_request": {},
            },
            "additionalProperties": False,
            "required": ["body", "body_request"],
        },
    }


def test_an_operation_that_wants_nobody_to_sign_in_says_so() -> None:
    assert action({"security": []})["anonymous"] is True
    assert action({"security": [{}]})["anonymous"] is False


@requirement("actions.preview")
def test_a_preview_lists_what_is_taken_and_what_is_left_out_and_why() -> None:
    document = openapi({"/cats": CATS | {"trace": {"operationId": "echo"}}})
    assert preview(document) == {
        "title": "Cats",
        "version": "7",
        "server": SERVER,
        "servers": [SERVER],
        "security": [],
        "total": 2,
        "taken": 1,
        "left_out": 1,
        "matching": 2,
        "operations": [
            {"name": "listCats", "method": "GET", "path": "/cats", "title": "All cats"}
            | {"taken": True, "left_out": None, "notes": []},
            {"name": "echo", "method": "TRACE", "path": "/cats", "title": "echo", "taken": False}
            | {"left_out": "TRACE shows credentials to whoever asks.", "notes": []},
        ],
    }


def test_a_preview_shows_those_that_are_looked_for() -> None:
    document = openapi({"/cats": CATS, "/dogs": {"get": {"operationId": "dogs"}}})
    shown = preview(document, search="CATS")
    assert (shown["total"], shown["matching"]) == (2, 1)
    assert [each["name"] for each in shown["operations"]] == ["listCats"]


def test_a_preview_tells_how_one_signs_in() -> None:
    said = {
        "k": {"type": "apiKey", "in": "header", "name": "X-Key"},
        "b": {"type": "http", "scheme": "Bearer"},
        "c": {"type": "apiKey", "in": "cookie", "name": "c"},
        "o": {
            "type": "oauth2",
            "flows": {
                "authorizationCode": {
                    "authorizationUrl": "https://i.example/a",
                    "tokenUrl": "https://i.example/t",
                    "scopes": {"read": ""},
                },
                "implicit": {},
            },
        },
    }
    shown = preview(openapi({"/": CATS}, components={"securitySchemes": said}))["security"]
    assert shown == [
        {"scheme": "k", "type": "header", "name": "X-Key"},
        {"scheme": "b", "type": "bearer"},
        {"scheme": "c", "type": "unsupported", "said": "apiKey"},
        {"scheme": "o", "type": "oauth_code", "authorization_url": "https://i.example/a"}
        | {"token_url": "https://i.example/t", "scopes": ["read"]},
        {"scheme": "o", "type": "unsupported", "said": "oauth2 implicit"},
    ]


@pytest.mark.parametrize(
    ("servers", "choice", "server"),
    [
        ([{"url": "https://a.example/"}], {}, "https://a.example"),
        (
            [{"url": "https://{r}.a.example", "variables": {"r": {"default": "eu"}}}],
            {},
            "https://eu.a.example",
        ),
        (
            [{"url": "https://{r}.a.example", "variables": {"r": {"default": "eu"}}}],
            {"variables": {"r": "us"}},
            "https://us.a.example",
        ),
        ([{"url": "/v2"}], {"base": "https://b.example/docs/o.json"}, "https://b.example/v2"),
        ([], {"base": "https://b.example/docs/o.json"}, "https://b.example"),
        ([], {"server": "https://c.example/x/"}, "https://c.example/x"),
        ([{"url": "https://{t}.a.example"}, {"url": "https://z.example"}], {}, "https://z.example"),
    ],
)
def test_calls_go_to_a_server_that_the_document_names(
    servers: list[dict[str, Any]], choice: dict[str, Any], server: str
) -> None:
    assert actions(openapi({"/cats": CATS}, servers=servers), **choice)[0]["server"] == server


def test_servers_of_swagger_are_its_host_by_https_first() -> None:
    assert actions(swagger({"/": CATS}, schemes=["http", "https"]))[0]["server"] == SERVER


@requirement("actions.domain")
@pytest.mark.parametrize(
    ("servers", "choice", "rule"),
    [
        ([{"url": SERVER}], {"server": "https://evil.example"}, "domain-mismatch"),
        ([{"url": SERVER}], {"server": "http://api.example.com"}, "domain-mismatch"),
        ([{"url": SERVER}], {"server": "ftp://api.example.com"}, "server"),
        ([], {}, "no-server"),
        ([{"url": "https://{t}.example.com"}], {}, "no-server"),
        ([{"url": "https://{t}.x.example"}], {"variables": {"t": "evil.example/#"}}, "variable"),
        (
            [{"url": "https://{t}.x.example", "variables": {"t": {"enum": ["a"]}}}],
            {"variables": {"t": "b"}},
            "variable",
        ),
    ],
)
def test_a_server_that_the_document_does_not_name_is_refused(
    servers: list[dict[str, Any]], choice: dict[str, Any], rule: str
) -> None:
    with pytest.raises(Unusable) as caught:
        actions(openapi({"/cats": CATS}, servers=servers), **choice)
    assert caught.value.rule == rule


@requirement("actions.domain")
def test_an_operation_at_another_server_is_left_out() -> None:
    elsewhere = {"get": {"servers": [{"url": "https://evil.example"}]}}
    document = openapi({"/cats": CATS, "/evil": elsewhere})
    assert [each["name"] for each in actions(document)] == ["listCats"]
    assert preview(document)["operations"][1]["left_out"] == "It is at another server."


@requirement("actions.bounds")
def test_who_wants_a_part_of_a_large_document_names_it() -> None:
    paths: dict[str, Any] = {f"/{n}": {"get": {}} for n in range(limits.ACTIONS_MAX + 1)}
    with pytest.raises(Unusable, match="name those wanted, 128 at most") as caught:
        actions(openapi(paths))
    assert caught.value.rule == "choose"
    assert preview(openapi(paths))["total"] == limits.ACTIONS_MAX + 1
    some = actions(openapi(paths), operations=("get_7", "get_3"))
    assert [each["name"] for each in some] == ["get_7", "get_3"]
    with pytest.raises(Unusable, match="named get_x"):
        actions(openapi(paths), operations=("get_x",))


def test_a_set_is_told_within_its_bound() -> None:
    large = {f"p{each}": {"type": "string", "description": "x" * 500} for each in range(50)}
    body = {"content": {"application/json": {"schema": {"properties": large}}}}
    paths = {f"/{number}": {"post": {"requestBody": body}} for number in range(60)}
    told = sum(len(str(each["schema"])) for each in actions(openapi(paths)))
    assert told <= 2 * limits.ACTION_SET_BYTES
