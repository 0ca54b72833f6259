"""`python3 -m harness conformance oauth`: the OAuth of MCP and of actions before real issuers.

Theory: nobody has to believe us. `oidc-provider` (npm) and `nanoidp` (PyPI) are installed, pinned,
into folders beside `.venv`'s packages and started on loopback; a real MCP server believes them, and
Runchat is the service as it is served. A person's part is played with a browser's cookies and the
issuer's own pages. What a provider does not have is said by name. The last line printed is
`passed/total`. Source: npm and PyPI, the packages named below.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import httpx
import trio

from harness import installing, setup
from harness.oauth.action_scenarios import SCENARIOS as OF_ACTIONS
from harness.oauth.mcp_scenarios import SCENARIOS as OF_MCP
from harness.oauth.own_scenarios import BOUND, BY_URL
from harness.oauth.stage import Provider, Stage, standing
from harness.oauth.tally import NotOffered, Tally, Wrong

Scenario: TypeAlias = Callable[[Stage], Awaitable[None]]

HERE = Path(__file__).parent
KEPT = setup.VENV / "conformance" / "oauth"
NODE_PACKAGE = "oidc-provider@9.13.3"
SCENARIO_S = 180
MISSING = "node 20 or newer, or its own packages, are missing"
ALL: Mapping[str, Scenario] = {**OF_MCP, **OF_ACTIONS}
USAGE = "usage: python3 -m harness conformance oauth [WORDS]"


def main(argv: Sequence[str]) -> int:
    """Prove every scenario, or those whose name has these words; return 0 when all passed."""
    if any(each.startswith("-") for each in argv):
        print(USAGE, file=sys.stderr)
        return 2
    tally, words = Tally(), " ".join(argv)
    for provider, scenarios in plays():
        wanted = {name: play for name, play in scenarios.items() if words in _told(provider, name)}
        if wanted:
            trio.run(prove, provider, wanted, tally)
    print(tally.summary(), flush=True)
    return 0 if tally.holds else 1


def _told(provider: Provider, name: str) -> str:
    return f"{provider.name}: {name}"


async def prove(provider: Provider, scenarios: Mapping[str, Scenario], tally: Tally) -> None:
    """Prove what is wanted of one provider; print how each went."""
    async with standing(provider) as stage:
        for name, scenario in scenarios.items():
            print(await outcome(stage, name, scenario, tally), flush=True)


async def outcome(stage: Stage, name: str, scenario: Scenario, tally: Tally) -> str:
    """Play one scenario; return the line that tells how it went."""
    who = stage.provider
    try:
        await stage.clear()
        await stage.lives()
        with trio.fail_after(SCENARIO_S):
            await scenario(stage)
    except NotOffered as left:
        return tally.note(who.name, name, "not asked", str(left))
    except (Wrong, httpx.HTTPError, LookupError, trio.TooSlowError) as wrong:
        print(stage.words(), file=sys.stderr)
        return tally.note(who.name, name, "failed", f"{type(wrong).__name__}: {wrong}")
    return tally.note(who.name, name, "passed")


def plays() -> Iterator[tuple[Provider, Mapping[str, Scenario]]]:
    """Yield each provider that can be had, with what is proved of it; say which cannot."""
    for name, found, life_s in (
        ("oidc-provider", oidc_provider(), 3),
        ("nanoidp", nanoidp(), 60),
    ):
        if found is None:
            print(f"skipped: {name}, since {MISSING}", file=sys.stderr)
            continue
        plain = Provider(name=name, command=found, life_s=life_s)
        if name == "oidc-provider":
            yield plain, ALL
            yield replace(plain, env={"DPOP": "1"}), BOUND
        else:
            yield plain, {**ALL, **BOUND}
        yield replace(plain, tls=True), BY_URL


def oidc_provider() -> tuple[str, ...] | None:
    """Return what starts it; None where it cannot be had."""
    folder, found, program = KEPT / "node", installing.node_and_npm(), "oidc_provider.mjs"
    if found is None:
        return None
    node, npm = found
    with installing.alone(KEPT):
        there = installing.npm_installed(
            folder, npm, (NODE_PACKAGE,), options=("--ignore-scripts",)
        )
        if there:  # node finds packages beside the file that asks for them
            shutil.copy(HERE / program, folder)
    return (node, str(folder / program)) if there else None


def nanoidp() -> tuple[str, ...] | None:
    """Return what starts it; None where it cannot be had."""
    folder, listed = KEPT / "python", HERE / "nanoidp.txt"
    packages = listed.read_text(encoding="utf-8").split()
    python = str(folder / "bin" / "python")
    make = [sys.executable, "-m", "venv", str(folder)]
    fill = [python, *setup.PIP, "install", "-q", "--no-deps", "-r", str(listed)]
    with installing.alone(KEPT):
        there = installing.installed(
            folder, packages, lambda: installing.finishes(folder, make, fill)
        )
    return (python, str(HERE / "nanoidp_program.py")) if there else None
