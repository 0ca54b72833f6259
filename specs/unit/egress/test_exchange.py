"""One connection outward: what is written, what is read as h11 reads it, and when it is kept."""

from __future__ import annotations

from collections.abc import AsyncIterator

import h11
import httpx2
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from runtime import limits
from specs.unit.egress.small_server import serving, whole
from transports.egress import guard
from transports.egress.connection import Client
from transports.egress.exchange import read
from transports.egress.guard import Reach

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"


class Peer:
    """Answers each request on a connection with the next of the given pieces, and remembers."""

    def __init__(self, nursery: trio.Nursery, *answers: tuple[bytes, ...]) -> None:
        self.answers, self.nursery = list(answers), nursery
        self.asked: list[bytes] = []
        self.dialled = 0

    async def dial(self, host: str, port: int) -> trio.abc.Stream:
        self.dialled += 1
        ours, theirs = trio.testing.memory_stream_pair()
        self.nursery.start_soon(self.talk, theirs)
        return ours

    async def talk(self, stream: trio.abc.Stream) -> None:
        while asked := await stream.receive_some(limits.EGRESS_HEAD_BYTES):
            self.asked.append(bytes(asked))
            for piece in self.answers.pop(0):
                await stream.send_all(piece)
            if not self.answers:
                await stream.aclose()
                return

    def client(self) -> Client:
        reach = Reach(exempt=frozenset({("n.test", 80)}), dial=self.dial)
        return guard.client(reach, base_url="http://n.test")


async def told(*pieces: bytes) -> tuple[int, bytes]:
    """Return what a client makes of an answer that comes in these pieces."""
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery, Peer(nursery, pieces).client() as client:
            answer = await client.get("/")
            return answer.status_code, answer.content


def by_h11(head: bytes) -> tuple[int, bytes, list[tuple[bytes, bytes]]] | None:
    """Return what h11 reads in the head of an answer, None where it refuses it."""
    http = h11.Connection(h11.CLIENT)
    http.send(h11.Request(method="GET", target="/", headers=[("host", "x")]))
    http.receive_data(head)
    try:
        event = http.next_event()
    except h11.RemoteProtocolError:
        return None
    assert isinstance(event, h11.Response)
    return event.status_code, event.reason, event.headers.raw_items()


names = st.sampled_from([b"Content-Type", b"x-a", b"Connection", b"Content-Length", b"Upgrade"])
values = st.one_of(st.sampled_from([b"5", b"keep-alive", b"close", b""]), st.binary(max_size=6))
spaces = st.sampled_from([b"", b" ", b"\t "])


@given(
    status=st.sampled_from([b"200", b"204", b"404", b"599", b"99"]),
    reason=st.sampled_from([b" OK", b" ", b"", b" N\xe9", b" a\x00"]),
    fields=st.lists(st.tuples(names, spaces, values, spaces), max_size=4),
)
def test_a_head_is_read_as_h11_reads_it_or_not_at_all(
    status: bytes, reason: bytes, fields: list[tuple[bytes, bytes, bytes, bytes]]
) -> None:
    lines = b"".join(b"%b:%b%b%b\r\n" % field for field in fields)
    head = b"HTTP/1.1 %b%b\r\nContent-Length: 3\r\n%b\r\n" % (status, reason, lines)
    if (found := read(head)) is not None:
        assert (found.status, found.reason, found.headers) == by_h11(head)
        assert found.length == 3


def test_a_plain_head_is_read_here() -> None:
    found = read(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nX-A: b c\r\n\r\n")
    assert found is not None
    assert (found.status, found.reason, found.length) == (200, b"OK", 12)
    assert found.headers == [(b"Content-Length", b"12"), (b"X-A", b"b c")]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 37, 1000])
@pytest.mark.parametrize("answer", [HELLO, CHUNKS], ids=["plain", "chunks"])
async def test_an_answer_is_the_same_however_its_bytes_come(answer: bytes, size: int) -> None:
    pieces = [answer[at : at + size] for at in range(0, len(answer), size)]
    assert await told(*pieces) == (200, b"hello")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + HELLO,
        b"HTTP/1.0 200 OK\r\n\r\nhello",
        b"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
        b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    ],
    ids=["interim", "until its end", "no reason", "bare lines", "folded", "length told twice"],
)
async def test_what_is_not_plain_is_an_answer_too(answer: bytes) -> None:
    assert await told(answer) == (200, b"hello")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 101 Over\r\nUpgrade: x\r\n\r\n",
        b"hello there\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * limits.EGRESS_HEAD_BYTES,
    ],
    ids=["nothing", "half a head", "half a body", "two lengths", "over", "no head", "too long"],
)
async def test_what_is_no_answer_is_an_error(answer: bytes) -> None:
    with pytest.RaisesGroup(httpx2.RemoteProtocolError):
        await told(answer)


async def test_a_connection_is_kept_for_the_next_request_whatever_reads_its_answer() -> None:
    async with trio.open_nursery() as nursery:
        peer = Peer(nursery, (HELLO,), (CHUNKS,), (HELLO,))
        async with peer.client() as client:
            found = [(await client.get("/")).text for _ in range(3)]
    assert (found, peer.dialled) == (["hello"] * 3, 1)


@pytest.mark.parametrize(
    "answer",
    [HELLO + b"more", HELLO.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")],
    ids=["more than was asked", "it closes"],
)
async def test_a_connection_is_not_kept_behind_such_an_answer(answer: bytes) -> None:
    async with trio.open_nursery() as nursery:
        peer = Peer(nursery, (answer,), (HELLO,), (HELLO,))
        async with peer.client() as client:
            found = [(await client.get("/")).text for _ in range(2)]
            assert (found, peer.dialled) == (["hello"] * 2, 2)


async def test_a_connection_that_its_peer_has_left_is_not_taken_again() -> None:
    async with serving(lambda _: whole(b"hello", "Keep-Alive: none")) as server:
        reach = Reach(exempt=frozenset({("127.0.0.1", server.port)}))
        async with guard.client(reach) as client:
            await client.get(server.url)
            for connection in tuple(client._transport._pool._open):  # type: ignore[attr-defined]
                await connection.stream.send_eof()  # its peer sees the end, and leaves too
                while not connection.is_left:
                    await trio.lowlevel.checkpoint()
            assert (await client.get(server.url)).text == "hello"
        assert server.connections == 2


async def test_a_connection_that_rested_too_long_is_not_taken_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with trio.open_nursery() as nursery:
        peer = Peer(nursery, (HELLO,), (HELLO,), (HELLO,))
        async with peer.client() as client:
            for pause_s in (limits.UPSTREAM_KEPT_S - 1, limits.UPSTREAM_KEPT_S, 0):
                await client.get("/")
                await trio.sleep(pause_s)
    assert (peer.dialled, len(peer.asked)) == (2, 3)


async def test_a_head_and_its_body_are_one_write() -> None:
    async with trio.open_nursery() as nursery:
        peer = Peer(nursery, (HELLO,))
        async with peer.client() as client:
            await client.post("/x?y=1", content=b"words")
    head, _, body = peer.asked[0].partition(b"\r\n\r\n")
    assert (head.split(b"\r\n")[0], body) == (b"POST /x?y=1 HTTP/1.1", b"words")


@pytest.mark.parametrize("value", ["a\r\nX: b", "a\nb", "a\0"])
async def test_a_header_cannot_bring_another_one(value: str) -> None:
    async with trio.open_nursery() as nursery:
        peer = Peer(nursery, (HELLO,))
        async with peer.client() as client:
            with pytest.raises(httpx2.LocalProtocolError):
                await client.get("/", headers={"X-A": value})
        assert peer.asked == []
        nursery.cancel_scope.cancel()


async def test_a_body_of_unknown_length_goes_out_in_chunks() -> None:
    async with trio.open_nursery() as nursery:
        peer = Peer(nursery, (HELLO,))

        async def pieces() -> AsyncIterator[bytes]:
            yield b"one"
            yield b""
            yield b"two"

        async with peer.client() as client:
            await client.post("/", content=pieces())
    assert peer.asked[0].endswith(b"\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")
