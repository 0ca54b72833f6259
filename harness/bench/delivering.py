"""How long a durable event takes to two hundred readers, and how many a thousand readers get.

The delay of a delivery runs from the moment the provider made the delta, in the service, to its
arrival in this process: both read the one monotonic clock of the machine (`served`). Beside it, in
the same run, stands the naive way over the same libraries: no log, no disk, a channel a reader
(`naive`). The clock of the flat-out run goes from the moment at which the job is
told to begin to the last byte at the last reader.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from harness.bench.crowd import Crowd, Reader, bodies, check
from harness.bench.figures import Line, Wrong, percentile
from harness.bench.measure import BEFORE, PACE_MS, Measure, Size
from harness.bench.service import Process, Service, read_log, soon, start, steps
from harness.bench.wire import Http, Target, Unexpected

STAMP = re.compile(rb'"text":"(\d{1,19})"')  # of one delta; at the end stands all together
NS_IN_MS = 1_000_000


def paced(service: Service, size: Size) -> dict[str, float]:
    """Have one job followed by many, at an even pace."""
    count = size.paced_events
    with service.http() as http, Crowd(service.target) as crowd:
        path = steps(http, (count, PACE_MS), begins_ns=soon(size.lead_ms))
        join_before(crowd, [path] * size.paced_readers)
        crowd.read_to(b"id: %d\n" % (count + BEFORE))
        check(crowd.readers, kept(http, path))
        ours = delays(crowd.readers, count)
    return {"p50_ms": percentile(ours, 0.5), "p99_ms": percentile(ours, 0.99)}


def naive(size: Size) -> dict[str, float]:
    """Have the same of the naive way."""
    count = size.paced_events
    with Process("-m", "harness.bench.naive") as probe:
        target = Target(probe.said["port"])
        with Crowd(target) as crowd, Http(target) as http:
            crowd.join(["/"] * size.paced_readers)
            http.call("POST", f"/?count={count}&interval_ms={PACE_MS}")
            crowd.read_to(b"id: %d\n" % count)
            taken = delays(crowd.readers, count)
    return {"naive_p50_ms": percentile(taken, 0.5), "naive_p99_ms": percentile(taken, 0.99)}


def join_before(crowd: Crowd, paths: Sequence[str]) -> None:
    """Open the streams, all of them before the first delta.

    Raises:
        Unexpected: it took longer than the job waits; the figures would be of something else.
    """
    crowd.join(paths)
    if any(STAMP.search(reader.raw()) for reader in crowd.readers):
        raise Unexpected("The readers were not there before the first delta.")


def kept(http: Http, path: str) -> list[bytes]:
    """Return the bodies of all events of a log."""
    return [body for page in read_log(http, path) for body in bodies(page)]


def delays(readers: Sequence[Reader], count: int) -> list[float]:
    """Return how long each delivery took, in milliseconds; each reader's first is left out.

    Raises:
        Wrong: a reader got more or fewer deltas than there were.
    """
    taken: list[float] = []
    for reader in readers:
        of_one = list(delays_ms(reader))
        if len(of_one) != count:
            raise Wrong(f"A reader got {len(of_one)} of {count} deltas.")
        taken += of_one[1:]
    return taken


def delays_ms(reader: Reader) -> Iterator[float]:
    """Return how long each stamped event took to this reader."""
    for stamp in STAMP.finditer(reader.raw()):
        yield (reader.arrived_ns(stamp.end()) - int(stamp[1])) / NS_IN_MS


def run_crowd(folder: Path, size: Size) -> Mapping[str, float]:
    """Have one job that says all it can followed by a thousand."""
    with Service(folder / "data", model=True) as service, service.http() as http:
        warm_up(service)
        begins_ns = soon(size.lead_ms + 3 * size.crowd_readers)
        path = steps(http, (size.crowd_events, 0), begins_ns=begins_ns)
        with Crowd(service.target) as crowd:
            join_before(crowd, [path] * size.crowd_readers)
            before = sum(each.size for each in crowd.readers)
            crowd.read_to(b"id: %d\n" % (size.crowd_events + BEFORE))
            check(crowd.readers, kept(http, path))
            seconds = (crowd.last_ns() - begins_ns) / 1e9
            sent = sum(each.size for each in crowd.readers) - before
    return {
        "events_per_s": size.crowd_readers * size.crowd_events / seconds,
        "mb_per_s": sent / seconds / 1e6,
    }


def warm_up(service: Service) -> None:
    """Let a short job go over the whole way once."""
    with Crowd(service.target) as crowd, service.http() as http:
        crowd.join([start(http, "synthetic/tokens", count=10)])
        crowd.read_to()


LINES = (
    Line(
        key="p50_ms",
        title="200 SSE readers of one job at 50 events/s, durable, delivery p50",
        unit="ms",
        at_most=6,
        durable=True,
    ),
    Line(key="p99_ms", title="the same, p99", unit="ms", at_most=20, durable=True),
    Line(key="naive_p50_ms", title="(naive, nothing kept, p50)", unit="ms"),
    Line(key="naive_p99_ms", title="(naive, nothing kept, p99)", unit="ms"),
)
CROWD = Measure(
    name="crowd",
    lines=(
        Line(
            key="events_per_s",
            title="1,000 SSE readers, one producer flat out, delivered",
            unit="events/s",
            at_least=150_000,
            durable=True,
        ),
        Line(key="mb_per_s", title="the same", unit="MB/s"),
    ),
    run=run_crowd,
)
