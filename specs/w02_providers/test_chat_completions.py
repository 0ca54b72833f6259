"""OpenAI's Chat Completions API, and its list of models."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import trio

from runtime.events import Error
from specs.requirements import requirement
from specs.support import completions as api
from specs.support.faults import break_the_audit
from specs.support.scripted import Scripted
from specs.support.server import service
from transports.egress.providers.asked import Native, PromptReasoning
from transports.egress.providers.base import Delta, End, ItemDone, ItemStart, Usage
from transports.ingress.http.chat_completions.projection import completion_id

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"location": {"type": "string"}},
            "required": ["location"],
        },
    },
}
RED_DOT = "data:image/png;base64,iVBORw0KGgo="


@requirement("chat.completions.create", "chat.completions.valid")
async def test_a_completion_comes_whole_and_as_chunks_that_add_up_to_it() -> None:
    async with service() as running:
        client = await running.client()
        parts = [
            {"type": "text", "text": "Say it "},
            {"type": "image_url", "image_url": {"url": RED_DOT}},
            {"type": "text", "text": "back."},
        ]
        said = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": parts}]
        whole = await api.create(client, said, n=1, user="u-1", metadata={"a": "b"})
        chunks, is_whole = await api.stream(client, said)

    message = {"role": "assistant", "content": "Say it back.", "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    assert (whole["choices"], whole["usage"], whole["model"]) == ([choice], None, "echo")
    assert is_whole is True
    assert api.folded(chunks)["choices"] == [choice]


@requirement("chat.completions.usage", "chat.completions.reasoning")
async def test_thoughts_and_usage_are_told_and_state_goes_back_as_it_came() -> None:
    scripted = Scripted()
    native = Native(wire="anthropic-messages", model="scripted", value={"signature": "s1"})
    told: list[Any] = []
    async with service(providers=(scripted,)) as running, trio.open_nursery() as nursery:
        client = await running.client()
        usage = {"include_usage": True}

        async def ask(said: Any, **body: Any) -> None:
            told.append(await api.stream(client, said, model="scripted", **body))
            answered.set()

        answered = trio.Event()
        nursery.start_soon(lambda: ask("go", stream_options=usage))
        call = await scripted.next_call()
        await call.say.send(ItemStart(index=0, type="reasoning"))
        await call.say.send(Delta(index=0, text="hm"))
        await call.say.send(ItemDone(index=0, native=native))
        await call.say.send(ItemStart(index=1, type="message"))
        await call.say.send(Delta(index=1, text="so"))
        await call.say.send(Usage(source="provider", input=7, cached=2, output=3, reasoning=1))
        await call.end()
        await answered.wait()
        chunks, _ = told.pop()
        message = api.folded(chunks)["choices"][0]["message"]
        answered = trio.Event()
        nursery.start_soon(ask, [message, {"role": "user", "content": "on"}])
        again = await scripted.next_call()
        await again.end()
        await answered.wait()

    assert (message["reasoning_content"], message["content"]) == ("hm", "so")
    assert again.request.input[0] == PromptReasoning(text="hm", native=native)
    assert all(chunk["usage"] is None for chunk in chunks[:-1])
    assert (chunks[-1]["choices"], chunks[-1]["usage"]) == (
        [],
        {
            "prompt_tokens": 7,
            "completion_tokens": 3,
            "total_tokens": 10,
            "prompt_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 1},
        },
    )
    assert all("usage" not in chunk for chunk in told.pop()[0])


@requirement("chat.completions.tools")
async def test_a_tool_is_called_and_what_it_answers_goes_back() -> None:
    async with service() as running:
        client = await running.client()
        whole = await api.create(client, "Berlin", tools=[WEATHER], tool_choice="required")
        chunks, _ = await api.stream(client, "Berlin", tools=[WEATHER])
        [choice] = whole["choices"]
        answer = {
            "role": "tool",
            "tool_call_id": choice["message"]["tool_calls"][0]["id"],
            "content": "Sunny.",
        }
        said = [{"role": "user", "content": "Berlin"}, choice["message"], answer]
        after = await api.create(client, said, tools=[WEATHER])
    [call] = choice["message"]["tool_calls"]
    function = {"name": "get_weather", "arguments": '{"location":"Berlin"}'}
    assert (choice["finish_reason"], call["function"]) == ("tool_calls", function)
    [streamed] = api.folded(chunks)["choices"]
    assert streamed["message"]["tool_calls"][0]["function"] == function
    assert after["choices"][0]["message"]["content"] == "Sunny."


@requirement("chat.completions.honest")
@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (End(reason="length"), "length"),
        (End(reason="filter"), "content_filter"),
        (End(reason="refusal"), "stop"),
        (End(end_state="finished_no_reason", reason="unknown"), "stop"),
        (End(end_state="truncated"), None),
        (End(end_state="transport_error"), None),
        (
            End(
                end_state="provider_error",
                error=Error(class_="overloaded", code="x", message="Too much."),
            ),
            None,
        ),
    ],
)
async def test_only_an_answer_that_is_one_has_a_finish_reason(end: End, reason: str | None) -> None:
    scripted = Scripted()
    answers: list[httpx.Response] = []
    async with service(providers=(scripted,)) as running:
        client = await running.client()
        for streams in (False, True):
            async with trio.open_nursery() as nursery:

                async def ask(stream: bool = streams) -> None:
                    body = api.asked(model="scripted", stream=stream)
                    answers.append(await client.post(api.URL, json=body))

                nursery.start_soon(ask)
                call = await scripted.next_call()
                await call.text("half")
                await call.end(end)
    whole, (chunks, is_whole) = answers[0], api.chunks_in(answers[1].text)
    assert chunks[1]["choices"][0]["delta"] == {"content": "half"}
    if reason is None:
        message = (
            end.error.message if end.error else "The provider's answer broke off before its end."
        )
        assert (whole.status_code, is_whole) == (502, False)
        assert whole.json()["error"] == chunks[-1]["error"]
        assert chunks[-1]["error"]["message"] == message
        assert {choice["finish_reason"] for c in chunks[:-1] for choice in c["choices"]} == {None}
    else:
        assert (whole.status_code, is_whole) == (200, True)
        assert whole.json()["choices"][0]["finish_reason"] == reason
        assert chunks[-1]["choices"][0]["finish_reason"] == reason


@requirement("chat.completions.leave")
async def test_who_leaves_has_the_upstream_closed() -> None:
    scripted = Scripted()
    async with service(providers=(scripted,)) as running:
        client = await running.client()
        body = api.asked(model="scripted", stream=True)
        async with client.stream("POST", api.URL, json=body) as answer:
            async for line in answer.aiter_lines():
                if line.startswith("data: "):
                    break
            call = await scripted.next_call()
        with trio.fail_after(0.25):
            await call.closed.wait()
        assert call.closed.is_set() is True


@requirement("chat.completions.memory")
async def test_nothing_is_kept_unless_it_is_to_be_stored() -> None:
    async with service() as running:
        ann, bob = await running.client(), await running.client(user="bob")
        passing = await api.create(ann, "CANARY-of-chat")
        turns = running.services.reader.execute("SELECT COUNT(*) FROM turn").fetchone()[0]
        stored = await api.create(ann, "kept", store=True)
        shown = [
            await client.get(f"{api.URL}/{made['id']}")
            for client, made in ((ann, passing), (ann, stored), (bob, stored))
        ]
    assert turns == 0
    assert [each.status_code for each in shown] == [404, 200, 404]
    assert shown[1].json() == stored


@requirement("chat.completions.idempotent")
@pytest.mark.parametrize("stored", [True, False])
async def test_one_key_begins_one_completion(*, stored: bool) -> None:
    async with service() as running:
        client = await running.client()
        body, key = api.asked("once", store=stored), {"Idempotency-Key": "k1"}
        first, second = [await client.post(api.URL, json=body, headers=key) for _ in range(2)]
        other = await client.post(api.URL, json=api.asked("other"), headers=key)
    assert first.content == second.content
    assert second.headers["Idempotent-Replayed"] == "true"
    assert (other.status_code, other.json()["error"]["code"]) == (400, "idempotency_conflict")


@requirement("chat.completions.errors")
async def test_what_cannot_be_done_now_is_said_in_openais_shape() -> None:
    scripted = Scripted()
    async with service(providers=(scripted,)) as running, trio.open_nursery() as nursery:
        client = await running.client()
        nursery.start_soon(
            lambda: client.post(api.URL, json=api.asked(model="scripted", store=True))
        )
        call = await scripted.next_call()
        await call.end(End(end_state="truncated"))
        job_id = running.services.reader.execute("SELECT job_id FROM turn").fetchone()[0]
        await running.services.desk.turns.ended(job_id)
        broken = await client.get(f"{api.URL}/{completion_id(job_id)}")
        running.services.readers._most_per_caller = 0
        many = await client.post(api.URL, json=api.asked(stream=True))
        await break_the_audit(running)
        unaudited = [await client.post(api.URL, json=api.asked(store=s)) for s in (True, False)]
        running.services.tree.start_no_more()
        stopping = await client.post(api.URL, json=api.asked(store=True))
    said = (broken, many, *unaudited, stopping)
    assert [(each.status_code, each.json()["error"]["code"]) for each in said] == [
        (502, "upstream_said"),
        (429, "rate_limit_exceeded"),
        (503, "audit_unavailable"),
        (503, "audit_unavailable"),
        (503, "shutting_down"),
    ]
    assert len(scripted.calls) == 1


CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}


@requirement("chat.completions.errors")
@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"model": "nope"}, "model", "model_not_found"),
        ({"messages": []}, "messages", "invalid_value"),
        ({"messages": None}, "messages", "invalid_value"),
        ({"nonsense": 1}, "nonsense", "unknown_parameter"),
        ({"n": 2}, "n", "invalid_value"),
        ({"logprobs": True}, "logprobs", "invalid_value"),
        ({"logit_bias": {"50256": -100}}, "logit_bias", "unsupported_parameter"),
        ({"functions": [{"name": "f"}]}, "functions", "unsupported_parameter"),
        ({"audio": {"voice": "x"}}, "audio", "unsupported_parameter"),
        ({"prediction": {"type": "content"}}, "prediction", "unsupported_parameter"),
        ({"web_search_options": {"a": 1}}, "web_search_options", "unsupported_parameter"),
        ({"modalities": ["audio"]}, "modalities[0]", "invalid_value"),
        ({"service_tier": "flex"}, "service_tier", "invalid_value"),
        ({"temperature": 3}, "temperature", "invalid_value"),
        ({"presence_penalty": 1}, "presence_penalty", "invalid_value"),
        ({"reasoning_effort": "high"}, "reasoning_effort", "invalid_value"),
        ({"verbosity": "low"}, "verbosity", "invalid_value"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop", "invalid_value"),
        ({"stop": "x"}, "stop", "invalid_value"),
        ({"seed": -1}, "seed", "invalid_value"),
        ({"max_tokens": 0}, "max_tokens", "invalid_value"),
        ({"max_tokens": 10**12}, "max_tokens", "invalid_value"),
        ({"max_completion_tokens": 10**12}, "max_completion_tokens", "invalid_value"),
        ({"max_tokens": 1, "max_completion_tokens": 1}, "max_tokens", "invalid_value"),
        ({"stream_options": {"include_usage": True}}, "stream_options", "invalid_value"),
        ({"tools": [{"type": "custom"}]}, "tools[0].type", "invalid_value"),
        ({"tools": [{"type": "function"}]}, "tools[0].function", "missing_required_parameter"),
        (
            {"tools": [{"type": "function", "function": {}}]},
            "tools[0].function.name",
            "invalid_value",
        ),
        ({"tool_choice": "required"}, "tool_choice", "invalid_value"),
        (
            {"response_format": {"type": "json_schema"}},
            "response_format.json_schema.name",
            "invalid_value",
        ),
        ({"messages": [{"role": "robot"}]}, "messages[0].role", "invalid_value"),
        ({"messages": [{"role": "user"}]}, "messages[0].content", "invalid_value"),
        (
            {"messages": [{"role": "user", "content": "x", "name": "ann"}]},
            "messages[0].name",
            "invalid_value",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]},
            "messages[0].content[0].type",
            "invalid_value",
        ),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"type": "custom"}]}]},
            "messages[0].tool_calls[0]",
            "invalid_value",
        ),
        ({"messages": [{"role": "assistant", "tool_calls": [CALL]}]}, "messages", "invalid_value"),
        (
            {"messages": [{"role": "tool", "tool_call_id": "c", "content": "x"}]},
            "messages",
            "invalid_value",
        ),
        (
            {"messages": [{"role": "assistant", "reasoning_details": [{"type": "x"}]}]},
            "messages[0].reasoning_details[0]",
            "invalid_value",
        ),
    ],
)
async def test_a_wrong_parameter_is_named(body: dict[str, Any], param: str, code: str) -> None:
    async with service() as running:
        status, error = await api.refused(await running.client(), **body)
    assert (status, error["param"], error["code"]) == (400, param, code)
    assert error["type"] == "invalid_request_error"


@requirement("models.openai")
async def test_the_models_are_listed_as_openai_lists_them() -> None:
    scripted = Scripted()
    async with service(providers=(scripted,)) as running:
        client = await running.client()
        listed = (await client.get("/v1/models")).json()
        one = (await client.get("/v1/models/scripted")).json()
        none = await client.get("/v1/models/no/such")
    known = {"id": "scripted", "object": "model", "created": 0, "owned_by": "scripted"}
    assert (listed["object"], one) == ("list", known)
    assert [each["id"] for each in listed["data"]] == ["echo", "scripted", "synthetic/tokens"]
    assert (none.status_code, none.json()["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("body", "whole"),
    [({}, True), ({"stream": True}, False), ({"store": True}, False)],
    ids=["seen at its end", "streamed", "kept, with a log to follow"],
)
async def test_an_answer_whose_parts_nobody_sees_is_asked_for_in_one_piece(
    body: dict[str, Any], whole: bool
) -> None:
    scripted = Scripted()
    async with service(providers=(scripted,)) as running, trio.open_nursery() as nursery:
        client = await running.client()
        wanted = api.asked("go", model="scripted", **body)
        nursery.start_soon(lambda: client.post(api.URL, json=wanted))
        call = await scripted.next_call()
        assert call.request.wanted.whole is whole
        await call.end()
