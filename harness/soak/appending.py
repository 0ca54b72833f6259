"""The other half of the load: streams of the open protocol, written to and read from over again.

A producer appends numbered events, says some of them twice as one does whose answer was lost, and
closes; a reader follows by events, drops and resumes by offset. Every number must be heard once, in
order. At the end the stream is deleted.
"""

from __future__ import annotations

import json
from contextlib import aclosing

import trio

from harness.soak.judging import Wrong
from harness.soak.talking import DROP_AFTER_EVENTS, DROP_SHARE, PAUSE_S, Soak

APPENDS = 30
AGAIN_SHARE = 0.2
WITHIN_S = 120.0
NEW, KNOWN = 200, 204
CLOSED = {"stream-closed": "true"}


async def write_streams(soak: Soak, number: int) -> None:
    """Write and read one stream after the other until the time is over."""
    turn = 0
    while not soak.over.is_set():
        turn += 1
        await soak.noting(one_stream, soak, f"/v1/stream/soak/{number}/{turn}")


async def one_stream(soak: Soak, path: str) -> None:
    """Make, write, read, close and delete a stream."""
    count = soak.chance.randrange(1, APPENDS)
    async with soak.line() as line:
        await line.good("PUT", path)
    with trio.move_on_after(WITHIN_S + soak.longest_s) as patience:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(soak.noting, append, soak, path, count)
            nursery.start_soon(soak.noting, read, soak, path, count)
    if patience.cancelled_caught:
        raise Wrong(f"{path}: no end in {WITHIN_S + soak.longest_s} s")
    async with soak.line() as line:  # one that is idle for long has been closed
        await line.good("DELETE", path)
    soak.done["streams"] += 1


async def append(soak: Soak, path: str, count: int) -> None:
    """Append as an idempotent producer, some twice; then close."""
    async with soak.line() as line:
        for number in range(count):
            producer = {"producer-id": "soak", "producer-epoch": "0", "producer-seq": str(number)}
            body = json.dumps({"n": number}).encode()
            expected = [NEW]
            if soak.chance.random() < AGAIN_SHARE:
                expected.append(KNOWN)
            for status in expected:
                said = await line.ask("POST", path, body, extra=producer)
                if said.status != status:
                    raise Wrong(f"{path}: {number} was answered {said.status}, not {status}")
            soak.done["appends"] += 1
            await trio.sleep(soak.chance.random() * soak.longest_s / APPENDS)
        said = await line.ask("POST", path, extra=CLOSED)
        if said.status != KNOWN:
            raise Wrong(f"{path}: closing was answered {said.status}")


async def read(soak: Soak, path: str, count: int) -> None:
    """Follow the stream to its end over as many connections as it takes."""
    heard: list[int] = []
    offset = "-1"
    while offset:
        drops = soak.chance.random() < DROP_SHARE
        left = soak.chance.randrange(DROP_AFTER_EVENTS) if drops else -1
        offset = await read_on(soak, f"{path}?offset={offset}&live=sse", heard, left)
        if drops:
            soak.done["drops"] += 1
            await trio.sleep(soak.chance.random() * PAUSE_S)
    if heard != list(range(count)):
        raise Wrong(f"{path}: {len(heard)} of {count} events were heard: {heard}")


async def read_on(soak: Soak, path: str, heard: list[int], left: int) -> str:
    """Read on over one connection; return where to go on, "" at the stream's end.

    Args:
        left: controls until the reader hangs up; negative is never.
    """
    offset = path.partition("offset=")[2].partition("&")[0]
    fresh: list[int] = []
    async with soak.line() as line, aclosing(line.frames(path)) as frames:
        async for frame in frames:
            if frame["event"] == b"data":
                fresh += [each["n"] for each in json.loads(frame["data"])]
                continue
            told = json.loads(frame["data"])
            heard += fresh  # what came before no control is sent again
            fresh.clear()
            if told.get("streamClosed"):
                return ""
            offset = str(told["streamNextOffset"])
            left -= 1
            if left == 0:
                break
    return offset
