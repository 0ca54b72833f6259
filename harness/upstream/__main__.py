"""Runs the scriptable upstream alone: `python -m harness.upstream --port 0 --announce json`.

One line on stdout once it listens; it ends when its standard input closes, or when it is killed.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import orjson
import trio

from harness.upstream.program import Upstream
from harness.upstream.recordings import Recordings
from harness.upstream.script import read_script


async def run(port: int, scripts: Path | None, recordings: Path | None) -> None:
    """Serve until standard input closes."""
    known = orjson.loads(await trio.Path(scripts).read_bytes()) if scripts else {}
    upstream = Recordings(recordings) if recordings else Upstream()
    upstream.scripts |= {name: read_script(each) for name, each in known.items()}
    async with trio.open_nursery() as nursery:
        bound = await nursery.start(upstream.serve, port)
        url = f"http://127.0.0.1:{bound}"
        print(orjson.dumps({"ready": True, "url": url, "pid": os.getpid()}).decode(), flush=True)
        await trio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)
        nursery.cancel_scope.cancel()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m harness.upstream", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    parser.add_argument("--announce", choices=["json"], default="json")
    parser.add_argument("--scripts", type=Path, help="JSON file: scripts by model name")
    parser.add_argument("--recordings", type=Path, help="folder of recorded streams, by id")
    given = parser.parse_args()
    trio.run(run, given.port, given.scripts, given.recordings)


if __name__ == "__main__":
    main()
