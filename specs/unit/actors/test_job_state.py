"""A job as a pure machine: whatever a provider sends, the log is one story with one end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.job_state import (
    Answering,
    JobState,
    ending,
    fold,
    on_parts,
    retraction,
    verdict_for,
    verdict_of,
)
from runtime import limits
from runtime.events import Data, JobEnded, decode, records
from specs.requirements import requirement
from transports.egress.providers.asked import Native
from transports.egress.providers.base import (
    Delta,
    End,
    ItemDone,
    ItemStart,
    Noted,
    Part,
    Retracted,
    Usage,
)

Event = dict[str, Any]
INDEXES = st.integers(0, 2)
NATIVE = Native(wire="openai-chat", model="m", value={"signature": "s"})
DELTAS = st.one_of(
    st.builds(Delta, index=INDEXES, text=st.text(max_size=5)),
    st.builds(Delta, index=INDEXES, arguments=st.text(max_size=5)),
    st.builds(Delta, index=INDEXES, data=st.binary(max_size=5)),
)
PARTS: st.SearchStrategy[Part] = st.one_of(
    DELTAS,
    st.builds(ItemStart, index=INDEXES, type=st.sampled_from(["message", "reasoning"])),
    st.builds(ItemDone, index=INDEXES),
    st.builds(ItemDone, index=INDEXES, native=st.just(NATIVE)),
    st.just(Retracted()),
    st.builds(Noted, code=st.just("dropped"), detail=st.text(max_size=5)),
    st.builds(Usage, source=st.just("provider"), output=st.integers(0, 9)),
)
BURSTS = st.lists(st.lists(PARTS, max_size=6), max_size=8)


def play(bursts: Sequence[Sequence[Part]], *, merges: bool, verdict: JobEnded) -> list[Event]:
    """Run the machine over bursts of parts and return the log it makes, up to its end."""
    numbers = count()
    state, log = JobState(), list[Event]()
    answering = Answering(new_id=lambda: f"item_{next(numbers)}", merges=merges)
    for burst in bursts:
        events, end = on_parts(state, answering, burst)
        take(state, log, events)
        if end:
            verdict = verdict_of(end)
            break
    take(state, log, ending(state, verdict))
    return log


def take(state: JobState, log: list[Event], events: Sequence[Data]) -> None:
    for record in records(state.head, events, 0):
        event = decode(record.body)
        log.append(event)
        fold(state, event["sequence"], event["kind"], event["data"])


def refold(log: Sequence[Event]) -> JobState:
    state = JobState()
    for event in log:
        fold(state, event["sequence"], event["kind"], event["data"])
    return state


def texts(log: Sequence[Event]) -> dict[str, str]:
    said: dict[str, str] = {}
    for event in log:
        if event["kind"] == "item.delta" and "text" in event["data"]:
            item_id = event["data"]["item_id"]
            said[item_id] = said.get(item_id, "") + event["data"]["text"]
    return said


@requirement("grammar.one-end", "grammar.sequence")
@given(BURSTS, st.booleans())
def test_a_log_counts_from_one_and_ends_exactly_once(
    bursts: list[list[Part]], merges: bool
) -> None:
    log = play(bursts, merges=merges, verdict=verdict_for("aborted"))

    assert [event["sequence"] for event in log] == list(range(1, len(log) + 1))
    assert [event["kind"] for event in log].count("job.ended") == 1
    assert log[-1]["kind"] == "job.ended"


@requirement("grammar.deltas-equal-done")
@given(BURSTS, st.booleans())
def test_the_deltas_of_an_item_add_up_to_what_is_stored(
    bursts: list[list[Part]], merges: bool
) -> None:
    log = play(bursts, merges=merges, verdict=verdict_for("aborted"))

    done = {
        event["data"]["item_id"]: event["data"]["item"].get("text", "")
        for event in log
        if event["kind"] == "item.done"
    }
    said = texts(log)
    assert done == {item_id: said.get(item_id, "") for item_id in done}


@requirement("grammar.done-before-completed")
@given(BURSTS)
def test_every_item_is_done_before_the_end(bursts: list[list[Part]]) -> None:
    log = play(bursts, merges=True, verdict=verdict_of(End()))

    started = [event["data"]["item_id"] for event in log if event["kind"] == "item.started"]
    done = [event["data"]["item_id"] for event in log if event["kind"] == "item.done"]
    gone = {event["data"]["item_id"] for event in log if event["kind"] == "item.retracted"}
    assert Counter(done) - Counter(gone) == Counter(started) - Counter(gone)
    assert set(done) <= set(started)


@requirement("grammar.merged-before-sequence")
@given(BURSTS)
def test_merging_changes_how_a_text_is_cut_and_not_the_text(bursts: list[list[Part]]) -> None:
    verdict = verdict_for("aborted")
    merged = refold(play(bursts, merges=True, verdict=verdict))
    single = refold(play(bursts, merges=False, verdict=verdict))

    assert merged.item_list() == single.item_list()


@requirement("grammar.synthetic-not-merged")
@given(st.lists(st.text(min_size=1, max_size=3), min_size=1, max_size=9))
def test_without_merging_every_delta_is_an_event_of_its_own(pieces: list[str]) -> None:
    log = play(
        [[Delta(index=0, text=piece) for piece in pieces]],
        merges=False,
        verdict=verdict_for("aborted"),
    )

    assert [e["data"]["text"] for e in log if e["kind"] == "item.delta"] == pieces


@requirement("grammar.retracted")
@given(BURSTS)
def test_a_retraction_takes_back_everything_said(bursts: list[list[Part]]) -> None:
    numbers = count()
    state, log = JobState(), list[Event]()
    answering = Answering(new_id=lambda: f"item_{next(numbers)}", merges=True)
    for burst in bursts:
        take(state, log, on_parts(state, answering, burst)[0])
    take(state, log, retraction(state))

    assert refold(log).item_list() == ()


@requirement("grammar.items")
@given(BURSTS)
def test_an_item_is_started_then_told_then_done_whole(bursts: list[list[Part]]) -> None:
    log = play(bursts, merges=True, verdict=verdict_for("aborted"))

    told: dict[str, list[str]] = {}
    for event in log:
        if event["kind"].startswith("item."):
            told.setdefault(event["data"]["item_id"], []).append(event["kind"])
    for kinds in told.values():
        is_gone = kinds[-1] == "item.retracted"
        kept = kinds[: len(kinds) - is_gone]
        done = ["item.done"] * (kept[-1] == "item.done" or not is_gone)
        assert kept == ["item.started", *["item.delta"] * (len(kept) - 1 - len(done)), *done]


@given(BURSTS, st.lists(PARTS, max_size=4))
def test_what_comes_after_the_end_is_never_seen(bursts: list[list[Part]], late: list[Part]) -> None:
    verdict = verdict_for("aborted")
    plain = play([*bursts, [End()]], merges=True, verdict=verdict)
    followed = play([*bursts, [End(), *late]], merges=True, verdict=verdict)

    assert plain == followed


@requirement("end.finished", "end.length-or-filter", "end.no-reason")
@pytest.mark.parametrize(
    ("end", "status"),
    [
        (End(end_state="finished", reason="stop"), "completed"),
        (End(end_state="finished", reason="length"), "incomplete"),
        (End(end_state="finished", reason="filter"), "incomplete"),
        (End(end_state="finished_no_reason", reason="unknown"), "completed"),
        (End(end_state="truncated", reason="truncated"), "incomplete"),
        (End(end_state="transport_error", reason="connection-lost"), "incomplete"),
        (End(end_state="provider_error", reason="provider-error"), "failed"),
    ],
)
def test_a_providers_end_has_its_row_of_the_table(end: End, status: str) -> None:
    assert verdict_of(end).status == status


@requirement("end.aborted", "end.superseded", "end.shutdown", "end.crashed", "end.process-died")
@pytest.mark.parametrize(
    ("reason", "status", "end_state"),
    [
        ("aborted", "aborted", "cancelled"),
        ("superseded", "superseded", "cancelled"),
        ("shutdown", "interrupted", "cancelled"),
        ("crashed", "failed", None),
        ("process-died", "interrupted", None),
    ],
)
def test_an_end_from_elsewhere_has_its_row_of_the_table(
    reason: Any, status: str, end_state: str | None
) -> None:
    verdict = verdict_for(reason)

    assert (verdict.status, verdict.end_state, verdict.reason) == (status, end_state, reason)


@requirement("grammar.unknown-survives")
def test_what_a_later_version_writes_changes_nothing() -> None:
    state = JobState()
    fold(state, 1, "job.sang", {"song": "la"})

    assert (state.head, state.item_list(), state.ended) == (1, (), None)


def test_a_job_that_says_too_much_ends_as_cut_short() -> None:
    state = JobState(said_bytes=limits.OUTPUT_BYTES_MAX)
    answering = Answering(new_id=lambda: "item_1", merges=True)

    events, end = on_parts(state, answering, [Delta(index=0, text="x")])

    assert events == []
    assert end == End(end_state="finished", reason="length")


def test_what_a_wire_needs_again_is_kept_with_the_item() -> None:
    start = ItemStart(index=0, type="tool_call", call_id="call_1", name="look")
    log = play(
        [[start, Delta(index=0, arguments="{}"), ItemDone(index=0, native=NATIVE), End()]],
        merges=True,
        verdict=verdict_for("aborted"),
    )
    (item,) = refold(log).item_list()
    assert item["native"] == {"wire": "openai-chat", "model": "m", "value": {"signature": "s"}}
    assert (item["call_id"], item["name"], item["arguments"]) == ("call_1", "look", "{}")


def test_a_retry_takes_back_what_waits_with_it() -> None:
    first: list[Part] = [ItemStart(index=0, type="message"), Delta(index=0, text="no"), Retracted()]
    second: list[Part] = [ItemStart(index=0, type="message"), Delta(index=0, text="yes"), End()]
    log = play([first + second], merges=True, verdict=verdict_for("aborted"))
    assert [each["text"] for each in refold(log).item_list()] == ["yes"]
