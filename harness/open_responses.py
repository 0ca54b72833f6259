"""`python3 -m harness conformance open-responses [FOLDER]`: the specification's own suite.

Theory: the suite is on no package registry, so that whoever has a copy of it names its folder, here
or in OPEN_RESPONSES_SUITE; without one it is skipped by name. It is copied beside the packages it
needs, and nothing of it is kept in the project. It is run twice against a real server: with the
model `echo`, and with a model that a scripted upstream answers over real sockets. There is no list
of expected failures. The last line printed is `passed/total` of both runs.
Source: the suite's `bin/compliance-test.ts`, which only bun can run (its WebSocket takes headers).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from harness import announced, installing, setup

VARIABLE = "OPEN_RESPONSES_SUITE"
KEPT = setup.VENV / "conformance" / "open-responses"
PACKAGES = ("bun@1.4.5", "zod@3")
PARTS = ("bin", "src", "tsconfig.json")  # of the suite; its pages and schemas are not needed
SCRIPT = Path("bin") / "compliance-test.ts"
SUITE_S = 120
MISSING = "the Open Responses suite (a checked-out copy, named here or in " + VARIABLE + ") and npm"
TOOL = "tool-calling"  # the one case whose answer is a call
CALL = {"location": "San Francisco, CA"}


def main(argv: Sequence[str]) -> int:
    """Run the suite; return 0 when all of it passed, or when it is not there."""
    suite = find_or_install(argv[0] if argv else None)
    if suite is None:
        print(f"skipped: {MISSING}", file=sys.stderr)
        return 0
    passed = total = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, runs in (("echo", (("echo", ()),)), ("upstream", upstream_runs())):
            with serving(Path(folder) / name, scripted=name == "upstream") as url:
                for model, only in runs:
                    good, all_ = run(suite, url, model, only)
                    passed, total = passed + good, total + all_
    print(f"{passed}/{total}", flush=True)
    return 0 if passed == total and total else 1


def upstream_runs() -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the models of the scripted upstream, each with its cases; none: all but the call."""
    return (("up/hello", ()), ("up/caller", (TOOL,)))


def find_or_install(named: str | None = None) -> Path | None:
    """Return the folder with the suite and what it needs; None where one of them is missing."""
    source, npm = named or os.environ.get(VARIABLE), shutil.which("npm")
    if not source or npm is None or not (Path(source) / SCRIPT).exists():
        return None
    if not installing.npm_installed(KEPT, npm, PACKAGES):
        return None
    suite = KEPT / "suite"
    shutil.rmtree(suite, ignore_errors=True)
    suite.mkdir()
    for part in PARTS:
        found = Path(source) / part
        if found.is_dir():
            shutil.copytree(found, suite / part)
        elif found.exists():
            shutil.copy(found, suite / part)
    return suite


def run(suite: Path, url: str, model: str, only: Sequence[str]) -> tuple[int, int]:
    """Run the suite for a model; print what failed, and return how many passed, of how many."""
    bun = str(KEPT / "node_modules" / ".bin" / "bun")
    command = [bun, str(SCRIPT), "-u", f"{url}/v1", "-k", "any", "-m", model, "--json"]
    command += ["-f", ",".join(only)] if only else []
    done = subprocess.run(
        command,
        cwd=suite,
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SUITE_S,
    )
    try:
        results: list[dict[str, Any]] = json.loads(done.stdout)["results"]
    except (json.JSONDecodeError, KeyError):
        print(done.stdout[-2000:], done.stderr[-2000:])
        return 0, 1
    if model.startswith("up/") and not only:
        results = [each for each in results if each["id"] != TOOL]
    for each in results:
        if each["status"] != "passed":
            print(f"{each['status'].upper()} {model} {each['id']}: {each.get('errors')}")
    passed = sum(each["status"] == "passed" for each in results)
    print(f"{model}: {passed}/{len(results)}", flush=True)
    return passed, len(results)


@contextmanager
def serving(folder: Path, *, scripted: bool) -> Iterator[str]:
    """Serve on a folder that is thrown away, before a scripted upstream or none; yield the url."""
    folder.mkdir()
    with ExitStack() as stack:
        more: tuple[str, ...] = ()
        if scripted:
            scripts = folder / "scripts.json"
            scripts.write_text(json.dumps({"caller": {"chunks": called(), "reason": None}}))
            upstream = [sys.executable, "-m", "harness.upstream", "--scripts", str(scripts)]
            url, config = stack.enter_context(announced.started(upstream)), folder / "config.toml"
            config.write_text(
                f'[endpoints.up]\nbase_url = "{url}/v1"\n'
                'wire = "openai-chat"\nmodels = ["hello", "caller"]\nallow_loopback = true\n'
            )
            more = ("--config", str(config))
        yield stack.enter_context(announced.serving(folder / "data", *more))


def called() -> list[dict[str, Any]]:
    """Return the chunks of a chat stream that calls the suite's tool."""
    function = {"name": "get_weather", "arguments": json.dumps(CALL)}
    call = {"index": 0, "id": "call_1", "type": "function", "function": function}
    return [
        {"id": "c", "object": "chat.completion.chunk", "choices": [each]}
        for each in (
            {"index": 0, "delta": {"role": "assistant", "tool_calls": [call]}},
            {"index": 0, "delta": {}, "finish_reason": "tool_calls"},
        )
    ]
