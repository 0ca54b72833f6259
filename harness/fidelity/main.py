"""`python3 -m harness fidelity FOLDER`: recorded streams through the whole product, and compared.

Every stream of the folder's index is played by the upstream program over a real socket, read by the
endpoint of its wire, kept in a job's log and shown by `GET`; what differs from the folder's goldens
is printed, and last `N/M`. `--split` and `--crlf` change the framing, which must change nothing.
`--cut events` ends the body behind every event instead: none of those answers may be shown as a
finished one before the wire's own mark, and their words only ever grow into the uncut ones.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import trio

from harness.fidelity import goldens
from harness.fidelity.talking import Talk
from harness.serve_as import Always
from harness.upstream.program import Upstream
from harness.upstream.script import Script
from runtime import settings as settings_of
from runtime import telemetry
from runtime.caller import Caller
from runtime.settings import Endpoint, Settings
from transports import compose

WRITE_BYTES = 64 * 1024  # of a cut stream: where it ends is what counts, not its pieces
AT_ONCE = 24  # streams under way; more only wait for the two cores
MARKS = {  # the wire's own marks of the end, one of which must be in what came
    "openai-chat": re.compile(rb'"finish_reason": ?"|\[DONE\]'),
    "openai-responses": re.compile(rb'"type": ?"response\.(completed|incomplete)"'),
    "anthropic-messages": re.compile(rb'"type": ?"message_stop"'),
    "google-generate": re.compile(rb'"finishReason": ?"|"blockReason": ?"'),
}
FRAMES = {"openai-chat": "/v1", "openai-responses": "/v1"}  # what an endpoint's address ends with


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One stream to play. `events`: how many of them; None is all."""

    row: Mapping[str, Any]
    script: Script
    events: int | None = None

    @property
    def model(self) -> str:
        """The name that picks it."""
        return self.row["id"] if self.events is None else f"{self.row['id']}@{self.events}"


@dataclass(slots=True, kw_only=True)
class Shown:
    """What the product made of a stream."""

    job: Mapping[str, Any] = field(default_factory=dict)
    end: Mapping[str, Any] = field(default_factory=dict)


def main(argv: Sequence[str]) -> int:
    """Play the folder; 0 where nothing differs."""
    args = _parser().parse_args(argv)
    telemetry.configure(format="console", level="error")
    index = orjson.loads((args.folder / "index.json").read_bytes())
    chosen = [row for row in index if not args.only or row["id"] in args.only.split(",")]
    rows = [row for row in chosen if row["wire"] in goldens.WIRES]
    for wire in sorted({row["wire"] for row in chosen} - goldens.WIRES):
        print(f"left out: {wire}, a wire that no endpoint speaks")
    kept = orjson.loads((args.folder / "sdk_goldens.json").read_bytes())
    scripts = {
        row["id"]: Script(
            raw=(args.folder / row["file"]).read_bytes().decode("utf-8", "surrogateescape"),
            split_bytes=args.split,
            line_end="\r\n" if args.crlf else "\n",
        )
        for row in rows
    }
    cases = [Case(row=row, script=scripts[row["id"]]) for row in rows]
    if args.cut:
        cases = [cut for case in cases for cut in _cuts(case)]
    shown = trio.run(play, cases)
    wrong = _judge_cuts(cases, shown) if args.cut else _judge(cases, shown, kept)
    for model, words in wrong.items():
        print(f"{model}: {words}")
    print(f"{len(cases) - len(wrong)}/{len(cases)}")
    return 1 if wrong else 0


def _cuts(case: Case) -> list[Case]:
    count = len(case.script.events())
    whole = replace(case.script, split_bytes=case.script.split_bytes or WRITE_BYTES)
    cut = [replace(whole, cut_events=size) for size in range(count + 1)]
    return [replace(case, script=script, events=size) for size, script in enumerate(cut)]


def _judge(
    cases: Sequence[Case], shown: Mapping[str, Shown], kept: Mapping[str, Any]
) -> dict[str, str]:
    wrong = {}
    for case in cases:
        seen, raw = shown[case.model], (case.script.raw or "").encode("utf-8", "surrogateescape")
        found = goldens.mismatches(case.row, kept.get(case.row["id"]), raw, seen.job, seen.end)
        if found:
            wrong[case.model] = "; ".join(found)
    return wrong


def _judge_cuts(cases: Sequence[Case], shown: Mapping[str, Shown]) -> dict[str, str]:
    """Return the cut answers that say too much, or have lost what came before the cut."""
    wrong: dict[str, str] = {}
    before: tuple[str, str] = ("", "")
    for case in cases:
        seen = shown[case.model]
        came = b"".join(case.script.events()[: case.events])
        text = goldens.text_of(seen.job) if seen.job else ""
        earlier = before[1] if before[0] == case.row["id"] and case.events else ""
        before = (case.row["id"], text)
        if not seen.end:
            wrong[case.model] = "the log has no end"
        elif MARKS[case.row["wire"]].search(came):
            pass  # it has ended, and its last event may say otherwise than its pieces did
        elif seen.end["status"] == "completed":
            wrong[case.model] = "shown as a finished answer"
        elif not text.startswith(earlier):
            wrong[case.model] = f"lost words: {earlier[:80]!r} became {text[:80]!r}"
    return wrong


async def play(cases: Sequence[Case]) -> dict[str, Shown]:
    """Return what the product shows of each case, by its model."""
    upstream = Upstream({case.model: case.script for case in cases})
    shown = {case.model: Shown() for case in cases}
    with tempfile.TemporaryDirectory() as folder:
        async with trio.open_nursery() as nursery:
            port = await nursery.start(upstream.serve)
            ready: trio.MemorySendChannel[compose.Ready]
            ready, found = trio.open_memory_channel(1)
            caller, stop = Caller(tenant="local", user="fidelity"), trio.Event()
            serve = partial(
                compose.serve,
                _settings(cases, port),
                Path(folder),
                on_ready=ready.send_nowait,
                stop=stop,
                authenticator=Always(caller=caller),
            )
            async with trio.open_nursery() as serving:
                serving.start_soon(serve)
                await _ask_all((await found.receive()).url, cases, shown)
                stop.set()
            nursery.cancel_scope.cancel()
    return shown


def _settings(cases: Sequence[Case], port: int) -> Settings:
    wires = {case.row["wire"] for case in cases}
    endpoints = {
        wire: Endpoint(
            base_url=f"http://127.0.0.1:{port}{FRAMES.get(wire, '')}",
            wire=wire,
            models=tuple(case.model for case in cases if case.row["wire"] == wire),
            concurrency=AT_ONCE,
            allow_loopback=True,
        )
        for wire in wires
    }
    return replace(settings_of.load(None, {}, {"server.port": 0}), endpoints=endpoints)


async def _ask_all(url: str, cases: Sequence[Case], shown: dict[str, Shown]) -> None:
    waiting = iter(cases)

    async def work() -> None:
        async with Talk(int(url.rpartition(":")[2])) as talk:
            for case in waiting:
                shown[case.model] = await _ask(talk, case)

    async with trio.open_nursery() as nursery:
        for _ in range(AT_ONCE):
            nursery.start_soon(work)


async def _ask(talk: Talk, case: Case) -> Shown:
    conversation = (await talk.post("/api/conversations", {}))["id"]
    body = {"input": "Go on.", "model": f"{case.row['wire']}/{case.model}"}
    job = (await talk.post(f"/api/conversations/{conversation}/jobs", body))["id"]
    last = (await talk.events(f"/api/jobs/{job}/events"))[-1]
    end = last["data"] if last["kind"] == "job.ended" else {}
    return Shown(job=await talk.get(f"/api/jobs/{job}"), end=end)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m harness fidelity", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--only", metavar="ID[,ID]", help="of the folder's streams, these")
    parser.add_argument("--split", type=int, metavar="N", help="bytes of each write")
    parser.add_argument("--crlf", action="store_true", help="lines end with CR LF")
    parser.add_argument("--cut", choices=["events"], help="end the body behind every event")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
