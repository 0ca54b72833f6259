"""The OpenAI chat-completions wire, as parts: one answer's state and nothing of the network.

Text, reasoning and refusal are items in the order in which they come; one that is left and come
back to is a new item. A tool call is known by its index, else its id, else it is the last one; a
new id under an old index is a new call. Reasoning keeps its details, signatures and sealed parts
included, and a call what a vendor put beside it, so that they can be sent back. What nobody here
knows is counted. The mark of the end is a finish reason, or `[DONE]`.
Source: OpenAI's API reference; what vendors really send.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from runtime.events import ItemType
from transports.egress.providers.base import Delta, End, Part, Usage
from transports.egress.providers.upstream_errors import said
from transports.egress.providers.wire import Items, count_at, dicts, object_at, read_json, text_at

WIRE = "openai-chat"
DONE = "[DONE]"
REASONS = {
    "stop": "stop",
    "end_turn": "stop",
    "eos": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "content_filter": "filter",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
}
FAILED = "error"  # some gateways' reason for a stream that broke behind them
TEXTS: dict[str, ItemType] = {
    "reasoning_content": "reasoning",
    "reasoning": "reasoning",
    "content": "message",
    "refusal": "refusal",
}
DETAILS = "reasoning_details"
GROWS = frozenset({"text", "summary", "data"})  # of a detail that comes in pieces
KNOWN = {*TEXTS, DETAILS, "role", "tool_calls", "function_call", "annotations"}
CallKey: TypeAlias = tuple[int | str, int]


@dataclass(slots=True)
class Call:
    """A tool call under way."""

    index: int  # of our item
    id: str
    beside: dict[str, Any] = field(default_factory=dict)  # what the vendor put beside it
    has_arguments: bool = False


class ChatAnswer:
    """Folds the payloads of one stream into parts."""

    def __init__(self, model: str) -> None:
        self.ignored = 0
        self.reason: str | None = None
        self.is_done = False
        self.usage: Usage | None = None
        self._items = Items(WIRE, model)
        self._open: tuple[ItemType, int] | None = None  # the text-like item under way
        self._calls: dict[CallKey, Call] = {}
        self._details: dict[Any, dict[str, Any]] = {}  # of the reasoning under way
        self._sources: list[Any] = []  # what the answer cites, told once

    def take(self, payload: str) -> Iterator[Part]:
        """Yield the parts of one event's data; see `wire.Answer`."""
        if payload.strip() == DONE:
            self.is_done = True
            return
        chunk = read_json(payload)
        if chunk is None:
            self.ignored += 1
            return
        if chunk.get("error"):
            raise said(chunk)
        usage = chunk.get("usage") or object_at(chunk, "x_groq").get("usage")
        if isinstance(usage, dict):
            self.usage = read_usage(usage)
        for choice in dicts(chunk.get("choices")):
            yield from self._choice(choice)
        yield from self._cite(chunk.get("citations"))

    def close(self) -> Iterator[Part]:
        """Yield the last parts: nothing where the wire had no mark of its own."""
        if self.reason is None and not self.is_done:
            return
        yield from self._leave()
        for call in self._calls.values():
            if not call.has_arguments:
                yield Delta(index=call.index, arguments="{}")
            yield self._items.done(call.index, call.beside or None)
        if self.reason is None:
            yield End(end_state="finished_no_reason", reason="unknown")
        elif self.reason == FAILED:
            raise said({"error": {"message": "The provider's own upstream failed."}})
        else:
            yield End(reason=REASONS.get(self.reason, "unknown"), provider_reason=self.reason)

    def _choice(self, choice: Mapping[str, Any]) -> Iterator[Part]:
        if choice.get("index") not in (0, None):
            self.ignored += 1  # one answer was asked for
            return
        delta = choice.get("delta") or choice.get("message")
        if isinstance(delta, dict):
            yield from self._delta(delta)
        if reason := text_at(choice, "finish_reason"):
            self.reason = reason

    def _delta(self, delta: Mapping[str, Any]) -> Iterator[Part]:
        self.ignored += len([name for name, value in delta.items() if name not in KNOWN and value])
        yield from self._texts_of(delta)
        for detail in dicts(delta.get(DETAILS)):
            if self._open is None or self._open[0] != "reasoning":
                yield from self._begin("reasoning")
            self._keep(detail)
        for annotation in dicts(delta.get("annotations")):
            yield from self._begin("message")
            yield Delta(index=self._items.count - 1, annotation=annotation)
        for call in dicts(delta.get("tool_calls")):
            yield from self._call(call)
        if isinstance(legacy := delta.get("function_call"), dict):
            yield from self._call({"index": "function_call", "function": legacy})

    def _texts_of(self, delta: Mapping[str, Any]) -> Iterator[Part]:
        heard: set[ItemType] = set()  # some send their reasoning under both of its names
        for name, item_type in TEXTS.items():
            for kind, text in self._texts(item_type, delta.get(name)):
                if name != "reasoning" or "reasoning" not in heard:
                    heard.add(kind)
                    yield from self._say(kind, text)
        if "reasoning" not in heard:  # told by its details alone
            for detail in dicts(delta.get(DETAILS)):
                text = text_at(detail, "text") or text_at(detail, "summary")
                yield from self._say("reasoning", text)

    def _texts(self, item_type: ItemType, value: Any) -> Iterator[tuple[ItemType, str]]:
        """Yield the texts in a field: a string, or a list of typed parts."""
        if isinstance(value, str):
            yield item_type, value
            return
        for part in dicts(value):
            match part:
                case {"type": "text", "text": str(text)}:
                    yield item_type, text
                case {"type": "thinking", "thinking": inner}:
                    yield from self._texts("reasoning", inner)
                case _:
                    self.ignored += 1

    def _keep(self, detail: dict[str, Any]) -> None:
        """Put a piece of a reasoning detail to the others of its index and kind."""
        key = (detail.get("index", len(self._details)), detail.get("type"))
        kept = self._details.setdefault(key, {})
        for name, value in detail.items():
            grows = name in GROWS and isinstance(value, str) and isinstance(kept.get(name), str)
            kept[name] = kept[name] + value if grows else kept.get(name) if value is None else value

    def _say(self, item_type: ItemType, text: str) -> Iterator[Part]:
        if text:
            yield from self._begin(item_type)
            yield Delta(index=self._items.count - 1, text=text)

    def _begin(self, item_type: ItemType) -> Iterator[Part]:
        """Make an item of this type the one under way, which is then the latest item."""
        if self._open is None or self._open[0] != item_type:
            yield from self._leave()
            yield self._items.start(item_type)
            self._open = (item_type, self._items.count - 1)

    def _leave(self) -> Iterator[Part]:
        if self._open:
            details = list(self._details.values()) if self._open[0] == "reasoning" else []
            yield self._items.done(self._open[1], {DETAILS: details} if details else None)
            self._details = {} if details else self._details
            self._open = None

    def _cite(self, sources: Any) -> Iterator[Part]:
        """Note what the answer cites, once: some send the list with every chunk."""
        if isinstance(sources, list) and sources and sources != self._sources and self._open:
            self._sources = sources
            yield Delta(index=self._open[1], annotation={"type": "citations", "sources": sources})

    def _call(self, call: Mapping[str, Any]) -> Iterator[Part]:
        call_id, function = text_at(call, "id"), object_at(call, "function")
        key = self._key(call.get("index"), call_id)
        if key not in self._calls:
            yield from self._leave()
            name = text_at(function, "name") or None
            yield self._items.start("tool_call", call_id=call_id or None, name=name)
            self._calls[key] = Call(index=self._items.count - 1, id=call_id)
        known = self._calls[key]
        known.beside |= {
            name: value
            for name, value in call.items()
            if name not in {"index", "id", "type", "function"} and value is not None
        }
        arguments = function.get("arguments")
        if isinstance(arguments, str) and arguments:
            known.has_arguments = True
            yield Delta(index=known.index, arguments=arguments)

    def _key(self, index: Any, call_id: str) -> CallKey:
        """Return what names a call: its index and which call of that index it is, or its id."""
        if not isinstance(index, int | str):
            last = next(reversed(self._calls), ("", 0))
            return (call_id, -1) if call_id else last
        calls = [key for key in self._calls if key[0] == index and key[1] >= 0]
        same = [key for key in calls if call_id and self._calls[key].id in {"", call_id}]
        if same:
            self._calls[same[-1]].id = call_id
            return same[-1]
        return (index, len(calls)) if call_id or not calls else calls[-1]


def read_usage(raw: Mapping[str, Any]) -> Usage:
    """Return the usage in our words beside the provider's."""
    prompt, completion = raw.get("prompt_tokens_details"), raw.get("completion_tokens_details")
    cached = count_at(prompt, "cached_tokens")
    return Usage(
        source="provider",
        input=count_at(raw, "prompt_tokens"),
        cached=count_at(raw, "prompt_cache_hit_tokens") if cached is None else cached,
        cache_write=count_at(prompt, "cache_write_tokens"),
        output=count_at(raw, "completion_tokens"),
        reasoning=count_at(completion, "reasoning_tokens"),
        raw=dict(raw),
    )
