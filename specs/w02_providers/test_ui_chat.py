"""What the AI SDK's `useChat` speaks: a UI message stream, version 1, with resume."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
import trio

from specs.requirements import requirement
from specs.support.faults import break_the_audit
from specs.support.scripted import Scripted
from specs.support.server import service
from transports.egress.providers.base import Delta, End, ItemDone, ItemStart, Usage

URL = "/api/chat"
Part = dict[str, Any]
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "parameters": {
        "type": "object",
        "properties": {"location": {"type": "string"}},
        "required": ["location"],
    },
}


def asked(text: str = "hello", chat: str = "chat-1", **body: Any) -> Part:
    message = {"id": "m1", "role": "user", "parts": [{"type": "text", "text": text}]}
    known = {"id": chat, "messages": [message], "trigger": "submit-message", "model": "echo"}
    return known | body


def parts_in(frames: str) -> list[Part]:
    data = [line[6:] for line in frames.splitlines() if line.startswith("data: ")]
    assert data[-1] == "[DONE]"
    return [json.loads(each) for each in data[:-1]]


async def ask(client: httpx.AsyncClient, *args: Any, **body: Any) -> list[Part]:
    answer = await client.post(URL, json=asked(*args, **body))
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-vercel-ai-ui-message-stream"] == "v1"
    return parts_in(answer.text)


@requirement("ui.stream")
async def test_a_chat_is_answered_with_thoughts_words_and_usage() -> None:
    scripted = Scripted()
    answers: list[list[Part]] = []
    async with service(providers=(scripted,)) as running:
        client = await running.client()
        async with trio.open_nursery() as nursery:

            async def chat() -> None:
                answers.append(await ask(client, model="scripted"))

            nursery.start_soon(chat)
            call = await scripted.next_call()
            await call.say.send(ItemStart(index=0, type="reasoning"))
            await call.say.send(Delta(index=0, text="hm"))
            await call.say.send(ItemDone(index=0))
            await call.say.send(ItemStart(index=1, type="message"))
            await call.say.send(Delta(index=1, text="so"))
            await call.say.send(ItemDone(index=1))
            await call.say.send(Usage(source="provider", input=7, cached=2, output=3, reasoning=1))
            await call.end()
    [parts] = answers
    assert [part["type"] for part in parts] == [
        "start",
        "start-step",
        "reasoning-start",
        "reasoning-delta",
        "reasoning-end",
        "text-start",
        "text-delta",
        "text-end",
        "finish-step",
        "finish",
    ]
    assert parts[0]["messageMetadata"]["model"] == "scripted"
    assert parts[-1] == {
        "type": "finish",
        "finishReason": "stop",
        "messageMetadata": {
            "usage": {
                "inputTokens": 7,
                "cachedInputTokens": 2,
                "outputTokens": 3,
                "reasoningTokens": 1,
                "totalTokens": 10,
            }
        },
    }


@requirement("ui.tools")
async def test_a_tool_of_the_client_is_called_and_its_answer_goes_on_with_the_message() -> None:
    async with service() as running:
        client = await running.client()
        parts = await ask(client, "Berlin", tools=[WEATHER])
        called = next(part for part in parts if part["type"] == "tool-input-available")
        tool = {
            "type": "tool-get_weather",
            "toolCallId": called["toolCallId"],
            "state": "output-available",
            "input": called["input"],
            "output": "Sunny.",
        }
        message = {"id": "m2", "role": "assistant", "parts": [{"type": "step-start"}, tool]}
        first = asked("Berlin")["messages"]
        after = await ask(client, messages=[*first, message], tools=[WEATHER])
        unanswered = {**message, "parts": [{**tool, "state": "input-available"}]}
        refused = await client.post(URL, json=asked(messages=[*first, unanswered]))
    assert (called["toolName"], called["input"]) == ("get_weather", {"location": "Berlin"})
    assert parts[-1]["finishReason"] == "tool-calls"
    assert after[0]["messageId"] == "m2"
    assert "".join(part.get("delta", "") for part in after) == "Sunny."
    assert (refused.status_code, refused.json()["type"]) == (422, "urn:runchat:problem:invalid")


@requirement("ui.resume")
async def test_an_answer_under_way_is_read_again_from_its_start() -> None:
    scripted = Scripted()
    async with service(providers=(scripted,)) as running:
        client, bob = await running.client(), await running.client(user="bob")
        stream = f"{URL}/chat-1/stream"
        before = await client.get(stream)
        lines: list[str] = []
        async with client.stream("POST", URL, json=asked(model="scripted")) as answer:
            call = await scripted.next_call()
            await call.text("one ")
            async for line in answer.aiter_lines():
                lines.append(line)
                if '"one "' in line:
                    break
        foreign = await bob.get(stream)
        again: list[list[Part]] = []
        async with trio.open_nursery() as nursery:

            async def resume() -> None:
                async with client.stream("GET", stream) as answer:
                    frames = ""
                    async for text in answer.aiter_text():
                        frames += text
                        joined.set()
                again.append(parts_in(frames))

            joined = trio.Event()
            nursery.start_soon(resume)
            await joined.wait()
            await call.text("two")
            await call.end()
        after = await client.get(stream)
    assert [each.status_code for each in (before, foreign, after)] == [204, 204, 204]
    seen = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
    assert again[0][: len(seen)] == seen
    assert "".join(part.get("delta", "") for part in again[0]) == "one two"


@requirement("ui.honest")
@pytest.mark.parametrize(
    ("end", "last"),
    [
        (End(reason="length"), "finish"),
        (End(end_state="truncated"), "error"),
        (End(end_state="transport_error"), "error"),
        (End(end_state="provider_error"), "error"),
    ],
)
async def test_what_broke_off_has_no_finish(end: End, last: str) -> None:
    scripted = Scripted()
    answers: list[list[Part]] = []
    async with service(providers=(scripted,)) as running:
        client = await running.client()
        async with trio.open_nursery() as nursery:

            async def chat() -> None:
                answers.append(await ask(client, model="scripted"))

            nursery.start_soon(chat)
            call = await scripted.next_call()
            await call.text("half")
            await call.end(end)
    [parts] = answers
    assert "".join(part.get("delta", "") for part in parts) == "half"
    assert (parts[-1]["type"], parts[-1].get("finishReason")) == (
        last,
        "length" if last == "finish" else None,
    )


@requirement("ui.replace")
async def test_a_newer_request_or_delete_ends_the_answer_under_way() -> None:
    scripted = Scripted()
    answers: dict[str, list[Part]] = {}
    async with service(providers=(scripted,)) as running:
        client = await running.client()
        async with trio.open_nursery() as nursery:

            async def chat(name: str) -> None:
                answers[name] = await ask(client, model="scripted")

            nursery.start_soon(chat, "old")
            old = await scripted.next_call()
            nursery.start_soon(chat, "new")
            new = await scripted.next_call()
            await old.closed.wait()
            stopped = await client.delete(f"{URL}/chat-1/stream")
            await new.closed.wait()
    assert stopped.status_code == 204
    assert {name: parts[-1] for name, parts in answers.items()} == {
        "old": {"type": "abort", "reason": "aborted"},
        "new": {"type": "abort", "reason": "aborted"},
    }


@requirement("ui.stream")
async def test_what_cannot_be_taken_is_refused_with_its_place() -> None:
    async with service() as running:
        client = await running.client()
        wrong: list[tuple[dict[str, Any], str]] = [
            ({"nonsense": 1}, "/nonsense"),
            ({"messages": []}, "/messages"),
            ({"messages": [{"role": "robot", "parts": []}]}, "/messages/0/role"),
            ({"messages": [{"role": "user"}]}, "/messages/0/parts"),
            (
                {"messages": [{"role": "user", "parts": [{"type": "audio"}]}]},
                "/messages/0/parts/0/type",
            ),
            ({"model": "nope"}, "/model"),
            ({"options": {"presence_penalty": 1}}, "/options/presence_penalty"),
            ({"tools": [{"type": "web_search"}]}, "/tools/0/type"),
        ]
        said = [(await client.post(URL, json=asked(**body)), where) for body, where in wrong]
        key = {"Idempotency-Key": "k1"}
        twice = [await client.post(URL, json=asked(), headers=key) for _ in range(2)]
        other = await client.post(URL, json=asked("other"), headers=key)
    for refused, where in said:
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, where)
    assert twice[0].content == twice[1].content
    assert twice[1].headers["Idempotent-Replayed"] == "true"
    assert other.json()["type"] == "urn:runchat:problem:idempotency-conflict"


@requirement("ui.stream")
async def test_what_cannot_be_done_now_is_said() -> None:
    scripted = Scripted()
    async with service(providers=(scripted,)) as running:
        client = await running.client()
        async with client.stream("POST", URL, json=asked(model="scripted")) as answer:
            assert (await anext(answer.aiter_lines())).startswith("data: ")
            many = running.services.readers._most_per_caller
            running.services.readers._most_per_caller = 0
            full = [await client.post(URL, json=asked()), await client.get(f"{URL}/chat-1/stream")]
            running.services.readers._most_per_caller = many
            await break_the_audit(running)
            unaudited = [
                await client.post(URL, json=asked(chat="x")),
                await client.delete(f"{URL}/chat-1/stream"),
            ]
            running.services.tree.start_no_more()
            stopping = await client.post(URL, json=asked(chat="x"))
    assert [each.status_code for each in (*full, *unaudited, stopping)] == [429, 429, 503, 503, 503]
    assert len({call.request.job_id for call in scripted.calls}) == 1
