"""`python3 -m harness soak --minutes N`: mixed load on a real service, and nothing lost or left.

A service of its own on a real folder and real sockets has conversations whose jobs are followed,
aborted, replaced and queued, with readers that drop and resume, and streams of the open protocol.
Held: no lost or doubled event (`judging`), memory that is flat after a warm-up, and, once the load
has drained, no more tasks, threads, sockets, files, actors or readers than before it. In the test
run it lasts a minute at a smaller scale, since two cores do other things beside it.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

import trio

from harness.bench.machine import allow_files, described, resident_bytes
from harness.bench.service import Service
from harness.soak.appending import one_stream, write_streams
from harness.soak.counting import counts
from harness.soak.judging import Sample, after_warm_up, left_behind, slope_kib_per_min
from harness.soak.served import PLANTS
from harness.soak.talking import FLAWS, Soak, converse, talk
from runtime import limits

KIB = 1024
SAMPLE_S = 0.5
TOLD_S = 10.0  # between two lines about how it goes
SETTLE_S = 2.0  # beyond the time an idle actor stays
DRAIN_S = 60.0  # later than that, what is left is left behind
WRONGS_SHOWN = 10
REHEARSED = 4
FILL_DELTAS = 3000  # of 16 characters, each an event of some 180 bytes: a whole tail
FILL_JOBS = limits.TAIL_TOTAL_BYTES // limits.TAIL_STREAM_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How much load, and how much growth is none.

    Args:
        longest_s: of one job.
        idle_s: idle actors leave after this; the product's own is a minute.
        warm_share: of the time; memory is judged after it, when what is bounded has filled.
        slope_kib_per_min: what passes for flat; malloc's pools and SQLite's caches breathe.
    """

    jobs: int
    readers: int
    streams: int
    longest_s: float
    idle_s: float
    warm_share: float
    slope_kib_per_min: float


FULL = Scale(
    jobs=500,
    readers=2000,
    streams=20,
    longest_s=45,
    idle_s=limits.CONVERSATION_IDLE_S,
    warm_share=1 / 6,
    slope_kib_per_min=1024,
)
SMALL = Scale(
    jobs=60,
    readers=240,
    streams=6,
    longest_s=6,
    idle_s=3,
    warm_share=1 / 3,
    slope_kib_per_min=4 * 1024,
)


def main(argv: Sequence[str]) -> int:
    """Soak; the exit status is 0 when all held."""
    asked = _parser().parse_args(argv)
    scale = SMALL if asked.small else FULL
    allow_files(2 * scale.readers)
    print(" | ".join(f"{name}: {value}" for name, value in described().items()))
    print(f"{asked.minutes:g} minutes, seed {asked.seed}: {scale}", flush=True)
    plant = asked.plant if asked.plant in PLANTS else ""
    arguments = ["--idle-s", str(scale.idle_s), *(["--plant", plant] if plant else [])]
    with tempfile.TemporaryDirectory(dir=asked.folder) as made:
        data = Path(made) / "data"
        start = ("-m", "harness.soak.served", str(data), *arguments)
        with Service(data, start=start) as service:
            soak = Soak(
                target=service.target,
                chance=random.Random(asked.seed),  # noqa: S311  a choice, not a secret
                longest_s=scale.longest_s,
                flaw=asked.plant if asked.plant in FLAWS else "",
            )
            wrongs = trio.run(run, service, soak, scale, 60 * asked.minutes)
    for wrong in wrongs[:WRONGS_SHOWN]:
        print(f"WRONG: {wrong}")
    print(f"soak: {'FAILED, ' if wrongs else ''}{len(wrongs)} wrongs", flush=True)
    return 1 if wrongs else 0


async def run(service: Service, soak: Soak, scale: Scale, seconds: float) -> list[str]:
    """Load the service for so long; return what was wrong."""
    await rehearse(soak)
    before = await at_rest(service, scale.idle_s, {})
    samples: list[Sample] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch, service, soak, samples)
        for _ in range(scale.jobs):
            nursery.start_soon(talk, soak, scale.readers // scale.jobs)
        for number in range(scale.streams):
            nursery.start_soon(write_streams, soak, number)
        await trio.sleep(seconds)
        soak.over.set()
    after = await at_rest(service, scale.idle_s, before)
    return soak.wrongs + judge(samples, scale, before, after)


async def rehearse(soak: Soak) -> None:
    """Do a little of everything, and fill what is bounded: what is made once is made now."""
    async with trio.open_nursery() as nursery:
        for number in range(REHEARSED):
            nursery.start_soon(soak.noting, converse, soak, 2)
            nursery.start_soon(soak.noting, one_stream, soak, f"/v1/stream/rehearsal/{number}")
        for _ in range(FILL_JOBS):
            nursery.start_soon(soak.noting, fill, soak)
    soak.done.clear()


async def fill(soak: Soak) -> None:
    """Have one job say as much as the shared tail of a stream holds, to its end."""
    async with soak.line() as line:
        conversation = (await line.good("POST", "/api/conversations", {}))["id"]
        order = {"input": "go", "model": "synthetic/tokens", "options": {"count": FILL_DELTAS}}
        job = await line.good("POST", f"/api/conversations/{conversation}/jobs", order)
        async with aclosing(line.frames(f"/api/jobs/{job['id']}/events?after=now")) as frames:
            async for _ in frames:
                pass


async def watch(service: Service, soak: Soak, samples: list[Sample]) -> None:
    """Look at the service's memory until the time is over, and say how it goes."""
    began = told = time.monotonic()
    while not soak.over.is_set():
        now = time.monotonic()
        kib = resident_bytes(service.pid) / KIB
        samples.append(Sample(at_s=now - began, resident_kib=kib))
        if now - told >= TOLD_S:
            told = now
            done = ", ".join(f"{count:,} {name}" for name, count in sorted(soak.done.items()))
            print(f"{now - began:5.0f} s {kib / KIB:6.1f} MiB: {done}", flush=True)
        await trio.sleep(SAMPLE_S)


async def at_rest(service: Service, idle_s: float, before: dict[str, int]) -> dict[str, int]:
    """Return what is there once idle actors have left, no more than before or no longer waited."""
    await trio.sleep(idle_s + SETTLE_S)
    now = await trio.to_thread.run_sync(counts, service)
    deadline = trio.current_time() + DRAIN_S
    while before and left_behind(before, now) and trio.current_time() < deadline:
        await trio.sleep(SAMPLE_S)
        now = await trio.to_thread.run_sync(counts, service)
    return now


def judge(
    samples: list[Sample], scale: Scale, before: dict[str, int], after: dict[str, int]
) -> list[str]:
    """Print what memory did, and what is left; return what is wrong with it."""
    warm_s = scale.warm_share * samples[-1].at_s if samples else 0.0
    steady = after_warm_up(samples, warm_s)
    slope = slope_kib_per_min(steady)
    print(
        f"memory: {slope:+,.0f} KiB/min by least squares over {len(steady)} samples after"
        f" {warm_s:.0f} s (at most {scale.slope_kib_per_min:,.0f})"
    )
    print(*(f"{name}: {before.get(name, 0)} -> {after[name]}" for name in sorted(after)), sep=" | ")
    wrongs = left_behind(before, after)
    if len(steady) < 2:  # noqa: PLR2004
        wrongs.append("It was too short to judge memory.")
    if slope > scale.slope_kib_per_min:
        wrongs.append(f"Memory grows by {slope:,.0f} KiB/min.")
    return wrongs


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m harness soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1, help="of what the load does")
    parser.add_argument("--small", action="store_true", help="the load of the test run")
    parser.add_argument("--folder", type=Path, help="where the data goes")
    parser.add_argument(
        "--plant",
        choices=(*PLANTS, *FLAWS),
        help="make the harness leak or mishear, to see it fail",
    )
    return parser
