"""The wires that an endpoint can speak: where it is asked, in which words, and how it is read.

A wire is a row of this table; `compatible.py` does the rest for all of them. State that another
model or wire left in the input is taken out before the body is made, and counted: a provider
refuses what is not its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from transports.egress.providers import (
    anthropic_request,
    anthropic_wire,
    chat_request,
    chat_wire,
    google_request,
    google_wire,
    responses_request,
    responses_wire,
)
from transports.egress.providers.asked import (
    Input,
    PromptMessage,
    PromptOpaque,
    PromptReasoning,
    PromptResult,
    Text,
)
from transports.egress.providers.base import Request
from transports.egress.providers.wire import Answer

# What all who speak that wire know; later ones leave how to sample to the model alone.
ANTHROPIC_SAMPLING_VERSION = "2023-06-01"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """One wire.

    Args:
        path: what comes after the base URL, by the model's name.
        headers: what carries a key.
        whole: a body that came whole, as the payloads of a stream; raises JSONDecodeError.
        tells_whole: whether it can be asked for an answer in one piece.
        once: the header of a key that makes two tries one request, where the vendor has one.
    """

    name: str
    path: Callable[[str], str]
    headers: Callable[[str], Mapping[str, str]]
    body: Callable[[Request], dict[str, Any]]
    answer: Callable[[str], Answer]
    whole: Callable[[str], list[str]]
    once: str | None = None
    tells_whole: bool = False


def _bearer(key: str) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {key}"} if key else {}


def _anthropic(key: str) -> Mapping[str, str]:
    said = {"anthropic-version": ANTHROPIC_SAMPLING_VERSION}
    return {**said, "x-api-key": key} if key else said


def _google(key: str) -> Mapping[str, str]:
    return {"x-goog-api-key": key} if key else {}


def _completion(text: str) -> list[str]:
    orjson.loads(text)
    return [text]  # a choice with its message reads as one with its delta


def _response(text: str) -> list[str]:
    """Return a whole response as the event that would have ended its stream."""
    value = orjson.loads(text)
    if not isinstance(value, dict) or not isinstance(value.get("output"), list):
        return [text]
    unfinished = value.get("status") in ("cancelled", "in_progress", "queued")
    kind = responses_wire.CANCELLED if unfinished else "response.completed"
    return [orjson.dumps({"type": kind, "response": value}).decode()]


def _message(text: str) -> list[str]:
    """Return a whole message as the events that would have told it."""
    value = orjson.loads(text)
    if not isinstance(value, dict) or not isinstance(value.get("content"), list):
        return [text]
    events: list[dict[str, Any]] = [{"type": "message_start", "message": value}]
    for index, block in enumerate(value["content"]):
        events.append({"type": "content_block_start", "index": index, "content_block": block})
        events.append({"type": "content_block_stop", "index": index})
    events.append({"type": "message_delta", "delta": {"stop_reason": value.get("stop_reason")}})
    return [orjson.dumps(event).decode() for event in [*events, {"type": "message_stop"}]]


def _chunks(text: str) -> list[str]:
    value = orjson.loads(text)
    chunks = value if isinstance(value, list) else [value]
    return [orjson.dumps(chunk).decode() for chunk in chunks]


WIRES: Mapping[str, Wire] = {
    wire.name: wire
    for wire in (
        Wire(
            name=chat_wire.WIRE,
            path=lambda _: "/chat/completions",
            headers=_bearer,
            body=chat_request.body,
            answer=chat_wire.ChatAnswer,
            whole=_completion,
            once="Idempotency-Key",
            tells_whole=True,
        ),
        Wire(
            name=responses_wire.WIRE,
            path=lambda _: "/responses",
            headers=_bearer,
            body=responses_request.body,
            answer=responses_wire.ResponsesAnswer,
            whole=_response,
            once="Idempotency-Key",
        ),
        Wire(
            name=anthropic_wire.WIRE,
            path=lambda _: "/v1/messages",
            headers=_anthropic,
            body=anthropic_request.body,
            answer=anthropic_wire.AnthropicAnswer,
            whole=_message,
        ),
        Wire(
            name=google_wire.WIRE,
            path=lambda model: (
                f"/v1beta/{google_request.place(model)}:streamGenerateContent?alt=sse"
            ),
            headers=_google,
            body=google_request.body,
            answer=google_wire.GoogleAnswer,
            whole=_chunks,
        ),
    )
}


def own(wire: str, request: Request) -> tuple[Request, int]:
    """Return the request without what is not this wire's and model's own, and how much that was.

    Words stay; only the form that another provider gave them goes, and what nobody else can read.
    """
    kept: list[Input] = []
    dropped = foreign = 0
    for item in request.input:
        native = None if isinstance(item, PromptResult) else item.native
        if native is None or (native.wire == wire and native.model == request.model.name):
            kept.append(item)
            continue
        foreign += 1
        dropped += isinstance(item, PromptOpaque | PromptReasoning)
        says_nothing = isinstance(item, PromptMessage) and item.content == (Text(text=""),)
        if not (says_nothing or isinstance(item, PromptOpaque | PromptResult)):
            kept.append(replace(item, native=None))
    return replace(request, input=tuple(kept)) if foreign else request, dropped
