"""Readers that have caught up, carried together: every byte once, whatever a socket takes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import chain, pairwise, repeat
from random import Random
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from runtime import limits
from runtime.log import Segment, Subscription
from runtime.problems import LogCorrupt, Unauthenticated
from runtime.telemetry import Metrics
from specs.unit.http.story import STREAM, Story
from specs.unit.http.test_sse import ANN, always
from transports.ingress.http import sse
from transports.ingress.http.following import HEARTBEAT
from transports.ingress.http.line import Line
from transports.ingress.http.readers import Readers


class Socket:
    """What a client of a plain connection gets; at once it takes so many bytes, in turn."""

    def __init__(self, *takes: int) -> None:
        self.raw, self.pumped, self.slow = b"", 0, 0
        self._takes = chain(takes, repeat(1 << 20))
        self.line = Line(self._send, self._write, self._write_now)

    async def _send(self, message: Any) -> None:
        raise AssertionError(message)

    async def _write(self, data: bytes | memoryview) -> None:
        await trio.lowlevel.checkpoint()
        self.slow += isinstance(data, memoryview)
        self.raw += bytes(data)

    def _write_now(self, data: bytes) -> int:
        taken = data[: next(self._takes)]
        self.raw += taken
        self.pumped += 1
        return len(taken)

    @property
    def body(self) -> bytes:
        """What came, out of its chunks, which must be whole."""
        rest, parts = self.raw, []
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            part, rest = rest[: int(size, 16)], rest[int(size, 16) :]
            assert rest[:2] == b"\r\n"
            parts.append(part)
            rest = rest[2:]
        return b"".join(parts)


class Crowd:
    """Readers of one story, each on a socket of its own."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.story, self.readers = Story(), Readers(Metrics())
        self._nursery = nursery

    async def follow(
        self,
        socket: Socket,
        permitted: Callable[[], Awaitable[None]] = always,
        *,
        plain: bool = True,
    ) -> trio.CancelScope:
        """Open a reader, and return what ends it as a client does that leaves."""
        leaving = trio.CancelScope()
        self._nursery.start_soon(self._run, socket, permitted, plain, leaving)
        await wait_all_tasks_blocked()
        return leaving

    async def _run(
        self,
        socket: Socket,
        permitted: Callable[[], Awaitable[None]],
        plain: bool,
        leaving: trio.CancelScope,
    ) -> None:
        subscription = Subscription(
            self.story, self.story.hub, STREAM, after=0, terminal="job.ended"
        )
        reader = sse.Reader(
            caller=ANN,
            follows=[(subscription, sse.frame)],
            hub=self.story.hub,
            readers=self.readers,
            permitted=permitted,
            first=sse.opening(0),
        )
        line = socket.line
        reader.line = line if plain else Line(line.send, line.write, None)
        with leaving:
            async with reader:
                async for part in reader:
                    await line.write(b"%x\r\n%b\r\n" % (len(part), part))

    async def tell(self, *texts: str) -> None:
        """Append, and let it come to everybody."""
        self.story.say(*texts)
        await wait_all_tasks_blocked()

    @property
    def told(self) -> bytes:
        """All that a reader from the start has been sent by now."""
        return sse.opening(0) + b"".join([each.render(sse.frame) for each in self.story.segments])


@asynccontextmanager
async def crowd() -> Any:
    with trio.fail_after(200):
        async with trio.open_nursery() as nursery:
            yield Crowd(nursery)
            nursery.cancel_scope.cancel()


async def test_those_who_have_caught_up_are_sent_an_event_by_one_task(
    autojump_clock: MockClock,
) -> None:
    async with crowd() as all_of_them:
        sockets = [Socket() for _ in range(3)]
        for each in sockets:
            await all_of_them.follow(each)
        await all_of_them.tell("a")  # the first has waited alone, and boards now
        await all_of_them.tell("b", "c")
        await all_of_them.tell("d")
        assert [each.pumped for each in sockets] == [2, 3, 3]
        assert [each.body for each in sockets] == [all_of_them.told] * 3


async def test_who_follows_alone_and_who_has_no_plain_socket_goes_by_itself(
    autojump_clock: MockClock,
) -> None:
    async with crowd() as all_of_them:
        alone, apart = Socket(), Socket()
        await all_of_them.follow(alone)
        await all_of_them.follow(apart, plain=False)
        await all_of_them.tell("a")
        await all_of_them.tell("b")
        assert (alone.pumped, apart.pumped) == (0, 0)
        assert (alone.body, apart.body) == (all_of_them.told, all_of_them.told)


@pytest.mark.parametrize("taken", [0, 1, 2, 3, 4, 5, 50, 90])
async def test_a_socket_that_takes_some_bytes_gets_the_rest_once(
    autojump_clock: MockClock, taken: int
) -> None:
    async with crowd() as all_of_them:
        quick, slow = Socket(), Socket(*[taken] * 4)
        for each in (quick, slow):
            await all_of_them.follow(each)
        for text in "abcdefgh":
            await all_of_them.tell(text)
        assert slow.slow == 4
        assert (quick.body, slow.body) == (all_of_them.told, all_of_them.told)


@pytest.mark.parametrize("seed", range(30))
async def test_whatever_sockets_take_each_gets_every_byte_once_to_the_end(
    autojump_clock: MockClock, seed: int
) -> None:
    chance = Random(seed)  # noqa: S311  each case is made again from its number
    async with crowd() as all_of_them:
        sockets: list[Socket] = []
        for _ in range(60):
            if chance.random() < 0.2 and len(sockets) < 6:
                takes = [chance.choice((0, 1, 5, 100, 400, 1 << 20)) for _ in range(40)]
                sockets.append(Socket(*takes))
                await all_of_them.follow(sockets[-1], plain=chance.random() < 0.9)
            for _ in range(chance.randrange(1, 4)):  # committed faster than it is sent
                all_of_them.story.say(*"abc"[: chance.randrange(1, 4)])
            for _ in range(chance.randrange(6)):
                await trio.lowlevel.checkpoint()
        all_of_them.story.end()
        await wait_all_tasks_blocked()
        assert all_of_them.readers.open == 0
        assert {each.body == all_of_them.told for each in sockets} == {True}
        assert (all_of_them.story.hub.waiting(), all_of_them.readers.pumps._by_course) == (0, {})


async def test_the_terminal_event_ends_all_who_are_carried(autojump_clock: MockClock) -> None:
    async with crowd() as all_of_them:
        sockets = [Socket(), Socket(), Socket(1 << 20, 10)]
        for each in sockets:
            await all_of_them.follow(each)
        await all_of_them.tell("a")
        all_of_them.story.end()
        await wait_all_tasks_blocked()
        assert all_of_them.readers.open == 0
        assert [each.body for each in sockets] == [all_of_them.told] * 3


async def test_a_stop_ends_those_who_are_carried_with_its_last_word(
    autojump_clock: MockClock,
) -> None:
    async with crowd() as all_of_them:
        sockets = [Socket(), Socket()]
        for each in sockets:
            await all_of_them.follow(each)
        await all_of_them.tell("a")
        all_of_them.readers.drain()
        await wait_all_tasks_blocked()
        assert all_of_them.readers.open == 0
        assert [each.body for each in sockets] == [all_of_them.told + sse.RETRY] * 2


async def test_who_may_no_longer_read_is_let_go_while_the_others_are_carried_on(
    autojump_clock: MockClock,
) -> None:
    async def revoked() -> None:
        raise Unauthenticated("gone")

    async with crowd() as all_of_them:
        stays, goes = Socket(), Socket()
        await all_of_them.follow(stays)
        await all_of_them.follow(goes, revoked)
        await trio.sleep(0.5)  # so that no event comes at the very moment of the look
        for _ in range(60):
            await trio.sleep(1)
            await all_of_them.tell("x")
        assert all_of_them.readers.open == 1
        assert goes.body.count(b"event: item.delta") == 44  # RECHECK_S has passed
        assert (stays.body, goes.body.count(HEARTBEAT)) == (all_of_them.told, 0)


async def test_who_leaves_is_sent_nothing_more(autojump_clock: MockClock) -> None:
    async with crowd() as all_of_them:
        sockets = [Socket(), Socket(), Socket()]
        leaving = [await all_of_them.follow(each) for each in sockets]
        await all_of_them.tell("a")
        before = all_of_them.told
        leaving[1].cancel()
        await wait_all_tasks_blocked()
        await all_of_them.tell("b")
        assert [each.body for each in sockets] == [all_of_them.told, before, all_of_them.told]
        assert all_of_them.readers.open == 2


async def test_silence_is_broken_15_s_after_what_was_carried_last(
    autojump_clock: MockClock,
) -> None:
    async with crowd() as all_of_them:
        sockets = [Socket(), Socket()]
        for each in sockets:
            await all_of_them.follow(each)
        await all_of_them.tell("a")
        await trio.sleep(10)
        await all_of_them.tell("b")
        await trio.sleep(14)
        assert [each.body for each in sockets] == [all_of_them.told] * 2
        await trio.sleep(2)
        assert [each.body for each in sockets] == [all_of_them.told + HEARTBEAT] * 2


async def test_a_log_that_cannot_be_read_is_met_by_each_reader_itself(
    autojump_clock: MockClock,
) -> None:
    class Damaged(Story):
        def read(
            self, stream: str, *, after: int, limit: int = limits.READ_EVENTS_MAX
        ) -> list[Segment]:
            if after >= 1 and self.head(stream).sequence > 1:
                raise LogCorrupt("Event 2 is damaged.")
            return super().read(stream, after=after, limit=limit)

    met: set[str] = set()
    try:
        async with crowd() as all_of_them:
            all_of_them.story = Damaged()
            for _ in range(2):
                await all_of_them.follow(Socket())
            await all_of_them.tell("a")
            await all_of_them.tell("b")
    except* LogCorrupt as group:
        met = {str(each) for each in group.exceptions}
    assert met == {"Event 2 is damaged."}


async def test_while_many_are_sent_to_others_have_a_turn(autojump_clock: MockClock) -> None:
    async with crowd() as all_of_them:
        sockets = [Socket() for _ in range(5 * limits.PUMP_WRITES)]
        for each in sockets:
            await all_of_them.follow(each)
        await all_of_them.tell("a")
        seen: list[int] = []

        async def other() -> None:
            while sockets[-1].pumped < 2:
                seen.append(sum(each.pumped == 2 for each in sockets))
                await trio.lowlevel.checkpoint()

        all_of_them.story.say("b")
        with trio.fail_after(10):
            await other()
        turns = [b - a for a, b in pairwise(seen)]
        assert max(turns) <= 2 * limits.PUMP_WRITES  # whose turn is first is chance
        assert {each.body for each in sockets} == {all_of_them.told}
