"""How many events a second become durable while the loop is busy with readers.

A hundred jobs begin at one moment and say what they can, each followed by a reader, which leaves
the loop no pause; that it has none is measured too, as the share of a core that the loop's thread
used. The clock goes from that moment to the arrival of the last event of all. The reference is
SQLite alone, one thread, the same rows in transactions of a burst.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from harness.bench.crowd import Crowd, check
from harness.bench.delivering import join_before, kept
from harness.bench.figures import Line
from harness.bench.machine import cpu_s
from harness.bench.measure import BEFORE, Measure, Size
from harness.bench.service import Service, soon, steps

BURST = 256
NS_IN_S = 1e9
LEAD_OF_JOB_MS = 20  # so long it takes, at most, to start a job and its reader
ROW = (
    b'{"sequence":1234,"kind":"item.delta","at":"2026-01-31T09:00:00.000Z","data":{"item_id":"item_'
)
ROW += b'01j9zzzzzzzzzzzzzzzzzzzzzz","text":"0123456789abcde "}}'


def run(folder: Path, size: Size) -> Mapping[str, float]:
    """Let all jobs begin together, follow each, and count."""
    last = b"id: %d\n" % (size.job_events + BEFORE)
    with Service(folder / "data", model=True) as service, service.http() as http:
        begins_ns = soon(size.lead_ms + LEAD_OF_JOB_MS * size.jobs)
        plan = (size.job_events, 0)
        paths = [steps(http, plan, begins_ns=begins_ns) for _ in range(size.jobs)]
        with Crowd(service.target) as crowd:
            join_before(crowd, paths)
            time.sleep(max(0, begins_ns - time.monotonic_ns()) / NS_IN_S)
            before_s = cpu_s(service.pid)[0]
            crowd.read_to(last)
            loop_s = cpu_s(service.pid)[0] - before_s
            seconds = (crowd.last_ns() - begins_ns) / NS_IN_S
            for path, reader in zip(paths, crowd.readers, strict=True):
                check([reader], kept(http, path))
    return {
        "events_per_s": size.jobs * size.job_events / seconds,
        "loop_share": 100 * loop_s / seconds,
        "plain_events_per_s": plain_events_per_s(folder / "plain.db", size.jobs * size.job_events),
    }


def plain_events_per_s(path: Path, count: int) -> float:
    """Return how many rows a second plain SQLite makes durable, a burst a transaction."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        database.execute(
            "CREATE TABLE event (stream INT, sequence INT, kind TEXT, body BLOB, checksum INT,"
            " PRIMARY KEY (stream, sequence)) WITHOUT ROWID, STRICT"
        )
        began = time.perf_counter()
        for first in range(1, count + 1, BURST):
            rows = [(1, n, "item.delta", ROW, n) for n in range(first, first + BURST)]
            database.execute("BEGIN IMMEDIATE")
            database.executemany("INSERT INTO event VALUES (?, ?, ?, ?, ?)", rows)
            database.execute("COMMIT")
        return count / (time.perf_counter() - began)


MEASURE = Measure(
    name="append",
    lines=(
        Line(
            key="events_per_s",
            title="durable appends, 100 jobs at once, a reader each",
            unit="events/s",
            at_least=15_000,
            durable=True,
        ),
        Line(key="loop_share", title="of a core used by the loop meanwhile", unit="%"),
        Line(
            key="plain_events_per_s",
            title="(SQLite alone, 256 rows a commit)",
            unit="events/s",
            durable=True,
        ),
    ),
    run=run,
)
