"""HTTP and event streams as thousands of tasks speak them: trio sockets and nothing between.

`Line` is a connection that asks and waits; `frames` follows an event stream. Every wait is bounded,
and a wait that was too long is an error that names what was waited for.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any

import trio

from harness.bench.wire import (
    GOOD_MAX,
    GOOD_MIN,
    HOST,
    JSON,
    NO_CONTENT,
    NO_HEADERS,
    SSE,
    Target,
    status_of,
)
from harness.soak.judging import Wrong

ANSWER_S = 120.0  # of a service under full load; longer than that, something hangs
BUSY = 503
BUSY_MAX = 10  # such answers to one request; a service that says more is stuck
SILENCE_S = 60.0  # of an event stream: its heartbeats come every 15 s
PIECE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Said:
    """An answer."""

    status: int
    headers: str
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)

    @property
    def retry_after_s(self) -> int | None:
        """In how many seconds to come again, where the answer says so."""
        told = re.search(r"^retry-after: *([0-9]+)\r$", self.headers, re.MULTILINE)
        return int(told[1]) if told else None


class Line:
    """One connection; a service that has closed it meanwhile is called again."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._stream: trio.SocketStream | None = None
        self._rest = b""
        self.busy = 0  # answers that said to come again

    async def connect(self) -> trio.SocketStream:
        """Open the connection where it is not open."""
        if self._stream is None:
            self._stream = await trio.open_tcp_stream(HOST, self._target.port)
            self._rest = b""
        return self._stream

    async def aclose(self) -> None:
        """Hang up, at once."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.socket.close()

    async def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        accept: str = JSON,
        extra: Mapping[str, str] = NO_HEADERS,
    ) -> Said:
        """Return the answer to a request.

        Raises:
            Wrong: none came in time.
        """
        request = self._target.request(method, path, body=body, accept=accept, extra=extra)
        try:
            with trio.fail_after(ANSWER_S):
                stream = await self.connect()
                await stream.send_all(request)
                head = (await self._until(b"\r\n\r\n")).decode("latin-1").lower()
                return Said(status_of(head), head, await self._body(head))
        except trio.TooSlowError:
            raise Wrong(f"{method} {path}: no answer in {ANSWER_S} s") from None

    async def good(self, method: str, path: str, message: Any = None) -> Any:
        """Return the JSON of a good answer; who is told to come again does so, a few times.

        Raises:
            Wrong: it is a refusal.
        """
        body = b"" if message is None else json.dumps(message).encode()
        said = await self.ask(method, path, body)
        for _ in range(BUSY_MAX):
            if said.status != BUSY or said.retry_after_s is None:
                break
            self.busy += 1
            await trio.sleep(said.retry_after_s)
            said = await self.ask(method, path, body)
        if not GOOD_MIN <= said.status <= GOOD_MAX:
            raise Wrong(f"{method} {path}: {said.status} {said.body[:300]!r}")
        return said.json() if said.body else None

    async def _body(self, head: str) -> bytes:
        if status_of(head) == NO_CONTENT:
            return b""
        if "transfer-encoding: chunked" in head:
            chunks = []
            while (chunk := await self._chunk("a page")) is not None:
                chunks.append(chunk)
            return b"".join(chunks)
        size = int(head.partition("content-length:")[2].partition("\r\n")[0] or 0)
        while len(self._rest) < size:
            self._rest += await self._receive()
        body, self._rest = self._rest[:size], self._rest[size:]
        return body

    async def _until(self, mark: bytes) -> bytes:
        while (end := self._rest.find(mark)) < 0:
            self._rest += await self._receive()
        end += len(mark)
        found, self._rest = self._rest[:end], self._rest[end:]
        return found

    async def _receive(self) -> bytes:
        stream = await self.connect()
        if not (data := await stream.receive_some(PIECE)):
            raise trio.BrokenResourceError
        return data

    async def frames(
        self, path: str, *, resume: str = ""
    ) -> AsyncGenerator[dict[str, bytes], None]:
        """Yield the frames of an event stream until the service ends it; comments are left out.

        A stream that is answered with 204 has none.

        Raises:
            Wrong: it was refused, or was silent for too long.
        """
        stream = await self.connect()
        await stream.send_all(self._target.request("GET", path, accept=SSE, resume=resume))
        with trio.fail_after(ANSWER_S):
            head = (await self._until(b"\r\n\r\n")).decode("latin-1").lower()
        if status_of(head) == NO_CONTENT:
            return
        if status_of(head) != GOOD_MIN:
            raise Wrong(f"{path}: {status_of(head)}")
        waiting = b""
        while (piece := await self._chunk(path)) is not None:
            *blocks, waiting = (waiting + piece).split(b"\n\n")
            for block in blocks:
                if fields := _fields(block):
                    yield fields

    async def _chunk(self, path: str) -> bytes | None:
        """Return one chunk; None for the last."""
        with trio.move_on_after(SILENCE_S):
            size = int((await self._until(b"\r\n")).partition(b";")[0], 16)
            while len(self._rest) < size + 2:
                self._rest += await self._receive()
            chunk, self._rest = self._rest[:size], self._rest[size + 2 :]
            return chunk or None
        raise Wrong(f"{path}: silent for {SILENCE_S} s")


def _fields(block: bytes) -> dict[str, bytes]:
    """Return the fields of a frame that has data; nothing of any other block."""
    fields: dict[str, bytes] = {}
    for line in block.split(b"\n"):
        name, _, value = line.partition(b":")
        if name:
            fields[name.decode()] = value.removeprefix(b" ")
    return fields if "data" in fields else {}
