"""Any recorded stream comes by its name, over any wire's path, whole or broken as asked."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
import trio

from harness.upstream.recordings import Recordings

BODY = 'data: {"a": "é"}\r\n\r\ndata: [DONE]\n\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "wire").mkdir()
    (tmp_path / "wire" / "one.sse").write_bytes(BODY.encode())
    index = [{"id": "vendor--one", "wire": "openai-chat", "file": "wire/one.sse"}]
    (tmp_path / "index.json").write_text(json.dumps(index), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    "path",
    [
        *("/v1/chat/completions", "/v1/responses", "/v1/messages"),
        "/v1beta/models/vendor--one%40split=2:streamGenerateContent?alt=sse",
    ],
)
async def test_a_model_picks_its_stream_on_every_wire(
    path: str, folder: Path, nursery: trio.Nursery
) -> None:
    port = await nursery.start(Recordings(folder).serve)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        body = {} if "models" in path else {"model": "vendor--one"}
        answer = await client.post(path, json=body)
    assert answer.content == BODY.encode()


@pytest.mark.parametrize(
    ("ways", "writes", "then"),
    [
        ("", ['data: {"a": "é"}\r\n\r\n', "data: [DONE]\n\n"], "end"),
        ("@crlf=1", ['data: {"a": "é"}\r\n\r\n', "data: [DONE]\r\n\r\n"], "end"),
        ("@events=1,stall=1", ['data: {"a": "é"}\r\n\r\n'], "stall"),
        ("@cut=0.15,rst=1", ["data:"], "reset"),
        ("@split=4,cut=0.2", ["data", ": {"], "end"),
    ],
)
def test_how_it_is_sent_is_said_behind_its_name(
    ways: str, writes: list[str], then: str, folder: Path
) -> None:
    script = Recordings(folder).find(f"vendor--one{ways}")
    assert script is not None
    assert [each.decode() for each in script.writes()] == writes
    assert script.then == then


@pytest.mark.parametrize("model", ["vendor--two", "vendor--one@speed=9"])
def test_what_is_not_there_is_not_played(model: str, folder: Path) -> None:
    assert Recordings(folder).find(model) is None
    assert Recordings(folder).find("hello") is not None
