"""The words that every source of tools shares: what may be called, and what came of a call.

A source (the MCP servers of a caller, the actions imported from OpenAPI documents) lists its tools
and calls them. It does not ask for approval, bound the time or leave evidence: the tool call actor
does that, once, for all sources. A call ends early by being cancelled: the source then tells the
other side where its protocol has a word for it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

from runtime.caller import Caller
from transports.egress.providers.asked import Content

Policy: TypeAlias = Literal["auto", "ask", "deny"]
OnProgress: TypeAlias = Callable[[float, float | None, str], None]  # done, of, words
Ask: TypeAlias = Callable[[str, Mapping[str, Any]], Awaitable[Mapping[str, Any] | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A tool as one caller may use it.

    Args:
        id: the same for as long as its source is installed, `mcp/{server}/{name}` or
            `action/{set}/{name}`.
        name: what the source calls it; what a model is told is made from it, and is unique.
        schema: JSON Schema 2020-12 of the arguments, an object's.
        version: changes when the definition does; a call decided by another one is refused.
        policy: whether a human is asked before each call.
        timeout_s: how long one call may take.
    """

    id: str
    name: str
    description: str
    schema: Mapping[str, Any]
    version: str
    policy: Policy
    timeout_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a call; a failure that the tool itself tells of is one, too.

    Args:
        structured: the result as JSON, where the tool gives one.
        dialled: whom the call went to: `host:port`, or a command's first word.
    """

    content: tuple[Content, ...]
    structured: Any = None
    is_error: bool = False
    dialled: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Calling:
    """The circumstances of one call.

    Args:
        id: of the call, also as its idempotency key where the other side knows such.
        on_progress: told at most as often as the source hears of it.
        ask: puts a question with a JSON Schema of the answer to the user; None: they declined.
    """

    id: str
    on_progress: OnProgress
    ask: Ask


def sets_of(ids: Collection[str] | None) -> frozenset[str] | None:
    """Return the names of the servers or sets that tools of these ids are of; None for all."""
    return None if ids is None else frozenset(each.split("/", 2)[1] for each in ids)


class Source(Protocol):
    """One kind of tools; `kind` is the first word of its tools' ids."""

    kind: str

    async def tools(self, caller: Caller, named: Collection[str] | None = None) -> Sequence[Tool]:
        """Return what the caller may call; a source that cannot be reached has none for now.

        Args:
            named: ids of those that are wanted; others need not be looked for. None: all.
        """
        ...

    async def call(
        self, caller: Caller, tool: Tool, arguments: Mapping[str, Any], calling: Calling
    ) -> Outcome:
        """Call a tool of this source, once.

        Raises:
            Problem: it was not called, or what came of it is not known (`UpstreamLost`).
        """
        ...
