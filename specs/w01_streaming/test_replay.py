"""A job leaves the service as lines, and comes of them again byte by byte."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import structlog
import trio

from actors.conversation import GaveUp
from actors.recovery import close_interrupted
from harness import replay
from harness.replaying import stage
from harness.replaying.recording import Recording, read
from harness.replaying.rerun import Rerun
from runtime.events import Error
from runtime.problems import UpstreamLost, UpstreamSaid
from specs.requirements import requirement
from specs.support import talk
from specs.support.process import Served, runchat, shared
from specs.support.scripted import Scripted
from specs.support.server import Service, service
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

__all__ = ["shared"]

LOGS = Path(__file__).parent.parent / "contract" / "logs"
SILENCE_S = 30


@dataclass
class House:
    """A service, somebody who asks it, and the provider that answers."""

    running: Service
    client: httpx.AsyncClient
    vendor: Scripted
    folder: Path

    async def recording(self, job: str) -> Recording:
        """Read the job to its end, export it, and read the export."""
        await talk.follow(self.client, job)
        return await self.exported(job)

    async def exported(self, job: str) -> Recording:
        answer = await self.client.get(f"/api/jobs/{job}/export")
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/jsonl")
        file = self.folder / f"{job}.jsonl"
        await trio.Path(file).write_bytes(answer.content)
        return read(file)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    vendor = Scripted()
    async with service(providers=(vendor,)) as running:
        yield House(running, await running.client(), vendor, tmp_path)


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


async def differs(recording: Recording) -> replay.Difference | None:
    """Run the job again in a loop of its own, and compare."""
    replayed, refused = await trio.to_thread.run_sync(replay.play, recording)
    return replay.compare(recording.log, replayed, refused)


def kinds(recording: Recording) -> list[str]:
    return [orjson.loads(event)["kind"] for event in recording.log]


def end_of(recording: Recording) -> tuple[str, str]:
    end = orjson.loads(recording.log[-1])["data"]
    return end["status"], end["reason"]


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


@requirement("replay.difference")
async def test_a_changed_byte_is_shown_where_it_is(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    talk_id = await talk.begin(house.client)
    job = await talk.asked(house.client, talk_id, model="synthetic/tokens", options={"count": 9})
    recording = await house.recording(job)
    file = house.folder / f"{job}.jsonl"
    event = recording.log[6]
    place = event.index(b'"text":"') + 10
    changed = event[:place] + b"X" + event[place + 1 :]
    file.write_bytes(file.read_bytes().replace(b":" + event + b"}", b":" + changed + b"}"))

    capsys.readouterr()
    assert await trio.to_thread.run_sync(replay.main, [str(file)]) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[:3] == [
        f"first difference at event 7, byte {place}:",
        f"  recorded: {changed.decode()}",
        f"  replayed: {event.decode()}",
    ]
    assert said[3] == " " * (len("  recorded: ") + place) + "^"


@requirement("replay.at")
async def test_a_replay_stops_after_an_event_and_shows_the_job(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    talk_id = await talk.begin(house.client)
    job = await talk.asked(house.client, talk_id, model="synthetic/tokens", options={"count": 9})
    recording = await house.recording(job)
    file = str(house.folder / f"{job}.jsonl")
    texts = [orjson.loads(event)["data"]["text"] for event in recording.log[2:5]]

    capsys.readouterr()
    assert await trio.to_thread.run_sync(replay.main, [file, "--at", "5"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["head"], shown["ended"]) == (5, None)
    assert [(each["text"], each["status"]) for each in shown["items"]] == [
        ("".join(texts), "in_progress")
    ]
    assert await trio.to_thread.run_sync(replay.main, [file, "--at", "999"]) == 0
    whole = json.loads(capsys.readouterr().out)
    assert whole["items"] == (await talk.job(house.client, job))["items"]


@requirement("replay.every-schema")
@pytest.mark.parametrize("name", sorted(str(p.relative_to(LOGS)) for p in LOGS.rglob("*.jsonl")))
def test_a_log_of_every_schema_replays(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    count = len((LOGS / name).read_bytes().splitlines())

    assert replay.main([str(LOGS / name)]) == 0
    assert capsys.readouterr().out.startswith(f"the same: {count} events, ")


def test_a_log_that_no_actor_makes_is_a_difference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = (LOGS / "v1/answered.jsonl").read_bytes().splitlines()
    end = orjson.loads(lines[-1])
    end["data"]["status"] = "incomplete"
    (tmp_path / "log.jsonl").write_bytes(b"\n".join([*lines[:-1], orjson.dumps(end)]))

    assert replay.main([str(tmp_path / "log.jsonl")]) == 1
    assert f"first difference at event {len(lines)}, byte " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is no exported job"),
        (b"[1]\n", "is no exported job"),
        (b"nonsense\n", "is no exported job"),
        (b'{"record":"export","version":2,"made_by":"runchat 9"}\n', "a later version, runchat 9"),
        (
            (
                b'{"record":"export","version":1,"made_by":"x"}\n'
                b'{"record":"job","created_at":"2026-01-01T00:00:00.000Z"}\n'
                b'{"record":"input","messages":[]}\n'
            ),
            "holds no event yet",
        ),
    ],
)
def test_what_is_no_export_is_refused(
    tmp_path: Path, content: bytes, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_bytes(content)

    assert replay.main([str(tmp_path / "file")]) == 2
    assert why in capsys.readouterr().err
    assert replay.main([str(tmp_path / "nowhere")]) == 2


async def test_at_its_own_speed_a_replay_takes_the_recorded_time(
    autojump_clock: trio.testing.MockClock,
) -> None:
    recording = read(LOGS / "v1/retracted.jsonl")
    began = trio.current_time()
    played = await Rerun(recording=recording, speed=1).run()

    assert played == recording.log
    assert trio.current_time() - began == pytest.approx(0.049)
    twice = trio.current_time()
    await Rerun(recording=recording, speed=2).run()
    assert trio.current_time() - twice == pytest.approx(0.0245)


@requirement("replay.served")
@pytest.mark.parametrize("name", ["answered", "interrupted"])
async def test_a_browser_is_played_the_job_by_the_products_own_front(name: str) -> None:
    recording = read(LOGS / f"v1/{name}.jsonl")
    say, said = trio.open_memory_channel[str](2)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stage.serve, recording, 0, 1.0, say.send_nowait)
        with trio.fail_after(SILENCE_S):
            url, _, talk_id = (await said.receive()).partition("/#")
            async with httpx.AsyncClient(base_url=url, timeout=SILENCE_S) as client:
                page = await client.get("/")
                assert (page.status_code, page.headers["Content-Type"]) == (
                    200,
                    "text/html; charset=utf-8",
                )
                events = await talk.until(client, f"conversations/{talk_id}", "job.current")
                job = events[-1]["data"]["job_id"]
                assert await talk.follow(client, job) == [orjson.loads(e) for e in recording.log]
            assert await said.receive() == "played: the log is the same"
        nursery.cancel_scope.cancel()


# --- secrets ---

CANARY = "canary-5e5c1b"


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


# --- the command line ---


@requirement("replay.command")
def test_a_job_is_exported_and_replayed_on_the_command_line(shared: Served, tmp_path: Path) -> None:
    job = shared.ask(shared.conversation(), model="echo", input="Say it again.")
    whole = shared.whole(job)
    done = runchat("export", job, "--data", shared.data)
    assert (done.returncode, done.stderr) == (0, "")
    assert shared.token not in done.stdout
    file = tmp_path / "job.jsonl"
    file.write_text(done.stdout, encoding="utf-8")

    again = runchat("replay", file, "--speed", "max")
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout.startswith(f"the same: {len(whole)} events, ")
    missing = runchat("export", "job_unheard_of", "--data", shared.data)
    assert (missing.returncode, missing.stdout) == (1, "")
