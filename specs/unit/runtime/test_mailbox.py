"""A mailbox: two bounded lanes, closed only at once with being empty or with answers for all."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import trio
import trio.testing
from pykka import ActorDeadError
from pykka._envelope import Envelope
from pykka.messages import _ActorStop

from runtime import limits
from runtime.mailbox import Mailbox
from runtime.problems import Busy, MailboxFull
from runtime.reply import Reply

PATIENCE_S = 20.0


def full() -> Mailbox:
    mailbox = Mailbox()
    for number in range(limits.MAILBOX_MAX):
        mailbox.put(Envelope(number))
    return mailbox


def test_one_message_too_many_is_the_tellers_error() -> None:
    mailbox = full()

    with pytest.raises(MailboxFull) as caught:
        mailbox.put(Envelope("one more"))
    assert isinstance(caught.value, Busy)
    assert len(mailbox) == limits.MAILBOX_MAX


async def test_one_message_too_many_is_the_error_of_the_telling_thread() -> None:
    mailbox = full()

    with pytest.raises(MailboxFull):
        await trio.to_thread.run_sync(mailbox.put, Envelope("one more"))


async def test_racing_threads_never_pass_the_bound() -> None:
    mailbox, refused = Mailbox(), list[str]()

    def tell_many() -> None:
        for _ in range(limits.MAILBOX_MAX):
            try:
                mailbox.put(Envelope("racing"))
            except MailboxFull:
                refused.append("refused")

    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(trio.to_thread.run_sync, tell_many)

    assert len(mailbox) == limits.MAILBOX_MAX
    assert len(refused) == 3 * limits.MAILBOX_MAX


def test_a_full_mailbox_still_takes_a_stop() -> None:
    mailbox = full()
    mailbox.put(Envelope(_ActorStop()))

    assert len(mailbox) == limits.MAILBOX_MAX + 1


async def test_room_made_by_the_actor_is_room_for_the_teller() -> None:
    mailbox = full()
    mailbox.take()
    mailbox.put(Envelope("fits"))

    with pytest.raises(MailboxFull):
        mailbox.put(Envelope("does not"))


async def test_a_message_wakes_the_waiting_actor() -> None:
    mailbox, woken = Mailbox(), list[Any]()
    by_a_task, by_a_thread = Envelope("from a task"), Envelope("from a thread")

    async def read() -> None:
        await mailbox.wait()
        woken.append(mailbox.take())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await trio.testing.wait_all_tasks_blocked()
        mailbox.put(by_a_task)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await trio.testing.wait_all_tasks_blocked()
        await trio.to_thread.run_sync(mailbox.put, by_a_thread)

    assert woken == [by_a_task, by_a_thread]


async def test_an_offer_waits_for_room_and_parts_keep_their_order() -> None:
    mailbox, offered, taken = Mailbox(), list[int](), list[int]()
    count = 3 * limits.PARTS_MAX

    async def offer_all() -> None:
        for number in range(count):
            await mailbox.offer(number)
            offered.append(number)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(offer_all)
        while len(taken) < count:
            await trio.testing.wait_all_tasks_blocked()
            assert len(offered) == min(count, len(taken) + limits.PARTS_MAX)
            burst = mailbox.take_parts()
            assert len(burst) == limits.PARTS_BURST
            taken += burst

    assert taken == list(range(count))


async def test_many_who_offer_never_pass_the_bound() -> None:
    mailbox, taken = Mailbox(), list[int]()

    async with trio.open_nursery() as nursery:
        for number in range(3 * limits.PARTS_MAX):
            nursery.start_soon(mailbox.offer, number)
        while len(taken) < 3 * limits.PARTS_MAX:
            await trio.testing.wait_all_tasks_blocked()
            assert len(mailbox) == limits.PARTS_MAX
            taken += mailbox.take_parts()

    assert sorted(taken) == list(range(3 * limits.PARTS_MAX))


async def test_who_is_overtaken_on_the_way_in_waits_again() -> None:
    mailbox = Mailbox()
    for number in range(limits.PARTS_MAX):
        await mailbox.offer(number)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(mailbox.offer, "patient")
        await trio.testing.wait_all_tasks_blocked()
        mailbox.take_parts()
        for number in range(limits.PARTS_MAX):
            await mailbox.offer(number)  # there is room: nobody else runs meanwhile
        await trio.testing.wait_all_tasks_blocked()
        assert len(mailbox) == limits.PARTS_MAX
        mailbox.take_parts()

    assert mailbox.take_parts() == ["patient"]


async def test_a_cancelled_offer_is_not_taken() -> None:
    mailbox = Mailbox()
    for number in range(limits.PARTS_MAX):
        await mailbox.offer(number)

    with trio.CancelScope() as scope:
        scope.cancel()
        await mailbox.offer("too late")

    assert scope.cancelled_caught is True
    assert mailbox.take_parts() == list(range(limits.PARTS_MAX))
    assert mailbox.take_parts() == []


async def test_closing_answers_all_that_wait() -> None:
    mailbox, ask, stop = Mailbox(), Reply(), Reply()
    mailbox.put(Envelope("told"))
    mailbox.put(Envelope("asked", ask))
    mailbox.put(Envelope(_ActorStop(), stop))
    for number in range(limits.PARTS_MAX):
        await mailbox.offer(number)
    told: list[type[BaseException]] = []

    async def offer() -> None:
        try:
            await mailbox.offer("one more")
        except ActorDeadError as dead:
            told.append(type(dead))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(offer)
        nursery.start_soon(offer)
        await trio.testing.wait_all_tasks_blocked()
        mailbox.close()

    assert told == [ActorDeadError, ActorDeadError]
    assert await stop is True
    with pytest.raises(ActorDeadError):
        await ask
    assert len(mailbox) == 0


async def test_a_closed_mailbox_takes_nothing() -> None:
    mailbox = Mailbox()
    mailbox.close()

    with pytest.raises(ActorDeadError):
        mailbox.put(Envelope("told"))
    with pytest.raises(ActorDeadError):
        await trio.to_thread.run_sync(mailbox.put, Envelope("told"))
    with pytest.raises(ActorDeadError):
        await mailbox.offer("part")


async def test_it_closes_as_idle_only_while_the_actor_waits_and_nothing_else_does() -> None:
    mailbox = Mailbox()
    assert mailbox.close_if_idle() is False  # the actor is busy, or not yet there

    async with trio.open_nursery() as nursery:
        nursery.start_soon(mailbox.wait)
        await trio.testing.wait_all_tasks_blocked()
        mailbox.put(Envelope("just in time"))
        assert mailbox.close_if_idle() is False

    mailbox.take()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(mailbox.wait)
        await trio.testing.wait_all_tasks_blocked()
        assert mailbox.close_if_idle() is True
        assert mailbox.close_if_idle() is False


async def test_a_message_of_a_thread_that_the_loop_has_not_seen_yet_keeps_it_open() -> None:
    mailbox, message = Mailbox(), Envelope("from a thread")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(mailbox.wait)
        await trio.testing.wait_all_tasks_blocked()
        thread = threading.Thread(target=mailbox.put, args=(message,))
        thread.start()
        thread.join(timeout=PATIENCE_S)  # blocks the loop, so that it cannot have been woken

        assert mailbox.close_if_idle() is False
        assert mailbox.take() is message


def test_a_thread_that_tells_after_the_loop_has_ended_is_told_so() -> None:
    mailbox = Mailbox()

    async def abandoned() -> None:
        with trio.move_on_after(0):
            await mailbox.wait()
        mailbox._parked = trio.lowlevel.current_task()  # a loop that died without a farewell

    async def tell_from_a_thread() -> None:
        with pytest.raises(ActorDeadError):
            await trio.to_thread.run_sync(mailbox.put, Envelope("anybody?"))

    trio.run(abandoned)
    trio.run(tell_from_a_thread)

    assert len(mailbox) == 0
