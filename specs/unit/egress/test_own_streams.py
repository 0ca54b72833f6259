"""What is hardly ever recorded is read all the same: streams of our own, on each of the wires."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runtime import limits
from runtime.problems import UpstreamSaid
from specs.unit.egress import streams_of_openai as openai
from specs.unit.egress import streams_of_others as others
from specs.unit.egress.compatible_kit import CHAT, CLAUDE, GEMINI, RESPONSES
from specs.unit.egress.reading import Reading, read
from specs.unit.egress.streams_of_openai import PIXEL
from transports.egress.providers.base import End, Usage

OPENAI_USED = Usage(source="provider", input=9, cached=4, output=12, reasoning=5)
GEMINI_USED = Usage(source="provider", input=11, cached=4, output=12, reasoning=5, tool_use=2)


def used(reading: Reading) -> Usage:
    """Return the usage but for what came."""
    assert reading.usage is not None
    known = {name: getattr(reading.usage, name) for name in Usage.__dataclass_fields__}
    return Usage(**{**known, "raw": None})


def raw(reading: Reading) -> Any:
    assert reading.usage is not None
    return reading.usage.raw


@pytest.mark.parametrize(
    ("wire", "body", "kinds", "end"),
    [
        (CHAT, openai.CHAT_REFUSAL, "refusal", End(provider_reason="stop")),
        (
            CHAT,
            openai.CHAT_TWO_CHOICES,
            "message tool_call tool_call",
            End(reason="tool_calls", provider_reason="tool_calls"),
        ),
        (CHAT, openai.CHAT_AUDIO, "message", End(provider_reason="stop")),
        (CHAT, openai.CHAT_DETAILS, "reasoning message", End(provider_reason="stop")),
        (RESPONSES, openai.RESPONSES_REFUSAL, "refusal", End(provider_reason="completed")),
        (
            RESPONSES,
            openai.RESPONSES_INCOMPLETE,
            "message",
            End(reason="length", provider_reason="max_output_tokens"),
        ),
        (
            RESPONSES,
            openai.RESPONSES_SEALED,
            "reasoning tool_call",
            End(reason="tool_calls", provider_reason="completed"),
        ),
        (RESPONSES, openai.RESPONSES_PICTURE, "image", End(provider_reason="completed")),
        (RESPONSES, openai.RESPONSES_NEWS, "opaque message", End(provider_reason="completed")),
        (
            CLAUDE,
            others.CLAUDE_THOUGHT,
            "reasoning reasoning message tool_call tool_call",
            End(reason="tool_calls", provider_reason="tool_use"),
        ),
        (CLAUDE, others.CLAUDE_TWICE, "message message", End(provider_reason="end_turn")),
        (CLAUDE, others.CLAUDE_NEWS, "opaque message opaque", End(provider_reason="end_turn")),
        (GEMINI, others.GEMINI_SAFETY, "message", End(reason="filter", provider_reason="SAFETY")),
        (
            GEMINI,
            others.GEMINI_BLOCKED,
            "",
            End(reason="filter", provider_reason="PROHIBITED_CONTENT"),
        ),
        (
            GEMINI,
            others.GEMINI_THOUGHT,
            "reasoning message tool_call tool_call message",
            End(reason="tool_calls", provider_reason="STOP"),
        ),
        (GEMINI, others.GEMINI_PICTURE, "image", End(provider_reason="STOP")),
    ],
)
def test_a_stream_is_its_items_and_its_end(wire: str, body: str, kinds: str, end: End) -> None:
    reading = read(wire, body)
    assert reading.error is None
    assert [each.type for each in reading.items] == kinds.split()
    assert reading.end == end


@pytest.mark.parametrize(
    ("wire", "body"), [(CHAT, openai.CHAT_REFUSAL), (RESPONSES, openai.RESPONSES_REFUSAL)]
)
def test_a_refusal_is_said_word_by_word_and_is_no_message(wire: str, body: str) -> None:
    reading = read(wire, body)
    assert [each.text for each in reading.of("refusal")] == ["I cannot."]
    assert reading.text == ""
    assert used(reading) == OPENAI_USED


def test_a_refusal_goes_back_as_the_item_that_came() -> None:
    assert read(RESPONSES, openai.RESPONSES_REFUSAL).natives == [openai.REFUSED]


def test_of_several_choices_the_first_is_the_answer() -> None:
    reading = read(CHAT, openai.CHAT_TWO_CHOICES)
    assert reading.text == "Let me look."
    assert reading.calls == [
        ("call_a", "look", '{"at":1}'),
        ("call_b", "ask", '{"why":"Ü"}'),
    ]
    assert (used(reading), raw(reading)) == (OPENAI_USED, openai.CHAT_USAGE)


def test_a_spoken_answer_is_its_transcript_its_sound_and_its_name() -> None:
    [spoken] = read(CHAT, openai.CHAT_AUDIO).items
    assert (spoken.text, spoken.data) == ("Good day.", b"wave")
    assert spoken.native == {"audio": {"id": "audio_1"}}


def test_reasoning_details_keep_signatures_and_sealed_parts() -> None:
    [thought] = read(CHAT, openai.CHAT_DETAILS).of("reasoning")
    assert thought.text == "Hm"
    assert thought.native["reasoning_details"] == [
        {"type": "reasoning.text", "text": "Hm", "signature": "c2lnbg==", "index": 0},
        {"type": "reasoning.encrypted", "data": "c2VhbGVk", "id": "rs_1", "index": 1},
    ]


def test_sealed_reasoning_and_the_call_after_it_go_back_as_they_came() -> None:
    reading = read(RESPONSES, openai.RESPONSES_SEALED)
    assert reading.natives == [openai.SEALED, openai.CALLED]
    assert reading.of("reasoning")[0].text == "Thinking."
    assert reading.calls == [("call_a", "look", '{"at":1}')]
    assert (used(reading), raw(reading)) == (OPENAI_USED, openai.RESPONSES_USAGE)


def test_a_picture_is_bytes_on_either_wire() -> None:
    [drawn] = read(RESPONSES, openai.RESPONSES_PICTURE).items
    assert (drawn.data, drawn.native) == (PIXEL, openai.DRAWN)
    [made] = read(GEMINI, others.GEMINI_PICTURE).items
    assert made.data == PIXEL
    assert made.native["parts"][0]["thoughtSignature"] == "c2lnbmVk"


@pytest.mark.parametrize("wire", [RESPONSES, GEMINI])
def test_a_picture_of_ten_megabytes_is_whole(wire: str) -> None:
    large = "QUJD" * (10 * 1024 * 1024 // 3)
    body = openai.RESPONSES_PICTURE if wire == RESPONSES else others.GEMINI_PICTURE
    [drawn] = read(wire, body.replace(openai.PICTURE, large)).items
    assert len(drawn.data) == len(large) // 4 * 3
    assert drawn.data[:6] == b"ABCABC"


def test_what_nobody_knows_is_an_opaque_item_of_its_kind_and_counted() -> None:
    reading = read(CLAUDE, others.CLAUDE_NEWS)
    event, block = reading.of("opaque")
    assert (event.name, event.native) == ("weather_changed", None)
    assert [each["wind"] for each in event.annotations] == [7, 8]
    assert (block.name, block.native) == (
        "hologram",
        {"type": "hologram", "data": "aGVsbG8=", "colour": "red"},
    )
    assert reading.ignored == 2
    [news] = read(RESPONSES, openai.RESPONSES_NEWS).of("opaque")
    assert (news.name, news.annotations[0]["wind"]) == ("response.weather.changed", 7)


def test_kinds_that_nobody_knows_have_a_bound() -> None:
    many = [{"type": f"new_{number}"} for number in range(limits.STRANGE_KINDS_MAX + 9)]
    reading = read(CLAUDE, openai.sse(others.STARTED, *many))
    assert len(reading.of("opaque")) == limits.STRANGE_KINDS_MAX
    assert reading.ignored == len(many)


def test_an_overloaded_error_in_the_stream_keeps_what_was_said() -> None:
    reading = read(CLAUDE, others.CLAUDE_OVERLOADED)
    assert (reading.text, reading.end) == ("So far", None)
    assert isinstance(reading.error, UpstreamSaid)
    assert reading.error.extensions == {
        "class": "overloaded",
        "code": "overloaded_error",
        "provider_request_id": "req_7",
    }


def test_thinking_goes_back_block_by_block_in_its_order() -> None:
    reading = read(CLAUDE, others.CLAUDE_THOUGHT)
    assert reading.natives == [
        {"type": "thinking", "thinking": "Let me see.", "signature": "EqoB+/=="},
        {"type": "redacted_thinking", "data": "c2VhbGVk"},
        {"type": "text", "text": "One moment."},
        {"type": "tool_use", "id": "toolu_a", "name": "look", "input": {"at": 1}},
        {"type": "tool_use", "id": "toolu_b", "name": "leave", "input": {}},
    ]
    assert reading.calls == [("toolu_a", "look", '{"at": 1}'), ("toolu_b", "leave", "{}")]


def test_late_usage_overrides_early_field_by_field() -> None:
    reading = read(CLAUDE, others.CLAUDE_THOUGHT)
    assert raw(reading) == {"input_tokens": 6, "output_tokens": 12, "cache_read_input_tokens": 3}
    assert used(reading) == Usage(source="provider", input=9, cached=3, output=12)


def test_a_message_that_stops_without_a_reason_has_not_ended() -> None:
    body = openai.sse(others.STARTED, *others.text_block(0, "Well, "), others.STOPPED)
    reading = read(CLAUDE, body)
    assert (reading.text, reading.end, reading.error) == ("Well, ", None, None)


def test_a_second_message_start_loses_no_words() -> None:
    assert read(CLAUDE, others.CLAUDE_TWICE).text == "First.Second."


def test_a_malformed_call_is_an_error_with_the_models_words() -> None:
    reading = read(GEMINI, others.GEMINI_MALFORMED)
    assert (reading.text, reading.end) == ("Hm.", None)
    assert isinstance(reading.error, UpstreamSaid)
    assert reading.error.extensions["code"] == "MALFORMED_FUNCTION_CALL"
    assert reading.error.detail == "Malformed function call: print(look(at=1))"
    assert used(reading) == GEMINI_USED


def test_each_signature_stays_on_the_part_that_bore_it() -> None:
    reading = read(GEMINI, others.GEMINI_THOUGHT)
    assert [part for native in reading.natives for part in native["parts"]] == [
        {"text": "Let me see.", "thought": True},
        {"text": "One moment."},
        {
            "functionCall": {"name": "look", "args": {"at": 1}, "id": "call_a"},
            "thoughtSignature": "c2lnbmVk",
        },
        {"functionCall": {"name": "leave", "args": {}}},
        {"text": "", "thoughtSignature": "bGFzdA=="},
    ]
    assert (used(reading), raw(reading)) == (GEMINI_USED, others.GEMINI_USAGE)


EACH = {
    CHAT: [
        *(openai.CHAT_REFUSAL, openai.CHAT_TWO_CHOICES, openai.CHAT_AUDIO, openai.CHAT_DETAILS),
    ],
    RESPONSES: [
        *(openai.RESPONSES_REFUSAL, openai.RESPONSES_INCOMPLETE, openai.RESPONSES_SEALED),
        *(openai.RESPONSES_PICTURE, openai.RESPONSES_NEWS),
    ],
    CLAUDE: [others.CLAUDE_THOUGHT, others.CLAUDE_TWICE, others.CLAUDE_NEWS],
    GEMINI: [
        *(others.GEMINI_SAFETY, others.GEMINI_BLOCKED, others.GEMINI_THOUGHT),
        others.GEMINI_PICTURE,
    ],
}
MARKS = {
    CHAT: ('"index": 0, "delta": {}, "finish_reason": "', "[DONE]"),
    RESPONSES: ('"type": "response.completed"', '"type": "response.incomplete"'),
    CLAUDE: ('"type": "message_stop"',),
    GEMINI: ('"finishReason": "', '"blockReason": "'),
}


@pytest.mark.parametrize("wire", EACH)
def test_no_prefix_ends_before_the_wires_own_mark(wire: str) -> None:
    for body in EACH[wire]:
        events = body.split("\n\n")[:-1]
        for count in range(len(events)):
            cut = "".join(f"{each}\n\n" for each in events[:count])
            marked = any(mark in cut for mark in MARKS[wire])
            reading = read(wire, cut)
            assert (reading.end is not None, reading.error) == (marked, None), cut


@pytest.mark.parametrize("wire", EACH)
def test_no_field_that_is_something_else_is_a_crash(wire: str) -> None:
    wrong: list[Any] = [None, 7, "x", [], {}, [None], True]
    tried = 0
    for body in EACH[wire]:
        events = [each.partition("data: ")[2] for each in body.split("\n\n")]
        documents = [json.loads(each) for each in events if each.startswith("{")]
        for place, document in enumerate(documents):
            for path in paths(document):
                for value in wrong:
                    changed = [*documents[:place], put(document, path, value), *documents[place:]]
                    read(wire, openai.sse(*changed))
                    tried += 1
    assert tried > 500


def paths(value: Any) -> list[list[Any]]:
    """Return the ways to every place of a document, four steps deep."""
    names = (
        list(value)
        if isinstance(value, dict)
        else range(len(value))
        if isinstance(value, list)
        else []
    )
    return [[name, *rest] for name in names for rest in ([], *paths(value[name]))][:60]


def put(value: Any, path: list[Any], new: Any) -> Any:
    """Return a copy with another value at a place."""
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = new if len(path) == 1 else put(value[path[0]], path[1:], new)
    return copy
