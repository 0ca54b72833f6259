"""From a reader's return, somewhere in a long log, to its first event.

A reader that lost its connection makes a new one, so the clock starts before the connection and
stops once the first event has come, whose number must be the cursor's next. The same over an open
connection that has been used before is shown beside it, and what any server on trio takes for it:
one that answers whatever comes with the same few bytes.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from pathlib import Path

from harness.bench.figures import Line, Wrong, percentile
from harness.bench.measure import Measure, Size
from harness.bench.service import Process, Service, await_head, start
from harness.bench.wire import SSE, Http, Target

BUILD_S = 120.0
WARM = 20
BARE = """
import functools, json, trio

async def answer(stream):
    while await stream.receive_some():
        await stream.send_all(b"id: 1\\nevent: ")

def announce(listeners):
    print(json.dumps({"url": f":{listeners[0].socket.getsockname()[1]}"}), flush=True)

async def serve():
    async with trio.open_nursery() as nursery:
        here = functools.partial(trio.serve_tcp, answer, 0, host="127.0.0.1")
        announce(await nursery.start(here))

trio.run(serve)
"""
PAUSE_S = 0.005  # the service is done with the last reader when the next one comes


def run(folder: Path, size: Size) -> Mapping[str, float]:
    """Build the log, and come back to it at random places."""
    with Service(folder / "data") as service, service.http() as http:
        path = start(http, "synthetic/tokens", count=size.log_events)
        await_head(http, path, size.log_events, BUILD_S)
        taken = resume(service.target, path, size.log_events, size.resumes)
        open_ones = resume(service.target, path, size.log_events, size.resumes, connected=True)
        page = paged(http, path, size.log_events, size.resumes)
        with Process("-c", BARE) as bare:
            floor = answered(Target(bare.port, service.target.token), path, size.resumes)
    return {
        "resume_p50_ms": percentile(taken, 0.5),
        "resume_p99_ms": percentile(taken, 0.99),
        "bare_p50_ms": percentile(floor, 0.5),
        "open_p50_ms": percentile(open_ones, 0.5),
        "page_p50_ms": percentile(page, 0.5),
    }


def resume(
    target: Target, path: str, length: int, count: int, *, connected: bool = False
) -> list[float]:
    """Return how long each of `count` returns to a random place took, in milliseconds.

    Args:
        connected: the clock starts once the connection is made and has been used.
    """
    chance = random.Random(length)  # noqa: S311  the same places in every run
    taken: list[float] = []
    for _ in range(WARM + count):
        cursor = chance.randrange(1, length)
        began = time.perf_counter()
        with Http(target) as reader:
            if connected:
                reader.call("GET", "/api/health")
                began = time.perf_counter()
            reader.send(target.request("GET", path, accept=SSE, resume=str(cursor)))
            head = reader.until(b"\nevent: ")
            taken.append((time.perf_counter() - began) * 1000)
        check(head, cursor)
        time.sleep(PAUSE_S)
    return taken[WARM:]


def answered(target: Target, path: str, count: int) -> list[float]:
    """Return how long each of `count` answers of a bare server took, in milliseconds."""
    taken: list[float] = []
    for _ in range(WARM + count):
        began = time.perf_counter()
        with Http(target) as reader:
            reader.send(target.request("GET", path, accept=SSE, resume="1"))
            reader.until(b"\nevent: ")
            taken.append((time.perf_counter() - began) * 1000)
        time.sleep(PAUSE_S)
    return taken[WARM:]


def check(raw: bytes, cursor: int) -> None:
    """Look at the number of the first event after a cursor.

    Raises:
        Wrong: it is not the next.
    """
    number = int(raw.rpartition(b"id: ")[2].partition(b"\n")[0])
    if number != cursor + 1:
        raise Wrong(f"A reader at {cursor} was sent {number} next.")


def paged(http: Http, path: str, length: int, count: int) -> list[float]:
    """Return how long one event as JSON takes over an open connection, in milliseconds."""
    chance = random.Random(length)  # noqa: S311
    taken: list[float] = []
    for _ in range(WARM + count):
        cursor = chance.randrange(1, length)
        began = time.perf_counter()
        page = http.call("GET", f"{path}?after={cursor}&limit=1")
        taken.append((time.perf_counter() - began) * 1000)
        if [event["sequence"] for event in page["events"]] != [cursor + 1]:
            raise Wrong(f"A page after {cursor} is {page}.")
    return taken[WARM:]


MEASURE = Measure(
    name="resume",
    lines=(
        Line(
            key="resume_p50_ms",
            title="resume at a random place of a 50,000-event log, first event, p50",
            unit="ms",
            at_most=1.5,
        ),
        Line(key="resume_p99_ms", title="the same, p99", unit="ms", at_most=5),
        Line(key="bare_p50_ms", title="(first bytes of a bare trio server, p50)", unit="ms"),
        Line(key="open_p50_ms", title="the same over an open connection, p50", unit="ms"),
        Line(key="page_p50_ms", title="one event as JSON, open connection, p50", unit="ms"),
    ),
    run=run,
)
