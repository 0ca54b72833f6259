"""Power cuts: `python3 -m harness powerloss [--points N] [--seed S] [--synchronous FULL|...]`.

Theory: the store promises that what was acknowledged outlives a power cut, as far as the disk keeps
its word about fsync. Here is a disk that does so and no more (`harness.power.disk`), under the
product's own writer and reader, cut at N points. NORMAL and OFF are the proof of the rig: there
SQLite does not sync each commit, or nothing at all, and losses and damage must be seen.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from harness.power.trial import trials

POINTS = 400


def main(argv: Sequence[str]) -> int:
    """Cut the power as often as asked; the exit status is 0 where nothing was lost or corrupt."""
    parser = argparse.ArgumentParser(
        prog="python3 -m harness powerloss", description="Cut the power under the real store."
    )
    parser.add_argument("--points", type=int, default=POINTS, help=f"how often ({POINTS})")
    parser.add_argument("--seed", type=int, default=1, help="names the lives and the cuts (1)")
    parser.add_argument("--synchronous", choices=["FULL", "NORMAL", "OFF"], default="FULL")
    args = parser.parse_args(argv)
    began = time.monotonic()
    tally = trials(args.points, seed=args.seed, synchronous=args.synchronous)
    print(
        f"{tally.points} power cuts in {tally.lives} lives, {time.monotonic() - began:.1f} s: "
        f"{tally.acknowledged} acknowledged events looked for, {tally.lost} lost, "
        f"{tally.corrupt} stores corrupt"
    )
    for each in tally.told:
        print(each, file=sys.stderr)
    return 1 if tally.lost or tally.corrupt else 0
