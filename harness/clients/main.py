"""`python3 -m harness conformance clients`: real clients against our server, over loopback.

Theory: nobody has to believe us. Each client is installed, pinned, into a folder beside `.venv`'s
packages (its own virtual environment, for Python) and let at a real server that stands before a
scripted upstream; it checks text, tools, reasoning and usage, plain and streamed, in its own words.
What cannot be installed is skipped by name. The last line printed is `passed/total`.
Source: PyPI and npm, the packages named below.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness import installing, setup
from harness.clients.serving import serving

HERE = Path(__file__).parent
KEPT = setup.VENV / "conformance" / "clients"
PYTHON_PACKAGES = (
    "openai==3.54.0",
    "openai-agents==0.24.0",
    "langchain-openai==1.7.3",
    "pydantic-ai-slim[openai]==2.68.0",
    "llm==0.36",
)
NODE_PACKAGES = (
    "openai@7.57.0",
    "ai@6.0.326",
    "@ai-sdk/openai@3.0.141",
    "@ai-sdk/open-responses@1.0.39",
)
PROGRAMS: Mapping[str, int] = {  # each with how many checks it makes
    "openai_python.py": 7,
    "agents_python.py": 6,
    "langchain_python.py": 6,
    "pydantic_python.py": 6,
    "llm_python.py": 3,
    "node.mjs": 16,
}
CHECK_S = 120
QUIETLY = {"PYTHONWARNINGS": "ignore"}  # others' own
KEEPING = {"PYTHONDONTWRITEBYTECODE": ""}  # what one of them compiled the next one need not
MISSING = "node 20 or newer, or the clients' own packages"
USAGE = "usage: python3 -m harness conformance clients"


def main(argv: Sequence[str]) -> int:
    """Run every client; return 0 when all that is there passed."""
    if argv:
        print(USAGE, file=sys.stderr)
        return 2
    python, node = python_packages(), node_packages()
    passed = total = 0
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as url:
        for program, wanted in PROGRAMS.items():
            runner = node if program.endswith(".mjs") else python
            if runner is None:
                print(f"skipped: {program}, since {MISSING} are missing", file=sys.stderr)
                continue
            passed += run(runner, program, url, wanted)
            total += wanted
    print(f"{passed}/{total}", flush=True)
    return 0 if passed == total and total else 1


def run(runner: str, program: str, url: str, wanted: int) -> int:
    """Run one client's program; print what it says, and return how many checks passed."""
    try:
        done = subprocess.run(
            [runner, program],
            cwd=KEPT / "node" if program.endswith(".mjs") else HERE,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=CHECK_S,
            env=os.environ | {"BASE": url} | QUIETLY | KEEPING,
        )
        words = done.stdout
    except subprocess.TimeoutExpired:
        words = f"ended after {CHECK_S} s"
    passed = sum(line.startswith("passed ") for line in words.splitlines())
    if passed != wanted:
        print(words)
    print(f"{program}: {passed}/{wanted}", flush=True)
    return min(passed, wanted)


def find_or_install() -> str | None:
    """Return the folder with every client; None where one of them cannot be had."""
    return str(KEPT) if python_packages() is not None and node_packages() is not None else None


def python_packages() -> str | None:
    """Return the Python that has the clients; None where they cannot be had."""
    folder = KEPT / "python"
    python = str(folder / "bin" / "python")
    make = [sys.executable, "-m", "venv", "--without-pip", str(folder)]
    pip = [sys.executable, *setup.PIP, "--python", python]  # ours: one less to be put in
    fill = [*pip, "install", "-q", "--no-compile", *PYTHON_PACKAGES]  # most is never imported
    with installing.alone(KEPT):
        there = installing.installed(
            folder, PYTHON_PACKAGES, lambda: installing.finishes(folder, make, fill)
        )
    return python if there else None


def node_packages() -> str | None:
    """Return the node that finds the clients; None where there is none, or they cannot be had."""
    folder, found = KEPT / "node", installing.node_and_npm()
    if found is None:
        return None
    node, npm = found
    with installing.alone(KEPT):
        there = installing.npm_installed(folder, npm, NODE_PACKAGES, options=("--ignore-scripts",))
        if there:  # node finds packages beside the file that asks for them
            shutil.copy(HERE / "node.mjs", folder)
    return node if there else None
