"""What the Responses API refuses, in OpenAI's shape, and what it never shows as whole."""

from __future__ import annotations

from typing import Any

import pytest

from runtime import limits
from specs.requirements import requirement
from specs.support import responses as api
from specs.support.faults import break_the_audit
from specs.support.scripted import Scripted
from specs.support.server import Service, service
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
NO_PICTURES = (
    *("data:image/png;base64,@@@", "data:image/png;base64,", "data:image/png;base64,iVBORw0KGg"),
    *("data:image/png,iVBORw0KGgo=", "data:image/svg+xml,<svg/>", "picture.png"),
)


@requirement("responses.errors")
@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"model": "nope"}, "model", "model_not_found"),
        ({"input": None}, "input", "missing_required_parameter"),
        ({"input": 7}, "input", "invalid_value"),
        ({"nonsense": 1}, "nonsense", "unknown_parameter"),
        ({"temperature": 3}, "temperature", "invalid_value"),
        ({"top_p": "much"}, "top_p", "invalid_value"),
        ({"presence_penalty": 1}, "presence_penalty", "invalid_value"),
        ({"top_logprobs": 2}, "top_logprobs", "invalid_value"),
        ({"reasoning": {"effort": "high"}}, "reasoning.effort", "invalid_value"),
        ({"text": {"verbosity": "low"}}, "text.verbosity", "invalid_value"),
        ({"text": {"format": {"type": "json_schema"}}}, "text.format.name", "invalid_value"),
        ({"max_output_tokens": 0}, "max_output_tokens", "invalid_value"),
        ({"metadata": {"k": 1}}, "metadata.k", "invalid_value"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type", "invalid_value"),
        ({"tools": [{"type": "function"}]}, "tools[0].name", "invalid_value"),
        ({"tool_choice": "required"}, "tool_choice", "invalid_value"),
        ({"include": ["message.output_text.logprobs"]}, "include[0]", "invalid_value"),
        ({"service_tier": "flex"}, "service_tier", "invalid_value"),
        ({"background": True, "store": False}, "background", "invalid_value"),
        ({"conversation": "conv_x", "store": False}, "store", "invalid_value"),
        ({"conversation": "c", "previous_response_id": "r"}, "conversation", "invalid_value"),
        ({"previous_response_id": "resp_x"}, "previous_response_id", "previous_response_not_found"),
        ({"previous_response_id": ""}, "previous_response_id", "previous_response_not_found"),
        ({"input": [{"type": "computer_call"}]}, "input[0].type", "invalid_value"),
        ({"input": [{"role": "robot", "content": "x"}]}, "input[0].role", "invalid_value"),
        ({"input": [{"role": "user", "content": [7]}]}, "input[0].content[0]", "invalid_value"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
            "input[0].content[0].file_id",
            "invalid_value",
        ),
        *(
            (
                {
                    "input": [
                        {"role": "user", "content": [{"type": "input_image", "image_url": url}]}
                    ]
                },
                "input[0].content[0].image_url",
                "invalid_value",
            )
            for url in NO_PICTURES
        ),
        (
            {"input": [{"type": "function_call_output", "call_id": "c", "output": "x"}]},
            "input",
            "invalid_value",
        ),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0].id", "invalid_value"),
    ],
)
async def test_a_wrong_parameter_is_named(body: dict[str, Any], param: str, code: str) -> None:
    async with service() as running:
        status, error = await api.refused(await running.client(), **body)
    assert (status, error["param"], error["code"]) == (400, param, code)
    assert error["type"] == "invalid_request_error"


@requirement("responses.errors")
async def test_every_refusal_on_these_paths_has_the_shape() -> None:
    async with service() as running:
        client, stranger = await running.client(), running.stranger()
        own = (await api.create(client))["id"]
        json_type = {"Content-Type": "application/json"}
        said = [
            await stranger.post("/v1/responses", json={"input": "x"}),
            await client.post("/v1/responses", content=b"{", headers=json_type),
            await client.post(
                "/v1/responses", content=b"x", headers={"Content-Type": "text/plain"}
            ),
            await client.get("/v1/responses"),
            await client.get(f"/v1/responses/{own}", params={"starting_after": "1"}),
            await client.get(f"/v1/responses/{own}", params={"stream": "perhaps"}),
            await client.get("/v1/responses/x/y/z"),
        ]
    assert [each.status_code for each in said] == [401, 400, 415, 405, 400, 400, 404]
    assert {frozenset(each.json()["error"]) for each in said} == {
        frozenset({"message", "type", "param", "code"})
    }
    assert said[0].headers["WWW-Authenticate"] == "Bearer"


async def test_what_does_not_fit_the_window_is_refused_unless_it_may_be_cut() -> None:
    scripted = Scripted(context=400)
    async with service(providers=(scripted,)) as running:
        client = await running.client()
        long = [api.message("x" * 300), api.message("y" * 300)]
        status, error = await api.refused(client, model="scripted", input=long)
        _, call = await api.started(client, scripted, said=long, truncation="auto")
    assert (status, error["param"], error["code"]) == (400, "input", "context_length_exceeded")
    assert [each.text for each in call.request.messages] == ["y" * 300]


@requirement("responses.valid")
@pytest.mark.parametrize(
    ("end", "status", "type_", "told"),
    [
        (End(reason="length"), "incomplete", "response.incomplete", "max_output_tokens"),
        (End(reason="filter"), "incomplete", "response.incomplete", "content_filter"),
        (End(end_state="truncated"), "failed", "response.failed", "server_error"),
        (End(end_state="transport_error"), "failed", "response.failed", "server_error"),
        (End(end_state="finished_no_reason"), "completed", "response.completed", ""),
    ],
)
async def test_an_unfinished_answer_is_never_shown_as_completed(
    end: End, status: str, type_: str, told: str
) -> None:
    scripted = Scripted()
    async with service(providers=(scripted,)) as running:
        client = await running.client()
        own, call = await api.started(client, scripted)
        await call.text("part")
        await call.end(end)
        last = (await api.again(client, own))[-1]
    response = last["response"]
    assert (last["type"], response["status"], api.text_of(response)) == (type_, status, "part")
    said = response["incomplete_details"] or {}
    error = response["error"] or {}
    assert said.get("reason", "") + error.get("code", "") == told


async def test_what_cannot_be_audited_does_not_happen() -> None:
    scripted = Scripted()
    async with service(providers=(scripted,)) as running:
        await unaudited(running, scripted)


async def unaudited(running: Service, scripted: Scripted) -> None:
    client = await running.client()
    running_id, call = await api.started(client, scripted)
    own = (await api.create(client))["id"]
    said_there = {"items": [api.message("x")]}
    thread = (await client.post("/v1/conversations", json=said_there)).json()["id"]
    items = (await client.get(f"/v1/conversations/{thread}/items")).json()
    item = items["data"][0]["id"]
    await break_the_audit(running)
    said = [
        await client.post("/v1/responses", json={"input": "x"}),
        await client.post("/v1/responses", json={"input": "x", "store": False}),
        await client.delete(f"/v1/responses/{own}"),
        await client.post("/v1/responses/compact", json={"model": "echo", "input": "x"}),
        await client.post("/v1/conversations", json={}),
        await client.post(f"/v1/conversations/{thread}", json={"metadata": {}}),
        await client.post(f"/v1/conversations/{thread}/items", json={"items": [api.message("x")]}),
        await client.delete(f"/v1/conversations/{thread}/items/{item}"),
        await client.delete(f"/v1/conversations/{thread}"),
        await client.post(f"/v1/responses/{running_id}/cancel"),
        await client.delete(f"/v1/responses/{running_id}"),
    ]
    assert [(e.status_code, e.json()["error"]["code"]) for e in said] == [
        (503, "audit_unavailable")
    ] * len(said)
    assert (await client.get(f"/v1/responses/{own}")).status_code == 200
    assert (scripted.calls, call.closed.is_set()) == ([call], False)  # it goes on, asked once


async def test_where_there_is_no_room_it_is_said() -> None:
    async with service() as running:
        client = await running.client()
        own = (await api.create(client))["id"]
        running.services.readers._most_per_caller = 0
        streams = [
            await client.post("/v1/responses", json={"input": "x", "stream": True}),
            await client.get(f"/v1/responses/{own}", params={"stream": "true"}),
        ]
        memory = running.services.desk.responses.memory
        memory.jobs_max = 0
        full = await client.post("/v1/responses/compact", json={"model": "echo", "input": "x"})
        running.services.tree.start_no_more()
        memory.jobs_max = limits.MEMORY_JOBS_MAX
        stopping = [
            await client.post("/v1/responses", json={"input": "x"}),
            await client.post("/v1/responses", json={"input": "x", "store": False}),
            await client.post("/v1/responses/compact", json={"model": "echo", "input": "x"}),
            await client.post("/v1/conversations", json={}),
        ]
    assert [(e.status_code, e.json()["error"]["code"]) for e in (*streams, full, *stopping)] == [
        (429, "rate_limit_exceeded"),
        (429, "rate_limit_exceeded"),
        (503, "busy"),
        *[(503, "shutting_down")] * 4,
    ]
    assert {each.headers["Retry-After"] for each in (*streams, full)} == {"1"}
    assert streams[0].json()["error"]["type"] == "rate_limit_error"
