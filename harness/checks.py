"""Everything that must hold before a change lands: `python3 -m harness test [--only PART] [...]`.

Theory: a part is one command and counts as one result, or, where pytest runs it, as its own counts.
Two lanes run beside each other, one a core: the specs alone in the first, for they measure, and all
short parts in the second. Each part has a budget in seconds, so that the whole stays under ten
minutes on two cores; passing it is shown, and three times it is a failure. With arguments for
pytest, pytest alone runs, with them. The last line printed is `N passed, N failed[, N skipped]`.
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

from harness import chromium, conformance, setup

PATIENCE = 3  # budgets a part may use before it is ended
COUNTS = ("tests", "failures", "errors", "skipped")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One command that must succeed."""

    name: str
    command: tuple[str, ...]  # a program of `.venv/bin`, and its arguments
    budget_s: int
    needs: Callable[[], str | None] | None = None  # None: nothing; else finds it, or skips
    missing: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How one part went."""

    part: Part
    passed: int
    failed: int
    skipped: int
    seconds: float
    words: str  # what it printed, or why it was skipped


SPECS = Part(name="specs", command=("pytest", "-q"), budget_s=360)
SHORT = (
    Part(name="lint", command=("ruff", "check", "--output-format=concise", "."), budget_s=10),
    Part(name="format", command=("ruff", "format", "--check", "."), budget_s=10),
    Part(name="imports", command=("lint-imports", "--no-logo"), budget_s=20),
    Part(name="types", command=("mypy",), budget_s=120),
    Part(
        name="browser",
        command=("pytest", "-q", "-o", "trio_mode=false", "specs/browser"),
        budget_s=180,
        needs=chromium.find_or_install,
        missing=chromium.MISSING,
    ),
    Part(
        name="streams",
        command=("python", "-m", "harness", "conformance", "durable-streams"),
        budget_s=150,
        needs=conformance.find_or_install,
        missing=conformance.MISSING,
    ),
)


def main(arguments: list[str]) -> int:
    """Run all parts, or one, or pytest with arguments; the exit status is 0 when all holds."""
    lanes: list[tuple[Part, ...]] = [(SPECS,), SHORT]
    if arguments[:1] == ["--only"]:
        name = arguments[1] if len(arguments) > 1 else ""
        chosen = tuple(part for part in (SPECS, *SHORT) if part.name == name)
        if not chosen:
            names = " | ".join(part.name for part in (SPECS, *SHORT))
            print(f"usage: python3 -m harness test --only {names}", file=sys.stderr)
            return 2
        lanes, arguments = [chosen], arguments[2:]
    elif arguments:
        lanes = [(SPECS,)]
    with ThreadPoolExecutor(max_workers=len(lanes)) as pool:
        running = [pool.submit(run_lane, lane, tuple(arguments)) for lane in lanes]
        results = [result for future in running for result in future.result()]
    return report(results)


def run_lane(parts: tuple[Part, ...], arguments: tuple[str, ...]) -> list[Result]:
    """Run parts one after another, and print what each said as soon as it ended."""
    results = []
    for part in parts:
        result = run(part, arguments)
        print(f"== {part.name}: {'FAILED' if result.failed else 'ok'}", flush=True)
        if result.failed or "pytest" in part.command:
            print(result.words.rstrip(), flush=True)
        results.append(result)
    return results


def run(part: Part, arguments: tuple[str, ...]) -> Result:
    began = time.monotonic()
    if part.needs is not None and part.needs() is None:
        return Result(
            part=part, passed=0, failed=0, skipped=1, seconds=0, words=f"skipped: {part.missing}"
        )
    program, *rest = part.command
    with tempfile.TemporaryDirectory() as folder:
        xml, output = Path(folder) / "counts.xml", Path(folder) / "output.txt"
        counted = [f"--junitxml={xml}"] if program == "pytest" else []
        command = [str(setup.BIN / program), *rest, *arguments, *counted]
        status = run_into(output, command, timeout_s=PATIENCE * part.budget_s)
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
