"""A recorded job is replayed from its file: compared, stopped at an event, played to a browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import orjson
import pytest
import structlog
import trio

from harness import replay
from harness.replaying import stage
from harness.replaying.recording import read
from harness.replaying.rerun import Rerun
from specs.requirements import requirement
from specs.support import talk
from specs.support.exported import House, house
from specs.support.process import Served, runchat, shared

__all__ = ["house", "shared"]

LOGS = Path(__file__).parent.parent / "contract" / "logs"
SILENCE_S = 30


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


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
