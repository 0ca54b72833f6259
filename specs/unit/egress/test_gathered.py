"""The chunks of one read become one chunk, and h11 reads the same body from them."""

from __future__ import annotations

import h11
import httpcore2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transports.egress.gathered import Gathered

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n3\r\nabc\r\n0\r\n\r\n"


def read(pieces: list[bytes]) -> tuple[bytes, int, bool]:
    """Return the body that h11 reads, in how many events, and whether it ended."""
    http, gathered = h11.Connection(h11.CLIENT), Gathered()
    http.send(h11.Request(method="GET", target="/", headers=[("host", "a")]))
    http.send(h11.EndOfMessage())
    body, events, ended = b"", 0, False
    for piece in pieces:
        if told := gathered.take(piece):
            http.receive_data(told)
        while not ended and (event := http.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
            if isinstance(event, h11.Data):
                body, events = body + bytes(event.data), events + 1
            ended = isinstance(event, h11.EndOfMessage)
    return body, events, ended


def chunked(payloads: list[bytes], end: bytes = b"0\r\n\r\n") -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in payloads) + end


def split(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@given(
    payloads=st.lists(st.binary(min_size=1, max_size=40), max_size=12),
    size=st.integers(1, 60),
    head=st.sampled_from([HEAD, b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n" + HEAD]),
    end=st.sampled_from([b"0\r\n\r\n", b"0\r\nDigest: x\r\n\r\n"]),
)
def test_h11_reads_the_same_body_however_the_bytes_come(
    payloads: list[bytes], size: int, head: bytes, end: bytes
) -> None:
    body, _, ended = read(split(head + chunked(payloads, end), size))
    assert (body, ended) == (b"".join(payloads), True)


def test_a_hundred_chunks_of_one_read_are_one() -> None:
    body = [b"data: word\n\n"] * 100
    assert read([HEAD + chunked(body)]) == (b"".join(body), 1, True)


def test_what_has_come_of_a_chunk_is_passed_on_before_the_rest() -> None:
    gathered = Gathered()
    assert gathered.take(HEAD + b"64\r\ndata: ha") == HEAD + b"8\r\ndata: ha\r\n"
    assert gathered.take(b"lf") == b"2\r\nlf\r\n"


def test_a_body_that_ends_too_early_stays_without_an_end() -> None:
    assert read([HEAD + chunked([b"abc"], b"")]) == (b"abc", 1, False)


@pytest.mark.parametrize(
    "data",
    [PLAIN, b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"],
    ids=["a body of known length", "an older version"],
)
def test_other_bodies_are_left_alone(data: bytes) -> None:
    assert Gathered().take(data) == data


@pytest.mark.parametrize("bad", [b"x\r\nabc\r\n", b"3;a=b\r\nabc\r\n", b"\r\nabc"])
def test_what_is_not_understood_is_left_for_h11_to_judge(bad: bytes) -> None:
    gathered = Gathered()
    assert gathered.take(HEAD + b"3\r\nabc\r\n" + bad) == HEAD + b"3\r\nabc\r\n" + bad
    assert gathered.take(b"4\r\nmore\r\n") == b"4\r\nmore\r\n"


def test_a_chunk_longer_than_it_said_is_an_error() -> None:
    with pytest.raises(httpcore2.RemoteProtocolError, match="longer"):
        Gathered().take(HEAD + b"3\r\nabcd\r\n")


def test_the_next_response_of_the_connection_begins_anew() -> None:
    gathered = Gathered()
    gathered.take(HEAD + chunked([b"abc"]))
    gathered.begin()
    assert gathered.take(PLAIN) == PLAIN
