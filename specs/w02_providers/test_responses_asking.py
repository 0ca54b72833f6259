"""What is asked of a model through the Responses API: tools, forms, summaries, once a key."""

from __future__ import annotations

import json

import trio

from specs.requirements import requirement
from specs.support import responses as api
from specs.support import talk
from specs.support.scripted import Scripted
from specs.support.server import service
from transports.egress.providers.base import End

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


@requirement("responses.compact")
async def test_what_was_compacted_is_told_to_the_next_model() -> None:
    scripted = Scripted()
    async with service(providers=(scripted,)) as running:
        client = await running.client()
        first = await api.create(client, "The code word is slate.")
        body = {"model": "echo", "input": "ok?", "previous_response_id": first["id"]}
        made = (await client.post("/v1/responses/compact", json=body)).json()
        _, call = await api.started(client, scripted, said=[*made["output"], api.message("so?")])
        told = call.request.messages
        forged = {"type": "compaction", "encrypted_content": "bm90IG91cnM="}
        status, error = await api.refused(client, input=[forged])
        none = await client.post("/v1/responses/compact", json={"input": "x"})
    assert made["usage"]["total_tokens"] == sum(
        made["usage"][name] for name in ("input_tokens", "output_tokens")
    )
    assert [each.role for each in told] == ["system", "user"]
    assert "user: The code word is slate.\nassistant: The code word is slate." in told[0].text
    assert (status, error["param"]) == (400, "input[0].encrypted_content")
    assert (none.status_code, none.json()["error"]["param"]) == (400, "model")


@requirement("responses.compact")
async def test_a_model_that_makes_no_summary_is_a_failure_of_upstream() -> None:
    async with service() as running:
        client = await running.client()
        options = {"model": "synthetic/tokens", "input": "x"}
        with trio.fail_after(5):
            fine = await client.post("/v1/responses/compact", json=options)
        assert fine.status_code == 200
    scripted = Scripted()
    async with service(providers=(scripted,)) as running, trio.open_nursery() as nursery:
        client, answers = await running.client(), []

        async def ask() -> None:
            body = {"model": "scripted", "input": "x"}
            answers.append(await client.post("/v1/responses/compact", json=body))
            nursery.cancel_scope.cancel()

        nursery.start_soon(ask)
        await (await scripted.next_call()).end(End(end_state="truncated"))
        await trio.sleep_forever()
    assert (answers[0].status_code, answers[0].json()["error"]["type"]) == (502, "server_error")


@requirement("responses.input-tokens")
async def test_the_tokens_of_an_input_are_estimated() -> None:
    async with service() as running:
        client = await running.client()
        short = await client.post("/v1/responses/input_tokens", json={"input": "hello"})
        previous = (await api.create(client, "x" * 300))["id"]
        body = {"input": "hello", "previous_response_id": previous, "tools": [WEATHER]}
        more = await client.post("/v1/responses/input_tokens", json=body)
    assert short.json() == {"object": "response.input_tokens", "input_tokens": 10}
    assert more.json()["input_tokens"] > 10 + 2 * 108


@requirement("responses.tools", "echo.tools")
async def test_a_function_is_called_and_its_answer_goes_back_to_the_model() -> None:
    question = "What is the weather in Paris?"
    async with service() as running:
        client = await running.client()
        first = await api.create(client, question, tools=[WEATHER])
        [call] = first["output"]
        result = {"type": "function_call_output", "call_id": call["call_id"], "output": "Sunny."}
        second = await api.create(
            client, [result], previous_response_id=first["id"], tools=[WEATHER]
        )
        streamed = await api.stream(client, question, tools=[WEATHER])
        left = await api.create(client, question, tools=[WEATHER], tool_choice="none")
    assert (call["type"], call["name"]) == ("function_call", "get_weather")
    assert json.loads(call["arguments"]) == {"location": question}
    assert api.text_of(second) == "Sunny."
    done = [e for e in streamed if e["type"] == "response.function_call_arguments.done"]
    assert done[0]["arguments"] == call["arguments"]
    assert api.text_of(left) == question


@requirement("responses.tools")
async def test_all_that_is_asked_for_reaches_the_provider() -> None:
    scripted = Scripted()
    form = {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True}
    allowed = {
        "type": "allowed_tools",
        "mode": "required",
        "tools": [{"type": "function", "name": "get_weather"}],
    }
    async with service(providers=(scripted,)) as running:
        client = await running.client()
        _, call = await api.started(
            client,
            scripted,
            said=[{"role": "developer", "content": "short"}, api.message("go")],
            instructions="Be kind.",
            tools=[WEATHER, WEATHER | {"name": "other"}],
            tool_choice=allowed,
            parallel_tool_calls=False,
            text={"format": form},
            temperature=0.5,
            max_output_tokens=16,
        )
    asked, wanted = call.request, call.request.wanted
    assert [(each.role, each.text) for each in asked.messages] == [
        ("system", "Be kind."),
        ("system", "short"),
        ("user", "go"),
    ]
    assert [tool.name for tool in wanted.tools] == ["get_weather"]
    assert (wanted.tool_choice, wanted.parallel_tool_calls) == ("required", False)
    assert wanted.form is not None
    assert (wanted.form.name, wanted.form.schema) == ("n", {"type": "object"})
    assert (asked.options.temperature, asked.options.max_output_tokens) == (0.5, 16)


@requirement("responses.idempotent")
async def test_one_key_begins_one_response_and_is_answered_alike() -> None:
    async with service() as running:
        client = await running.client()
        key = {"Idempotency-Key": "k1"}
        body = {"model": "echo", "input": "once"}
        first = await client.post("/v1/responses", json=body, headers=key)
        second = await client.post("/v1/responses", json=body, headers=key)
        other = await client.post("/v1/responses", json=body | {"input": "2"}, headers=key)
        keyed = {"Idempotency-Key": "k2"}
        streams = [
            await client.post("/v1/responses", json=body | {"stream": True}, headers=keyed)
            for _ in range(2)
        ]
    assert first.text == second.text
    assert second.headers["Idempotent-Replayed"] == "true"
    assert streams[0].text == streams[1].text
    assert (other.status_code, other.json()["error"]["code"]) == (400, "idempotency_conflict")


@requirement("responses.idempotent")
async def test_what_began_in_the_background_is_answered_alike_when_it_has_ended() -> None:
    async with service() as running:
        client = await running.client()
        body = {"model": "echo", "input": "once", "background": True}
        key = {"Idempotency-Key": "k1"}
        first = await client.post("/v1/responses", json=body, headers=key)
        job_id = first.json()["id"].replace("resp_", "job_")
        await talk.follow(client, job_id)
        second = await client.post("/v1/responses", json=body, headers=key)
        now = await client.get(f"/v1/responses/{first.json()['id']}")
    assert (first.json()["status"], now.json()["status"]) == ("in_progress", "completed")
    assert (second.text, second.headers["Idempotent-Replayed"]) == (first.text, "true")
