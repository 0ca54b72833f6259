"""A POST with a key happens once; and what cannot be audited does not happen at all."""

from __future__ import annotations

import sqlite3
from typing import Any

import httpx
import pytest
import trio

from runtime import limits
from runtime.clock import SystemClock
from specs.requirements import requirement
from specs.support import talk
from specs.support.faults import break_the_audit
from specs.support.scripted import Scripted
from specs.support.server import Service, service

CREATE = "/api/conversations"


async def post(client: httpx.AsyncClient, path: str, key: str, body: Any) -> httpx.Response:
    return await client.post(path, json=body, headers={"Idempotency-Key": key})


@requirement("idempotency.replay")
async def test_the_second_use_of_a_key_gets_the_first_answer_marked() -> None:
    model = Scripted()
    async with service(providers=(model,)) as running:
        client = await running.client()
        path = f"{CREATE}/{await talk.begin(client)}/jobs"
        body = {"input": "once", "model": "scripted"}
        first = await post(client, path, "k1", body)
        await (await model.next_call()).end()
        await talk.follow(client, first.json()["id"])
        second = await post(client, path, "k1", body)

        assert (first.status_code, second.status_code) == (202, 202)
        assert first.content == second.content
        assert first.headers["location"] == second.headers["location"]
        assert second.headers["idempotent-replayed"] == "true"
        assert "idempotent-replayed" not in first.headers
        assert len(model.calls) == 1


@requirement("idempotency.scope")
async def test_a_key_belongs_to_one_caller_and_one_path() -> None:
    async with service() as running:
        ann, bob = await running.client(), await running.client("local", "bob")
        body = {"title": "mine"}
        first = await post(ann, CREATE, "k1", body)
        others = await post(bob, CREATE, "k1", body)
        asked = {"input": "x", "model": "echo"}
        here = await post(ann, f"{CREATE}/{first.json()['id']}/jobs", "k1", asked)

        assert [first.status_code, others.status_code, here.status_code] == [201, 201, 202]
        assert first.json()["id"] != others.json()["id"]


@requirement("idempotency.conflict")
async def test_a_key_with_another_body_is_a_conflict_to_the_byte() -> None:
    async with service() as running:
        client = await running.client()
        headers = {"Idempotency-Key": "k1", "Content-Type": "application/json"}
        first = await client.post(CREATE, content=b'{"title":"a"}', headers=headers)
        second = await client.post(CREATE, content=b'{"title": "a"}', headers=headers)

        assert (first.status_code, second.status_code) == (201, 422)
        assert second.json()["type"] == "urn:runchat:problem:idempotency-conflict"


@requirement("idempotency.length")
@pytest.mark.parametrize("keys", [["k1", "k1"], ["k1", "k2"]])
async def test_two_keys_are_refused_and_nothing_happens(
    keys: list[str],
) -> None:
    async with service() as running:
        client = await running.client()
        headers = [("Idempotency-Key", key) for key in keys]
        answer = await client.post(CREATE, json={"title": "t"}, headers=headers)
        listed = await client.get(CREATE)

        assert answer.status_code == 422
        assert [each["pointer"] for each in answer.json()["errors"]] == ["/Idempotency-Key"]
        assert listed.json()["items"] == []


@requirement("idempotency.concurrent")
async def test_of_many_at_once_with_one_key_one_acts() -> None:
    async with service() as running:
        client = await running.client()
        answers: list[httpx.Response] = []

        async def one() -> None:
            answers.append(await post(client, CREATE, "k1", {"title": "t"}))

        async with trio.open_nursery() as nursery:
            for _ in range(30):
                nursery.start_soon(one)
        listed = (await client.get(CREATE)).json()["items"]

        assert len({each.content for each in answers}) == 1
        assert [each.headers.get("idempotent-replayed") for each in answers].count(None) == 1
        assert len(listed) == 1


@requirement("idempotency.refusal-frees")
async def test_a_refusal_frees_its_key() -> None:
    model = Scripted()
    async with service(providers=(model,)) as running:
        client = await running.client()
        conversation = await talk.begin(client)
        path, body = f"{CREATE}/{conversation}/jobs", {"input": "x", "model": "scripted"}
        first = await talk.asked(client, conversation)
        refused = await post(client, path, "k1", body)
        await (await model.next_call()).end()
        await talk.follow(client, first)
        accepted = await post(client, path, "k1", body)

        assert (refused.status_code, accepted.status_code) == (409, 202)


@requirement("idempotency.length")
@pytest.mark.parametrize("key", ["", "k" * 129], ids=["empty", "129"])
async def test_a_key_out_of_bounds_is_refused(key: str) -> None:
    async with service() as running:
        client = await running.client()
        refused = await post(client, CREATE, key, {"title": "t"})

        assert refused.status_code == 422
        longest = await post(client, CREATE, "k" * 128, {"title": "t"})
        assert longest.status_code == 201


class Later(SystemClock):
    """The machine's clock, some time ahead."""

    ahead_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.ahead_ms


@requirement("idempotency.expiry")
async def test_a_key_is_free_again_after_a_day() -> None:
    clock = Later()
    async with service(clock=clock) as running:
        client = await running.client()
        first = await post(client, CREATE, "k1", {"title": "t"})
        clock.ahead_ms = limits.IDEMPOTENCY_MS - 60_000
        almost = await post(client, CREATE, "k1", {"title": "t"})
        clock.ahead_ms = limits.IDEMPOTENCY_MS + 1000
        after = await post(client, CREATE, "k1", {"title": "t"})

        assert almost.json()["id"] == first.json()["id"]
        assert after.json()["id"] != first.json()["id"]


def audited(running: Service) -> list[tuple[str, str]]:
    rows = running.services.reader.execute("SELECT action, object_id FROM audit ORDER BY sequence")
    return [(action, object_id) for action, object_id in rows]


@requirement("audit.same-transaction")
async def test_every_accepted_mutation_has_its_audit_entry_and_a_refused_one_none() -> None:
    model = Scripted()
    async with service(providers=(model,)) as running:
        client = await running.client()
        conversation = await talk.begin(client)
        first = await talk.asked(client, conversation)
        refused = await talk.ask(client, conversation)
        second = await talk.asked(client, conversation, on_active="replace")
        waiting = await talk.asked(client, conversation, on_active="queue")
        await client.post(f"/api/jobs/{waiting}/abort")
        await client.post(f"/api/jobs/{second}/abort")
        await client.post(f"/api/jobs/{second}/abort")

        assert refused.status_code == 409
        assert audited(running) == [
            ("conversation.create", conversation),
            ("job.start", first),
            ("job.start", second),
            ("job.start", waiting),
            ("job.abort", waiting),
            ("job.abort", second),
        ]


@requirement("audit.fail-closed")
async def test_what_cannot_be_audited_has_not_happened() -> None:
    model = Scripted()
    async with service(providers=(model,)) as running:
        client = await running.client()
        conversation = await talk.begin(client)
        job_id = await talk.asked(client, conversation)
        call = await model.next_call()
        await call.text("one ")
        await talk.until(client, f"jobs/{job_id}", "item.delta")
        before = await talk.log(client, f"conversations/{conversation}")
        await break_the_audit(running)
        answers = [
            await client.post(CREATE, json={"title": "t"}),
            await talk.ask(client, conversation, on_active="queue"),
            await talk.ask(client, conversation, on_active="replace"),
            await client.post(f"/api/jobs/{job_id}/abort"),
        ]
        after = await talk.log(client, f"conversations/{conversation}")

        assert [each.status_code for each in answers] == [503] * 4
        assert {each.json()["type"] for each in answers} == {
            "urn:runchat:problem:audit-unavailable"
        }
        assert [int(each.headers["retry-after"]) for each in answers] == [5] * 4
        assert before == after
        assert (await talk.job(client, job_id))["status"] == "running"
        assert len((await client.get(CREATE)).json()["items"]) == 1


@pytest.mark.parametrize("how", ["abort", "replace"])
async def test_a_job_whose_end_could_not_be_audited_goes_on_undisturbed(how: str) -> None:
    model = Scripted()
    async with service(providers=(model,)) as running:
        client = await running.client()
        conversation = await talk.begin(client)
        job_id = await talk.asked(client, conversation)
        call = await model.next_call()
        await call.text("still ")
        await talk.until(client, f"jobs/{job_id}", "item.delta")
        await break_the_audit(running)
        if how == "abort":
            await client.post(f"/api/jobs/{job_id}/abort")
        else:
            await talk.ask(client, conversation, on_active="replace")
        await call.text("whole")
        await call.end()
        events = await talk.follow(client, job_id)
        view = await talk.job(client, job_id)

        assert (view["status"], talk.text_of(view)) == ("completed", "still whole")
        assert (model.calls, [each["kind"] for each in events].count("item.retracted")) == (
            [call],
            0,
        )
        assert [each["kind"] for each in events].count("job.ended") == 1


def test_sqlite_is_new_enough_for_what_the_store_asks_of_it() -> None:
    assert sqlite3.sqlite_version_info >= (3, 38)
