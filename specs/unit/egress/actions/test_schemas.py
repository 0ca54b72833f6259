"""A schema stands by itself: no reference, no circle, no more than a model should be told."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from runtime import limits
from specs.requirements import requirement
from transports.egress.actions.pointers import Document
from transports.egress.actions.schemas import standing

WORDS = (
    *("type", "properties", "items", "required", "allOf", "anyOf", "enum", "minimum", "$ref"),
    *("nullable", "exclusiveMinimum", "maxLength", "additionalProperties", "description", "not"),
)
ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from(["string", "object", "array", "int", "#/components/schemas/A", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4)
    ),
    max_leaves=20,
)


def alone(schema: Any, most: int = limits.ACTION_SCHEMA_BYTES, **schemas: Any) -> dict[str, Any]:
    root = {"openapi": "3.1.0", "components": {"schemas": schemas}}
    return standing(Document(root), schema, most)


def ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


@given(ODD, ODD)
@example({"type": ["string", "string"]}, None)
def test_whatever_a_document_says_the_schema_is_one_and_points_nowhere(said: Any, a: Any) -> None:
    made = alone(said, A=a)
    Draft202012Validator.check_schema(made)
    assert b'"$ref"' not in orjson.dumps(made).replace(b'{"$ref":{', b"")


@requirement("actions.recursion")
def test_a_schema_that_holds_itself_is_cut_where_it_does() -> None:
    node = {"type": "object", "properties": {"name": {"type": "string"}, "next": ref("Node")}}
    again = {"description": "Node again: it holds itself, and is not told a second time."}
    assert alone(ref("Node"), Node=node) == {
        "type": "object",
        "properties": {"name": {"type": "string"}, "next": again},
    }


@requirement("actions.recursion")
def test_a_schema_without_end_fits_all_the_same() -> None:
    wide = {
        f"S{number}": {
            "properties": {f"p{each}": ref(f"S{(number * 7 + each) % 60}") for each in range(9)}
        }
        for number in range(60)
    }
    made = alone(ref("S1"), 4096, **wide)
    assert len(orjson.dumps(made)) <= 4096
    assert sorted(made["properties"]) == [f"p{each}" for each in range(9)]


def test_all_of_becomes_one_schema() -> None:
    pet = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}
    more = {"properties": {"lives": {"type": "integer"}}, "required": ["lives", "name"]}
    assert alone({"allOf": [ref("Pet"), more], "description": "A cat"}, Pet=pet) == {
        "type": "object",
        "description": "A cat",
        "required": ["name", "lives"],
        "properties": {"name": {"type": "string"}, "lives": {"type": "integer"}},
    }


def test_what_does_not_agree_stays_all_of() -> None:
    parts = [{"type": "string", "minLength": 1}, {"type": "string", "minLength": 2}]
    assert alone({"allOf": parts}) == {
        "type": "string",
        "minLength": 1,
        "allOf": [{"type": "string", "minLength": 2}],
    }


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
        (
            {"type": "string", "enum": ["a"], "nullable": True},
            {"type": ["string", "null"], "enum": ["a", None]},
        ),
        ({"type": "integer", "minimum": 1, "exclusiveMinimum": True}, {"exclusiveMinimum": 1}),
        ({"type": "integer", "exclusiveMinimum": 2}, {"exclusiveMinimum": 2}),
        ({"type": "file"}, {}),
        ({"type": "array"}, {"type": "array", "items": {}}),
        ({"example": 1, "xml": {}, "discriminator": {}, "x-y": 1, "deprecated": True}, {}),
        (
            {"$ref": "https://elsewhere.example/s"},
            {"description": "A reference points outside of the document."},
        ),
    ],
)
def test_words_of_openapi_are_said_in_those_of_the_standard(
    said: dict[str, Any], meant: dict[str, Any]
) -> None:
    made = alone(said)
    assert {word: made[word] for word in meant} == meant
    assert made.keys() - meant.keys() <= {"type"}


def test_what_only_the_server_says_is_not_asked_for() -> None:
    said = {
        "type": "object",
        "required": ["id", "name"],
        "properties": {"id": {"type": "string", "readOnly": True}, "name": {"type": "string"}},
    }
    assert alone(said) == {
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"type": "string"}},
    }
