"""What a hundred MCP sessions over HTTP cost the service, at its peak; and then a hundred more.

So many people have a session with one server each, opened by a call of its tool through a job.
Then each opens one of their own at `/mcp`, calls a tool in it and holds its stream open, while the
first still stand. `tools` does it in the service that it measures calls in, `sessions` in its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from harness.bench import calling
from harness.bench.figures import Line, Wrong
from harness.bench.machine import peak_bytes, resident_bytes
from harness.bench.measure import Measure, Size
from harness.bench.service import Service
from harness.bench.wire import JSON, SSE, Answer, Http, Target
from transports.ingress.cli import tokens

MB: Final = 1_000_000
VERSION: Final = {"mcp-protocol-version": "2025-11-25"}
HELLO: Final = {
    "protocolVersion": VERSION["mcp-protocol-version"],
    "capabilities": {},
    "clientInfo": {"name": "bench", "version": "1"},
}
LIST: Final = {"name": "list_conversations", "arguments": {}}


def run(folder: Path, size: Size) -> Mapping[str, float]:
    """Open the sessions of one side, then those of the other, and hold all of them."""
    with calling.offering(folder) as service:
        return _held(folder, service, size)


def run_with_calls(folder: Path, size: Size) -> Mapping[str, float]:
    """Call once after the other; then open the sessions."""
    with calling.offering(folder) as service:
        return {**calling.calls(service, size), **_held(folder, service, size)}


def _held(folder: Path, service: Service, size: Size) -> dict[str, float]:
    idle = resident_bytes(service.pid)
    people = [*_people(folder, service.target, size.mcp_sessions)]
    for person in people:
        with Http(person) as asker, Http(person) as reader:
            calling.called(asker, reader, person)
    ours = peak_bytes(service.pid)
    with ExitStack() as held:
        for person in people:
            _open(held.enter_context(Http(person)), person)
        return {"idle_mb": idle / MB, "ours_mb": ours / MB, "both_mb": peak_bytes(service.pid) / MB}


def _people(folder: Path, owner: Target, count: int) -> Iterator[Target]:
    """Yield the service as each of so many people asks it."""
    for number in range(count):
        user = f"person{number}"
        _, token = tokens.make(calling.data(folder), "local", user, admin=False, words="bench")
        yield Target(owner.port, token)


def _open(http: Http, person: Target) -> None:
    """Open a session at `/mcp`, call a tool in it, and have its stream opened.

    Raises:
        Wrong: the tool or the stream is not to be had.
    """
    hello = _posted(http, person, {"id": 1, "method": "initialize", "params": HELLO}, {})
    session = {"mcp-session-id": hello.header("mcp-session-id"), **VERSION}
    _posted(http, person, {"method": "notifications/initialized"}, session)
    told = _posted(http, person, {"id": 2, "method": "tools/call", "params": LIST}, session)
    if b'"isError":false' not in told.body:
        raise Wrong(f"The tool has answered {told.body[:300]!r}.")
    http.send(person.request("GET", "/mcp", accept=SSE, extra=session))
    if b" 200 " not in (head := http.until(b"\r\n\r\n")):
        raise Wrong(f"A session's stream was answered with {head!r}.")


def _posted(http: Http, person: Target, message: Any, extra: Mapping[str, str]) -> Answer:
    body = json.dumps({"jsonrpc": "2.0", **message}).encode()
    accept = f"{JSON}, {SSE}"
    return http.ask(person.request("POST", "/mcp", body=body, accept=accept, extra=extra))


LINES: Final = (
    Line(key="idle_mb", title="(resident memory before the sessions)", unit="MB"),
    Line(
        key="ours_mb",
        title="100 MCP sessions over HTTP, a call through a job in each: resident, peak",
        unit="MB",
        at_most=150,
    ),
    Line(
        key="both_mb",
        title="and 100 of clients at /mcp, a call and an open stream in each: the same",
        unit="MB",
        at_most=150,
    ),
)
TOOLS: Final = Measure(name="tools", lines=(*calling.LINES, *LINES), run=run_with_calls)
SESSIONS: Final = Measure(name="sessions", lines=LINES, run=run)
