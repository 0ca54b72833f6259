"""The Anthropic Messages wire, as parts: one answer's state and nothing of the network.

A content block is an item: text is a message, thinking is reasoning, the caller's tools are tool
calls, what the provider runs itself and its results are server tools, and a block that nobody here
knows is opaque. Each keeps its block as it will be sent back: signatures, sealed thinking and
citations included. `message_stop` after a stop reason is the end, and nothing else is.
Source: Anthropic's API reference for streaming messages; what it really sends.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from runtime.events import ItemType
from transports.egress.providers.base import Delta, End, Part, Usage
from transports.egress.providers.upstream_errors import is_error, said
from transports.egress.providers.wire import (
    Items,
    count_at,
    dicts,
    key_at,
    object_at,
    read_json,
    text_at,
    total,
)

WIRE = "anthropic-messages"
REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "pause_turn": "length",  # of its own turns: sent back, it goes on
    "compaction": "length",
    "refusal": "refusal",
}
TYPES: Mapping[str, ItemType] = {
    "text": "message",
    "thinking": "reasoning",
    "redacted_thinking": "reasoning",
    "tool_use": "tool_call",
    "server_tool_use": "server_tool",
    "mcp_tool_use": "server_tool",
}
RESULT = "_tool_result"  # what the types of a server tool's results end with


@dataclass(slots=True)
class Block:
    """A content block under way: as it began, and what its deltas add up to."""

    index: int  # of our item
    begun: dict[str, Any]
    text: list[str] = field(default_factory=list)
    arguments: list[str] = field(default_factory=list)
    citations: list[Any] = field(default_factory=list)
    changes: dict[str, Any] = field(default_factory=dict)  # fields that a delta set

    def whole(self) -> dict[str, Any]:
        """Return the block as it is sent back to the provider."""
        block = {**self.begun, **self.changes}
        name = "thinking" if self.begun["type"] == "thinking" else "text"
        if self.text:
            block[name] = text_at(self.begun, name) + "".join(self.text)
        if self.citations:
            block["citations"] = [*dicts(self.begun.get("citations")), *self.citations]
        if self.arguments:
            block["input"] = _input("".join(self.arguments))
        return block


class AnthropicAnswer:
    """Folds the payloads of one stream into parts."""

    def __init__(self, model: str) -> None:
        self.ignored = 0
        self.reason: str | None = None
        self.is_done = False
        self.usage: Usage | None = None
        self._items = Items(WIRE, model)
        self._open: dict[Any, Block] = {}
        self._raw: dict[str, Any] = {}  # usage as it came; later fields override earlier ones
        self._stopped = False
        self._handlers = {
            "content_block_delta": self._delta,
            "content_block_start": self._begin,
            "content_block_stop": self._stop,
            "message_start": self._message,
            "message_delta": self._changed,
        }

    def take(self, payload: str) -> Iterator[Part]:
        """Yield the parts of one event's data; see `wire.Answer`."""
        event = read_json(payload)
        kind = text_at(event, "type")
        if kind in self._handlers and event is not None:
            yield from self._handlers[kind](event)
        elif kind == "message_stop":
            self._stopped = True
        elif event is not None and is_error(event):
            raise said(event)
        elif kind != "ping":
            self.ignored += 1
            if event is not None:
                yield from self._items.strange(kind, event)

    def close(self) -> Iterator[Part]:
        """Yield the last parts: nothing where the wire had no mark of its own."""
        if not self._stopped or self.reason is None:
            return
        yield from self._close_all()
        yield End(reason=REASONS.get(self.reason, "unknown"), provider_reason=self.reason)

    def _message(self, event: Mapping[str, Any]) -> Iterator[Part]:
        """A message begins; a second one in the same stream goes on where the first was."""
        yield from self._close_all()
        self.reason, self._stopped = None, False
        self._note_usage(object_at(object_at(event, "message"), "usage"))

    def _begin(self, event: Mapping[str, Any]) -> Iterator[Part]:
        begun = dict(object_at(event, "content_block"))
        kind = begun["type"] = text_at(begun, "type")
        if earlier := self._open.pop(key_at(event, "index"), None):
            yield self._items.done(earlier.index, earlier.whole())
        is_result = kind.endswith(RESULT)
        item_type = TYPES.get(kind, "server_tool" if is_result else "opaque")
        yield self._items.start(
            item_type,
            call_id=text_at(begun, "tool_use_id" if is_result else "id") or None,
            name=text_at(begun, "name")
            or (kind if item_type in {"server_tool", "opaque"} else None),
        )
        block = Block(index=self._items.count - 1, begun=begun)
        self._open[key_at(event, "index")] = block
        first = text_at(begun, "thinking" if kind == "thinking" else "text")
        if first and item_type in {"message", "reasoning"}:
            yield Delta(index=block.index, text=first)
        for citation in dicts(begun.get("citations")):
            yield Delta(index=block.index, annotation=citation)
        if begun.get("input"):  # whole from the start
            arguments = orjson.dumps(begun["input"]).decode()
            yield Delta(index=block.index, arguments=arguments)

    def _delta(self, event: Mapping[str, Any]) -> Iterator[Part]:
        block = self._open.get(key_at(event, "index"))
        if block is None:
            self.ignored += 1
            return
        match delta := object_at(event, "delta"):
            case {"type": "text_delta", "text": str(text)}:
                block.text.append(text)
                yield Delta(index=block.index, text=text)
            case {"type": "thinking_delta", "thinking": str(text)}:
                block.text.append(text)
                yield Delta(index=block.index, text=text)
            case {"type": "input_json_delta", "partial_json": str(text)}:
                if text:
                    block.arguments.append(text)
                    yield Delta(index=block.index, arguments=text)
            case {"type": "signature_delta", "signature": str(signature)}:
                earlier = text_at({**block.begun, **block.changes}, "signature")
                block.changes["signature"] = earlier + signature
            case {"type": "citations_delta", "citation": dict(citation)}:
                block.citations.append(citation)
                yield Delta(index=block.index, annotation=citation)
            case _:  # such as `compaction_delta`: its fields are the block's
                known = {name: value for name, value in delta.items() if name != "type"}
                block.changes |= known
                self.ignored += not known

    def _stop(self, event: Mapping[str, Any]) -> Iterator[Part]:
        if block := self._open.pop(key_at(event, "index"), None):
            yield from self._finish(block)

    def _finish(self, block: Block) -> Iterator[Part]:
        if TYPES.get(block.begun["type"]) == "tool_call" and not (
            block.arguments or block.begun.get("input")
        ):
            yield Delta(index=block.index, arguments="{}")  # a call without arguments
        yield self._items.done(block.index, block.whole())

    def _close_all(self) -> Iterator[Part]:
        for block in self._open.values():
            yield from self._finish(block)
        self._open.clear()

    def _changed(self, event: Mapping[str, Any]) -> Iterator[Part]:
        if reason := text_at(object_at(event, "delta"), "stop_reason"):
            self.reason = reason
        self._note_usage(object_at(event, "usage"))
        yield from ()

    def _note_usage(self, raw: Mapping[str, Any]) -> None:
        self._raw |= {name: value for name, value in raw.items() if value is not None}
        if self._raw:
            self.usage = read_usage(self._raw)


def read_usage(raw: Mapping[str, Any]) -> Usage:
    """Return the usage in our words beside the provider's."""
    written = count_at(raw, "cache_creation_input_tokens")
    cached = count_at(raw, "cache_read_input_tokens")
    iterations = raw.get("iterations")
    return Usage(
        source="provider",
        input=total(count_at(raw, "input_tokens"), cached, written),
        cached=cached,
        cache_write=written,
        output=count_at(raw, "output_tokens"),
        reasoning=count_at(raw.get("output_tokens_details"), "thinking_tokens"),
        iterations=tuple(iterations) if isinstance(iterations, list) else None,
        raw=dict(raw),
    )


def _input(arguments: str) -> Any:
    """Return a call's input; as text where the model wrote what is not JSON."""
    try:
        return orjson.loads(arguments)
    except orjson.JSONDecodeError:
        return {"INVALID_JSON": arguments}
