"""How many events a second become durable while the loop is busy with readers.

A hundred jobs say what they can at once, each followed by a reader, which leaves the loop no pause;
that it has none is measured too, as the share of a core that the loop's thread used. The clock goes
from the first event of any job to the last end of any, by the service's own dates. The reference is
SQLite alone, one thread, the same rows in transactions of a burst.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from harness.bench.crowd import Crowd, bodies, check
from harness.bench.figures import Line
from harness.bench.machine import cpu_s
from harness.bench.measure import Measure, Size
from harness.bench.service import Service, ask, converse, read_log
from harness.bench.wire import Http

BURST = 256
ROW = (
    b'{"sequence":1234,"kind":"item.delta","at":"2026-01-31T09:00:00.000Z","data":{"item_id":"item_'
)
ROW += b'01j9zzzzzzzzzzzzzzzzzzzzzz","text":"0123456789abcde "}}'


def run(folder: Path, size: Size) -> Mapping[str, float]:
    """Start all jobs, follow each, and count."""
    with Service(folder / "data") as service, service.http() as http:
        conversations = [converse(http) for _ in range(size.jobs)]
        options = {"count": size.job_events}
        with Crowd(service.target) as crowd:
            began, began_cpu_s = time.perf_counter(), cpu_s(service.pid)
            paths = [
                f"/api/jobs/{ask(http, each, 'synthetic/tokens', options)}/events"
                for each in conversations
            ]
            crowd.join(paths)
            crowd.read_to()
            wall_s, cpu = time.perf_counter() - began, cpu_s(service.pid)
        events, seconds = _check(http, paths, crowd)
    plain = plain_events_per_s(folder / "plain.db", size.jobs * size.job_events)
    return {
        "events_per_s": events / seconds,
        "loop_share": 100 * (cpu[0] - began_cpu_s[0]) / wall_s,
        "plain_events_per_s": plain,
    }


def _check(http: Http, paths: Sequence[str], crowd: Crowd) -> tuple[int, float]:
    """Hold every reader against its log; return the events in all, and the seconds they took."""
    events, dates = 0, []
    for path, reader in zip(paths, crowd.readers, strict=True):
        pages = read_log(http, path)
        log = [body for page in pages for body in bodies(page)]
        check([reader], log)
        events += len(log)
        dates += [_at(pages[0]["events"][0]), _at(pages[-2]["events"][-1])]
    return events, (max(dates) - min(dates)).total_seconds()


def _at(event: Any) -> datetime:
    return datetime.fromisoformat(event["at"])


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
