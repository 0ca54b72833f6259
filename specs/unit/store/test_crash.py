"""kill -9 of a writing process: whatever it had acknowledged is there, and each stream is whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from specs.requirements import requirement
from specs.unit.store.kit import opened
from store.backup import verify
from store.event_log import SqliteEventLog
from store.recovery import damaged_tails

WRITER = """
import sys
from pathlib import Path
import trio
from specs.unit.store.kit import append, appends, make, opened, running

async def main():
    async with running(opened(Path(sys.argv[1]))) as bench, trio.open_nursery() as nursery:
        names = [f"jobs/{sys.argv[2]}.{place}" for place in range(20)]
        await bench.writer.write(make(*names))
        async def write(name):
            after = 0
            while True:
                await bench.writer.write(appends(append(name, after, 3)))
                after += 3
                print(name, after, flush=True)
        for name in names:
            nursery.start_soon(write, name)

trio.run(main)
"""
ROOT = Path(__file__).parents[3]
KILLS = 10


@requirement("kill.loses-nothing-seen")
@pytest.mark.parametrize("lines", [1, 40, 400])
def test_what_was_acknowledged_before_a_kill_is_there(tmp_path: Path, lines: int) -> None:
    acknowledged: dict[str, int] = {}
    for life in range(KILLS if lines == 40 else 1):
        acknowledged |= write_until_killed(tmp_path, life, lines)

    with opened(tmp_path) as store:
        log = SqliteEventLog(store.reader)
        heads = {name: log.head(name) for name in acknowledged}
        lost = [
            name
            for name, head in heads.items()
            if head is None or head.sequence < acknowledged[name] or head.sequence % 3
        ]
        assert lost == []
        assert damaged_tails(store.reader) == ()
        assert verify(store.reader) == []


def write_until_killed(folder: Path, life: int, lines: int) -> dict[str, int]:
    """Run the writer until it has acknowledged `lines` appends, kill it; return what it said."""
    acknowledged: dict[str, int] = {}
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), str(life)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as writer:
        assert writer.stdout is not None
        for _, line in zip(range(lines), writer.stdout, strict=False):
            name, after = line.split()
            acknowledged[name] = int(after)
        writer.kill()
        for line in writer.stdout:
            if line.endswith("\n"):
                name, after = line.split()
                acknowledged[name] = int(after)
        writer.wait(timeout=20)
    return acknowledged
