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
from harness.bench.measure import Measure, Size
from harness.bench.service import SERVE, Service, converse
from harness.bench.wire import SSE, Http, unchunked

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


@contextmanager
def _server() -> Iterator[int]:
    """Serve on a free port of loopback."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def run(folder: Path, size: Size) -> Mapping[str, float]:
    """Call once after the other."""
    config = folder / "runchat.toml"
    warm = min(WARM, size.questions)
    count = warm + min(size.questions, CALLS_MAX)
    with _server() as port:
        config.write_text(
            f'[mcp.servers.bench]\nurl = "http://127.0.0.1:{port}/mcp"\n'
            'policy = "auto"\nallow_loopback = true\n',
            encoding="utf-8",
        )
        start = (*SERVE, "--data", str(folder / "data"), "--config", str(config))
        with (
            Service(folder / "data", start=start) as service,
            service.http() as asker,
            service.http() as reader,
        ):
            direct = [_direct(asker, reader, service) for _ in range(count)]
            turns = [_turn(asker, reader, service) for _ in range(count)]
    return {
        "call_p50_ms": percentile(direct[warm:], 0.5),
        "call_p99_ms": percentile(direct[warm:], 0.99),
        "turn_p50_ms": percentile(turns[warm:], 0.5),
    }


def _direct(asker: Http, reader: Http, service: Service) -> float:
    """Return how long a call without a model took, in ms."""
    began = time.perf_counter()
    body = {"arguments": {"words": "go"}}
    job = str(asker.call("POST", "/api/tools/mcp/bench/noop/calls", body)["id"])
    return _ended(reader, service, job, began)


def _turn(asker: Http, reader: Http, service: Service) -> float:
    """Return how long a turn of echo with a call in it took, in ms."""
    path = f"/api/conversations/{converse(asker)}/jobs"
    began = time.perf_counter()
    order = {"input": "go", "model": "echo", "tools": ["mcp/bench/noop"]}
    return _ended(reader, service, str(asker.call("POST", path, order)["id"]), began)


def _ended(reader: Http, service: Service, job: str, began: float) -> float:
    """Follow a job to its end; return how long after its beginning that came, in ms.

    Raises:
        Wrong: the tool's answer is not in it.
    """
    reader.send(service.target.request("GET", f"/api/jobs/{job}/events", accept=SSE))
    raw = reader.until(b"event: job.ended")
    took_ms = (time.perf_counter() - began) * 1000
    raw += reader.until(END)
    told = [json.loads(data) for _, data in events(unchunked(raw))]
    items = [each["data"]["item"] for each in told if each["kind"] == "item.done"]
    results = [(each["text"], each["is_error"]) for each in items if each["type"] == "tool_result"]
    if results != [("ok", False)]:
        raise Wrong(f"The tool has answered {results}.")
    return took_ms


MEASURE = Measure(
    name="tools",
    lines=(
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
    ),
    run=run,
)
