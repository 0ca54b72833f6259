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
from pathlib import Path
from typing import TypeAlias

import httpx
import trio

from harness import installing, setup
from harness.oauth.mcp_scenarios import SCENARIOS as OF_MCP
from harness.oauth.stage import Provider, Stage, standing
from harness.oauth.tally import NotOffered, Tally, Wrong

Scenario: TypeAlias = Callable[[Stage], Awaitable[None]]

HERE = Path(__file__).parent
KEPT = setup.VENV / "conformance" / "oauth"
NODE_PACKAGE = "oidc-provider@9.13.3"
SCENARIO_S = 120
ALL: Mapping[str, Scenario] = {**OF_MCP}
USAGE = "usage: python3 -m harness conformance oauth [WORDS]"


def main(argv: Sequence[str]) -> int:
    """Prove every scenario, or those whose name has these words; return 0 when all passed."""
    if any(each.startswith("-") for each in argv):
        print(USAGE, file=sys.stderr)
        return 2
    tally, words = Tally(), " ".join(argv)
    for provider in providers():
        trio.run(prove, provider, words, tally)
    print(tally.summary(), flush=True)
    return 0 if tally.holds else 1


async def prove(provider: Provider, words: str, tally: Tally) -> None:
    """Prove what is wanted of one provider; print how each went."""
    async with standing(provider) as stage:
        for name, scenario in ALL.items():
            if words in f"{provider.name}: {name}":
                print(await outcome(stage, name, scenario, tally), flush=True)


async def outcome(stage: Stage, name: str, scenario: Scenario, tally: Tally) -> str:
    """Play one scenario; return the line that tells how it went."""
    who = stage.provider
    if why := who.lacks.get(name):
        return tally.note(who.name, name, "not asked", why)
    try:
        with trio.fail_after(SCENARIO_S):
            await scenario(stage)
    except NotOffered as left:
        return tally.note(who.name, name, "not asked", str(left))
    except (Wrong, httpx.HTTPError, LookupError, trio.TooSlowError) as wrong:
        return tally.note(who.name, name, "failed", f"{type(wrong).__name__}: {wrong}")
    return tally.note(who.name, name, "passed")


def providers() -> Iterator[Provider]:
    """Yield each provider that can be had; say which cannot."""
    if (node := oidc_provider()) is not None:
        yield Provider(name="oidc-provider", command=(node, str(KEPT / "node" / PROGRAM)))
    else:
        print(f"skipped: {NODE_PACKAGE}, or node 20 for it, is missing", file=sys.stderr)


PROGRAM = "oidc_provider.mjs"


def oidc_provider() -> str | None:
    """Return the node that finds it; None where one of them cannot be had."""
    folder, found = KEPT / "node", installing.node_and_npm()
    if found is None:
        return None
    node, npm = found
    with installing.alone(KEPT):
        there = installing.npm_installed(
            folder, npm, (NODE_PACKAGE,), options=("--ignore-scripts",)
        )
        if there:  # node finds packages beside the file that asks for them
            shutil.copy(HERE / PROGRAM, folder)
    return node if there else None
