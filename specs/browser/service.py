"""A real service for the browser's specs: a process of its own, and its API with its own token.

It can be killed and started again on the same port and folder, which is what a page has to survive.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

RUNCHAT = Path(sys.executable).with_name("runchat")
WAIT_S = 30.0
ENDLESS = 100_000  # deltas: longer than any spec


class Service:
    """One service on one folder."""

    def __init__(self, data: Path, *flags: str) -> None:
        self.data, self.flags = data, flags
        self.port = 0
        self.url = ""
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it, on the port it had before if it had one, and wait until it is ready."""
        command = [str(RUNCHAT), "serve", "--port", str(self.port), "--announce", "json"]
        with self.data.with_suffix(".log").open("a") as log:
            self.process = subprocess.Popen(
                [*command, "--data", str(self.data), *self.flags],
                stdout=subprocess.PIPE,
                stderr=log,
                stdin=subprocess.DEVNULL,
                text=True,
                env=environment(),
            )
        assert self.process.stdout is not None, "stdout is a pipe"
        self.url = json.loads(self.process.stdout.readline())["url"]
        self.port = httpx.URL(self.url).port or 0
        token = (self.data / "token").read_text(encoding="utf-8").strip()
        authorization = {"Authorization": f"Bearer {token}"}
        self.api = httpx.Client(base_url=self.url, headers=authorization, timeout=WAIT_S)

    def kill(self) -> None:
        """End it at once, as by a power cut."""
        assert self.process is not None, "it has been started"
        self.api.close()
        self.process.kill()
        self.process.wait(timeout=WAIT_S)
        assert self.process.stdout is not None, "stdout is a pipe"
        self.process.stdout.close()
        self.process = None

    def link(self) -> str:
        """A sign-in link, good for one use."""
        command = [str(RUNCHAT), "link", "--data", str(self.data)]
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=WAIT_S,
            env=environment(),
        )
        return done.stdout.split()[-1]

    def conversation(self, title: str = "A conversation") -> str:
        return str(self.call("POST", "/api/conversations", {"title": title})["id"])

    def ask(self, conversation: str, **body: Any) -> str:
        """Start a job as another client would, and return its id."""
        return str(self.call("POST", f"/api/conversations/{conversation}/jobs", body)["id"])

    def slow(
        self,
        conversation: str,
        count: int = ENDLESS,
        *,
        interval_ms: int = 10,
        on_active: str = "refuse",
        **rest: Any,
    ) -> str:
        """Start an answer that lasts, from the synthetic model."""
        options = {"count": count, "interval_ms": interval_ms, **rest}
        model = "synthetic/tokens"
        return self.ask(
            conversation, input="Count.", model=model, options=options, on_active=on_active
        )

    def job(self, job: str) -> dict[str, Any]:
        return self.call("GET", f"/api/jobs/{job}")

    def jobs(self, conversation: str) -> list[dict[str, Any]]:
        """The jobs of a conversation, oldest first."""
        path = f"/api/jobs?conversation_id={conversation}&limit=100"
        return list(reversed(self.call("GET", path)["items"]))

    def log(self, job: str) -> list[dict[str, Any]]:
        """The whole log of a job, or of what is written of it."""
        events: list[dict[str, Any]] = []
        while True:
            path = f"/api/jobs/{job}/events?after={len(events)}&limit=1000"
            page = self.call("GET", path)
            events += page["events"]
            if len(events) == page["head"]:
                return events

    def whole_log(self, job: str) -> list[dict[str, Any]]:
        """The log of a job once it has ended, waited for by the service's own long poll."""
        events: list[dict[str, Any]] = []
        while not events or events[-1]["kind"] != "job.ended":
            path = f"/api/jobs/{job}/events?after={len(events)}&limit=1000&wait=10"
            events += self.call("GET", path)["events"]
        return events

    def call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        answer = self.api.request(method, path, json=body)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found


def environment() -> dict[str, str]:
    mine = {name: value for name, value in os.environ.items() if not name.startswith("RUNCHAT_")}
    return mine | {"RUNCHAT_PROVIDERS__SYNTHETIC": "true", "RUNCHAT_MODELS__DEFAULT": "echo"}


def text_of(log: list[dict[str, Any]]) -> str:
    """What a job's log says: its deltas, joined."""
    deltas = [event["data"] for event in log if event["kind"] == "item.delta"]
    return "".join(delta.get("text", "") for delta in deltas)
