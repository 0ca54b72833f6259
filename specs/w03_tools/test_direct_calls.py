"""Calls without a model: a job and a log of their own, and the same evidence."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from runtime import limits
from specs.requirements import requirement
from specs.support import talk
from specs.support.calling import Bench, bench, calls, results
from specs.support.exported import House, differs, house
from specs.support.faults import break_the_audit
from specs.support.shelf import WORDS, Shelf, never
from store.tool_calls import settle_lost
from store.writer import Write
from transports.egress.providers.base import Delta, ItemStart, Usage

__all__ = ["bench", "house"]

HEAR = "/api/tools/shelf/desk/hear/calls"


@requirement("direct.list")
async def test_a_caller_sees_what_it_may_call(bench: Bench) -> None:
    bench.shelf.put("hear", policy="ask", version="7")
    bench.shelf.put("rm", policy="deny")
    listed = await bench.client.get("/api/tools")

    assert listed.json() == {
        "items": [
            {
                "id": "shelf/desk/hear",
                "name": "hear",
                "description": "Does hear.",
                "schema": WORDS,
                "version": "7",
                "policy": "ask",
                "timeout_s": 5.0,
            }
        ],
        "left_out": {"shelf/desk/rm": "denied"},
        "next_cursor": None,
    }


@requirement("direct.call", "direct.idempotent")
async def test_a_call_is_a_job_with_a_log_and_happens_once(bench: Bench) -> None:
    tool = bench.shelf.put("hear")
    body, key = {"arguments": {"words": "hi"}}, {"Idempotency-Key": "k"}
    begun = await bench.client.post(HEAR, json=body, headers=key)
    again = await bench.client.post(HEAR, json=body, headers=key)
    job = begun.json()["id"]
    events = await talk.follow(bench.client, job)
    view = await talk.job(bench.client, job)

    assert (begun.status_code, begun.headers["location"]) == (202, f"/api/jobs/{job}")
    assert (again.content, again.headers["Idempotent-Replayed"]) == (begun.content, "true")
    assert bench.shelf.calls == [(tool.id, {"words": "hi"})]
    assert (results(view), view["status"], view["model"]) == (
        [("hear", False, "heard: hi")],
        "completed",
        tool.id,
    )
    assert [event["kind"] for event in events] == [
        "job.started",
        "item.started",
        "item.delta",
        "item.done",
        "tools.called",
        "item.started",
        "item.delta",
        "item.done",
        "job.ended",
    ]
    listed = (await bench.client.get("/api/conversations")).json()
    assert listed["items"] == []


async def test_a_call_lists_the_tools_once_and_its_result_is_kept_with_its_end(
    bench: Bench,
) -> None:
    bench.shelf.put("hear")
    begun = await bench.client.post(HEAR, json={"arguments": {"words": "hi"}})
    follows = {"after": "5", "wait": "10"}  # what the first commit after the call brings
    page = await bench.client.get(f"/api/jobs/{begun.json()['id']}/events", params=follows)

    kinds = [each["kind"] for each in page.json()["events"]]
    assert kinds == ["item.started", "item.delta", "item.done", "job.ended"]
    assert bench.shelf.lists == 1
    assert bench.evidence() == [("shelf/desk/hear", "done", None)]


@requirement("direct.evidence", "tools.evidence")
async def test_a_model_and_a_caller_leave_the_same_evidence(bench: Bench) -> None:
    bench.shelf.put("hear")
    job, call = await bench.begin()
    await calls(call, ("hear", '{"words":"hi"}'))
    await bench.answered(job)
    begun = await bench.client.post(HEAR, json={"arguments": {"words": "hi"}})
    await talk.follow(bench.client, begun.json()["id"])
    admin = await bench.running.client(user="root", admin=True)
    listed = (await admin.get("/api/tool-calls")).json()
    direct, looped = listed["items"]

    assert (direct.pop("made_by"), looped.pop("made_by")) == ("local/ann", "scripted")
    assert (direct.pop("job_id"), looped.pop("job_id")) == (begun.json()["id"], job)
    for row in (direct, looped):
        times = [row.pop(name) for name in ("intended_at", "settled_at")]
        assert sorted(times) == times
        assert row.pop("id").startswith("tcall_")
    assert direct == looped
    assert {name: direct[name] for name in ("user", "outcome", "approval", "dialled")} == {
        "user": "ann",
        "outcome": "done",
        "approval": "auto",
        "dialled": "shelf.example:443",
    }
    assert len(direct["arguments_sha256"]) == len(direct["result_sha256"]) == 64


@requirement("tools.unknown")
async def test_unknown_calls_are_listed_for_the_operator_alone(bench: Bench) -> None:
    bench.shelf.put("hear", never)
    await bench.client.post(HEAR, json={"arguments": {"words": "hi"}})
    await bench.shelf.called.wait()
    await bench.running.writer.write(Write(rows=lambda db: settle_lost(db, 1)))
    admin = await bench.running.client(user="root", admin=True)
    other = await bench.running.client(tenant="other", user="root", admin=True)
    unknown = (await admin.get("/api/tool-calls?outcome=unknown")).json()

    assert [(row["tool"], row["reason"]) for row in unknown["items"]] == [
        ("shelf/desk/hear", "process-died")
    ]
    assert (await other.get("/api/tool-calls")).json()["items"] == []
    assert (await bench.client.get("/api/tool-calls")).status_code == 404


@requirement("direct.refused")
async def test_a_call_that_cannot_be_made_is_refused_at_the_door(bench: Bench) -> None:
    bench.shelf.put("hear")
    missing = await bench.client.post("/api/tools/shelf/desk/gone/calls", json={})
    wrong = await bench.client.post(HEAR, json={"arguments": {"words": 1}})
    await break_the_audit(bench.running)
    unaudited = await bench.client.post(HEAR, json={"arguments": {"words": "hi"}})
    bench.running.services.tree.start_no_more()
    closing = await bench.client.post(HEAR, json={"arguments": {"words": "hi"}})

    assert (missing.status_code, wrong.status_code) == (404, 422)
    assert wrong.json()["errors"] == [
        {"pointer": "/arguments", "detail": "/words: 1 is not of type 'string'"}
    ]
    assert unaudited.json()["type"] == "urn:runchat:problem:audit-unavailable"
    assert closing.json()["type"] == "urn:runchat:problem:shutting-down"
    assert bench.shelf.calls == []


@requirement("direct.rate")
async def test_a_flood_of_calls_is_told_to_wait_and_harms_nobody_else(
    mock_clock: MockClock, bench: Bench
) -> None:
    bench.shelf.put("hear")
    other = await bench.running.client(user="bob")
    answers = [
        await bench.client.post("/api/tools/none/calls", json={})
        for _ in range(limits.TOOL_CALLS_BURST + 1)
    ]
    *early, late = answers

    assert {answer.status_code for answer in early} == {404}
    assert (late.status_code, late.headers["Retry-After"]) == (429, "1")
    assert (await other.post(HEAR, json={"arguments": {"words": "x"}})).status_code == 202


@requirement("direct.call", "approvals.asked")
async def test_a_call_of_a_tool_that_asks_waits_for_a_word_too(bench: Bench) -> None:
    bench.shelf.put("hear", policy="ask")
    begun = await bench.client.post(HEAR, json={"arguments": {"words": "hi"}})
    job = begun.json()["id"]
    question = await bench.until(job, "approval.requested")
    before = list(bench.shelf.calls)
    await bench.answer(job, question["approval_id"], answer="approve")
    await talk.follow(bench.client, job)

    assert before == []
    assert results(await talk.job(bench.client, job)) == [("hear", False, "heard: hi")]


@requirement("replay.tools", "replay.identical")
@pytest.mark.parametrize("how", ["direct", "looped", "aborted"])
async def test_a_job_with_tools_is_the_same_again(house: House, how: str) -> None:
    shelf = Shelf()
    house.running.services.tree.spine.toolbox.add(shelf)
    if how == "direct":
        shelf.put("hear")
        begun = await house.client.post(HEAR, json={"arguments": {"words": "hi"}})
        job = begun.json()["id"]
    else:
        shelf.put("hear", policy="ask")
        job = await talk.asked(house.client, await talk.begin(house.client), tools="all")
        call = await house.vendor.next_call()
        await call.say.send(ItemStart(index=0, type="message"))
        await call.say.send(Delta(index=0, text="Let me hear."))
        await call.say.send(Usage(source="provider", input=10, output=1))
        await calls(call, ("hear", '{"words":"a"}'), ("hear", "nonsense"), first=1)
        [*_, asked] = await talk.until(house.client, f"jobs/{job}", "approval.requested")
        if how == "aborted":
            await house.client.post(f"/api/jobs/{job}/abort")
        else:
            url = f"/api/jobs/{job}/approvals/{asked['data']['approval_id']}"
            await house.client.post(url, json={"answer": "approve"})
            again = await house.vendor.next_call()
            await again.text("So it is.")
            await again.say.send(Usage(source="provider", input=20, output=2))
            await again.end()
    recording = await house.recording(job)
    with trio.fail_after(30):
        assert await differs(recording) is None
