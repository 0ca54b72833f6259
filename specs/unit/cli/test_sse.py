"""Server-sent events are whole, in whatever pieces they come."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from transports.ingress.cli.sse import Frame, Frames

STREAM = (
    b"retry: 2000\n:   \n\nid: 0\n\n"
    b'id: 1\nevent: job.started\ndata: {"a": 1}\n\n'
    b": heartbeat\n\n"
    b"id: 2\r\nevent: item.delta\r\ndata: one\r\ndata: two\r\n\r\n"
    b"id: 3\revent: job.ended\rdata:three\r\r"
)
FRAMES = [
    Frame(id="1", event="job.started", data=b'{"a": 1}'),
    Frame(id="2", event="item.delta", data=b"one\ntwo"),
    Frame(id="3", event="job.ended", data=b"three"),
]


@given(st.lists(st.integers(0, len(STREAM)), max_size=20))
def test_any_pieces_of_a_stream_give_the_same_frames(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(STREAM)]
    frames = Frames()
    found = [frame for begin, end in pairwise(places) for frame in frames.feed(STREAM[begin:end])]
    assert found == FRAMES


def test_a_frame_without_its_blank_line_is_not_dispatched() -> None:
    frames = Frames()
    assert list(frames.feed(b"id: 7\nevent: item.delta\ndata: half")) == []
    assert frames.last_id == "7"


def test_an_event_without_a_name_is_a_message_and_an_id_lasts() -> None:
    frames = Frames()
    assert list(frames.feed(b"id: 4\ndata: a\n\ndata: b\n\n")) == [
        Frame(id="4", event="message", data=b"a"),
        Frame(id="4", event="message", data=b"b"),
    ]


def test_an_id_with_nul_is_left_out() -> None:
    frames = Frames()
    list(frames.feed(b"id: 1\nid: 2\0\n"))
    assert frames.last_id == "1"
