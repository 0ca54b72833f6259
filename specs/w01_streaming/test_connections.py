"""Clients that misbehave: too slow, too large, half gone; and clients that speak TLS and HTTP/2.

The bounds are the real ones, shortened where a spec would have to wait for them.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import h2.config
import h2.connection
import h2.events
import pytest
import trio

from harness.certificate import make_certificate
from runtime import limits
from specs.requirements import requirement
from specs.support import talk
from specs.support.server import Service, service
from specs.support.wire import line, receive_all, receive_until, request
from transports.ingress.http.server import HttpServer, listen, port_of, tls_context
from transports.ingress.http.wire import Bounds

SHORT = Bounds(stall_s=0.3, keep_alive_s=0.3, handshake_s=0.3, linger_s=0.3)
FAIR = Bounds(stall_s=3)  # a reader beside it in one process, which does read, is not cut
SSE = "Accept: text/event-stream"
BURST = {"count": 400, "size": 65_536}  # 25 MiB: more than any kernel buffers for one client


async def asked(running: Service, **options: object) -> tuple[str, str]:
    """Start a synthetic job; return its id and the header that authorizes."""
    client = await running.client()
    conversation = await talk.begin(client)
    job_id = await talk.asked(client, conversation, model="synthetic/tokens", options=options)
    return job_id, f"Authorization: {client.headers['Authorization']}"


def small_window(stream: trio.SocketStream) -> None:
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)


@requirement("sse.slow-reader", "sse.slow-reader-memory")
async def test_a_reader_that_takes_nothing_is_cut_and_its_cursor_stays_good() -> None:
    async with service(bounds=FAIR, wrap=lambda app: app) as running:
        job_id, authorization = await asked(running, **BURST)
        path = f"/api/jobs/{job_id}/events"
        async with line(running) as stream:
            small_window(stream)
            await stream.send_all(request(running, "GET", path, authorization, SSE))
            first = await receive_until(stream, b"\nid: 2\n")
            await running.cut.wait()
            seen = first + await receive_all(stream)
        last = int(seen.rpartition(b"\n\nid: ")[2].partition(b"\n")[0]) - 1
        client = await running.client()
        rest = await talk.follow(client, job_id, after=last)

    assert rest[0]["sequence"] == last + 1
    assert rest[-1]["kind"] == "job.ended"


@requirement("http.slow-client")
@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nA: b"])
async def test_a_header_that_does_not_come_ends_the_connection(sent: bytes) -> None:
    async with service(bounds=SHORT) as running, line(running) as stream:
        if sent:
            await stream.send_all(sent)
        with trio.fail_after(5):
            assert await receive_all(stream) == b""


@requirement("http.slow-client")
async def test_a_header_of_a_byte_at_a_time_holds_nothing_up() -> None:
    async with service(bounds=SHORT) as running, line(running) as stream:
        with trio.fail_after(5):
            async with trio.open_nursery() as nursery:

                async def dribble() -> None:
                    try:
                        while True:
                            await stream.send_all(b"G")
                            await trio.testing.wait_all_tasks_blocked(0.02)
                    except (trio.BrokenResourceError, trio.ClosedResourceError):
                        return

                nursery.start_soon(dribble)
                assert (await running.stranger().get("/api/health")).status_code == 200
                await receive_all(stream)
                nursery.cancel_scope.cancel()
        assert running.server.connections <= 1


@requirement("http.oversized-header")
@pytest.mark.parametrize("size", [17_000, 60_000, 300_000])
async def test_an_oversized_header_is_431_with_an_empty_body_and_a_close(size: int) -> None:
    async with service() as running, line(running) as stream:
        await stream.send_all(request(running, "GET", "/", "X: " + "x" * size))
        head, _, body = (await receive_all(stream)).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 431 ")
        assert b"connection: close" in head.lower()
        assert body == b""


@requirement("http.oversized-header")
@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
async def test_what_is_no_request_is_400_with_an_empty_body_and_a_close(sent: bytes) -> None:
    async with service() as running, line(running) as stream:
        await stream.send_all(sent)
        head, _, body = (await receive_all(stream)).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 ")
        assert b"connection: close" in head.lower()
        assert body == b""


async def test_a_body_that_stops_coming_does_not_keep_the_answer() -> None:
    async with service(bounds=SHORT) as running, line(running) as stream:
        headers = ("Content-Type: application/json", "Content-Length: 100")
        await stream.send_all(request(running, "POST", "/api/conversations", *headers) + b"{")
        with trio.fail_after(5):
            answer = await receive_all(stream)
        assert answer.startswith(b"HTTP/1.1 401 ")
        assert b"connection: close" in answer.lower()


async def test_a_connection_too_many_is_turned_away() -> None:
    async with service(connections_max=1) as running, line(running) as first:
        await first.send_all(request(running, "GET", "/api/health"))
        await receive_until(first, b'"status"')
        async with line(running) as second:
            answer = await receive_all(second)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 1\r\n" in answer


@requirement("http.too-large")
@pytest.mark.parametrize(
    ("size", "first"),
    [
        (limits.BODY_BYTES_MAX + 1, b"HTTP/1.1 413 "),
        (limits.BODY_BYTES_MAX, b"HTTP/1.1 100 "),
    ],
)
async def test_a_body_that_is_too_large_is_refused_before_it_is_asked_for(
    size: int, first: bytes
) -> None:
    async with service() as running, line(running) as stream:
        client = await running.client()
        authorization = f"Authorization: {client.headers['Authorization']}"
        said = (authorization, "Expect: 100-continue", f"Content-Length: {size}")
        path = "/api/conversations"
        await stream.send_all(request(running, "POST", path, *said))
        with trio.fail_after(5):
            answer = await receive_until(stream, b"\r\n\r\n")

        assert answer.startswith(first)
        assert answer.count(b"HTTP/1.1 ") == 1


async def test_a_websocket_where_there_is_none_is_refused() -> None:
    upgrade = (
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    )
    async with service() as running, line(running) as stream:
        await stream.send_all(request(running, "GET", "/api/events", *upgrade))
        answer = await receive_until(stream, b"}}")
        assert answer.startswith(b"HTTP/1.1 404 ")
        assert b'"code":"not_found"' in answer


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with service() as running, line(running) as stream:
        first, second = request(running, "GET", "/api/health"), request(running, "GET", "/nope")
        await stream.send_all(first + second)
        answers = await receive_until(stream, b"not-found")
        assert [part[:3] for part in answers.split(b"HTTP/1.1 ")[1:]] == [b"200", b"404"]


async def test_the_server_ends_in_time_with_a_reader_that_takes_nothing() -> None:
    async with service(wrap=lambda app: app) as running:
        job_id, authorization = await asked(running, **BURST)
        async with line(running) as stream:
            small_window(stream)
            path = f"/api/jobs/{job_id}/events"
            await stream.send_all(request(running, "GET", path, authorization, SSE))
            await receive_until(stream, b"\nid: 2\n")
            running.stop.set()
            with trio.fail_after(5):  # END_S, and a little on a busy machine
                await running.stopped.wait()
        assert running.services.readers.open == 0


@asynccontextmanager
async def over_tls(folder: Path, bounds: Bounds) -> AsyncIterator[tuple[Service, int, Path]]:
    """Put a TLS listener beside the plain one of a service."""
    certificate, key = make_certificate(folder)
    async with service(bounds=bounds, wrap=lambda app: app) as running:
        listeners = await listen("127.0.0.1", 0, tls_context(certificate, key))
        server = HttpServer(running.app, bounds=bounds, on_cut=running.note_cut)
        async with trio.open_nursery() as nursery:
            await nursery.start(server.serve, listeners, running.stop)
            yield running, port_of(listeners), certificate
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def tls_line(
    port: int, certificate: Path, protocol: str
) -> AsyncIterator[trio.SSLStream[Any]]:
    context = ssl.create_default_context(cafile=str(certificate))
    context.set_alpn_protocols([protocol])
    stream = await trio.open_ssl_over_tcp_stream(
        "localhost", port, ssl_context=context, https_compatible=True
    )
    try:
        await stream.do_handshake()
        assert stream.selected_alpn_protocol() == protocol
        yield stream
    finally:
        await trio.aclose_forcefully(stream)


class Http2:
    """A client of HTTP/2 that shows its windows, so that a spec can leave them shut."""

    def __init__(self, stream: trio.abc.Stream, port: int, scheme: str) -> None:
        self.stream, self.port, self.scheme = stream, port, scheme
        config = h2.config.H2Configuration(client_side=True, header_encoding="utf-8")
        self.connection = h2.connection.H2Connection(config)
        self.connection.initiate_connection()

    async def ask(self, path: str, authorization: str, *, method: str = "GET") -> int:
        number = self.connection.get_next_available_stream_id()
        headers = [
            (":method", method),
            (":path", path),
            (":scheme", self.scheme),
            (":authority", f"localhost:{self.port}"),
            ("authorization", authorization.partition(": ")[2]),
            ("accept", "text/event-stream, application/json;q=0.5"),
        ]
        self.connection.send_headers(number, headers, end_stream=method == "GET")
        await self.flush()
        return number

    async def flush(self) -> None:
        await self.stream.send_all(self.connection.data_to_send())

    async def receive(self) -> list[h2.events.Event]:
        data = await self.stream.receive_some(65536)
        assert data != b"", "the service closed the connection"
        return self.connection.receive_data(data)

    async def answer(self, number: int) -> tuple[str, bytes]:
        """Return status and body of a whole answer, giving the window back as it comes."""
        status, body = "", b""
        while True:
            for event in await self.receive():
                match event:
                    case h2.events.ResponseReceived(headers=headers):
                        status = str(dict(headers)[":status"])  # type: ignore[index]
                    case h2.events.DataReceived(data=data, stream_id=stream_id):
                        body += data or b""
                        self.connection.acknowledge_received_data(
                            event.flow_controlled_length or 0, stream_id or 0
                        )
                    case h2.events.StreamEnded(stream_id=ended) if ended == number:
                        return status, body
                    case _:
                        pass
            await self.flush()


@requirement("settings.tls")
async def test_tls_speaks_http_1_and_2(tmp_path: Path) -> None:
    async with over_tls(tmp_path, Bounds()) as (running, port, certificate):
        job_id, authorization = await asked(running, count=100)
        path = f"/api/jobs/{job_id}/events"
        async with tls_line(port, certificate, "http/1.1") as stream:
            ask = request(running, "GET", path, authorization, SSE, host=f"localhost:{port}")
            await stream.send_all(ask)
            plain = await receive_until(stream, b"0\r\n\r\n")
        async with tls_line(port, certificate, "h2") as stream:
            client = Http2(stream, port, "https")
            status, body = await client.answer(await client.ask(path, authorization))

    assert (status, plain[:15]) == ("200", b"HTTP/1.1 200 \r\n")
    assert (plain.count(b"event: item.delta"), body.count(b"event: item.delta")) == (100, 100)


async def test_http_2_goes_on_after_a_body_was_refused_half_way() -> None:
    async with service(wrap=lambda app: app) as running, line(running) as stream:
        _, authorization = await asked(running, count=1)
        client = Http2(stream, running.port, "http")
        posted = await client.ask("/api/conversations", "Authorization: Bearer no", method="POST")
        refused = await client.answer(posted)
        client.connection.send_data(posted, b"{}")  # it was on its way
        await client.flush()
        after = await client.answer(await client.ask("/api/session", authorization))

    assert (refused[0], after[0]) == ("401", "200")


async def test_an_http_2_reader_that_opens_no_window_is_cut_alone() -> None:
    async with service(bounds=SHORT, wrap=lambda app: app) as running, line(running) as stream:
        job_id, authorization = await asked(running, count=20, size=65_536)
        client = Http2(stream, running.port, "http")
        stuck = await client.ask(f"/api/jobs/{job_id}/events", authorization)
        reset: list[int | None] = []
        while not reset:
            events = await client.receive()
            reset += [each.stream_id for each in events if isinstance(each, h2.events.StreamReset)]
        assert reset == [stuck]
        assert running.services.metrics.readers_cut_total.value() == 1
        client.connection.increment_flow_control_window(1024 * 1024)
        assert (await client.answer(await client.ask("/api/session", authorization)))[0] == "200"


async def test_a_tls_reader_that_takes_nothing_is_cut(tmp_path: Path) -> None:
    async with over_tls(tmp_path, SHORT) as (running, port, certificate):
        job_id, authorization = await asked(running, **BURST)
        path = f"/api/jobs/{job_id}/events"
        ask = request(running, "GET", path, authorization, SSE, host=f"localhost:{port}")
        async with tls_line(port, certificate, "http/1.1") as stream:
            await stream.send_all(ask)
            await running.cut.wait()
        assert running.services.metrics.readers_cut_total.value() == 1


async def test_a_handshake_that_does_not_come_ends_the_connection(tmp_path: Path) -> None:
    async with (
        over_tls(tmp_path, SHORT) as (running, port, _),
        line(running, port) as stream,
    ):
        with trio.fail_after(5):
            assert await receive_all(stream) == b""
