"""The OpenAI chat-completions wire, as parts: one answer's state and nothing of the network.

Text, reasoning and refusal are items in the order in which they come; one that is left and come
back to is a new item. A tool call is known by its index, else its id, else it is the last one; a
new id under an old index is a new call. Reasoning keeps its details, signatures and sealed parts
included, and a call what a vendor put beside it, so that they can be sent back. What nobody here
knows is counted. The mark of the end is a finish reason, or `[DONE]`.
Source: OpenAI's API reference; what vendors really send.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import orjson

from runtime.events import ItemType
from transports.egress.providers.base import Delta, End, Part, Usage
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

WIRE = "openai-chat"
DONE = "[DONE]"
REASONS = {  # by the first word of what is said, in small letters
    **dict.fromkeys(("stop", "end_turn", "eos", "eos_token", "stop_sequence"), "stop"),
    **dict.fromkeys(("complete", "completed"), "stop"),
    **dict.fromkeys(("length", "max_tokens", "max_output_tokens", "model_length"), "length"),
    **dict.fromkeys(("model_context_window_exceeded", "pause_turn"), "length"),
    **dict.fromkeys(("content_filter", "safety", "recitation", "sensitive"), "filter"),
    **dict.fromkeys(("tool_calls", "tool_call", "tool_use", "function_call"), "tool_calls"),
    "refusal": "refusal",
}
# What some say of a stream that broke behind them, or of a call that their model could not make.
FAILED = frozenset(
    {
        *("error", "network_error", "abort", "insufficient_system_resource"),
        *("malformed_function_call", "function_call_filter"),
    }
)
TEXTS: dict[str, ItemType] = {
    "reasoning_content": "reasoning",
    "reasoning": "reasoning",
    "reasoning_text": "reasoning",
    "content": "message",
    "refusal": "refusal",
}
AGAIN = frozenset({"reasoning", "reasoning_text"})  # may repeat what stands before them
DETAILS = "reasoning_details"
GROWS = frozenset({"text", "summary", "data"})  # of a detail that comes in pieces
PLAIN = {"role", "content"}
KNOWN = {*TEXTS, DETAILS, "role", "tool_calls", "function_call", "annotations", "audio"}
CallKey: TypeAlias = tuple[int | str, int]


@dataclass(slots=True)
class Call:
    """A tool call under way."""

    index: int  # of our item
    id: str
    name: str = ""
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
        self._spoken: dict[str, Any] | None = None  # the name of the message's sound
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
        if chunk.get("error") or ("choices" not in chunk and is_error(chunk)):
            raise said(chunk)
        choices = dicts(chunk.get("choices"))
        usage = chunk.get("usage") or object_at(chunk, "x_groq").get("usage")
        for told in (usage, *(each.get("usage") for each in choices if not usage)):
            if isinstance(told, dict):
                self.usage = read_usage(told)
        for choice in choices:
            yield from self._choice(choice)
        if (sources := chunk.get("citations")) is not None:
            yield from self._cite(sources)

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
            return
        word = self.reason.lower().partition(":")[0].strip()
        if word in FAILED:
            raise said({"error": {"code": word, "message": "The provider's own upstream failed."}})
        yield End(reason=REASONS.get(word, "unknown"), provider_reason=self.reason)

    def _choice(self, choice: Mapping[str, Any]) -> Iterator[Part]:
        if choice.get("index") not in (0, None):
            self.ignored += 1  # one answer was asked for
            return
        if isinstance(choice.get("error"), dict):
            raise said(choice)
        delta = choice.get("delta") or choice.get("message")
        if isinstance(delta, dict):
            yield from self._delta(delta)
        if reason := text_at(choice, "finish_reason"):
            self.reason = reason

    def _delta(self, delta: Mapping[str, Any]) -> Iterator[Part]:
        yield from self._texts_of(delta)
        if delta.keys() <= PLAIN:  # most are
            return
        if audio := object_at(delta, "audio"):
            yield from self._audio(audio)
        for name, value in delta.items():
            if name not in KNOWN and value:
                self.ignored += 1
                yield from self._items.strange(f"delta.{name}", {name: value})
        for detail in dicts(delta.get(DETAILS)):
            if self._open is None or self._open[0] != "reasoning":
                yield from self._begin("reasoning")
            self._keep(detail)
        for annotation in dicts(delta.get("annotations")):
            yield Delta(index=(yield from self._begin("message")), annotation=annotation)
        for call in dicts(delta.get("tool_calls")):
            yield from self._call(call)
        if isinstance(legacy := delta.get("function_call"), dict):
            yield from self._call({"index": "function_call", "function": legacy})

    def _texts_of(self, delta: Mapping[str, Any]) -> Iterator[Part]:
        heard: set[ItemType] = set()  # some send their reasoning under both of its names
        for name, item_type in TEXTS.items():
            if (value := delta.get(name)) is None:
                continue
            for kind, told in self._texts(item_type, value):
                if kind == "opaque":
                    self.ignored += 1
                    yield from self._items.strange(f"part.{text_at(told, 'type') or name}", told)
                elif name not in AGAIN or kind not in heard:
                    heard.add(kind)
                    yield from self._say(kind, told)
        if DETAILS in delta and "reasoning" not in heard:  # told by its details alone
            for detail in dicts(delta[DETAILS]):
                text = text_at(detail, "text") or text_at(detail, "summary")
                yield from self._say("reasoning", text)

    def _texts(self, item_type: ItemType, value: Any) -> Iterator[tuple[ItemType, Any]]:
        """Yield the texts in a field: a string, or a list of typed parts; the rest is opaque."""
        if isinstance(value, str):
            yield item_type, value
            return
        for part in [value] if isinstance(value, dict) else dicts(value):
            match part:
                case {"type": "text" | "output_text", "text": str(text)}:
                    yield item_type, text
                case {"type": "refusal", "refusal": str(text)}:
                    yield "refusal", text
                case {"type": "thinking", "thinking": inner}:
                    yield from self._texts("reasoning", inner)
                case _ if part:
                    yield "opaque", part

    def _keep(self, detail: dict[str, Any]) -> None:
        """Put a piece of a reasoning detail to the others of its index and kind."""
        index = key_at(detail, "index")
        key = (len(self._details) if index is None else index, text_at(detail, "type"))
        kept = self._details.setdefault(key, {})
        for name, value in detail.items():
            grows = name in GROWS and isinstance(value, str) and isinstance(kept.get(name), str)
            kept[name] = kept[name] + value if grows else kept.get(name) if value is None else value

    def _say(self, item_type: ItemType, text: str) -> Iterator[Part]:
        if text:
            yield Delta(index=(yield from self._begin(item_type)), text=text)

    def _audio(self, audio: Mapping[str, Any]) -> Iterator[Part]:
        """A spoken message: what it says, its sound, and the name that stands for it later."""
        yield from self._say("message", text_at(audio, "transcript"))
        if sound := bytes_at(audio, "data"):
            yield Delta(index=(yield from self._begin("message")), data=sound)
        if name := text_at(audio, "id"):
            yield from self._begin("message")
            self._spoken = {"audio": {"id": name}}

    def _begin(self, item_type: ItemType) -> Generator[Part, None, int]:
        """Make an item of this type the one under way; return its index."""
        if self._open is None or self._open[0] != item_type:
            yield from self._leave()
            yield self._items.start(item_type)
            self._open = (item_type, self._items.count - 1)
        return self._open[1]

    def _leave(self) -> Iterator[Part]:
        if self._open is None:
            return
        item_type, index = self._open
        native: dict[str, Any] | None = None
        if item_type == "reasoning" and self._details:
            native, self._details = {DETAILS: list(self._details.values())}, {}
        elif item_type == "message":
            native, self._spoken = self._spoken, None
        yield self._items.done(index, native)
        self._open = None

    def _cite(self, sources: Any) -> Iterator[Part]:
        """Note what the answer cites, once: some send the list with every chunk."""
        if isinstance(sources, list) and sources and sources != self._sources and self._open:
            self._sources = sources
            yield Delta(index=self._open[1], annotation={"type": "citations", "sources": sources})

    def _call(self, call: Mapping[str, Any]) -> Iterator[Part]:
        call_id = text_at(call, "id")
        function = object_at(call, "function") or object_at(call, "custom")
        name = text_at(function, "name")
        key = self._key(call.get("index"), call_id, name)
        if key not in self._calls:
            yield from self._leave()
            yield self._items.start("tool_call", call_id=call_id or None, name=name or None)
            self._calls[key] = Call(index=self._items.count - 1, id=call_id, name=name)
        known = self._calls[key]
        known.beside |= {
            name: value
            for name, value in call.items()
            if name not in {"index", "id", "type", "function", "custom"} and value is not None
        }
        arguments = function.get("arguments", function.get("input"))
        if isinstance(arguments, dict):  # some servers send the object itself
            arguments = orjson.dumps(arguments).decode()
        if isinstance(arguments, str) and arguments:
            known.has_arguments = True
            yield Delta(index=known.index, arguments=arguments)

    def _key(self, index: Any, call_id: str, name: str) -> CallKey:
        """Return what names a call: its index and which call of that index it is, or its id.

        Without an id a tool's name behind arguments begins another call: where there is an index,
        another tool's name, since some say it with each piece.
        """
        if not isinstance(index, int | str):
            if call_id:
                return (call_id, -1)
            last = next(reversed(self._calls), ("", 0))
            begins = bool(name) and last in self._calls and self._calls[last].has_arguments
            return ("", len(self._calls)) if begins else last
        calls = [key for key in self._calls if key[0] == index and key[1] >= 0]
        same = [key for key in calls if call_id and self._calls[key].id in {"", call_id}]
        if same:
            self._calls[same[-1]].id = call_id
            return same[-1]
        last = calls[-1] if calls else (index, 0)
        known = self._calls.get(last)
        begins = known is not None and known.has_arguments and name not in {"", known.name}
        return (index, len(calls)) if call_id or begins else last


def read_usage(raw: Mapping[str, Any]) -> Usage:
    """Return the usage in our words beside the provider's."""
    prompt, completion = raw.get("prompt_tokens_details"), raw.get("completion_tokens_details")
    cached = count_at(prompt, "cached_tokens")
    reasoning = count_at(completion, "reasoning_tokens")
    if cached is None:  # some say it flatly
        flat = count_at(raw, "prompt_cache_hit_tokens")
        cached = count_at(raw, "cached_tokens") if flat is None else flat
    return Usage(
        source="provider",
        input=count_at(raw, "prompt_tokens"),
        cached=cached,
        cache_write=count_at(prompt, "cache_write_tokens"),
        output=count_at(raw, "completion_tokens"),
        reasoning=count_at(raw, "reasoning_tokens") if reasoning is None else reasoning,
        raw=dict(raw),
    )
