"""Events come out of bytes the same way, however the bytes were split."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runtime.problems import UpstreamLost
from transports.egress.sse_decoder import ServerEvent, SseDecoder


def decode(*chunks: bytes) -> list[ServerEvent]:
    decoder = SseDecoder()
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    return events + decoder.close()


@pytest.mark.parametrize(
    ("body", "events"),
    [
        (b"data: a\n\ndata: b\n\n", [("message", "a"), ("message", "b")]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [("message", "a"), ("message", "b")]),
        (b"data: a\r\rdata: b\r\r", [("message", "a"), ("message", "b")]),
        (b"\xef\xbb\xbfdata: a\n\n", [("message", "a")]),
        (b": comment\n\ndata: a\n: more\ndata: b\n\n", [("message", "a\nb")]),
        (b"event: error\ndata: {}\n\ndata: x\n\n", [("error", "{}"), ("message", "x")]),
        (b"data\n\n", [("message", "")]),
        (b"data:  two spaces\n\n", [("message", " two spaces")]),
        (b"event: lonely\n\n\n\ndata: a\n\n", [("message", "a")]),
        (b"id: 7\nretry: 10\nunknown: x\ndata: a\n\n", [("message", "a")]),
        (b"data: \xff\xfe\n\n", [("message", "\ufffd\ufffd")]),
        (b"data: no blank line\n", [("message", "no blank line")]),
        (b"data: a\n\ndata: no line end", [("message", "a"), ("message", "no line end")]),
        (b"", []),
    ],
)
def test_a_body_is_read_as_whatwg_says(body: bytes, events: list[tuple[str, str]]) -> None:
    assert decode(body) == [ServerEvent(name, data) for name, data in events]


LINES = st.sampled_from(
    [b"data: one", b"data:two", b"data", b"event: e", b": c", b"", b"\xef\xbb\xbfdata: x", b"x:y"]
)
ENDS = st.sampled_from([b"\n", b"\r", b"\r\n"])
BODIES = st.lists(st.tuples(LINES, ENDS), max_size=12).map(
    lambda pairs: b"".join(line + end for line, end in pairs)
)


@given(BODIES | st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=20))
@example(b"\xef\xbb\xbfdata: a\r\n\r\n", [1, 2, 11, 12, 13])
def test_any_split_gives_the_same_events(body: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    pieces = [body[start:end] for start, end in pairwise(edges)]
    assert decode(*pieces) == decode(body)


@given(BODIES)
def test_byte_by_byte_gives_the_same_events(body: bytes) -> None:
    assert decode(*(bytes([byte]) for byte in body)) == decode(body)


@pytest.mark.parametrize("body", [b"data: " + b"x" * 90, b"data: xxxxxxxx\n" * 9])
def test_an_event_past_the_bound_is_an_error(body: bytes) -> None:
    with pytest.raises(UpstreamLost):
        SseDecoder(size_bytes=64).feed(body)


def test_many_events_are_each_within_the_bound() -> None:
    assert len(SseDecoder(size_bytes=64).feed(b"data: xxxxxxxx\n\n" * 100)) == 100
