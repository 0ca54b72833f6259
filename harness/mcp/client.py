"""One scenario of the MCP conformance suite, through the product's own client stack.

Theory: what is judged is the session actor under its supervisor, the guard, and the sealed store of
tokens; here are only their parts put together over a store in memory.
Source: `@modelcontextprotocol/conformance`, its integration guide for SDKs.
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import trio
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from actors.mcp.grants import Grants
from actors.mcp.session import CallTool, Catalog, ListTools, McpSession
from harness.mcp.acts import ACTS, Scenario, accept, calls_first, say_nothing
from harness.mcp.signing_in import Door, access_for
from runtime import telemetry
from runtime.caller import Caller
from runtime.clock import SystemClock
from runtime.hub import Hub
from runtime.ids import Ids
from runtime.problems import Upstream
from runtime.supervisor import Supervisor
from store.event_log import SqliteEventLog
from store.keyring import Keyring
from store.loop_writer import LoopWriter
from store.opening import open_memory
from transports.egress import guard
from transports.egress.mcp.client import Means, connect
from transports.egress.mcp.servers import HttpServer
from transports.egress.mcp.words import Result

CALLER = Caller(tenant="conformance", user="suite")


def scenario_of(environ: Mapping[str, str]) -> Scenario:
    """Return the scenario that the suite's variables name."""
    revision = environ.get("MCP_CONFORMANCE_PROTOCOL_VERSION")
    return Scenario(
        name=environ.get("MCP_CONFORMANCE_SCENARIO", ""),
        context=json.loads(environ.get("MCP_CONFORMANCE_CONTEXT") or "{}"),
        modern=revision is None or revision in MODERN_PROTOCOL_VERSIONS,
    )


def main(url: str) -> int:
    """Run the scenario of the environment against a server; return the exit status."""
    telemetry.configure(format="console", level="warning")
    return trio.run(run, url, scenario_of(os.environ))


async def run(url: str, scenario: Scenario) -> int:
    """Run one scenario through the product's stack; return the exit status."""
    server = HttpServer(
        name="suite",
        url=url,
        revisions="auto" if scenario.modern else "legacy",
        exempt=frozenset({guard.origin(url)}),
    )
    clock, hub = SystemClock(), Hub()
    store = open_memory(Ids(clock))
    log = SqliteEventLog(store.reader)
    writer = LoopWriter(store.writer, log, hub)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        door = Door(server, stack)
        server = replace(server, access=await access_for(scenario, door))
        kept = Grants(
            caller=CALLER,
            server=server.name,
            keyring=Keyring(folder),
            reader=store.reader,
            writer=writer,
            clock=clock,
        )
        means = Means(clock=clock, kept=kept, asker=accept, ask=door.ask)
        if scenario.name == "request-metadata":
            means = replace(means, sampler=say_nothing, roots=())
        chance = random.Random(0)  # noqa: S311 -- the jitter of pauses
        nursery = await stack.enter_async_context(trio.open_nursery())
        sessions = Supervisor(
            nursery,
            lambda key: McpSession(key, partial(connect, server, means), chance),
            name="mcp",
            random=chance,
        )
        try:
            return await act(sessions, scenario)
        finally:
            await sessions.stop_all()


async def act(sessions: Supervisor, scenario: Scenario) -> int:
    """List the tools and do what the scenario wants done."""
    key = f"{CALLER.name}/suite"

    async def call(name: str, arguments: Mapping[str, Any]) -> Result:
        message = CallTool(call=name, tool=name, arguments=arguments)
        found: Result = await (await sessions.ask(key, message))
        return found

    try:
        catalog: Catalog = await (await sessions.ask(key, ListTools()))
        await ACTS.get(scenario.name, calls_first)(call, catalog, scenario)
    except Upstream as problem:
        print(f"mcp-client: {problem.detail} {dict(problem.extensions)}", file=sys.stderr)
        return 1
    return 0
