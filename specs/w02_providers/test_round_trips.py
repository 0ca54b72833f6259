"""What a model said goes back to it as it came; another model is not told what it cannot read.

The upstream is strict: it refuses a field, an order or a signature that the vendor would refuse.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import orjson
import pytest
import trio

from harness.upstream.program import Record
from harness.upstream.script import Script
from harness.upstream.strict import DATA, StrictUpstream, sealed
from specs.requirements import requirement
from specs.support import responses as api
from specs.support import talk
from specs.support.server import service
from specs.unit.egress import streams_of_openai as openai
from specs.unit.egress import streams_of_others as others
from specs.unit.egress.compatible_kit import CHAT, CLAUDE, GEMINI, RESPONSES, VENDORS, WIRES
from specs.unit.egress.streams_of_openai import Json, choice, chunk, sse
from transports.egress.guard import Reach
from transports.egress.providers.compatible import Compatible, Endpoint

DETAIL = {"type": "reasoning.text", "text": "Hm", "signature": "c2lnbg==", "index": 0}
HIDDEN = {"type": "reasoning.encrypted", "data": "c2VhbGVk", "id": "rs_1", "index": 1}
THOUGHT = chunk(choice(reasoning="Hm", reasoning_details=[DETAIL, HIDDEN]))
TOLD = openai.message(openai.words("So."))
THINKING: list[Json] = others.block(
    0,
    {"type": "thinking", "thinking": "", "signature": ""},
    {"type": "thinking_delta", "thinking": "Hm"},
    {"type": "signature_delta", "signature": "EqoB+/=="},
)
WITH_CALLS = {
    CHAT: sse(
        THOUGHT,
        chunk(choice(tool_calls=[openai.tool(0, "call_a", "look", '{"at":1}')])),
        chunk(choice(reason="tool_calls")),
        "[DONE]",
    ),
    RESPONSES: openai.RESPONSES_SEALED,
    CLAUDE: others.CLAUDE_THOUGHT,
    GEMINI: others.GEMINI_THOUGHT,
}
IN_WORDS = {
    CHAT: sse(THOUGHT, chunk(choice(content="So.")), chunk(choice(reason="stop")), "[DONE]"),
    RESPONSES: sse(
        *openai.BEGUN,
        *openai.THOUGHT,
        *openai.told(1, TOLD, "output_text", openai.words("So."), "So."),
        openai.whole("completed", openai.SEALED, TOLD),
    ),
    CLAUDE: sse(
        others.STARTED,
        *THINKING,
        *others.text_block(1, "So."),
        others.changed("end_turn"),
        others.STOPPED,
    ),
    GEMINI: sse(
        others.gemini(others.candidate({"text": "Hm", "thought": True})),
        others.gemini(
            others.candidate({"text": "So.", "thoughtSignature": "c2lnbmVk"}, reason="STOP")
        ),
    ),
}
TOOLS = [
    {"type": "function", "name": name, "parameters": {"type": "object", "properties": {}}}
    for name in ("look", "leave")
]


@asynccontextmanager
async def asking(
    streams: dict[str, str],
) -> AsyncIterator[tuple[httpx.AsyncClient, StrictUpstream]]:
    """A service with an endpoint of each wire's vendor, all of them at one strict upstream."""
    upstream = StrictUpstream({f"m-{wire}": Script(raw=raw) for wire, raw in streams.items()})
    async with trio.open_nursery() as nursery:
        port = await nursery.start(upstream.serve)
        reach = Reach(exempt=frozenset({("127.0.0.1", port)}))
        url = f"http://127.0.0.1:{port}"
        providers = tuple(
            Compatible(
                Endpoint(
                    name=wire,
                    base_url=url,
                    models=(f"m-{wire}",),
                    wire=wire,
                    vendor=VENDORS[wire],
                    api_key="made-up-key",
                    reach=reach,
                )
            )
            for wire in WIRES
        )
        async with service(providers=providers) as running:
            with trio.fail_after(20):
                yield await running.client(), upstream
        for provider in providers:
            await provider.aclose()
        nursery.cancel_scope.cancel()


def model(wire: str) -> str:
    return f"{wire}/m-{wire}"


def sealed_in(stream: str) -> set[str]:
    """Return every signature and sealed part of a stream."""
    payloads = [each for each in DATA.findall(stream) if each.startswith("{")]
    return {word for each in payloads for word in sealed(orjson.loads(each))}


def sent(record: Record) -> set[str]:
    return set(sealed(record.body))


async def called(client: httpx.AsyncClient, wire: str) -> tuple[str, list[Json]]:
    """Let a model call its tools; return the response's id and the outputs of the calls."""
    first = await api.create(client, "Look.", model=model(wire), tools=TOOLS)
    assert first["status"] == "completed", first["error"]
    calls = [each["call_id"] for each in first["output"] if each["type"] == "function_call"]
    assert len(calls) > 0
    outputs = [
        {"type": "function_call_output", "call_id": each, "output": "Done."} for each in calls
    ]
    return first["id"], outputs


async def noted(client: httpx.AsyncClient, job_id: str) -> list[str]:
    events = await talk.follow(client, job_id)
    return [each["data"]["code"] for each in events if each["kind"] == "job.noted"]


@requirement("providers.rebuilt", "providers.accepted")
@pytest.mark.parametrize("wire", WIRES)
async def test_signed_thoughts_go_back_with_the_calls_that_they_led_to(wire: str) -> None:
    async with asking(WITH_CALLS) as (client, upstream):
        before, outputs = await called(client, wire)
        then = await api.create(
            client, outputs, model=model(wire), previous_response_id=before, tools=TOOLS
        )
    assert (then["status"], then["error"]) == ("completed", None)
    assert sent(upstream.records[1]) == sealed_in(WITH_CALLS[wire])
    assert sealed_in(WITH_CALLS[wire]) != set()


@requirement("providers.accepted")
@pytest.mark.parametrize("wire", WIRES)
async def test_words_before_the_answers_of_tools_are_told_behind_them(wire: str) -> None:
    async with asking(WITH_CALLS) as (client, upstream):
        before, outputs = await called(client, wire)
        words = {"type": "message", "role": "user", "content": "By the way."}
        more = {"model": model(wire), "previous_response_id": before, "tools": TOOLS}
        then = await api.create(client, [words, *outputs], **more)
        twice = await client.post("/v1/responses", json={**more, "input": [*outputs, outputs[0]]})
    assert (then["status"], then["error"]) == ("completed", None)
    assert (twice.status_code, twice.json()["error"]["param"]) == (400, "input")
    assert len(upstream.records) == 2


@requirement("providers.foreign", "providers.accepted")
@pytest.mark.parametrize("wire", WIRES)
async def test_another_provider_is_told_the_calls_and_nothing_sealed(wire: str) -> None:
    async with asking(WITH_CALLS) as (client, upstream):
        before, outputs = await called(client, wire)
        for other in set(WIRES) - {wire}:
            then = await api.create(
                client, outputs, model=model(other), previous_response_id=before, tools=TOOLS
            )
            codes = await noted(client, then["id"].replace("resp_", "job_"))
            assert (then["status"], then["error"]) == ("completed", None)
            assert (codes, sent(upstream.records[-1])) == (["foreign-state-dropped"], set())


@requirement("providers.rebuilt", "providers.foreign", "providers.accepted")
@pytest.mark.parametrize("wire", WIRES)
async def test_a_talk_carries_what_its_model_sealed_and_drops_it_for_another(wire: str) -> None:
    other = WIRES[WIRES.index(wire) - 1]
    async with asking(IN_WORDS) as (client, upstream):
        conversation = await talk.begin(client)
        codes = []
        for each in (wire, wire, other):
            job_id = await talk.asked(client, conversation, model=model(each))
            codes.append(await noted(client, job_id))
            assert (await talk.job(client, job_id))["status"] == "completed"
    assert codes == [[], [], ["foreign-state-dropped"]]
    first, second, third = map(sent, upstream.records)
    assert (first, third) == (set(), set())
    assert second == sealed_in(IN_WORDS[wire])


@requirement("providers.accepted")
@pytest.mark.parametrize("wire", WIRES)
async def test_all_that_can_be_wanted_is_accepted(wire: str) -> None:
    wanted: dict[str, Any] = {
        "instructions": "Be brief.",
        "tools": TOOLS,
        "tool_choice": {"type": "function", "name": "look"},
        "parallel_tool_calls": False,
        "max_output_tokens": 99,
        "temperature": 0.5,
        "top_p": 0.9,
        "reasoning": {"effort": "low"},
        "text": {
            "format": {
                "type": "json_schema",
                "name": "answer",
                "schema": {"type": "object", "properties": {}, "additionalProperties": False},
            }
        },
    }
    content = [
        {"type": "input_text", "text": "What is it?"},
        {"type": "input_image", "image_url": f"data:image/png;base64,{openai.PICTURE}"},
        {
            "type": "input_file",
            "filename": "a.pdf",
            "file_data": "data:application/pdf;base64,JVBERg==",
        },
    ]
    async with asking(IN_WORDS) as (client, upstream):
        said = [{"type": "message", "role": "user", "content": content}]
        answer = await api.create(client, said, model=model(wire), **wanted)
    assert (answer["status"], answer["error"]) == ("completed", None)
    assert len(upstream.records) == 1


@pytest.mark.parametrize("wire", WIRES)
async def test_the_strict_upstream_refuses_an_altered_signature_and_a_field_of_nobodys(
    wire: str,
) -> None:
    async with asking(WITH_CALLS) as (client, upstream):
        before, outputs = await called(client, wire)
        await api.create(
            client, outputs, model=model(wire), previous_response_id=before, tools=TOOLS
        )
    good = upstream.records[1]
    assert upstream.refusal(good) is None
    for word in sent(good):
        altered = orjson.loads(orjson.dumps(good.body).replace(word.encode(), b"x" + word.encode()))
        why = upstream.refusal(Record(**{**good.to_json(), "body": altered}))
        assert why == f"{'x' + word!r} was not said by {good.model}"
    more = Record(**{**good.to_json(), "body": {**good.body, "bogus": 1}})
    assert "bogus" in (upstream.refusal(more) or "")
