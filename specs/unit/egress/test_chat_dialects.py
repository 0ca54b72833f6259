"""What endpoints of OpenAI's shape say in words of their own is read as what it means."""

from __future__ import annotations

import json
from typing import Any

import pytest

from specs.unit.egress.compatible_kit import CHAT
from specs.unit.egress.reading import Reading, read


def told(*choices: Any) -> Reading:
    chunks = [{"choices": [{"index": 0, **each}]} for each in choices]
    return read(CHAT, "".join(f"data: {json.dumps(each)}\n\n" for each in chunks))


def called(name: str, arguments: str, **more: Any) -> Any:
    return {**more, "function": {"name": name, "arguments": arguments}}


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        *((each, "stop") for each in ("STOP", "eos", "eos_token", "stop_sequence", "COMPLETE")),
        *((each, "length") for each in ("MAX_TOKENS", "max_output_tokens", "pause_turn")),
        ("model_context_window_exceeded", "length"),
        *((each, "filter") for each in ("SAFETY", "sensitive", "content_filter: RECITATION")),
        *((each, "tool_calls") for each in ("tool_use", "TOOL_CALL")),
        ("refusal", "refusal"),
    ],
)
def test_a_finish_reason_is_known_in_each_dialect(word: str, reason: str) -> None:
    end = told({"delta": {"content": "a"}, "finish_reason": word}).end
    assert end is not None
    assert (end.reason, end.provider_reason) == (reason, word)


@pytest.mark.parametrize(
    ("word", "code", "affair"),
    [
        ("error", "unknown", "server"),
        ("network_error", "network_error", "server"),
        ("abort", "abort", "server"),
        ("insufficient_system_resource", "insufficient_system_resource", "overloaded"),
        ("function_call_filter: MALFORMED_FUNCTION_CALL", "function_call_filter", "server"),
    ],
)
def test_a_finish_reason_that_tells_of_a_failure_is_the_providers_error(
    word: str, code: str, affair: str
) -> None:
    reading = told({"delta": {"content": "a"}, "finish_reason": word})
    assert reading.error is not None
    said = reading.error.extensions
    assert (reading.text, reading.end, said["code"], said["class"]) == ("a", None, code, affair)


@pytest.mark.parametrize("more", [{}, {"index": 0}, {"index": 0, "id": ""}])
@pytest.mark.parametrize("is_one", [True, False])
def test_a_call_that_names_another_tool_is_another_call(more: Any, is_one: bool) -> None:
    first, second = called("a", '{"x":', **more), called("b", "{}", **more)
    rest = {**more, "function": {"arguments": "1}"}}
    calls = [[first, rest, second]] if is_one else [[first], [rest], [second]]
    reading = told(*({"delta": {"tool_calls": each}} for each in calls), {"finish_reason": "stop"})
    assert reading.calls == [(None, "a", '{"x":1}'), (None, "b", "{}")]


def test_without_index_and_id_the_same_tool_can_be_called_twice() -> None:
    calls = [called("a", "{}"), called("a", '{"x":1}')]
    reading = told({"message": {"tool_calls": calls}, "finish_reason": "tool_calls"})
    assert reading.calls == [(None, "a", "{}"), (None, "a", '{"x":1}')]


def test_with_an_index_a_name_may_come_again_with_each_piece() -> None:
    pieces = [called("a", '{"x":', index=0), called("a", "1}", index=0)]
    reading = told(*({"delta": {"tool_calls": [each]}} for each in pieces), {"finish_reason": "x"})
    assert reading.calls == [(None, "a", '{"x":1}')]


def test_a_custom_tool_is_called_with_its_input() -> None:
    call = {"index": 0, "id": "c", "type": "custom", "custom": {"name": "n", "input": "all"}}
    reading = told({"delta": {"tool_calls": [call]}, "finish_reason": "tool_calls"})
    assert (reading.calls, reading.natives) == ([("c", "n", "all")], [])


def test_a_part_of_the_content_that_nobody_knows_is_kept() -> None:
    cited = {"type": "reference", "reference_ids": [1]}
    parts = [{"type": "output_text", "text": "a"}, {"type": "refusal", "refusal": "No."}, cited]
    reading = told({"delta": {"content": parts}, "finish_reason": "stop"})
    found = [(each.type, each.text, each.annotations) for each in reading.items]
    assert found == [("message", "a", []), ("refusal", "No.", []), ("opaque", "", [cited])]
    assert (reading.items[2].name, reading.ignored) == ("part.reference", 1)


def test_a_text_of_another_shape_is_kept() -> None:
    odd = {"content": "hm"}
    reading = told({"delta": {"reasoning": odd, "content": "a"}, "finish_reason": "stop"})
    assert [(each.type, each.annotations) for each in reading.items] == [
        ("opaque", [odd]),
        ("message", []),
    ]


def test_reasoning_has_a_third_name() -> None:
    reading = told({"delta": {"reasoning_text": "hm", "content": "a"}, "finish_reason": "stop"})
    assert [(each.type, each.text) for each in reading.items] == [
        ("reasoning", "hm"),
        ("message", "a"),
    ]


def test_usage_may_stand_in_the_choice_and_be_flat() -> None:
    raw = {"prompt_tokens": 3, "completion_tokens": 2, "cached_tokens": 1, "reasoning_tokens": 2}
    usage = told({"delta": {"content": "a"}, "finish_reason": "stop", "usage": raw}).usage
    assert usage is not None
    assert (usage.input, usage.cached, usage.output, usage.reasoning) == (3, 1, 2, 2)
    assert usage.raw == raw
