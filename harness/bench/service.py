"""The service that is measured: a process of its own, on a real file, over a real socket.

`Service` is the product as `runchat serve` starts it; with `model=True` it is `served`, which is
the same service with one model more. A folder of its own is made below the bench's folder.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Self

from harness.bench.wire import Http, Target, Unexpected

ROOT = Path(__file__).parents[2]
START_S = 30.0
NS_IN_MS = 1_000_000
END_S = 20.0
SETTINGS = {
    "RUNCHAT_PROVIDERS__SYNTHETIC": "true",
    "RUNCHAT_SERVER__PORT": "0",
    "RUNCHAT_SERVER__SHUTDOWN_GRACE_S": "0",  # a job that stalls would keep us waiting
}
SERVE = ("-m", "transports.ingress.cli.main", "serve", "--announce", "json")


class Process:
    """A program that says on stdout, in one line of JSON, that it is ready."""

    def __init__(self, *arguments: str, program: str = sys.executable) -> None:
        """Start the program, Python by itself, with these arguments, and wait for the line."""
        mine = {name: value for name, value in os.environ.items() if not name.startswith("RUNCHAT")}
        mine |= {"PYTHONPATH": str(ROOT), **SETTINGS}
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  closed with the process
        began = time.perf_counter()
        self._process = subprocess.Popen(
            [program, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=mine,
        )
        self.pid = self._process.pid
        try:
            self.said = self.line()
        except BaseException:
            self.kill()
            raise
        self.start_s = time.perf_counter() - began

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def line(self, within_s: float = START_S) -> Any:
        """Return the next line as JSON.

        Raises:
            Unexpected: there was none in time.
        """
        stdout = self._stdout()
        with selectors.DefaultSelector() as waiting:
            waiting.register(stdout, selectors.EVENT_READ)
            if not waiting.select(within_s):
                raise Unexpected(f"Nothing was said within {within_s} s.")
        if not (said := stdout.readline()):
            raise Unexpected(f"It ended with status {self._process.wait(END_S)}: {self.words()}")
        return json.loads(said)

    @property
    def port(self) -> int:
        """Where it is, of one that said its address."""
        return int(self.said["url"].rpartition(":")[2])

    def ask(self, word: str) -> Any:
        """Say a word on its stdin, and return the line that it answers."""
        assert self._process.stdin is not None
        self._process.stdin.write(word.encode() + b"\n")
        self._process.stdin.flush()
        return self.line()

    def words(self) -> str:
        """Return the last line of what it wrote to stderr."""
        self._log.seek(0)
        return self._log.read().decode(errors="replace").strip().rpartition("\n")[2]

    def _stdout(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    def stop(self) -> None:
        """End it as a person would; a process that does not end is killed."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._close()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._close()

    def _close(self) -> None:
        self._process.wait(END_S)
        for pipe in (self._process.stdin, self._process.stdout, self._log):
            if pipe is not None:
                pipe.close()


class Service(Process):
    """The service, running; with its owner's token."""

    def __init__(self, data: Path, *, model: bool = False, start: Sequence[str] = ()) -> None:
        """Start it on the folder.

        Args:
            model: offer `bench/steps` too.
            start: another program that serves it, and its arguments.
        """
        usual = (
            ("-m", "harness.bench.served", str(data)) if model else (*SERVE, "--data", str(data))
        )
        super().__init__(*(start or usual))
        token = (data / "token").read_text(encoding="utf-8").strip()
        self.target = Target(self.port, token)

    def http(self) -> Http:
        """Return a connection to it."""
        return Http(self.target)


def converse(http: Http) -> str:
    """Return the id of a new conversation."""
    return str(http.call("POST", "/api/conversations", {})["id"])


def ask(http: Http, conversation: str, model: str, options: Any, words: str = "go") -> str:
    """Start a job, and return its id."""
    order = {"input": words, "model": model, "options": options}
    return str(http.call("POST", f"/api/conversations/{conversation}/jobs", order)["id"])


def start(http: Http, model: str, **options: Any) -> str:
    """Start a job in a conversation of its own, and return the path of its log."""
    return f"/api/jobs/{ask(http, converse(http), model, options)}/events"


def steps(http: Http, *plan: tuple[int, int], begins_ns: int = 0, size: int = 0) -> str:
    """Start a job of `bench/steps`, which then stalls, and return the path of its log."""
    return start(http, "bench/steps", plan=plan, begins_ns=begins_ns, size=size)


def soon(lead_ms: int) -> int:
    """Return when it will be so many milliseconds later, by the monotonic clock."""
    return time.monotonic_ns() + lead_ms * NS_IN_MS


def read_log(http: Http, path: str) -> list[Any]:
    """Return all pages of a log."""
    pages: list[Any] = []
    after = 0
    while True:
        page = http.call("GET", f"{path}?after={after}&limit=1000")
        pages.append(page)
        if not page["events"]:
            return pages
        after = page["events"][-1]["sequence"]


def await_head(http: Http, path: str, head: int, within_s: float) -> None:
    """Wait until a log has so many events.

    Raises:
        Unexpected: it has not, in time.
    """
    deadline = time.monotonic() + within_s
    page = http.call("GET", f"{path}?after=now")
    while page["head"] < head:
        if time.monotonic() > deadline:
            raise Unexpected(f"{path} has {page['head']} of {head} events after {within_s} s.")
        page = http.call("GET", f"{path}?after={page['head']}&limit=1&wait=1")


def rounds(values: Sequence[float], count: int) -> list[Sequence[float]]:
    """Cut a run of samples into `count` equal runs."""
    each = max(1, len(values) // count)
    return [values[at : at + each] for at in range(0, each * count, each)]
