"""The chat wire becomes parts, whatever vendors put on it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.problems import Upstream, UpstreamLost, UpstreamSaid
from transports.egress.providers.base import Delta, End, ItemDone, ItemStart, Part, Usage
from transports.egress.providers.chat_wire import ChatAnswer

Json = dict[str, Any]


def fold(*chunks: Json, done: bool = False) -> list[Part]:
    answer = ChatAnswer("m")
    parts = [part for chunk in chunks for part in answer.take(json.dumps(chunk))]
    if done:
        parts += answer.take(" [DONE]")
    return parts + list(answer.close())


def delta(reason: str | None = None, index: Any = 0, **fields: Any) -> Json:
    return {"choices": [{"index": index, "delta": fields, "finish_reason": reason}]}


def call(index: Any, call_id: str | None, name: str | None, arguments: str) -> Json:
    return delta(
        tool_calls=[
            {"index": index, "id": call_id, "function": {"name": name, "arguments": arguments}}
        ]
    )


def arguments(parts: list[Part]) -> dict[int, str]:
    found: dict[int, str] = {}
    for part in parts:
        if isinstance(part, Delta) and part.arguments is not None:
            found[part.index] = found.get(part.index, "") + part.arguments
    return found


def test_text_is_one_item() -> None:
    assert fold(
        delta(role="assistant", content=""), delta(content="a"), delta("stop", content="b")
    ) == [
        ItemStart(index=0, type="message"),
        Delta(index=0, text="a"),
        Delta(index=0, text="b"),
        ItemDone(index=0),
        End(end_state="finished", reason="stop", provider_reason="stop"),
    ]


def test_reasoning_text_and_refusal_are_items_in_their_order() -> None:
    parts = fold(
        delta(reasoning_content="hm", reasoning="hm"),
        delta(reasoning="!"),
        delta(content="yes"),
        delta(reasoning_content="wait"),
        delta("stop", refusal="no"),
    )
    assert [part.type for part in parts if isinstance(part, ItemStart)] == [
        "reasoning",
        "message",
        "reasoning",
        "refusal",
    ]
    assert [(part.index, part.text) for part in parts if isinstance(part, Delta)] == [
        (0, "hm"),
        (0, "!"),
        (1, "yes"),
        (2, "wait"),
        (3, "no"),
    ]
    assert [part.index for part in parts if isinstance(part, ItemDone)] == [0, 1, 2, 3]


def test_content_may_come_as_typed_parts() -> None:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    parts = fold(
        delta("stop", content=[thinking, {"type": "text", "text": "yes"}, {"type": "new"}])
    )
    kinds = [part.type for part in parts if isinstance(part, ItemStart)]
    assert kinds == ["reasoning", "message", "opaque"]


@pytest.mark.parametrize(
    ("chunks", "wanted"),
    [
        ([call(0, "a", "f", '{"x'), call(0, None, None, '":1}')], {0: '{"x":1}'}),
        (
            [call(0, "a", "f", "1"), call(1, "b", "g", "2"), call(0, "a", None, "1")],
            {0: "11", 1: "2"},
        ),
        (
            [call(0, "a", "f", "1"), call(0, "b", "g", "2"), call(0, None, None, "2")],
            {0: "1", 1: "22"},
        ),
        (
            [call(None, "a", "f", "1"), call(None, "", None, "1"), call(None, "b", "g", "2")],
            {0: "11", 1: "2"},
        ),
        ([call(0, None, "f", "1"), call(0, "a", None, "1")], {0: "11"}),
        ([delta(function_call={"name": "f", "arguments": "1"})], {0: "1"}),
    ],
)
def test_a_tool_call_is_known_by_its_index_else_its_id_else_it_is_the_last(
    chunks: list[Json], wanted: dict[int, str]
) -> None:
    parts = fold(*chunks, delta("tool_calls"))
    assert arguments(parts) == wanted
    assert parts[-1] == End(reason="tool_calls", provider_reason="tool_calls")
    assert sum(isinstance(part, ItemDone) for part in parts) == len(wanted)


def test_a_tool_call_says_its_name_first() -> None:
    parts = fold(call(0, "call_1", "look", "{}"), delta("tool_calls"))
    start = ItemStart(index=0, type="tool_call", call_id="call_1", name="look")
    assert parts[:2] == [start, Delta(index=0, arguments="{}")]


def test_a_later_usage_takes_the_place_of_an_earlier_one() -> None:
    answer = ChatAnswer("m")
    early = {"prompt_tokens": 3, "completion_tokens": 1}
    late = {
        "prompt_tokens": 3,
        "completion_tokens": 9,
        "prompt_tokens_details": {"cached_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 4},
        "cost": 0.1,
    }
    for usage in (early, late, None):
        assert list(answer.take(json.dumps({"choices": [], "usage": usage}))) == []
    assert answer.usage == Usage(
        source="provider", input=3, cached=2, output=9, reasoning=4, raw=late
    )


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("content_filter", "filter"),
        ("tool_calls", "tool_calls"),
        ("function_call", "tool_calls"),
        ("brand_new", "unknown"),
    ],
)
def test_the_wires_reason_is_kept_beside_ours(word: str, reason: str) -> None:
    assert fold(delta(word)) == [End(end_state="finished", reason=reason, provider_reason=word)]


def test_done_without_a_reason_is_finished_without_a_reason() -> None:
    assert fold(delta(content="a"), done=True)[-2:] == [
        ItemDone(index=0),
        End(end_state="finished_no_reason", reason="unknown"),
    ]


def test_without_a_mark_there_is_no_end_and_the_item_stays_open() -> None:
    assert fold(delta(content="a")) == [
        ItemStart(index=0, type="message"),
        Delta(index=0, text="a"),
    ]


@pytest.mark.parametrize(
    ("chunk", "code", "message"),
    [
        ({"error": {"message": "Too much.", "code": "overloaded"}}, "overloaded", "Too much."),
        ({"error": {"message": "Bad.", "type": "server_error"}}, "server_error", "Bad."),
        ({"error": "plain words"}, "unknown", "plain words"),
        ({"error": {"code": 502}, "choices": []}, "502", "The provider said no more than that."),
    ],
)
def test_an_error_in_the_stream_is_the_providers_error(
    chunk: Json, code: str, message: str
) -> None:
    with pytest.raises(UpstreamSaid) as said:
        fold(chunk)
    assert (said.value.extensions["code"], said.value.detail) == (code, message)


def test_what_is_no_json_is_a_loss() -> None:
    with pytest.raises(UpstreamLost):
        list(ChatAnswer("m").take('{"choices": [{"del'))


def test_what_nobody_knows_is_counted() -> None:
    answer = ChatAnswer("m")
    for payload in (
        "[]",
        '"x"',
        "null",
        '{"choices": [{"index": 1, "delta": {"content": "other"}}]}',
    ):
        assert list(answer.take(payload)) == []
    assert list(answer.take('{"choices": [{"delta": {"content": "a", "new": 1}}]}')) == [
        ItemStart(index=0, type="message"),
        Delta(index=0, text="a"),
        ItemStart(index=1, type="opaque", name="delta.new"),
        Delta(index=1, annotation={"new": 1}),
    ]
    again = '{"choices": [{"delta": {"content": "b", "new": %d}}]}'
    assert list(answer.take(again % 1)) == [Delta(index=0, text="b")]
    assert list(answer.take(again % 2)) == [
        Delta(index=0, text="b"),
        Delta(index=1, annotation={"new": 2}),
    ]
    assert answer.ignored == 7


def test_arguments_may_come_as_an_object() -> None:
    called = {"id": "a", "function": {"name": "f", "arguments": {"x": 1}}}
    assert arguments(fold(delta("stop", tool_calls=[called]))) == {0: '{"x":1}'}


def test_an_error_of_a_choice_is_the_providers_error() -> None:
    with pytest.raises(UpstreamSaid) as said:
        fold({"choices": [{"index": 0, "delta": {}, "error": {"code": 502, "message": "Bad."}}]})
    assert (said.value.extensions["code"], said.value.detail) == ("502", "Bad.")


NAMES = [
    *("choices", "delta", "message", "index", "id", "tool_calls", "function", "arguments"),
    *("content", "reasoning", "usage", "finish_reason", "type", "text", "annotations"),
    *("function_call", "prompt_tokens", "thinking", "name"),
]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.floats(allow_nan=False)
    | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)
    ),
    max_leaves=25,
)
CHOICES = st.fixed_dictionaries(
    {"choices": st.lists(st.fixed_dictionaries({"delta": JSON}) | JSON)}
)


@given(st.lists(CHOICES | JSON, max_size=6))
def test_no_json_is_a_crash_and_the_grammar_holds(payloads: list[Any]) -> None:
    answer, parts = ChatAnswer("m"), list[Part]()
    try:
        for payload in payloads:
            parts += answer.take(json.dumps(payload))
    except Upstream:
        return
    parts += answer.close()
    started = [part.index for part in parts if isinstance(part, ItemStart)]
    done = [part.index for part in parts if isinstance(part, ItemDone)]
    assert started == list(range(len(started)))
    assert len(done) == len(set(done))
    open_items: set[int] = set()
    for part in parts:
        if isinstance(part, ItemStart):
            open_items.add(part.index)
        elif isinstance(part, Delta):
            assert part.index in open_items
        elif isinstance(part, ItemDone):
            open_items.remove(part.index)
