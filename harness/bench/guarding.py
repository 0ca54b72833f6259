"""What the guard adds to a connection outward, and to a request on a connection that is open.

Both are differences within one process and minute: a connection of the guard against its own bare
dial to the same port, and a pooled request of its client against httpx2's own. Where a name is
exempt its addresses need no judging, so the judging of an answer with four of them is added on top.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from statistics import median
from typing import Any

import httpx2
import trio

from harness.bench.figures import Line, Wrong
from harness.bench.measure import Measure, Size
from runtime import telemetry
from transports.egress import guard, ranges
from transports.egress.guard import Reach

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
READ_BYTES = 65536
FOUR = [
    ip_address(each)
    for each in (
        "93.184.216.34",
        "151.101.1.69",
        "2606:4700:4700::1111",
        "2a00:1450:4001:800::200e",
    )
]
MS = 1000


def run(_: Path, size: Size) -> Mapping[str, float]:
    """Connect and ask in turns, so that a busy moment meets both."""
    telemetry.configure()  # as a service logs
    return trio.run(_run, size.egress)


async def _run(count: int) -> dict[str, float]:
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, _answer, 0, host="127.0.0.1"))
        port: int = listeners[0].socket.getsockname()[1]

        async def resolve(host: str, port: int) -> list[str]:  # noqa: ARG001  as the real one
            return ["127.0.0.1"]

        reach = Reach(exempt=frozenset({("127.0.0.1", port)}), resolve=resolve)
        bare, guarded = await _in_turns(
            partial(_opened, guard.dial, "127.0.0.1", port),
            partial(_opened, reach.connect, "name.example", port),
            count,
        )
        judging: list[float] = []
        for _ in range(count):
            with _timed(judging):
                if any(map(ranges.refusing, FOUR)):
                    raise Wrong("A public address was refused.")
        url = f"http://127.0.0.1:{port}/"
        async with httpx2.AsyncClient(trust_env=False) as plain, guard.client(reach) as ours:
            pooled, ours_pooled = await _in_turns(
                partial(_got, plain, url), partial(_got, ours, url), count
            )
        nursery.cancel_scope.cancel()
    return {
        "connect_added_ms": guarded - bare + median(judging) * MS,
        "connect_bare_ms": bare,
        "pooled_added_ms": ours_pooled - pooled,
        "pooled_bare_ms": pooled,
    }


async def _answer(stream: trio.SocketStream) -> None:
    while await stream.receive_some(READ_BYTES):
        await stream.send_all(ANSWER)


async def _opened(
    connect: Callable[[str, int], Awaitable[trio.abc.Stream]], host: str, port: int
) -> Any:
    return await connect(host, port)


async def _got(client: httpx2.AsyncClient, url: str) -> Any:
    if (await client.get(url)).content != b"ok":
        raise Wrong("The answer is not what was sent.")


async def _in_turns(
    first: Callable[[], Awaitable[Any]], second: Callable[[], Awaitable[Any]], count: int
) -> tuple[float, float]:
    """Return the median of each, in ms, the two taken one after the other."""
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(count):
        for act, into in zip((first, second), taken, strict=True):
            with _timed(into):
                made = await act()
            if made is not None:
                await made.aclose()
    return median(taken[0]) * MS, median(taken[1]) * MS


@contextmanager
def _timed(into: list[float]) -> Iterator[None]:
    began = time.perf_counter()
    yield
    into.append(time.perf_counter() - began)


MEASURE = Measure(
    name="egress",
    lines=(
        Line(
            key="connect_added_ms",
            title="the guard's part of a connection outward, p50",
            unit="ms",
            at_most=0.3,
        ),
        Line(key="connect_bare_ms", title="(a bare dial to the same port, p50)", unit="ms"),
        Line(
            key="pooled_added_ms",
            title="the guard's part of a pooled request outward, p50",
            unit="ms",
            at_most=0.05,
        ),
        Line(key="pooled_bare_ms", title="(httpx2's own pooled request, p50)", unit="ms"),
    ),
    run=run,
)
