"""The scheduler of the simulation: trio's hook is there, and a seed decides who runs next."""

import inspect
import math

import trio

from harness.simulation import scheduler
from harness.simulation.scheduler import EPOCH_MS, VirtualClock

LOOKED_AT = ("tasks", "runq", "deadlines", "entry_queue", "init_task", "io_manager", "spawn_impl")
OF_A_SCOPE = ("_cancel_status", "_cancel_called", "_registered_deadline", "_deadline")
SET = ("_counter", "_next_send_fn", "_next_send", "_abort_func", "context")


def order_of(seed: int, *, seeds_trio: bool = True) -> str:
    """The order in which twelve tasks that are all ready take their turns."""

    async def program() -> str:
        turns: list[str] = []

        async def task(name: str) -> None:
            for _ in range(3):
                await trio.lowlevel.checkpoint()
                turns.append(name)

        async with trio.open_nursery() as nursery:
            for name in "abcdefghijkl":
                nursery.start_soon(task, name)
        return "".join(turns)

    return scheduler.run(program, seed, seeds_trio=seeds_trio)


def test_trio_still_has_the_private_names_that_this_rests_on() -> None:
    async def program() -> None:
        runner = inner.GLOBAL_RUN_CONTEXT.runner
        task = inner.GLOBAL_RUN_CONTEXT.task
        assert {*LOOKED_AT} <= set(dir(runner))
        assert {*SET} <= set(inner.Task.__slots__) | set(dir(task))

    inner = scheduler.INNER
    assert inspect.isfunction(inner.unrolled_run) is True
    assert inspect.isclass(inner.WaitTaskRescheduled) is True
    assert inner.CancelShieldedCheckpoint is scheduler.SHIELDED
    assert inner.current_time is trio.current_time
    assert inspect.isfunction(getattr(inner.CancelScope, scheduler.MOVED)) is True
    kept = {each.name for each in inner.CancelScope.__attrs_attrs__}
    assert {*OF_A_SCOPE} <= kept
    trio.run(program)


def test_one_seed_gives_one_order_and_other_seeds_give_others() -> None:
    orders = {order_of(seed) for seed in range(20)}
    assert len(orders) == 20
    assert [order_of(7), order_of(7)] == [order_of(7)] * 2


def test_without_seeding_trio_one_seed_gives_many_orders() -> None:
    assert len({order_of(7, seeds_trio=False) for _ in range(10)}) > 1


def test_the_loop_of_trio_is_as_before_after_a_run() -> None:
    def found() -> tuple[object, ...]:
        inner = scheduler.INNER
        moved = getattr(inner.CancelScope, scheduler.MOVED)
        return inner.unrolled_run, inner.current_time, trio.current_time, trio.sleep, moved

    before = found()
    order_of(3)
    assert found() == before


def test_a_scope_ends_at_the_deadline_it_was_given_last() -> None:
    async def wait_until(*deadlines: float) -> float:
        with trio.CancelScope(deadline=deadlines[0]) as scope:
            for each in deadlines[1:]:
                scope.deadline = each
            await trio.Event().wait()
        return trio.current_time()

    async def program() -> list[float]:
        ended = [await wait_until(3), await wait_until(9, 5), await wait_until(6, math.inf, 8)]
        with trio.CancelScope(deadline=9) as scope:
            scope.cancel()
            await trio.Event().wait()
        return [*ended, trio.current_time()]

    assert scheduler.run(program, 1) == [3, 5, 8, 8]


def test_the_virtual_clock_moves_with_trio_and_costs_no_time() -> None:
    async def program() -> tuple[int, int]:
        clock = VirtualClock()
        first = clock.now_ms()
        with trio.move_on_after(86_400):
            await trio.Event().wait()
        return first, clock.now_ms()

    assert scheduler.run(program, 1) == (EPOCH_MS, EPOCH_MS + 86_400_000)


def test_who_naps_wakes_in_time_and_may_be_cancelled() -> None:
    told: list[tuple[str, float]] = []

    async def nap(name: str, seconds: float) -> None:
        await trio.lowlevel.current_clock().nap(seconds)  # type: ignore[attr-defined]
        told.append((name, trio.current_time()))

    async def program() -> None:
        assert trio.sleep == trio.lowlevel.current_clock().nap  # type: ignore[attr-defined]
        async with trio.open_nursery() as nursery:
            for name, seconds in (("later", 7.0), ("soon", 2.5), ("now", 0.0)):
                nursery.start_soon(nap, name, seconds)
            with trio.move_on_after(5):
                await nap("never", 60.0)
            told.append(("cancelled", trio.current_time()))

    usual = trio.sleep
    scheduler.run(program, 1)
    assert told == [("now", 0.0), ("soon", 2.5), ("cancelled", 5.0), ("later", 7.0)]
    assert trio.sleep is usual


def test_the_wall_may_be_set_back_and_remembers_the_latest_time() -> None:
    async def program() -> tuple[int, int, int]:
        clock = VirtualClock()
        clock.leap(5000)
        clock.leap(-8000)
        with trio.move_on_after(1):
            await trio.Event().wait()
        return clock.now_ms(), clock.latest_ms(), VirtualClock().now_ms()

    assert scheduler.run(program, 1) == (EPOCH_MS - 2000, EPOCH_MS + 5000, EPOCH_MS + 1000)
