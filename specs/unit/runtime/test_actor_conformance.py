"""What an actor promises, whether a trio task runs it or a thread: the same spec for both."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any

import pykka
import pytest
import trio

from runtime.actor import TrioActor
from runtime.problems import NotFound
from runtime.reply import Reply
from specs.unit.runtime.stage import GATE_TIMEOUT_S, Gate, alone

Started = Callable[[], AbstractAsyncContextManager[pykka.ActorRef[Any]]]


class Behaviour:
    """What both kinds do with a message, written as pykka has it."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []
        self.colour = "red"

    def on_receive(self, message: Any) -> Any:
        if message == "fail":
            raise ValueError("as asked")
        if message == "refuse":
            raise NotFound("There is no such thing")
        if message == "seen":
            return list(self.seen)
        self.seen.append(message)
        return len(self.seen)

    def twice(self, number: int) -> int:
        return 2 * number


class OnThread(Behaviour, pykka.ThreadingActor):
    _create_future = staticmethod(Reply)

    def on_receive(self, message: Any) -> Any:
        return message.enter() if isinstance(message, Gate) else super().on_receive(message)


class OnTrio(Behaviour, TrioActor):
    async def handle(self, message: Any) -> Any:
        if isinstance(message, Gate):
            return await trio.to_thread.run_sync(message.enter)
        return await super().handle(message)


@asynccontextmanager
async def on_thread() -> AsyncIterator[pykka.ActorRef[Any]]:
    ref = OnThread.start()
    try:
        yield ref
    finally:
        with trio.CancelScope(shield=True):
            await in_thread(partial(ref.stop, timeout=GATE_TIMEOUT_S))


@pytest.fixture(params=["a trio task", "a thread"])
def started(request: pytest.FixtureRequest) -> Started:
    return on_thread if request.param == "a thread" else lambda: alone(OnTrio())


async def in_thread(script: Callable[[], Any]) -> Any:
    """Run the script in a plain thread, where blocking is allowed."""
    return await trio.to_thread.run_sync(script)


async def test_the_messages_of_one_sender_are_handled_in_order(started: Started) -> None:
    async with started() as ref:
        for number in range(300):
            ref.tell(number)

        assert await ref.ask("seen", block=False) == list(range(300))


async def test_of_many_threads_each_ones_messages_stay_in_order_and_none_is_lost(
    started: Started,
) -> None:
    def tell_all(sender: int) -> None:
        for number in range(100):
            ref.tell((sender, number))

    async with started() as ref:
        async with trio.open_nursery() as nursery:
            for sender in range(8):
                nursery.start_soon(in_thread, partial(tell_all, sender))

        seen = await ref.ask("seen", block=False)

    assert len(seen) == 800
    for sender in range(8):
        assert [number for who, number in seen if who == sender] == list(range(100))


async def test_an_ask_is_answered_in_trio(started: Started) -> None:
    async with started() as ref:
        assert await ref.ask("a", block=False) == 1
        assert await ref.ask("b", block=False) == 2


async def test_an_ask_is_answered_in_a_thread(started: Started) -> None:
    async with started() as ref:
        assert await in_thread(lambda: ref.ask("a", timeout=GATE_TIMEOUT_S)) == 1
        assert await in_thread(lambda: ref.ask("b", block=False).get(timeout=GATE_TIMEOUT_S)) == 2


async def test_a_failure_reaches_the_asker_and_the_actor_answers_the_next(started: Started) -> None:
    async with started() as ref:
        await ref.ask("before", block=False)

        with pytest.raises(ValueError, match="as asked"):
            await ref.ask("fail", block=False)
        with pytest.raises(ValueError, match="as asked"):
            await in_thread(lambda: ref.ask("fail", timeout=GATE_TIMEOUT_S))

        assert await ref.ask("seen", block=False) == ["before"]


async def test_a_problem_reaches_the_asker_as_itself(started: Started) -> None:
    async with started() as ref:
        with pytest.raises(NotFound, match="no such thing"):
            await ref.ask("refuse", block=False)


async def test_an_answer_may_be_taken_more_than_once_and_by_many(started: Started) -> None:
    async with started() as ref:
        reply = ref.ask("a", block=False)

        assert [await reply, await reply, await in_thread(reply.get)] == [1, 1, 1]


async def test_who_waits_in_a_thread_longer_than_allowed_is_told_so(started: Started) -> None:
    gate = Gate()
    async with started() as ref:
        ref.tell(gate)

        with pytest.raises(pykka.Timeout):
            await in_thread(lambda: ref.ask("late", timeout=0.01))
        gate.opened.set()

        assert await ref.ask("seen", block=False) == ["late"]


async def test_what_was_told_before_the_stop_is_handled_before_it(started: Started) -> None:
    async with started() as ref:
        replies = [ref.ask(number, block=False) for number in range(50)]
        stopped = await in_thread(lambda: ref.stop(timeout=GATE_TIMEOUT_S))

        assert stopped is True
        assert [await reply for reply in replies] == list(range(1, 51))


async def test_what_waits_behind_the_stop_is_answered_with_the_death(started: Started) -> None:
    gate = Gate()
    async with started() as ref:
        ref.tell(gate)
        ref.stop(block=False)
        waiting = [ref.ask(number, block=False) for number in range(5)]
        gate.opened.set()

        for reply in waiting:
            with pytest.raises(pykka.ActorDeadError):
                await reply


async def test_every_stop_is_answered(started: Started) -> None:
    gate = Gate()
    async with started() as ref:
        ref.tell(gate)
        first, second = ref.stop(block=False), ref.stop(block=False)
        gate.opened.set()

        assert await in_thread(partial(first.get, timeout=GATE_TIMEOUT_S)) is True
        assert await in_thread(partial(second.get, timeout=GATE_TIMEOUT_S)) is True
        assert await in_thread(partial(ref.stop, timeout=GATE_TIMEOUT_S)) is False


async def test_the_dead_are_told_nothing(started: Started) -> None:
    async with started() as ref:
        assert ref.is_alive() is True
        await in_thread(lambda: ref.stop(timeout=GATE_TIMEOUT_S))

        assert ref.is_alive() is False
        with pytest.raises(pykka.ActorDeadError):
            ref.tell("hello")
        with pytest.raises(pykka.ActorDeadError):
            await ref.ask("hello", block=False)
        with pytest.raises(pykka.ActorDeadError):
            await in_thread(lambda: ref.ask("hello"))


async def test_an_ask_whose_asker_has_gone_is_handled_all_the_same(started: Started) -> None:
    gate = Gate()
    async with started() as ref:
        ref.tell(gate)
        await in_thread(partial(gate.entered.wait, GATE_TIMEOUT_S))
        with trio.move_on_after(0) as gone:
            await ref.ask("unheard", block=False)
        gate.opened.set()

        assert gone.cancelled_caught is True
        assert await ref.ask("seen", block=False) == ["unheard"]


async def test_a_proxy_calls_reads_and_writes(started: Started) -> None:
    async with started() as ref:
        proxy = await in_thread(ref.proxy)

        assert await proxy.twice(21) == 42
        assert await proxy.colour == "red"
        await in_thread(lambda: setattr(proxy, "colour", "blue"))
        assert await in_thread(lambda: proxy.colour.get(timeout=GATE_TIMEOUT_S)) == "blue"


async def test_replies_are_mapped_and_joined_in_threads(started: Started) -> None:
    async with started() as ref:
        first, second = ref.ask("a", block=False), ref.ask("b", block=False)
        joined = first.map(lambda count: count * 10).join(second)

        assert await in_thread(lambda: list(joined.get(timeout=GATE_TIMEOUT_S))) == [10, 2]


async def test_one_kind_asks_the_other(started: Started) -> None:
    async with started() as one, on_thread() as other:

        def ask_both() -> list[Any]:
            return [one.ask("a", timeout=GATE_TIMEOUT_S), other.ask("b", timeout=GATE_TIMEOUT_S)]

        assert await in_thread(ask_both) == [1, 1]
        assert [await one.ask("c", block=False), await other.ask("d", block=False)] == [2, 2]
