"""The rows of `python3 -m harness bench streams`: what is read, written and followed, side by side.

Everything here goes over `/v1/stream` to all three, one client for all. The same rows can be run
one by one, by name. A value of a server is returned under its name: `ours_...`, `memory_...`.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from statistics import median

from harness.bench.crowd import Crowd
from harness.bench.delivering import delays
from harness.bench.figures import Line, Wrong, percentile
from harness.bench.machine import resident_bytes
from harness.bench.measure import PACE_MS, Size
from harness.bench.service import Process, soon
from harness.bench.streams.protocol import (
    ARRAY,
    NUMBER,
    array,
    catch_up,
    catch_up_sse,
    check,
    create,
    event,
    fill,
)
from harness.bench.streams.sides import Row, Side, Sides, beside
from harness.bench.wire import SSE, Http, unchunked

PASSES = 3  # of one stream: the first finds nothing in any cache
PUBLISHER_MS = 700  # so long it takes to start, at most
FOLLOW_S = 240.0  # the slowest server on a busy machine takes a minute and more
MIB, PIECE = 1024 * 1024, 256 * 1024
SETTLE_S = 1.0
WARM, HISTORY, PLACES = 20, 400, 380
PAUSE_S = 0.002  # a server is done with the last reader when the next one comes


def catching_up(sides: Sides, size: Size) -> Mapping[str, float]:
    """Read a long stream by GET, and as events."""
    found: dict[str, float] = {}
    numbers = range(size.catch_up_events)
    for side in sides.in_turn(size.turn):
        path = create(side.target, "catch-up")
        fill(side.target, path, size.catch_up_events)
        plain = [catch_up(side.target, path) for _ in range(PASSES)]
        events = [catch_up_sse(side.target, path) for _ in range(PASSES)]
        for each in (*plain, *events):
            check(each.body, numbers, side.name)
        found |= {
            f"{side.name}_get_per_s": len(numbers) / median(each.whole_s for each in plain),
            f"{side.name}_byte_ms": 1000 * median(each.first_byte_s for each in plain),
            f"{side.name}_answer_ms": 1000 * median(each.first_answer_s for each in plain),
            f"{side.name}_sse_per_s": len(numbers) / median(each.whole_s for each in events),
        }
    return found


def following(sides: Sides, size: Size) -> Mapping[str, float]:
    """Have one stream followed by many while another process appends an event at a time."""
    found: dict[str, float] = {}
    count = size.followed_events
    for side in sides.in_turn(size.turn):
        path = create(side.target, "follow")
        with Crowd(side.target) as crowd:
            crowd.join([f"{path}?offset=-1&live=sse"] * size.paced_readers)
            with publisher(side, path, count) as publishing:
                crowd.read_to(b'"n":%d,' % (count - 1), within_s=FOLLOW_S)
                publishing.line()
            for reader in crowd.readers:
                check(unchunked(reader.raw()), range(count), side.name)
            taken = delays(crowd.readers, count)
        found[f"{side.name}_p50_ms"] = percentile(taken, 0.5)
        found[f"{side.name}_p99_ms"] = percentile(taken, 0.99)
    return found


def publisher(side: Side, path: str, count: int) -> Process:
    """Start the process that appends at an even pace."""
    plan = (side.target.port, side.target.token, path, count, PACE_MS, soon(PUBLISHER_MS))
    return Process("-m", "harness.bench.streams.publisher", *map(str, plan))


def coming_back(sides: Sides, size: Size) -> Mapping[str, float]:
    """Come back to places of a stream over connections of their own, for the next event."""
    found: dict[str, float] = {}
    for side in sides.in_turn(size.turn):
        path = create(side.target, "come-back")
        offsets = []
        with Http(side.target) as http:
            for number in range(HISTORY):
                answer = http.ask(side.target.request("POST", path, body=event(number)))
                offsets.append(answer.header("stream-next-offset"))
        chance = random.Random(HISTORY)  # noqa: S311  the same places for all
        places = [chance.randrange(PLACES) for _ in range(WARM + size.comebacks)]
        taken = [come_back(side, path, place, offsets[place]) for place in places]
        found[f"{side.name}_p50_ms"] = percentile(taken[WARM:], 0.5)
        found[f"{side.name}_p99_ms"] = percentile(taken[WARM:], 0.99)
    return found


def come_back(side: Side, path: str, place: int, offset: str) -> float:
    """Return how long the first event after an offset took, in milliseconds.

    Raises:
        Wrong: it is not the next one.
    """
    began = time.perf_counter()
    with Http(side.target) as http:
        request = side.target.request("GET", f"{path}?offset={offset}&live=sse", accept=SSE)
        http.send(request)
        seen = http.until(b'"n":') + http.until(b",")
        took = 1000 * (time.perf_counter() - began)
    first = NUMBER.search(seen)
    if first is None or int(first[1]) != place + 1:
        raise Wrong(f"{side.name}: a reader behind {place} was sent {seen[-80:]!r} next.")
    time.sleep(PAUSE_S)
    return took


def posting(sides: Sides, size: Size) -> Mapping[str, float]:
    """Append an event a request, one after the other, and then arrays."""
    found: dict[str, float] = {}
    for side in sides.in_turn(size.turn):
        one, many = create(side.target, "post"), create(side.target, "post-arrays")
        with Http(side.target) as http:
            began = time.perf_counter()
            for number in range(size.posts):
                http.ask(side.target.request("POST", one, body=event(number)))
            single_s = time.perf_counter() - began
            bodies = [
                array(range(first * ARRAY, (first + 1) * ARRAY))
                for first in range(size.posted_arrays)
            ]
            began = time.perf_counter()
            for body in bodies:
                http.ask(side.target.request("POST", many, body=body))
            arrays_s = time.perf_counter() - began
        posted = size.posted_arrays * ARRAY
        check(catch_up(side.target, one).body, range(size.posts), side.name)
        check(catch_up(side.target, many).body, range(posted), side.name)
        found[f"{side.name}_single_per_s"] = size.posts / single_s
        found[f"{side.name}_arrays_per_s"] = posted / arrays_s
    return found


def stalling(sides: Sides, size: Size) -> Mapping[str, float]:
    """Append megabytes under readers that have stopped reading."""
    found: dict[str, float] = {}
    for side in sides.in_turn(size.turn):
        path = create(side.target, "stall", type="text/plain")
        with Crowd(side.target) as crowd, Http(side.target) as http:
            for _ in range(size.stalled_readers):
                crowd.join_stalled(f"{path}?offset=-1&live=sse")
            http.ask(side.target.request("GET", f"{path}?offset=now"))
            before = most = resident_bytes(side.pid)
            body = b"x" * min(PIECE, size.stalled_bytes)
            for _ in range(size.stalled_bytes // len(body)):
                http.ask(side.target.request("POST", path, body=body, type="text/plain"))
                most = max(most, resident_bytes(side.pid))
            time.sleep(SETTLE_S)
            most = max(most, resident_bytes(side.pid))
        found[f"{side.name}_growth_mib"] = (most - before) / MIB
    return found


CATCH_UP = Row(
    name="streams-catch-up",
    lines=(
        *beside(
            Line(
                key="get_per_s",
                title="catch-up by GET of 50,000 events (7.3 MB)",
                unit="events/s",
                at_least=1_000_000,
            )
        ),
        *beside(Line(key="byte_ms", title="the same, first byte", unit="ms", at_most=5)),
        *beside(Line(key="answer_ms", title="the same, first answer whole", unit="ms")),
        *beside(Line(key="sse_per_s", title="the same by SSE", unit="events/s", at_least=800_000)),
    ),
    compare=catching_up,
)
FOLLOW = Row(
    name="streams-follow",
    lines=(
        *beside(
            Line(
                key="p50_ms",
                title="200 SSE readers, one event a POST, 50 a second, delivery p50",
                unit="ms",
                at_most=5,
                durable=True,
            )
        ),
        *beside(Line(key="p99_ms", title="the same, p99", unit="ms", at_most=12, durable=True)),
    ),
    compare=following,
)
COME_BACK = Row(
    name="streams-come-back",
    lines=(
        *beside(Line(key="p50_ms", title="resume, first event, p50", unit="ms", at_most=1)),
        *beside(Line(key="p99_ms", title="the same, p99", unit="ms")),
    ),
    compare=coming_back,
)
POST = Row(
    name="streams-post",
    lines=(
        *beside(
            Line(
                key="single_per_s",
                title="one event a POST, one after the other",
                unit="events/s",
                at_least=1500,
                durable=True,
            )
        ),
        *beside(
            Line(
                key="arrays_per_s",
                title="arrays of 500, one after the other",
                unit="events/s",
                at_least=200_000,
                durable=True,
            )
        ),
    ),
    compare=posting,
)
STALL = Row(
    name="streams-stall",
    lines=beside(
        Line(
            key="growth_mib",
            title="20 stalled SSE readers while 20 MiB are appended: growth",
            unit="MiB",
            at_most=16,
        )
    ),
    compare=stalling,
)
