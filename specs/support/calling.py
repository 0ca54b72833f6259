"""A service with a shelf of tools, a model that says what it is told to, and what came of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from runtime.caller import Caller
from specs.support import talk
from specs.support.scripted import Call, Scripted
from specs.support.server import Service, service
from specs.support.shelf import Shelf
from store import tool_calls
from transports.egress.providers.base import Delta, End, ItemDone, ItemStart

ANN = Caller(tenant="local", user="ann")


@dataclass
class Bench:
    """A service, Ann who asks it, the model that answers, and the tools it may call."""

    running: Service
    client: httpx.AsyncClient
    model: Scripted
    shelf: Shelf

    async def begin(self, said: str = "go", **body: Any) -> tuple[str, Call]:
        """Ask with all tools; return the job, and the model's call."""
        conversation = await talk.begin(self.client)
        job = await talk.asked(self.client, conversation, said, **({"tools": "all"} | body))
        return job, await self.model.next_call()

    async def answered(self, job: str, words: str = "done") -> dict[str, Any]:
        """Let the model end with words; return the job as it then stands."""
        call = await self.model.next_call()
        await call.text(words)
        await call.end()
        await talk.follow(self.client, job)
        return await talk.job(self.client, job)

    def evidence(self) -> list[tuple[str, str, str | None]]:
        """Return what is kept of all calls, oldest first: tool, outcome, reason."""
        rows = tool_calls.list_page(self.running.services.reader, ANN, limit=1000)
        return [(row.tool, row.outcome, row.reason) for row in reversed(rows)]

    async def until(self, job: str, kind: str) -> dict[str, Any]:
        """Wait for an event of a kind; return its data."""
        events = await talk.until(self.client, f"jobs/{job}", kind)
        data: dict[str, Any] = events[-1]["data"]
        return data

    async def answer(self, job: str, approval: str, **body: Any) -> httpx.Response:
        return await self.client.post(f"/api/jobs/{job}/approvals/{approval}", json=body)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    model, shelf = Scripted(), Shelf()
    async with service(providers=(model,)) as running:
        running.services.tree.spine.toolbox.add(shelf)
        yield Bench(running, await running.client(), model, shelf)


async def calls(call: Call, *wanted: tuple[str, str], first: int = 0) -> None:
    """Let the model call tools: name and arguments of each, as its items from `first` on."""
    for index, (name, arguments) in enumerate(wanted, first):
        call_id = f"c{index}"
        await call.say.send(ItemStart(index=index, type="tool_call", call_id=call_id, name=name))
        await call.say.send(Delta(index=index, arguments=arguments))
        await call.say.send(ItemDone(index=index))
    await call.end(End(reason="tool_calls"))


def results(view: Mapping[str, Any]) -> list[tuple[str, bool, str]]:
    """Return the results of a job: the name of each tool, whether it failed, its words."""
    return [
        (item["name"], item["is_error"], item.get("text", ""))
        for item in view["items"]
        if item["type"] == "tool_result"
    ]
