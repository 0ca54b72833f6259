"""A reply: settled once from anywhere, awaited in trio, got in a thread."""

from __future__ import annotations

import queue
from functools import partial

import pykka
import pytest
import trio
import trio.testing

from runtime.reply import Reply

PATIENCE_S = 20


async def test_a_task_that_awaits_gets_the_answer() -> None:
    reply, got = Reply(), list[object]()

    async def wait() -> None:
        got.append(await reply)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        assert got == []
        reply.set(7)

    assert got == [7, 7]
    assert reply.settled is True


async def test_a_thread_settles_what_a_task_awaits() -> None:
    reply = Reply()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, reply.set, "from a thread")

        assert await reply == "from a thread"


async def test_a_task_settles_what_a_thread_waits_for() -> None:
    reply, got = Reply(), list[object]()

    def wait() -> None:
        got.append(reply.get(timeout=PATIENCE_S))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, wait)
        await trio.testing.wait_all_tasks_blocked()
        reply.set("from a task")

    assert got == ["from a task"]


def test_a_failure_is_told_when_it_comes_or_has_come_and_an_answer_is_not() -> None:
    failed, answered, told = Reply(), Reply(), list[BaseException]()
    failed.when_failed(told.append)
    answered.when_failed(told.append)
    why = ValueError("no")
    failed.fail(why)
    failed.when_failed(told.append)
    answered.set(7)

    assert told == [why, why]


async def test_a_failure_is_raised_where_it_is_awaited() -> None:
    reply, other = Reply(), Reply()
    try:
        int("three")
    except ValueError:
        reply.set_exception()
    other.fail(KeyError("why"))

    with pytest.raises(ValueError, match="three"):
        await reply
    with pytest.raises(KeyError, match="why"):
        await other


def test_a_reply_is_settled_once() -> None:
    reply = Reply()
    reply.set(1)

    with pytest.raises(queue.Full):
        reply.set(2)
    with pytest.raises(queue.Full):
        reply.fail(ValueError("late"))
    assert reply.get(timeout=0) == 1


async def test_a_get_that_would_block_the_loop_raises_at_once() -> None:
    with pytest.raises(RuntimeError, match="block the trio loop"):
        Reply().get(timeout=PATIENCE_S)


async def test_a_get_of_a_settled_reply_is_allowed_in_trio() -> None:
    reply = Reply()
    reply.set("here")

    assert reply.get(timeout=0) == "here"


async def test_awaiting_what_is_settled_lets_others_run() -> None:
    reply = Reply()
    reply.set("here")

    with trio.testing.assert_checkpoints():
        assert await reply == "here"


async def test_a_cancelled_waiter_leaves_nothing_behind() -> None:
    reply = Reply()
    with trio.CancelScope() as scope:
        scope.cancel()
        await reply

    assert scope.cancelled_caught is True
    assert reply._wakers == []


async def test_a_thread_that_gave_up_leaves_nothing_behind() -> None:
    reply = Reply()
    with pytest.raises(pykka.Timeout):
        await trio.to_thread.run_sync(partial(reply.get, timeout=0.001))

    assert reply._wakers == []


async def test_a_mapped_reply_is_for_threads() -> None:
    with pytest.raises(RuntimeError, match="map its value"):
        await Reply().map(str)


def test_a_reply_may_be_settled_after_its_loop_has_ended() -> None:
    reply = Reply()

    async def give_up() -> None:
        with trio.move_on_after(0):
            await reply

    trio.run(give_up)
    reply.set("nobody hears it")

    assert reply.get(timeout=0) == "nobody hears it"
