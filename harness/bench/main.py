"""`python3 -m harness bench [NAME ...]`: measures the service from outside and says what is met.

Each figure is the median of its runs with the least and the greatest; where it depends on the disk,
the disk's own latency in the same runs stands beside it. A delivery that lost or doubled an event
is no figure: the bench says so and fails. A target that is missed is shown and fails nothing, since
another machine has other figures; `--strict` makes it a failure.
`bench streams` is the comparison with others' servers, which wants Node: all its rows, or each by
its name (`bench streams-post streams-follow --runs 3`). `bench gateway-peer` is LiteLLM beside us,
which is installed for it.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.bench import (
    appending,
    asking,
    delivering,
    guarding,
    importing,
    length,
    resting,
    resuming,
    sessions,
    stalling,
    starting,
)
from harness.bench.figures import Figure, Wrong, figures, row, table
from harness.bench.gateway.measure import GATEWAY, PEERS
from harness.bench.machine import allow_files, described, fsync_ms
from harness.bench.measure import FULL, TINY, Measure, Size
from harness.bench.plot import Curve, svg
from harness.bench.streams import flat_out, in_process, rows
from harness.bench.wire import Unexpected

MEASURES: tuple[Measure, ...] = (
    starting.MEASURE,
    asking.MEASURE,
    resuming.MEASURE,
    importing.DELIVER,
    delivering.CROWD,
    appending.MEASURE,
    resting.ACTORS,
    resting.CONNECTIONS,
    stalling.MEASURE,
    guarding.MEASURE,
    sessions.TOOLS,
    GATEWAY,
    length.MEASURE,
)
ALONE = (sessions.SESSIONS, importing.IMPORTING)  # parts of the others, by themselves
ROWS = (
    rows.CATCH_UP,
    rows.FOLLOW,
    rows.COME_BACK,
    rows.POST,
    flat_out.FLAT_OUT,
    rows.STALL,
)
STREAMS: tuple[Measure, ...] = (*(each.measure() for each in ROWS), in_process.IN_PROCESS)
PICTURE = Path(__file__).with_name("log_length.svg")
RUNS = 5


def main(argv: Sequence[str], measures: Sequence[Measure] = MEASURES) -> int:
    """Measure what is named, else everything; the exit status is 1 where something is wrong."""
    asked = _parser().parse_args(argv)
    every = (*measures, *ALONE, *STREAMS, PEERS)
    known = {each.name: [each] for each in every} | {"streams": list(STREAMS)}
    if unknown := [name for name in asked.names if name not in known]:
        print(f"There is no measure {', '.join(unknown)}; there are {', '.join(known)}.")
        return 2
    chosen = [each for name in asked.names for each in known[name]] or list(measures)
    size = TINY if asked.tiny else FULL
    allow_files(max(size.idle_readers, size.crowd_readers))
    machine = described()
    print(" | ".join(f"{name}: {value}" for name, value in machine.items()), flush=True)
    taken: list[Figure] = []
    failed: list[str] = []
    for measure in chosen:
        runs = 1 if measure.once else asked.runs
        try:
            made = take(measure, size, runs, asked.folder)
        except (Wrong, Unexpected) as problem:
            failed.append(f"{measure.name}: {type(problem).__name__}: {problem}")
            print(failed[-1], flush=True)
            continue
        for figure in made:
            print(f"{measure.name:<12}", *row(figure), sep=" | ", flush=True)
        taken += made
    _write(asked, machine, taken, failed)
    missed = [each for each in taken if each.met is False]
    print(f"{len(taken)} figures, {len(missed)} targets missed, {len(failed)} measures failed")
    return 1 if failed or (asked.strict and missed) else 0


def take(measure: Measure, size: Size, runs: int, folder: Path | None) -> list[Figure]:
    """Run a measure so many times, each in an empty folder, with a look at the disk before."""
    values, disk = [], []
    for turn in range(runs):
        with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as made:
            disk.append(fsync_ms(Path(made)))
            values.append(measure.run(Path(made), replace(size, turn=turn)))
    return figures(measure.lines, values, disk)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m harness bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="what to measure; else everything")
    parser.add_argument("--runs", type=int, default=RUNS, help="of each measure")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table")
    parser.add_argument("--svg", type=Path, metavar="FILE", help=f"plot, else {PICTURE.name}")
    parser.add_argument("--folder", type=Path, help="where the data goes: a disk to be measured")
    parser.add_argument("--tiny", action="store_true", help="see that it works, in a few seconds")
    parser.add_argument("--strict", action="store_true", help="fail where a target is missed")
    return parser


def _write(
    asked: argparse.Namespace, machine: dict[str, Any], taken: list[Figure], failed: list[str]
) -> None:
    if asked.json:
        told = {"machine": machine, "failed": failed, "figures": [e.to_json() for e in taken]}
        asked.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    if asked.markdown:
        asked.markdown.write_text(table(taken), encoding="utf-8")
    if points := {each.line.key: each.value for each in taken if each.line.key.endswith("_ms")}:
        drawn = picture(points)
        where = asked.svg or (None if asked.tiny else PICTURE)
        if drawn and where:
            where.write_text(drawn, encoding="utf-8")


def picture(values: dict[str, float]) -> str | None:
    """Return the plot of cost against log length, where that was measured."""
    curves: list[Curve] = []
    for kind, colour in (("append", "#2563eb"), ("resume", "#d97706")):
        for share, dashed in (("", False), ("_p99", True)):
            keys = {n: f"{kind}_{n}{share}_ms" for n in length.LENGTHS}
            points = {n: values[key] for n, key in keys.items() if values.get(key)}
            if points:
                name = f"{kind} {share[1:] or 'p50'}"
                above = kind == "resume"
                curves.append(
                    Curve(name=name, colour=colour, points=points, dashed=dashed, above=above)
                )
    return svg("Cost against the length of the log", curves) if curves else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
