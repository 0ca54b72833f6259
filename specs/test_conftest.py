"""Every async spec of a run is bounded, whatever it waits for."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from harness.checks import SLICES
from specs.conftest import BOUND_S, VIRTUAL_BOUND_S, bounded
from specs.support import slices


async def test_an_async_spec_has_a_deadline() -> None:
    left_s = trio.current_effective_deadline() - trio.current_time()
    assert left_s <= BOUND_S


async def test_under_a_virtual_clock_the_deadline_is_virtual(autojump_clock: MockClock) -> None:
    assert trio.current_effective_deadline() == trio.current_time() + VIRTUAL_BOUND_S


@settings(max_examples=3, deadline=None)
@given(number=st.integers())
async def test_each_example_of_a_property_has_a_deadline(number: int) -> None:
    left_s = trio.current_effective_deadline() - trio.current_time()
    assert left_s <= BOUND_S


async def test_a_spec_that_hangs_ends_at_its_bound(autojump_clock: MockClock) -> None:
    began = trio.current_time()
    with pytest.raises(trio.TooSlowError):
        await bounded(trio.sleep_forever, 5)()
    assert trio.current_time() == began + 5


def test_what_is_judged_is_what_all_slices_have_shown_together(tmp_path: Path) -> None:
    health = ("GET", "/api/health", 200, "")
    for number, name in enumerate(SLICES):
        slices.write(tmp_path, name, {health, ("POST", f"/{number}", 422, "invalid")})

    assert slices.read(tmp_path) == {
        health,
        *(("POST", f"/{number}", 422, "invalid") for number in range(len(SLICES))),
    }


def test_a_slice_that_left_nothing_behind_is_named(tmp_path: Path) -> None:
    first, *others = SLICES
    slices.write(tmp_path, first, set())

    with pytest.raises(pytest.UsageError, match=f"to their end: {', '.join(others)}$"):
        slices.read(tmp_path)
