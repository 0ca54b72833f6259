"""The checker finds what could not have been, lets near misses be, and agrees with brute force."""

from __future__ import annotations

import itertools
from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import contending, linearize
from harness.current_job import (
    Abort,
    Aborted,
    Accepted,
    Current,
    Dies,
    Do,
    Ends,
    GoesOn,
    Read,
    Refused,
    Said,
    Start,
)
from harness.linearize import Call, Recorder, check

Line: TypeAlias = "tuple[int, int | None, Do, Said | None]"


def history(*lines: Line) -> list[Call[Do, Said]]:
    """Return a history of one conversation: began, answered, what was asked, what was said."""
    return [
        Call(part="c", do=do, said=said, began=began, answered=answered)
        for began, answered, do, said in lines
    ]


def start(number: int, on_active: str = "refuse", replaces: str | None = None) -> Start:
    return Start(number=number, on_active=on_active, replaces=replaces)  # type: ignore[arg-type]


RUNS, WAITS = "running", "queued"


def took(job: str, status: str = RUNS) -> Accepted:
    return Accepted(job=job, status=status)  # type: ignore[arg-type]


def active(job: str | None) -> Refused:
    return Refused(why="job-active", current=job)


def changed(job: str | None) -> Refused:
    return Refused(why="job-changed", current=job)


FIRST: Line = (1, 2, start(1), took("a"))
IMPOSSIBLE = {
    "a lost replacement": history(
        FIRST, (3, 4, start(2, "replace"), took("b")), (5, 6, Read(), Current(job="a"))
    ),
    "a stale read": history(
        FIRST,
        (3, 4, Abort(job="a"), Aborted(done=True)),
        (5, 6, start(2), took("b")),
        (7, 8, Read(), Current(job="a")),
    ),
    "two winners": history((1, 3, start(1), took("a")), (2, 4, start(2), took("b"))),
    "two winners of one fence": history(
        FIRST,
        (3, 6, start(2, "replace", "a"), took("b")),
        (4, 5, start(3, "replace", "a"), took("c")),
    ),
    "a refusal that names a job which is not there yet": history(
        FIRST, (3, 4, start(2), active("b")), (5, 6, start(3, "replace"), took("b"))
    ),
    "a queue out of order": history(
        FIRST,
        (3, 4, start(2, "queue"), took("b", WAITS)),
        (5, 6, start(3, "queue"), took("c", WAITS)),
        (7, 8, Abort(job="a"), Aborted(done=True)),
        (9, 10, Read(), Current(job="c")),
    ),
    "a queued job that overtakes a running one": history(
        FIRST, (3, 4, start(2, "queue"), took("b", RUNS))
    ),
    "an aborted job that goes on": history(
        FIRST, (3, 4, Abort(job="a"), Aborted(done=True)), (5, 6, Read(), Current(job="a"))
    ),
    "an abort refused while the job runs": history(
        FIRST, (3, 4, Abort(job="a"), Aborted(done=False)), (5, 6, Read(), Current(job="a"))
    ),
    "a job that ends by itself without a cause": history(FIRST, (3, 4, Read(), Current(job=None))),
    "a job that nobody started": history((1, 2, Read(), Current(job="a"))),
    "an unanswered start seen before it began": history(
        (1, 2, Read(), Current(job="x")), (3, None, start(1), None)
    ),
    "one unanswered start that became two jobs": history(
        (1, None, start(1, "replace"), None),
        (2, 3, Read(), Current(job="x")),
        (4, 5, Read(), Current(job="y")),
    ),
    "reads that go back in time": history(
        FIRST,
        (3, 10, start(2, "replace"), took("b")),
        (4, 5, Read(), Current(job="b")),
        (6, 7, Read(), Current(job="a")),
    ),
    "a job that survives the death of the process": history(
        FIRST, (3, 4, Dies(), Current(job=None)), (5, 6, Read(), Current(job="a"))
    ),
}
POSSIBLE = {
    "a replacement while the old one is still read": history(
        FIRST, (3, 6, start(2, "replace"), took("b")), (4, 5, Read(), Current(job="a"))
    ),
    "a read that began before the abort was answered": history(
        FIRST,
        (3, 6, Abort(job="a"), Aborted(done=True)),
        (4, 7, Read(), Current(job="a")),
    ),
    "a winner and a loser": history((1, 3, start(1), took("a")), (2, 4, start(2), active("a"))),
    "a second winner after the first was aborted meanwhile": history(
        (1, 3, start(1), took("a")),
        (2, 8, start(2), took("b")),
        (4, 6, Abort(job="a"), Aborted(done=True)),
    ),
    "a fence that held and one that did not": history(
        FIRST,
        (3, 6, start(2, "replace", "a"), took("b")),
        (4, 5, start(3, "replace", "a"), changed("b")),
    ),
    "a moment between an end and the next of the queue": history(
        FIRST,
        (3, 4, start(2, "queue"), took("b", WAITS)),
        (5, 10, Abort(job="a"), Aborted(done=True)),
        (6, 7, Read(), Current(job=None)),
        (8, 9, Read(), Current(job="b")),
    ),
    "a provider that ended": history(
        FIRST, (3, None, Ends(job="a"), None), (4, 5, Read(), Current(job=None))
    ),
    "a provider that ended, and nobody has noticed": history(
        FIRST, (3, None, Ends(job="a"), None), (4, 5, Read(), Current(job="a"))
    ),
    "an unanswered replacement that happened late": history(
        FIRST,
        (3, None, start(2, "replace"), None),
        (4, 5, Read(), Current(job="a")),
        (6, 7, Read(), Current(job="x")),
        (8, 9, start(3), active("x")),
    ),
    "an unanswered replacement that never happened": history(
        FIRST, (3, None, start(2, "replace"), None), (4, 5, start(3), active("a"))
    ),
    "an unanswered abort": history(
        FIRST, (3, None, Abort(job="a"), None), (4, 5, start(2), took("b"))
    ),
    "a queue that went on, unseen, before the process died": history(
        FIRST,
        (3, 4, start(2, "queue"), took("b", WAITS)),
        (5, 6, start(3, "queue"), took("c", WAITS)),
        (7, None, Ends(job="a"), None),
        (8, None, GoesOn(), None),
        (9, 10, Dies(), Current(job=None)),
        (11, 12, Read(), Current(job="c")),
    ),
    "an abort again": history(
        FIRST,
        (3, 4, Abort(job="a"), Aborted(done=True)),
        (5, 6, Abort(job="a"), Aborted(done=True)),
    ),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_an_impossible_history_is_found(name: str) -> None:
    verdict = contending.judge(IMPOSSIBLE[name])

    assert verdict.holds is False
    assert len(verdict.stuck) > 0


@pytest.mark.parametrize("name", POSSIBLE)
def test_a_near_miss_passes(name: str) -> None:
    assert contending.judge(POSSIBLE[name]).holds is True


def test_what_could_not_come_next_is_shown() -> None:
    verdict = contending.judge(IMPOSSIBLE["a lost replacement"])

    assert [call.said for call in verdict.order] == [took("a"), took("b")]
    assert [call.do for call in verdict.stuck] == [Read()]


def test_conversations_are_searched_apart() -> None:
    one = IMPOSSIBLE["two winners"]
    other: list[Call[Do, Said]] = [
        Call(part=f"c{place}", do=call.do, said=call.said, began=place, answered=place + 10)
        for place, call in enumerate(one)
    ]

    assert contending.judge(other).holds is True
    assert list(linearize.parts_of([*one, *other])) == ["c", "c0", "c1"]


def test_the_memory_keeps_a_hopeless_search_small() -> None:
    reads = [(2 + n, 40 + n, Read(), Current(job="a")) for n in range(12)]
    verdict = contending.judge(history(FIRST, *reads, (99, 100, Read(), Current(job="z"))))

    assert verdict.holds is False
    assert verdict.looked < 10**5  # every subset of the reads once, not their 12! orders


def test_the_recorder_keeps_the_order_in_which_it_is_told() -> None:
    recorder = Recorder[str, str]()
    first, second = recorder.begin("x", "one"), recorder.begin("y", "two")
    recorder.answer(second, "good")
    third = recorder.begin("x", "three")
    recorder.answer(third, "bad")

    assert [(c.do, c.said, c.began, c.answered) for c in recorder.history()] == [
        ("one", None, 1, None),
        ("two", "good", 2, 3),
        ("three", "bad", 4, 5),
    ]
    assert first == 0


Register: TypeAlias = "Call[tuple[str, int], int]"


def register(state: int, do: tuple[str, int], said: int | None) -> int | None:
    kind, value = do
    if kind == "write":
        return value
    return state if said in (None, state) else None


def slowly(history: list[Register]) -> bool:
    """Say the same by trying every order of every choice of unanswered calls."""
    lost = [call for call in history if call.answered is None]
    kept = [call for call in history if call.answered is not None]
    return any(
        _fits(order)
        for count in range(len(lost) + 1)
        for chosen in itertools.combinations(lost, count)
        for order in itertools.permutations([*kept, *chosen])
    )


def _fits(order: tuple[Register, ...]) -> bool:
    state = 0
    for place, call in enumerate(order):
        if any(
            later.answered is not None and later.answered < call.began for later in order[place:]
        ):
            return False
        following = register(state, call.do, call.said)
        if following is None:
            return False
        state = following
    return True


@st.composite
def registers(draw: st.DrawFn) -> list[Register]:
    count = draw(st.integers(1, 5))
    moments = draw(st.permutations(range(2 * count)))
    calls = []
    for place in range(count):
        began, answered = sorted(moments[2 * place : 2 * place + 2])
        do = (draw(st.sampled_from(("read", "write"))), draw(st.integers(0, 2)))
        said = draw(st.integers(0, 2)) if do[0] == "read" else 0
        lost = draw(st.integers(0, 3)) == 0
        calls.append(
            Call(
                part="r",
                do=do,
                said=None if lost else said,
                began=began,
                answered=None if lost else answered,
            )
        )
    return sorted(calls, key=lambda call: call.began)


@settings(max_examples=300, deadline=None)
@given(registers())
def test_the_search_agrees_with_trying_every_order(history: list[Register]) -> None:
    assert check(history, 0, register).holds is slowly(history)
