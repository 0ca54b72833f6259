"""Calls that a server turns into tasks, between Runchat as a client and Runchat as a server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from harness.mcp.fixtures.rest import fittings
from runtime.problems import UpstreamSaid
from runtime.secret import Secret
from runtime.settings import McpServer
from specs.requirements import requirement
from specs.support.mcp_people import Person, World, beside_a_server
from specs.support.mcp_served import serving


@asynccontextmanager
async def beside_tasks(data: Path) -> AsyncIterator[World]:
    """Run a service whose operator has named another Runchat, with tools that become tasks."""
    async with serving(offered=fittings) as peer:
        token = await peer.service.token(user="bob")
        server = McpServer(
            url=f"{peer.service.url}/mcp",
            headers={"Authorization": Secret(f"Bearer {token}")},
            policy="auto",
            allow_loopback=True,
        )
        async with beside_a_server(data, settled={"peer": server}) as world:
            yield world


def words(outcome: Any) -> list[str]:
    return [getattr(each, "text", "") for each in outcome.content]


@requirement("mcp.tasks")
async def test_who_calls_waits_for_the_end_of_a_task_and_need_not_know(tmp_path: Path) -> None:
    async with beside_tasks(tmp_path) as world:
        done = await world.call("mcp/peer/slow_compute", seconds=0.1)
        failed = await world.call("mcp/peer/failing_job")
        with pytest.raises(UpstreamSaid, match="an error of the protocol") as refused:
            await world.call("mcp/peer/protocol_error_job")

        assert words(done) == ["Computed for 0.1 s."]
        assert (words(failed), failed.is_error) == (["The job failed, as it always does."], True)
        assert refused.value.extensions["code"] == "mcp"


@requirement("mcp.tasks", "mcp.asks")
async def test_what_a_task_asks_is_put_to_the_person_once_each(tmp_path: Path) -> None:
    async with beside_tasks(tmp_path) as world:
        person = Person(answer={"name": "Ada"})
        outcome = await world.call("mcp/peer/multi_input", calling=person.calling())
        before = Person(answer={"name": "Ada"})
        both = await world.call("mcp/peer/test_tool_with_task", calling=before.calling())

        assert words(outcome) == ["Both were answered."]
        assert sorted(asked for asked, _ in person.asked) == ["First?", "Second?"]
        assert words(both) == ["Done for Ada."]
        assert len(before.asked) == 1
