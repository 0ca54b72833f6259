"""Others' models of OpenAI's APIs, which every answer and event of the run is held against.

Two of them: the Open Responses specification's, and the official SDK's, which is made from OpenAI's
published OpenAPI document. Source: openresponses-types, openai (PyPI).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import openresponses_types.types as open_types
from openai.types import Model
from openai.types import conversations as sdk_conversations
from openai.types import responses as sdk
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.conversations.conversation import Conversation
from pydantic import BaseModel, TypeAdapter, ValidationError

WHOLE: Final = {  # address -> a good answer, by each of the two; None: it has no word for it
    r"/v1/responses": (open_types.ResponseResource, sdk.Response),
    r"/v1/responses/compact": (open_types.CompactResource, sdk.CompactedResponse),
    r"/v1/responses/(?!compact|input_tokens)[^/]+(/cancel)?": (
        open_types.ResponseResource,
        sdk.Response,
    ),
    r"/v1/responses/[^/]+/input_items": (None, sdk.ResponseItemList),
    r"/v1/conversations(/[^/]+)?": (None, Conversation),
    r"/v1/conversations/[^/]+/items": (None, sdk_conversations.ConversationItemList),
    r"/v1/conversations/[^/]+/items/[^/]+": (None, None),
    r"/v1/chat/completions(/[^/]+)?": (None, ChatCompletion),
    r"/v1/models/.+": (None, Model),
}
CHUNK: Final = "chat.completion.chunk"
UI: Final = "/api/chat"
UI_PARTS: Final = {  # kind -> fields it must have, fields it may have beside `providerMetadata`
    "start": ({"messageId"}, {"messageMetadata"}),
    "start-step": (set(), set()),
    "text-start": ({"id"}, set()),
    "text-delta": ({"id", "delta"}, set()),
    "text-end": ({"id"}, set()),
    "reasoning-start": ({"id"}, set()),
    "reasoning-delta": ({"id", "delta"}, set()),
    "reasoning-end": ({"id"}, set()),
    "tool-input-start": ({"toolCallId", "toolName"}, set()),
    "tool-input-delta": ({"toolCallId", "inputTextDelta"}, set()),
    "tool-input-available": ({"toolCallId", "toolName", "input"}, set()),
    "tool-input-error": ({"toolCallId", "toolName", "input", "errorText"}, set()),
    "source-url": ({"sourceId", "url", "title"}, set()),
    "file": ({"url", "mediaType"}, set()),
    "finish-step": (set(), set()),
    "finish": ({"finishReason"}, {"messageMetadata"}),
    "abort": (set(), {"reason"}),
    "error": ({"errorText"}, set()),
}
DELETED: Final = "deleted"  # what is left of a thing has a form of its own


@cache
def adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


@cache
def open_events() -> dict[str, type[BaseModel]]:
    """The specification's events, by their type."""
    found = {}
    for name in dir(open_types):
        kind = getattr(open_types, name)
        if name.endswith("StreamingEvent") and name != "ErrorStreamingEvent":
            [said] = kind.model_fields["type"].annotation  # an enumeration of one
            found[said.value] = kind
    return found


def problems(path: str, document: Any) -> Iterator[str]:
    """Yield what is wrong with a good answer, or with an event of a stream, at an address."""
    if path.startswith(UI):
        yield from ui_problems(document)
        return
    if "sequence_number" in document:
        yield from event_problems(document)
        return
    if document.get("object") == CHUNK:
        yield from mistakes(ChatCompletionChunk, document)
        return
    if DELETED in document or ("error" in document and "id" not in document):
        return
    for pattern, kinds in WHOLE.items():
        if re.fullmatch(pattern, path):
            ours, sdks = kinds
            yield from mistakes(ours, without_schema(document)) if ours else ()
            yield from mistakes(sdks, document) if sdks else ()


def ui_problems(part: Any) -> Iterator[str]:
    """Yield what of a part the AI SDK's schema of chunks does not know (npm `ai` 6)."""
    if part["type"] not in UI_PARTS:
        yield f"the AI SDK has no part {part['type']}"
        return
    must, may = UI_PARTS[part["type"]]
    has = set(part) - {"type", "providerMetadata"}
    if not must <= has <= must | may:
        yield f"{part['type']} has {sorted(has)}"


def event_problems(event: Any) -> Iterator[str]:
    kind = open_events().get(event["type"])
    if kind is None:
        yield f"the specification has no event {event['type']}"
    else:
        whole = "response" in event
        shown = {**event, "response": without_schema(event["response"])} if whole else event
        yield from mistakes(kind, shown)
    yield from mistakes(sdk.ResponseStreamEvent, event)


def without_schema(document: Any) -> Any:
    """Return a response without the schema wanted: the specification has null in its place."""
    text = document.get("text")
    if not text or "schema" not in text["format"]:
        return document
    return {**document, "text": {**text, "format": {**text["format"], "schema": None}}}


def mistakes(kind: Any, document: Any) -> Iterator[str]:
    try:
        adapter(kind).validate_python(document)
    except ValidationError as error:
        for each in error.errors(include_url=False, include_input=False):
            yield f"{getattr(kind, '__name__', kind)}: {each['loc']}: {each['msg']}"
