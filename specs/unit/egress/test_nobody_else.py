"""Nothing in the product connects outward but the guard: its text says so, and the interpreter."""

from __future__ import annotations

import ast
import json
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from specs.requirements import requirement
from specs.support.process import Served

ROOT = Path(__file__).parents[3]
GUARD = {
    ROOT / "transports/egress" / f"{name}.py"
    for name in ("guard", "connection", "gathered")  # the last is a part of the connection
}
PRODUCT = sorted(
    path
    for folder in ("runtime", "store", "actors", "transports")
    for path in (ROOT / folder).rglob("*.py")
    if path not in GUARD
)
NEVER_IMPORTED = {
    *("aiohttp", "asyncio", "ftplib", "http.client", "httpcore", "httpcore2", "httpx", "imaplib"),
    *("poplib", "pycurl", "requests", "smtplib", "telnetlib", "urllib.request", "urllib3"),
    *("websocket", "websockets", "xmlrpc", "xmlrpc.client"),
}
NEVER_CALLED = {
    *("anyio.connect_tcp", "anyio.connect_unix", "socket.create_connection", "socket.socket"),
    *("trio.open_ssl_over_tcp_stream", "trio.open_tcp_stream", "trio.open_unix_socket"),
    *("trio.socket.socket", "trio.socket.from_stdlib_socket", "trio.socket.fromfd"),
    *(f"httpx2.{name}" for name in ("AsyncClient", "Client", "AsyncHTTPTransport", "stream")),
    *(f"httpx2.{name}" for name in ("delete", "get", "head", "patch", "post", "put", "request")),
}
TAKE_A_CLIENT = {  # what makes a client of its own unless it is given one
    "http_client": ("AsyncAnthropic", "AsyncOpenAI", "AsyncAzureOpenAI", "streamable_http_client"),
    "http_options": ("genai.Client", "google.genai.Client"),
    "kind": ("AsyncOAuth2Client", "AsyncOAuth1Client"),
    "": ("Anthropic", "OpenAI", "OAuth2Session", "sse_client", "create_mcp_http_client"),
}


def outward(tree: ast.Module) -> Iterator[str]:
    """Yield what in a module could open a connection."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (each.name for each in names if each.name in NEVER_IMPORTED)
            case ast.ImportFrom(module=str(module), names=names):
                found = {module, *(f"{module}.{each.name}" for each in names)}
                yield from sorted(found & (NEVER_IMPORTED | NEVER_CALLED))
            case ast.Attribute():
                if (name := ast.unparse(node)) in NEVER_CALLED:
                    yield name
            case ast.Call(func=func, keywords=keywords):
                given = {each.arg for each in keywords}
                name = ast.unparse(func)
                for wanted, makers in TAKE_A_CLIENT.items():
                    if name.endswith(makers) and name.split(".")[-1] in {
                        each.split(".")[-1] for each in makers
                    }:
                        yield from () if wanted in given else (name,)


@pytest.mark.parametrize("path", PRODUCT, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_opens_no_connection(path: Path) -> None:
    assert list(outward(ast.parse(path.read_text("utf-8")))) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import httpx", ["httpx"]),
        ("from urllib.request import urlopen", ["urllib.request"]),
        ("from urllib import request", ["urllib.request"]),
        ("from trio import open_tcp_stream", ["trio.open_tcp_stream"]),
        ("trio.socket.socket()", ["trio.socket.socket"]),
        ("a = httpx2.AsyncClient", ["httpx2.AsyncClient"]),
        ("openai.AsyncOpenAI(api_key='k')", ["openai.AsyncOpenAI"]),
        ("AsyncOpenAI(http_client=ours)", []),
        ("genai.Client(api_key='k')", ["genai.Client"]),
        ("guard.Client()", []),
        ("from urllib.parse import urlsplit", []),
    ],
)
def test_the_lint_finds_what_is_planted(text: str, found: list[str]) -> None:
    assert list(outward(ast.parse(text))) == found


def test_the_guard_itself_is_what_the_lint_looks_for() -> None:
    [guard, gathered, connection] = sorted(GUARD, reverse=True)
    assert list(outward(ast.parse(guard.read_text("utf-8")))) == ["trio.socket.socket"]
    assert list(outward(ast.parse(gathered.read_text("utf-8")))) == ["httpcore2"]
    found = set(outward(ast.parse(connection.read_text("utf-8"))))
    assert found == {"httpcore2", "httpx2.AsyncClient", "httpx2.AsyncHTTPTransport"}


class Watched(Served):
    """A service whose interpreter reports each connect."""

    @property
    def record(self) -> Path:
        return self.data.with_name("connects.jsonl")

    def command(self) -> list[str]:
        script = str(Path(__file__).with_name("watched_runchat.py"))
        serve = ["serve", "--port", str(self.port), "--data", str(self.data)]
        return [sys.executable, script, str(self.record), *serve]


@requirement("egress.nobody-else")
def test_every_connect_of_a_service_is_the_guards(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.settimeout(1)
        unused.bind(("127.0.0.1", 0))  # and nobody listens
        port = unused.getsockname()[1]
        served = Watched(tmp_path / "data")
        served.start(
            PYTHONPATH=str(ROOT),
            RUNCHAT_ENDPOINTS__UP__BASE_URL=f"http://127.0.0.1:{port}/v1",
            RUNCHAT_ENDPOINTS__UP__MODELS="m",
            RUNCHAT_ENDPOINTS__UP__ALLOW_LOOPBACK="true",
            RUNCHAT_ENDPOINTS__INSIDE__BASE_URL="http://10.9.9.9/v1",
            RUNCHAT_ENDPOINTS__INSIDE__MODELS="m",
        )
        try:
            ends = [asked(served, model) for model in ("up/m", "inside/m")]
            counted = served.api.get("/metrics").text
        finally:
            served.stop()
    assert [end["status"] for end in ends] == ["incomplete", "failed"]
    assert ends[1]["error"]["code"] == "address_not_allowed"
    found = [json.loads(line) for line in served.record.read_text().splitlines()]
    assert {tuple(each[1]) for each in found} == {("127.0.0.1", port)}
    assert {each[2] for each in found} == {True}
    rule = 'runchat_egress_decisions_total{decision="block",rule="private",purpose="provider"}'
    assert rule in counted


def asked(served: Served, model: str) -> dict[str, Any]:
    """Ask a model; return how the job ended."""
    job = served.ask(served.conversation(), input="Hello", model=model)
    ended: dict[str, Any] = served.whole(job)[-1]["data"]
    return ended
