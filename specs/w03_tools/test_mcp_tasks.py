"""Calls that a server turns into tasks, between Runchat as a client and Runchat as a server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from harness.mcp.fixtures.rest import fittings
from runtime.problems import UpstreamSaid
from runtime.secret import Secret
from runtime.settings import McpServer
from specs.requirements import requirement
from specs.support.mcp_people import Person, World, beside_a_server
from specs.support.mcp_served import serving


@asynccontextmanager
async def beside_tasks(data: Path, offered: Callable[[], Any] = fittings) -> AsyncIterator[World]:
    """Run a service whose operator has named another Runchat, with tools that become tasks."""
    async with serving(offered=offered) as peer:
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


class Watched:
    """Passes on to the keeper of tasks, and tells what it is asked."""

    def __init__(self, keeper: Any) -> None:
        self.keeper = keeper
        self.asked, self.cancelled = trio.Event(), trio.Event()

    async def task(self, asker: Any, task_id: str) -> Any:
        self.asked.set()
        return await self.keeper.task(asker, task_id)

    async def answer(self, asker: Any, task_id: str, answers: Any) -> None:
        await self.keeper.answer(asker, task_id, answers)

    async def cancel(self, asker: Any, task_id: str) -> None:
        await self.keeper.cancel(asker, task_id)
        self.cancelled.set()


@requirement("mcp.tasks", "mcp.hostile.silent")
async def test_a_task_that_nobody_waits_for_any_more_is_cancelled_at_the_server(
    tmp_path: Path,
) -> None:
    made: list[Watched] = []

    def offered() -> Any:
        own = fittings()
        made.append(Watched(own.keepers[0]))
        return replace(own, keepers=(made[0],))

    async with beside_tasks(tmp_path, offered) as world:
        await world.names()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(world.call, "mcp/peer/slow_compute", seconds=60))
            await made[0].asked.wait()
            nursery.cancel_scope.cancel()
        await made[0].cancelled.wait()
        [task] = made[0].keeper._kept.values()

        assert task.scope.cancel_called is True
