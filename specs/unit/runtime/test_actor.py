"""A TrioActor's own promises, beyond those it shares with pykka's threads."""

from __future__ import annotations

from functools import partial
from typing import Any

import pykka
import pytest
import trio
import trio.testing

from runtime import limits
from runtime.actor import TrioActor
from runtime.problems import MailboxFull, NotFound
from specs.unit.runtime.stage import Diary, alone, supervised

Clock = trio.testing.MockClock


async def test_control_overtakes_parts(autojump_clock: Clock) -> None:
    diary, hold = Diary(), trio.Event()
    async with alone(diary) as ref:
        ref.tell(hold)
        await trio.testing.wait_all_tasks_blocked()
        for number in range(3):
            await ref.offer(number)
        ref.tell("abort")
        hold.set()
        await trio.testing.wait_all_tasks_blocked()

    assert diary.seen == ["abort", [0, 1, 2]]


async def test_control_is_looked_at_again_after_every_burst_of_parts(
    autojump_clock: Clock,
) -> None:
    class TellsItself(Diary):
        async def handle_parts(self, parts: list[Any]) -> None:
            await super().handle_parts(parts)
            await self.actor_ref.offer("later")
            self.actor_ref.tell("abort")

    diary = TellsItself()
    async with alone(diary) as ref:
        await ref.offer("first")
        with trio.move_on_after(1):
            while len(diary.seen) < 4:
                await trio.lowlevel.checkpoint()

    assert diary.seen[:4] == [["first"], "abort", ["later"], "abort"]


async def test_parts_come_in_bursts_of_all_that_waits(autojump_clock: Clock) -> None:
    diary, hold = Diary(), trio.Event()
    async with alone(diary) as ref:
        await ref.offer("alone")
        await trio.testing.wait_all_tasks_blocked()
        ref.tell(hold)
        await trio.testing.wait_all_tasks_blocked()
        for number in range(100):
            await ref.offer(number)
        hold.set()
        await trio.testing.wait_all_tasks_blocked()

    assert diary.seen == [["alone"], list(range(100))]


async def test_a_flood_of_messages_does_not_hold_up_the_parts(autojump_clock: Clock) -> None:
    diary, hold = Diary(), trio.Event()
    async with alone(diary) as ref:
        ref.tell(hold)
        await trio.testing.wait_all_tasks_blocked()
        await ref.offer("part")
        for number in range(3 * limits.MESSAGES_BURST):
            ref.tell(number)
        hold.set()
        await trio.testing.wait_all_tasks_blocked()

    assert diary.seen.index(["part"]) == limits.MESSAGES_BURST - 1  # `hold` was one of the burst


class Steps(trio.abc.Instrument):
    """Notes how many messages were handled without anybody else having been let run."""

    def __init__(self, diary: Diary) -> None:
        self.diary, self.before = diary, 0
        self.handled: list[int] = []

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if handled := len(self.diary.seen) - self.before:
            self.handled.append(handled)
        self.before += handled


async def test_no_burst_holds_the_loop_for_longer_than_its_bound(autojump_clock: Clock) -> None:
    diary = Diary()
    steps = Steps(diary)
    async with alone(diary) as ref:
        trio.lowlevel.add_instrument(steps)
        for number in range(5 * limits.MESSAGES_BURST):
            ref.tell(number)
        await trio.testing.wait_all_tasks_blocked()
        trio.lowlevel.remove_instrument(steps)

    assert steps.handled == 5 * [limits.MESSAGES_BURST]


async def test_the_bound_of_the_mailbox_is_the_tellers_error() -> None:
    diary, hold = Diary(), trio.Event()
    async with alone(diary) as ref:
        ref.tell(hold)
        await trio.testing.wait_all_tasks_blocked()
        for number in range(limits.MAILBOX_MAX):
            ref.tell(number)

        with pytest.raises(MailboxFull):
            ref.tell("one more")
        with pytest.raises(MailboxFull):
            ref.ask("one more", block=False)
        with pytest.raises(MailboxFull):
            await trio.to_thread.run_sync(ref.tell, "one more")
        hold.set()
        await trio.testing.wait_all_tasks_blocked()

    assert diary.seen == list(range(limits.MAILBOX_MAX))


async def test_a_blocking_ask_inside_trio_raises_and_sends_nothing() -> None:
    diary = Diary()
    async with alone(diary) as ref:
        with pytest.raises(RuntimeError, match="block the trio loop"):
            ref.ask("blocking")
        with pytest.raises(RuntimeError, match="block the trio loop"):
            ref.stop()
        await trio.testing.wait_all_tasks_blocked()

        assert diary.seen == []
        assert ref.is_alive() is True


async def test_a_problem_is_the_answer_to_an_ask_and_no_crash(autojump_clock: Clock) -> None:
    diary = Diary()
    async with alone(diary) as ref:
        with pytest.raises(NotFound):
            await ref.request("refuse")
        await ref.request("next")

    assert diary.lives == 1


async def test_a_problem_of_a_tell_is_a_crash(autojump_clock: Clock) -> None:
    diary = Diary()
    async with alone(diary) as ref:
        ref.tell("refuse")
        await ref.request("next")

    assert diary.lives == 2


async def test_a_failed_ask_is_answered_with_its_failure_and_ends_the_life(
    autojump_clock: Clock,
) -> None:
    diary = Diary()
    async with alone(diary) as ref:
        with pytest.raises(ZeroDivisionError):
            await ref.request(ZeroDivisionError())
        await ref.request("next")

    assert diary.lives == 2


async def test_a_failed_burst_of_parts_ends_the_life(autojump_clock: Clock) -> None:
    class TakesNoParts(Diary):
        handle_parts = TrioActor.handle_parts

    diary = TakesNoParts()
    async with alone(diary) as ref:
        await ref.offer("part")
        await trio.testing.wait_all_tasks_blocked()
        await ref.request("next")

    assert diary.lives == 2


async def test_a_message_that_nobody_wrote_a_handler_for_is_a_crash(autojump_clock: Clock) -> None:
    async with alone(TrioActor()) as ref:
        with pytest.raises(NotImplementedError, match="takes no str"):
            await ref.request("what a user said")


async def test_who_asked_for_what_a_dying_life_handles_is_told_of_the_death(
    autojump_clock: Clock,
) -> None:
    class Dies(Diary):
        async def handle(self, message: Any) -> Any:
            self.life.start_soon(self.die)
            await trio.sleep_forever()

        async def die(self) -> None:
            raise ValueError("in a task of the life")

    async with alone(Dies()) as ref:
        with pytest.raises(pykka.ActorDeadError, match="while it handled"):
            await ref.request("anything")


async def test_a_stop_overtakes_parts_and_answers_who_offers(autojump_clock: Clock) -> None:
    diary, hold = Diary(), trio.Event()
    async with alone(diary) as ref:
        ref.tell(hold)
        await trio.testing.wait_all_tasks_blocked()
        for number in range(limits.PARTS_MAX):
            await ref.offer(number)
        stopped = ref.stop(block=False)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(expect_dead, partial(ref.offer, "one more"))
            await trio.testing.wait_all_tasks_blocked()
            hold.set()

        assert await stopped is True
        assert diary.seen == []


async def expect_dead(send: Any) -> None:
    with pytest.raises(pykka.ActorDeadError):
        await send()


async def test_a_stop_is_answered_after_the_last_of_the_life_has_ended(
    autojump_clock: Clock,
) -> None:
    class Tidies(Diary):
        async def started(self) -> None:
            self.life.start_soon(self.tidy_up)

        async def tidy_up(self) -> None:
            try:
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(1)
                self.seen.append("tidied")

    diary = Tidies()
    async with alone(diary) as ref:
        await ref.stop(block=False)
        assert diary.seen == ["tidied"]


async def test_a_bug_in_the_cleanup_of_a_stop_does_not_bring_the_actor_back(
    autojump_clock: Clock,
) -> None:
    class Fails(Diary):
        def on_stop(self) -> None:
            raise ValueError("in on_stop")

    diary = Fails()
    async with alone(diary) as ref:
        assert await ref.stop(block=False) is True
        assert ref.is_alive() is False
        assert diary.lives == 1


async def test_its_name_is_the_same_in_every_run() -> None:
    async with supervised(lambda _: Diary()) as supervisor:
        ref = await supervisor.find("job_1")

        assert ref.actor_urn == "urn:runchat:stage:job_1"
        assert str(ref) == "Diary (urn:runchat:stage:job_1)"


async def test_pykkas_list_of_all_actors_stays_empty() -> None:
    before = pykka.ActorRegistry.get_all()
    async with alone(Diary()):
        assert pykka.ActorRegistry.get_all() == before
    with pytest.raises(TypeError, match="started by a Supervisor"):
        Diary.start()
    assert pykka.ActorRegistry.get_all() == before
