"""`python3 -m harness conformance durable-streams`: others' suites and clients against our server.

Theory: nobody has to believe us. The protocol's own black-box suite, its JavaScript and Python
clients, and a standard EventSource are installed, pinned, into a folder beside `.venv`'s packages
and run against a real server on a port of its own (`serve-as`). There is no list of expected
failures. The last line printed is the suite's `passed/total`.
Source: npm `@durable-streams/server-conformance-tests`, run by vitest, since its own command finds
no test file under vitest 4.1.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from harness import announced, installing, open_responses, openapi_directory, setup
from harness.clients import main as clients_of_apis
from harness.mcp import suite as mcp_suite
from harness.oauth import main as oauth

HERE = Path(__file__).parent / "durable_streams"
KEPT = setup.VENV / "conformance" / "durable-streams"
PACKAGES = (
    "@durable-streams/server-conformance-tests@0.3.6",
    "@durable-streams/client@0.2.7",
    "@durable-streams/server@0.3.7",  # what `harness bench streams` is measured against
    "eventsource@5.1.5",
    "vitest@4.1.12",
)
PYTHON_PACKAGE = "durable-streams==0.1.0"
LONG_POLL_S = 2  # of the server under test; the suite waits some out
SUITE_S, CHECK_S = 600, 120
MISSING = "node 20 or newer, and the protocol's own packages"
NAMES = ("suite", "clients", "browser")
USAGE = "usage: python3 -m harness conformance durable-streams [--only " + " | ".join(NAMES) + "]"
USAGE += "\n       python3 -m harness conformance open-responses [FOLDER]"
USAGE += "\n       python3 -m harness conformance mcp [client | server] [SCENARIO]"
USAGE += "\n       python3 -m harness conformance openapi [WORDS]"
USAGE += "\n       python3 -m harness conformance clients"
USAGE += "\n       python3 -m harness conformance oauth [WORDS]"

OTHERS: dict[str, Callable[[list[str]], int]] = {
    "open-responses": open_responses.main,
    "mcp": mcp_suite.main,
    "openapi": openapi_directory.main,
    "clients": clients_of_apis.main,
    "oauth": oauth.main,
}


def main(argv: list[str]) -> int:
    """Run everything, or one part; return 0 when all of it passed."""
    if argv and (other := OTHERS.get(argv[0])):
        return other(argv[1:])
    chosen: tuple[str, ...] = NAMES
    if argv[1:2] == ["--only"] and argv[2:3] and argv[2] in NAMES:
        chosen, argv = (argv[2],), argv[:1]
    if argv != ["durable-streams"]:
        print(USAGE, file=sys.stderr)
        return 2
    if find_or_install() is None:
        print(f"skipped: {MISSING} are missing", file=sys.stderr)
        return 1
    parts: dict[str, Callable[[str], bool]] = {"clients": clients, "browser": browser}
    with serving() as base:
        held = [run(base) for name, run in parts.items() if name in chosen]
        if "suite" in chosen:  # last, so that its count is the last line
            held.append(suite(base))
    return 0 if all(held) else 1


def find_or_install() -> str | None:
    """Return the folder with the packages; None where there is no node, or they cannot be had."""
    found = installing.node_and_npm()
    if found is None:
        return None
    with installing.alone(KEPT.parent):
        return _install(found[1])


def _install(npm: str) -> str | None:
    if not installing.npm_installed(KEPT, npm, PACKAGES, wheel=PYTHON_PACKAGE):
        return None
    for file in HERE.glob("*.mjs"):  # node finds packages beside the file that asks for them
        copy = KEPT / file.name
        if not copy.exists() or copy.read_bytes() != file.read_bytes():
            shutil.copy(file, copy)  # no other run is reading a half of it
    return str(KEPT)


@contextmanager
def serving() -> Iterator[str]:
    """Serve on a folder that is thrown away; yield the address."""
    env = {
        "RUNCHAT_STREAMS__LONG_POLL_S": str(LONG_POLL_S),
        "RUNCHAT_STREAMS__WEBHOOKS": "true",
        "RUNCHAT_STREAMS__WEBHOOK_LOOPBACK": "true",  # the suite's webhooks live here
    }
    with (
        tempfile.TemporaryDirectory() as folder,
        announced.serving(Path(folder) / "data", env=env) as url,
    ):
        yield url


def suite(base: str) -> bool:
    """Run the protocol's suite; print what failed and `passed/total`."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        env = {"BASE": base, "LONG_POLL_MS": str(1000 * LONG_POLL_S + 1000), "REPORT": str(report)}
        vitest = KEPT / "node_modules" / "vitest" / "vitest.mjs"
        words = run_program(["node", str(vitest), "run"], env, SUITE_S)
        if not report.exists():
            print(words[-4000:], "0/0", sep="\n")
            return False
        told = json.loads(report.read_text(encoding="utf-8"))
    results = [each for file in told["testResults"] for each in file["assertionResults"]]
    passed = sum(each["status"] == "passed" for each in results)
    for each in results:
        if each["status"] != "passed":
            why = (each.get("failureMessages") or [""])[0].partition("\n")[0]
            print(f"{each['status'].upper()} {each['fullName']}: {why}")
    print(f"{passed}/{len(results)}", flush=True)
    return bool(results) and passed == len(results)


def clients(base: str) -> bool:
    """Have both clients of the protocol read a live job."""
    javascript = run_program(["node", "clients.mjs"], {"BASE": base}, CHECK_S)
    path = {"BASE": base, "PYTHONPATH": str(KEPT / "python")}
    python = run_program([sys.executable, str(HERE / "clients.py")], path, CHECK_S)
    return told_good("clients", javascript + python, 8)


def browser(base: str) -> bool:
    """Have a standard EventSource read a stream that ends."""
    return told_good("browser", run_program(["node", "browser.mjs"], {"BASE": base}, CHECK_S), 2)


def told_good(name: str, words: str, wanted: int) -> bool:
    """Print what the checks of a program said; whether all that were wanted passed."""
    lines = words.splitlines()
    passed = sum(line.startswith("passed ") for line in lines)
    holds = passed == wanted
    print(*lines, f"{name}: {passed}/{wanted}", sep="\n", flush=True)
    return holds


def run_program(command: list[str], env: dict[str, str], timeout_s: int) -> str:
    """Run a program among the packages; return all it said."""
    try:
        done = subprocess.run(
            command,
            cwd=KEPT,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
            env=os.environ | env,
        )
    except subprocess.TimeoutExpired:
        return f"ended after {timeout_s} s"
    return done.stdout
