"""What the contract says of answers in the words of Chat Completions; the code sends dicts.

Source: OpenAI's API reference, "Chat" and "Models".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionView:
    """A chat completion."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: tuple[Object, ...]
    usage: Object | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownModel:
    """A model that can be asked.

    Args:
        created: when its vendor made it, which is not known: 0.
        owned_by: the endpoint that answers for it.
    """

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownModels:
    """All of them."""

    object: Literal["list"] = "list"
    data: tuple[KnownModel, ...]
