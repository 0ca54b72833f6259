"""From a POST that wants a tool called to the end of its job: a tool over HTTP that does nothing.

The tool's server is a thread of this process, which waits meanwhile. Both ways are taken: a call
without a model, and one by `echo` in a turn, which then says back what the tool answered. A call is
made of some commits (the job, the intent with its audit entry, the result, the end), so that the
disk's latency stands beside it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from harness.bench.asking import END
from harness.bench.crowd import events
from harness.bench.figures import Line, Wrong, percentile
from harness.bench.measure import Size
from harness.bench.service import SERVE, Service, converse
from harness.bench.wire import SSE, Http, Target, unchunked

WARM = 10  # calls before the first that counts
CALLS_MAX = 60  # below what one caller may make in a go
SCHEMA = {"type": "object", "properties": {"words": {"type": "string"}}, "required": ["words"]}
ANSWERS: Mapping[str, Any] = {
    "initialize": {
        "protocolVersion": "2025-11-25",
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "bench", "version": "1"},
    },
    "tools/list": {"tools": [{"name": "noop", "inputSchema": SCHEMA}]},
    "tools/call": {"content": [{"type": "text", "text": "ok"}]},
}


class Server(BaseHTTPRequestHandler):
    """An MCP server of one tool, over streamable HTTP."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        """Answer one message."""
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if "id" not in message:
            self._send(202, b"")
            return
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": message["id"]}
        if (result := ANSWERS.get(message["method"])) is not None:
            answer["result"] = result
        else:
            answer["error"] = {"code": -32601, "message": "no such method"}
        self._send(200, json.dumps(answer).encode())

    def do_GET(self) -> None:
        """There is no stream to listen to."""
        self._send(405, b"")

    def do_DELETE(self) -> None:
        """There is no session to end."""
        self._send(405, b"")

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


class Many(ThreadingHTTPServer):
    """Takes in many connections that come at once."""

    request_queue_size = 128
    daemon_threads = True


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler] = Server) -> Iterator[int]:
    """Serve on a free port of loopback, which is returned, from a thread of this process."""
    with Many(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@contextmanager
def offering(folder: Path) -> Iterator[Service]:
    """Run a service that has the tool."""
    config = folder / "runchat.toml"
    with serving() as port:
        config.write_text(
            f'[mcp.servers.bench]\nurl = "http://127.0.0.1:{port}/mcp"\n'
            'policy = "auto"\nallow_loopback = true\n',
            encoding="utf-8",
        )
        start = (*SERVE, "--data", str(data(folder)), "--config", str(config))
        with Service(data(folder), start=start) as service:
            yield service


def data(folder: Path) -> Path:
    """Return the data folder of the service."""
    return folder / "data"


def calls(service: Service, size: Size) -> dict[str, float]:
    """Call once after the other."""
    warm = min(WARM, size.questions)
    count = warm + min(size.questions, CALLS_MAX)
    with service.http() as asker, service.http() as reader:
        direct = [called(asker, reader, service.target) for _ in range(count)]
        turns = [_turn(asker, reader, service) for _ in range(count)]
    return {
        "call_p50_ms": percentile(direct[warm:], 0.5),
        "call_p99_ms": percentile(direct[warm:], 0.99),
        "turn_p50_ms": percentile(turns[warm:], 0.5),
    }


def called(asker: Http, reader: Http, target: Target) -> float:
    """Return how long a call without a model took, in ms."""
    began = time.perf_counter()
    body = {"arguments": {"words": "go"}}
    job = str(asker.call("POST", "/api/tools/mcp/bench/noop/calls", body)["id"])
    return _ended(reader, target, job, began)


def _turn(asker: Http, reader: Http, service: Service) -> float:
    """Return how long a turn of echo with a call in it took, in ms."""
    path = f"/api/conversations/{converse(asker)}/jobs"
    began = time.perf_counter()
    order = {"input": "go", "model": "echo", "tools": ["mcp/bench/noop"]}
    return _ended(reader, service.target, str(asker.call("POST", path, order)["id"]), began)


def _ended(reader: Http, target: Target, job: str, began: float) -> float:
    """Follow a job to its end; return how long after its beginning that came, in ms.

    Raises:
        Wrong: the tool's answer is not in it.
    """
    reader.send(target.request("GET", f"/api/jobs/{job}/events", accept=SSE))
    raw = reader.until(b"event: job.ended")
    took_ms = (time.perf_counter() - began) * 1000
    raw += reader.until(END)
    told = [json.loads(data) for _, data in events(unchunked(raw))]
    items = [each["data"]["item"] for each in told if each["kind"] == "item.done"]
    results = [(each["text"], each["is_error"]) for each in items if each["type"] == "tool_result"]
    if results != [("ok", False)]:
        raise Wrong(f"The tool has answered {results}.")
    return took_ms


LINES = (
    Line(
        key="call_p50_ms",
        title="a no-op MCP tool call over HTTP through a job p50",
        unit="ms",
        at_most=15,
        durable=True,
    ),
    Line(key="call_p99_ms", title="the same, p99", unit="ms", durable=True),
    Line(
        key="turn_p50_ms",
        title="the same by echo in a turn, POST to the end, p50",
        unit="ms",
        durable=True,
    ),
)
