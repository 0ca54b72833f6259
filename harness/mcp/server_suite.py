"""The protocol's own suite against Runchat as an MCP server, at both revisions and with tasks.

Theory: the server is the whole product, with the suite's tools beside its own (`serve-as
--mcp-fixtures`). Results are read from what the suite writes of each check, since what it prints
passes over warnings: here a warning is a failure. What it only informs of, and what it skips for an
extension that nobody offers, counts as nothing. A scenario that failed is run again alone, and said
so: one of them takes the time that a reconnection took.
Source: npm `@modelcontextprotocol/conformance`, `server`.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from harness import announced, setup
from harness.mcp.outcome import Outcome

REVISIONS = ("2026-07-28", "2025-11-25")
TASKS = (
    "tasks-lifecycle",
    "tasks-capability-negotiation",
    "tasks-wire-fields",
    "tasks-request-state-removal",
    "tasks-mrtr-input",
    "tasks-request-headers",
    "tasks-dispatch-and-envelope",
    "tasks-required-task-error",
    "tasks-mrtr-composition",
)
LEG_S = 300
SCENARIO_MS = 30_000  # the suite's own patience with one
CHECKS = "checks.json"
FOLDER = "server-"  # a scenario's folder is this, its name, and when it ran


def legs(suite: Sequence[str], only: str | None) -> Iterator[tuple[str, Outcome]]:
    """Yield how each scenario went, by leg."""
    with serving() as url:
        command = [*suite, "server", "--url", f"{url}/mcp", "--timeout", str(SCENARIO_MS)]
        for revision in () if only in TASKS else REVISIONS:
            wire = ("--spec-version", revision)
            which = ("--suite", "all") if only is None else ("--scenario", only)
            found = run([*command, *which, *wire])
            for each in found or [Outcome(scenario="(the suite itself)", passed=0, failed=1)]:
                again = alone([*command, *wire], each.scenario) if each.failed else [each]
                yield f"server {revision}", again[0]
        for name in TASKS:
            if only in (None, name):
                for each in alone(command, name, again=False):
                    yield "server tasks", each


def alone(command: Sequence[str], name: str, *, again: bool = True) -> list[Outcome]:
    """Run one scenario by itself."""
    found = run([*command, "--scenario", name], again=again)
    return found or [Outcome(scenario=name, passed=0, failed=1, again=again)]


def run(command: Sequence[str], *, again: bool = False) -> list[Outcome]:
    """Run the suite; return how the scenarios went that had something to check."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            subprocess.run(
                [*command, "-o", folder],
                cwd=setup.ROOT,
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=LEG_S,
            )
        except subprocess.TimeoutExpired:
            return []
        found = [outcome_of(file, again=again) for file in sorted(Path(folder).rglob(CHECKS))]
    return [each for each in found if each.passed + each.failed]


def outcome_of(file: Path, *, again: bool = False) -> Outcome:
    """Return how a scenario went, from the file of its checks."""
    told = [check["status"] for check in json.loads(file.read_text(encoding="utf-8"))]
    name = file.parent.name.removeprefix(FOLDER).rpartition("-20")[0]  # what follows is the time
    failed = told.count("FAILURE") + told.count("WARNING")
    return Outcome(scenario=name, passed=told.count("SUCCESS"), failed=failed, again=again)


@contextmanager
def serving() -> Iterator[str]:
    """Serve on a folder that is thrown away; yield the address."""
    with (
        tempfile.TemporaryDirectory() as folder,
        announced.serving(Path(folder) / "data", "--mcp-fixtures") as url,
    ):
        yield url
