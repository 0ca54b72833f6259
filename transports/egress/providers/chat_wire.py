"""The OpenAI chat-completions wire, as parts: one answer's state and nothing of the network.

Text, reasoning and refusal are items in the order in which they come; one that is left and come
back to is a new item. A tool call is known by its index, else its id, else it is the last one; a
new id under an old index is a new call. What nobody here knows is counted and left out. Usage is
held back until the end, since a later one takes the place of an earlier one.
Source: OpenAI's API reference; what vendors really send.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import orjson

from runtime import limits
from runtime.events import ItemType
from runtime.problems import UpstreamLost, UpstreamSaid
from transports.egress.providers.base import Delta, End, ItemDone, ItemStart, Part, Usage

DONE = "[DONE]"
REASONS = {
    "stop": "stop",
    "length": "length",
    "content_filter": "filter",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
}
TEXTS: dict[str, ItemType] = {
    "reasoning_content": "reasoning",
    "reasoning": "reasoning",
    "content": "message",
    "refusal": "refusal",
}
KNOWN = {*TEXTS, "role", "tool_calls", "function_call", "annotations"}
CallKey: TypeAlias = tuple[int | str, int]


class ChatAnswer:
    """Folds the payloads of one stream into parts."""

    def __init__(self) -> None:
        self.ignored = 0  # values that nobody here knows
        self.reason: str | None = None  # the wire's own word for the end
        self.is_done = False  # [DONE] has come
        self._items = 0
        self._open: tuple[ItemType, int] | None = None  # the text-like item under way
        self._calls: dict[CallKey, int] = {}  # open tool calls: key to item
        self._call_ids: dict[CallKey, str] = {}
        self.usage: Usage | None = None  # the latest

    def take(self, payload: str) -> Iterator[Part]:
        """Yield the parts of one event's data.

        Raises:
            UpstreamSaid: it is an error.
            UpstreamLost: it is not JSON; what it was meant to say is lost.
        """
        if payload.strip() == DONE:
            self.is_done = True
            return
        try:
            chunk = orjson.loads(payload)
        except orjson.JSONDecodeError as error:
            raise UpstreamLost("The provider sent what is not JSON.") from error
        if not isinstance(chunk, dict):
            self.ignored += 1
            return
        if chunk.get("error"):
            raise said(chunk)
        if isinstance(usage := chunk.get("usage"), dict):
            self.usage = read_usage(usage)
        for choice in _dicts(chunk.get("choices")):
            yield from self._choice(choice)

    def close(self) -> Iterator[Part]:
        """Yield the last parts: nothing where the wire had no mark of its own."""
        if self.reason is None and not self.is_done:
            return
        yield from self._leave()
        yield from (ItemDone(index=item) for item in self._calls.values())
        if self.reason is None:
            yield End(end_state="finished_no_reason", reason="unknown")
        else:
            yield End(reason=REASONS.get(self.reason, "unknown"), provider_reason=self.reason)

    def _choice(self, choice: Mapping[str, Any]) -> Iterator[Part]:
        if choice.get("index") not in (0, None):
            self.ignored += 1  # one answer was asked for
            return
        delta = choice.get("delta") or choice.get("message")
        if isinstance(delta, dict):
            yield from self._delta(delta)
        if isinstance(reason := choice.get("finish_reason"), str) and reason:
            self.reason = reason

    def _delta(self, delta: Mapping[str, Any]) -> Iterator[Part]:
        self.ignored += len([name for name in delta if name not in KNOWN])
        heard: set[ItemType] = set()  # some send their reasoning under both of its names
        for field, item_type in TEXTS.items():
            for kind, text in self._texts(item_type, delta.get(field)):
                if field != "reasoning" or "reasoning" not in heard:
                    heard.add(kind)
                    yield from self._say(kind, text)
        for annotation in _dicts(delta.get("annotations")):
            yield from self._begin("message")
            yield Delta(index=self._items - 1, annotation=annotation)
        for call in _dicts(delta.get("tool_calls")):
            yield from self._call(call)
        if isinstance(legacy := delta.get("function_call"), dict):
            yield from self._call({"index": "function_call", "function": legacy})

    def _texts(self, item_type: ItemType, value: Any) -> Iterator[tuple[ItemType, str]]:
        """Yield the texts in a field: a string, or a list of typed parts."""
        if isinstance(value, str):
            yield item_type, value
            return
        for part in _dicts(value):
            match part:
                case {"type": "text", "text": str(text)}:
                    yield item_type, text
                case {"type": "thinking", "thinking": inner}:
                    yield from self._texts("reasoning", inner)
                case _:
                    self.ignored += 1

    def _say(self, item_type: ItemType, text: str) -> Iterator[Part]:
        if text:
            yield from self._begin(item_type)
            yield Delta(index=self._items - 1, text=text)

    def _begin(self, item_type: ItemType) -> Iterator[Part]:
        """Make an item of this type the one under way, which is then the latest item."""
        if self._open is None or self._open[0] != item_type:
            yield from self._leave()
            self._open = (item_type, self._items)
            yield from self._start(item_type)

    def _leave(self) -> Iterator[Part]:
        if self._open:
            yield ItemDone(index=self._open[1])
            self._open = None

    def _start(
        self, item_type: ItemType, call_id: str = "", name: str | None = None
    ) -> Iterator[Part]:
        self._items += 1
        yield ItemStart(index=self._items - 1, type=item_type, call_id=call_id or None, name=name)

    def _call(self, call: Mapping[str, Any]) -> Iterator[Part]:
        call_id = call["id"] if isinstance(call.get("id"), str) else ""
        function = call.get("function")
        function = function if isinstance(function, dict) else {}
        key = self._key(call.get("index"), call_id)
        if key not in self._calls:
            yield from self._leave()
            self._calls[key], self._call_ids[key] = self._items, call_id
            name = function.get("name")
            yield from self._start("tool_call", call_id, name if isinstance(name, str) else None)
        if isinstance(arguments := function.get("arguments"), str) and arguments:
            yield Delta(index=self._calls[key], arguments=arguments)

    def _key(self, index: Any, call_id: str) -> CallKey:
        """Return what names a call: its index and which call of that index it is, or its id."""
        if not isinstance(index, int | str):
            last = next(reversed(self._calls), ("", 0))
            return (call_id, -1) if call_id else last
        calls = [key for key in self._calls if key[0] == index and key[1] >= 0]
        same = [key for key in calls if call_id and self._call_ids[key] in {"", call_id}]
        if same:
            self._call_ids[same[-1]] = call_id
            return same[-1]
        return (index, len(calls)) if call_id or not calls else calls[-1]


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def read_usage(raw: Mapping[str, Any]) -> Usage:
    """Return the usage in our words beside the provider's."""
    prompt, completion = raw.get("prompt_tokens_details"), raw.get("completion_tokens_details")
    return Usage(
        source="provider",
        input=_count(raw, "prompt_tokens"),
        cached=_count(prompt, "cached_tokens"),
        output=_count(raw, "completion_tokens"),
        reasoning=_count(completion, "reasoning_tokens"),
        raw=raw,
    )


def _count(raw: Any, name: str) -> int | None:
    value = raw.get(name) if isinstance(raw, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def said(
    document: Any, *, status: int | None = None, request_id: str | None = None
) -> UpstreamSaid:
    """Return the provider's error, whatever shape it came in."""
    while isinstance(document, list) and document:
        document = document[0]
    error = document.get("error", document) if isinstance(document, dict) else document
    words = error if isinstance(error, dict) else {"message": error}
    message = words.get("message") or words.get("detail") or "The provider said no more than that."
    code = words.get("code") or words.get("type") or status or "unknown"
    return UpstreamSaid(
        str(message)[: limits.ERROR_CHARS],
        code=str(code),
        provider_request_id=request_id,
        **{"class": error_class(status, str(code))},
    )


def error_class(status: int | None, code: str) -> str:
    """Return whose affair the error is, by the provider's code before its status."""
    by_code = {
        "context_length_exceeded": "context_length",
        "content_filter": "content_policy",
        "insufficient_quota": "quota",
        "rate_limit_exceeded": "rate_limit",
    }
    by_status = {401: "auth", 402: "quota", 403: "auth", 429: "rate_limit", 503: "overloaded"}
    if code in by_code:
        return by_code[code]
    if status in by_status:
        return by_status[status]
    if status is None:
        return "provider"
    return "invalid_request" if status < 500 else "server"  # noqa: PLR2004 -- RFC 9110
