"""Real processes for a spec: `runchat` as a person, a script and a desktop app run it.

Every wait has a bound. What a service says on stdout and stderr is kept in files beside its data,
so that no pipe fills up; what was started is killed at the end of the spec. What it answers at
the addresses of others' APIs is held against their models as it comes, as in specs of the app.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from harness.contract import Proof

RUNCHAT = str(Path(sys.executable).with_name("runchat"))
WAIT_S = 30.0
FRONTS = ("/v1/responses", "/v1/conversations", "/v1/chat/", "/v1/models", "/api/chat")
SETTINGS = {
    "RUNCHAT_PROVIDERS__SYNTHETIC": "true",
    "RUNCHAT_MODELS__DEFAULT": "echo",
    "RUNCHAT_SERVER__SHUTDOWN_GRACE_S": "2",
    "RUNCHAT_LOG__FORMAT": "json",
}


def environment(**more: str) -> dict[str, str]:
    """The environment of a child: ours without our settings, with the spec's."""
    rest = {name: value for name, value in os.environ.items() if not name.startswith("RUNCHAT_")}
    return rest | SETTINGS | {"TERM": "xterm"} | more


def runchat(
    *words: object, input: str = "", env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return subprocess.run(
        [RUNCHAT, *map(str, words)],
        input=input,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
        env=env or environment(),
    )


def hang_up_as_usual() -> None:
    """Take SIGHUP in the child, also where the whole run ignores it, as under `nohup`."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def judge(answer: httpx.Response) -> None:
    """Hold an answer of a front against the contract; the events of a stream as they are read."""
    url = answer.request.url
    if not url.path.startswith(FRONTS):
        return
    from specs.support.server import PROOF  # noqa: PLC0415  it takes seconds

    seen = len(PROOF.violations)
    media_type = answer.headers.get("content-type", "").partition(";")[0]
    body = answer.read() if media_type.endswith("json") else b""
    PROOF.judge(answer.request.method, url.path, answer.status_code, media_type, body)
    if media_type == "text/event-stream":
        answer.stream = Judged(answer, PROOF)
    assert PROOF.violations[seen:] == [], PROOF.violations[seen:]


class Judged(httpx.SyncByteStream):
    """The stream of an answer, whose whole frames are held against the contract."""

    def __init__(self, answer: httpx.Response, proof: Proof) -> None:
        assert isinstance(answer.stream, httpx.SyncByteStream), "the client is no async one"
        self.stream, self.request, self.proof, self.left = answer.stream, answer.request, proof, b""

    def __iter__(self) -> Iterator[bytes]:
        for piece in self.stream:
            seen = len(self.proof.violations)
            frames, _, self.left = (self.left + piece).rpartition(b"\n\n")
            self.proof.events(self.request.method, self.request.url.path, frames)
            assert self.proof.violations[seen:] == [], self.proof.violations[seen:]
            yield piece

    def close(self) -> None:
        self.stream.close()


class Served:
    """A service on one folder, which can be ended in every way and started again."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.port = 0
        self.url = self.out = ""
        self.pid = 0
        self.process: subprocess.Popen[bytes] | None = None
        self.api = httpx.Client()

    def start(self, *flags: str, **env: str) -> Served:
        """Start it, on its port of before if it had one, and wait for its ready line."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.command(), "--announce", "json", *flags],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment(**env),
                preexec_fn=hang_up_as_usual,  # noqa: PLW1509 - it only resets a signal
            )
        assert self.process.stdout is not None, "stdout is a pipe"
        self.out = self.process.stdout.readline().decode()
        assert self.out != "", self.log.read_text("utf-8")[-2000:]
        ready = json.loads(self.out)
        self.url, self.pid = ready["url"], ready["pid"]
        self.port = httpx.URL(self.url).port or 0
        self.api = self.client(self.token)
        return self

    def command(self) -> list[str]:
        return [RUNCHAT, "serve", "--port", str(self.port), "--data", str(self.data)]

    @property
    def log(self) -> Path:
        return self.data.with_name(f"{self.data.name}.log")

    @property
    def token(self) -> str:
        return (self.data / "token").read_text("utf-8").strip()

    def client(self, token: str) -> httpx.Client:
        headers = {"Authorization": f"Bearer {token}"}
        hooks = {"response": [judge]}
        return httpx.Client(base_url=self.url, headers=headers, timeout=WAIT_S, event_hooks=hooks)

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None, "it has been started"
        self.process.send_signal(number)

    def close_stdin(self) -> None:
        assert self.process is not None, "it has been started"
        assert self.process.stdin is not None, "stdin is a pipe"
        self.process.stdin.close()

    def exit(self, timeout_s: float = WAIT_S) -> int:
        """Wait for its end; return its exit status, and keep the rest of its stdout."""
        process, self.process = self.process, None
        assert process is not None, "it has been started"
        try:
            status = process.wait(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            self.process = process
            raise
        self.api.close()
        for pipe in (process.stdout, process.stdin):
            if pipe is not None:
                if pipe is process.stdout:
                    self.out += pipe.read().decode()
                pipe.close()
        return status

    def stop(self) -> int:
        self.signal(signal.SIGTERM)
        return self.exit()

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        if self.process is not None:
            self.process.kill()
            self.exit()

    def conversation(self) -> str:
        return str(self.post("/api/conversations", {})["id"])

    def ask(self, conversation_id: str, **body: Any) -> str:
        """Start a job and return its id."""
        return str(self.post(f"/api/conversations/{conversation_id}/jobs", body)["id"])

    def slow(self, conversation_id: str, count: int = 200, interval_ms: int = 20) -> str:
        """Start an answer that lasts."""
        options = {"count": count, "interval_ms": interval_ms}
        return self.ask(
            conversation_id,
            input="Go on.",
            model="synthetic/tokens",
            on_active="queue",
            options=options,
        )

    def post(self, path: str, body: object) -> dict[str, Any]:
        answer = self.api.post(path, json=body)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def get(self, path: str) -> Any:
        answer = self.api.get(path)
        answer.raise_for_status()
        return answer.json()

    def job(self, job_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"/api/jobs/{job_id}")
        return found

    def events(self, job_id: str) -> list[dict[str, Any]]:
        """A job's log as far as it goes now."""
        events: list[dict[str, Any]] = []
        while True:
            page = self.get(f"/api/jobs/{job_id}/events?after={len(events)}&limit=1000")
            events += page["events"]
            if len(events) == page["head"]:
                return events

    def whole(self, job_id: str) -> list[dict[str, Any]]:
        """A job's log to its end, waited for."""
        return self.until(job_id, lambda events: events[-1:] and events[-1]["kind"] == "job.ended")

    def until(
        self, job_id: str, enough: Callable[[list[dict[str, Any]]], Any]
    ) -> list[dict[str, Any]]:
        """A job's log, read by long polls until there is enough of it."""
        events: list[dict[str, Any]] = []
        while not enough(events):
            page = self.get(f"/api/jobs/{job_id}/events?after={len(events)}&limit=1000&wait=20")
            assert page["events"] != [], f"nothing came in 20 s after {events[-1:]}"
            events += page["events"]
        return events


@contextmanager
def served(data: Path, *flags: str, **env: str) -> Iterator[Served]:
    """A started service that is gone at the end, however the spec goes."""
    service = Served(data)
    try:
        yield service.start(*flags, **env)
    finally:
        service.kill()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One service for all specs of a module that leave it running."""
    data = tmp_path_factory.mktemp("shared") / "data"
    with served(data, RUNCHAT_SERVER__ALLOWED_HOSTS="127.0.0.1") as service:  # on any port
        yield service


def said(events: list[dict[str, Any]]) -> str:
    """What a log says: its deltas, joined."""
    return "".join(
        event["data"].get("text", "") for event in events if event["kind"] == "item.delta"
    )


def children_of(pid: int) -> list[int]:
    """The processes that a process has started and that live."""
    found = [file.read_text("utf-8") for file in Path(f"/proc/{pid}/task").glob("*/children")]
    return [int(word) for text in found for word in text.split()]


def is_gone_within(pid: int, seconds: float) -> bool:
    """Whether a process that need not be our child ends in time."""
    try:
        end = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return select.select([end], [], [], seconds)[0] == [end]
    finally:
        os.close(end)
