"""Frames of a stream, and what an open reader does in the course of time."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

import trio
from trio.testing import MockClock

from runtime import limits
from runtime.caller import Caller
from runtime.events import ItemDelta, records
from runtime.log import Subscription
from runtime.problems import Unauthenticated
from runtime.telemetry import Metrics
from specs.requirements import requirement
from specs.unit.http.story import STREAM, Story
from transports.ingress.http import sse
from transports.ingress.http.following import HEARTBEAT
from transports.ingress.http.readers import Readers

ANN = Caller(tenant="local", user="ann")


async def always() -> None:
    """The caller may read."""


def reader_of(
    story: Story,
    readers: Readers | None = None,
    *,
    after: int = 0,
    permitted: Callable[[], Awaitable[None]] = always,
) -> sse.Reader:
    terminal = "job.ended"
    subscription = Subscription(story, story.hub, STREAM, after=after, terminal=terminal)
    return sse.Reader(
        caller=ANN,
        follows=[(subscription, sse.frame)],
        hub=story.hub,
        readers=readers or Readers(Metrics()),
        permitted=permitted,
        first=sse.opening(after),
    )


def test_a_frame_is_id_event_and_the_stored_bytes() -> None:
    [kept] = records(6, [ItemDelta(item_id="item_1", text="a\nb\u2028")], 0)
    assert sse.frame(kept) == b"id: 7\nevent: item.delta\ndata: " + kept.body + b"\n\n"
    assert kept.body.count(b"\n") == 0


def test_a_frame_of_a_feed_names_its_stream_and_has_no_id() -> None:
    [kept] = records(6, [ItemDelta(item_id="item_1", text="hi")], 0)
    first, second, *rest = sse.FeedFrame(STREAM)(kept).split(b"\n")
    assert (first, rest) == (b"event: item.delta", [b"", b""])
    told = json.loads(second.removeprefix(b"data: "))
    assert told == {"stream": STREAM, "event": json.loads(kept.body)}


def test_a_stream_opens_with_retry_two_kilobytes_and_a_bare_cursor() -> None:
    retry, comment, blank, cursor, *rest = sse.opening(12).split(b"\n")
    assert retry == b"retry: %d" % limits.RETRY_MS
    assert comment[:1] == b":"
    assert len(comment) == 1 + 2048
    assert (blank, cursor, rest) == (b"", b"id: 12", [b"", b""])


async def test_all_that_is_pending_goes_out_in_one_part(autojump_clock: MockClock) -> None:
    story = Story()
    story.say("a", "b")
    story.say("c")
    reader = reader_of(story)
    assert (await anext(reader)).count(b"\nid: ") == 4  # the cursor and three events
    story.say("d", "e")
    assert (await anext(reader)).count(b"event: item.delta") == 2


async def test_a_reader_is_greeted_before_there_is_anything(autojump_clock: MockClock) -> None:
    assert await anext(reader_of(Story())) == sse.opening(0)


async def test_a_page_is_bounded_and_nothing_between_two_is_lost(
    autojump_clock: MockClock,
) -> None:
    story = Story()
    for _ in range(12):
        story.say("x" * 20_000)
    story.end()
    parts = [part async for part in reader_of(story)]
    assert max(map(len, parts)) < limits.PAGE_BYTES + 25_000
    ids = [line for line in b"".join(parts).split(b"\n") if line.startswith(b"id: ")]
    assert ids == [b"id: %d" % n for n in range(14)]


async def test_a_large_first_page_is_the_same_bytes_for_all_who_take_it_slowly(
    autojump_clock: MockClock,
) -> None:
    story = Story()
    story.say("x" * limits.PAGE_BYTES)
    slow, slower = reader_of(story), reader_of(story)
    assert [await anext(slow), await anext(slower)] == [sse.opening(0)] * 2
    page, same = await anext(slow), await anext(slower)
    assert page.startswith(b"id: 1\nevent: item.delta\n")
    assert page is same


async def test_a_large_last_page_follows_its_greeting(autojump_clock: MockClock) -> None:
    story = Story()
    story.say("x" * limits.PAGE_BYTES)
    story.end()
    parts = [part async for part in reader_of(story)]
    assert parts[0] == sse.opening(0)
    ids = [line for line in b"".join(parts).split(b"\n") if line.startswith(b"id: ")]
    assert ids == [b"id: 0", b"id: 1", b"id: 2"]


async def test_between_two_pages_others_have_a_turn(autojump_clock: MockClock) -> None:
    story, turns = Story(), [0]
    for _ in range(12):
        story.say("x" * 70_000)
    story.end()

    async def other() -> None:
        while True:
            await trio.lowlevel.checkpoint()
            turns[0] += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(other)
        pages = [part async for part in reader_of(story)]
        nursery.cancel_scope.cancel()
    assert len(pages) == 14  # a greeting, twelve pages and the end
    assert turns[0] > 5  # about one a page; which of two tasks goes first is chance


@requirement("sse.heartbeat")
async def test_a_silent_stream_carries_a_comment_every_15_s(autojump_clock: MockClock) -> None:
    reader = reader_of(Story())
    await anext(reader)
    for due_s in (15, 30):
        assert await anext(reader) == HEARTBEAT
        assert round(trio.current_time(), 3) == due_s


async def test_the_silence_before_a_heartbeat_begins_anew_with_each_event(
    autojump_clock: MockClock,
) -> None:
    busy, quiet, readers = Story(), Story(), Readers(Metrics())
    said: list[tuple[str, bool, float]] = []

    async def follow(name: str, story: Story) -> None:
        async for part in reader_of(story, readers):
            said.append(  # noqa: PERF401  it has no end
                (name, part == HEARTBEAT, round(trio.current_time(), 3))
            )

    async with trio.open_nursery() as nursery:
        nursery.start_soon(follow, "busy", busy)
        nursery.start_soon(follow, "quiet", quiet)
        await trio.sleep(10)
        busy.say("a")
        await trio.sleep(16)
        nursery.cancel_scope.cancel()
    assert said[2:] == [("busy", False, 10), ("quiet", True, 15), ("busy", True, 25)]


async def test_another_look_at_the_readers_right_breaks_no_silence(
    autojump_clock: MockClock,
) -> None:
    story, heard = Story(), list[float]()

    async def follow() -> None:
        async for part in reader_of(story):
            heard.extend([round(trio.current_time(), 3)] * (part == HEARTBEAT))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(follow)
        await trio.sleep(5)
        story.say("a")
        await trio.sleep(limits.RECHECK_S + 6)
        nursery.cancel_scope.cancel()
    assert heard == [20, 35, 50]


async def test_who_has_left_is_told_of_no_silence(autojump_clock: MockClock) -> None:
    readers = Readers(Metrics())
    for _ in range(2):  # the second comes when nobody watches the time any more
        with trio.move_on_after(20) as leaving:
            parts = [part async for part in reader_of(Story(), readers)]
            assert parts == []
        assert leaving.cancelled_caught is True
        await trio.sleep(60)
    assert (readers._timed, readers._moments, readers._watching) == ({}, [], None)


async def test_the_stream_ends_after_the_terminal_event(autojump_clock: MockClock) -> None:
    story = Story()
    story.end()
    parts = [part async for part in reader_of(story)]
    assert len(parts) == 1


@requirement("sse.revoked")
async def test_a_revoked_reader_is_let_go_within_60_s(autojump_clock: MockClock) -> None:
    async def revoked() -> None:
        raise Unauthenticated("gone")

    parts = [part async for part in reader_of(Story(), permitted=revoked)]
    assert parts[1:] == [HEARTBEAT] * 3
    assert trio.current_time() <= 60


async def test_a_reader_that_is_never_idle_is_looked_at_as_well(
    autojump_clock: MockClock,
) -> None:
    asked: list[float] = []

    async def permitted() -> None:
        asked.append(trio.current_time())

    story = Story()
    reader = reader_of(story, permitted=permitted)
    for _ in range(130):
        story.say("x")
        await anext(reader)
        await trio.sleep(1)
    assert len(asked) == 2


async def test_a_stop_wakes_and_ends_a_reader_that_waits(autojump_clock: MockClock) -> None:
    readers = Readers(Metrics())
    parts: list[bytes] = []

    async def follow(task_status: trio.TaskStatus[None]) -> None:
        async with reader_of(Story(), readers) as reader:
            task_status.started()
            parts.extend([part async for part in reader])

    async with trio.open_nursery() as nursery:
        await nursery.start(follow)
        await trio.testing.wait_all_tasks_blocked()
        assert readers.open == 1
        readers.drain()
    assert parts == [sse.opening(0), sse.RETRY]
    assert (readers.open, trio.current_time()) == (0, 0)


async def test_who_comes_while_the_service_stops_gets_what_there_is(
    autojump_clock: MockClock,
) -> None:
    readers = Readers(Metrics())
    readers.drain()
    story = Story()
    story.say("a")
    parts = [part async for part in reader_of(story, readers)]
    assert b"".join(parts).count(b"event: item.delta") == 1
    assert parts[-1] == sse.RETRY


async def test_a_thousand_readers_share_one_rendering(autojump_clock: MockClock) -> None:
    story = Story()
    story.say("a")
    readers = [reader_of(story) for _ in range(1000)]
    for reader in readers:
        await anext(reader)
    assert len(story.segments[0]._rendered) == 1
    story.say("b")
    first, second = await anext(readers[0]), await anext(readers[1])
    assert first is second
