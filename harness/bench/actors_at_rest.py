"""A process full of idle actors, or of bare tasks: `python -m harness.bench.actors_at_rest KIND N`.

It says in one line of JSON what each of them costs in resident memory. `actor` is a TrioActor under
a supervisor, as the service keeps it; `task` is the floor: a trio task that waits on a channel.
"""

from __future__ import annotations

import gc
import json
import random
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import trio
import trio.testing

from harness.bench.machine import resident_bytes
from runtime.actor import TrioActor
from runtime.supervisor import Supervisor

WARM = 100  # made before the first that counts
Make = Callable[[int, int], Awaitable[None]]


class Resting(TrioActor):
    """Answers every message with nothing."""

    async def handle(self, message: Any) -> None:
        """Do nothing."""


async def wait_on(channel: trio.MemoryReceiveChannel[None]) -> None:
    async for _ in channel:
        pass


async def main(kind: str, count: int) -> None:
    """Make them, look at the memory before and after, say it, and end."""
    async with trio.open_nursery() as nursery:
        chance = random.Random()  # noqa: S311  it is for pauses after crashes
        supervisor = Supervisor(nursery, lambda _: Resting(), name="resting", random=chance)
        held: list[Any] = []

        async def make(first: int, last: int) -> None:
            for number in range(first, last):
                if kind == "actor":
                    held.append(await supervisor.find(f"job_{number:026d}"))
                else:
                    into, out = trio.open_memory_channel[None](0)
                    held.append(into)
                    nursery.start_soon(wait_on, out)
            await trio.testing.wait_all_tasks_blocked()

        await make(0, WARM)
        gc.collect()
        before = resident_bytes()
        await make(WARM, WARM + count)
        gc.collect()
        each = (resident_bytes() - before) / count
        alive = supervisor.report() if kind == "actor" else held
        print(json.dumps({"each_bytes": each, "alive": len(alive)}), flush=True)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main, sys.argv[1], int(sys.argv[2]))
