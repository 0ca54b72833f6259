"""A thousand readers of one producer that says what it can, beside a plain Node server.

Both producers are inside their server: a job of ours, durable, and a loop around `res.write`. Both
frames have about the same size. The clock goes from the order to the last byte at the last reader;
that every reader got everything, in order, is looked at afterwards.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from harness.bench.crowd import Crowd, check
from harness.bench.delivering import join_before, kept
from harness.bench.figures import Line
from harness.bench.measure import BEFORE, Size
from harness.bench.service import soon, steps
from harness.bench.streams.sides import Row, Side, Sides
from harness.bench.wire import Http

NS_IN_S = 1e9
PAD = 121  # with it a frame of Node's has the size of one of ours


def flat_out(sides: Sides, size: Size) -> Mapping[str, float]:
    """Fan out from both, one after the other."""
    found: dict[str, float] = {}
    for name in ("ours", "plain")[:: 1 if size.turn % 2 == 0 else -1]:
        run = of_ours if name == "ours" else of_node
        side = sides.ours if name == "ours" else sides.plain
        events_per_s, frame_bytes = run(side, size)
        found |= {f"{name}_per_s": events_per_s, f"{name}_bytes": frame_bytes}
    return found | {"ratio": found["ours_per_s"] / found["plain_per_s"]}


def of_ours(side: Side, size: Size) -> tuple[float, float]:
    """Return how many events a second a job's readers got, and the bytes of an event."""
    with Http(side.target) as http, Crowd(side.target) as crowd:
        begins_ns = soon(size.lead_ms + 3 * size.crowd_readers)
        path = steps(http, (size.crowd_events, 0), begins_ns=begins_ns)
        join_before(crowd, [path] * size.crowd_readers)
        before = sum(each.size for each in crowd.readers)
        crowd.read_to(b"id: %d\n" % (size.crowd_events + BEFORE))
        check(crowd.readers, kept(http, path))
        return rates(crowd, size, begins_ns, before)


def of_node(side: Side, size: Size) -> tuple[float, float]:
    """Return the same of the plain server."""
    with Http(side.target) as http, Crowd(side.target) as crowd:
        crowd.join(["/"] * size.crowd_readers)
        before = sum(each.size for each in crowd.readers)
        begins_ns = time.monotonic_ns()
        http.call("POST", f"/?count={size.crowd_events}&size={PAD}")
        crowd.read_to()
        numbers = range(1, size.crowd_events + 1)
        check(crowd.readers, [b'{"n":%d,"pad":"%b"}' % (n, b"x" * PAD) for n in numbers])
        return rates(crowd, size, begins_ns, before)


def rates(crowd: Crowd, size: Size, begins_ns: int, before: int) -> tuple[float, float]:
    """Return events a second, and bytes an event, over all readers."""
    delivered = size.crowd_readers * size.crowd_events
    seconds = (crowd.last_ns() - begins_ns) / NS_IN_S
    return delivered / seconds, (sum(each.size for each in crowd.readers) - before) / delivered


FLAT_OUT = Row(
    name="streams-flat-out",
    lines=(
        Line(
            key="ours_per_s",
            title="1,000 SSE readers of one job flat out, delivered",
            unit="events/s",
            durable=True,
        ),
        Line(key="plain_per_s", title="(plain Node http server, nothing kept)", unit="events/s"),
        Line(key="ratio", title="the first as a multiple of the second", unit="x", at_least=1.5),
        Line(key="ours_bytes", title="bytes an event, ours", unit="B"),
        Line(key="plain_bytes", title="bytes an event, Node", unit="B"),
    ),
    compare=flat_out,
)
