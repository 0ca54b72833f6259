"""The events of a response are a function of its log, and add up to what GET shows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from actors import ending, job_state
from actors.job_state import Answering, JobState
from runtime.events import Data, EndState, ItemType, JobStarted, encode, facts
from runtime.log import Record
from specs.requirements import requirement
from specs.support.responses_oracle import event_problems
from transports.egress.providers.base import (
    Delta,
    End,
    ItemDone,
    ItemStart,
    Part,
    Retracted,
    Usage,
)
from transports.ingress.http.responses.asked import CreateResponse, shown_of
from transports.ingress.http.responses.projection import Projection
from transports.ingress.http.responses.resource import SEALED, Shown, resource, told_of

JOB = "job_01m831983t3cjpe4vh3gjyzycn"
CITATION = {"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 1}
TYPES: tuple[ItemType, ...] = (
    "message",
    "reasoning",
    "tool_call",
    "refusal",
    "image",
    "server_tool",
    "opaque",
)
STATES: tuple[EndState, ...] = ("finished", "truncated", "provider_error", "cancelled")


def shown() -> Shown:
    words = shown_of(CreateResponse(model="m", input="x"), "m")
    words.pop(SEALED)
    return Shown(job_id=JOB, created_at_ms=1_700_000_000_000, words=words, sealed=False)


@st.composite
def spoken(draw: st.DrawFn) -> list[Part]:
    """What a provider might say: items with pieces, perhaps taken back, perhaps never done."""
    parts: list[Part] = []
    for index in range(draw(st.integers(0, 5))):
        kind = draw(st.sampled_from(TYPES))
        called = {"call_id": f"c{index}", "name": "f"} if kind == "tool_call" else {}
        parts.append(ItemStart(index=index, type=kind, **called))
        for piece in draw(st.lists(st.text(max_size=3), max_size=3)):
            match kind:
                case "tool_call":
                    parts.append(Delta(index=index, arguments=piece))
                case "image":
                    parts.append(Delta(index=index, data=piece.encode()))
                case _:
                    parts.append(Delta(index=index, text=piece))
        if kind == "message" and draw(st.booleans()):
            note: dict[str, Any] = draw(st.sampled_from([CITATION, {"type": "file_citation"}]))
            parts.append(Delta(index=index, annotation=note))
        if draw(st.booleans()):
            parts.append(ItemDone(index=index))
        if draw(st.integers(0, 9)) == 0:
            parts.append(Retracted())
            break
    if draw(st.booleans()):
        parts.append(Usage(source="provider", input=3, output=2))
    reason = draw(st.sampled_from(["stop", "length", "filter"]))
    state = draw(st.sampled_from(STATES))
    return [*parts, End(end_state=state, reason=reason)]


def log_of(parts: Sequence[Part]) -> tuple[list[Record], JobState]:
    """Return the log that a job makes of what its provider says, and its fold."""
    state, numbers = JobState(), iter(range(1000))
    answering = Answering(new_id=lambda: f"item_{next(numbers)}", merges=False)
    first = JobStarted(model="m", endpoint="e", conversation_id="c", message_id="m")
    kept: list[Record] = []

    def append(events: Sequence[Data]) -> None:
        said = facts(events)
        kept.extend(encode(state.head, said, 1_700_000_001_000))
        for sequence, (kind, data) in enumerate(said, state.head + 1):
            job_state.fold(state, sequence, kind, data)

    append([first])
    events, end = job_state.on_parts(state, answering, parts)
    append(events)
    assert end is not None
    close = ending.make(JOB, state, job_state.verdict_of(end), 1_700_000_002_000)
    return [*kept, *close.append.records], state


def projected(records: Sequence[Record]) -> list[dict[str, Any]]:
    projection = Projection(shown())
    return [json.loads(data) for record in records for _, _, data in projection.take(record)]


def folded(events: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add up the items of a stream, as a client does; one begun at a place replaces what was."""
    output: list[dict[str, Any]] = []
    texts: dict[str, str] = {}
    for event in events:
        match event["type"]:
            case "response.output_item.added":
                del output[event["output_index"] :]
                output.append(event["item"])
            case "response.output_item.done":
                output[event["output_index"]] = event["item"]
            case kind if kind.endswith(".delta"):
                texts[event["item_id"]] = texts.get(event["item_id"], "") + event["delta"]
            case _:
                pass
    for item in output:
        whole = item.get("arguments", "")
        for part in (*item.get("content", ()), *item.get("summary", ())):
            whole += part.get("text", part.get("refusal", ""))
        assert whole == texts.get(item["id"], "")
    return output


@requirement("responses.projection", "responses.valid")
@given(spoken())
def test_the_events_add_up_to_the_answer_and_are_valid(parts: list[Part]) -> None:
    records, state = log_of(parts)
    events = projected(records)
    last = events[-1]["response"]

    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert last == json.loads(json.dumps(resource(shown(), told_of(state, 1_700_000_002_000))))
    if not any(isinstance(part, Retracted) for part in parts):
        assert folded(events) == last["output"]
        sdk_only = [item for item in last["output"] if item["type"] == "image_generation_call"]
        if not sdk_only:
            assert [each for event in events for each in event_problems(event)] == []


@requirement("responses.projection")
@given(spoken())
def test_the_same_log_makes_the_same_bytes_wherever_it_is_cut(parts: list[Part]) -> None:
    records, _ = log_of(parts)
    assert projected(records) == projected(records)
    prefix = projected(records[: len(records) // 2])
    assert projected(records)[: len(prefix)] == prefix


@requirement("responses.projection")
def test_what_a_retry_took_back_is_closed_and_replaced_at_its_place() -> None:
    parts: list[Part] = [
        ItemStart(index=0, type="message"),
        Delta(index=0, text="wro"),
        Retracted(),
        ItemStart(index=0, type="message"),
        Delta(index=0, text="right"),
        ItemDone(index=0),
        End(),
    ]
    records, _ = log_of(parts)
    events = projected(records)
    items = [e for e in events if e["type"].startswith("response.output_item")]
    assert [(e["output_index"], e["item"]["status"]) for e in items] == [
        (0, "in_progress"),
        (0, "incomplete"),
        (0, "in_progress"),
        (0, "completed"),
    ]
    assert folded(events) == events[-1]["response"]["output"]
    assert [item["content"][0]["text"] for item in folded(events)] == ["right"]
