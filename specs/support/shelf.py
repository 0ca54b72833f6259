"""A source of tools that are functions of the spec, called as any server's tools are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import trio

from actors.tools import arguments
from actors.tools.tooling import Calling, Outcome, Policy, Tool
from runtime.caller import Caller
from transports.egress.providers.asked import Text

CHECKS = arguments.check  # imported here, or a virtual clock would leap while a thread does it
Does: TypeAlias = Callable[[Mapping[str, Any], Calling], Awaitable[Outcome]]
WORDS = {
    "type": "object",
    "properties": {"words": {"type": "string"}},
    "required": ["words"],
}


def said(text: str, **more: Any) -> Outcome:
    """Return what a tool answers in words."""
    return Outcome(content=(Text(text=text),), dialled="shelf.example:443", **more)


async def repeat(arguments: Mapping[str, Any], calling: Calling) -> Outcome:
    del calling
    await trio.lowlevel.checkpoint()
    return said(f"heard: {arguments['words']}")


async def never(arguments: Mapping[str, Any], calling: Calling) -> Outcome:
    del arguments, calling
    await trio.sleep_forever()
    raise AssertionError


@dataclass(slots=True)
class Shelf:
    """The source `kind`; `put` adds a tool to it."""

    kind: str = "shelf"
    listed: list[Tool] = field(default_factory=list)
    does: dict[str, Does] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    called: trio.Event = field(default_factory=trio.Event)  # some call has begun
    lists: int = 0  # how often they were listed

    def put(
        self,
        name: str,
        does: Does = repeat,
        *,
        of: str = "desk",
        schema: Mapping[str, Any] = WORDS,
        policy: Policy = "auto",
        version: str = "1",
        timeout_s: float = 5.0,
    ) -> Tool:
        """Add a tool of the set `of`; return it."""
        tool = Tool(
            id=f"{self.kind}/{of}/{name}",
            name=name,
            description=f"Does {name}.",
            schema=schema,
            version=version,
            policy=policy,
            timeout_s=timeout_s,
        )
        self.listed.append(tool)
        self.does[tool.id] = does
        return tool

    async def tools(self, caller: Caller, named: Collection[str] | None = None) -> Sequence[Tool]:
        del caller, named
        self.lists += 1
        await trio.lowlevel.checkpoint()
        return tuple(self.listed)

    async def call(
        self, caller: Caller, tool: Tool, arguments: Mapping[str, Any], calling: Calling
    ) -> Outcome:
        del caller
        self.calls.append((tool.id, dict(arguments)))
        self.called.set()
        try:
            return await self.does[tool.id](arguments, calling)
        except trio.Cancelled:
            self.cancelled.append(tool.id)
            raise
