"""What the vendors' SDKs publish as types is known here; a newer SDK with a new member is red."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

import pytest
from anthropic.types import beta as claude
from anthropic.types.output_config_param import OutputConfigParam
from anthropic.types.shared import ErrorObject
from google.genai import types as gemini
from openai.types import responses
from openai.types.chat.chat_completion_chunk import Choice
from openai.types.responses.response import IncompleteDetails
from openai.types.shared import ReasoningEffort

from harness.upstream.strict import RULES
from specs.unit.egress.compatible_kit import CHAT, CLAUDE, GEMINI, RESPONSES
from specs.unit.egress.reading import Reading, read
from transports.egress.providers.asked import said
from transports.egress.providers.base import Model, NetworkOptions, Request
from transports.egress.providers.upstream_errors import BY_CODE
from transports.egress.providers.wires import WIRES


def leaves(annotation: Any) -> Iterator[Any]:
    """Yield the members of a union and the words of a literal, however deep they stand."""
    for each in get_args(annotation):
        yield from leaves(each) if get_args(each) else [each]


def said_in(annotation: Any) -> list[str]:
    return [each for each in leaves(annotation) if isinstance(each, str)]


def words(model: Any, name: str) -> list[str]:
    return said_in(model.model_fields[name].annotation)


def kinds(union: Any) -> list[str]:
    """Return what stands under `type` in the members of a union."""
    members = [each for each in leaves(union) if hasattr(each, "model_fields")]
    return [words(each, "type")[0] for each in members]


def told(wire: str, *payloads: Any) -> Reading:
    return read(wire, "".join(f"data: {json.dumps(each)}\n\n" for each in payloads))


def at_once(wire: str, answer: Any) -> Reading:
    """Return what we make of an answer that came in one piece."""
    return told(wire, *map(json.loads, WIRES[wire].whole(json.dumps(answer))))


def end(reading: Reading) -> str | None:
    """Return our word for the end; None: it was not said."""
    if reading.error is not None:
        return f"failed: {reading.error.extensions['class']}"
    return reading.end.reason if reading.end else None


def message(reason: str, *blocks: Any) -> list[Any]:
    made: list[Any] = [{"type": "message_start", "message": {"usage": {"input_tokens": 1}}}]
    for index, block in enumerate(blocks):
        made.append({"type": "content_block_start", "index": index, "content_block": block})
        made.append({"type": "content_block_stop", "index": index})
    changed = {"type": "message_delta", "delta": {"stop_reason": reason}}
    return [*made, changed, {"type": "message_stop"}]


def candidate(reason: str) -> Any:
    content = {"parts": [{"text": "Well"}], "role": "model"}
    return {"candidates": [{"content": content, "finishReason": reason}]}


CLAUDE_ENDS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "pause_turn": "length",
    "compaction": "length",
    "refusal": "refusal",
}
CHAT_ENDS = {
    "stop": "stop",
    "length": "length",
    "content_filter": "filter",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
}
CUT_ENDS = {
    "max_output_tokens": "length",
    "max_messages": "length",
    "steered": "length",
    "content_filter": "filter",
}
WHOLE_ENDS = {
    "completed": "stop",
    "incomplete": "length",
    "failed": "failed: server",
    "cancelled": None,
    "in_progress": None,
    "queued": None,
}
GEMINI_ENDS = {
    "FINISH_REASON_UNSPECIFIED": None,
    "STOP": "stop",
    **dict.fromkeys(("MAX_TOKENS", "CONTINUATION"), "length"),
    **dict.fromkeys(("SAFETY", "RECITATION", "LANGUAGE", "OTHER", "BLOCKLIST"), "filter"),
    **dict.fromkeys(("PROHIBITED_CONTENT", "SPII", "ESCALATION", "MODEL_ARMOR"), "filter"),
    **dict.fromkeys(("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_OTHER"), "filter"),
    **dict.fromkeys(("IMAGE_RECITATION", "PUP_LIMITED_DISABLED"), "filter"),
    **dict.fromkeys(("MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL"), "failed: server"),
    **dict.fromkeys(("TOO_MANY_TOOL_CALLS", "MALFORMED_RESPONSE"), "failed: server"),
    **dict.fromkeys(("MISSING_THOUGHT_SIGNATURE", "NO_IMAGE"), "failed: server"),
}


def test_each_stop_reason_of_anthropics_has_its_end() -> None:
    named = [*leaves(claude.BetaStopReason)]
    assert {each: end(told(CLAUDE, *message(each))) for each in named} == CLAUDE_ENDS
    whole = {each: end(at_once(CLAUDE, {"content": [], "stop_reason": each})) for each in named}
    assert whole == CLAUDE_ENDS


def test_each_finish_reason_of_openais_chat_has_its_end() -> None:
    named = words(Choice, "finish_reason")
    choices = {each: [{"delta": {}, "finish_reason": each}] for each in named}
    ends = {each: end(told(CHAT, {"choices": choices[each]})) for each in named}
    assert ends == CHAT_ENDS


def test_each_end_of_openais_responses_is_known_also_of_one_that_came_whole() -> None:
    cut = {"status": "incomplete", "output": []}
    found = {
        each: end(at_once(RESPONSES, {**cut, "incomplete_details": {"reason": each}}))
        for each in words(IncompleteDetails, "reason")
    }
    assert found == CUT_ENDS
    named = words(responses.Response, "status")
    whole = {each: end(at_once(RESPONSES, {"status": each, "output": []})) for each in named}
    assert whole == WHOLE_ENDS


def test_each_finish_and_block_reason_of_googles_has_its_end() -> None:
    named = [each.value for each in gemini.FinishReason]
    assert {each: end(told(GEMINI, candidate(each))) for each in named} == GEMINI_ENDS
    blocked = [{"promptFeedback": {"blockReason": each.value}} for each in gemini.BlockedReason]
    assert {end(told(GEMINI, each)) for each in blocked} == {"filter"}


def test_each_code_of_the_vendors_errors_has_its_class() -> None:
    named = {*kinds(ErrorObject), *words(responses.ResponseError, "code")}
    assert named - BY_CODE.keys() == set()


BLOCKS = {
    "text": "message",
    **dict.fromkeys(("thinking", "redacted_thinking"), "reasoning"),
    "tool_use": "tool_call",
    **dict.fromkeys(("container_upload", "compaction", "fallback", "mcp_tool_listing"), "opaque"),
}


def test_each_block_of_anthropics_is_an_item_and_goes_back_as_it_came() -> None:
    for kind in kinds(claude.BetaContentBlock):
        block = {"type": kind, "new": [1]}
        for reading in (
            told(CLAUDE, *message("end_turn", block)),
            at_once(CLAUDE, {"content": [block], "stop_reason": "end_turn"}),
        ):
            assert [each.type for each in reading.items] == [BLOCKS.get(kind, "server_tool")]
            assert reading.natives == [block]


OUTPUT = {
    "message": "message",
    "reasoning": "reasoning",
    "compaction": "opaque",
    "image_generation_call": "image",
    **dict.fromkeys(("function_call", "custom_tool_call"), "tool_call"),
}


def test_each_output_item_of_openais_is_an_item_and_goes_back_as_it_came() -> None:
    for kind in kinds(responses.ResponseOutputItem):
        item = {"type": kind, "id": "i", "new": [1]}
        done = {"type": "response.output_item.done", "output_index": 0, "item": item}
        response = {"status": "completed", "output": [item]}
        for reading in (
            told(RESPONSES, done, {"type": "response.completed", "response": response}),
            at_once(RESPONSES, response),
        ):
            assert [each.type for each in reading.items] == [OUTPUT.get(kind, "server_tool")]
            assert reading.natives == [item]


def test_only_sound_is_strange_of_the_events_of_openais_responses() -> None:
    added = {"type": "response.output_item.added", "output_index": 0}
    began = [{**added, "item": {"type": "function_call", "call_id": "c", "name": "f"}}]
    event: dict[str, Any] = {"output_index": 0, "delta": "x", "annotation": {"type": "a"}}
    strange = {
        kind
        for kind in kinds(responses.ResponseStreamEvent)
        if kind != "error" and told(RESPONSES, *began, {**event, "type": kind}).ignored
    }
    assert strange == {"response.audio.delta", "response.audio.transcript.delta"}


@pytest.mark.parametrize("name", sorted(gemini.Part.model_fields))
def test_each_field_of_googles_parts_goes_back_as_it_came(name: str) -> None:
    field = gemini.Part.model_fields[name].alias or name
    value = {"text": "Well", "thought": True, "thoughtSignature": "c2ln"}.get(field, {"new": [1]})
    reading = told(GEMINI, {"candidates": [{"content": {"parts": [{field: value}]}}]})
    ended = told(
        GEMINI, {"candidates": [{"content": {"parts": [{field: value}]}, "finishReason": "STOP"}]}
    )
    assert (reading.error, len(reading.items)) == (None, 1)
    assert ended.natives == [{"parts": [{field: value}]}]


def efforts(wire: str) -> dict[str, Any]:
    """Return how each effort that the SDK of a wire knows is asked for."""
    if wire == GEMINI:
        levels = [each.value for each in gemini.ThinkingLevel if "UNSPECIFIED" not in each.value]
        thinks = {each: {"thinkingLevel": each, "includeThoughts": True} for each in levels}
        return {
            each.lower(): {"generationConfig": {"thinkingConfig": how}}
            for each, how in {**thinks, "NONE": {"thinkingBudget": 0}}.items()
        }
    if wire == CLAUDE:
        levels = said_in(get_type_hints(OutputConfigParam)["effort"])
        asked = {each: {"output_config": {"effort": each}} for each in levels}
        return {**asked, "none": {"thinking": {"type": "disabled"}}}
    if wire == RESPONSES:
        return {
            each: {"reasoning": {"effort": each, "summary": "auto"}}
            for each in said_in(ReasoningEffort)
        }
    return {each: {"reasoning_effort": each} for each in said_in(ReasoningEffort)}


FIELDS = ("reasoning_effort", "reasoning", "output_config", "thinking", "generationConfig")


@pytest.mark.parametrize("wire", WIRES)
def test_each_effort_is_asked_for_as_the_sdk_would_and_none_is_off(wire: str) -> None:
    model = Model(id="up/m", endpoint="up", options=NetworkOptions)
    rules = next(each for end, each in RULES.items() if end in WIRES[wire].path("m"))
    for effort, wanted in efforts(wire).items():
        options = NetworkOptions(reasoning_effort=effort)
        asked = (said("user", "Hi"),)
        body = WIRES[wire].body(Request(job_id="job_1", model=model, input=asked, options=options))
        assert {name: body[name] for name in FIELDS if name in body} == wanted
        assert [each for rule in rules for each in rule(body)] == []
