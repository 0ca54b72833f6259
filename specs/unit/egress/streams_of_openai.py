"""Streams of OpenAI's two wires, written by hand: what can be sent and is hardly ever recorded."""

from __future__ import annotations

import base64
import json
from typing import Any

Json = dict[str, Any]

PIXEL = b"\x89PNG\r\n\x1a\n not quite"
PICTURE = base64.b64encode(PIXEL).decode()


def sse(*events: Json | str, named: bool = False) -> str:
    """Return a body: each event's data as JSON, or the words as they stand."""
    said = [each if isinstance(each, str) else json.dumps(each) for each in events]
    names = [
        f"event: {each['type']}\n" if named and isinstance(each, dict) else "" for each in events
    ]
    return "".join(f"{name}data: {data}\n\n" for name, data in zip(names, said, strict=True))


# --- OpenAI chat completions ---


def chunk(*choices: Json, **fields: Any) -> Json:
    head = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return {**head, "choices": list(choices), **fields}


def choice(index: int = 0, reason: str | None = None, **delta: Any) -> Json:
    return {"index": index, "delta": delta, "finish_reason": reason}


def tool(index: int, call_id: str | None, name: str | None, arguments: str) -> Json:
    call: Json = {"index": index, "function": {"arguments": arguments}}
    if name is not None:
        call["function"]["name"] = name
    return call if call_id is None else {**call, "id": call_id, "type": "function"}


CHAT_USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 12,
    "total_tokens": 21,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 5},
}
CHAT_REFUSAL = sse(
    chunk(choice(role="assistant", content=None, refusal="")),
    chunk(choice(refusal="I can")),
    chunk(choice(refusal="not.")),
    chunk(choice(reason="stop")),
    chunk(usage=CHAT_USAGE),
    "[DONE]",
)
CHAT_TWO_CHOICES = sse(
    chunk(choice(0, role="assistant", content=""), choice(1, role="assistant", content="")),
    chunk(choice(1, content="other"), choice(0, content="Let me look.")),
    chunk(
        choice(0, tool_calls=[tool(0, "call_a", "look", "")]),
        choice(1, tool_calls=[tool(0, "call_z", "leave", '{"z":')]),
    ),
    chunk(choice(0, tool_calls=[tool(0, None, None, '{"at":')])),
    chunk(choice(1, tool_calls=[tool(0, None, None, "0}")])),
    chunk(choice(0, tool_calls=[tool(1, "call_b", "ask", '{"why":"Ü"}')])),
    chunk(choice(0, tool_calls=[tool(0, None, None, "1}")])),
    chunk(choice(1, reason="tool_calls")),
    chunk(choice(0, reason="tool_calls")),
    chunk(usage=CHAT_USAGE),
    "[DONE]",
)
CHAT_AUDIO = sse(
    chunk(choice(role="assistant", audio={"id": "audio_1", "transcript": "Good "})),
    chunk(choice(audio={"transcript": "day."})),
    chunk(choice(audio={"data": base64.b64encode(b"wave").decode()})),
    chunk(choice(audio={"expires_at": 7})),
    chunk(choice(reason="stop")),
    "[DONE]",
)
CHAT_DETAILS = sse(
    chunk(
        choice(
            role="assistant",
            content="",
            reasoning="Hm",
            reasoning_details=[{"type": "reasoning.text", "text": "Hm", "index": 0}],
        )
    ),
    chunk(
        choice(
            reasoning_details=[{"type": "reasoning.text", "signature": "c2lnbg==", "index": 0}],
        )
    ),
    chunk(
        choice(
            reasoning_details=[
                {"type": "reasoning.encrypted", "data": "c2VhbGVk", "id": "rs_1", "index": 1}
            ],
        )
    ),
    chunk(choice(content="So.")),
    chunk(choice(reason="stop")),
    "[DONE]",
)

# --- OpenAI Responses ---

RESPONSE: Json = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "model": "m",
    "status": "in_progress",
    "output": [],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "temperature": 1.0,
    "top_p": 1.0,
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "metadata": {},
    "usage": None,
}
RESPONSES_USAGE = {
    "input_tokens": 9,
    "input_tokens_details": {"cached_tokens": 4},
    "output_tokens": 12,
    "output_tokens_details": {"reasoning_tokens": 5},
    "total_tokens": 21,
}


def numbered(*events: Json) -> list[Json]:
    return [{**each, "sequence_number": number} for number, each in enumerate(events)]


def whole(status: str, *output: Json, **fields: Any) -> Json:
    response = {**RESPONSE, "status": status, "output": list(output), **fields}
    return {"type": f"response.{status}", "response": response}


def message(*content: Json, status: str = "completed") -> Json:
    head = {"type": "message", "id": "msg_1", "role": "assistant", "status": status}
    return {**head, "content": list(content)}


def words(text: str) -> Json:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def refusal(text: str) -> Json:
    return {"type": "refusal", "refusal": text}


def told(place: int, item: Json, kind: str, part: Json, *deltas: str) -> list[Json]:
    """Return the events of a message that is one part."""
    at = {"item_id": item["id"], "output_index": place, "content_index": 0}
    name = "refusal" if part["type"] == "refusal" else "text"
    empty = {**part, name: ""}
    return [
        {
            "type": "response.output_item.added",
            "output_index": place,
            "item": {**item, "status": "in_progress", "content": []},
        },
        {"type": "response.content_part.added", **at, "part": empty},
        *({"type": f"response.{kind}.delta", **at, "delta": d, "logprobs": []} for d in deltas),
        {"type": f"response.{kind}.done", **at, name: part[name], "logprobs": []},
        {"type": "response.content_part.done", **at, "part": part},
        {"type": "response.output_item.done", "output_index": place, "item": item},
    ]


BEGUN: list[Json] = [
    {"type": "response.created", "response": RESPONSE},
    {"type": "response.in_progress", "response": RESPONSE},
]
SEALED: Json = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "Thinking."}],
    "encrypted_content": "c2VhbGVk+/==",
}
CALLED: Json = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "call_a",
    "name": "look",
    "arguments": '{"at":1}',
    "status": "completed",
}
REFUSED = message(refusal("I cannot."))
RESPONSES_REFUSAL = sse(
    *numbered(
        *BEGUN,
        *told(0, REFUSED, "refusal", refusal("I cannot."), "I can", "not."),
        whole("completed", REFUSED, usage=RESPONSES_USAGE),
    ),
    named=True,
)
SHORT = message(words("Once upon"), status="incomplete")
RESPONSES_INCOMPLETE = sse(
    *numbered(
        *BEGUN,
        *told(0, SHORT, "output_text", words("Once upon"), "Once ", "upon"),
        whole(
            "incomplete",
            SHORT,
            incomplete_details={"reason": "max_output_tokens"},
            usage=RESPONSES_USAGE,
        ),
    ),
    named=True,
)
THOUGHT: list[Json] = [
    {
        "type": "response.output_item.added",
        "output_index": 0,
        "item": {"type": "reasoning", "id": "rs_1", "summary": []},
    },
    {
        "type": "response.reasoning_summary_part.added",
        "item_id": "rs_1",
        "output_index": 0,
        "summary_index": 0,
        "part": {"type": "summary_text", "text": ""},
    },
    {
        "type": "response.reasoning_summary_text.delta",
        "item_id": "rs_1",
        "output_index": 0,
        "summary_index": 0,
        "delta": "Thinking.",
    },
    {"type": "response.output_item.done", "output_index": 0, "item": SEALED},
    {
        "type": "response.output_item.added",
        "output_index": 1,
        "item": {**CALLED, "arguments": "", "status": "in_progress"},
    },
    {
        "type": "response.function_call_arguments.delta",
        "item_id": "fc_1",
        "output_index": 1,
        "delta": '{"at":1}',
    },
    {
        "type": "response.function_call_arguments.done",
        "item_id": "fc_1",
        "output_index": 1,
        "name": "look",
        "arguments": '{"at":1}',
    },
    {"type": "response.output_item.done", "output_index": 1, "item": CALLED},
]
RESPONSES_SEALED = sse(
    *numbered(
        *BEGUN,
        *THOUGHT,
        whole("completed", SEALED, CALLED, usage=RESPONSES_USAGE),
    ),
    named=True,
)
DRAWN: Json = {
    "type": "image_generation_call",
    "id": "ig_1",
    "status": "completed",
    "result": PICTURE,
}
RESPONSES_PICTURE = sse(
    *numbered(
        *BEGUN,
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": {**DRAWN, "status": "in_progress", "result": None},
        },
        {
            "type": "response.image_generation_call.generating",
            "item_id": "ig_1",
            "output_index": 0,
        },
        {"type": "response.output_item.done", "output_index": 0, "item": DRAWN},
        whole("completed", DRAWN, usage=RESPONSES_USAGE),
    ),
    named=True,
)
NEWS: Json = {"type": "response.weather.changed", "item_id": "w_1", "wind": 7}
RESPONSES_NEWS = sse(
    *numbered(
        *BEGUN,
        NEWS,
        *told(0, message(words("Hi.")), "output_text", words("Hi."), "Hi."),
        whole("completed", message(words("Hi.")), usage=RESPONSES_USAGE),
    ),
    named=True,
)
