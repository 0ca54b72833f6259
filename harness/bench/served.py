"""The whole service and the model `bench/steps`: `python -m harness.bench.served DATA [CONFIG]`.

Its deltas say when they were made: nanoseconds of the machine's monotonic clock, which all its
processes share. A reader that subtracts that from the arrival has the whole way of an event, the
mailbox, the commit, the wake-up, the write and the read, with nothing estimated. A plan is steps of
(how many, milliseconds apart); after the last step the answer stalls, so that its log stays open.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import trio
from pydantic import Field

from runtime import limits, settings, telemetry
from transports import compose
from transports.egress.providers.base import Delta, ItemStart, Model, Part, Request, Whole

NS_IN_S = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class StepsOptions:
    """What is to be made.

    Args:
        plan: (deltas, milliseconds from one to the next), one step after the other.
        begins_ns: when, by the monotonic clock; so that readers are there, and jobs begin together.
        size: characters that are put behind each stamp.
    """

    plan: tuple[tuple[Whole, Whole], ...] = ()
    begins_ns: Whole = 0
    size: Annotated[Whole, Field(ge=0, le=limits.SYNTHETIC_CHARS_MAX)] = 0


class Steps:
    """The provider `bench`."""

    endpoint = "bench"
    models: tuple[Model, ...] = (Model(id="bench/steps", endpoint="bench", options=StepsOptions),)
    concurrency = limits.UNMETERED_JOBS_MAX
    merges = False
    patience_s = limits.PROVIDER_IDLE_S

    async def answer(self, request: Request) -> AsyncGenerator[Part, None]:
        """Yield stamps by the plan, and then nothing."""
        options: StepsOptions = request.options
        behind = "x" * options.size
        yield ItemStart(index=0, type="message")
        await trio.sleep(max(0, options.begins_ns - time.monotonic_ns()) / NS_IN_S)
        for count, interval_ms in options.plan:
            begun = trio.current_time()
            for index in range(count):
                if interval_ms:
                    await trio.sleep_until(begun + (index + 1) * interval_ms / 1000)
                elif index % limits.MADE_PARTS_BURST == 0:
                    await trio.lowlevel.checkpoint()
                yield Delta(index=0, text=f"{time.monotonic_ns()}{behind}")
        await trio.sleep_forever()

    async def aclose(self) -> None:
        """There is nothing to let go of."""


async def main(data: Path, config: Path | None) -> None:
    """Serve until SIGTERM."""
    known = settings.load(config, environ=os.environ)
    stop = trio.Event()

    async def end() -> None:
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async for _ in signals:
                stop.set()

    def announce(ready: compose.Ready) -> None:
        gc.freeze()  # as `runchat serve` does
        gc.enable()
        print(json.dumps({"url": ready.url}), flush=True)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(end)
        await compose.serve(known, data, on_ready=announce, stop=stop, providers=(Steps(),))
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    gc.disable()
    telemetry.configure(level="warning")
    trio.run(main, Path(sys.argv[1]), next(map(Path, sys.argv[2:]), None))
