"""Segments, pages and the shared tail: no event twice, none left out, all within bounds."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Sequence

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from runtime import limits
from runtime.hub import Hub
from runtime.log import Head, Record, Segment, Subscription, Tail, cost_bytes, page

MANY = 10**9


def segment(first: int, count: int = 1, size: int = 10, end: str = "part") -> Segment:
    kinds = ["part"] * (count - 1) + [end]
    return Segment([Record(first + n, kind, b"x" * size) for n, kind in enumerate(kinds)])


def sequences(segments: Sequence[Segment]) -> list[int]:
    return [record.sequence for each in segments for record in each.records]


def test_a_segment_knows_its_ends_and_its_size() -> None:
    three = segment(5, 3)

    assert (three.first, three.last, three.size_bytes) == (5, 7, 30)


def test_what_follows_a_cursor_is_the_rest_or_the_segment_itself() -> None:
    three = segment(5, 3)

    assert three.after(4) is three
    assert sequences([three.after(5)]) == [6, 7]


def test_a_segment_is_rendered_once_for_all_readers() -> None:
    calls: list[int] = []

    def encode(record: Record) -> bytes:
        calls.append(record.sequence)
        return b"%d;" % record.sequence

    three = segment(5, 3)

    assert [three.render(encode), three.render(encode)] == [b"5;6;7;", b"5;6;7;"]
    assert calls == [5, 6, 7]


@given(
    counts=st.lists(st.integers(1, 5), min_size=1, max_size=10),
    start=st.integers(0, 50),
    limit=st.integers(1, 20),
    size_bytes=st.integers(1, 200),
)
def test_page_after_page_reads_everything_once_in_order(
    counts: list[int], start: int, limit: int, size_bytes: int
) -> None:
    segments, first = list[Segment](), 1
    for count in counts:
        segments.append(segment(first, count))
        first += count
    start = min(start, first - 1)
    cursor, read = start, list[int]()
    while left := [each for each in segments if each.last > cursor]:
        found = sequences(page(left, cursor, limit, size_bytes))
        assert 1 <= len(found) <= limit
        cursor = found[-1]
        read += found

    assert read == list(range(start + 1, first))


def test_the_tail_answers_for_what_it_holds_and_says_when_it_cannot_tell() -> None:
    tail = Tail()
    tail.add("a", segment(3, 2))
    tail.add("a", segment(5, 1))

    def read(after: int) -> list[int] | None:
        found = tail.read("a", after, MANY, MANY)
        return None if found is None else sequences(found)

    assert [read(2), read(3), read(5)] == [[3, 4, 5], [4, 5], []]
    assert [read(1), read(6)] == [None, None]
    assert tail.read("b", 0, MANY, MANY) is None


def test_the_tail_is_read_from_any_place_to_its_end() -> None:
    tail = Tail(MANY, MANY)
    for first in (1, 2, 3, 5, 8):
        tail.add("a", segment(first, 3 if first == 5 else 2 if first == 3 else 1))

    found = [sequences(tail.read("a", after, MANY, MANY) or []) for after in range(8)]

    assert found == [list(range(after + 1, 9)) for after in range(8)]


def test_a_hole_empties_the_tail_of_what_came_before_it() -> None:
    tail = Tail()
    tail.add("a", segment(1))
    tail.add("a", segment(3))

    assert tail.read("a", 0, MANY, MANY) is None
    assert sequences(tail.read("a", 2, MANY, MANY) or []) == [3]


def test_a_stream_keeps_its_newest_within_its_bound() -> None:
    tail = Tail(stream_bytes=3 * cost_bytes(segment(1)))
    for sequence in range(1, 11):
        tail.add("a", segment(sequence))

    assert tail.read("a", 6, MANY, MANY) is None
    assert sequences(tail.read("a", 7, MANY, MANY) or []) == [8, 9, 10]


def test_all_streams_together_keep_the_latest_written_within_the_bound() -> None:
    tail = Tail(total_bytes=3 * cost_bytes(segment(1)))
    for stream in ("a", "b", "c"):
        tail.add(stream, segment(1))
    tail.add("a", segment(2))  # b is now the longest unwritten

    assert tail.read("b", 0, MANY, MANY) is None
    assert sequences(tail.read("a", 0, MANY, MANY) or []) == [1, 2]
    assert sequences(tail.read("c", 0, MANY, MANY) or []) == [1]


def test_a_commit_of_many_bytes_is_kept_in_pages_that_all_readers_share() -> None:
    tail = Tail(MANY, MANY)
    many = segment(1, 100, size=limits.PAGE_BYTES // 10)

    tail.add("a", many)
    tail.add("a", segment(101, size=3 * limits.PAGE_BYTES))

    first, again = (tail.read("a", 0, MANY, 1) or [] for _ in range(2))
    assert sequences(first) == list(range(1, 11))
    assert [each is same for each, same in zip(first, again, strict=True)] == [True]
    assert sequences(tail.read("a", 0, MANY, MANY) or []) == list(range(1, 102))
    assert [len(each.records) for each in many.pieces(MANY)] == [100]


def test_one_segment_larger_than_the_bound_is_still_shared() -> None:
    tail = Tail(stream_bytes=30, total_bytes=30)
    tail.add("a", segment(1, size=1000))

    assert sequences(tail.read("a", 0, MANY, MANY) or []) == [1]


class OneStream:
    """A log in memory, of one stream."""

    def __init__(self) -> None:
        self.segments: list[Segment] = []

    def head(self, stream: str) -> Head | None:
        return Head(sequence=self.segments[-1].last, ended=False) if self.segments else None

    def read(self, stream: str, *, after: int, limit: int = 2) -> list[Segment]:
        return page([each for each in self.segments if each.last > after], after, limit, MANY)

    def remember(self, stream: str, segment: Segment) -> None:
        self.segments.append(segment)


@pytest.mark.parametrize("after", [0, 1, 4, 9])
async def test_a_subscription_reads_on_from_its_cursor_to_the_end(
    after: int, autojump_clock: trio.testing.MockClock
) -> None:
    log, hub, seen = OneStream(), Hub(), list[int]()
    log.remember("a", segment(1, 5))

    async def follow() -> None:
        subscription = Subscription(log, hub, "a", after=after, terminal="end")
        while not subscription.ended:
            found = subscription.read()
            seen.extend(sequences(found))
            if not found:
                await subscription.wait()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(follow)
        for first in (6, 8):
            await trio.testing.wait_all_tasks_blocked()
            log.remember("a", segment(first, 2))
            hub.announce("a")
        await trio.testing.wait_all_tasks_blocked()
        log.remember("a", segment(10, end="end"))
        hub.announce("a")

    assert seen == list(range(after + 1, 11))


async def test_who_comes_back_to_a_long_log_is_given_a_little_first() -> None:
    log = OneStream()
    log.remember("a", segment(1, 3000))
    subscription = Subscription(log, Hub(), "a", after=20, terminal="end")

    reads = [sequences(subscription.read()) for _ in range(11)]

    assert [len(each) for each in reads] == [4, 8, 16, 32, 64, 128, 256, 512, 1000, 960, 0]
    assert [number for each in reads for number in each] == list(range(21, 3001))


def test_a_kept_segment_is_counted_with_all_the_memory_it_takes() -> None:
    def made(count: int) -> list[Segment]:
        return [segment(1, 1, size=200) for _ in range(count)]

    def sent(record: Record) -> bytes:
        return b"data: " + record.body

    gc.collect()
    tracemalloc.start()
    try:
        kept = made(1000)
        for each in kept:
            each.render(sent)
        gc.collect()
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    counted = sum(map(cost_bytes, kept))
    assert 0.7 * taken < counted < 1.6 * taken
