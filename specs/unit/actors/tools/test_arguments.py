"""Arguments against a stranger's schema: what is right, what is wrong, and what has no end."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from trio.testing import MockClock

from actors.allowance import Allowance
from actors.tools import arguments, checking
from actors.tools.arguments import BadArguments, TooMuch
from runtime import limits
from runtime.caller import Caller
from runtime.problems import TooManyRequests
from specs.requirements import requirement

NUMBER = {"type": "integer", "minimum": 2}
SCHEMAS = st.recursive(
    st.sampled_from(
        [
            NUMBER,
            {"type": "string", "maxLength": 2},
            {"enum": [1, "a", None]},
            {"const": True},
            {"not": {"type": "null"}},
            {"type": "string", "pattern": "^a|c$"},
            {"patternProperties": {"^a": NUMBER}, "additionalProperties": False},
            {
                "patternProperties": {"b": True},
                "additionalProperties": NUMBER,
                "properties": {"a": True},
            },
        ]
    ),
    lambda inner: st.one_of(
        inner.map(lambda each: {"type": "array", "items": each, "uniqueItems": True}),
        st.lists(inner, min_size=1, max_size=2).map(lambda some: {"anyOf": some}),
        inner.map(
            lambda each: {
                "type": "object",
                "properties": {"a": each},
                "required": ["a"],
                "additionalProperties": False,
            }
        ),
    ),
    max_leaves=4,
)
VALUES = st.recursive(
    st.sampled_from([None, True, 1, 2, 3.5, "a", "abc"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=6,
)


def is_right(schema: dict[str, Any], value: Any) -> bool:
    try:
        arguments.check(schema, value)
    except BadArguments:
        return False
    return True


@requirement("tools.bad-calls")
@given(schema=SCHEMAS, value=VALUES)
def test_what_is_right_is_what_the_standard_says(schema: dict[str, Any], value: Any) -> None:
    assert is_right(schema, value) is Draft202012Validator(schema).is_valid(value)


@requirement("tools.bad-calls")
@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": {"pattern": "(?=b)"}}},
        {"properties": {"a": {"pattern": ".{0,900}" * 9}}},
        {"patternProperties": {"(?=b)": False}, "additionalProperties": False},
        {"properties": {"a": {"format": "idn-email"}}},
        {"unevaluatedProperties": False},
    ],
)
def test_what_could_take_for_ever_is_left_to_the_tool(schema: dict[str, Any]) -> None:
    assert is_right(schema, {"a": "a" * 50 + "!", "a" * 50 + "!": 1}) is True


@requirement("tools.bad-calls")
@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(a|a)*$", "^(([a-z])+.)+[A-Z]$", "(.*a){20}b"])
def test_an_expression_that_backtracks_for_ever_is_checked_at_once(pattern: str) -> None:
    assert is_right({"properties": {"a": {"pattern": pattern}}}, {"a": "a" * 5000 + "!"}) is False


@requirement("tools.bad-calls")
def test_an_expression_counts_the_steps_it_may_take() -> None:
    schema = {"items": {"pattern": "([a-y]{0,90}z?){9}"}}
    with pytest.raises(TooMuch):
        arguments.check(schema, ["abc" * 600] * 30)


@requirement("tools.bad-calls")
@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"$ref": "#"}, {}),
        ({"allOf": [{"$ref": "#"}]}, {}),
        ({"if": {"$ref": "#"}, "not": {"anyOf": [{"$ref": "#"}]}}, {}),
        ({"$dynamicRef": "#a", "$defs": {"x": {"$dynamicAnchor": "a", "$ref": "#"}}}, {}),
    ],
)
def test_a_schema_without_end_is_said_to_be_too_deep(schema: dict[str, Any], value: Any) -> None:
    with pytest.raises(BadArguments, match="too deep"):
        arguments.check(schema, value)


@requirement("tools.bad-calls")
@pytest.mark.parametrize("ref", ["https://example.com/s", "file:///etc/passwd", "#/none", "other"])
def test_no_schema_is_fetched(ref: str) -> None:
    with pytest.raises(BadArguments, match="points to what it does not hold"):
        arguments.check({"properties": {"a": {"$ref": ref}}}, {"a": 1})


@requirement("tools.bad-calls")
async def test_a_long_check_goes_on_where_it_holds_up_nobody() -> None:
    schema = {"properties": {"a": {"items": NUMBER}}}
    within = [2] * limits.SCHEMA_STEPS_INLINE
    beyond = {"a": [2] * limits.SCHEMA_STEPS_MAX}

    with pytest.raises(TooMuch):
        arguments.check(schema, {"a": within}, limits.SCHEMA_STEPS_INLINE)
    assert await checking.problem_with(schema, {"a": within}) == ""
    wrong = await checking.problem_with(schema, {"a": [*within, 1]})
    assert wrong == f"/a/{len(within)}: 1 is less than the minimum of 2"
    too_long = await checking.problem_with(schema, beyond)
    assert too_long == "The tool's schema takes too long to check."


@requirement("tools.bad-calls")
def test_arguments_that_are_too_long_are_not_read() -> None:
    text = '{"a": "' + "x" * limits.TOOL_ARGUMENTS_BYTES + '"}'
    with pytest.raises(BadArguments, match="longer than 1048576 bytes"):
        arguments.read({}, text)
    assert arguments.read({}, "") == {}


@requirement("direct.rate")
async def test_an_allowance_fills_up_again_with_time(autojump_clock: MockClock) -> None:
    ann, bob = (Caller(tenant="local", user=name) for name in ("ann", "bob"))
    allowance = Allowance(burst=2, per_s=4)
    allowance.spend(ann)
    allowance.spend(ann)
    with pytest.raises(TooManyRequests):
        allowance.spend(ann)
    allowance.spend(bob)
    await trio.sleep(0.25)
    allowance.spend(ann)
    with pytest.raises(TooManyRequests):
        allowance.spend(ann)
