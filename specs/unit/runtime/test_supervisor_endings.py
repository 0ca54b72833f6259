"""Leaving and stopping: idle actors go and come back, and a stop ends all in bounded time."""

from __future__ import annotations

from typing import Any

import pykka
import pytest
import trio
import trio.testing

from runtime import limits
from runtime.problems import ShuttingDown, StoreUnavailable
from specs.unit.runtime.stage import Diary, NeverStarts, supervised

Clock = trio.testing.MockClock
IDLE_S = 60.0


async def test_an_idle_actor_leaves_and_comes_back_on_demand(autojump_clock: Clock) -> None:
    built: list[Diary] = []

    def start(_: str) -> Diary:
        built.append(Diary())
        return built[-1]

    async with supervised(start, idle_s=IDLE_S) as supervisor:
        ref = await supervisor.find("one")
        await trio.sleep(IDLE_S * 0.9)
        assert ref.is_alive() is True
        await trio.sleep(IDLE_S)

        assert supervisor.report() == []
        with pytest.raises(pykka.ActorDeadError):
            ref.tell("too late")
        assert await supervisor.ask("one", "back") == 1
        assert len(built) == 2
        await trio.sleep(IDLE_S * 2)
        assert supervisor.report() == []  # the second one too


async def test_work_keeps_an_actor_from_leaving(autojump_clock: Clock) -> None:
    async with supervised(lambda _: Diary(), idle_s=IDLE_S) as supervisor:
        ref = await supervisor.find("one")
        for _ in range(10):
            await trio.sleep(IDLE_S * 0.9)
            ref.tell("work")

        assert ref.is_alive() is True


async def test_an_actor_in_the_middle_of_a_message_does_not_leave(autojump_clock: Clock) -> None:
    hold = trio.Event()
    async with supervised(lambda _: Diary(), idle_s=IDLE_S) as supervisor:
        ref = await supervisor.find("one")
        asked = ref.ask(hold, block=False)
        await trio.sleep(IDLE_S * 3)
        hold.set()

        assert await asked == 0


async def test_an_actor_that_is_not_idle_stays(autojump_clock: Clock) -> None:
    class Busy(Diary):
        busy = True

        def idle(self) -> bool:
            return not self.busy

    diary = Busy()
    async with supervised(lambda _: diary, idle_s=IDLE_S) as supervisor:
        ref = await supervisor.find("one")
        await trio.sleep(IDLE_S * 5)
        assert ref.is_alive() is True
        diary.busy = False
        await trio.sleep(IDLE_S)
        assert ref.is_alive() is False


async def test_two_of_one_key_never_live_at_once(autojump_clock: Clock) -> None:
    living: list[str] = []

    class Lingers(Diary):
        async def started(self) -> None:
            living.append("born")
            self.life.start_soon(self.linger)

        async def linger(self) -> None:
            try:
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(1)
                living.append("gone")

    async with supervised(lambda _: Lingers(), idle_s=IDLE_S) as supervisor:
        ref = await supervisor.find("one")
        await trio.sleep(IDLE_S + 0.5)  # it has left, but not yet ended
        assert ref.is_alive() is False
        assert living == ["born"]
        assert supervisor.alive("one") is None
        await supervisor.find("one")

        assert living == ["born", "gone", "born"]


async def test_a_bug_in_idle_harms_nobody(autojump_clock: Clock) -> None:
    class Wrong(Diary):
        def idle(self) -> bool:
            raise ValueError("in idle")

    diaries = {"wrong": Wrong(), "right": Diary()}
    async with supervised(lambda key: diaries[key], idle_s=IDLE_S) as supervisor:
        for key in diaries:
            await supervisor.find(key)
        await trio.sleep(IDLE_S * 2)

        assert [report.key for report in supervisor.report()] == ["wrong"]


async def test_stop_all_ends_all_lives_and_answers_what_waits(autojump_clock: Clock) -> None:
    async with supervised(lambda _: Diary(), idle_s=IDLE_S) as supervisor:
        refs = [await supervisor.find(key) for key in "abc"]
        held = [ref.ask(trio.Event(), block=False) for ref in refs]
        await trio.testing.wait_all_tasks_blocked()
        waiting = [ref.ask("waits", block=False) for ref in refs]
        refs[0].tell("also waits")
        await supervisor.stop_all()

        assert supervisor.report() == []
        for reply in held + waiting:
            with pytest.raises(pykka.ActorDeadError):
                await reply
        with pytest.raises(ShuttingDown):
            await supervisor.find("a")


async def test_stop_all_reaches_actors_that_start_pause_or_say_farewell(
    autojump_clock: Clock,
) -> None:
    class SlowToStart(Diary):
        async def started(self) -> None:
            await trio.sleep_forever()

    async def gave_up(_: str, __: BaseException) -> None:
        raise StoreUnavailable("The disk is full")

    actors: dict[str, Diary] = {"slow": SlowToStart(), "pause": Diary(), "given up": NeverStarts()}
    async with supervised(actors.__getitem__, idle_s=IDLE_S, gave_up=gave_up) as supervisor:
        with pytest.raises(pykka.ActorDeadError):
            await supervisor.find("given up")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(expect_shutting_down, supervisor.find, "slow")
            await supervisor.tell("pause", ValueError("boom"))
            await trio.testing.wait_all_tasks_blocked()
            began = trio.current_time()
            await supervisor.stop_all()

        assert trio.current_time() == began
        assert supervisor.report() == []
        await trio.testing.wait_all_tasks_blocked()
        assert supervisor._chores == set()


async def expect_shutting_down(find: Any, key: str) -> None:
    with pytest.raises(ShuttingDown):
        await find(key)


async def test_stop_all_does_not_wait_for_ever(autojump_clock: Clock) -> None:
    class Clings(Diary):
        async def started(self) -> None:
            self.life.start_soon(self.cling)

        async def cling(self) -> None:
            with trio.CancelScope(shield=True):
                await trio.sleep(1000)

    async with supervised(lambda _: Clings()) as supervisor:
        await supervisor.find("one")
        began = trio.current_time()
        await supervisor.stop_all()

        assert trio.current_time() - began == pytest.approx(limits.STOP_GRACE_S)


async def test_a_crash_while_all_is_cancelled_stays_inside(autojump_clock: Clock) -> None:
    class FailsAtTheEnd(Diary):
        async def started(self) -> None:
            self.life.start_soon(self.fail)

        async def fail(self) -> None:
            try:
                await trio.sleep_forever()
            finally:
                raise ValueError("while cancelled")

    async with supervised(lambda _: FailsAtTheEnd()) as supervisor:
        ref = await supervisor.find("one")

    assert ref.is_alive() is False
