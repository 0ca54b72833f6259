"""The client of a gateway, as little as can be: the same closed loop for each that is measured.

A connection asks again as soon as it has its answer. Of a stream the first data and the end are
noted; what an answer says is held against what the upstream said, so that a quick refusal is no
figure.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Final

import orjson
import trio

from harness.bench.figures import Wrong
from harness.bench.gateway.upstream import CHUNKS
from harness.bench.wire import HOST, SSE, Target

READ_BYTES: Final = 256 * 1024
SAID: Final = "".join(f"tok{number} " for number in range(CHUNKS))
MESSAGES: Final = [{"role": "user", "content": "hi"}]


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to the upstream: where it is asked, by which path, for which model."""

    name: str
    target: Target
    model: str
    path: str = "/v1/chat/completions"

    def request(self, *, stream: bool, model: str = "") -> bytes:
        """Return the bytes of a question."""
        said = {"input": "hi"} if self.path.endswith("responses") else {"messages": MESSAGES}
        body = orjson.dumps({"model": model or self.model, **said, "stream": stream})
        return self.target.request("POST", self.path, body=body, accept=SSE if stream else "*/*")


@dataclass(slots=True, kw_only=True)
class Times:
    """What a loop took, in seconds: each answer, its first data, and all together."""

    whole: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    all_s: float = 0.0


def ask(way: Way, *, stream: bool, connections: int, each: int) -> Times:
    """Ask so often over each of so many connections at once.

    Raises:
        Wrong: an answer is a refusal, or does not say what the upstream said.
    """
    return trio.run(_ask, way, stream, connections, each)


async def _ask(way: Way, stream: bool, connections: int, each: int) -> Times:
    times, request = Times(), way.request(stream=stream)
    began = time.perf_counter()
    async with trio.open_nursery() as nursery:
        for _ in range(connections):
            nursery.start_soon(_loop, way, request, each, times)
    times.all_s = time.perf_counter() - began
    return times


async def _loop(way: Way, request: bytes, each: int, times: Times) -> None:
    async with await trio.open_tcp_stream(HOST, way.target.port) as connection:
        for _ in range(each):
            began = time.perf_counter()
            await connection.send_all(request)
            data = first = b""
            first_s = 0.0
            while not _is_whole(data):
                piece = await connection.receive_some(READ_BYTES)
                if not piece:
                    raise Wrong(f"{way.name} ended the connection: {data[:200]!r}")
                data += piece
                if not first_s and b"tok0" in data:
                    first_s, first = time.perf_counter(), data
            times.whole.append(time.perf_counter() - began)
            times.first.append((first_s or time.perf_counter()) - began)
            if not first or said(data) != SAID:
                raise Wrong(f"{way.name} said something else: {data[:300]!r}")


def _is_whole(data: bytes) -> bool:
    head, end, body = data.partition(b"\r\n\r\n")
    if not end:
        return False
    length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
    return len(body) >= int(length) if length else body.endswith(b"0\r\n\r\n")


def said(data: bytes) -> str:
    """Return the words of an answer of either API, whole or in events."""
    head, _, body = data.partition(b"\r\n\r\n")
    if b"chunked" not in head.lower():
        whole = orjson.loads(body)
        if "choices" in whole:
            return str(whole["choices"][0]["message"]["content"])
        return str(whole["output"][0]["content"][0]["text"])
    pieces: list[str] = []
    for line in body.split(b"\n"):
        if line.startswith(b"data: {"):
            event = orjson.loads(line[len(b"data: ") :])
            pieces += [each["delta"].get("content") or "" for each in event.get("choices", ())]
    return "".join(pieces)
