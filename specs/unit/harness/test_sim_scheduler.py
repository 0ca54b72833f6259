"""The scheduler of the simulation: trio's hook is there, and a seed decides who runs next."""

import random

import trio

from harness.simulation import scheduler
from harness.simulation.scheduler import EPOCH_MS, VirtualClock


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


def test_trio_still_has_the_private_switch_and_generator_that_this_rests_on() -> None:
    inner = trio._core._run
    assert type(inner._ALLOW_DETERMINISTIC_SCHEDULING) is bool
    assert type(inner._r) is random.Random


def test_one_seed_gives_one_order_and_other_seeds_give_others() -> None:
    orders = {order_of(seed) for seed in range(20)}
    assert len(orders) == 20
    assert [order_of(7), order_of(7)] == [order_of(7)] * 2


def test_without_seeding_trio_one_seed_gives_many_orders() -> None:
    assert len({order_of(7, seeds_trio=False) for _ in range(10)}) > 1


def test_the_switch_and_the_generator_are_as_before_after_a_run() -> None:
    inner = trio._core._run
    before = inner._ALLOW_DETERMINISTIC_SCHEDULING, inner._r.getstate()
    order_of(3)
    assert (inner._ALLOW_DETERMINISTIC_SCHEDULING, inner._r.getstate()) == before


def test_the_virtual_clock_moves_with_trio_and_costs_no_time() -> None:
    async def program() -> tuple[int, int]:
        clock = VirtualClock()
        first = clock.now_ms()
        with trio.move_on_after(86_400):
            await trio.Event().wait()
        return first, clock.now_ms()

    assert scheduler.run(program, 1) == (EPOCH_MS, EPOCH_MS + 86_400_000)
