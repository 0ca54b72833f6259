"""Streams of Anthropic's and Google's wires, written by hand, hardly ever recorded."""

from __future__ import annotations

from typing import Any

from specs.unit.egress.streams_of_openai import PICTURE, sse

Json = dict[str, Any]

# --- Anthropic messages ---

CLAUDE: Json = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [],
    "stop_reason": None,
    "stop_sequence": None,
    "usage": {"input_tokens": 5, "output_tokens": 1, "cache_read_input_tokens": 3},
}
STARTED: Json = {"type": "message_start", "message": CLAUDE}
PING: Json = {"type": "ping"}
STOPPED: Json = {"type": "message_stop"}


def block(index: int, begun: Json, *deltas: Json) -> list[Json]:
    return [
        {"type": "content_block_start", "index": index, "content_block": begun},
        *({"type": "content_block_delta", "index": index, "delta": each} for each in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def text_block(index: int, *texts: str) -> list[Json]:
    deltas = [{"type": "text_delta", "text": each} for each in texts]
    return block(index, {"type": "text", "text": ""}, *deltas)


def changed(reason: str, **usage: int) -> Json:
    return {
        "type": "message_delta",
        "delta": {"stop_reason": reason, "stop_sequence": None},
        "usage": {"output_tokens": 12, **usage},
    }


CLAUDE_OVERLOADED = sse(
    STARTED,
    PING,
    *text_block(0, "So f", "ar")[:3],
    {
        "type": "error",
        "error": {"type": "overloaded_error", "message": "Overloaded"},
        "request_id": "req_7",
    },
    named=True,
)
CLAUDE_THOUGHT = sse(
    STARTED,
    *block(
        0,
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "thinking_delta", "thinking": "Let "},
        {"type": "thinking_delta", "thinking": "me see."},
        {"type": "signature_delta", "signature": "EqoB+/=="},
    ),
    *block(1, {"type": "redacted_thinking", "data": "c2VhbGVk"}),
    PING,
    *text_block(2, "One", " moment."),
    *block(
        3,
        {"type": "tool_use", "id": "toolu_a", "name": "look", "input": {}},
        {"type": "input_json_delta", "partial_json": ""},
        {"type": "input_json_delta", "partial_json": '{"at": '},
        {"type": "input_json_delta", "partial_json": "1}"},
    ),
    *block(4, {"type": "tool_use", "id": "toolu_b", "name": "leave", "input": {}}),
    changed("tool_use", input_tokens=6),
    STOPPED,
    named=True,
)
CLAUDE_TWICE = sse(
    STARTED,
    *text_block(0, "First."),
    STARTED,
    *text_block(0, "Second."),
    changed("end_turn"),
    STOPPED,
    named=True,
)
CLAUDE_NEWS = sse(
    STARTED,
    {"type": "weather_changed", "wind": 7},
    {"type": "weather_changed", "wind": 8},
    *text_block(0, "Hi."),
    *block(1, {"type": "hologram", "data": "aGVsbG8="}, {"type": "shine", "colour": "red"}),
    changed("end_turn"),
    STOPPED,
    named=True,
)

# --- Google Gemini ---


def candidate(*parts: Json, reason: str | None = None, **fields: Any) -> Json:
    made: Json = {"index": 0, "content": {"role": "model", "parts": list(parts)}, **fields}
    return made if reason is None else {**made, "finishReason": reason}


def gemini(*candidates: Json, **fields: Any) -> Json:
    head = {"modelVersion": "m", "responseId": "r1"}
    made = {**head, **fields}
    return {**made, "candidates": list(candidates)} if candidates else made


GEMINI_USAGE = {
    "promptTokenCount": 9,
    "candidatesTokenCount": 7,
    "thoughtsTokenCount": 5,
    "toolUsePromptTokenCount": 2,
    "cachedContentTokenCount": 4,
    "totalTokenCount": 23,
}
SAFETY = [{"category": "HARM_CATEGORY_HARASSMENT", "probability": "HIGH", "blocked": True}]
GEMINI_SAFETY = sse(
    gemini(candidate({"text": "Well, "})),
    gemini(candidate(reason="SAFETY", safetyRatings=SAFETY), usageMetadata=GEMINI_USAGE),
)
GEMINI_BLOCKED = sse(
    gemini(
        promptFeedback={"blockReason": "PROHIBITED_CONTENT", "safetyRatings": SAFETY},
        usageMetadata={"promptTokenCount": 9, "totalTokenCount": 9},
    ),
)
GEMINI_MALFORMED = sse(
    gemini(candidate({"text": "Hm."})),
    gemini(
        candidate(
            reason="MALFORMED_FUNCTION_CALL",
            finishMessage="Malformed function call: print(look(at=1))",
        ),
        usageMetadata=GEMINI_USAGE,
    ),
)
GEMINI_THOUGHT = sse(
    gemini(candidate({"text": "Let me ", "thought": True})),
    gemini(candidate({"text": "see.", "thought": True})),
    gemini(candidate({"text": "One"})),
    gemini(candidate({"text": " moment."})),
    gemini(
        candidate(
            {
                "functionCall": {"name": "look", "args": {"at": 1}, "id": "call_a"},
                "thoughtSignature": "c2lnbmVk",
            },
            {"functionCall": {"name": "leave", "args": {}}},
        )
    ),
    gemini(
        candidate({"text": "", "thoughtSignature": "bGFzdA=="}, reason="STOP"),
        usageMetadata=GEMINI_USAGE,
    ),
)
GEMINI_PICTURE = sse(
    gemini(
        candidate(
            {
                "inlineData": {"mimeType": "image/png", "data": PICTURE},
                "thoughtSignature": "c2lnbmVk",
            },
            reason="STOP",
        ),
        usageMetadata=GEMINI_USAGE,
    ),
)
