"""The synthetic model makes exactly what it is told, and fails exactly as it is told."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from runtime.problems import UpstreamSaid
from transports.egress.providers.base import Delta, End, ItemDone, ItemStart, Part, Request
from transports.egress.providers.synthetic import Synthetic, SyntheticOptions, delta_text

SEEDS = st.integers(-(2**63) + 1, 2**63 - 1)
START = ItemStart(index=0, type="message")


def asking(options: SyntheticOptions) -> Request:
    return Request(job_id="job_1", model=Synthetic.models[0], input=(), options=options)


def texts(parts: list[Part]) -> list[str | None]:
    return [part.text for part in parts if isinstance(part, Delta)]


@given(SEEDS, st.integers(0, 10**6), st.integers(1, 65_536))
def test_a_delta_has_its_size_and_a_shorter_one_is_its_beginning(
    seed: int, index: int, size: int
) -> None:
    text = delta_text(seed, index, size)
    assert len(text.encode("ascii")) == size
    assert text == delta_text(seed, index, 65_536)[:size]


@given(SEEDS)
def test_neighbours_are_not_alike(seed: int) -> None:
    near = {delta_text(seed + step, index, 16) for step in (0, 1) for index in range(64)}
    assert len(near) == 128


def test_the_text_of_a_seed_and_an_index_never_changes() -> None:
    assert delta_text(0, 0, 20) == "ad53d5472392ede ad53"
    assert delta_text(-5, 999_999, 16) == "87fc6198155439b "


async def test_it_makes_count_deltas_of_the_text_of_seed_and_index() -> None:
    options = SyntheticOptions(count=3, size=20, seed=9, fail_after=1)
    parts = [part async for part in Synthetic().answer(asking(options))]
    made = [Delta(index=0, text=delta_text(9, index, 20)) for index in range(3)]
    assert parts == [START, *made, ItemDone(index=0), End(end_state="finished", reason="stop")]


async def test_cut_short_it_stops_without_an_end() -> None:
    options = SyntheticOptions(count=3, fail_after=2, end="truncate")
    parts = [part async for part in Synthetic().answer(asking(options))]
    made = [Delta(index=0, text=delta_text(0, index, 16)) for index in range(2)]
    assert parts == [START, *made]


@pytest.mark.parametrize(("fail_after", "made"), [(0, 0), (2, 2), (None, 3), (9, 3)])
async def test_an_error_comes_after_as_many_deltas_as_asked(
    fail_after: int | None, made: int
) -> None:
    options = SyntheticOptions(count=3, fail_after=fail_after, end="error")
    answer = Synthetic().answer(asking(options))
    parts = [await anext(answer) for _ in range(made + 1)]
    with pytest.raises(UpstreamSaid) as said:
        await anext(answer)
    assert len(texts(parts)) == made
    assert said.value.extensions["code"] == "synthetic"


async def test_a_stall_never_ends(autojump_clock: trio.testing.MockClock) -> None:
    options = SyntheticOptions(count=2, end="stall")
    parts: list[Part] = []
    with trio.move_on_after(1e6) as scope:
        async for part in Synthetic().answer(asking(options)):
            parts.append(part)  # noqa: PERF401 -- what came before the stall is the point
    assert scope.cancelled_caught is True
    assert len(texts(parts)) == 2


async def test_deltas_keep_their_interval_even_if_the_reader_is_slow(
    autojump_clock: trio.testing.MockClock,
) -> None:
    begun = trio.current_time()
    at: list[float] = []
    async for part in Synthetic().answer(asking(SyntheticOptions(count=4, interval_ms=100))):
        if isinstance(part, Delta):
            at.append(round(trio.current_time() - begun, 3))
            await trio.sleep(0.02)
    assert at == [0.0, 0.1, 0.2, 0.3]


@pytest.mark.parametrize(("size", "turns_at_least"), [(16, 9), (65_536, 600)])
async def test_flat_out_it_lets_others_run(size: int, turns_at_least: int) -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(other)
        options = SyntheticOptions(count=640, size=size)
        parts = [part async for part in Synthetic().answer(asking(options))]
        nursery.cancel_scope.cancel()
    assert len(texts(parts)) == 640
    assert turns >= turns_at_least
