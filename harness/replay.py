"""Replay: `python3 -m harness replay FILE [--speed 1x|max] [--at N] [--serve [--port P]]`.

Theory: `runchat export JOB` holds what a job's actor was given, and the log that it made of it. The
actor is run again on the same, and its log must be the same bytes; if not, the first event that
differs is shown, and the exit status is 1. With `--at N` the replay stops after N events and shows
the job as it was then; with `--serve` it is played to the page, in the recorded time.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson
import trio
from trio.testing import MockClock

from actors.ending import result_of
from actors.job_state import JobState, fold
from harness.replaying.recording import Recording, Unreadable, read
from harness.replaying.rerun import Rerun
from runtime import telemetry
from runtime.events import decode

SAME, DIFFERENT, USAGE = 0, 1, 2
SPEED = re.compile(r"(\d{1,4}(?:\.\d{1,3})?)x")


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The first event that is not what was recorded; None where one log is shorter."""

    sequence: int
    recorded: bytes | None
    replayed: bytes | None
    refused: str

    def __str__(self) -> str:
        """Say it in lines, with a mark below the first byte that differs."""
        first, second = self.recorded or b"(no event)", self.replayed or b"(no event)"
        same = next((n for n, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), 0)
        shown = (each.decode("utf-8", "replace") for each in (first, second))
        recorded, replayed = shown
        mark = " " * len(first[:same].decode("utf-8", "replace")) + "^"
        said = f"\n{self.refused}" if self.refused else ""
        return (
            f"first difference at event {self.sequence}, byte {same}:{said}\n"
            f"  recorded: {recorded}\n  replayed: {replayed}\n            {mark}"
        )


def main(argv: Sequence[str]) -> int:
    """Replay a file; the exit status is 0 where the logs are the same bytes, 1 where not."""
    args = _parser().parse_args(argv)
    telemetry.configure(format="console", level="error")
    try:
        recording = read(args.file)
    except Unreadable as problem:
        print(problem, file=sys.stderr)
        return USAGE
    if args.serve:
        from harness.replaying.stage import serve  # noqa: PLC0415  the front takes half a second

        trio.run(serve, recording, args.port, args.speed or 1.0)
        return SAME
    replayed, refused = play(recording, speed=args.speed, upto=args.at)
    recorded = recording.log[: args.at]
    if args.at is not None:
        print(state_after(replayed[: args.at]))
    found = compare(recorded, replayed[: args.at], refused)
    if found is not None:
        print(found)
        return DIFFERENT
    size = sum(map(len, recorded))
    print(f"the same: {len(recorded)} events, {size} bytes", file=sys.stderr if args.at else None)
    return SAME


def play(
    recording: Recording, *, speed: float = 0, upto: int | None = None
) -> tuple[list[bytes], str]:
    """Run the job again; return its log, and what the actors refused, if anything.

    Args:
        speed: 0 takes no time; 1 is the recorded pace.
    """

    async def program() -> tuple[list[bytes], str]:
        rerun = Rerun(recording=recording, speed=speed, upto=upto)
        return await rerun.run(), rerun.refused

    return trio.run(program, clock=None if speed else MockClock(autojump_threshold=0))


def compare(
    recorded: Sequence[bytes], replayed: Sequence[bytes], refused: str = ""
) -> Difference | None:
    """Return the first difference between two logs, or None."""
    for place in range(max(len(recorded), len(replayed))):
        first, second = (log[place] if place < len(log) else None for log in (recorded, replayed))
        if first != second:
            return Difference(sequence=place + 1, recorded=first, replayed=second, refused=refused)
    return None


def state_after(log: Sequence[bytes]) -> str:
    """Return the job as these events tell it, as indented JSON."""
    state = JobState()
    for body in log:
        event = decode(body)
        fold(state, event["sequence"], event["kind"], event["data"])
    shown = {"head": state.head, "ended": state.ended} | orjson.loads(result_of(state))
    return json.dumps(shown, ensure_ascii=False, indent=2)


def _speed(word: str) -> float:
    if word == "max":
        return 0.0
    match = SPEED.fullmatch(word)
    if match is None or not float(match[1]):
        raise argparse.ArgumentTypeError("a speed is `max`, or such as `1x`")
    return float(match[1])


def _count(word: str) -> int:
    if not word.isdecimal() or not int(word):
        raise argparse.ArgumentTypeError("events are counted from 1")
    return int(word)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python3 -m harness replay", description="Run an exported job again, and compare."
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="of `runchat export`, or a log")
    parser.add_argument(
        "--speed", type=_speed, default=0.0, help="1x is the recorded pace (default: max)"
    )
    parser.add_argument("--at", type=_count, metavar="N", help="stop after N events and show them")
    parser.add_argument("--serve", action="store_true", help="play it to a browser")
    parser.add_argument("--port", type=int, default=0, help="of --serve (default: a free one)")
    return parser
