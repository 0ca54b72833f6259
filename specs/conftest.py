"""What holds for every spec of a run: a bound on each, and at its end what is not proved.

The browser's specs are a pytest run of their own, without trio mode: playwright has its own loop.
A run may be one slice of all specs (`harness/checks.py`); the last run judges what all have shown.
An async spec runs under `trio.fail_after`, so that no await in it is without a bound; under a
virtual clock the bound is virtual too, and a spec that waits for nothing at all fails at once.
"""

from __future__ import annotations

import functools
import gc
import sys
from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import trio

from harness.checks import SLICES, slice_of
from specs.requirements import IDS, proved
from specs.support import slices

BROWSER = Path(__file__).parent / "browser"
BOUND_S = 100  # below faulthandler_timeout, so that a hanging spec fails and the run goes on
VIRTUAL_BOUND_S = 366 * 86_400  # a simulation may live through a year
VIRTUAL_CLOCKS = {"autojump_clock", "mock_clock"}

# How long an example takes is the machine's affair: speed is proved by a bench, never by a spec.
# Two runs of one commit must agree; `pytest --hypothesis-profile=explore` looks further afield.
hypothesis.settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
hypothesis.settings.register_profile("explore", deadline=None, max_examples=2000)
hypothesis.settings.load_profile("repeatable")

SERVER = "specs.support.server"
LAST = "test_every_route_and_status_was_exercised"  # of a full run: it looks at all before it

AsyncSpec = Callable[..., Awaitable[None]]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("requirements_strict", "fail on a promise without a spec", "bool", default=False)
    parser.addoption("--slice", choices=tuple(SLICES), help="run the specs of one slice")
    parser.addoption(
        "--shown",
        type=Path,
        metavar="FOLDER",
        help="a slice leaves there what it showed of the contract; a run of none judges the union",
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    if collection_path == BROWSER and config.getini("trio_mode"):
        return True
    chosen = config.option.slice
    if chosen is None or collection_path.suffix != ".py":
        return None
    path = collection_path.relative_to(BROWSER.parents[1]).as_posix()
    return True if slice_of(path) != chosen else None


def is_full(config: pytest.Config) -> bool:
    """Whether all specs of the run are to run, none chosen."""
    option = config.option
    chosen = option.keyword or option.markexpr or option.slice
    return config.args_source is pytest.Config.ArgsSource.TESTPATHS and not chosen


def is_judge(config: pytest.Config) -> bool:
    """Whether slices have run, and this run is to judge what they showed together."""
    return config.option.shown is not None and config.option.slice is None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    last = [item for item in items if item.name == LAST]
    rest = [item for item in items if item.name != LAST]
    if is_judge(config):
        rest = []
        proof().shown |= slices.read(config.option.shown)
    items[:] = rest + (last if is_full(config) or is_judge(config) else [])
    for item in items:
        if isinstance(item, pytest.Function):
            virtual = VIRTUAL_CLOCKS & set(item.fixturenames)
            bound(item, VIRTUAL_BOUND_S if virtual else BOUND_S)


def pytest_collection_finish() -> None:
    """Have the collector pass by what imports have made, which is a sixth of the run's work."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def bound(item: pytest.Function, seconds: float) -> None:
    """Run an async spec under a bound; of a hypothesis spec, each of its examples."""
    of_hypothesis = getattr(item.obj, "hypothesis", None)
    if of_hypothesis is not None and iscoroutinefunction(of_hypothesis.inner_test):
        of_hypothesis.inner_test = bounded(of_hypothesis.inner_test, seconds)
    elif iscoroutinefunction(item.obj):
        item.obj = bounded(item.obj, seconds)


def bounded(spec: AsyncSpec, seconds: float) -> AsyncSpec:
    @functools.wraps(spec)
    async def run(*args: Any, **kwargs: Any) -> None:
        with trio.fail_after(seconds):
            await spec(*args, **kwargs)

    return run


def pytest_sessionfinish(session: pytest.Session) -> None:
    option = session.config.option
    if option.slice and option.shown:
        served = SERVER in sys.modules  # else it showed nothing, and to load it takes seconds
        slices.write(option.shown, option.slice, proof().shown if served else set())


def proof() -> Any:
    """What this run has shown of the contract."""
    from specs.support.server import PROOF  # noqa: PLC0415  most runs of a few specs need no server

    return PROOF


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if is_full(config):
        unproved = sorted(IDS - proved())
        if unproved:
            terminalreporter.section(f"{len(unproved)} promises without a spec")
            terminalreporter.line(" ".join(unproved))
