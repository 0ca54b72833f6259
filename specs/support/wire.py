"""Bytes as they go over the wire, for what an HTTP client would hide."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from specs.support.server import Service


def request(
    running: Service, method: str, path: str, *headers: str, host: str | None = None
) -> bytes:
    """Return a request's header, ready to send."""
    named = f"Host: {host or f'127.0.0.1:{running.port}'}"
    return "\r\n".join([f"{method} {path} HTTP/1.1", named, *headers, "", ""]).encode()


@asynccontextmanager
async def line(running: Service, port: int | None = None) -> AsyncIterator[trio.SocketStream]:
    """Open a bare connection to the service, on another port of it where one is given."""
    stream = await trio.open_tcp_stream("127.0.0.1", port or running.port)
    async with stream:
        yield stream


async def receive_until(stream: trio.abc.ReceiveStream, mark: bytes) -> bytes:
    """Receive up to and including `mark`, or to the end of the stream."""
    received = b""
    while mark not in received:
        piece = await stream.receive_some(65536)
        if not piece:
            break
        received += piece
    return received


async def receive_all(stream: trio.abc.ReceiveStream) -> bytes:
    """Receive to the end of the stream; a reset is an end too."""
    received = b""
    try:
        while piece := await stream.receive_some(65536):
            received += piece
    except trio.BrokenResourceError:
        return received
    return received
