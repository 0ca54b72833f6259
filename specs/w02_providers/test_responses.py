"""OpenAI's Responses API: made, streamed, read again, ended, deleted, listed, made short."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
import trio

from specs.requirements import requirement
from specs.support import responses as api
from specs.support.scripted import Scripted
from specs.support.server import service
from transports.egress.providers.base import Delta, ItemDone, ItemStart, Usage

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "parameters": {
        "type": "object",
        "properties": {"location": {"type": "string"}},
        "required": ["location"],
    },
}
RED_DOT = "data:image/png;base64,iVBORw0KGgo="


@requirement("responses.create", "responses.valid")
async def test_a_response_comes_whole_as_events_and_in_the_background() -> None:
    async with service() as running:
        client = await running.client()
        whole = await api.create(
            client, "Say it back.", metadata={"a": "b"}, instructions="Be kind."
        )
        events = await api.stream(client, "Say it back.")
        begun = await api.create(client, "Say it back.", background=True)
        later = await api.again(client, begun["id"])

    assert (whole["status"], api.text_of(whole)) == ("completed", "Say it back.")
    assert (whole["metadata"], whole["instructions"]) == ({"a": "b"}, "Be kind.")
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in (*events[:4], *events[-4:])] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert "".join(e.get("delta", "") for e in events) == "Say it back."
    assert (begun["status"], begun["output"]) == ("in_progress", [])
    assert api.text_of(later[-1]["response"]) == "Say it back."


@requirement("responses.terminal-is-get")
async def test_what_get_shows_is_the_terminal_event_byte_for_byte() -> None:
    scripted = Scripted()
    async with service(providers=(scripted,)) as running, trio.open_nursery() as nursery:
        client = await running.client()
        body = {"model": "scripted", "input": "go", "stream": True, "metadata": {"k": "v"}}
        body |= {"tools": [WEATHER], "instructions": "Be kind.", "user": "u-1"}
        answers: list[httpx.Response] = []
        answered = trio.Event()

        async def ask() -> None:
            answers.append(await client.post("/v1/responses", json=body))
            answered.set()

        nursery.start_soon(ask)
        call = await scripted.next_call()
        await call.say.send(ItemStart(index=0, type="reasoning"))
        await call.say.send(Delta(index=0, text="hm"))
        await call.say.send(ItemDone(index=0))
        await call.say.send(ItemStart(index=1, type="message"))
        await call.say.send(Delta(index=1, text="so \u2028 it is"))
        await call.say.send(Usage(source="provider", input=7, cached=2, output=3, reasoning=1))
        await call.end()
        await answered.wait()
        last = [line for line in answers[0].text.splitlines() if line.startswith("data: {")][-1]
        terminal = json.loads(last[6:])
        shown = await client.get(f"/v1/responses/{terminal['response']['id']}")

    assert last.endswith(f'"response":{shown.text}}}')
    assert shown.json()["usage"] == {
        "input_tokens": 7,
        "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 0},
        "output_tokens": 3,
        "output_tokens_details": {"reasoning_tokens": 1},
        "total_tokens": 10,
    }
    assert shown.json()["tools"] == [{**WEATHER, "description": None, "strict": None}]


@requirement("responses.starting-after")
async def test_a_stream_goes_on_after_any_number_while_it_grows_and_when_it_has_ended() -> None:
    scripted = Scripted()
    async with service(providers=(scripted,)) as running, trio.open_nursery() as nursery:
        client = await running.client()
        own, call = await api.started(client, scripted)
        live: list[api.Event] = []
        followed = trio.Event()

        async def follow() -> None:
            live.extend(await api.again(client, own, 1))
            followed.set()

        await call.text("one ", "two ")
        nursery.start_soon(follow)
        await call.text("three")
        await call.end()
        whole = await api.again(client, own)
        parts = [await api.again(client, own, after) for after in range(len(whole))]
        await followed.wait()

    assert live == whole[2:]
    assert parts == [whole[after + 1 :] for after in range(len(whole))]
    assert api.text_of(whole[-1]["response"]) == "one two three"


@requirement("responses.starting-after")
async def test_no_stream_goes_on_after_an_event_that_there_is_not_yet() -> None:
    scripted = Scripted()
    async with service(providers=(scripted,)) as running:
        client = await running.client()
        own, call = await api.started(client, scripted)

        async def refused(after: int) -> tuple[int, str, str]:
            asked = {"stream": "true", "starting_after": str(after)}
            answer = await client.get(f"/v1/responses/{own}", params=asked)
            error = answer.json()["error"]
            return answer.status_code, error["param"], error["message"].rpartition(" ")[2]

        begun = await refused(999_999)
        await call.text("one ", "two ")
        await call.end()
        whole = await api.again(client, own)
        ended = await refused(len(whole))

    assert begun == (400, "starting_after", "1.")
    assert ended == (400, "starting_after", f"{len(whole) - 1}.")


@requirement("responses.cancel")
@pytest.mark.parametrize("stored", [True, False])
async def test_who_leaves_in_the_foreground_has_the_upstream_closed(*, stored: bool) -> None:
    scripted = Scripted()
    async with service(providers=(scripted,)) as running:
        client = await running.client()
        body = {"model": "scripted", "input": "go", "stream": True, "store": stored}
        async with client.stream("POST", "/v1/responses", json=body) as answer:
            lines = answer.aiter_lines()
            first = [line async for line in _until(lines, "response.in_progress")][-1]
            call = await scripted.next_call()
            await call.text("half")
        with trio.fail_after(0.25):
            await call.closed.wait()
        own = json.loads(first[6:])["response"]["id"]
        ended = (await api.again(client, own))[-1]
    assert (ended["type"], ended["response"]["status"]) == ("response.incomplete", "cancelled")
    assert "half".startswith(api.text_of(ended["response"]))


async def _until(lines: Any, mark: str) -> Any:
    async for line in lines:
        if line.startswith("data: {"):
            yield line
            if mark in line:
                return


@requirement("responses.cancel")
async def test_who_leaves_while_waiting_for_the_whole_has_the_upstream_closed() -> None:
    scripted = Scripted()
    async with service(providers=(scripted,)) as running, trio.open_nursery() as nursery:
        client = await running.client()
        body = {"model": "scripted", "input": "go"}
        nursery.start_soon(lambda: client.post("/v1/responses", json=body))
        call = await scripted.next_call()
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True), trio.fail_after(0.25):
            await call.closed.wait()
    assert call.closed.is_set() is True


@requirement("responses.cancel")
@pytest.mark.parametrize("stream", [True, False])
async def test_a_cancel_closes_the_upstream_and_again_says_the_same(*, stream: bool) -> None:
    scripted = Scripted()
    async with service(providers=(scripted,)) as running:
        client = await running.client()
        own, call = await api.started(client, scripted)
        await call.text("half")
        with trio.fail_after(0.25):
            ended = await client.post(f"/v1/responses/{own}/cancel")
            await call.closed.wait()
        again = await client.post(f"/v1/responses/{own}/cancel", json={})
        shown = (await api.again(client, own))[-1]["response"] if stream else again.json()
    assert (ended.status_code, ended.json()["status"]) == (200, "cancelled")
    assert (again.text, shown) == (ended.text, ended.json())


@requirement("responses.delete")
async def test_what_is_deleted_is_absent_and_nothing_goes_on_from_it() -> None:
    async with service() as running:
        client = await running.client()
        own = (await api.create(client))["id"]
        gone = await client.delete(f"/v1/responses/{own}")
        after = [
            await client.get(f"/v1/responses/{own}"),
            await client.delete(f"/v1/responses/{own}"),
            await client.post(f"/v1/responses/{own}/cancel"),
            await client.get(f"/v1/responses/{own}/input_items"),
        ]
        status, error = await api.refused(client, previous_response_id=own)
    assert gone.json() == {"id": own, "object": "response", "deleted": True}
    assert [each.status_code for each in after] == [404] * 4
    assert (status, error["code"]) == (400, "previous_response_not_found")


@requirement("responses.delete")
async def test_deleting_one_that_is_being_made_ends_it() -> None:
    scripted = Scripted()
    async with service(providers=(scripted,)) as running:
        client = await running.client()
        own, call = await api.started(client, scripted)
        assert (await client.delete(f"/v1/responses/{own}")).status_code == 200
        await call.closed.wait()


@requirement("responses.foreign")
@pytest.mark.parametrize("tenant", ["local", "other"])
async def test_what_is_anothers_is_absent(tenant: str) -> None:
    async with service() as running:
        ann, bob = await running.client(), await running.client(tenant, "bob")
        theirs = (await api.create(ann))["id"]
        thread = (await ann.post("/v1/conversations", json={})).json()["id"]
        asked = [
            await bob.get(f"/v1/responses/{theirs}"),
            await bob.get("/v1/responses/resp_01m831983t3cjpe4vh3gjyzycn"),
            await bob.delete(f"/v1/responses/{theirs}"),
            await bob.post(f"/v1/responses/{theirs}/cancel"),
            await bob.get(f"/v1/responses/{theirs}/input_items"),
            await bob.get(f"/v1/conversations/{thread}"),
            await bob.post(f"/v1/conversations/{thread}", json={"metadata": {}}),
            await bob.get(f"/v1/conversations/{thread}/items"),
            await bob.delete(f"/v1/conversations/{thread}"),
            await bob.post("/v1/responses", json={"input": "x", "conversation": thread}),
        ]
        status, error = await api.refused(bob, previous_response_id=theirs)
        item, reference = f"msg_{theirs[5:]}_0", {"type": "item_reference"}
        named, _ = await api.refused(bob, input=[reference | {"id": item}])
        mine = await api.create(ann, [reference | {"id": item}, api.message("and?")])
    assert [each.status_code for each in asked] == [404] * len(asked)
    assert asked[0].content == asked[1].content
    assert (status, error["code"]) == (400, "previous_response_not_found")
    assert (named, mine["status"]) == (400, "completed")


@requirement("responses.input-items")
async def test_input_items_come_in_pages_in_either_order() -> None:
    said: list[Any] = [api.message(f"line {n}") for n in range(3)]
    picture = {"type": "input_image", "image_url": RED_DOT}
    said.append({"role": "user", "content": [{"type": "input_text", "text": "see"}, picture]})
    async with service() as running:
        client = await running.client()
        own = (await api.create(client, said, instructions="not an item"))["id"]
        path = f"/v1/responses/{own}/input_items"
        newest = (await client.get(path, params={"limit": 1})).json()
        oldest = (await client.get(path, params={"order": "asc", "limit": 2})).json()
        rest = (await client.get(path, params={"order": "asc", "after": oldest["last_id"]})).json()
        wrong = [await client.get(path, params=q) for q in ({"after": "x"}, {"limit": "101"})]
    assert newest["has_more"] is True
    assert newest["data"][0]["content"][1]["image_url"] == RED_DOT
    texts = [item["content"][0]["text"] for page in (oldest, rest) for item in page["data"]]
    assert texts == ["line 0", "line 1", "line 2", "see"]
    assert (rest["has_more"], rest["first_id"]) == (False, rest["data"][0]["id"])
    assert [(e.status_code, e.json()["error"]["param"]) for e in wrong] == [
        (400, "after"),
        (400, "limit"),
    ]
