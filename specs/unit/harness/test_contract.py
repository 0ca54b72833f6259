"""The proof sees what breaks the contract: each rule with a planted violation."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from harness.contract import Proof, closed
from runtime.events import ItemDelta, JobEnded, records

JSON, PROBLEM, SSE = "application/json", "application/problem+json", "text/event-stream"
HEALTH = {"status": "ok", "version": "1"}
NOT_FOUND = {
    "type": "urn:runchat:problem:not-found",
    "title": "Not found",
    "status": 404,
    "detail": "There is nothing at this address.",
    "instance": "urn:request:req_1",
}
WHO = {"tenant": "a", "user": "b", "admin": False}


def objections(method: str, path: str, status: int, media_type: str, body: Any) -> list[str]:
    proof = Proof()
    proof.judge(method, path, status, media_type, orjson.dumps(body))
    return proof.violations


@pytest.mark.parametrize(
    ("path", "status", "media_type", "body", "seen"),
    [
        ("/api/health", 200, JSON, HEALTH | {"extra": 1}, "extra"),
        ("/api/health", 200, JSON, {"status": "ok"}, "'version' is a required property"),
        ("/api/health", 200, JSON, HEALTH | {"version": 1}, "is not of type 'string'"),
        ("/api/health", 201, JSON, HEALTH, "201 is not in the contract"),
        ("/api/session", 404, PROBLEM, NOT_FOUND | {"title": None}, "is not of type 'string'"),
        ("/api/session", 401, PROBLEM, NOT_FOUND, "status is not the answer's"),
        ("/no/pe", 200, JSON, {}, "200 is not in the contract"),
        ("/metrics", 200, JSON, {}, "200 has no JSON in the contract"),
    ],
)
def test_an_answer_that_breaks_the_contract_is_seen(
    path: str, status: int, media_type: str, body: Any, seen: str
) -> None:
    told = objections("GET", path, status, media_type, body)
    assert [seen in each for each in told] == [True]


@pytest.mark.parametrize(
    ("path", "status", "media_type", "body"),
    [
        ("/api/health", 200, JSON, HEALTH),
        ("/api/session", 200, JSON, WHO),
        ("/nope", 404, PROBLEM, NOT_FOUND),
        ("/api/jobs/job_1", 404, PROBLEM, NOT_FOUND | {"more": [1]}),
    ],
)
def test_an_answer_within_the_contract_is_let_be(
    path: str, status: int, media_type: str, body: Any
) -> None:
    assert objections("GET", path, status, media_type, body) == []


DELTA, END = (
    orjson.loads(each.body)
    for each in records(
        0,
        [
            ItemDelta(item_id="item_1", text="a"),
            JobEnded(status="completed", reason="stop", end_state="finished"),
        ],
        0,
    )
)


@pytest.mark.parametrize(
    ("event", "seen"),
    [
        (DELTA | {"kind": "item.deltas"}, "no event of this log is called item.deltas"),
        (DELTA | {"sequence": 0}, "less than the minimum"),
        (DELTA | {"at": "2026-01-01T00:00:00Z"}, "does not match"),
        (DELTA | {"data": {"item_id": "item_1", "text": None}}, "is not of type 'string'"),
        (DELTA | {"data": {"item_id": "item_1", "more": 1}}, "more"),
        (END | {"data": {"status": "completed", "reason": "stop"}}, "is a required property"),
    ],
)
def test_an_event_that_breaks_the_contract_is_seen(event: dict[str, Any], seen: str) -> None:
    proof = Proof()
    frame = b"id: 1\nevent: x\ndata: " + orjson.dumps(event)
    proof.events("GET", "/api/jobs/job_1/events", frame)
    assert proof.violations[0].endswith("events: " + proof.violations[0].partition("events: ")[2])
    assert [seen in each for each in proof.violations][:1] == [True]


def test_an_event_within_the_contract_is_let_be() -> None:
    proof = Proof()
    frames = b"\n\n".join(b"data: " + orjson.dumps(each) for each in (DELTA, END))
    proof.events("GET", "/api/jobs/job_1/events", frames)
    feed = {"stream": "jobs/job_1", "event": END}
    proof.events("GET", "/api/events", b"data: " + orjson.dumps(feed))
    assert proof.violations == []


def test_an_end_of_a_job_is_no_event_of_a_conversation() -> None:
    proof = Proof()
    proof.events("GET", "/api/conversations/conv_1/events", b"data: " + orjson.dumps(END))
    assert len(proof.violations) > 0


def test_what_was_shown_is_no_longer_unproved() -> None:
    proof = Proof()
    before = proof.unproved()
    proof.judge("GET", "/api/health", 200, JSON, orjson.dumps(HEALTH))
    assert [each for each in before if each not in proof.unproved()] == ["GET /api/health 200"]


def test_a_schema_is_closed_all_the_way_down() -> None:
    given = {"type": "object", "properties": {"a": {"type": "object", "properties": {}}}}
    assert closed(given)["properties"]["a"]["additionalProperties"] is False
    assert closed({"type": "object"}) == {"type": "object"}
