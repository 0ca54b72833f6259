"""The naive way to fan out, for comparison: one ASGI application on Hypercorn, a channel a reader.

`GET /` is a stream, `POST /?count=&interval_ms=` makes that many events for all of them. Nothing is
kept, nothing is batched, nothing is shared but the bytes of a frame. It says on stdout where it is.
"""

from __future__ import annotations

import json
import signal
import socket
import time
from typing import Any
from urllib.parse import parse_qs

import trio
from hypercorn.config import Config
from hypercorn.trio import serve

BACKLOG = 1024
WAITING_MAX = 100_000  # frames waiting for one reader


class Fan:
    """The application and its readers."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self._readers: set[trio.MemorySendChannel[bytes]] = set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await trio.sleep_forever()
        if scope["method"] == "POST":
            asked = parse_qs(scope["query_string"].decode())
            count, interval_ms = (int(asked[name][0]) for name in ("count", "interval_ms"))
            self._nursery.start_soon(self._say, count, interval_ms)
            headers = [(b"content-length", b"2")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b"{}"})
            return
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b":\n\n", "more_body": True})
        into, out = trio.open_memory_channel[bytes](WAITING_MAX)
        self._readers.add(into)
        try:
            async for frame in out:
                await send({"type": "http.response.body", "body": frame, "more_body": True})
        finally:
            self._readers.discard(into)

    async def _say(self, count: int, interval_ms: int) -> None:
        begun = trio.current_time()
        for number in range(1, count + 1):
            await trio.sleep_until(begun + number * interval_ms / 1000)
            data = json.dumps({"text": str(time.monotonic_ns())}, separators=(",", ":"))
            frame = f"id: {number}\nevent: item.delta\ndata: {data}\n\n".encode()
            for reader in self._readers:
                reader.send_nowait(frame)


async def main() -> None:
    """Serve until SIGTERM."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(BACKLOG)
    config = Config()
    config.bind = [f"fd://{listening.fileno()}"]
    config.accesslog = config.errorlog = None
    async with trio.open_nursery() as nursery:
        with trio.open_signal_receiver(signal.SIGTERM) as signals:
            nursery.start_soon(serve, Fan(nursery), config)
            print(json.dumps({"port": listening.getsockname()[1]}), flush=True)
            async for _ in signals:
                nursery.cancel_scope.cancel()
                return


if __name__ == "__main__":
    trio.run(main)
