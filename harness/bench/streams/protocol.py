"""The open protocol as the comparison speaks it, the same to every server: create, append, read.

Events look like a model's deltas, 146 bytes each, and carry their number; what was read is held
against the numbers afterwards, so that the clock never runs while the client parses.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.bench.figures import Wrong
from harness.bench.wire import SSE, Http, Target, unchunked

ROOT = "/v1/stream"
EVENT_BYTES = 146
ARRAY = 500  # events of one POST where a stream is filled
NUMBER = re.compile(rb'"n":(\d+)')
CAUGHT_UP = re.compile(rb'"upToDate":\s*true')
TAIL_BYTES = 512


def event(number: int, text: str = "") -> bytes:
    """Return one delta."""
    said = b'{"n":%d,"text":"%b","type":"output.delta","item":"msg_0123456789abcdef","pad":"' % (
        number,
        text.encode(),
    )
    return said + b"x" * (EVENT_BYTES - len(said) - 2) + b'"}'


def create(target: Target, name: str, *, type: str = "application/json") -> str:
    """Make a stream, and return its path."""
    path = f"{ROOT}/{name}"
    with Http(target) as http:
        http.ask(target.request("PUT", path, type=type))
    return path


def fill(target: Target, path: str, count: int) -> None:
    """Append events by arrays."""
    with Http(target) as http:
        for first in range(0, count, ARRAY):
            numbers = range(first, min(first + ARRAY, count))
            http.ask(target.request("POST", path, body=array(numbers)))


def array(numbers: Iterable[int]) -> bytes:
    """Return several deltas as one body."""
    return b"[" + b",".join(map(event, numbers)) + b"]"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaughtUp:
    """What a reader of a whole stream got, and when, in seconds from its request."""

    body: bytes
    first_byte_s: float
    first_answer_s: float
    whole_s: float


def catch_up(target: Target, path: str) -> CaughtUp:
    """Read a stream from its start by GET after GET, over one open connection."""
    pieces: list[bytes] = []
    first_byte = first_answer = 0.0
    offset = "-1"
    with Http(target) as http:
        http.ask(target.request("GET", f"{path}?offset=now"))
        began = time.perf_counter()
        while True:
            answer = http.ask(target.request("GET", f"{path}?offset={offset}"))
            first_byte = first_byte or answer.began
            first_answer = first_answer or time.perf_counter()
            pieces.append(answer.body)
            if answer.header("stream-up-to-date"):
                break
            offset = answer.header("stream-next-offset")
        ended = time.perf_counter()
    whole = [each for piece in pieces for each in json.loads(piece)]
    return CaughtUp(
        body=json.dumps(whole, separators=(",", ":")).encode(),
        first_byte_s=first_byte - began,
        first_answer_s=first_answer - began,
        whole_s=ended - began,
    )


def catch_up_sse(target: Target, path: str) -> CaughtUp:
    """Read a stream from its start as events, until the server says that this was all."""
    pieces: list[bytes] = []
    tail, first = b"", 0.0
    with Http(target) as http:
        http.ask(target.request("GET", f"{path}?offset=now"))
        began = time.perf_counter()
        http.send(target.request("GET", f"{path}?offset=-1&live=sse", accept=SSE))
        while not CAUGHT_UP.search(tail):
            piece = http.receive()
            first = first or time.perf_counter()
            pieces.append(piece)
            tail = tail[-TAIL_BYTES:] + piece[-TAIL_BYTES:]
        ended = time.perf_counter()
    took = first - began
    body = unchunked(b"".join(pieces))
    return CaughtUp(body=body, first_byte_s=took, first_answer_s=took, whole_s=ended - began)


def check(body: bytes, numbers: Sequence[int], who: str) -> None:
    """Hold a body against the numbers of the events that were written.

    Raises:
        Wrong: it has other events, or in another order.
    """
    got = [int(each) for each in NUMBER.findall(body)]
    if got != list(numbers):
        place = next(
            (at for at, (a, b) in enumerate(zip(got, numbers, strict=False)) if a != b),
            min(len(got), len(numbers)),
        )
        raise Wrong(f"{who}: {len(got)} of {len(numbers)} events, wrong from place {place} on.")
