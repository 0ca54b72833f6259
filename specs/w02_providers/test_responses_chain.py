"""What came before is told to the next model: by previous_response_id, or in a conversation."""

from __future__ import annotations

from typing import Any

import httpx

from specs.requirements import requirement
from specs.support import responses as api
from specs.support.scripted import Call, Scripted
from specs.support.server import service
from transports.egress.providers.asked import (
    Native,
    PromptCall,
    PromptMessage,
    PromptReasoning,
    PromptResult,
)
from transports.egress.providers.base import Delta, End, ItemDone, ItemStart, Model

STATE = Native(wire="anthropic-messages", model="m-1", value={"signature": "c2lnbmVk"})


class Other(Scripted):
    """A second provider, of its own endpoint and model."""

    endpoint = "other"

    def __init__(self) -> None:
        super().__init__()
        self.models = (Model(id="other", endpoint="other"),)


async def thinks_and_calls(call: Call) -> None:
    await call.say.send(ItemStart(index=0, type="reasoning"))
    await call.say.send(Delta(index=0, text="hm"))
    await call.say.send(ItemDone(index=0, native=STATE))
    await call.say.send(ItemStart(index=1, type="tool_call", call_id="c1", name="look"))
    await call.say.send(Delta(index=1, arguments='{"at": "it"}'))
    await call.say.send(ItemDone(index=1))
    await call.end(End(reason="tool_calls"))


def kinds(call: Call) -> list[str]:
    return [type(each).__name__ for each in call.request.input]


async def ended(client: httpx.AsyncClient, own: str) -> dict[str, Any]:
    last: dict[str, Any] = (await api.again(client, own))[-1]["response"]
    return last


@requirement("responses.chain")
async def test_the_next_provider_is_told_the_whole_branch_with_the_state_of_the_first() -> None:
    scripted, other = Scripted(), Other()
    async with service(providers=(scripted, other)) as running:
        client = await running.client()
        first, call = await api.started(client, scripted, said="look at it", instructions="one")
        await thinks_and_calls(call)
        await ended(client, first)
        result = [{"type": "function_call_output", "call_id": "c1", "output": "a lamp"}]
        body = {"model": "other", "background": True, "previous_response_id": first}
        second = (await api.create(client, result, **body, instructions="two"))["id"]
        call = await other.next_call()
        await call.text("It is a lamp.")
        await call.end()
        told = call.request.input
        await ended(client, second)
        _, third = await api.started(client, scripted, said="sure?", previous_response_id=second)
        branched, fork = await api.started(
            client, scripted, said=[*result, api.message("no?")], previous_response_id=first
        )

    assert kinds(call) == [
        "PromptMessage",
        "PromptMessage",
        "PromptReasoning",
        "PromptCall",
        "PromptResult",
    ]
    assert isinstance(told[0], PromptMessage)
    assert told[0].text == "two"
    assert told[2] == PromptReasoning(text="hm", native=STATE)
    assert told[3] == PromptCall(call_id="c1", name="look", arguments='{"at": "it"}')
    assert isinstance(told[4], PromptResult)
    assert [each.text for each in third.request.messages] == [
        "look at it",
        "It is a lamp.",
        "sure?",
    ]
    assert [each.text for each in fork.request.messages] == ["look at it", "no?"]
    assert branched != second


@requirement("responses.chain", "turns.fit")
async def test_a_call_that_has_no_answer_is_not_gone_on_from() -> None:
    scripted = Scripted()
    async with service(providers=(scripted,)) as running:
        client = await running.client()
        first, call = await api.started(client, scripted)
        early, open_error = await api.refused(client, previous_response_id=first)
        await thinks_and_calls(call)
        await ended(client, first)
        late, error = await api.refused(client, previous_response_id=first)
    assert (early, open_error["code"]) == (400, "previous_response_open")
    assert (late, error["param"]) == (400, "input")
    assert "No tool output was found for function call c1." in error["message"]


@requirement("responses.chain", "responses.store-false")
async def test_a_caller_that_stores_nothing_carries_the_state_itself() -> None:
    scripted = Scripted()
    async with service(providers=(scripted,)) as running:
        client = await running.client()
        first, call = await api.started(
            client, scripted, include=["reasoning.encrypted_content"], said="look"
        )
        await thinks_and_calls(call)
        output = (await ended(client, first))["output"]
        result = {"type": "function_call_output", "call_id": "c1", "output": "a lamp"}
        sent = [{**item, "id": None} for item in output]
        _, second = await api.started(client, scripted, said=[api.message("look"), *sent, result])
        by_name = [{"type": "item_reference", "id": item["id"]} for item in output]
        _, third = await api.started(client, scripted, said=[*by_name, result])
    assert second.request.input[1] == PromptReasoning(text="hm", native=STATE)
    assert third.request.input[0] == PromptReasoning(text="hm", native=STATE)
    assert kinds(third) == ["PromptReasoning", "PromptCall", "PromptResult"]


@requirement("responses.conversations")
async def test_a_conversation_keeps_what_is_put_there_and_what_is_said_in_it() -> None:
    scripted = Scripted()
    async with service(providers=(scripted,)) as running:
        client = await running.client()
        made = await client.post(
            "/v1/conversations",
            json={"items": [api.message("The lamp is red.")], "metadata": {"a": "b"}},
        )
        thread = made.json()["id"]
        first = await api.create(client, "noted?", conversation=thread)
        put = await client.post(
            f"/v1/conversations/{thread}/items",
            json={"items": [api.message("It is off.", "assistant"), api.message("So?")]},
        )
        _, call = await api.started(client, scripted, said="Well?", conversation={"id": thread})
        busy = await client.post("/v1/responses", json={"input": "x", "conversation": thread})
        await call.text("Red.")
        await call.end()
        listed = await client.get(f"/v1/conversations/{thread}/items", params={"order": "asc"})
        item = put.json()["data"][0]["id"]
        one = await client.get(f"/v1/conversations/{thread}/items/{item}")
        out = await client.delete(f"/v1/conversations/{thread}/items/{item}")
        none = await client.get(f"/v1/conversations/{thread}/items/{item}")
        said = first["output"][0]["id"]
        await client.delete(f"/v1/conversations/{thread}/items/{said}")
        _, later = await api.started(client, scripted, said="And?", conversation=thread)
        talks = await client.get("/api/conversations")
    texts = [each["content"][0]["text"] for each in listed.json()["data"]]
    assert [each.text for each in call.request.messages] == [
        "The lamp is red.",
        "noted?",
        "noted?",
        "It is off.",
        "So?",
        "Well?",
    ]
    assert texts[:6] == [each.text for each in call.request.messages]
    assert [each.text for each in later.request.messages][:3] == [
        "The lamp is red.",
        "noted?",
        "So?",
    ]
    assert first["conversation"] == {"id": thread}
    assert (busy.status_code, busy.json()["error"]["code"]) == (409, "conversation_locked")
    assert (one.json()["id"], none.status_code) == (item, 404)
    assert (out.json(), talks.json()["items"]) == (made.json(), [])


@requirement("responses.conversations")
async def test_a_conversation_is_changed_and_deleted() -> None:
    async with service() as running:
        client = await running.client()
        made = (await client.post("/v1/conversations", json={})).json()
        path = f"/v1/conversations/{made['id']}"
        changed = await client.post(path, json={"metadata": {"k": "v"}})
        shown = await client.get(path)
        empty = await client.post(f"{path}/items", json={"items": []})
        many = await client.post(f"{path}/items", json={"items": [api.message("x")] * 21})
        gone = await client.delete(path)
        after = [
            await client.get(path),
            await client.get(f"{path}/items"),
            await client.get(f"{path}/items/x"),
            await client.post(f"{path}/items", json={"items": [api.message("x")]}),
            await client.delete(f"{path}/items/x"),
            await client.post("/v1/responses", json={"input": "x", "conversation": made["id"]}),
        ]
    assert changed.json() == shown.json() == made | {"metadata": {"k": "v"}}
    assert [each.status_code for each in (empty, many)] == [400, 400]
    assert gone.json() == {"id": made["id"], "object": "conversation.deleted", "deleted": True}
    assert [each.status_code for each in after] == [404] * 6


@requirement("responses.conversations", "responses.idempotent")
async def test_one_key_begins_one_conversation_and_puts_items_there_once() -> None:
    async with service() as running:
        client = await running.client()
        key = {"Idempotency-Key": "k"}
        made = [await client.post("/v1/conversations", json={}, headers=key) for _ in range(2)]
        path, body = f"/v1/conversations/{made[0].json()['id']}/items", [api.message("x")]
        put = [await client.post(path, json={"items": body}, headers=key) for _ in range(2)]
        held = (await client.get(path)).json()["data"]
    assert (made[0].text, put[0].text) == (made[1].text, put[1].text)
    assert [each.headers["Idempotent-Replayed"] for each in (made[1], put[1])] == ["true"] * 2
    assert [item["id"] for item in held] == [put[0].json()["data"][0]["id"]]
