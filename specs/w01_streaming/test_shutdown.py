"""How a service ends, by a signal or by a kill, and what the next start makes of it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from specs.requirements import requirement
from specs.support.process import (
    RUNCHAT,
    WAIT_S,
    Served,
    children_of,
    environment,
    is_gone_within,
    said,
    served,
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def service(data: Path) -> Iterator[Served]:
    with served(data) as service:
        yield service


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_each_signal_ends_an_idle_service_with_0(service: Served, number: signal.Signals) -> None:
    service.signal(number)
    assert service.exit() == 0
    assert not (service.data / "service.json").exists()


@requirement("shutdown.refuses-new-jobs", "shutdown.interrupts", "shutdown.streams-end-cleanly")
def test_at_a_stop_new_jobs_are_refused_and_what_outlasts_the_grace_is_interrupted(
    service: Served,
) -> None:
    conversation, other = service.conversation(), service.conversation()
    job = service.slow(conversation, count=1000)
    service.until(job, lambda events: len(events) > 5)
    headers = {"Accept": "text/event-stream"}
    with service.api.stream("GET", f"/api/jobs/{job}/events", headers=headers) as stream:
        lines = stream.iter_lines()
        service.signal(signal.SIGTERM)
        refused = service.api.post(f"/api/conversations/{other}/jobs", json={"input": "no"})
        while refused.status_code == 202:  # the signal has not been handled yet
            refused = service.api.post(f"/api/conversations/{other}/jobs", json={"input": "no"})
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "5"
        assert refused.json()["type"] == "urn:runchat:problem:shutting-down"
        read = list(lines)  # to its end, without an error: it ended cleanly
    assert service.exit() == 0
    assert '"status":"interrupted"' in [line for line in read if line.startswith("data: ")][-1]

    service.start()
    events = service.whole(job)
    assert events[-1]["data"]["status"] == "interrupted"
    assert events[-1]["data"]["end_state"] == "cancelled"
    kept = service.job(job)["items"][0]
    assert (kept["status"], kept["text"]) == ("incomplete", said(events))


@requirement("shutdown.grace")
def test_a_job_that_ends_within_the_grace_ends_as_it_would_have(service: Served) -> None:
    job = service.slow(service.conversation(), count=40, interval_ms=20)
    service.until(job, lambda events: len(events) > 5)
    service.signal(signal.SIGTERM)
    assert service.exit() == 0
    service.start()
    events = service.whole(job)
    assert (events[-1]["data"]["status"], len(said(events))) == ("completed", 40 * 16)


@requirement("shutdown.streams-end-cleanly")
def test_at_a_stop_an_open_stream_is_told_when_to_come_back_and_ends(service: Served) -> None:
    path = f"/api/conversations/{service.conversation()}/events"
    with service.api.stream("GET", path, headers={"Accept": "text/event-stream"}) as stream:
        lines = stream.iter_lines()
        assert next(line for line in lines if line.startswith("data: ")) != ""
        service.signal(signal.SIGTERM)
        rest = [line for line in lines if line]
    assert rest[-1] == "retry: 2000"
    assert service.exit() == 0


@requirement("shutdown.stuck-reader")
def test_a_client_that_has_stopped_reading_does_not_hold_up_the_end(service: Served) -> None:
    options = {"count": 500, "size": 16_000}
    job = service.ask(
        service.conversation(), input="much", model="synthetic/tokens", options=options
    )
    with socket.socket() as reader:
        reader.settimeout(WAIT_S)
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.connect(("127.0.0.1", service.port))
        words = f"GET /api/jobs/{job}/events HTTP/1.1\r\nHost: 127.0.0.1:{service.port}\r\n"
        words += f"Authorization: Bearer {service.token}\r\nAccept: text/event-stream\r\n\r\n"
        reader.sendall(words.encode())
        assert reader.recv(12) == b"HTTP/1.1 200"
        service.whole(job)  # 8 MB: far more than its window holds
        service.signal(signal.SIGTERM)
        assert service.exit(timeout_s=2 + 5) == 0


@requirement("kill.loses-nothing-seen", "recovery.interrupted", "sse.survives-kill")
def test_after_a_kill_what_was_seen_is_there_and_the_broken_answer_says_so(service: Served) -> None:
    job = service.slow(service.conversation(), count=1000, interval_ms=2)
    seen: list[str] = []
    headers = {"Accept": "text/event-stream"}
    with service.api.stream("GET", f"/api/jobs/{job}/events", headers=headers) as stream:
        for line in stream.iter_lines():
            if line.startswith("data: "):
                seen.append(line.removeprefix("data: "))
            if len(seen) == 50:
                service.kill()
                break
    service.start()
    answer = service.get(f"/api/jobs/{job}/events?limit=1000")
    assert answer["ended"] is True
    events = answer["events"]
    assert [json.loads(line) for line in seen] == events[: len(seen)]
    assert [event["sequence"] for event in events] == list(range(1, answer["head"] + 1))
    assert [event["kind"] for event in events].count("job.ended") == 1
    assert events[-1]["data"]["status"] == "interrupted"
    assert events[-1]["data"]["end_state"] is None
    shown = service.job(job)
    assert (shown["status"], shown["items"][0]["text"]) == ("interrupted", said(events))


@requirement("recovery.queued-go-on")
def test_after_a_kill_queued_jobs_go_on_in_order(service: Served) -> None:
    conversation = service.conversation()
    running = service.slow(conversation, count=5000)
    service.until(running, lambda events: len(events) > 3)
    queued = [service.ask(conversation, input=f"number {n}", on_active="queue") for n in range(3)]
    assert [service.job(job)["status"] for job in queued] == ["queued"] * 3
    service.kill()
    service.start()
    logs = [service.whole(job) for job in queued]
    assert [said(log) for log in logs] == ["number 0", "number 1", "number 2"]
    starts = [log[0]["at"] for log in logs]
    assert starts == sorted(starts)
    assert service.job(running)["status"] == "interrupted"


@requirement("kill.no-child-left")
def test_a_killed_service_leaves_no_child_behind(data: Path) -> None:
    with served(data, RUNCHAT_MODELS__DEFAULT="local/smollm2") as service:
        job = service.ask(service.conversation(), input="Tell me a long story.")
        service.until(job, lambda events: len(events) > 3)
        children = children_of(service.pid)
        assert len(children) == 1
        service.kill()
        assert [is_gone_within(child, 2) for child in children] == [True]


@requirement("process.ready-in-time")
def test_a_folder_with_a_large_log_is_ready_in_time(service: Served) -> None:
    options = {"count": 30_000, "size": 64}
    job = service.ask(
        service.conversation(), input="much", model="synthetic/tokens", options=options
    )
    service.until(job, lambda events: len(events) > 20_000)
    service.kill()
    command = [RUNCHAT, "serve", "--port", "0", "--data", str(service.data), "--announce", "json"]
    with service.log.open("ab") as log:
        process = subprocess.Popen(
            [*command, "--exit-with-parent"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment(),
        )
    guard = threading.Timer(5, process.kill)  # contract, section 1: within 5 s
    guard.start()
    assert process.stdout is not None
    line = process.stdout.readline()
    guard.cancel()
    process.communicate(timeout=WAIT_S)
    assert json.loads(line)["ready"] is True
    assert process.returncode == 0
