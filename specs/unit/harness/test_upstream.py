"""The upstream plays its scripts and remembers what it was asked."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import sys

import httpx
import pytest
import trio

from harness.upstream.program import Upstream
from harness.upstream.script import Script, chunk, read_script


@pytest.mark.parametrize(
    ("script", "writes"),
    [
        (Script(chunks=(), cut_events=0), []),
        (Script(chunks=()), [b"data: [DONE]\n\n"]),
        (Script(chunks=(), line_end="\r\n"), [b"data: [DONE]\r\n\r\n"]),
        (Script(raw="abcdef", split_bytes=4), [b"abcd", b"ef"]),
        (Script(raw="abcdef", cut_bytes=3), [b"abc"]),
        (Script(status=500, error={"a": 1}), [b'{"a":1}']),
    ],
)
def test_a_script_says_what_is_written(script: Script, writes: list[bytes]) -> None:
    assert script.writes() == writes


def test_a_script_is_read_from_json() -> None:
    read = read_script({"chunks": [chunk({"content": "a"})], "then": "reset", "cut_events": 1})
    assert read == Script(chunks=(chunk({"content": "a"}),), then="reset", cut_events=1)


def test_the_program_announces_itself_plays_a_script_and_ends_with_its_input() -> None:
    command = [sys.executable, "-m", "harness.upstream", "--port", "0", "--announce", "json"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            ready = json.loads(process.stdout.readline())
            assert (ready["ready"], ready["pid"]) == (True, process.pid)
            with httpx.Client(base_url=ready["url"], timeout=10, trust_env=False) as client:
                assert client.put("/scripts/m", json={"text": "hi", "done": False}).json() == {
                    "set": True
                }
                no_scripts = [b"{", b'{"text": "\\ud800"}', b'{"txt": ""}', b"[]"]
                refused = [client.put("/scripts/m", content=each) for each in no_scripts]
                assert [each.status_code for each in refused] == [400] * 4
                body = {"model": "m", "messages": [], "stream": True}
                said = client.post("/v1/chat/completions", json=body).text
                assert said.count("data: ") == 3
                assert client.post("/v1/chat/completions", json={"model": "no"}).status_code == 404
                records = client.get("/records").json()
                assert [each["model"] for each in records] == ["m", "no"]
                assert records[0]["client_left_at"] is None
            process.stdin.close()
            assert process.wait(timeout=10) == 0
        finally:
            process.kill()


async def test_a_client_that_leaves_while_it_is_written_to_is_noted(
    nursery: trio.Nursery,
) -> None:
    upstream = Upstream({"m": Script(raw="x" * 50_000_000, split_bytes=1_000_000)})
    port = await nursery.start(upstream.serve)
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    body = b'{"model": "m"}'
    head = b"POST /chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    await stream.send_all(head + body)
    assert (await stream.receive_some(12)) == b"HTTP/1.1 200"
    reset = struct.pack("ii", 1, 0)
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
    await stream.aclose()
    with trio.fail_after(5):
        await upstream.records[0].left.wait()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        assert (await client.get("/v1/models")).status_code == 200
