"""Asking over a running answer: replace, its fence, its order; queue; abort."""

from __future__ import annotations

import pytest
import trio

from runtime import limits
from specs.requirements import requirement
from specs.support import talk
from specs.support.scripted import Scripted
from specs.support.server import service
from specs.w01_streaming.test_jobs import together
from store import jobs
from store.database import Database
from store.writer import Write


@requirement("jobs.replace-wins", "jobs.replace-names-successor", "end.superseded")
async def test_replace_ends_the_running_job_and_names_its_successor() -> None:
    model = Scripted()
    async with service(providers=(model,)) as running:
        client = await running.client()
        conversation = await talk.begin(client)
        old = await talk.asked(client, conversation)
        call = await model.next_call()
        await call.text("partial")
        await talk.until(client, f"jobs/{old}", "item.delta")
        new = await talk.asked(client, conversation, on_active="replace")
        events = await talk.follow(client, old)
        view = await talk.job(client, old)

        assert events[-1]["data"] == {
            "status": "superseded",
            "reason": "superseded",
            "provider_reason": None,
            "end_state": "cancelled",
            "superseded_by": new,
        }
        assert (view["status"], view["superseded_by"]) == ("superseded", new)
        assert talk.text_of(view) == "partial"
        counted = running.services.metrics.jobs_total
        assert [counted.value(each) for each in ("running", "superseded")] == [2, 1]
        assert (await talk.job(client, new))["status"] == "running"


@requirement("jobs.replace-wins")
async def test_of_many_replacements_all_are_accepted_and_the_last_survives() -> None:
    model = Scripted()
    async with service(providers=(model,)) as running:
        client = await running.client()
        conversation = await talk.begin(client)
        answers = await together(client, conversation, 20, on_active="replace")
        current = (await client.get(f"/api/conversations/{conversation}")).json()["current_job"]
        ids = {each.json()["id"] for each in answers}
        views = {job_id: await talk.job(client, job_id) for job_id in ids}

        assert [each.status_code for each in answers] == [202] * 20
        assert views[current]["status"] == "running"
        lost = {job_id: view for job_id, view in views.items() if job_id != current}
        assert {view["status"] for view in lost.values()} == {"superseded"}
        assert {view["superseded_by"] for view in lost.values()} == ids - {min(ids)}


@requirement("jobs.replace-fence")
async def test_replaces_naming_another_job_changes_nothing() -> None:
    model = Scripted()
    async with service(providers=(model,)) as running:
        client, bob = await running.client(), await running.client("local", "bob")
        conversation = await talk.begin(client)
        ended = await talk.asked(client, conversation, model="echo")
        await talk.follow(client, ended)
        foreign = await talk.asked(bob, await talk.begin(bob))
        running_job = await talk.asked(client, conversation)
        for other in (ended, foreign, "job_00000000000000000000000000", "nonsense"):
            body = {"on_active": "replace", "replaces": other}
            answer = await talk.ask(client, conversation, **body)

            assert answer.status_code == 409
            assert answer.json()["type"] == "urn:runchat:problem:job-changed"
            assert answer.json()["current_job"] == running_job
        named = {"on_active": "replace", "replaces": running_job}
        assert (await talk.ask(client, conversation, **named)).status_code == 202


@requirement("jobs.replace-fence")
async def test_replaces_is_refused_where_nothing_runs() -> None:
    async with service() as running:
        client = await running.client()
        conversation = await talk.begin(client)
        ended = await talk.asked(client, conversation, model="echo")
        await talk.follow(client, ended)
        answer = await talk.ask(
            client, conversation, model="echo", on_active="replace", replaces=ended
        )

        assert (answer.status_code, answer.json()["current_job"]) == (409, None)


@requirement("jobs.replace-no-late-part", "jobs.replace-closes-provider")
async def test_a_replaced_job_says_nothing_more_and_its_provider_is_closed() -> None:
    model = Scripted()
    async with service(providers=(model,)) as running:
        client = await running.client()
        conversation = await talk.begin(client)
        old = await talk.asked(client, conversation)
        call = await model.next_call()
        await talk.asked(client, conversation, on_active="replace")

        with trio.fail_after(limits.PROVIDER_CLOSE_S):
            await call.closed.wait()
        with pytest.raises(trio.BrokenResourceError):
            await call.text("too late")
        assert talk.text_of(await talk.job(client, old)) == ""


@requirement("jobs.replace-before-queue", "jobs.queue-order")
async def test_replace_goes_ahead_of_what_waits() -> None:
    model = Scripted()
    async with service(providers=(model,)) as running:
        client = await running.client()
        conversation = await talk.begin(client)
        await talk.asked(client, conversation, "first")
        await talk.asked(client, conversation, "waits", on_active="queue")
        await talk.asked(client, conversation, "waits longer", on_active="queue")
        await talk.asked(client, conversation, "now", on_active="replace")
        order = []
        for _ in range(4):
            call = await model.next_call()
            order.append(call.request.messages[-1].text)
            if order[-1] != "first":
                await call.end()

        assert order == ["first", "now", "waits", "waits longer"]


@requirement("jobs.queue-durable")
async def test_a_queued_job_has_an_empty_log() -> None:
    model = Scripted()
    async with service(providers=(model,)) as running:
        client = await running.client()
        conversation = await talk.begin(client)
        await talk.asked(client, conversation)
        answer = await talk.ask(client, conversation, on_active="queue")
        view = answer.json()

        assert (answer.status_code, view["status"], view["head"]) == (202, "queued", 0)
        assert (view["started_at"], await talk.log(client, f"jobs/{view['id']}")) == (None, [])


@requirement("jobs.queue-order")
@pytest.mark.parametrize("how", ["completed", "failed", "aborted"])
async def test_after_any_end_the_next_in_the_queue_starts(how: str) -> None:
    model = Scripted()
    async with service(providers=(model,)) as running:
        client = await running.client()
        conversation = await talk.begin(client)
        first = await talk.asked(client, conversation)
        second = await talk.asked(client, conversation, on_active="queue")
        call = await model.next_call()
        if how == "completed":
            await call.end()
        elif how == "failed":
            await call.say.send(RuntimeError("a bug in the provider's adapter"))
        else:
            await client.post(f"/api/jobs/{first}/abort")
        await (await model.next_call()).end()
        await talk.until(client, f"jobs/{second}", "job.ended")

        assert (await talk.job(client, first))["status"] == how
        assert (await talk.job(client, second))["status"] == "completed"


@requirement("jobs.queue-order")
async def test_a_job_in_the_queue_that_has_ended_elsewhere_holds_up_nobody() -> None:
    model = Scripted()
    async with service(providers=(model,)) as running:
        client = await running.client()
        conversation = await talk.begin(client)
        first = await talk.asked(client, conversation)
        call = await model.next_call()
        stale = await talk.asked(client, conversation, on_active="queue")
        last = await talk.asked(client, conversation, on_active="queue")

        def end(db: Database) -> None:
            jobs.set_ended(
                db,
                stale,
                status="aborted",
                reason="aborted",
                superseded_by=None,
                ended_at_ms=1,
                result=b"{}",
            )

        await running.writer.write(Write(rows=end))
        await call.end()
        await talk.follow(client, first)
        await (await model.next_call()).end()
        events = await talk.follow(client, last)

        assert events[-1]["data"]["status"] == "completed"


@requirement("jobs.queue-bound")
async def test_the_queue_has_a_bound() -> None:
    model = Scripted()
    async with service(providers=(model,)) as running:
        client = await running.client()
        conversation = await talk.begin(client)
        await talk.asked(client, conversation)
        for _ in range(32):
            await talk.asked(client, conversation, on_active="queue")
        answer = await talk.ask(client, conversation, on_active="queue")

        assert answer.status_code == 429
        assert answer.json()["type"] == "urn:runchat:problem:queue-full"
        assert int(answer.headers["retry-after"]) >= 1


@requirement("jobs.queue-abort")
async def test_a_queued_job_that_is_aborted_has_its_end_alone() -> None:
    model = Scripted()
    async with service(providers=(model,)) as running:
        client = await running.client()
        conversation = await talk.begin(client)
        first = await talk.asked(client, conversation)
        waiting = await talk.asked(client, conversation, on_active="queue")
        answer = await client.post(f"/api/jobs/{waiting}/abort")
        events = await talk.log(client, f"jobs/{waiting}")
        await (await model.next_call()).end()
        await talk.follow(client, first)

        assert (answer.status_code, answer.json()["status"]) == (200, "aborted")
        assert [(each["sequence"], each["kind"]) for each in events] == [(1, "job.ended")]
        assert len(model.calls) == 1


@requirement("jobs.abort", "jobs.abort-again", "jobs.abort-keeps-partial", "end.aborted")
async def test_abort_answers_when_the_end_is_there_and_again() -> None:
    model = Scripted()
    async with service(providers=(model,)) as running:
        client = await running.client()
        job_id = await talk.asked(client, await talk.begin(client))
        call = await model.next_call()
        await call.text("half an ")
        await talk.until(client, f"jobs/{job_id}", "item.delta")
        first = await client.post(f"/api/jobs/{job_id}/abort")
        events = await talk.log(client, f"jobs/{job_id}")
        second = await client.post(f"/api/jobs/{job_id}/abort", json={})

        assert (first.status_code, second.status_code) == (200, 200)
        assert first.json() == second.json()
        assert (first.json()["status"], talk.text_of(first.json())) == ("aborted", "half an ")
        assert [each["kind"] for each in events].count("job.ended") == 1
        assert events[-1]["data"]["end_state"] == "cancelled"


@requirement("jobs.abort-closes-provider")
async def test_abort_closes_the_provider() -> None:
    model = Scripted()
    async with service(providers=(model,)) as running:
        client = await running.client()
        job_id = await talk.asked(client, await talk.begin(client))
        call = await model.next_call()
        await client.post(f"/api/jobs/{job_id}/abort")

        assert call.closed.is_set() is True


@requirement("jobs.abort-ended")
async def test_abort_of_what_ended_otherwise_says_how() -> None:
    async with service() as running:
        client = await running.client()
        job_id = await talk.asked(client, await talk.begin(client), model="echo")
        await talk.follow(client, job_id)
        answer = await client.post(f"/api/jobs/{job_id}/abort")

        assert answer.status_code == 409
        assert answer.json()["type"] == "urn:runchat:problem:job-ended"
        assert answer.json()["job_status"] == "completed"


@requirement("jobs.abort-body")
async def test_abort_takes_nothing_but_an_empty_object() -> None:
    model = Scripted()
    async with service(providers=(model,)) as running:
        client = await running.client()
        job_id = await talk.asked(client, await talk.begin(client))
        answer = await client.post(f"/api/jobs/{job_id}/abort", json={"why": "bored"})

        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == "/why"
        assert (await talk.job(client, job_id))["status"] == "running"


@requirement("jobs.replace-order")
async def test_whoever_sees_the_new_beginning_can_see_the_old_end() -> None:
    model = Scripted()
    async with service(providers=(model,)) as running:
        client = await running.client()
        conversation = await talk.begin(client)
        old = await talk.asked(client, conversation)
        answer = await talk.ask(client, conversation, on_active="replace")
        begun = await talk.until(client, f"jobs/{answer.json()['id']}", "job.started")
        ended = await talk.log(client, f"jobs/{old}")

        assert ended[-1]["kind"] == "job.ended"
        assert ended[-1]["at"] <= begun[0]["at"]
