"""An upstream that refuses what a vendor would refuse: wrong fields, wrong order, altered state.

The fields are held against the request types that the vendors publish with their SDKs, and no other
field is taken. Signatures and sealed parts are known from what was played before: one that this
model never said, or not so, is refused, and so is one that has lost the place it was said in.
Source: openai's, anthropic's and google-genai's request types; Anthropic's guide to extended
thinking, Google's to thought signatures, OpenAI's to reasoning items.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any

import orjson
from anthropic.types.message_create_params import MessageCreateParamsStreaming as Messages
from google.genai import types as google
from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming as Chat
from openai.types.responses.response_create_params import ResponseCreateParamsStreaming as Responses
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from harness.upstream.program import Record, Upstream

Json = Mapping[str, Any]
SEALED = ("signature", "encrypted_content", "thoughtSignature")
BESIDE = ("reasoning_details", "extra_content")  # of a chat message: other vendors' words
# What the types have dropped; Anthropic takes it by its version of 2023, and of older models.
SAMPLING = ("temperature", "top_p")
SAMPLED_BY = "2023-06-01"
DATA = re.compile(r"^data: ?(.*)$", re.MULTILINE)
STRICT = ConfigDict(extra="forbid")


class Gemini(BaseModel):
    """The body of `streamGenerateContent`."""

    model_config = STRICT
    contents: list[google.Content]
    systemInstruction: google.Content | None = None  # noqa: N815  the wire's spelling
    generationConfig: google.GenerationConfig | None = None  # noqa: N815
    tools: list[google.Tool] | None = None
    toolConfig: google.ToolConfig | None = None  # noqa: N815


class StrictUpstream(Upstream):
    """Scripts whose requests are read as the vendor would read them."""

    def refusal(self, record: Record) -> str | None:
        """Return why a request is refused; None where it is accepted."""
        rules = next(rules for end, rules in RULES.items() if end in record.path)
        version = record.headers.get("anthropic-version", SAMPLED_BY)
        if version != SAMPLED_BY and any(name in record.body for name in SAMPLING):
            return f"how to sample is the model's to say by version {version}"
        earlier = [each.model for each in self.records[: record.number]]
        known = {word for model in earlier if model == record.model for word in self._said(model)}
        altered = [word for word in sealed(record.body) if word not in known]
        if altered:
            return f"{altered[0]!r} was not said by {record.model}"
        return next((why for rule in rules for why in rule(record.body)), None)

    def _said(self, model: str) -> Iterator[str]:
        script = self.find(model)
        for payload in DATA.findall((script.raw if script else None) or ""):
            if payload.startswith("{"):
                yield from sealed(orjson.loads(payload))


def sealed(value: Any) -> Iterator[str]:
    """Yield what only its maker can read, wherever it is in a document."""
    if isinstance(value, list):
        for each in value:
            yield from sealed(each)
    elif isinstance(value, dict):
        hidden = ("data",) if str(value.get("type")).startswith(("redacted", "reasoning.")) else ()
        for name, each in value.items():
            if name in (*SEALED, *hidden) and isinstance(each, str):
                yield from [each] if each else []
            else:
                yield from sealed(each)


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(list[kind], config=STRICT)  # in a list, the type's parts are strict as well


def _typed(kind: Any, body: Json) -> Iterator[str]:
    try:
        _exhaust(_adapter(kind).validate_python([body]))
    except ValidationError as error:
        yield str(error)


def _exhaust(value: Any) -> None:
    """Look at all of a value: what the types call an iterable is checked while it is read."""
    if isinstance(value, dict):
        for each in value.values():
            _exhaust(each)
    elif isinstance(value, Iterable) and not isinstance(value, str):
        for each in value:
            _exhaust(each)


def _chat(body: Json) -> Iterator[str]:
    messages = []
    for message in body["messages"]:
        own = {name: value for name, value in message.items() if name not in BESIDE}
        calls = [
            {name: value for name, value in call.items() if name not in BESIDE}
            for call in message.get("tool_calls", ())
        ]
        messages.append(own | ({"tool_calls": calls} if calls else {}))
    yield from _typed(Chat, {**body, "messages": messages})


def _chat_order(body: Json) -> Iterator[str]:
    asked: set[str] = set()
    for message in body["messages"]:
        if message["role"] == "tool":
            if message["tool_call_id"] not in asked:
                yield "a tool message answers no call before it"
            asked.discard(message["tool_call_id"])
        elif asked:
            yield "a call was not answered"
        asked |= {call["id"] for call in message.get("tool_calls", ())}
    if asked:
        yield "a call was not answered"


def _responses_order(body: Json) -> Iterator[str]:
    items, calls = body["input"], set[str]()
    for item, following in zip(items, [*items[1:], {}], strict=True):
        kind = item.get("type")
        led = following.get("type") == "reasoning" or following.get("role") == "assistant"
        if kind == "reasoning" and not (led or str(following.get("type")).endswith("_call")):
            yield "a reasoning item is without the item that follows it"
        if kind == "function_call":
            calls.add(item["call_id"])
        if kind == "function_call_output" and item["call_id"] not in calls:
            yield "an output answers no call before it"


def _claude(body: Json) -> Iterator[str]:
    own = {name: value for name, value in body.items() if name not in SAMPLING}
    yield from _typed(Messages, own)


def _claude_order(body: Json) -> Iterator[str]:
    asked: set[str] = set()
    for message in body["messages"]:
        kinds = [block["type"] for block in message["content"]]
        thoughts = [n for n, kind in enumerate(kinds) if kind.endswith("thinking")]
        if "tool_use" in kinds and thoughts and min(thoughts) > kinds.index("tool_use"):
            yield "thinking stands behind the call that it led to"
        answered = {each.get("tool_use_id") for each in message["content"]} - {None}
        results = [n for n, kind in enumerate(kinds) if kind == "tool_result"]
        if message["role"] == "user" and (asked - answered or results != list(range(len(results)))):
            yield "the results of all calls stand first in the message after them"
        asked = {each["id"] for each in message["content"] if each["type"] == "tool_use"}
    if asked:
        yield "a call was not answered"


def _gemini_order(body: Json) -> Iterator[str]:
    open_calls: list[str] = []
    for content in body["contents"]:
        parts = content["parts"]
        answers = [each["functionResponse"]["name"] for each in parts if "functionResponse" in each]
        if sorted(answers) != sorted(open_calls):
            yield "as many answers as calls, in the content after them"
        open_calls = [each["functionCall"]["name"] for each in parts if "functionCall" in each]
    if open_calls:
        yield "a call was not answered"


RULES: Mapping[str, tuple[Callable[[Json], Iterator[str]], ...]] = {
    "/chat/completions": (_chat, _chat_order),
    "/responses": (lambda body: _typed(Responses, body), _responses_order),
    "/messages": (_claude, _claude_order),
    ":streamGenerateContent": (lambda body: _typed(Gemini, body), _gemini_order),
}
