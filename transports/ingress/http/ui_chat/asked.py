"""The body that the AI SDK's chat transport sends, and its messages as items. Pure.

A message is parts; one of the assistant may be several steps, each of thoughts, words and calls and
then what the tools answered. What a part carries for us (`runchat.state` among its provider's
metadata) is its provider's own form and goes back to it. Parts that are for people alone (`data-*`,
sources) are not told to a model; a call that broke off while it was written never was one.
Source: npm `ai` 6, `UIMessage` and `HttpChatTransport`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import orjson
from pydantic import Field

from actors import items_in
from actors.items_in import Item
from actors.turns import Asked
from runtime import limits
from runtime.problems import Invalid
from transports.ingress.http.dto import STRICT
from transports.ingress.http.responses import asked
from transports.ingress.http.responses.asked import CreateResponse

Object = Mapping[str, Any]
OURS: Final = "runchat"
DENIED: Final = "The call was not allowed."
FOR_PEOPLE: Final = ("source-url", "source-document", "data-")
ROLES: Final = ("user", "assistant", "system")


@dataclass(frozen=True, slots=True, kw_only=True)
class UiChat:
    """A chat to be answered; what follows `trigger` is of the transport's own `body`."""

    __pydantic_config__ = STRICT
    id: Annotated[str, Field(min_length=1, max_length=limits.HEADER_VALUE_MAX)]
    messages: Annotated[tuple[Object, ...], Field(min_length=1)]
    trigger: Literal["submit-message", "regenerate-message"] = "submit-message"
    messageId: str | None = None  # noqa: N815 - the transport's name
    model: str | None = None
    instructions: str | None = None
    tools: tuple[Object, ...] | None = None
    tool_choice: str | Object | None = None
    options: Object | None = None


def asked_of(body: UiChat) -> Asked:
    """Return how the answer is to be made.

    Raises:
        Invalid: a tool or a choice that is not offered.
    """
    wish = CreateResponse(
        instructions=body.instructions,
        tools=body.tools,
        tool_choice=body.tool_choice,
        truncation="auto",
    )
    return asked.asked_of(wish)


def continued(body: UiChat) -> str | None:
    """Return the id of the assistant's message that the answer goes on with; None: a new one."""
    last = body.messages[-1]
    named = last.get("id") if last.get("role") == "assistant" else None
    return named if isinstance(named, str) and named else None


def read_messages(messages: Sequence[Object], new_id: Callable[[str], str]) -> list[Item]:
    """Return what was said as items, each with an id.

    Raises:
        Invalid: with the place of what is wrong.
    """
    return items_in.read_messages(messages, _items, new_id)


def _items(message: Object, where: str) -> Iterator[tuple[Item, str]]:
    """Yield the items of a message, each with its provider's state, "" for none."""
    role, parts = message.get("role"), message.get("parts")
    if role not in ROLES:
        raise Invalid.at(f"{where}/role", f"A role is one of {', '.join(ROLES)}.")
    if not isinstance(parts, list) or any(not isinstance(each, dict) for each in parts):
        raise Invalid.at(f"{where}/parts", "This is a list of parts.")
    yield from _steps(parts, where) if role == "assistant" else _said(str(role), parts, where)


def _said(role: str, parts: Sequence[Object], where: str) -> Iterator[tuple[Item, str]]:
    content = [
        _content(part, f"{where}/parts/{place}")
        for place, part in enumerate(parts)
        if not str(part.get("type")).startswith(FOR_PEOPLE)
    ]
    yield {"type": "message", "role": role, "content": content}, ""


def _steps(parts: Sequence[Object], where: str) -> Iterator[tuple[Item, str]]:
    """Yield the items of a message of the assistant; of each step, what tools answered last."""
    results: list[Item] = []
    for place, part in enumerate(parts):
        at, kind = f"{where}/parts/{place}", str(part.get("type"))
        if kind == "step-start":
            yield from ((result, "") for result in results)
            results = []
        elif kind == "reasoning":
            text = _string(part, "text", at)
            summary = [{"type": "summary_text", "text": text}] if text else []
            yield {"type": "reasoning", "summary": summary}, _state(part, "providerMetadata")
        elif kind == "dynamic-tool" or kind.startswith("tool-"):
            if (call := _call(part, kind, at)) is not None:
                yield call, _state(part, "callProviderMetadata")
                results += _result(part, at)
        elif not kind.startswith(FOR_PEOPLE):
            message = {"type": "message", "role": "assistant", "content": [_content(part, at)]}
            yield message, _state(part, "providerMetadata")
    yield from ((result, "") for result in results)


def _content(part: Object, where: str) -> Item:
    match part:
        case {"type": "text", "text": str(text)}:
            return {"type": "text", "text": text}
        case {"type": "file", "url": str(url), "mediaType": str(kind)} if kind.startswith("image/"):
            return {"type": "input_image", "image_url": url}
        case {"type": "file", "url": str(url)}:
            name = "file_data" if url.startswith("data:") else "file_url"
            return {"type": "input_file", "filename": part.get("filename"), name: url}
        case _:
            other = part.get("type")
            raise Invalid.at(f"{where}/type", f"Parts of type {other!r} are not taken here.")


def _call(part: Object, kind: str, where: str) -> Item | None:
    name = part.get("toolName") if kind == "dynamic-tool" else kind.removeprefix("tool-")
    if part.get("state") == "input-streaming":
        return None
    written = part.get("input", part.get("rawInput"))
    arguments = written if isinstance(written, str) else orjson.dumps(written or {}).decode()
    call_id = _string(part, "toolCallId", where)
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}


def _result(part: Object, where: str) -> Iterator[Item]:
    match part.get("state"):
        case "output-available":
            said = part.get("output")
            output = said if isinstance(said, str) else orjson.dumps(said).decode()
        case "output-error":
            output = _string(part, "errorText", where)
        case "output-denied":
            output = DENIED
        case _:
            return
    yield {"type": "function_call_output", "call_id": part["toolCallId"], "output": output}


def _state(part: Object, name: str) -> str:
    match part.get(name):
        case {"runchat": {"state": str(state)}}:
            return state
        case _:
            return ""


def _string(part: Object, name: str, where: str) -> str:
    value = part.get(name)
    if not isinstance(value, str):
        raise Invalid.at(f"{where}/{name}", "This is needed, a string.")
    return value
