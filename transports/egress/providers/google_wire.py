"""The Google Gemini wire (`streamGenerateContent`), as parts: one answer's state and no network.

Parts of one kind that follow each other are one item: text, thought, what the provider ran itself;
each function call is its own. Every item keeps its parts as they came, so that each signature goes
back with the very part that bore it. Arguments that come in pieces are put together by their paths.
The mark of the end is a finish reason, or the prompt's refusal: a body that just ends has none.
Source: Google's API reference for GenerateContentResponse; what it really sends.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from runtime.events import ItemType
from transports.egress.providers.base import Delta, End, Part, Usage
from transports.egress.providers.upstream_errors import is_error, said
from transports.egress.providers.wire import (
    Items,
    bytes_at,
    count_at,
    dicts,
    object_at,
    read_json,
    text_at,
    total,
)

WIRE = "google-generate"
REASONS = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",  # of this request: asked again, it goes on
    **dict.fromkeys(
        (
            "SAFETY",
            "RECITATION",
            "BLOCKLIST",
            "PROHIBITED_CONTENT",
            "SPII",
            "LANGUAGE",
            "IMAGE_SAFETY",
            "IMAGE_PROHIBITED_CONTENT",
            "IMAGE_RECITATION",
            "IMAGE_OTHER",
            "OTHER",  # by Google's guide: against the terms, or else not supported
            "ESCALATION",
            "PUP_LIMITED_DISABLED",
            "MODEL_ARMOR",
        ),
        "filter",
    ),
}
# The model's own failures: the wire says that it ended, and that there is no answer.
FAILURES = frozenset(
    {
        "MALFORMED_FUNCTION_CALL",
        "UNEXPECTED_TOOL_CALL",
        "MALFORMED_RESPONSE",
        "TOO_MANY_TOOL_CALLS",
        "MISSING_THOUGHT_SIGNATURE",
        "NO_IMAGE",
    }
)
UNSAID = "FINISH_REASON_UNSPECIFIED"  # what the field holds before there is a reason
NO_ANSWER = "The model failed to answer."
SERVER = ("executableCode", "codeExecutionResult", "toolCall", "toolResponse")
STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\['([^']*)'\]")
PLAIN = {"text"}, {"text", "thought"}  # parts that can be joined without losing anything
VALUES = ("stringValue", "numberValue", "boolValue", "structValue", "listValue")


class GoogleAnswer:
    """Folds the payloads of one stream into parts."""

    def __init__(self, model: str) -> None:
        self.ignored = 0
        self.reason: str | None = None
        self.is_done = False
        self.usage: Usage | None = None
        self._items = Items(WIRE, model)
        self._open: ItemType | None = None  # the kind of the item under way
        self._parts: list[dict[str, Any]] = []  # of it, as they came
        self._call: dict[str, Any] | None = None  # arguments that come in pieces
        self._pieces: dict[str, Any] = {}
        self._calls = False
        self._blocked = ""
        self._told = ""  # about the end, by the provider

    def take(self, payload: str) -> Iterator[Part]:
        """Yield the parts of one event's data; see `wire.Answer`."""
        chunk = read_json(payload)
        if chunk is None:
            self.ignored += 1
            return
        if is_error(chunk):
            raise said(chunk)
        chunk = object_at(chunk, "response") or chunk  # some gateways wrap it
        if usage := object_at(chunk, "usageMetadata"):
            self.usage = read_usage(usage)
        if blocked := text_at(object_at(chunk, "promptFeedback"), "blockReason"):
            self._blocked = self.reason = blocked
        turn = object_at(object_at(chunk, "serverContent"), "modelTurn")  # the live wire's frame
        for part in dicts(turn.get("parts")):
            yield from self._part(part)
        for candidate in dicts(chunk.get("candidates")):
            if candidate.get("index") not in (0, None):
                self.ignored += 1  # one answer was asked for
                continue
            yield from self._candidate(candidate)

    def close(self) -> Iterator[Part]:
        """Yield the last parts: nothing where the wire had no mark of its own."""
        if self.reason is None:
            return
        yield from self._leave()
        if self._blocked:
            yield End(reason="filter", provider_reason=self._blocked)
        elif self.reason in FAILURES:
            raise said({"error": {"status": self.reason, "message": self._told or NO_ANSWER}})
        else:
            reason = REASONS.get(self.reason, "unknown")
            reason = "tool_calls" if reason == "stop" and self._calls else reason
            yield End(reason=reason, provider_reason=self.reason)

    def _candidate(self, candidate: Mapping[str, Any]) -> Iterator[Part]:
        for part in dicts(object_at(candidate, "content").get("parts")):
            yield from self._part(part)
        for name in ("groundingMetadata", "citationMetadata", "urlContextMetadata"):
            if noted := object_at(candidate, name):
                yield from self._enter("message")
                yield Delta(index=self._items.count - 1, annotation={"type": name, **noted})
        if (reason := text_at(candidate, "finishReason")) and reason != UNSAID:
            self.reason, self._told = reason, text_at(candidate, "finishMessage")

    def _part(self, part: dict[str, Any]) -> Iterator[Part]:
        if "functionCall" in part:
            yield from self._function(part)
        elif isinstance(part.get("text"), str):
            yield from self._enter("reasoning" if part.get("thought") else "message")
            self._keep(part)
            if part["text"]:
                yield Delta(index=self._items.count - 1, text=part["text"])
        elif media := object_at(part, "inlineData"):
            kind = text_at(media, "mimeType")
            yield from self._alone("image" if kind.startswith("image/") else "opaque", part, kind)
            yield Delta(index=self._items.count - 1, data=bytes_at(media, "data"))
        elif name := next((each for each in SERVER if each in part), None):
            yield from self._alone("server_tool", part, name)
        elif part.keys() <= {"thoughtSignature", "thought"} and self._open:
            self._parts.append(part)  # a signature of what came before
        else:
            yield from self._alone("opaque", part, next(iter(part), ""))

    def _function(self, part: dict[str, Any]) -> Iterator[Part]:
        call = object_at(part, "functionCall")
        if self._call is None or call.get("name"):
            yield from self._leave()
            self._calls, self._open, self._parts = True, "tool_call", [part]
            yield self._items.start(
                "tool_call",
                call_id=text_at(call, "id") or None,
                name=text_at(call, "name") or None,
            )
            self._call = {} if call.get("willContinue") or "partialArgs" in call else None
            if self._call is None:
                arguments = orjson.dumps(call.get("args") or {}).decode()
                yield Delta(index=self._items.count - 1, arguments=arguments)
                yield from self._leave()
                return
        elif signature := part.get("thoughtSignature"):
            self._parts[0] = {**self._parts[0], "thoughtSignature": signature}
        for piece in dicts(call.get("partialArgs")):
            self._piece(piece)
        if not call.get("willContinue"):
            yield from self._leave()

    def _piece(self, piece: Mapping[str, Any]) -> None:
        """Put one piece of an argument where its path says; text under one path grows."""
        path = text_at(piece, "jsonPath")
        value = next((piece[name] for name in VALUES if name in piece), None)
        if isinstance(value, str) and path in self._pieces:
            value = self._pieces[path] + value
        self._pieces[path] = value

    def _enter(self, item_type: ItemType) -> Iterator[Part]:
        if self._open != item_type:
            yield from self._leave()
            self._open = item_type
            yield self._items.start(item_type)

    def _alone(self, item_type: ItemType, part: dict[str, Any], name: str) -> Iterator[Part]:
        yield from self._leave()
        self._open, self._parts = item_type, [part]
        yield self._items.start(item_type, name=name)

    def _keep(self, part: dict[str, Any]) -> None:
        last = self._parts[-1] if self._parts else {}
        if last.keys() == part.keys() and set(part) in PLAIN:
            self._parts[-1] = {**part, "text": last["text"] + part["text"]}
        else:
            self._parts.append(part)

    def _leave(self) -> Iterator[Part]:
        if self._open is None:
            return
        if self._call is not None:
            arguments = assembled(self._pieces)
            call = {**object_at(self._parts[0], "functionCall"), "args": arguments}
            whole = {each: call[each] for each in ("id", "name", "args") if each in call}
            self._parts[0] = {**self._parts[0], "functionCall": whole}
            yield Delta(index=self._items.count - 1, arguments=orjson.dumps(arguments).decode())
        yield self._items.done(self._items.count - 1, {"parts": self._parts})
        self._open, self._parts, self._call, self._pieces = None, [], None, {}


def assembled(pieces: Mapping[str, Any]) -> Any:
    """Return the arguments whose leaves stand at these paths, such as `$.a.b[0].c`."""
    root: dict[str, Any] = {}
    for path, value in pieces.items():
        steps: list[str | int] = [
            int(match[2]) if match[2] else match[1] or match[3] for match in STEP.finditer(path)
        ]
        _set(root, steps, value)
    return root


def _set(place: Any, steps: list[str | int], value: Any) -> None:
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        empty: Any = value if following is None else [] if isinstance(following, int) else {}
        if isinstance(place, list) and isinstance(step, int):
            if step > MOST:
                return
            place += [None] * (step + 1 - len(place))
        elif not (isinstance(place, dict) and isinstance(step, str)):
            return  # two pieces that contradict each other: the first stands
        kept = place[step] if isinstance(place, list) else place.get(step)  # type: ignore[index]
        if following is None or not isinstance(kept, dict | list):
            place[step] = empty
        place = place[step]


MOST = 10_000  # the last index of a list of arguments; a path cannot ask for gigabytes


def read_usage(raw: Mapping[str, Any]) -> Usage:
    """Return the usage in our words beside the provider's."""
    thoughts, tools = (
        count_at(raw, "thoughtsTokenCount"),
        count_at(raw, "toolUsePromptTokenCount"),
    )
    told = count_at(raw, "candidatesTokenCount")
    told = count_at(raw, "responseTokenCount") if told is None else told
    return Usage(
        source="provider",
        input=total(count_at(raw, "promptTokenCount"), tools),
        cached=count_at(raw, "cachedContentTokenCount"),
        output=total(told, thoughts),
        reasoning=thoughts,
        tool_use=tools,
        raw=dict(raw),
    )
