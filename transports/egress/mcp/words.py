"""What a session with an MCP server says and is asked, in words of our own.

Nothing of the SDK leaves this folder: actors know these alone.
Source: MCP 2026-07-28 and 2025-11-25, server features.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol, TypeAlias

import trio

SIGN_IN_NEEDED: Final = "sign-in-needed"  # the code of the problem that a person mends
What: TypeAlias = Literal["resources", "templates", "resource", "prompts", "prompt"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A tool as its server describes it; nothing of it is to be believed."""

    name: str
    title: str | None
    description: str | None
    input_schema: Mapping[str, Any]
    output_schema: Mapping[str, Any] | None
    annotations: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of the tools.

    Args:
        left_out: the names of those that are not as the protocol has them.
        fresh_s: for how long the server says that it holds; None: nothing.
    """

    tools: tuple[Tool, ...]
    left_out: tuple[str, ...] = ()
    following: str | None
    fresh_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a tool answered: content blocks as they came; `is_error` is the tool's own word."""

    content: tuple[Mapping[str, Any], ...]
    structured: Any
    is_error: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a call has come, by the server."""

    done: float
    total: float | None
    message: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a server asks the person: a form, or to visit a page."""

    message: str
    schema: Mapping[str, Any] | None
    url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the person answered."""

    action: Literal["accept", "decline", "cancel"]
    content: Mapping[str, Any] = field(default_factory=dict)


Asker: TypeAlias = Callable[[Question], Awaitable[Answer]]
Sampler: TypeAlias = Callable[[Mapping[str, Any]], Awaitable[str]]  # a prompt, as the wire has it
OnProgress: TypeAlias = Callable[[Progress], None]


class Session(Protocol):
    """One connection, open. Methods raise Upstream where the server or the way to it fails."""

    revision: str
    ended: trio.Event  # set when nothing more can come

    async def tools(self, cursor: str | None) -> Page:
        """Return a page of the tools, asked for anew."""
        ...

    async def call(
        self, name: str, arguments: Mapping[str, Any], on_progress: OnProgress | None
    ) -> Result:
        """Call a tool. To cancel the wait cancels the call at the server."""
        ...

    async def fetch(self, what: What, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a page of a list (`cursor`), a resource (`uri`) or a prompt (`name, arguments`).

        The answer is the server's, by the names of the wire.
        """
        ...


Connect: TypeAlias = Callable[[Callable[[], None]], AbstractAsyncContextManager[Session]]
"""Opens a session; is given what to call when the server's list of tools has changed."""
