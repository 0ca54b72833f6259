"""The whole product in one thread, with random clients and faults: the laws hold in every seed."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

import pytest

from harness import faults, sim
from harness.simulation import plan as plans
from harness.simulation.plan import Plan
from harness.simulation.world import World, simulate
from specs.requirements import requirement

SEEDS = 60  # a spec; five of them are the 300
TIMEOUT_S = 300


def digests(seeds: range, *, seeds_trio: bool = True) -> list[str]:
    return [
        simulate(plans.make(seed, faults.NAMES), seeds_trio=seeds_trio).digest for seed in seeds
    ]


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    """Two processes, or as many as there are cores, started once for all seeds."""
    with sim.processes(os.cpu_count() or 1) as pool:
        yield pool


@requirement(
    "grammar.sequence",
    "grammar.unchanging",
    "grammar.one-end",
    "grammar.deltas-equal-done",
    "grammar.fold-is-get",
    "end.partial-kept",
    "jobs.replace-order",
    "jobs.replace-atomic",
    "jobs.replace-names-successor",
    "jobs.replace-no-late-part",
    "sse.never-before-commit",
    "sse.same-bytes",
    "http.foreign-is-absent",
)
@pytest.mark.parametrize("first", range(1, 301, SEEDS))
def test_the_laws_hold_in_300_seeds_with_every_fault(first: int, pool: ProcessPoolExecutor) -> None:
    seeds = range(first, first + SEEDS)
    told = list(sim.run_seeds(seeds, faults.NAMES, plans.STEPS, 1, pool=pool))
    assert {each.seed: each.wrong for each in told if each.wrong} == {}
    assert len(told) == SEEDS
    assert sum(each.seen for each in told) > 20 * SEEDS
    assert sum(each.completed for each in told) > SEEDS // 2
    assert sum(each.lives for each in told) > 2 * SEEDS
    assert plans.STEPS >= 40
    spoke = sum(plans.make(each.seed, ()).speaks_http for each in told)
    assert SEEDS // plans.WIRE_EVERY <= spoke <= SEEDS // plans.WIRE_EVERY + 1


def test_the_laws_hold_where_nothing_goes_wrong() -> None:
    told = list(sim.run_seeds(range(1, 21), (), plans.STEPS, 1))
    assert {each.seed: each.wrong for each in told if each.wrong} == {}
    assert {each.lives for each in told} == {1}


@pytest.mark.parametrize("seed", [5374])  # its job died between its last word and the commit of it
def test_a_seed_that_broke_a_law_once_breaks_none(seed: int) -> None:
    outcome = simulate(plans.make(seed, faults.NAMES))
    assert (outcome.wrongs, outcome.crashes) == ((), 2)


def test_a_seed_is_one_trace_and_other_seeds_are_others() -> None:
    first = digests(range(1, 11))
    assert digests(range(1, 11)) == first
    assert len(set(first)) == 10


def test_a_seed_is_one_trace_in_another_process_too() -> None:
    code = (
        "from harness import faults; from harness.simulation import plan;"
        "from harness.simulation.world import simulate;"
        "print(*[simulate(plan.make(s, faults.NAMES)).digest for s in range(7, 2, -1)])"
    )
    said = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=TIMEOUT_S,
        env={**os.environ, "PYTHONHASHSEED": "77"},
    )
    assert said.stdout.split() == digests(range(7, 2, -1))


def test_without_seeding_trio_one_seed_is_many_traces() -> None:
    assert len({digests(range(1, 2), seeds_trio=False)[0] for _ in range(5)}) > 1


def test_ids_sort_by_birth_though_the_clock_was_set_back_between_two_processes() -> None:
    made: list[str] = []

    async def story(world: World) -> None:
        for back_ms in (0, 3_600_000, 30 * 86_400_000):
            world.wall.leap(-back_ms)
            world.process.kill()
            await world.process.ended.wait()
            await world.until_up()
            talk = await world.clients.begin()
            assert talk is not None
            made.append(talk.id)

    outcome = simulate(Plan(seed=1, steps=(), faults=frozenset()), story=story)
    assert outcome.wrongs == ()
    assert made == sorted(made)
    assert len(made) == 3
