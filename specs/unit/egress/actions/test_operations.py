"""Operations are found with all that they take; what cannot be called says why."""

from __future__ import annotations

import re
from typing import Any

import pytest

from specs.requirements import requirement
from specs.unit.egress.actions.kit import found, openapi, swagger
from transports.egress.actions.reading import Unusable

ID: dict[str, Any] = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}


def query(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": {"type": "string"}, **more}


@requirement("actions.no-ghosts")
def test_only_methods_are_operations() -> None:
    item: dict[str, Any] = {
        "parameters": [],
        "summary": "no",
        "x-get": {},
        "GET": {},
        "get": {},
        "query": {},
    }
    item |= {"servers": [], "post": None, "$comment": {"get": {}}}
    names = [each.name for each in found(openapi({"/cats": item, "x-paths": {"get": {}}}))]
    assert names == ["get_cats"]


@requirement("actions.parameters")
def test_parameters_of_the_path_count_and_the_operations_own_come_first() -> None:
    document = openapi(
        {
            "/cats/{id}": {
                "parameters": [ID, query("fields"), {"$ref": "#/components/parameters/Page"}],
                "get": {"parameters": [query("fields", required=True)]},
            }
        },
        components={"parameters": {"Page": query("page"), "Loop": {"$ref": "#"}}},
    )
    [get] = found(document)
    assert [(each.name, each.required) for each in get.parameters] == [
        ("id", True),
        ("fields", True),
        ("page", False),
    ]
    assert get.parameter_count == 3


def test_references_lead_on_and_round_in_circles_nowhere() -> None:
    parameters = {
        "A": {"$ref": "#/components/parameters/B~1C"},
        "B/C": query("found"),
        "Round": {"$ref": "#/components/parameters/Round"},
    }
    given = [
        {"$ref": "#/components/parameters/A"},
        {"$ref": "#/components/parameters/Round"},
        {"$ref": "#/components/parameters/Nobody"},
        {"$ref": "http://169.254.169.254/latest#/x"},
        {"$ref": "file:///etc/passwd"},
        "nonsense",
    ]
    document = openapi({"/": {"get": {"parameters": given}}}, components={"parameters": parameters})
    [get] = found(document)
    assert [each.name for each in get.parameters] == ["found"]


def test_headers_that_are_not_a_parameters_to_say_are_left_out_of_it() -> None:
    headers = [query(name) | {"in": "header"} for name in ("Authorization", "Accept", "X-Cat")]
    [get] = found(openapi({"/": {"get": {"parameters": headers}}}))
    assert [each.name for each in get.parameters] == ["X-Cat"]
    assert get.notes == [
        "Authorization is not a parameter's to say.",
        "Accept is not a parameter's to say.",
    ]


@pytest.mark.parametrize(
    ("path", "operation", "why"),
    [
        ("/{id}", {"post": {}}, "The path wants id, which nothing describes."),
        ("/", {"trace": {}}, "TRACE shows credentials to whoever asks."),
        (
            "/",
            {"post": {"requestBody": {"required": True, "content": {"image/png": {}}}}},
            "A body of image/png cannot be sent: no model writes bytes.",
        ),
        (
            "/",
            {"post": {"requestBody": {"$ref": "https://elsewhere.example/body"}}},
            "Its body: A reference points outside of the document.",
        ),
    ],
)
@requirement("actions.left-out")
def test_what_cannot_be_called_is_left_out_with_the_reason(
    path: str, operation: dict[str, Any], why: str
) -> None:
    [each] = found(openapi({path: operation}))
    assert each.left_out == why


@pytest.mark.parametrize(
    ("content", "kind", "media"),
    [
        (["text/plain", "application/xml", "application/json"], "json", "application/json"),
        (["application/vnd.cat+json; v=1"], "json", "application/vnd.cat+json; v=1"),
        (["*/*"], "json", "application/json"),
        (["multipart/form-data", "application/x-www-form-urlencoded"], "form", None),
        (["image/png", "multipart/form-data"], "multipart", "multipart/form-data"),
        (["application/octet-stream", "application/xml"], "text", "application/xml"),
    ],
)
def test_a_body_has_the_best_media_type_that_a_model_can_write(
    content: list[str], kind: str, media: str | None
) -> None:
    body: dict[str, Any] = {"content": {each: {"schema": {}} for each in content}}
    [post] = found(openapi({"/": {"post": {"requestBody": body}}}))
    assert post.body is not None
    assert (post.body.kind, post.body.media) == (kind, media or content[-1])


def test_a_form_that_wants_a_file_is_left_out_and_another_way_taken() -> None:
    form = {"required": ["f"], "properties": {"f": {"type": "string", "format": "binary"}}}
    content = {"multipart/form-data": {"schema": form}, "text/csv": {}}
    [post] = found(openapi({"/": {"post": {"requestBody": {"content": content}}}}))
    assert post.body is not None
    assert post.body.kind == "text"
    assert post.notes[0] == "multipart/form-data: it wants a file as f, and no model writes bytes."


def test_swagger_is_read_as_what_it_means() -> None:
    tags = {"name": "t", "in": "query", "type": "array", "items": {"type": "integer"}}
    document = swagger(
        {
            "/cats/{id}": {
                "parameters": [{"name": "id", "in": "path", "required": True, "type": "integer"}],
                "get": {
                    "parameters": [
                        tags,
                        tags | {"name": "m", "collectionFormat": "multi"},
                        tags | {"name": "p", "collectionFormat": "pipes"},
                    ]
                },
                "put": {"parameters": [{"$ref": "#/parameters/Cat"}]},
                "post": {
                    "consumes": ["application/x-www-form-urlencoded"],
                    "parameters": [{"name": "n", "in": "formData", "type": "string"}],
                },
                "patch": {
                    "parameters": [
                        {"name": "f", "in": "formData", "type": "file", "required": True}
                    ]
                },
            }
        },
        parameters={"Cat": {"name": "cat", "in": "body", "required": True, "schema": {"x": 1}}},
    )
    get, put, post, patch = sorted(found(document), key=lambda each: each.method != "get")
    styles = [(each.name, each.style, each.explode) for each in get.parameters]
    assert styles == [
        ("id", "simple", False),
        ("t", "form", False),
        ("m", "form", True),
        ("p", "pipeDelimited", False),
    ]
    assert put.body is not None
    assert (put.body.kind, put.body.required, put.body.schema) == ("json", True, {"x": 1})
    assert post.body is not None
    assert (post.body.kind, sorted(post.body.schema["properties"])) == ("form", ["n"])
    assert patch.left_out == "A body of multipart/form-data cannot be sent: no model writes bytes."


@requirement("actions.names")
def test_names_are_unique_whatever_a_document_calls_them() -> None:
    ids = ["list", "list", "LIST", "a b/c", "é", "", 7, "x" * 90, "x" * 91]
    paths = {f"/{number}": {"get": {"operationId": each}} for number, each in enumerate(ids)}
    names = [each.name for each in found(openapi(paths))]
    assert len({each.lower() for each in names}) == len(ids)
    assert [each for each in names if not re.fullmatch("[a-zA-Z0-9_-]{1,64}", each)] == []
    assert names[3:7] == ["a_b_c", "get_4", "get_5", "get_6"]


@requirement("actions.names")
def test_a_name_does_not_depend_on_the_order_of_others() -> None:
    paths = {f"/{number}": {"get": {"operationId": "list"}} for number in range(3)}
    forth = {each.path: each.name for each in found(openapi(paths))}
    back = {each.path: each.name for each in found(openapi(dict(reversed(paths.items()))))}
    assert forth == back


@pytest.mark.parametrize(
    ("document", "rule"),
    [
        ({}, "version"),
        ({"openapi": "4.0.0"}, "version"),
        ({"openapi": {"a": 1}}, "version"),
        ({"swagger": "1.2"}, "version"),
        ({"asyncapi": "2.0"}, "version"),
        ({"openapi": "3.0.0", "paths": [1]}, "paths"),
    ],
)
def test_another_version_is_refused(document: dict[str, Any], rule: str) -> None:
    with pytest.raises(Unusable) as caught:
        found(document)
    assert caught.value.rule == rule
