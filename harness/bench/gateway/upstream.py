"""The provider behind the gateways that are measured: `python -m harness.bench.gateway.upstream`.

It speaks Chat Completions over plain sockets and answers at once, from bytes made before: one JSON
object, or CHUNKS chunks, a write each. The model `drip` never ends; when its client leaves is noted
by the machine's monotonic clock, and `GET /left` tells those times.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, Final

import trio

CHUNKS: Final = 100
DRIP_S: Final = 0.02
READ_BYTES: Final = 64 * 1024
BASE: Final = {"id": "chatcmpl-1", "created": 1, "model": "fake"}
USAGE: Final = {"prompt_tokens": 10, "completion_tokens": CHUNKS, "total_tokens": 10 + CHUNKS}
STREAM_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)
LAST: Final = b"0\r\n\r\n"


def _chunk(delta: Mapping[str, Any], reason: str | None = None, **more: Any) -> bytes:
    choices = [] if more else [{"index": 0, "delta": delta, "finish_reason": reason}]
    said = {**BASE, "object": "chat.completion.chunk", "choices": choices, **more}
    return _framed(b"data: " + json.dumps(said).encode() + b"\n\n")


def _framed(event: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(event), event)


def _whole() -> bytes:
    said = "".join(f"tok{number} " for number in range(CHUNKS))
    message = {"role": "assistant", "content": said}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return _json({**BASE, "object": "chat.completion", "choices": [choice], "usage": USAGE})


def _json(value: Any) -> bytes:
    body = json.dumps(value).encode()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    return head % len(body) + body


WHOLE: Final = _whole()
WORD: Final = _chunk({"role": "assistant", "content": "tok "})
STREAM: Final = (
    STREAM_HEAD,
    *(_chunk({"role": "assistant", "content": f"tok{number} "}) for number in range(CHUNKS)),
    _chunk({}, "stop"),
    _chunk({}, usage=USAGE),
    _framed(b"data: [DONE]\n\n") + LAST,
)


class Upstream:
    """The provider, and when the clients of its endless answers left."""

    def __init__(self) -> None:
        self._left_ns: list[int] = []

    async def serve(self, stream: trio.SocketStream) -> None:
        """Answer one request after the other."""
        rest = b""
        async with stream:
            try:
                while True:
                    while b"\r\n\r\n" not in rest:
                        if not (data := await stream.receive_some(READ_BYTES)):
                            return
                        rest += data
                    head, _, rest = rest.partition(b"\r\n\r\n")
                    size = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
                    while len(rest) < int(size or 0):
                        rest += await stream.receive_some(READ_BYTES)
                    body, rest = rest[: int(size or 0)], rest[int(size or 0) :]
                    await self._answer(stream, head, body)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return

    async def _answer(self, stream: trio.SocketStream, head: bytes, body: bytes) -> None:
        asked = json.loads(body) if body else {}
        if head.startswith(b"GET"):
            await stream.send_all(_json(self._left_ns))
        elif asked.get("model") == "drip":
            await self._drip(stream)
        elif asked.get("stream"):
            for piece in STREAM:
                await stream.send_all(piece)
        else:
            await stream.send_all(WHOLE)

    async def _drip(self, stream: trio.SocketStream) -> None:
        async with trio.open_nursery() as nursery:

            async def watch() -> None:
                try:
                    while await stream.receive_some(READ_BYTES):
                        pass
                except trio.BrokenResourceError:
                    pass  # reset: it has left too
                self._left_ns.append(time.monotonic_ns())
                nursery.cancel_scope.cancel()

            nursery.start_soon(watch)
            await stream.send_all(STREAM_HEAD)
            while True:
                await stream.send_all(WORD)
                await trio.sleep(DRIP_S)


async def main() -> None:
    """Serve until killed; say where."""
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    print(json.dumps({"url": f"http://127.0.0.1:{port}"}), flush=True)
    await trio.serve_listeners(Upstream().serve, [listener])


if __name__ == "__main__":
    trio.run(main)
