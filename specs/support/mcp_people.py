"""A service beside a small MCP server over HTTP, and people who use it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import trio

from actors.spine import Settled, Spine
from actors.tools.tooling import Calling, Outcome
from runtime.caller import Caller
from runtime.settings import McpServer
from specs.support import mcp_http, mcp_program
from specs.support.server import Service, service
from transports.egress import guard

ANN = Caller(tenant="local", user="ann")
BOB = Caller(tenant="local", user="bob")
SERVERS = "/api/mcp/servers"
LIMIT_S = 60


@dataclass(slots=True, kw_only=True)
class World:
    """The service, the server, and ann, who has added nothing yet."""

    running: Service
    asked: mcp_http.Asked
    ann: httpx.AsyncClient

    @property
    def spine(self) -> Spine:
        return self.running.services.tree.spine

    async def add(self, name: str = "small", **more: Any) -> httpx.Response:
        return await self.ann.post(SERVERS, json={"name": name, "url": self.asked.url, **more})

    async def names(self, caller: Caller = ANN) -> list[str]:
        """Return the ids of what a person may call."""
        return list((await self.spine.toolbox.catalog(caller)).offers)

    async def policies(self, caller: Caller = ANN) -> dict[str, str]:
        offers = (await self.spine.toolbox.catalog(caller)).offers.values()
        return {each.tool.name: each.tool.policy for each in offers}

    async def call(
        self, id: str, *, calling: Calling | None = None, caller: Caller = ANN, **arguments: Any
    ) -> Outcome:
        offer = (await self.spine.toolbox.catalog(caller)).find(id)
        return await offer.source.call(caller, offer.tool, arguments, calling or Person().calling())


@dataclass(slots=True, kw_only=True)
class Person:
    """Who is asked, and hears how far a call is."""

    answer: Mapping[str, Any] | None = None
    asked: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    heard: list[tuple[float, float | None, str]] = field(default_factory=list)

    def calling(self, id: str = "call_1") -> Calling:
        def hear(done: float, of: float | None, words: str) -> None:
            self.heard.append((done, of, words))

        return Calling(id=id, on_progress=hear, ask=self._ask)

    async def _ask(self, words: str, schema: Mapping[str, Any]) -> Mapping[str, Any] | None:
        await trio.lowlevel.checkpoint()
        self.asked.append((words, schema))
        return self.answer


@asynccontextmanager
async def beside_a_server(
    data: Path,
    answers: mcp_http.Answers = mcp_program.answer,
    settled: Mapping[str, McpServer] | None = None,
    *,
    near: bool = True,
) -> AsyncIterator[World]:
    """Run both; a person's servers may be where the small one is, if it is `near`."""
    async with mcp_http.serving(answers) as asked:
        places = frozenset({guard.origin(asked.url)} if near else ())
        mcp = Settled(servers=settled or {}, places=places)
        async with service(data=data, mcp=mcp) as running:
            with trio.fail_after(LIMIT_S):
                world = World(running=running, asked=asked, ann=await running.client())
                yield world
                await world.spine.mcp_sessions.stop_all()
