"""What is asked of a model, in words of no vendor: the input's items, tools, and the form wanted.

An item of the input is what the caller said or what a model answered before. An answer's items
carry their provider's own form (`Native`), which goes back to that provider and model as it came,
and to nobody else. Source: the Open Responses specification, for what an input can hold.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import orjson

Role: TypeAlias = Literal["system", "user", "assistant"]
DATA_URL = re.compile(r"data:([^;,]*)(?:;[^,]*)?,(.*)", re.DOTALL)  # RFC 2397


@dataclass(frozen=True, slots=True, kw_only=True)
class Native:
    """An item in its provider's own form, signatures and sealed parts included.

    Args:
        wire: `openai-chat openai-responses anthropic-messages google-generate`.
        model: the provider's own name of the model that made it.
        value: JSON as it came.
    """

    wire: str
    model: str
    value: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """Words."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A picture; `url` is https, or data with its bytes in base64."""

    url: str
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A document: data in base64 as a data URL, or the address of one."""

    url: str
    name: str | None = None


Content: TypeAlias = Text | Image | File


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptMessage:
    """A message of the prompt; `native` is set where a model said it."""

    role: Role
    content: tuple[Content, ...]
    native: Native | None = None

    @property
    def text(self) -> str:
        """All that it says in words."""
        return "".join(each.text for each in self.content if isinstance(each, Text))


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptReasoning:
    """What a model thought before; only its own provider can read `native`."""

    text: str
    native: Native | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptCall:
    """A model's call of one of the caller's tools; `arguments` as the model wrote them."""

    call_id: str
    name: str
    arguments: str
    native: Native | None = None

    @property
    def named_arguments(self) -> dict[str, Any]:
        """The arguments as an object; what is none stands under `INVALID_JSON`."""
        try:
            value = orjson.loads(self.arguments or "{}")
        except orjson.JSONDecodeError:
            value = None
        return value if isinstance(value, dict) else {"INVALID_JSON": self.arguments}


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptResult:
    """What the tool answered."""

    call_id: str
    content: tuple[Content, ...]
    is_error: bool = False

    @property
    def text(self) -> str:
        """All that it says in words."""
        return "".join(each.text for each in self.content if isinstance(each, Text))


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptOpaque:
    """An item that only its own provider understands: a server tool's work, a compaction."""

    native: Native


Input: TypeAlias = PromptMessage | PromptReasoning | PromptCall | PromptResult | PromptOpaque


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A function that the caller runs itself; `parameters` is a JSON Schema object."""

    name: str
    description: str = ""
    parameters: Mapping[str, Any] | None = None
    strict: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """The JSON wanted as the answer: any object, or one of a schema."""

    name: str = ""
    schema: Mapping[str, Any] | None = None
    strict: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the answer may use and look like; the defaults ask for nothing but words.

    Args:
        tool_choice: `auto`, `none`, `required`, or the name of the one tool that must be called
            as `{"name": ...}`; None leaves it to the provider.
        parallel_tool_calls: None leaves it to the provider.
        form: None: plain text.
        whole: nobody reads it as it comes; where its wire can, it comes in one piece.
    """

    tools: tuple[Tool, ...] = ()
    tool_choice: Literal["auto", "none", "required"] | Mapping[str, str] | None = None
    parallel_tool_calls: bool | None = None
    form: Form | None = None
    whole: bool = False


NOTHING_MORE = Wanted()


def data_in(url: str) -> tuple[str, str] | None:
    """Return the media type and the base64 of a data URL; None for another."""
    found = DATA_URL.fullmatch(url)
    return (found[1] or "image/png", found[2]) if found else None


def said(role: Role, text: str) -> PromptMessage:
    """Return a message that is words only."""
    return PromptMessage(role=role, content=(Text(text=text),))
