"""A server on loopback that answers each request by a plain function, and remembers it."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import trio

HEAD_END = b"\r\n\r\n"


@dataclass(slots=True, kw_only=True)
class Seen:
    """What came in, and over how many connections."""

    port: int = 0
    connections: int = 0
    requests: list[dict[str, str]] = field(default_factory=list)  # headers, and "" the first line

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


Answer = Callable[[str], Iterator[bytes]]  # of the first line of a request


def whole(body: bytes = b"", *headers: str, status: str = "200 OK") -> Iterator[bytes]:
    """Yield one answer of known length."""
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    yield "\r\n".join(head).encode() + body


def leading(location: str, status: str = "302 Found") -> Answer:
    return lambda _: whole(b"", f"Location: {location}", status=status)


@asynccontextmanager
async def serving(answer: Answer, tls: ssl.SSLContext | None = None) -> AsyncIterator[Seen]:
    """Serve on a free port of loopback."""
    seen = Seen()

    async def serve(plain: trio.SocketStream) -> None:
        stream: trio.abc.Stream = plain
        if tls is not None:
            stream = trio.SSLStream(plain, tls, server_side=True, https_compatible=True)
        seen.connections += 1
        try:
            await talk(stream, seen, answer)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return  # the client has left, as some of them are to

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, serve, 0)
        seen.port = listeners[0].socket.getsockname()[1]
        with trio.fail_after(10):
            yield seen
        nursery.cancel_scope.cancel()


async def talk(stream: trio.abc.Stream, seen: Seen, answer: Answer) -> None:
    """Answer every request of one connection."""
    left = b""
    while True:
        while HEAD_END not in left:
            more = await stream.receive_some(65536)
            if not more:
                return
            left += more
        head, _, left = left.partition(HEAD_END)
        first, *lines = head.decode().split("\r\n")
        pairs = (line.split(": ", 1) for line in lines)
        headers = {name.lower(): value for name, value in pairs}
        seen.requests.append({"": first, **headers})
        while len(left) < int(headers.get("content-length", 0)):
            left += await stream.receive_some(65536)
        left = left[int(headers.get("content-length", 0)) :]
        for piece in answer(first):
            await stream.send_all(piece)
