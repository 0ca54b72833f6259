"""A request that is plainly written is answered as h11 would have it answered, byte by byte."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from h11 import SERVER, Connection, Request
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, memory_stream_pair

from runtime import limits
from specs.requirements import requirement
from transports.ingress.http.direct import read
from transports.ingress.http.exchange import MAIL
from transports.ingress.http.server import HttpServer

HOST = b"Host: localhost\r\n"
PLAIN = (
    b"GET / HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET /a%20b/c?d=e&f=%2f HTTP/1.1\r\n" + HOST + b"Accept:text/html ,\t*/*  \r\n\r\n",
    b"HEAD /x HTTP/1.1\r\n" + HOST + b"Connection: keep-alive\r\n\r\n",
    b"DELETE /x HTTP/1.1\r\nX-Two: 1\r\n" + HOST + b"x-two: 2\r\n\r\n",
    b"POST /x HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhello",
    b"PUT /x HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\n" + HOST + b"X-Name: \xe9t\xe9\r\n\r\n",
)
JUDGED = (
    b"GET / HTTP/1.0\r\n" + HOST + b"\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
    b"GET / HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + HOST + b"Upgrade: websocket\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + HOST + b" folded\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + HOST + b"Name : x\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + HOST + b"Name: a\x00b\r\n\r\n",
    b"GET / HTTP/1.1\nHost: localhost\n\n",
    b"GET  / HTTP/1.1\r\n" + HOST + b"\r\n",
    b"get / HTTP/1.1\r\n" + HOST + b"\r\n",
    b"PATCH / HTTP/1.1\r\n" + HOST + b"\r\n",
    b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
    b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: +1\r\n\r\nx",
    b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n",
    b"GET /" + b"x" * limits.HEADER_BYTES_MAX + b" HTTP/1.1\r\n" + HOST + b"\r\n",
)


class Whole:
    """The body of a request, complete once it has all come."""

    def __init__(self) -> None:
        self.data, self.complete = b"", trio.Event()

    def append(self, data: bytes) -> None:
        self.data += data

    def set_complete(self) -> None:
        self.complete.set()


async def echo(scope: Any, receive: Any, send: Any, *_: Any) -> None:
    """Answer with the request as the app sees it; `/stream` without a length, `/204` with none."""
    body = Whole()
    with trio.CancelScope() as client_is_here:
        await scope["extensions"][MAIL].deliver(body, client_is_here)
        await body.complete.wait()
        known = ("http_version", "method", "path", "raw_path", "query_string", "headers", "state")
        said = repr([*(scope[key] for key in known), body.data]).encode()
        status, headers = 200, [(b"X-Told", b"a"), (b"content-length", b"%d" % len(said))]
        if scope["path"] == "/stream":
            headers = headers[:1]
        if scope["path"] == "/204":
            status, headers, said = 204, headers[:1], b""
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for part in (said[:20], b"", said[20:]):
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


@asynccontextmanager
async def client_of(app: Any) -> AsyncIterator[trio.abc.Stream]:
    server = HttpServer(app, dates=False)
    ours, theirs = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.serve_stream, theirs)
        yield ours
        nursery.cancel_scope.cancel()


async def answers_to(*pieces: bytes) -> bytes:
    """Return what comes back for bytes sent one piece after the other, until all is still."""
    async with client_of(echo) as client:
        received = b""
        for piece in pieces:
            await client.send_all(piece)
            await trio.testing.wait_all_tasks_blocked()
        with trio.move_on_after(0.01):
            while more := await client.receive_some(65536):
                received += more
    return received


@pytest.mark.parametrize("request_", PLAIN)
@pytest.mark.parametrize("path", [b"", b"/stream", b"/204"])
async def test_the_answer_to_a_plain_request_is_the_one_that_h11_makes(
    autojump_clock: MockClock, request_: bytes, path: bytes
) -> None:
    method, target, rest = request_.split(b" ", 2)
    request = b" ".join((method, path or target, rest))
    assert read(request) is not None
    at_once, in_pieces = await answers_to(request), await answers_to(request[:8], request[8:])
    assert at_once.partition(b"\r\n")[0] == (
        b"HTTP/1.1 204 " if path == b"/204" else b"HTTP/1.1 200 "
    )
    chunks = path == b"/stream" and method != b"HEAD"  # h11 writes its own header last, in its case
    assert at_once.lower() == in_pieces.lower()
    assert at_once.endswith(b"\r\n0\r\n\r\n") is chunks


@pytest.mark.parametrize("request_", JUDGED)
def test_what_is_not_plain_is_left_to_h11(request_: bytes) -> None:
    assert read(request_) is None


@given(st.binary(max_size=80), st.integers(min_value=0, max_value=len(PLAIN[1]) - 5))
def test_a_header_with_anything_in_it_is_read_as_h11_reads_it_or_not_at_all(
    piece: bytes, at: int
) -> None:

    data = PLAIN[1][:at] + piece + PLAIN[1][at:]
    asked = read(data)
    if asked is not None:
        judge = Connection(SERVER)
        judge.receive_data(data)
        event = judge.next_event()
        assert isinstance(event, Request)
        assert (event.method.decode(), event.target) == (asked.method, asked.target)
        assert list(event.headers) == asked.headers


async def test_requests_sent_one_behind_the_other_are_answered_in_turn(
    autojump_clock: MockClock,
) -> None:
    many = b"".join(PLAIN)
    apart = b"".join([await answers_to(each) for each in PLAIN])
    assert await answers_to(many) == apart
    assert await answers_to(many[:150], many[150:260], many[260:]) == apart


async def test_h11_and_we_take_turns_on_one_connection(autojump_clock: MockClock) -> None:
    chunked, last = JUDGED[12], JUDGED[3]
    talk = (PLAIN[0], chunked, PLAIN[4], PLAIN[1][:20], PLAIN[1][20:], PLAIN[2], last)
    apart = [await answers_to(each) for each in (PLAIN[0], chunked, PLAIN[4], *PLAIN[1:3], last)]
    assert [each.partition(b"\r\n")[0] for each in apart] == [b"HTTP/1.1 200 "] * 6
    assert await answers_to(*talk) == b"".join(apart)
    assert await answers_to(b"".join(talk)) == b"".join(apart)


async def test_a_body_may_come_later_and_in_pieces(autojump_clock: MockClock) -> None:
    whole = PLAIN[4]
    answer = await answers_to(whole)
    assert b"b'hello'" in answer
    assert await answers_to(whole[:-5], whole[-5:-2], whole[-2:] + whole) == 2 * answer


@requirement("http.slow-client")
async def test_an_answer_before_the_body_says_that_the_connection_ends_and_ends_it(
    autojump_clock: MockClock,
) -> None:
    async def early(scope: Any, receive: Any, send: Any, *_: Any) -> None:
        head = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": b"ok", "more_body": False})

    async with client_of(early) as client:
        await client.send_all(PLAIN[4][:-1])
        received = b""
        with trio.fail_after(10):
            while more := await client.receive_some(65536):
                received += more
    assert received == b"HTTP/1.1 200 \r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"


@pytest.mark.parametrize(
    ("status", "headers", "received"),
    [
        (0, [], b"HTTP/1.1 500 \r\ncontent-length: 0\r\nconnection: close\r\n\r\n"),
        (200, [(b"content-length", b"3")], b"HTTP/1.1 200 \r\ncontent-length: 3\r\n\r\nok"),
        (
            200,
            [(b"x", b"a\r\nb: c"), (b"content-length", b"2")],
            b"HTTP/1.1 500 \r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        ),
    ],
)
async def test_an_answer_that_goes_wrong_ends_the_connection(
    autojump_clock: MockClock, status: int, headers: Any, received: bytes
) -> None:
    async def fails(scope: Any, receive: Any, send: Any, *_: Any) -> None:
        if not status:
            raise ZeroDivisionError
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok", "more_body": False})

    async with client_of(fails) as client:
        await client.send_all(PLAIN[0])
        got = b""
        with trio.fail_after(10):
            while more := await client.receive_some(65536):
                got += more
    assert got == received
