"""The service under a soak, which says how many tasks it has: `python -m harness.soak.served DATA`.

It is the product as composed for `serve`; beside it a task answers each line on stdin with the
number of trio's living tasks, which nothing outside the process can see. How long an idle actor
stays may be shortened, so that a short soak sees them leave. `--plant` makes this program, not the
product, leak something every half second, so that a soak can be seen to fail.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import structlog
import trio

from runtime import limits, settings, telemetry
from transports import compose

PLANTS = ("memory", "task", "thread", "socket", "file")
PLANT_S = 0.5
PLANT_BYTES = 256 * 1024
STDIN = 0


async def main(asked: argparse.Namespace) -> None:
    """Serve until stdin ends."""
    for name in ("CONVERSATION_IDLE_S", "STREAM_IDLE_S", "SUBSCRIPTION_IDLE_S"):
        setattr(limits, name, asked.idle_s)
    stop = trio.Event()

    def announce(ready: compose.Ready) -> None:
        print(json.dumps({"url": ready.url}), flush=True)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer, stop)
        if asked.plant:
            nursery.start_soon(leak, asked.plant)
        known = settings.load(environ=os.environ)
        await compose.serve(known, asked.data, on_ready=announce, stop=stop)
        nursery.cancel_scope.cancel()


async def answer(stop: trio.Event) -> None:
    """Say how many tasks live, for every line that comes."""
    while True:
        await trio.lowlevel.wait_readable(STDIN)
        if not os.read(STDIN, 4096):
            stop.set()
            return
        tasks = trio.lowlevel.current_statistics().tasks_living
        print(json.dumps({"tasks": tasks}), flush=True)


async def leak(plant: str) -> None:
    """Hold on to one more thing of a kind, again and again."""
    held: list[Any] = []
    async with trio.open_nursery() as nursery:
        while True:
            await trio.sleep(PLANT_S)
            match plant:
                case "memory":
                    held.append(os.urandom(PLANT_BYTES))
                case "task":
                    nursery.start_soon(trio.sleep_forever)
                case "thread":
                    waiting = threading.Thread(target=threading.Event().wait, daemon=True)
                    waiting.start()
                    held.append(waiting)
                case "socket":
                    held.append(socket.socket())
                case "file":
                    held.append(tempfile.TemporaryFile())  # noqa: SIM115  it is to stay open


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--idle-s", type=float, required=True)
    parser.add_argument("--plant", choices=PLANTS)
    telemetry.configure(level="warning")
    structlog.get_logger(__name__).warning("soak.begins")  # the log's thread is there from now on
    trio.run(main, parser.parse_args(sys.argv[1:]))
