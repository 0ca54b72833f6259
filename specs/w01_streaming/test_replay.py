"""A job leaves the service as lines, and comes of them again byte by byte, however it ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
import trio

from actors.conversation import GaveUp
from actors.recovery import close_interrupted
from harness.upstream.program import Upstream
from harness.upstream.script import Script
from runtime.events import Error
from runtime.problems import UpstreamLost, UpstreamSaid
from specs.requirements import requirement
from specs.support import talk
from specs.support.exported import House, differs, end_of, house, kinds
from specs.support.scripted import Scripted
from specs.support.server import service
from transports.egress.guard import Reach
from transports.egress.providers.asked import Native
from transports.egress.providers.base import (
    Delta,
    End,
    ItemDone,
    ItemStart,
    Noted,
    Retracted,
    Usage,
)
from transports.egress.providers.compatible import Compatible, Endpoint

__all__ = ["house"]

CANARY = "canary-5e5c1b"


@requirement("replay.export", "replay.identical")
async def test_an_echo_is_the_same_again(house: House) -> None:
    talk_id = await talk.begin(house.client)
    job = await talk.asked(house.client, talk_id, "Say \u2028 é 🚀\r\n again", model="echo")
    recording = await house.recording(job)

    assert await differs(recording) is None
    assert end_of(recording) == ("completed", "stop")
    assert (recording.job["id"], recording.question) == (job, "Say \u2028 é 🚀\r\n again")
    page = await house.client.get(f"/api/jobs/{job}/events")
    assert page.content.startswith(b'{"events":[%b],' % b",".join(recording.log))


@requirement("replay.identical")
@pytest.mark.parametrize(
    ("end", "expected"),
    [
        ("finish", ("completed", "stop")),
        ("truncate", ("incomplete", "truncated")),
        ("error", ("failed", "provider-error")),
    ],
)
async def test_a_synthetic_answer_is_the_same_again(
    house: House, end: str, expected: tuple[str, str]
) -> None:
    options = {"count": 500 if end == "finish" else 50, "end": end}
    talk_id = await talk.begin(house.client)
    job = await talk.asked(house.client, talk_id, model="synthetic/tokens", options=options)
    recording = await house.recording(job)

    assert await differs(recording) is None
    assert end_of(recording) == expected
    assert len(recording.log) >= int(options["count"])


@requirement("replay.identical")
async def test_an_answer_of_every_part_is_the_same_again(house: House) -> None:
    job = await talk.asked(house.client, await talk.begin(house.client))
    call = await house.vendor.next_call()
    parts = (
        Noted(code="foreign-state-dropped", detail="Two thoughts were left out.", count=2),
        ItemStart(index=4, type="reasoning"),
        Delta(index=4, text="hm"),
        ItemDone(index=4, native=Native(wire="openai-chat", model="m", value={"sig": "x=="})),
        ItemStart(index=0, type="tool_call", call_id="call_1", name="lamp"),
        Delta(index=0, arguments='{"a":'),
        Delta(index=0, arguments="1}"),
        ItemStart(index=7, type="image"),
        Delta(index=7, data=b"\x89PNG\x00"),
        Delta(index=9, text="without a beginning"),
        Delta(index=9, annotation={"url": "https://example.org/", "at": [1, 2]}),
        Usage(source="provider", input=3, output=5, iterations=({"n": 1},), raw={"b": 1, "a": 2}),
    )
    for part in parts:
        await call.say.send(part)
    await call.end(End(reason="tool_calls", provider_reason="tool_use"))
    recording = await house.recording(job)

    assert await differs(recording) is None
    assert set(kinds(recording)) == {
        "job.started",
        "job.noted",
        "item.started",
        "item.delta",
        "item.done",
        "usage",
        "job.ended",
    }


@requirement("replay.identical")
@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (End(reason="length", provider_reason="max_tokens"), ("incomplete", "length")),
        (End(end_state="finished_no_reason", reason="unknown"), ("completed", "unknown")),
        (UpstreamLost("The vendor hung up."), ("incomplete", "connection-lost")),
        (UpstreamSaid("The vendor says no.", code="no"), ("failed", "provider-error")),
        (ZeroDivisionError(), ("failed", "internal")),
        (
            End(
                end_state="provider_error",
                reason="refused",
                error=Error(class_="x", code="y", message="z", provider_request_id="r"),
            ),
            ("failed", "refused"),
        ),
    ],
)
async def test_every_end_of_a_provider_is_the_same_again(
    house: House, said: Any, expected: tuple[str, str]
) -> None:
    job = await talk.asked(house.client, await talk.begin(house.client))
    call = await house.vendor.next_call()
    await call.text("half ", "an answer")
    await call.say.send(said)
    recording = await house.recording(job)

    assert await differs(recording) is None
    assert end_of(recording) == expected


async def begun(house: House, talk_id: str) -> str:
    """Return a job that has said something and goes on."""
    job = await talk.asked(house.client, talk_id, on_active="replace")
    call = await house.vendor.next_call()
    await call.text("half ", "an answer")
    await talk.until(house.client, f"jobs/{job}", "item.delta")
    return job


@requirement("replay.identical")
async def test_an_aborted_and_a_replaced_answer_are_the_same_again(house: House) -> None:
    talk_id = await talk.begin(house.client)
    replaced = await begun(house, talk_id)
    aborted = await begun(house, talk_id)
    await house.client.post(f"/api/jobs/{aborted}/abort")

    first, second = [await house.recording(each) for each in (replaced, aborted)]
    assert [await differs(each) for each in (first, second)] == [None, None]
    assert [end_of(first), end_of(second)] == [
        ("superseded", "superseded"),
        ("aborted", "aborted"),
    ]


@requirement("replay.identical")
async def test_what_ended_with_its_actor_or_its_process_is_the_same_again(house: House) -> None:
    tree = house.running.services.tree
    talk_id = await talk.begin(house.client)
    crashed = await begun(house, talk_id)
    await tree.spine.conversations.ask(talk_id, GaveUp(job_id=crashed))
    stopped = await begun(house, talk_id)
    await tree.interrupt()
    recordings = [await house.recording(each) for each in (crashed, stopped)]
    died = await begun(house, talk_id)
    await tree.stop()
    assert await close_interrupted(tree.spine) == 1
    recordings.append(await house.exported(died))

    assert [await differs(each) for each in recordings] == [None, None, None]
    assert [end_of(each) for each in recordings] == [
        ("failed", "crashed"),
        ("interrupted", "shutdown"),
        ("interrupted", "process-died"),
    ]


@requirement("replay.identical")
async def test_an_answer_that_began_again_is_the_same_again(house: House) -> None:
    job = await begun(house, await talk.begin(house.client))
    jobs = house.running.services.tree.spine.jobs
    await jobs.tell(job, "no message of its")  # its actor crashes
    second = await house.vendor.next_call()
    await second.text("a second ", "try")
    await second.say.send(Retracted())  # and then the provider itself begins again
    await second.text("a third")
    await second.end()
    recording = await house.recording(job)

    assert await differs(recording) is None
    assert kinds(recording).count("item.retracted") == 2
    assert end_of(recording) == ("completed", "stop")


@requirement("replay.identical")
async def test_queued_jobs_are_the_same_again(house: House) -> None:
    talk_id = await talk.begin(house.client)
    await begun(house, talk_id)
    never, later = [
        await talk.asked(house.client, talk_id, "next", on_active="queue") for _ in range(2)
    ]
    await house.client.post(f"/api/jobs/{never}/abort")
    await begun(house, talk_id)
    await house.client.post(
        f"/api/jobs/{(await talk.job(house.client, later))['id']}/abort"
    )  # queued still
    fourth = await talk.asked(house.client, talk_id, "then", model="echo", on_active="queue")
    current = (await house.client.get(f"/api/conversations/{talk_id}")).json()["current_job"]
    await house.client.post(f"/api/jobs/{current}/abort")

    recordings = [await house.recording(each) for each in (never, later, fourth)]
    assert [await differs(each) for each in recordings] == [None, None, None]
    assert [kinds(each)[0] for each in recordings] == ["job.ended", "job.ended", "job.started"]
    assert [each.waited for each in recordings] == [True, True, True]


@requirement("replay.identical", "replay.no-secrets")
async def test_a_turn_of_a_front_is_the_same_again_and_keeps_its_tools_to_itself(
    house: House,
) -> None:
    tool = {"type": "function", "name": "lamp", "description": CANARY, "parameters": {}}
    body = {"model": "echo", "input": "Say it back.", "tools": [tool], "background": True}
    made = await house.client.post("/v1/responses", json=body)
    assert made.status_code == 200, made.text
    job = "job_" + made.json()["id"].partition("_")[2]
    recording = await house.recording(job)
    content = (house.folder / f"{job}.jsonl").read_text(encoding="utf-8")

    assert await differs(recording) is None
    assert end_of(recording)[0] == "completed"
    assert "Say it back." in orjson.loads(content.splitlines()[2])["items"][0]["content"][0]["text"]
    assert CANARY not in content


async def test_a_job_that_runs_is_exported_as_far_as_it_goes(house: House) -> None:
    recording = await house.exported(await begun(house, await talk.begin(house.client)))

    assert await differs(recording) is None
    assert kinds(recording)[:2] == ["job.started", "item.started"]
    assert "job.ended" not in kinds(recording)


async def test_nobody_exports_anothers_job(house: House) -> None:
    job = await begun(house, await talk.begin(house.client))
    stranger = await house.running.client("other", "eve")
    answers = [await stranger.get(f"/api/jobs/{each}/export") for each in (job, "job_" + "0" * 26)]

    assert [each.status_code for each in answers] == [404, 404]
    bodies = [{k: v for k, v in each.json().items() if k != "instance"} for each in answers]
    assert bodies[0] == bodies[1]


# --- secrets ---


@requirement("replay.no-secrets")
async def test_no_secret_is_in_an_export(house: House) -> None:
    token = house.client.headers["Authorization"].removeprefix("Bearer ")
    talk_id = await talk.begin(house.client)
    job = await talk.asked(
        house.client,
        talk_id,
        model="echo",
        options={"temperature": 0.5, "max_output_tokens": 7},
    )
    await house.recording(job)
    spine = house.running.services.tree.spine
    hidden = {"temperature": 0.5, "key": CANARY, "headers": {"x": CANARY}, "list": [CANARY]}
    spine.reader.execute("UPDATE job SET options = ? WHERE id = ?", (orjson.dumps(hidden), job))
    recording = await house.exported(job)
    content = (house.folder / f"{job}.jsonl").read_text()

    assert recording.job["options"] == {"temperature": 0.5}
    assert CANARY not in content
    assert token not in content
    assert set(recording.job) == {
        "record",
        "id",
        "conversation_id",
        "message_id",
        "model",
        "endpoint",
        "created_at",
        "options",
    }


@requirement("replay.no-secrets")
async def test_the_key_of_an_endpoint_is_not_in_an_export_though_its_vendor_says_it(
    tmp_path: Path,
) -> None:
    upstream = Upstream({"m": Script(status=401, error={"message": f"Wrong key: {CANARY}"})})
    async with trio.open_nursery() as nursery:
        port = await nursery.start(upstream.serve)
        endpoint = Endpoint(
            name="up",
            base_url=f"http://127.0.0.1:{port}/v1",
            models=("m",),
            api_key=CANARY,
            reach=Reach(exempt=frozenset({("127.0.0.1", port)})),
        )
        provider = Compatible(endpoint)
        async with service(providers=(provider,)) as running:
            house = House(running, await running.client(), Scripted(), tmp_path)
            job = await talk.asked(house.client, await talk.begin(house.client), model="up/m")
            recording = await house.recording(job)
        await provider.aclose()
        nursery.cancel_scope.cancel()

    assert await differs(recording) is None
    assert end_of(recording) == ("failed", "provider-error")
    assert CANARY not in (tmp_path / f"{job}.jsonl").read_text()
