"""A provider that answers what nobody asked for costs one job, which says whose fault it is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import orjson
import pytest
import trio
import trio.testing

from harness.upstream.program import Upstream
from harness.upstream.script import Script
from runtime import limits
from specs.requirements import requirement
from specs.support import talk
from specs.support.server import service
from specs.unit.egress import streams_of_openai as openai
from specs.unit.egress import streams_of_others as others
from specs.unit.egress.compatible_kit import CHAT, CLAUDE, GEMINI, RESPONSES, WIRES
from specs.unit.egress.streams_of_openai import Json, choice, chunk, sse
from transports.egress.guard import Reach
from transports.egress.providers.compatible import Compatible, Endpoint


@asynccontextmanager
async def speaking(wire: str, script: Script) -> AsyncIterator[httpx.AsyncClient]:
    """A service whose model `up/m` is played on a real socket, in the words of a wire."""
    upstream = Upstream({"m": script})
    async with trio.open_nursery() as nursery:
        port = await nursery.start(upstream.serve)
        reach = Reach(exempt=frozenset({("127.0.0.1", port)}))
        url = f"http://127.0.0.1:{port}"
        endpoint = Endpoint(name="up", base_url=url, models=("m",), wire=wire, reach=reach)
        provider = Compatible(endpoint)
        async with service(providers=(provider,)) as running:
            yield await running.client()
        await provider.aclose()
        nursery.cancel_scope.cancel()


async def answered(wire: str, script: Script) -> Json:
    """Return the job that the script made, as GET shows it, and `end`, its last event's data."""
    async with speaking(wire, script) as client:
        return await asked(client)


async def asked(client: httpx.AsyncClient) -> Json:
    job_id = await talk.asked(client, await talk.begin(client), model="up/m")
    events = await talk.follow(client, job_id)
    return {**await talk.job(client, job_id), "end": events[-1]["data"]}


def how(job: Json) -> tuple[str, str, str | None]:
    """Return the job's status, its end state and the class of its error."""
    end = job["end"]
    assert end["status"] == job["status"]
    return job["status"], end["end_state"], end.get("error", {}).get("class")


FAILED = ("failed", "provider_error", "protocol")
HTML = "<html><title>502 Bad Gateway</title></html>"


@requirement("wires.strange")
@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    "script",
    [
        Script(raw=HTML, content_type="text/html"),
        Script(raw=HTML, content_type="application/json"),
        Script(raw=HTML, headers={"Content-Encoding": "br"}),
    ],
    ids=["html", "html called json", "a coding nobody asked for"],
)
async def test_what_is_no_stream_is_a_failure_of_the_protocol(wire: str, script: Script) -> None:
    assert how(await answered(wire, script)) == FAILED


@requirement("wires.strange")
@pytest.mark.parametrize("wire", WIRES)
async def test_gzip_that_is_none_is_a_failure_of_the_protocol(wire: str) -> None:
    script = Script(raw="\x1f\x8b garbage", headers={"Content-Encoding": "gzip"})
    assert how(await answered(wire, script)) == FAILED


@requirement("wires.strange")
@pytest.mark.parametrize("wire", WIRES)
async def test_a_redirect_is_not_followed_to_where_it_leads(wire: str) -> None:
    script = Script(status=302, error={}, headers={"Location": "http://10.0.0.1/"})
    assert how(await answered(wire, script)) == FAILED


@requirement("wires.strange")
@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("content_type", ["application/json", "text/event-stream"])
async def test_an_error_that_comes_as_a_200_is_an_error(wire: str, content_type: str) -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Too much."}}
    words = orjson.dumps(error).decode()
    raw = words if content_type == "application/json" else f"data: {words}\n\n"
    job = await answered(wire, Script(raw=raw, content_type=content_type))
    assert how(job) == ("failed", "provider_error", "overloaded")
    told = job["end"]["error"]
    assert (told["code"], told["message"]) == ("overloaded_error", "Too much.")


def saying(wire: str, text: str) -> str:
    """Return a whole stream that says one text in one event."""
    claude = others.text_block(0, text)
    told = openai.message(openai.words(text))
    bodies: dict[str, tuple[Any, ...]] = {
        CHAT: (chunk(choice(content=text)), chunk(choice(reason="stop")), "[DONE]"),
        RESPONSES: (
            *openai.BEGUN,
            *openai.told(0, told, "output_text", openai.words(text), text),
            openai.whole("completed", told),
        ),
        CLAUDE: (others.STARTED, *claude, others.changed("end_turn"), others.STOPPED),
        GEMINI: (others.gemini(others.candidate({"text": text}, reason="STOP")),),
    }
    return sse(*bodies[wire])


WHOLE: dict[str, Json] = {
    CHAT: {"choices": [{"message": {"content": "Hi."}, "finish_reason": "stop"}]},
    RESPONSES: openai.whole("completed", openai.message(openai.words("Hi.")))["response"],
    CLAUDE: {
        **others.CLAUDE,
        "content": [{"type": "text", "text": "Hi."}],
        "stop_reason": "end_turn",
    },
    GEMINI: others.gemini(others.candidate({"text": "Hi."}, reason="STOP")),
}


@requirement("wires.strange")
@pytest.mark.parametrize("wire", WIRES)
async def test_an_answer_that_comes_whole_is_an_answer(wire: str) -> None:
    raw = orjson.dumps(WHOLE[wire]).decode()
    job = await answered(wire, Script(raw=raw, content_type="application/json"))
    assert how(job) == ("completed", "finished", None)
    assert talk.text_of(job) == "Hi."


@requirement("wires.large")
async def test_ten_megabytes_in_one_event_are_an_answer() -> None:
    large = "ten chars " * (1024 * 1024)
    job = await answered(CHAT, Script(raw=saying(CHAT, large)))
    assert how(job) == ("completed", "finished", None)
    assert talk.text_of(job) == large


@requirement("wires.large")
async def test_an_event_past_the_bound_ends_the_answer_and_keeps_what_came() -> None:
    first = sse(chunk(choice(content="Well, ")))
    large = "data: " + "x" * (limits.UPSTREAM_EVENT_BYTES + 1)
    job = await answered(CHAT, Script(raw=first + large))
    assert how(job)[:2] == ("incomplete", "transport_error")
    assert talk.text_of(job) == "Well, "


@requirement("wires.strange")
@pytest.mark.parametrize("wire", WIRES)
async def test_bytes_that_are_no_utf8_are_replaced_and_the_answer_goes_on(wire: str) -> None:
    raw = saying(wire, "caf@ au lait").replace("@", "\udcff")
    job = await answered(wire, Script(raw=raw))
    assert how(job) == ("completed", "finished", None)
    assert talk.text_of(job) == "caf\ufffd au lait"


@requirement("wires.strange")
async def test_a_message_that_starts_twice_is_one_answer() -> None:
    job = await answered(CLAUDE, Script(raw=others.CLAUDE_TWICE))
    assert how(job) == ("completed", "finished", None)
    assert talk.text_of(job) == "First.Second."


WRONG = '{"at": 1'
CALLING = {
    CHAT: sse(
        chunk(choice(tool_calls=[openai.tool(0, "call_a", "look", WRONG)])),
        chunk(choice(reason="tool_calls")),
    ),
    RESPONSES: sse(
        *openai.BEGUN,
        {
            "type": "response.output_item.done",
            "output_index": 0,
            "item": {**openai.CALLED, "arguments": WRONG},
        },
        openai.whole("completed", {**openai.CALLED, "arguments": WRONG}),
    ),
    CLAUDE: sse(
        others.STARTED,
        *others.block(
            0,
            {"type": "tool_use", "id": "call_a", "name": "look", "input": {}},
            {"type": "input_json_delta", "partial_json": WRONG},
        ),
        others.changed("tool_use"),
        others.STOPPED,
    ),
}


@requirement("wires.strange")
@pytest.mark.parametrize("wire", CALLING)
async def test_arguments_that_are_no_json_are_kept_as_the_model_wrote_them(wire: str) -> None:
    job = await answered(wire, Script(raw=CALLING[wire]))
    assert (job["status"], job["reason"]) == ("completed", "tool_calls")
    [call] = job["items"]
    assert (call["type"], call["name"], call["arguments"]) == ("tool_call", "look", WRONG)


@requirement("wires.silence")
@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("pings", [False, True], ids=["no bytes", "pings only"])
async def test_a_provider_that_says_nothing_for_minutes_is_let_go(
    wire: str, pings: bool, autojump_clock: trio.testing.MockClock
) -> None:
    head = sse(others.STARTED) if wire == CLAUDE else ""
    alive = 'event: ping\ndata: {"type": "ping"}\n\n' if wire == CLAUDE else ": alive\n\n"
    script = (
        Script(raw=head + alive * 1000, delay_s=5.0)
        if pings
        else Script(raw=head + alive, cut_events=1, then="stall")
    )
    upstream = Upstream({"m": script})
    async with trio.open_nursery() as nursery:

        async def dial(host: str, port: int) -> trio.abc.Stream:
            ours, theirs = trio.testing.memory_stream_pair()
            nursery.start_soon(upstream.serve_stream, theirs)
            return ours

        reach = Reach(exempt=frozenset({("memory", 80)}), dial=dial)
        provider = Compatible(
            Endpoint(name="up", base_url="http://memory", models=("m",), wire=wire, reach=reach)
        )
        async with service(providers=(provider,)) as running:
            client = await running.client()
            begun = trio.current_time()
            job = await asked(client)
            assert how(job)[:2] == ("incomplete", "transport_error")
            waited_s = trio.current_time() - begun
            assert waited_s < limits.PROVIDER_IDLE_S * (1 + 2 / limits.IDLE_LOOKS)
        await provider.aclose()
        nursery.cancel_scope.cancel()
