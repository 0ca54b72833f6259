"""An event is the bytes that are kept: every kind, its shape, and what is left out of it."""

from __future__ import annotations

import tracemalloc
from dataclasses import fields

import pytest

from runtime.events import (
    CONVERSATION_EVENTS,
    JOB_END,
    JOB_EVENTS,
    Data,
    Error,
    Item,
    ItemDelta,
    ItemDone,
    JobEnded,
    decode,
    encode,
    facts,
    portions,
    records,
)

AT_MS = 1_767_225_600_000


def test_an_event_is_sequence_kind_time_and_data() -> None:
    [made] = records(6, [ItemDelta(item_id="item_1", text="hä\n")], AT_MS)

    assert (made.sequence, made.kind) == (7, "item.delta")
    assert (
        made.body
        == (
            '{"sequence":7,"kind":"item.delta","at":"2026-01-01T00:00:00.000Z",'
            '"data":{"item_id":"item_1","text":"hä\\n"}}'
        ).encode()
    )
    assert decode(made.body)["data"] == {"item_id": "item_1", "text": "hä\n"}


def test_events_are_numbered_on_from_what_they_follow() -> None:
    deltas = [ItemDelta(item_id="item_1", text=text) for text in "abc"]

    assert [each.sequence for each in records(41, deltas, AT_MS)] == [42, 43, 44]
    assert records(41, [], AT_MS) == ()


def test_an_end_always_says_its_state_and_the_providers_reason() -> None:
    crashed = JobEnded(status="failed", reason="crashed")

    assert crashed.to_json() == {
        "status": "failed",
        "reason": "crashed",
        "provider_reason": None,
        "end_state": None,
    }


def test_an_error_within_an_end_is_an_object_with_its_class() -> None:
    error = Error(class_="provider", code="429", message="Slow down")
    ended = JobEnded(status="failed", reason="provider", end_state="provider_error", error=error)

    assert ended.to_json()["error"] == {
        "class": "provider",
        "code": "429",
        "message": "Slow down",
    }


def test_a_done_item_holds_the_whole_item() -> None:
    item = Item(id="i", type="message", role="assistant", index=0, status="completed", text="all")
    done = ItemDone(item_id="i", item=item).to_json()

    assert done["item"]["text"] == "all"
    assert "bytes" not in done["item"]


@pytest.mark.parametrize("kinds", [JOB_EVENTS, CONVERSATION_EVENTS])
def test_the_kinds_of_a_log_are_its_own(kinds: tuple[type[Data], ...]) -> None:
    names = [each.kind for each in kinds]

    assert len(set(names)) == len(names)
    assert JOB_END in names
    assert [each for each in kinds if not fields(each)] == []  # type: ignore[arg-type]  # dataclasses all


def test_large_deltas_are_cut_into_portions_with_nothing_lost() -> None:
    sizes = (1, 5, 4, 20, 3, 3, 3, 0, 1)
    said = facts([ItemDelta(item_id="item_1", text="x" * size) for size in sizes])

    found = [[len(data["text"]) for _, data in portion] for portion in portions(said, 10)]

    assert found == [[1, 5, 4], [20], [3, 3, 3, 0, 1]]
    assert list(portions([], 10)) == []


def test_an_event_holds_no_more_memory_than_its_bytes() -> None:
    said = facts([ItemDelta(item_id="item_1", text="x" * 1000)] * 100)

    tracemalloc.start()
    kept = encode(0, said, 0)
    held_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(kept) * 1000 < held_bytes < len(kept) * 1500
