"""Session actors under a supervisor, over servers of a spec."""

from __future__ import annotations

import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import trio

from actors.mcp.session import CallTool, Catalog, ListTools, McpSession
from runtime.clock import SystemClock
from runtime.supervisor import Supervisor
from specs.support import mcp_program
from transports.egress import guard
from transports.egress.mcp.client import Means, connect
from transports.egress.mcp.servers import HttpServer, Server, StdioServer
from transports.egress.mcp.words import Connect, Result

KEY = "local/ada/small"


class Sessions:
    """The door to one session actor."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.supervisor = supervisor

    async def begin(self, message: Any) -> Any:
        """Return the Reply of a message."""
        return await self.supervisor.ask(KEY, message)

    async def list(self, **how: Any) -> Catalog:
        catalog: Catalog = await (await self.begin(ListTools(**how)))
        return catalog

    async def call(self, tool: str, *, call: str = "call_1", **how: Any) -> Result:
        result: Result = await (await self.begin(CallTool(call=call, tool=tool, **how)))
        return result

    async def text(self, tool: str, **arguments: Any) -> str:
        """Return the text that a tool answers."""
        result = await self.call(tool, arguments=arguments)
        return str(result.content[0]["text"])


@asynccontextmanager
async def sessions_over(opening: Server | Connect) -> AsyncIterator[Sessions]:
    """Run the session actors of a server, for at most two minutes."""
    if isinstance(opening, HttpServer | StdioServer):
        opening = partial(connect, opening, Means(clock=SystemClock()))
    chance = random.Random(1)  # noqa: S311 -- the same every time
    with trio.fail_after(120):
        async with trio.open_nursery() as nursery:
            supervisor = Supervisor(
                nursery, lambda key: McpSession(key, opening, chance), name="mcp", random=chance
            )
            yield Sessions(supervisor)
            await supervisor.stop_all()
            nursery.cancel_scope.cancel()


def over_http(url: str) -> HttpServer:
    """Return the configuration of a server on loopback."""
    return HttpServer(name="small", url=url, exempt=frozenset({guard.origin(url)}))


def a_program(**how: Any) -> StdioServer:
    """Return the configuration of the small server as a program."""
    program = Path(mcp_program.__file__)
    return StdioServer(name="small", argv=(sys.executable, "-I", str(program)), **how)
