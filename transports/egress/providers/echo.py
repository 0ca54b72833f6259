"""A model that says back what it was told, a word at a time. It needs no network and no key.

The deltas are a word and the whitespace after it (whitespace in front comes first, alone), so that
joined they are the input exactly, whatever it holds. Of a picture or a document it knows nothing,
and says back the words beside it.

Where it may call a tool, it calls the one it must, or else the first that it can: whose required
arguments are all plain strings. Each of them is the question, word for word. Once it is told what
the tool answered, it says that back. It samples nothing, so that how to sample means nothing to it.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import orjson
import trio
from pydantic import Field

from runtime import limits
from transports.egress.providers.asked import PromptMessage, PromptResult, Tool
from transports.egress.providers.base import (
    Delta,
    End,
    ItemDone,
    ItemStart,
    Model,
    Options,
    Part,
    Request,
)

WORD = re.compile(r"\s+|\S+\s*")  # every character is in exactly one match


@dataclass(frozen=True, slots=True, kw_only=True)
class EchoOptions(Options):
    """What it may be asked for, all of it without effect on what has only one answer."""

    top_p: Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)] | None = None


class Echo:
    """The provider `echo` with its one model `echo`."""

    endpoint = "echo"
    models: tuple[Model, ...] = (
        Model(id="echo", endpoint="echo", abilities=("text", "tools"), options=EchoOptions),
    )
    concurrency = limits.UNMETERED_JOBS_MAX
    merges = True
    patience_s = limits.PROVIDER_IDLE_S

    async def answer(self, request: Request) -> AsyncGenerator[Part, None]:
        """Yield the last message of the user, word by word, or a call of a tool with it."""
        if (tool := tool_to_call(request)) is not None:
            for part in _call(tool, request):
                yield part
            return
        yield ItemStart(index=0, type="message")
        for count, word in enumerate(words(last_said(request))):
            if count % limits.MADE_PARTS_BURST == 0:
                await trio.lowlevel.checkpoint()
            yield Delta(index=0, text=word)
        yield ItemDone(index=0)
        yield End()

    async def aclose(self) -> None:
        """There is nothing to let go of."""


def words(text: str) -> Iterator[str]:
    """Return the text in pieces, a word and the whitespace after it; joined they are the text."""
    return (match.group() for match in WORD.finditer(text))


def last_said(request: Request) -> str:
    """Return what is to be said back: what a tool has answered last, or what the user has said."""
    newest = request.input[-1] if request.input else None
    return newest.text if isinstance(newest, PromptResult) else last_question(request)


def tool_to_call(request: Request) -> Tool | None:
    """Return the tool to call: the one it must, or the first it can; None where there is none."""
    wanted = request.wanted
    asked = isinstance(request.input[-1] if request.input else None, PromptMessage)
    if not asked or wanted.tool_choice == "none":
        return None
    named = wanted.tool_choice["name"] if isinstance(wanted.tool_choice, Mapping) else None
    fits = (each for each in wanted.tools if named in (None, each.name))
    return next((each for each in fits if strings_of(each) is not None), None)


def strings_of(tool: Tool) -> list[str] | None:
    """Return the names of its required arguments; None where one of them is no plain string."""
    schema = tool.parameters or {}
    properties, required = schema.get("properties") or {}, schema.get("required") or []
    plain = [name for name in required if _is_plain(properties.get(name))]
    return plain if len(plain) == len(required) else None


def _is_plain(schema: Any) -> bool:
    return isinstance(schema, Mapping) and schema.get("type") == "string" and "enum" not in schema


def _call(tool: Tool, request: Request) -> Iterator[Part]:
    question = last_question(request)
    arguments = orjson.dumps(dict.fromkeys(strings_of(tool) or (), question)).decode()
    call_id = f"call_{request.job_id.partition('_')[2]}"
    yield ItemStart(index=0, type="tool_call", call_id=call_id, name=tool.name)
    yield Delta(index=0, arguments=arguments)
    yield ItemDone(index=0)
    yield End(reason="tool_calls")


def last_question(request: Request) -> str:
    """Return what the user said last; nothing where the user has not spoken."""
    said = (each.text for each in reversed(request.messages) if each.role == "user")
    return next(said, "")
