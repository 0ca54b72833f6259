"""A service whose jobs are exported, and run again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import orjson
import pytest
import trio

from harness import replay
from harness.replaying.recording import Recording, read
from specs.support import talk
from specs.support.scripted import Scripted
from specs.support.server import Service, service


@dataclass
class House:
    """A service, somebody who asks it, and the provider that answers."""

    running: Service
    client: httpx.AsyncClient
    vendor: Scripted
    folder: Path

    async def recording(self, job: str) -> Recording:
        """Read the job to its end, export it, and read the export."""
        await talk.follow(self.client, job)
        return await self.exported(job)

    async def exported(self, job: str) -> Recording:
        answer = await self.client.get(f"/api/jobs/{job}/export")
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/jsonl")
        file = self.folder / f"{job}.jsonl"
        await trio.Path(file).write_bytes(answer.content)
        return read(file)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    vendor = Scripted()
    async with service(providers=(vendor,)) as running:
        yield House(running, await running.client(), vendor, tmp_path)


async def differs(recording: Recording) -> replay.Difference | None:
    """Run the job again in a loop of its own, and compare."""
    replayed, refused = await trio.to_thread.run_sync(replay.play, recording)
    return replay.compare(recording.log, replayed, refused)


def kinds(recording: Recording) -> list[str]:
    return [orjson.loads(event)["kind"] for event in recording.log]


def end_of(recording: Recording) -> tuple[str, str]:
    end = orjson.loads(recording.log[-1])["data"]
    return end["status"], end["reason"]
