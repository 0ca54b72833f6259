"""The small MCP server over HTTP, on loopback, remembering what it was asked."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import trio

from specs.support.mcp_program import NAMES, answer

MEBIBYTE = 2**20 * b"x"
HEAD_END = b"\r\n\r\n"
Answers: TypeAlias = Callable[[dict[str, Any], list[str]], dict[str, Any] | None]


@dataclass(slots=True, kw_only=True)
class Asked:
    """Where it is, the methods it was asked for, and the heads of the requests in lower case."""

    url: str = ""
    methods: list[str] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    redirect: str = ""  # where every request is sent on to
    endless: bool = False  # whether a call is answered by a gigabyte


async def requests(stream: trio.SocketStream) -> AsyncGenerator[tuple[str, bytes], None]:
    """Yield the head and the body of each request of a connection."""
    left = b""
    while True:
        while HEAD_END not in left:
            more = await stream.receive_some(65536)
            if not more:
                return
            left += more
        head, _, left = left.partition(HEAD_END)
        lines = head.decode().lower().split("\r\n")
        size = sum(int(each.split(":")[1]) for each in lines if each.startswith("content-length"))
        while len(left) < size:
            left += await stream.receive_some(65536)
        yield "\n".join(lines), left[:size]
        left = left[size:]


def told(status: str, body: bytes = b"") -> bytes:
    head = (f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(body)}")
    return "\r\n".join((*head, "", "")).encode() + body


@asynccontextmanager
async def serving(answers: Answers = answer) -> AsyncIterator[Asked]:
    """Serve on a free port."""
    asked, names = Asked(), list(NAMES)

    async def reply(first: str, body: bytes) -> bytes:
        if asked.redirect:
            there = f"307 Temporary Redirect\r\nLocation: {asked.redirect}"
            return told(there)
        if not first.startswith("post"):
            return told("405 Not Allowed")
        message = json.loads(body)
        asked.heads.append(first)
        asked.methods.append(message.get("method", ""))
        found = answers(message, names)
        if found is None and "id" in message:
            await trio.sleep_forever()
        return told("200 OK", json.dumps(found).encode()) if found else told("202 Accepted")

    async def served(stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):  # the client has left
            async with aclosing(requests(stream)) as coming:
                async for first, body in coming:
                    if asked.endless and b"tools/call" in body:
                        await stream.send_all(told("200 OK").replace(b": 0", b": %d" % 2**30))
                        while True:
                            await stream.send_all(MEBIBYTE)
                    await stream.send_all(await reply(first, body))

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, served, 0)
        asked.url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}/mcp"
        yield asked
        nursery.cancel_scope.cancel()
