"""A connection and its client in virtual time, over streams that take what the client reads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio
from trio.testing import MockClock, lockstep_stream_pair, memory_stream_pair

from specs.requirements import requirement
from transports.ingress.http.server import HttpServer
from transports.ingress.http.wire import Bounds

ASK = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
HEAD = [(b"content-length", b"163840")]
WHOLE = 10 * 16 * 1024


async def long_answer(scope: Any, receive: Any, send: Any, *_: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": HEAD})
    await send({"type": "http.response.body", "body": b"x" * WHOLE})


async def no_answer(scope: Any, receive: Any, send: Any, *_: Any) -> None:
    await trio.sleep_forever()


@asynccontextmanager
async def client_of(
    app: Any, *, lockstep: bool = True, cuts: list[float] | None = None
) -> AsyncIterator[trio.abc.Stream]:
    noted = cuts if cuts is not None else []
    server = HttpServer(
        app, bounds=Bounds(), on_cut=lambda: noted.append(trio.current_time()), dates=False
    )
    ours, theirs = lockstep_stream_pair() if lockstep else memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.serve_stream, theirs)
        yield ours
        nursery.cancel_scope.cancel()


@requirement("http.slow-client")
async def test_a_client_that_takes_a_little_now_and_then_is_served(
    autojump_clock: MockClock,
) -> None:
    cuts: list[float] = []
    async with client_of(long_answer, cuts=cuts) as client:
        await client.send_all(ASK)
        received = b""
        while not received.endswith(b"x" * WHOLE):
            await trio.sleep(20)
            received += await client.receive_some(16 * 1024)
    assert trio.current_time() >= 200
    assert cuts == []


@requirement("sse.slow-reader")
async def test_a_client_that_takes_no_byte_for_30_s_is_cut(autojump_clock: MockClock) -> None:
    cuts: list[float] = []
    async with client_of(long_answer, cuts=cuts) as client:
        await client.send_all(ASK)
        await client.receive_some(16 * 1024)
        await client.receive_some(16 * 1024)
        await trio.sleep(31)
        assert cuts == [30]
        rest = b""
        while piece := await client.receive_some(65536):
            rest += piece
    assert len(rest) < WHOLE


async def test_an_idle_client_is_let_go_after_30_s(autojump_clock: MockClock) -> None:
    async with client_of(no_answer, lockstep=False) as client:
        assert await client.receive_some(1) == b""
        assert trio.current_time() == 30


async def test_a_client_that_waits_for_its_answer_is_not_idle(autojump_clock: MockClock) -> None:
    async with client_of(no_answer, lockstep=False) as client:
        await client.send_all(ASK)
        with trio.move_on_after(3600) as scope:
            await client.receive_some(1)
    assert scope.cancelled_caught is True


async def test_a_client_that_leaves_cancels_its_exchange(autojump_clock: MockClock) -> None:
    left: list[float] = []

    async def waits(scope: Any, receive: Any, send: Any, *_: Any) -> None:
        try:
            await trio.sleep_forever()
        finally:
            left.append(trio.current_time())

    async with client_of(waits, lockstep=False) as client:
        await client.send_all(ASK)
        await trio.sleep(5)
        await client.aclose()
        await trio.testing.wait_all_tasks_blocked()
    assert left == [5]


async def test_a_bug_in_one_exchange_is_an_empty_500_and_the_connection_goes_on(
    autojump_clock: MockClock,
) -> None:
    async def fails(scope: Any, receive: Any, send: Any, *_: Any) -> None:
        raise ZeroDivisionError

    async with client_of(fails, lockstep=False) as client:
        await client.send_all(ASK)
        answer = await client.receive_some(65536)
        assert answer.startswith(b"HTTP/1.1 500 ")
        assert b"content-length: 0" in answer
