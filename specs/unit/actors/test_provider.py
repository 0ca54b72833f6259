"""One endpoint's door: users take turns, the queue and the circuit are bounded, silence ends."""

from __future__ import annotations

from typing import Any, cast

import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from actors.provider import Circuit, FairQueue, Generate, Hush
from runtime import limits
from runtime.caller import Caller
from runtime.problems import UpstreamLost
from specs.requirements import requirement
from specs.support import talk
from specs.support.scripted import Scripted
from specs.support.server import service
from transports.egress.providers.base import Model, Request

REQUEST = Request(job_id="job_1", model=Model(id="m", endpoint="e"), input=(), options=None)


def order(user: str, call: str) -> Generate:
    owner = Caller(tenant="local", user=user)
    return Generate(job=cast("Any", None), call=call, owner=owner, request=REQUEST)


@given(st.lists(st.sampled_from("abc"), max_size=30))
def test_users_take_turns_and_each_users_calls_keep_their_order(users: list[str]) -> None:
    queue = FairQueue()
    for number, user in enumerate(users):
        queue.put(order(user, f"{user}{number}"))
    taken = []
    while got := queue.take():
        taken.append(got.call)

    assert sorted(taken) == sorted(f"{user}{number}" for number, user in enumerate(users))
    for user in "abc":
        mine = [call for call in taken if call[0] == user]
        assert mine == sorted(mine, key=lambda call: int(call[1:]))
    first_round = [call[0] for call in taken[: len(set(users))]]
    assert sorted(first_round) == sorted(set(users))


@given(st.lists(st.sampled_from("ab"), min_size=1, max_size=12), st.data())
def test_a_call_taken_out_is_never_handed_out(users: list[str], data: st.DataObject) -> None:
    queue = FairQueue()
    calls = [f"{user}{number}" for number, user in enumerate(users)]
    for call in calls:
        queue.put(order(call[0], call))
    gone = data.draw(st.sampled_from(calls))

    assert queue.remove(gone) is True
    assert queue.remove(gone) is False
    assert len(queue) == len(calls) - 1
    assert gone not in [got.call for _ in calls if (got := queue.take())]


async def test_the_circuit_opens_after_failures_in_a_row_and_closes_again(
    autojump_clock: MockClock,
) -> None:
    circuit = Circuit()
    for _ in range(limits.CIRCUIT_FAILURES_MAX - 1):
        circuit.note(failed=True)
    circuit.note(failed=False)
    for _ in range(limits.CIRCUIT_FAILURES_MAX - 1):
        circuit.note(failed=True)
    almost = circuit.is_open()
    circuit.note(failed=True)
    opened = circuit.is_open()
    autojump_clock.jump(limits.CIRCUIT_OPEN_S)

    assert (almost, opened, circuit.is_open()) == (False, True, False)


@requirement("end.reset")
async def test_a_lost_connection_ends_the_job_incomplete_with_what_was_said() -> None:
    model = Scripted()
    async with service(providers=(model,)) as running:
        client = await running.client()
        job_id = await talk.asked(client, await talk.begin(client))
        call = await model.next_call()
        await call.text("half")
        await call.say.send(UpstreamLost("The connection was reset."))
        events = await talk.follow(client, job_id)
        view = await talk.job(client, job_id)

        assert (view["status"], talk.text_of(view)) == ("incomplete", "half")
        assert events[-1]["data"]["end_state"] == "transport_error"


async def test_an_open_circuit_refuses_at_once_and_says_so() -> None:
    model = Scripted()
    async with service(providers=(model,)) as running:
        client = await running.client()
        conversation = await talk.begin(client)
        for _ in range(limits.CIRCUIT_FAILURES_MAX):
            job_id = await talk.asked(client, conversation)
            await (await model.next_call()).say.send(UpstreamLost("The connection was reset."))
            await talk.follow(client, job_id)
        job_id = await talk.asked(client, conversation)
        events = await talk.follow(client, job_id)

        assert events[-1]["data"]["error"]["code"] == "circuit-open"
        assert len(model.calls) == limits.CIRCUIT_FAILURES_MAX


async def test_no_more_calls_run_at_once_than_the_endpoint_takes() -> None:
    model = Scripted(concurrency=2)
    async with service(providers=(model,)) as running:
        client = await running.client()
        jobs = [await talk.asked(client, await talk.begin(client)) for _ in range(3)]
        first, second = await model.next_call(), await model.next_call()
        await trio.testing.wait_all_tasks_blocked()
        before = len(model.calls)
        await first.end()
        await talk.follow(client, jobs[0])
        third = await model.next_call()
        await second.end()
        await third.end()
        await talk.follow(client, jobs[2])

        assert before == 2
        assert third.request.job_id == jobs[2]


async def test_a_job_that_waits_for_its_turn_can_be_aborted_without_a_call() -> None:
    model = Scripted(concurrency=1)
    async with service(providers=(model,)) as running:
        client = await running.client()
        await talk.asked(client, await talk.begin(client))
        first = await model.next_call()
        waiting = await talk.asked(client, await talk.begin(client))
        answer = await client.post(f"/api/jobs/{waiting}/abort")
        await first.end()
        await trio.testing.wait_all_tasks_blocked()

        assert answer.json()["status"] == "aborted"
        assert len(model.calls) == 1


async def test_a_jobs_call_is_closed_while_the_job_has_not_been_asked_for_its_end() -> None:
    model = Scripted()
    async with service(providers=(model,)) as running:
        client = await running.client()
        job_id = await talk.asked(client, await talk.begin(client))
        call = await model.next_call()
        await call.text("so far")
        await talk.until(client, f"jobs/{job_id}", "item.delta")
        door = running.services.desk.turns.spine.providers.alive("scripted")
        assert door is not None
        door.tell(Hush(job_id="job_of_nobody"))
        door.tell(Hush(job_id=job_id))
        with trio.fail_after(10):
            await call.closed.wait()
        still = (await talk.job(client, job_id))["status"]
        await client.post(f"/api/jobs/{job_id}/abort")
        job = await talk.job(client, job_id)

    assert (still, job["status"], talk.text_of(job)) == ("running", "aborted", "so far")
    assert model.calls == [call]
