"""How many events a second the store makes durable for producers in its own process.

A hundred producers, each with a stream of its own, hand an event to the one writer and wait until
it is committed and announced; what waits together is committed together. The same is taken on a
folder in memory, whose sync costs nothing, on the bench's own disk, and with four milliseconds put
before every commit, which is a disk of the slow kind. The rows go through the product's own store;
only the connection under it is another one where the disk is made slow.
"""

from __future__ import annotations

import sqlite3
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import trio

from harness.bench.figures import Line, Wrong
from harness.bench.measure import Measure, Size
from runtime import limits
from runtime.hub import Hub
from runtime.log import Record
from store.database import Connect, Connection, Database, connect
from store.event_log import SqliteEventLog, create_stream
from store.opening import open_store
from store.thread_writer import ThreadWriter
from store.writer import Append, Write

MEMORY_DISK = Path("/dev/shm")  # noqa: S108  a folder in memory, where there is one
SLOW_S = 0.004
BURST = 8  # events of one append: what waits for a job while its last append is committed


class SlowDisk(sqlite3.Connection):
    """A connection whose every commit takes a slow disk's time longer."""

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        if sql == "COMMIT" or (sql.startswith("INSERT INTO event") and not self.in_transaction):
            time.sleep(SLOW_S)  # lets the loop run meanwhile, as a sync does
        return super().execute(sql, *parameters)


def connect_slow(path: Path) -> Connection:
    """Return a connection to a slow disk."""
    return sqlite3.connect(
        path,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=limits.STATEMENTS_MAX,
        factory=SlowDisk,
    )


def run(folder: Path, size: Size) -> Mapping[str, float]:
    """Take each disk, with an event an append and with a few."""
    sys.setswitchinterval(limits.SWITCH_INTERVAL_S)  # as the service does
    found: dict[str, float] = {}
    fast = MEMORY_DISK if MEMORY_DISK.is_dir() else folder
    disks = {"fast": (fast, connect), "here": (folder, connect), "slow": (folder, connect_slow)}
    names = list(disks) if size.turn % 2 == 0 else list(disks)[::-1]
    for name in names:
        where, made = disks[name]
        for burst in (1, BURST):
            with tempfile.TemporaryDirectory(dir=where) as each:
                rate = trio.run(append_all, Path(each), made, size, burst)
            found[f"{name}_{burst}_per_s"] = rate
    return found


async def append_all(folder: Path, connect: Connect, size: Size, burst: int) -> float:
    """Return how many events a second became durable.

    Raises:
        Wrong: the log does not hold them.
    """
    store = open_store(folder, migrates=True, connect=connect)
    log, hub = SqliteEventLog(store.reader), Hub()
    writer = ThreadWriter(store.writer, log, hub, on_fatal=lambda: None)
    names = [f"bench/{number}" for number in range(size.writers)]

    def make(db: Database) -> None:
        for name in names:
            create_stream(db, name, "bench", "bench")

    try:
        await writer.write(Write(rows=make))
        began = time.perf_counter()
        async with trio.open_nursery() as nursery:
            for name in names:
                nursery.start_soon(append, writer, name, size.writes, burst)
        seconds = time.perf_counter() - began
        for name in names:
            head = log.head(name)
            if head is None or head.sequence != size.writes * burst:
                raise Wrong(f"{name} stands at {head}, not at {size.writes * burst}.")
    finally:
        await writer.close()
        store.close()
    return size.writers * size.writes * burst / seconds


async def append(writer: ThreadWriter, name: str, writes: int, burst: int) -> None:
    """Append, wait for the commit, and again."""
    for place in range(writes):
        after = place * burst
        records = [record(after + number) for number in range(1, burst + 1)]
        await writer.write(Write(appends=(Append(stream=name, after=after, records=records),)))


def record(sequence: int) -> Record:
    """Return one delta as a job makes it."""
    data = {"item_id": "item_01j9zzzzzzzzzzzzzzzzzzzzzz", "text": "0123456789abcde "}
    whole = {"sequence": sequence, "kind": "item.delta", "at": "2026-01-31T09:00:00.000Z"}
    return Record(sequence, "item.delta", orjson.dumps(whole | {"data": data}))


TITLES = {"fast": "no sync to wait for", "here": "this disk", "slow": "4 ms more a commit"}
REACH = {"fast": 50_000, "slow": 15_000}
IN_PROCESS = Measure(
    name="streams-in-process",
    lines=tuple(
        Line(
            key=f"{disk}_{burst}_per_s",
            title=f"in-process appends of {burst}, 100 streams at once, {title}",
            unit="events/s",
            at_least=REACH.get(disk),
            durable=disk == "here",
        )
        for burst in (1, BURST)
        for disk, title in TITLES.items()
    ),
    run=run,
)
