"""Everything that must hold before a change lands: `python3 -m harness test [--only PART] [...]`.

Theory: a part is one command and counts as one result, or, where pytest runs it, as its own counts.
Two workers, one a core, take the parts from one queue, the longest first; a third runs those that
mostly wait: for a registry, for what a protocol says has to last, for a minute, for services that
start and end; who has no more of its own takes of the others'. A fourth makes all slower: a
browser that is starved fails specs. The specs are cut into slices by their folders; what no slice
names is in the last one, so that no spec is left out. Each slice writes down what it showed of the
contract, and a part behind all of them judges the union.
Each part has a budget in seconds, so that the whole stays under ten minutes on two cores; passing
it is shown, and five times it is a failure. With arguments for pytest, pytest alone runs, with
them. The last line printed is `N passed, N failed[, N skipped]`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from harness import chromium, conformance, setup
from harness.clients import main as clients

PATIENCE = 5  # budgets a part may use before it is ended: a machine may be slow, and busy
COUNTS = ("tests", "failures", "errors", "skipped")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One command that must succeed."""

    name: str
    command: tuple[str, ...]  # a program of `.venv/bin`, and its arguments
    budget_s: int
    needs: Callable[[], str | None] | None = None  # None: nothing; else finds it, or skips
    missing: str = ""
    waits: bool = False  # most of its time: it needs no core for itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How one part went."""

    part: Part
    passed: int
    failed: int
    skipped: int
    seconds: float
    words: str  # what it printed, or why it was skipped


# Which specs run together, by what their paths begin with; the longest beginning decides.
SLICES = {
    "simulation": (
        "specs/w01_streaming/test_crash.py",
        "specs/w01_streaming/test_current_job.py",
        "specs/w01_streaming/test_simulation.py",
    ),
    "processes": (
        "specs/w01_streaming/test_durable_restart.py",
        "specs/w01_streaming/test_full_disk.py",
        "specs/w01_streaming/test_process.py",
        "specs/w01_streaming/test_serve_as.py",
        "specs/w01_streaming/test_shutdown.py",
    ),
    "commands": (
        "specs/w01_streaming/test_chat.py",
        "specs/w01_streaming/test_cli.py",
    ),
    "harness": ("specs/unit/harness/",),
    "units": ("specs/unit/",),
    "specs": ("specs/",),
}
BUDGETS_S = {
    "simulation": 85,
    "processes": 75,
    "commands": 85,
    "harness": 120,
    "units": 90,
    "specs": 290,
}
WAITING = ("processes",)  # slices that mostly wait
SPECS = tuple(
    Part(
        name=name,
        command=("pytest", "-q", f"--slice={name}"),
        budget_s=BUDGETS_S[name],
        waits=name in WAITING,
    )
    for name in SLICES
)
OTHERS = (
    Part(name="lint", command=("ruff", "check", "--output-format=concise", "."), budget_s=5),
    Part(name="format", command=("ruff", "format", "--check", "."), budget_s=5),
    Part(name="imports", command=("lint-imports", "--no-logo"), budget_s=5),
    Part(name="types", command=("mypy",), budget_s=60),
    Part(
        name="browser",
        command=("pytest", "-q", "-o", "trio_mode=false", "specs/browser"),
        budget_s=195,
        needs=chromium.find_or_install,
        missing=chromium.MISSING,
    ),
    Part(
        name="streams",
        command=("python", "-m", "harness", "conformance", "durable-streams"),
        budget_s=150,
        needs=conformance.find_or_install,
        missing=conformance.MISSING,
        waits=True,
    ),
    Part(
        name="clients",
        command=("python", "-m", "harness", "conformance", "clients"),
        budget_s=170,
        needs=clients.find_or_install,
        missing=clients.MISSING,
        waits=True,
    ),
    Part(
        name="soak",
        command=("python", "-m", "harness", "soak", "--small", "--minutes", "1"),
        budget_s=95,
        waits=True,
    ),
)
UNION = Part(name="contract", command=("pytest", "-q", "specs/test_contract.py"), budget_s=10)
PARTS = tuple(sorted((*SPECS, *OTHERS), key=lambda part: -part.budget_s))
WORKERS = 2  # one a core
LANES = (*(False,) * WORKERS, True)  # whether each takes the parts that wait first


def slice_of(path: str) -> str:
    """Return the slice that a spec belongs to, by its path from the project's folder."""
    found = [
        (len(beginning), name)
        for name, beginnings in SLICES.items()
        for beginning in beginnings
        if path.startswith(beginning)
    ]
    return max(found)[1]


def main(arguments: list[str]) -> int:
    """Run all parts, or one, or pytest with arguments; the exit status is 0 when all holds."""
    parts: tuple[Part, ...] = PARTS
    if arguments[:1] == ["--only"]:
        name = arguments[1] if len(arguments) > 1 else ""
        parts = tuple(part for part in PARTS if part.name == name)
        if not parts:
            names = " | ".join(part.name for part in PARTS)
            print(f"usage: python3 -m harness test --only {names}", file=sys.stderr)
            return 2
        arguments = arguments[2:]
    elif arguments:
        parts = (Part(name="specs", command=("pytest", "-q"), budget_s=600),)
    with tempfile.TemporaryDirectory() as folder:
        shown = Path(folder)
        waiting, results, taking = list(parts), list[Result](), Lock()

        def work(waits: bool) -> None:
            while True:
                with taking:
                    if not waiting:
                        return
                    part = next((each for each in waiting if each.waits is waits), waiting[0])
                    waiting.remove(part)
                results.append(run_and_tell(part, tuple(arguments), shown))

        with ThreadPoolExecutor(max_workers=len(LANES)) as lanes:
            for lane in [lanes.submit(work, waits) for waits in LANES]:
                lane.result()
        results.sort(key=lambda result: -result.part.budget_s)
        if parts is PARTS:
            results.append(run_and_tell(UNION, (), shown))
    return report(results)


def run_and_tell(part: Part, arguments: tuple[str, ...], shown: Path) -> Result:
    """Run one part, and print what it said as soon as it ended.

    Args:
        shown: the folder in which slices leave what they showed of the contract.
    """
    result = run(part, command_of(part, arguments, shown))
    print(f"== {part.name}: {'FAILED' if result.failed else 'ok'}", flush=True)
    if result.failed or "pytest" in part.command:
        print(result.words.rstrip(), flush=True)
    return result


def command_of(part: Part, arguments: tuple[str, ...], shown: Path) -> list[str]:
    """Return what is run for a part."""
    program, *rest = part.command
    leaves = [f"--shown={shown}"] if part in SPECS or part is UNION else []
    return [str(setup.BIN / program), *rest, *arguments, *leaves]


def run(part: Part, command: list[str]) -> Result:
    """Run one part, unless what it needs is missing."""
    began = time.monotonic()
    if part.needs is not None and part.needs() is None:
        return Result(
            part=part, passed=0, failed=0, skipped=1, seconds=0, words=f"skipped: {part.missing}"
        )
    with tempfile.TemporaryDirectory() as folder:
        xml, output = Path(folder) / "counts.xml", Path(folder) / "output.txt"
        counted = [f"--junitxml={xml}"] if "pytest" in part.command else []
        status = run_into(output, [*command, *counted], timeout_s=PATIENCE * part.budget_s)
        passed, failed, skipped = counts(xml, status)
        words = output.read_text(encoding="utf-8", errors="replace")
    seconds = time.monotonic() - began
    return Result(
        part=part, passed=passed, failed=failed, skipped=skipped, seconds=seconds, words=words
    )


def run_into(output: Path, command: list[str], *, timeout_s: int) -> int:
    """Run a command with its words in a file; its exit status, or 1 when it took too long."""
    mine = {name: value for name, value in os.environ.items() if name not in set(settings())}
    with output.open("w", encoding="utf-8") as file:
        try:
            return subprocess.run(
                command,
                cwd=setup.ROOT,
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=mine,
                timeout=timeout_s,
            ).returncode
        except subprocess.TimeoutExpired:
            print(f"ended after {timeout_s} s", file=file)
            return 1


def settings() -> Iterator[str]:
    """The person's own settings of Runchat, which are no part of what is proved."""
    for name in os.environ:
        if name.startswith("RUNCHAT_") and name != chromium.VARIABLE:
            yield name


def counts(xml: Path, status: int) -> tuple[int, int, int]:
    """Passed, failed, skipped: by pytest's own account where it left one, else one for the part."""
    if not xml.exists():
        return (1, 0, 0) if status == 0 else (0, 1, 0)
    suites = ET.parse(xml).getroot().iter("testsuite")  # noqa: S314  pytest wrote it just now
    total, failures, errors, skipped = (
        sum(column)
        for column in zip(
            *([int(suite.get(n, 0)) for n in COUNTS] for suite in suites), strict=True
        )
    )
    failed = failures + errors
    if status != 0 and failed == 0:
        failed = 1  # it broke before or after its specs
    return total - failures - errors - skipped, failed, skipped


def report(results: list[Result]) -> int:
    """Print the budget table, what was skipped, and the one line that counts."""
    print("\npart       seconds  budget")
    for result in results:
        over = "  over its budget" if result.seconds > result.part.budget_s else ""
        print(f"{result.part.name:<10} {result.seconds:7.1f} {result.part.budget_s:7}{over}")
    skips = [line for r in results for line in r.words.splitlines() if is_skip(line)]
    print(*skips, sep="\n")
    passed, failed, skipped = (
        sum(numbers)
        for numbers in zip(*((r.passed, r.failed, r.skipped) for r in results), strict=True)
    )
    tail = f", {skipped} skipped" if skipped else ""
    print(f"{passed} passed, {failed} failed{tail}", flush=True)
    return 1 if failed or not passed else 0


def is_skip(line: str) -> bool:
    """Whether a line of a part's output says that something was skipped."""
    return line.startswith(("SKIPPED", "skipped:"))
