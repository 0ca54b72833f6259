"""Each promise of the contract: its id, source, sentence and wave; and the tie to the specs.

Theory: a spec says what it proves with `@requirement("id")`. The tie is read from the syntax of all
specs, not from a run, so that a spec of a run that did not take place (the browser's) counts. What
a skip may be is kept by `harness/hygiene.py`: its reason names the tool that is missing.
Source: the manifest of the MCP python-sdk, tied to its tests in both directions.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from specs.promises import (
    actions,
    durable,
    egress,
    fronts,
    grammar,
    http,
    jobs,
    mcp,
    mcp_server,
    models,
    page,
    process,
    providers,
    reading,
    registries,
    replay,
    responses,
    tools,
    wires,
)

SPECS = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One promise, provable by one spec."""

    id: str
    source: str
    sentence: str
    wave: str


def entries(promises: Mapping[str, str], source: str, wave: str) -> Iterator[Requirement]:
    for id_, sentence in promises.items():
        yield Requirement(id=id_, source=source, sentence=sentence, wave=wave)


REQUIREMENTS: tuple[Requirement, ...] = (
    *entries(http.FROZEN, http.FROZEN_SOURCE, "W0"),
    *(
        entry
        for section in (process, http, jobs, reading, grammar, durable, models, page, replay)
        for entry in entries(section.PROMISES, section.SOURCE, "W1")
    ),
    *entries(registries.PROMISES, registries.SOURCE, "W2"),
    *entries(responses.PROMISES, responses.SOURCE, "W2"),
    *entries(fronts.PROMISES, fronts.SOURCE, "W2"),
    *entries(providers.PROMISES, providers.SOURCE, "W2"),
    *entries(wires.PROMISES, wires.SOURCE, "W2"),
    *entries(egress.PROMISES, egress.SOURCE, "W3"),
    *entries(mcp.PROMISES, mcp.SOURCE, "W3"),
    *entries(mcp_server.PROMISES, mcp_server.SOURCE, "W3"),
    *entries(tools.PROMISES, tools.SOURCE, "W3"),
    *entries(actions.PROMISES, actions.SOURCE, "W3"),
)
IDS = frozenset(entry.id for entry in REQUIREMENTS)


def requirement(*ids: str) -> pytest.MarkDecorator:
    """Tie a spec to what it proves.

    Raises:
        LookupError: an id that no promise has.
    """
    unknown = set(ids) - IDS
    if unknown or not ids:
        raise LookupError(f"specs/requirements.py has no promise {sorted(unknown)}")
    return pytest.mark.requirement(*ids)


@cache
def proved(folder: Path = SPECS) -> frozenset[str]:
    """The ids that the specs of a folder name, whether or not they run here."""
    return frozenset(
        id_
        for path in folder.rglob("test_*.py")
        for id_ in named(ast.parse(path.read_text(encoding="utf-8")))
    )


def named(tree: ast.Module) -> Iterator[str]:
    """The ids that one file's `@requirement(...)` decorators name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for decorator in node.decorator_list:
                yield from ids_of(decorator)


def ids_of(decorator: ast.expr) -> Iterator[str]:
    if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "requirement":
        for argument in decorator.args:
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                yield argument.value
