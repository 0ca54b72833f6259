"""The OpenAI Responses wire, as parts: one answer's state and nothing of the network.

An output item is an item of ours: a message, reasoning, a call of the caller's tools, a server tool
with its results, a picture, or, where nobody here knows it, opaque. Each keeps the item as
`response.output_item.done` gave it, sealed reasoning and phase included. What the deltas left out,
the whole item says. The terminal event is the end, and nothing else is; where its output says
otherwise than the items did, or another response follows, it is the output that counts.
Source: OpenAI's API reference for Responses streaming events; what it and others really send.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import orjson

from runtime.events import ItemType
from transports.egress.providers.base import Delta, End, Part, Retracted, Usage
from transports.egress.providers.upstream_errors import is_error, said
from transports.egress.providers.wire import (
    Items,
    bytes_at,
    count_at,
    dicts,
    key_at,
    object_at,
    read_json,
    text_at,
)

WIRE = "openai-responses"
REASONS = {"max_output_tokens": "length", "max_tokens": "length", "content_filter": "filter"}
TYPES: Mapping[str, ItemType] = {
    "message": "message",
    "reasoning": "reasoning",
    "function_call": "tool_call",
    "custom_tool_call": "tool_call",
    "image_generation_call": "image",
}
OPAQUE = frozenset({"compaction", "context_compaction", "item_reference"})
TEXTS = {
    "response.output_text.delta": "text",
    "response.reasoning_text.delta": "text",
    "response.reasoning_summary_text.delta": "summary",
    "response.refusal.delta": "refusal",
}
ARGUMENTS = frozenset(
    {
        "response.function_call_arguments.delta",
        "response.custom_tool_call_input.delta",
        "response.mcp_call_arguments.delta",
        "response.code_interpreter_call_code.delta",
    }
)
CANCELLED = "response.cancelled"
ENDS = frozenset({"response.completed", "response.incomplete", "response.failed", CANCELLED})
# How far a server tool is, and what the whole item says besides.
QUIET = re.compile(
    r"response\.(created|queued|in_progress|.+_call[a-z_]*\.delta|.+\.(added|done|in_progress"
    r"|completed|failed|searching|generating|interpreting|compacting))|keepalive|ping"
)
DONE = "[DONE]"
UNSAID = -1  # the index of a message that has said nothing yet
Told: TypeAlias = tuple[ItemType | None, str, str]  # kind, name, words or arguments


@dataclass(slots=True)
class Open:
    """An output item under way."""

    index: int  # of our item
    type: ItemType
    text: list[str] = field(default_factory=list)
    arguments: list[str] = field(default_factory=list)
    summary: Any = None  # the part of the summary that is being told
    annotations: int = 0
    refusal: int | None = None  # the item of its refusal, where it has one


class ResponsesAnswer:
    """Folds the payloads of one stream into parts."""

    def __init__(self, model: str) -> None:
        self.ignored = 0
        self.reason: str | None = None
        self.is_done = False
        self.usage: Usage | None = None
        self._items = Items(WIRE, model)
        self._open: dict[Any, Open] = {}
        self._told: list[Told] = []  # what the whole items said
        self._seen: set[Any] = set()  # their places: ids change on the way through some gateways
        self._response: Mapping[str, Any] = {}
        self._calls = False

    def take(self, payload: str) -> Iterator[Part]:  # noqa: C901  a table of events
        """Yield the parts of one event's data; see `wire.Answer`."""
        if payload.strip() == DONE:
            return
        event = read_json(payload)
        kind = text_at(event, "type")
        if event is None:
            self.ignored += 1
        elif kind in TEXTS:
            yield from self._text(event, TEXTS[kind])
        elif kind in ARGUMENTS:
            yield from self._arguments(event)
        elif kind == "response.output_item.added":
            yield from self._begin(key_at(event, "output_index"), object_at(event, "item"))
        elif kind == "response.output_item.done":
            yield from self._whole(key_at(event, "output_index"), object_at(event, "item"))
        elif kind == "response.output_text.annotation.added":
            yield from self._annotation(event)
        elif kind == "response.image_generation_call.partial_image":
            yield from self._annotation({**event, "annotation": _picture(event)})
        elif kind == "response.created" and self.reason is not None:
            yield from self._again()
        elif kind in ENDS:
            yield from self._end(object_at(event, "response"))
            self.reason = None if kind == CANCELLED else self.reason  # it says what there was
        elif is_error(event):
            raise said(event)
        elif not QUIET.fullmatch(kind):
            self.ignored += 1
            yield from self._items.strange(kind, event)

    def close(self) -> Iterator[Part]:
        """Yield the last parts: nothing where the wire had no mark of its own."""
        if self.reason is None:
            return
        for item in self._open.values():
            if item.index != UNSAID:
                yield self._items.done(item.index)
        detail = text_at(object_at(self._response, "incomplete_details"), "reason")
        if self.reason == "incomplete":
            yield End(reason=REASONS.get(detail, "length"), provider_reason=detail or self.reason)
        else:
            reason = "tool_calls" if self._calls else "stop"
            yield End(reason=reason, provider_reason=self.reason)

    def _begin(self, place: Any, item: Mapping[str, Any]) -> Iterator[Part]:
        kind = text_at(item, "type")
        known: ItemType = "opaque" if kind in OPAQUE or not kind else "server_tool"
        item_type = TYPES.get(kind, known)
        self._calls = self._calls or item_type == "tool_call"
        name = text_at(item, "name") or (kind if item_type in {"server_tool", "opaque"} else "")
        call_id = text_at(item, "call_id") or text_at(item, "id")
        if item_type == "message":  # or else a refusal: what it says tells
            self._open[place] = Open(index=UNSAID, type=item_type)
            return
        is_call = item_type in {"tool_call", "server_tool"}
        yield self._items.start(item_type, call_id=call_id if is_call else None, name=name or None)
        self._open[place] = Open(index=self._items.count - 1, type=item_type)

    def _say(self, item: Open) -> Generator[Part, None, int]:
        """Return the index of an item that says something now."""
        if item.index == UNSAID:
            yield self._items.start(item.type)
            item.index = self._items.count - 1
        return item.index

    def _text(self, event: Mapping[str, Any], source: str) -> Iterator[Part]:
        item, text = self._open.get(key_at(event, "output_index")), text_at(event, "delta")
        if item is None:
            kind = "message" if source in {"text", "refusal"} else "reasoning"
            yield from self._begin(key_at(event, "output_index"), {"type": kind})
            item = self._open[key_at(event, "output_index")]
        if not text:
            return
        if source == "refusal":
            yield from self._refuse(item, text)
            return
        if source == "summary":
            part = event.get("summary_index")
            if item.summary not in (None, part):
                text = "\n\n" + text
            item.summary = part
        item.text.append(text)
        yield Delta(index=(yield from self._say(item)), text=text)

    def _refuse(self, item: Open, text: str) -> Iterator[Part]:
        if item.refusal is None:
            yield self._items.start("refusal")
            item.refusal = self._items.count - 1
        yield Delta(index=item.refusal, text=text)

    def _arguments(self, event: Mapping[str, Any]) -> Iterator[Part]:
        item, text = self._open.get(key_at(event, "output_index")), text_at(event, "delta")
        if item is None:
            self.ignored += 1
        elif text:
            item.arguments.append(text)
            yield Delta(index=item.index, arguments=text)

    def _annotation(self, event: Mapping[str, Any]) -> Iterator[Part]:
        item, annotation = self._open.get(key_at(event, "output_index")), event.get("annotation")
        if item is None or not isinstance(annotation, dict):
            self.ignored += 1
            return
        item.annotations += 1
        yield Delta(index=(yield from self._say(item)), annotation=annotation)

    def _whole(self, place: Any, value: Mapping[str, Any]) -> Iterator[Part]:
        """The item is whole: say what its deltas left out."""
        if place not in self._open:
            yield from self._begin(place, value)
        item = self._open.pop(place)
        self._seen.add(place)
        yield from self._rest(item, value)
        if item.type in {"message", "tool_call"}:
            words = "".join(item.text or item.arguments)
            self._told.append((item.type, text_at(value, "name"), words))
        if item.refusal is not None and item.index == UNSAID:
            yield self._items.done(item.refusal, value)
            return
        if item.refusal is not None:
            yield self._items.done(item.refusal)
        yield self._items.done((yield from self._say(item)), value)

    def _rest(self, item: Open, value: Mapping[str, Any]) -> Iterator[Part]:
        text = _text_of(item.type, value)
        if text and not item.text:
            item.text.append(text)
            yield Delta(index=(yield from self._say(item)), text=text)
        refusal = "".join(text_at(each, "refusal") for each in dicts(value.get("content")))
        if refusal and item.refusal is None:
            yield from self._refuse(item, refusal)
        arguments = _arguments_of(value)
        if arguments and not item.arguments:
            item.arguments.append(arguments)
            yield Delta(index=item.index, arguments=arguments)
        noted = [
            note for each in dicts(value.get("content")) for note in dicts(each.get("annotations"))
        ]
        for note in noted[item.annotations :]:
            yield Delta(index=(yield from self._say(item)), annotation=note)
        if item.type == "image" and (picture := bytes_at(value, "result")):
            yield Delta(index=item.index, data=picture)

    def _end(self, response: Mapping[str, Any]) -> Iterator[Part]:
        """The terminal event: its output says again, and in full, what the items were."""
        self._response = response
        if usage := object_at(response, "usage"):
            self.usage = read_usage(usage)
        status = text_at(response, "status")
        if status == "failed" or response.get("error"):
            raise said({"error": response.get("error")})
        output = dicts(response.get("output"))
        if output and told_by(output) != self._told:
            yield from self._again()
        for place, value in enumerate(output):
            if place not in self._seen:
                yield from self._whole(place, value)
        self.reason = status or "completed"

    def _again(self) -> Iterator[Part]:
        """Take back what was said, and begin again."""
        if self._items.count:
            yield Retracted()
        self._items.again()
        self.reason, self._calls = None, False
        self._open.clear()
        self._told.clear()
        self._seen.clear()


def told_by(items: list[dict[str, Any]]) -> list[Told]:
    """Return what a caller acts on: the words of the messages and the calls of its tools."""
    kinds = ((TYPES.get(text_at(each, "type")), each) for each in items)
    return [
        (kind, text_at(each, "name"), _text_of(kind, each) or _arguments_of(each))
        for kind, each in kinds
        if kind in {"message", "tool_call"}
    ]


def _text_of(item_type: ItemType, value: Mapping[str, Any]) -> str:
    content = dicts(value.get("content"))
    if item_type == "message":
        return "".join(text_at(each, "text") for each in content)
    if item_type == "reasoning":
        told = content or dicts(value.get("summary"))
        return ("" if content else "\n\n").join(text_at(each, "text") for each in told)
    return ""


def _arguments_of(value: Mapping[str, Any]) -> str:
    for name in ("arguments", "input", "code"):
        found = value.get(name)
        if isinstance(found, str) and found:
            return found
        if isinstance(found, dict):
            return orjson.dumps(found).decode()
    return ""


def _picture(event: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "partial_image",
        "index": event.get("partial_image_index"),
        "result": text_at(event, "partial_image_b64"),
    }


def read_usage(raw: Mapping[str, Any]) -> Usage:
    """Return the usage in our words beside the provider's."""
    told = raw.get("input_tokens_details")
    return Usage(
        source="provider",
        input=count_at(raw, "input_tokens"),
        cached=count_at(told, "cached_tokens"),
        cache_write=count_at(told, "cache_write_tokens"),
        output=count_at(raw, "output_tokens"),
        reasoning=count_at(raw.get("output_tokens_details"), "reasoning_tokens"),
        raw=dict(raw),
    )
