"""A human's word: asked in the log, answered once, expiring, and outliving the process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from actors.desk import Order
from actors.ending import fold_log
from actors.job_state import JobState
from actors.tools.loop import Answer
from actors.tools.tooling import Calling, Outcome
from runtime import limits
from runtime.clock import SystemClock
from runtime.events import TextPart
from runtime.hub import Hub
from runtime.ids import Ids
from runtime.telemetry import Metrics
from specs.requirements import requirement
from specs.support import talk
from specs.support.calling import ANN, Bench, bench, calls, results
from specs.support.faults import break_the_audit
from specs.support.scripted import Scripted
from specs.support.shelf import Shelf, never, said
from store import opening, tool_calls
from store.event_log import SqliteEventLog
from store.loop_writer import LoopWriter
from store.opening import Store
from transports import compose
from transports.compose import Core
from transports.egress.providers.catalog import Catalog
from transports.egress.providers.echo import Echo

__all__ = ["bench"]

WORDS = '{"words":"a"}'


@requirement("approvals.asked", "approvals.once")
@pytest.mark.parametrize(
    ("word", "outcome", "heard"),
    [
        ("approve", "approved", ("send", False, "heard: a")),
        ("deny", "denied", ("send", True, "The user said no. The tool was not called.")),
    ],
)
async def test_a_tool_that_asks_waits_for_a_humans_word(
    bench: Bench, word: str, outcome: str, heard: tuple[str, bool, str]
) -> None:
    tool = bench.shelf.put("send", policy="ask")
    job, call = await bench.begin()
    await calls(call, ("send", WORDS))
    question = await bench.until(job, "approval.requested")
    shown = await talk.job(bench.client, job)
    assert shown["approvals"] == [question]
    assert (question["tool"], bench.shelf.calls, "schema" in question) == (tool.id, [], False)

    answer = await bench.answer(job, question["approval_id"], answer=word)
    again = await bench.answer(job, question["approval_id"], answer="approve")
    view = await bench.answered(job)
    late = await bench.answer(job, question["approval_id"], answer="approve")

    approval = {"id": question["approval_id"], "job_id": job, "outcome": outcome}
    assert (answer.status_code, answer.json()) == (200, approval)
    for refusal in (again, late):
        told = refusal.json()
        assert (refusal.status_code, told["type"]) == (409, "urn:runchat:problem:approval-resolved")
        assert told["outcome"] == outcome
    assert (results(view), view["approvals"]) == ([heard], [])
    events = await talk.log(bench.client, f"jobs/{job}")
    resolved = [event["data"] for event in events if event["kind"] == "approval.resolved"]
    assert resolved == [
        {"approval_id": question["approval_id"], "outcome": outcome, "by": "local/ann"}
    ]
    [row] = tool_calls.list_page(bench.running.services.reader, ANN, limit=9)
    assert (row.approval, row.approval_id) == (outcome, question["approval_id"])


@requirement("approvals.foreign")
async def test_nobody_else_can_answer_and_there_is_nothing_to_see(bench: Bench) -> None:
    bench.shelf.put("send", policy="ask")
    job, call = await bench.begin()
    await calls(call, ("send", WORDS))
    question = await bench.until(job, "approval.requested")
    other = await bench.running.client(user="bob", admin=True)
    url = f"/api/jobs/{job}/approvals/{question['approval_id']}"
    foreign = await other.post(url, json={"answer": "approve"})
    unknown = await bench.answer(job, "appr_none", answer="approve")

    assert (foreign.status_code, unknown.status_code) == (404, 404)
    await bench.client.post(f"/api/jobs/{job}/abort")
    late = await bench.answer(job, question["approval_id"], answer="approve")
    assert (late.status_code, late.json()["job_status"]) == (409, "aborted")
    assert (await bench.answer(job, "appr_none", answer="deny")).status_code == 404


@requirement("approvals.asked")
async def test_an_answer_that_cannot_be_audited_has_not_been_given(bench: Bench) -> None:
    bench.shelf.put("send", policy="ask")
    job, call = await bench.begin()
    await calls(call, ("send", WORDS))
    question = await bench.until(job, "approval.requested")
    await break_the_audit(bench.running)
    answer = await bench.answer(job, question["approval_id"], answer="approve")

    assert answer.status_code == 503
    assert (await talk.job(bench.client, job))["approvals"] == [question]
    assert bench.shelf.calls == []


@requirement("approvals.questions")
@pytest.mark.parametrize("word", ["approve", "deny"])
async def test_a_tool_may_ask_the_user_for_what_it_needs(bench: Bench, word: str) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    }

    async def book(arguments: Mapping[str, Any], calling: Calling) -> Outcome:
        del arguments
        calling.on_progress(1, 2, "half way")
        given = await calling.ask("Which city?", schema)
        return said("declined" if given is None else f"to {given['city']}")

    bench.shelf.put("book", book)
    job, call = await bench.begin()
    await calls(call, ("book", WORDS))
    question = await bench.until(job, "approval.requested")
    wrong = await bench.answer(job, question["approval_id"], answer="approve", content={"city": 1})
    right = {"content": {"city": "Rome"}} if word == "approve" else {}
    await bench.answer(job, question["approval_id"], answer=word, **right)
    view = await bench.answered(job)
    events = await talk.log(bench.client, f"jobs/{job}")

    assert (question["question"], question["schema"]) == ("Which city?", schema)
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/content")
    heard = {"approve": "to Rome", "deny": "declined"}[word]
    assert results(view) == [("book", False, heard)]
    progress = [event["data"] for event in events if event["kind"] == "tool.progressed"]
    assert progress == [
        {"item_id": question["item_id"], "done": 1.0, "of": 2.0, "words": "half way"}
    ]
    assert b"Rome" not in (await bench.client.get(f"/api/jobs/{job}/events")).content.replace(
        b"to Rome", b""
    )


class Machine:
    """A store that outlives the processes on it."""

    def __init__(self, store: Store, ids: Ids, shelf: Shelf) -> None:
        self.store, self.ids, self.shelf = store, ids, shelf
        self.hub, self.log = Hub(), SqliteEventLog(store.reader)
        self.model = Scripted()
        self.later_ms = 0  # what its clock is ahead of ours

    def now_ms(self) -> int:
        return SystemClock().now_ms() + self.later_ms

    @asynccontextmanager
    async def life(self) -> AsyncIterator[Core]:
        """One life of the process; it dies with the block."""
        async with compose.open_core(
            clock=self,
            ids=self.ids,
            hub=self.hub,
            event_log=self.log,
            reader=self.store.reader,
            writer=LoopWriter(self.store.writer, self.log, self.hub),
            catalog=Catalog((Echo(), self.model), default="echo"),
            metrics=Metrics(),
            sources=(self.shelf,),
        ) as core:
            yield core

    async def state(self, job: str) -> JobState:
        return await fold_log(self.log, job)

    async def until(self, job: str, kind: str) -> JobState:
        """Wait until a job's log has an event of this kind."""
        while True:
            page = self.log.read(f"jobs/{job}", after=0)
            if any(each.kind == kind for segment in page for each in segment.records):
                return await self.state(job)
            await self.hub.wait(f"jobs/{job}")


@pytest.fixture
async def machine() -> AsyncIterator[Machine]:
    ids = Ids(SystemClock())
    with opening.open_memory(ids) as store:
        yield Machine(store, ids, Shelf())


async def start(core: Core, said: str = "go", model: str = "echo") -> str:
    talk_id = (await core.desk.create_conversation(ANN, "a talk", None, "req_1")).id
    order = Order(input=(TextPart(text=said),), model=model, tools="all")
    return (await core.desk.start_job(ANN, talk_id, order, None, "req_2")).id


@requirement("approvals.survive")
@pytest.mark.parametrize("gently", [True, False])
async def test_a_job_that_waits_for_a_human_goes_on_after_a_restart(
    machine: Machine, *, gently: bool
) -> None:
    machine.shelf.put("send", policy="ask")
    async with machine.life() as core:
        job = await start(core)
        before = await machine.until(job, "approval.requested")
        if gently:
            await core.end_jobs(0)
    async with machine.life() as core:
        shown = await core.desk.job(ANN, job)
        assert (shown.status, len(shown.approvals)) == ("running", 1)
        answer = Answer(
            caller=ANN,
            approval_id=shown.approvals[0]["approval_id"],
            approves=True,
            content=None,
            request_id="req_3",
        )
        await core.desk.answer_approval(ANN, job, answer)
        state = await machine.until(job, "job.ended")

    assert [item.type for item in state.items.values()] == ["tool_call", "tool_result", "message"]
    assert (state.text(), machine.shelf.calls) == (
        "heard: go",
        [("shelf/desk/send", {"words": "go"})],
    )
    assert list(state.approvals) == list(before.approvals)


@requirement("approvals.expire")
async def test_a_question_that_nobody_answers_is_a_no_in_the_end(machine: Machine) -> None:
    machine.shelf.put("send", policy="ask")
    async with machine.life() as core:
        job = await start(core)
        await machine.until(job, "approval.requested")
    machine.later_ms = limits.APPROVAL_MS
    async with machine.life():
        state = await machine.until(job, "job.ended")

    assert (list(state.resolved.values()), machine.shelf.calls) == (["expired"], [])
    assert state.text() == "The user did not answer. The tool was not called."


@requirement("tools.unknown")
async def test_a_call_that_a_dead_process_was_making_is_unknown_and_not_repeated(
    machine: Machine,
) -> None:
    machine.shelf.put("slow", never, timeout_s=3600)
    async with machine.life() as core:
        job = await start(core)
        await machine.shelf.called.wait()
    async with machine.life():
        state = await machine.state(job)
        rows = tool_calls.list_page(machine.store.reader, ANN, limit=9)

    assert state.ended is not None
    assert (state.ended["status"], state.ended["reason"]) == ("interrupted", "process-died")
    assert [(row.outcome, row.reason) for row in rows] == [("unknown", "process-died")]
    assert len(machine.shelf.calls) == 1


@requirement("approvals.survive", "tools.unknown")
async def test_beside_a_call_that_waits_one_that_was_cut_off_is_not_made_again(
    machine: Machine,
) -> None:
    machine.shelf.put("send", policy="ask")
    machine.shelf.put("slow", never, timeout_s=3600)
    async with machine.life() as core:
        job = await start(core, model="scripted")
        await calls(await machine.model.next_call(), ("slow", WORDS), ("send", WORDS))
        await machine.shelf.called.wait()
        await machine.until(job, "approval.requested")
    async with machine.life() as core:
        state = await machine.state(job)
        [approval] = state.open_approvals()
        answer = Answer(
            caller=ANN,
            approval_id=approval["approval_id"],
            approves=False,
            content=None,
            request_id="req_3",
        )
        await core.desk.answer_approval(ANN, job, answer)
        again = await machine.model.next_call()
        await again.end()
        state = await machine.until(job, "job.ended")

    told = {item.name: "".join(item.text) for item in state.items.values() if item.answers}
    cut = "The call was cut off (process-died). It is not known whether it did what was asked."
    assert told == {"slow": cut, "send": "The user said no. The tool was not called."}
    assert [id_ for id_, _ in machine.shelf.calls] == ["shelf/desk/slow"]
