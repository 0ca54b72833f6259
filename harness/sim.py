"""The simulation's command: `python3 -m harness sim --seeds A..B [--faults all|none|NAME,...]`.

Theory: a seed is a whole run of the product (`harness.simulation.world`), so seeds are shared out
over the cores, and a failing one is replayed alone, by the one command that is printed for it.
Before that its plan is shrunk: steps are left out, in halves and then fewer, while it still breaks
the same law. `--planted all` proves the rig: each bug of `harness.simulation.planted` is looked for
with seed after seed until a law is broken.
Source: Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input" (ddmin).
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import chain
from typing import TYPE_CHECKING, Final

from harness import faults, quick
from harness.simulation import plan as plans
from harness.simulation.machine import Build
from harness.simulation.plan import Plan
from harness.simulation.planted import PLANTED
from harness.simulation.scheduler import uncollected
from harness.simulation.world import simulate

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor

SHRINK_RUNS: Final = 120  # runs spent on leaving steps out; by then a plan can be read
SHARE: Final = 30  # seeds handed to a core at once: a fork costs half a seed; 25 MB of garbage
FAILURES_TOLD: Final = 5
WITHIN: Final = 2000  # seeds that a planted bug may escape


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What one seed came to; small, since it crosses between processes."""

    seed: int
    digest: str
    wrong: str  # the first law that was broken; "" where none was
    commits: int
    seen: int
    completed: int
    lives: int
    virtual_s: float
    cpu_s: float

    @property
    def law(self) -> str:
        """The name of the law that was broken."""
        return law_of(self.wrong)


def law_of(wrong: str) -> str:
    """Return the name of the law in a sentence of the oracle's."""
    return wrong.partition(":")[0]


def main(argv: Sequence[str]) -> int:
    """Run the seeds; the exit status is 0 where every law held in all of them."""
    args = _parser().parse_args(argv)
    names = _names(args.faults)
    if args.planted:
        bugs = tuple(PLANTED) if args.planted == "all" else tuple(args.planted.split(","))
        return _look_for(bugs, names, args.steps, args.jobs)
    first, last = args.seeds
    build = PLANTED[args.plant] if args.plant else None
    if args.trace or args.only is not None:
        plan = plans.make(first, names, args.steps)
        return _replay(plan if args.only is None else plan.keep(args.only), build, args.trace)
    began = time.monotonic()
    told = list(run_seeds(range(first, last + 1), names, args.steps, args.jobs, args.plant))
    _sum_up(told, args.steps, time.monotonic() - began)
    failed = [each for each in told if each.wrong]
    for each in failed[:FAILURES_TOLD]:
        _explain(plans.make(each.seed, names, args.steps), each, args.faults, args.plant)
    return 1 if failed else 0


def run_seeds(
    seeds: Sequence[int],
    names: Collection[str],
    steps: int,
    jobs: int,
    plant: str | None = None,
    *,
    pool: ProcessPoolExecutor | None = None,
) -> Iterator[Told]:
    """Yield what each seed came to, in order, several at once on as many processes.

    Args:
        pool: the processes, where the caller has more for them to do.
    """
    shares = [tuple(seeds[start : start + SHARE]) for start in range(0, len(seeds), SHARE)]
    run = partial(_run_share, names=frozenset(names), steps=steps, plant=plant)
    if pool is not None:
        yield from chain.from_iterable(pool.map(partial(_apart, run), shares))
    elif jobs == 1 or len(shares) == 1:
        yield from chain.from_iterable(map(run, shares))
    else:
        with processes(jobs) as ours:
            yield from chain.from_iterable(ours.map(partial(_apart, run), shares))


def discover(bug: str, names: Collection[str], steps: int, within: int = WITHIN) -> Told | None:
    """Return what the first seed came to that caught a planted bug; None where none did."""
    build = PLANTED[bug]
    for seed in range(1, within + 1):
        told = run_seed(plans.make(seed, names, steps), build)
        if told.wrong:
            return told
    return None


def processes(jobs: int) -> ProcessPoolExecutor:
    """Return processes that run seeds."""
    import multiprocessing  # noqa: PLC0415  a replay needs none, and takes less than a second
    from concurrent.futures import ProcessPoolExecutor  # noqa: PLC0415

    context = multiprocessing.get_context("spawn")  # a fork would copy our threads' locks
    return ProcessPoolExecutor(jobs, context, initializer=quick.load, initargs=(__name__,))


def _apart(run: Callable[[Sequence[int]], list[Told]], seeds: Sequence[int]) -> list[Told]:
    """Run seeds in a fork of this process, which has run one: what they leave ends with it."""
    import multiprocessing  # noqa: PLC0415  as in `processes`

    _warm()
    context = multiprocessing.get_context("fork")  # nobody else runs in a process of the pool
    heard, tells = context.Pipe(duplex=False)
    with uncollected():
        child = context.Process(target=lambda: tells.send(run(seeds)))
        child.start()
    tells.close()
    told: list[Told] = heard.recv()
    child.join()
    return told


@cache
def _warm() -> None:
    """Make once what all runs share: the routes, the store's image, what reads a body."""
    run_seed(plans.make(0, ()))


def _run_share(
    seeds: Sequence[int], names: frozenset[str], steps: int, plant: str | None
) -> list[Told]:
    build = PLANTED[plant] if plant else None
    return [run_seed(plans.make(seed, names, steps), build) for seed in seeds]


def run_seed(plan: Plan, build: Build | None = None) -> Told:
    """Run one plan."""
    began = time.process_time()
    outcome = simulate(plan, build=build)
    return Told(
        seed=plan.seed,
        digest=outcome.digest,
        wrong=outcome.wrongs[0] if outcome.wrongs else "",
        commits=outcome.commits,
        seen=outcome.seen,
        completed=outcome.completed,
        lives=outcome.lives,
        virtual_s=outcome.virtual_s,
        cpu_s=time.process_time() - began,
    )


def shrink(plan: Plan, build: Build | None = None, runs: int = SHRINK_RUNS) -> tuple[int, ...]:
    """Return the places of few steps of a failing plan that break the same law, after `runs`."""
    kept = tuple(range(len(plan.steps)))
    law = _broken(plan, build)
    size = len(kept) // 2
    while size and runs > 0:
        start = 0
        while start < len(kept) and runs > 0:
            fewer = kept[:start] + kept[start + size :]
            runs -= 1
            if fewer and _broken(plan.keep(fewer), build) == law:
                kept = fewer
            else:
                start += size
        size //= 2
    return kept


def _broken(plan: Plan, build: Build | None) -> str:
    wrongs = simulate(plan, build=build).wrongs
    return law_of(wrongs[0]) if wrongs else ""


def _replay(plan: Plan, build: Build | None, shows: bool) -> int:
    outcome = simulate(plan, build=build, keeps_lines=shows)
    for line in (*outcome.lines, *outcome.wrongs):
        print(line)
    print(f"seed {plan.seed}: trace {outcome.digest}")
    return 1 if outcome.wrongs else 0


def _look_for(bugs: Sequence[str], names: frozenset[str], steps: int, jobs: int) -> int:
    """Print the first seed that catches each bug, and the law; 1 where one escapes."""
    escaped = 0
    with processes(jobs) as pool:
        found = pool.map(partial(discover, names=names, steps=steps), bugs)
        for bug, told in zip(bugs, found, strict=True):
            escaped += told is None
            said = "escapes" if told is None else f"seed {told.seed}: {told.law}"
            print(f"{bug}: {said}", flush=True)
    print(f"{len(bugs) - escaped} of {len(bugs)} planted bugs caught within {WITHIN} seeds")
    return 1 if escaped else 0


def _sum_up(told: Sequence[Told], steps: int, seconds: float) -> None:
    commits, seen = sum(each.commits for each in told), sum(each.seen for each in told)
    lives, virtual_s = sum(each.lives for each in told), sum(each.virtual_s for each in told)
    completed = sum(each.completed for each in told)
    failed = sum(1 for each in told if each.wrong)
    rate, each_ms = len(told) / seconds, 1000 * sum(each.cpu_s for each in told) / len(told)
    print(f"{len(told)} seeds of {steps} steps in {seconds:.1f} s ({rate:.1f} seeds/s, ", end="")
    print(f"{each_ms:.1f} ms of processor time each): ", end="")
    print(
        f"{lives} lives, {commits} commits, {seen} events read, {completed} jobs completed, ",
        end="",
    )
    print(f"{virtual_s:.0f} virtual s; {failed} failed")


def _explain(plan: Plan, told: Told, faults_given: str, plant: str | None) -> None:
    """Print what broke, the few steps that still break it, and the command that replays them."""
    build = PLANTED[plant] if plant else None
    kept = shrink(plan, build)
    fewer = plan.keep(kept)
    again = simulate(fewer, build=build).wrongs
    steps = f"--plant {plant} " if plant else ""
    steps += f"--steps {len(plan.steps)} --only {','.join(map(str, kept))}"
    lines = [f"seed {plan.seed}: {told.wrong[:300]}"]
    lines.append(f"  with {len(kept)} of its {len(plan.steps)} steps: {' '.join(again)[:300]}")
    lines += [f"    {step}" for step in fewer.steps]
    lines.append(
        f"  python3 -m harness sim --seeds {plan.seed} --faults {faults_given} {steps} --trace"
    )
    print("\n".join(lines), file=sys.stderr)


def _names(given: str) -> frozenset[str]:
    if given in ("all", "none"):
        return frozenset(faults.NAMES if given == "all" else ())
    return frozenset(given.split(","))


def _faults(text: str) -> str:
    unknown = _names(text) - set(faults.NAMES)
    if unknown:
        raise argparse.ArgumentTypeError(f"no such fault: {', '.join(sorted(unknown))}")
    return text


def _bugs(text: str) -> str:
    unknown = set(text.split(",")) - {"all", *PLANTED}
    if unknown:
        raise argparse.ArgumentTypeError(f"no such bug: {', '.join(sorted(unknown))}")
    return text


def _seeds(text: str) -> tuple[int, int]:
    first, _, last = text.partition("..")
    return int(first), int(last or first)


def _places(text: str) -> tuple[int, ...]:
    return tuple(int(each) for each in text.split(","))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m harness sim", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--seeds", type=_seeds, default=(1, 300), metavar="A..B")
    parser.add_argument(
        "--faults", type=_faults, default="all", help=f"all, none, or of {', '.join(faults.NAMES)}"
    )
    parser.add_argument("--steps", type=int, default=plans.STEPS, help="of each seed")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--plant", choices=PLANTED, help="a bug, to see that it is caught")
    parser.add_argument(
        "--planted", type=_bugs, metavar="all|NAME,...", help="find the first seed that catches it"
    )
    parser.add_argument("--trace", action="store_true", help="print all that happens in one seed")
    parser.add_argument("--only", type=_places, metavar="N,...", help="places of the steps kept")
    return parser
