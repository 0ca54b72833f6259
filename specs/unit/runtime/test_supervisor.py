"""A supervisor: lives end one at a time, come back after a pause, are given up, leave when idle."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pykka
import pytest
import structlog
import trio
import trio.testing

from runtime import limits
from runtime.problems import NotFound, StoreUnavailable
from runtime.supervisor import cause
from specs.unit.runtime.stage import Diary, NeverStarts, alone, supervised

Clock = trio.testing.MockClock
IDLE_S = 60.0


async def test_an_actor_is_built_once_however_many_look_for_it(autojump_clock: Clock) -> None:
    built: list[Diary] = []

    class Slow(Diary):
        async def started(self) -> None:
            built.append(self)
            await trio.sleep(1)

    async with supervised(lambda _: Slow()) as supervisor:
        refs: list[Any] = []

        async def find() -> None:
            refs.append(await supervisor.find("one"))

        async with trio.open_nursery() as nursery:
            for _ in range(50):
                nursery.start_soon(find)

        assert len(built) == 1
        assert refs == 50 * [built[0].actor_ref]


async def test_who_stops_looking_does_not_stop_the_start(autojump_clock: Clock) -> None:
    class Slow(Diary):
        async def started(self) -> None:
            await super().started()
            await trio.sleep(1)

    async with supervised(lambda _: Slow()) as supervisor:
        with trio.move_on_after(0.5) as gone:
            await supervisor.find("one")
        assert gone.cancelled_caught is True
        await trio.sleep(1)

        assert [report.state for report in supervisor.report()] == ["running"]


async def test_each_key_has_an_actor_of_its_own(autojump_clock: Clock) -> None:
    diaries = {"a": Diary(), "b": Diary()}
    async with supervised(lambda key: diaries[key]) as supervisor:
        await supervisor.tell("a", 1)
        assert await supervisor.ask("b", 2) == 1
        await trio.testing.wait_all_tasks_blocked()

    assert [diaries["a"].seen, diaries["b"].seen] == [[1], [2]]


async def test_a_crash_ends_one_life_and_no_other(autojump_clock: Clock) -> None:
    diaries = {"a": Diary(), "b": Diary()}
    async with supervised(lambda key: diaries[key]) as supervisor:
        await supervisor.find("b")
        await supervisor.tell("a", ValueError("boom"))
        await supervisor.ask("a", "again")

        assert [diaries["a"].lives, diaries["b"].lives] == [2, 1]
        assert supervisor.restarts == 1


async def test_object_ref_and_mailbox_survive_a_restart(autojump_clock: Clock) -> None:
    diary = Diary()
    async with alone(diary) as ref:
        ref.tell(ValueError("boom"))
        for number in range(5):
            ref.tell(number)
        await ref.offer("part")
        assert await ref.request("last") == 6

    assert diary.lives == 2
    assert diary.seen == [0, 1, 2, 3, 4, "last", ["part"]]


async def test_between_two_lives_messages_are_taken(autojump_clock: Clock) -> None:
    diary = Diary()
    async with supervised(lambda _: diary) as supervisor:
        ref = await supervisor.find("one")
        ref.tell(ValueError("boom"))
        await trio.testing.wait_all_tasks_blocked()

        assert [report.state for report in supervisor.report()] == ["restarting"]
        assert ref.is_alive() is True
        assert supervisor.alive("one") is ref
        assert await supervisor.find("one") is ref
        assert await ref.request("now") == 1


async def test_a_task_of_a_life_ends_with_it(autojump_clock: Clock) -> None:
    class Spawns(Diary):
        async def started(self) -> None:
            await super().started()
            self.life.start_soon(self.tick, self.lives)

        async def tick(self, life: int) -> None:
            try:
                await trio.sleep_forever()
            finally:
                self.seen.append(f"end of {life}")

    diary = Spawns()
    async with alone(diary) as ref:
        ref.tell(ValueError("boom"))
        assert await ref.request("next") == 2
        assert diary.seen == ["end of 1", "next"]


async def test_a_crash_in_a_task_of_a_life_ends_that_life(autojump_clock: Clock) -> None:
    class Spawns(Diary):
        async def handle(self, message: Any) -> Any:
            if message == "spawn":
                self.life.start_soon(self.fail)
            return await super().handle(message)

        async def fail(self) -> None:
            raise ValueError("boom")

    diary = Spawns()
    async with alone(diary) as ref:
        await ref.request("spawn")
        await trio.testing.wait_all_tasks_blocked()
        await ref.request("next")

    assert diary.lives == 2


async def test_pauses_double_and_are_jittered_and_capped(autojump_clock: Clock) -> None:
    births: list[float] = []

    class Crashes(Diary):
        async def started(self) -> None:
            births.append(trio.current_time())
            raise ValueError("boom")

    async with supervised(lambda _: Crashes()) as supervisor:
        with pytest.raises(pykka.ActorDeadError):
            await supervisor.find("one")
        longest = [supervisor._pause_s(50) for _ in range(200)]

    pauses = [after - before for before, after in pairwise(births)]
    bounds = [limits.RESTART_BASE_S * 2**crash for crash in range(limits.CRASHES_MAX)]
    assert len(births) == limits.CRASHES_MAX + 1
    assert all(0 < pause < bound for pause, bound in zip(pauses, bounds, strict=True))
    assert limits.RESTART_CAP_S * 0.9 < max(longest) < limits.RESTART_CAP_S
    assert min(longest) < limits.RESTART_CAP_S * 0.1  # full jitter: over the whole length


async def test_past_its_budget_an_actor_is_given_up_and_the_next_find_starts_afresh(
    autojump_clock: Clock,
) -> None:
    given_up: list[tuple[str, BaseException]] = []
    built: list[Diary] = []

    async def gave_up(key: str, error: BaseException) -> None:
        given_up.append((key, error))

    def start(_: str) -> Diary:
        built.append(Diary())
        return built[-1]

    async with supervised(start, gave_up=gave_up) as supervisor:
        ref = await supervisor.find("one")
        last = ValueError("the last")
        for _ in range(limits.CRASHES_MAX):
            with pytest.raises(ValueError, match="boom"):
                await ref.request(ValueError("boom"))
        ref.tell(last)
        waiting = ref.ask("never handled", block=False)
        with pytest.raises(pykka.ActorDeadError):
            await waiting
        await trio.testing.wait_all_tasks_blocked()

        assert given_up == [("one", last)]
        assert ref.is_alive() is False
        assert supervisor.alive("one") is None
        assert await supervisor.ask("one", "hello") == 1
        assert [diary.lives for diary in built] == [limits.CRASHES_MAX + 1, 1]


async def test_crashes_long_ago_do_not_count(autojump_clock: Clock) -> None:
    diary = Diary()
    async with alone(diary) as ref:
        for _ in range(3 * limits.CRASHES_MAX):
            ref.tell(ValueError("boom"))
            await trio.sleep(limits.CRASHES_WINDOW_S / limits.CRASHES_MAX + 1)

        assert await ref.request("alive") == 1
        assert diary.lives == 3 * limits.CRASHES_MAX + 1


async def test_a_give_up_that_cannot_be_recorded_is_tried_again_until_it_is(
    autojump_clock: Clock,
) -> None:
    tries: list[float] = []
    recorded = trio.Event()

    async def gave_up(_: str, __: BaseException) -> None:
        tries.append(trio.current_time())
        if len(tries) < 5:
            raise StoreUnavailable("The disk is full")
        recorded.set()

    async with supervised(lambda _: NeverStarts(), gave_up=gave_up) as supervisor:
        with pytest.raises(pykka.ActorDeadError):
            await supervisor.find("one")
        await recorded.wait()

        assert len(tries) == 5
        assert sorted(set(tries)) == tries  # with a pause before each


async def test_a_problem_at_the_first_start_goes_to_all_who_look_and_is_no_crash(
    autojump_clock: Clock,
) -> None:
    class Absent(Diary):
        async def started(self) -> None:
            await super().started()
            await trio.sleep(1)
            raise NotFound("There is no such job")

    diary = Absent()
    told: list[str] = []
    async with supervised(lambda _: diary) as supervisor:

        async def look() -> None:
            with pytest.raises(NotFound) as caught:
                await supervisor.ask("one", "hello")
            told.append(caught.value.detail)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(look)
            nursery.start_soon(look)

        assert told == 2 * ["There is no such job"]
        assert diary.lives == 1
        assert supervisor.report() == []


async def test_a_problem_at_a_later_start_is_a_crash(autojump_clock: Clock) -> None:
    class Recovers(Diary):
        async def started(self) -> None:
            await super().started()
            if self.lives in (2, 3):
                raise StoreUnavailable("The disk is full")

    diary = Recovers()
    async with alone(diary) as ref:
        ref.tell(ValueError("boom"))
        await ref.request("back")

    assert diary.lives == 4


async def test_an_actor_that_cannot_be_built_is_its_finders_error(autojump_clock: Clock) -> None:
    def start(key: str) -> Diary:
        raise NotFound(f"There is no endpoint {key}")

    async with supervised(start) as supervisor:
        with pytest.raises(NotFound, match="no endpoint one"):
            await supervisor.find("one")

        assert supervisor.report() == []


async def test_an_actor_does_not_carry_the_log_context_of_its_finder(
    autojump_clock: Clock,
) -> None:
    seen: list[dict[str, Any]] = []

    class Looks(Diary):
        async def started(self) -> None:
            seen.append(structlog.contextvars.get_contextvars())

    async with supervised(lambda _: Looks(), idle_s=IDLE_S) as supervisor:
        with structlog.contextvars.bound_contextvars(request_id="of another"):
            await supervisor.find("one")

    assert seen == [{}]


async def test_the_report_tells_keys_states_lives_and_depths(autojump_clock: Clock) -> None:
    async with supervised(lambda _: Diary()) as supervisor:
        ref = await supervisor.find("one")
        ref.tell(ValueError("boom"))
        await trio.testing.wait_all_tasks_blocked()
        ref.tell("waits")
        await ref.offer("waits too")
        [report] = supervisor.report()

    assert (report.supervisor, report.key) == ("stage", "one")
    assert (report.state, report.lives, report.waiting) == ("restarting", 1, 2)


def test_the_cause_of_a_group_is_the_one_exception_in_it() -> None:
    one, other = ValueError("one"), KeyError("other")
    both = ExceptionGroup("both", [one, other])

    assert cause(ExceptionGroup("outer", [ExceptionGroup("inner", [one])])) is one
    assert cause(ExceptionGroup("outer", [both])) is both
    assert cause(one) is one
