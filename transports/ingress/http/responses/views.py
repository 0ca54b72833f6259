"""What the contract says of answers in the words of the Responses API; the code sends dicts.

Source: Open Responses 2026-04-24; OpenAI's API reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseView:
    """A response."""

    id: str
    object: Literal["response"]
    created_at: int
    status: Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]
    completed_at: int | None
    error: Object | None
    incomplete_details: Object | None
    model: str
    instructions: str | None
    previous_response_id: str | None
    conversation: Object | None
    tools: tuple[Object, ...]
    tool_choice: str | Object
    parallel_tool_calls: bool
    truncation: Literal["auto", "disabled"]
    text: Object
    reasoning: Object
    temperature: float
    top_p: float
    presence_penalty: float
    frequency_penalty: float
    top_logprobs: int
    max_output_tokens: int | None
    max_tool_calls: int | None
    store: bool
    background: bool
    service_tier: str
    metadata: Mapping[str, str]
    safety_identifier: str | None
    prompt_cache_key: str | None
    user: str | None
    output: tuple[Object, ...]
    usage: Object | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedView:
    """What is left of what was deleted."""

    id: str
    object: str
    deleted: Literal[True]


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemsView:
    """A page of items."""

    object: Literal["list"]
    data: tuple[Object, ...]
    first_id: str | None
    last_id: str | None
    has_more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactionView:
    """A conversation made short, to go on from."""

    id: str
    object: Literal["response.compaction"]
    created_at: int
    output: tuple[Object, ...]
    usage: Object


@dataclass(frozen=True, slots=True, kw_only=True)
class TokensView:
    """How many tokens an input has."""

    object: Literal["response.input_tokens"]
    input_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadView:
    """A conversation."""

    id: str
    object: Literal["conversation"]
    created_at: int
    metadata: Mapping[str, str]
