"""What is not stored leaves nothing on disk; a WebSocket goes on from it, and nobody else."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import httpx
import pytest
import trio

from runtime import limits
from specs.requirements import requirement
from specs.support import responses as api
from specs.support.process import Served, served
from specs.support.responses import Refused, socket
from specs.support.scripted import Scripted
from specs.support.server import service
from store import messages
from store.messages import MessageRow

CANARY = "zq-canary-7f3a"
ORPHAN = MessageRow(
    id="msg_1",
    conversation_id="conv_none",
    job_id="job_none",
    role="user",
    parts=b"[]",
    created_at_ms=1,
    status="completed",
    position=2,
)


def found_on_disk(data: Path, words: str) -> list[str]:
    return [
        file.name
        for file in sorted(data.iterdir())
        if file.is_file() and words.encode() in file.read_bytes()
    ]


@requirement("responses.store-false")
def test_without_store_nothing_is_on_disk_neither_while_it_runs_nor_after(tmp_path: Path) -> None:
    with served(tmp_path / "data") as one:
        key = {"Idempotency-Key": "k1"}
        kept = one.post("/v1/responses", {"model": "echo", "input": "kept-words"})
        body = {
            "model": "echo",
            "input": f"say {CANARY}",
            "store": False,
            "previous_response_id": kept["id"],
            "instructions": f"about {CANARY}",
            "metadata": {"m": CANARY},
        }
        first = one.api.post("/v1/responses", json=body, headers=key)
        again = one.api.post("/v1/responses", json=body, headers=key)
        shown = one.get(f"/v1/responses/{first.json()['id']}")
        compact = {"model": "echo", "input": CANARY}
        assert one.post("/v1/responses/compact", compact)["object"] == "response.compaction"
        assert (CANARY in api.text_of(shown), again.text) == (True, first.text)
        assert found_on_disk(one.data, "kept-words") != []
        assert found_on_disk(one.data, CANARY) == []
        assert one.stop() == 0
        assert found_on_disk(one.data, CANARY) == []

        one.start()
        gone = one.api.get(f"/v1/responses/{first.json()['id']}")
        late = one.api.post("/v1/responses", json=body, headers=key)
    assert gone.status_code == 404
    assert (late.status_code, late.json()["error"]["code"]) == (400, "idempotency_conflict")


@requirement("responses.store-false")
async def test_what_is_not_stored_is_read_again_for_a_while_and_goes_on_nowhere() -> None:
    async with service() as running:
        client = await running.client()
        first = await api.create(client, "hi", store=False)
        shown = await client.get(f"/v1/responses/{first['id']}")
        events = await api.again(client, first["id"])
        status, error = await api.refused(client, previous_response_id=first["id"])
        gone = await client.delete(f"/v1/responses/{first['id']}")
        after = await client.get(f"/v1/responses/{first['id']}")
    assert (shown.json(), events[-1]["response"]) == (first, first)
    assert (status, error["code"]) == (400, "previous_response_not_found")
    assert (gone.status_code, after.status_code) == (200, 404)


@requirement("responses.store-false")
async def test_what_is_not_stored_is_cancelled_as_what_is() -> None:
    scripted = Scripted()
    async with service(providers=(scripted,)) as running, trio.open_nursery() as nursery:
        client = await running.client()
        body = {"model": "scripted", "input": "go", "store": False}
        answers: list[httpx.Response] = []

        async def ask() -> None:
            answers.append(await client.post("/v1/responses", json=body))
            nursery.cancel_scope.cancel()

        nursery.start_soon(ask)
        call = await scripted.next_call()
        await call.text("half")
        own = f"resp_{call.request.job_id[4:]}"
        ended = await client.post(f"/v1/responses/{own}/cancel")
        assert ended.json()["status"] == "cancelled"
        await trio.sleep_forever()
    assert answers[0].json() == ended.json()


async def test_what_is_refused_is_not_audited_as_begun() -> None:
    unasked = {"type": "function_call_output", "call_id": "nowhere", "output": "x"}
    async with service() as running:
        client = await running.client()
        await api.create(client, "hi", store=False)
        said = [
            await api.refused(client, store=False, input="x", text={"verbosity": "low"}),
            await api.refused(client, store=False, input=[unasked]),
        ]
        sql = "SELECT COUNT(*) FROM audit WHERE action = 'job.start'"
        [begun] = running.services.reader.execute(sql).fetchone()
    assert ([status for status, _ in said], begun) == ([400, 400], 1)


@requirement("responses.store-false")
async def test_memory_is_bounded_and_the_oldest_leave() -> None:
    async with service() as running:
        memory = running.services.desk.responses.memory
        memory.jobs_max, memory.sweep_max = 4, 2
        client = await running.client()
        made = [await api.create(client, str(n), store=False) for n in range(8)]
        kept = [(await client.get(f"/v1/responses/{each['id']}")).status_code for each in made]
        reader = memory.spine.reader
        orphans = reader.execute("PRAGMA foreign_key_check").fetchall()
        with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
            messages.insert(reader, ORPHAN)
    assert (kept[0], kept[-1], kept.count(200) <= 4) == (404, 200, True)
    assert orphans == []


@requirement("responses.websocket")
async def test_a_socket_answers_one_after_the_other_and_goes_on_from_what_is_not_stored() -> None:
    async with service() as running:
        token = await running.token()
        async with socket(running.port, token) as ws:
            first = (await ws.ask("one", store=False))[-1]["response"]
            second = (await ws.ask("two", store=False, previous_response_id=first["id"]))[-1]
            stored = (await ws.ask("three", previous_response_id=first["id"]))[-1]
        async with socket(running.port, token) as ws:
            other = (await ws.ask("four", store=False, previous_response_id=first["id"]))[-1]
            clean = (await ws.ask("five", store=False))[-1]
    assert (first["status"], api.text_of(second["response"])) == ("completed", "two")
    assert second["response"]["previous_response_id"] == first["id"]
    for each in (stored, other):
        assert (each["type"], each["status"]) == ("error", 400)
        assert each["error"]["code"] == "previous_response_not_found"
    assert api.text_of(clean["response"]) == "five"


@requirement("responses.websocket")
async def test_going_on_that_fails_ends_the_chain_of_the_socket() -> None:
    lost = [{"type": "function_call_output", "call_id": "none", "output": "x"}]
    async with service() as running, socket(running.port, await running.token()) as ws:
        first = (await ws.ask("one", store=False))[-1]["response"]["id"]
        failed = (await ws.ask(lost, store=False, previous_response_id=first))[-1]
        stale = (await ws.ask("two", store=False, previous_response_id=first))[-1]
        await ws.say("no json")
        broken = await ws.hear()
        await ws.say({"type": "response.create", "model": "echo", "input": "x", "stream": True})
        streamed = await ws.hear()
    assert [each["type"] for each in (failed, stale)] == ["error", "error"]
    assert stale["error"]["code"] == "previous_response_not_found"
    assert broken is not None
    assert streamed is not None
    assert (broken["status"], broken["error"]["code"]) == (400, "bad_json")
    assert streamed["error"]["param"] == "stream"


@requirement("responses.websocket")
async def test_a_message_that_is_too_large_is_refused_and_the_socket_goes_on() -> None:
    async with service() as running, socket(running.port, await running.token()) as ws:
        await ws.say("x" * (limits.BODY_BYTES_MAX + 1))
        with trio.fail_after(10):
            refused = await ws.hear() or {}
        then = (await ws.ask("one", store=False))[-1]
    assert (refused["type"], refused["status"]) == ("error", 413)
    assert refused["error"]["code"] == "too_large"
    assert api.text_of(then["response"]) == "one"


@requirement("responses.websocket")
async def test_a_socket_goes_on_from_what_is_stored_and_what_it_stores_is_read_by_http() -> None:
    scripted = Scripted()
    async with service(providers=(scripted,)) as running, trio.open_nursery() as nursery:
        client, token = await running.client(), await running.token()
        kept = await api.create(client, "remember slate")
        async with socket(running.port, token) as ws:
            heard: list[api.Event] = []

            async def ask() -> None:
                more = {"store": False, "previous_response_id": kept["id"]}
                heard.extend(await ws.ask("and now?", model="scripted", **more))
                nursery.cancel_scope.cancel()

            nursery.start_soon(ask)
            call = await scripted.next_call()
            told = [each.text for each in call.request.messages]
            await call.text("well")
            await call.end()
            await trio.sleep_forever()
        stored = (await api.create(client, "x"))["id"]
        assert (await client.get(f"/v1/responses/{stored}")).status_code == 200
    assert told == ["remember slate", "remember slate", "and now?"]
    assert api.text_of(heard[-1]["response"]) == "well"


@requirement("responses.websocket", "responses.cancel")
async def test_who_hangs_up_has_the_upstream_closed() -> None:
    scripted = Scripted()
    async with service(providers=(scripted,)) as running:
        client = await running.client()
        async with socket(running.port, await running.token()) as ws:
            await ws.say({"type": "response.create", "model": "scripted", "input": "go"})
            call = await scripted.next_call()
            await call.text("half")
        with trio.fail_after(0.25):
            await call.closed.wait()
        ended = await client.get(f"/v1/responses/resp_{call.request.job_id[4:]}")
        assert ended.json()["status"] == "cancelled"


@requirement("responses.websocket")
async def test_a_stop_ends_a_socket_that_waits() -> None:
    async with service() as running, socket(running.port, await running.token()) as ws:
        await ws.ask("hello")
        running.services.readers.drain()
        assert await ws.hear() is None
        assert ws.closed_with == 1001


@requirement("responses.websocket")
@pytest.mark.parametrize(
    ("credential", "path", "headers", "status", "code"),
    [
        (False, "/v1/responses", {}, 401, "invalid_api_key"),
        (True, "/v1/elsewhere", {}, 404, "not_found"),
        (True, "/v1/responses", {"Origin": "https://evil.example"}, 403, "origin_not_allowed"),
    ],
)
async def test_a_socket_is_let_in_as_a_request_is(
    path: str, headers: dict[str, str], status: int, code: str, *, credential: bool
) -> None:
    async with service() as running:
        token = await running.token() if credential else ""
        with pytest.raises(Refused) as caught:
            async with socket(running.port, token, path, **headers):
                pass
        refused = caught.value
    assert (refused.status, json.loads(refused.body)["error"]["code"]) == (status, code)


@requirement("responses.kill")
def test_what_was_shown_reads_the_same_after_kill_9_and_what_broke_off_has_failed(
    tmp_path: Path,
) -> None:
    with served(tmp_path / "data") as one:
        asked = {"model": "echo", "input": "kept", "metadata": {"a": "b"}, "instructions": "be"}
        whole = one.api.post("/v1/responses", json=asked)
        slow = {"model": "synthetic/tokens", "input": "go", "background": True}
        thread = one.post("/v1/conversations", {})["id"]
        broken = one.post("/v1/responses", slow | {"conversation": thread})["id"]
        stall = one.post("/v1/responses", slow | {"model": "synthetic/tokens"})["id"]
        until_words(one, stall)
        one.kill()
        one.start()
        after = one.api.get(f"/v1/responses/{whole.json()['id']}")
        ended = [one.get(f"/v1/responses/{each}") for each in (broken, stall)]
        logs = [one.get(f"/api/jobs/job_{each[5:]}") for each in (broken, stall)]
        frames = one.api.get(f"/v1/responses/{stall}", params={"stream": "true"}).text
        following = {"model": "echo", "input": "on", "previous_response_id": whole.json()["id"]}
        onward = one.post("/v1/responses", following)
    assert after.content == whole.content
    shown = {"completed": "completed", "interrupted": "failed"}  # by what the log says
    assert [each["status"] for each in ended] == [shown[each["status"]] for each in logs]
    terminal = api.events_in(frames)[-1]["response"]
    assert terminal == ended[1]
    assert api.text_of(onward) == "on"


def until_words(one: Served, response: str) -> None:
    """Wait until a response has said something."""
    job = f"job_{response[5:]}"
    one.until(job, lambda events: any(each["kind"] == "item.delta" for each in events))
