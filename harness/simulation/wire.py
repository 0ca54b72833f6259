"""HTTP/1.1 as a client speaks it, over any trio stream: one request, one answer, or one stream.

Theory: the client's half is h11, so the service's bytes are parsed by somebody else's rules; the
event stream is parsed here, and strictly: whatever is not one of the blocks that the contract names
is an error, where a browser would be lenient. Source: RFC 9112; WHATWG HTML section 9.2.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import h11
import orjson
import trio

from harness.simulation.network import Line, Pipe

ANSWER_S: Final = 60.0  # virtual; longer than every bound inside the product
RECEIVE_BYTES: Final = 64 * 1024
FRAME: Final = re.compile(rb"id: (\d+)\nevent: ([a-z.]+)\ndata: ([^\n]+)")
PLACE: Final = re.compile(rb"id: (\d+)")
QUIET: Final = re.compile(rb"(retry: \d+)?\n?(:[ ]*)?")
Pairs: TypeAlias = tuple[tuple[bytes, bytes], ...]
GONE: Final = (trio.BrokenResourceError, trio.ClosedResourceError)


class Lost(Exception):
    """The connection ended before the answer did."""


class Garbled(Exception):
    """The service sent what the contract does not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer."""

    status: int
    pairs: Pairs  # of its header
    body: bytes

    @property
    def headers(self) -> dict[str, str]:
        """Return its header; names are in lower case."""
        return {name.decode().lower(): value.decode() for name, value in self.pairs}

    def json(self) -> Any:
        """Return the body as JSON."""
        return orjson.loads(self.body)


@dataclass(frozen=True, slots=True)
class Frame:
    """One block of an event stream; `event` None sets the cursor alone."""

    id: int
    event: str | None = None
    data: bytes = b""


class Asked:
    """One request and its answer, by whatever way they go."""

    async def send(
        self, method: str, path: str, *, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> None:
        """Send the request.

        Raises:
            Lost: nobody listens.
        """
        raise NotImplementedError

    async def head(self) -> tuple[int, Pairs]:
        """Return status and header of the answer.

        Raises:
            Lost: the connection ended before.
        """
        raise NotImplementedError

    def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the body as it comes, until its end.

        Raises:
            Lost: the connection ended before.
        """
        raise NotImplementedError

    def hang_up(self) -> None:
        """Let go of the connection."""
        raise NotImplementedError

    @property
    def incoming(self) -> Line:
        """The line by which the answer comes."""
        raise NotImplementedError

    async def answer(
        self, method: str, path: str, *, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send the request and return the whole answer.

        Raises:
            Lost: it did not come.
            TooSlowError: neither came within ANSWER_S.
        """
        with trio.fail_after(ANSWER_S):
            await self.send(method, path, body=body, headers=headers)
            status, pairs = await self.head()
            pieces = [piece async for piece in self.chunks()]
        return Answer(status=status, pairs=pairs, body=b"".join(pieces))

    async def frames(self) -> AsyncGenerator[Frame, None]:
        """Yield the blocks of an event stream that carry an id, until its clean end.

        Raises:
            Lost: the connection ended before; the blocks that were whole have been yielded.
            Garbled: a block is none of the contract's.
        """
        rest = b""
        async with aclosing(self.chunks()) as chunks:
            async for piece in chunks:
                *blocks, rest = (rest + piece).split(b"\n\n")
                for block in blocks:
                    if (frame := parse(block)) is not None:
                        yield frame
        if rest:
            raise Garbled(f"a clean end in the middle of a block: {rest!r}")


class Exchange(Asked):
    """One request on a connection of its own."""

    def __init__(self, stream: Pipe, caller: str) -> None:
        """Take an open connection.

        Args:
            caller: goes into the Authorization header as the token.
        """
        self._stream, self._caller = stream, caller
        self._h11 = h11.Connection(h11.CLIENT)

    async def send(
        self, method: str, path: str, *, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> None:
        raw = b"" if body is None else orjson.dumps(body)
        sent = {"Host": "127.0.0.1:8787", "Authorization": f"Bearer {self._caller}"}
        if body is not None:
            sent |= {"Content-Type": "application/json", "Content-Length": str(len(raw))}
        request = h11.Request(
            method=method, target=path, headers=list((sent | dict(headers or {})).items())
        )
        out = (
            [request, h11.EndOfMessage()]
            if not raw
            else [request, h11.Data(raw), h11.EndOfMessage()]
        )
        data = b"".join(self._h11.send(event) or b"" for event in out)
        try:
            await self._stream.send_all(data)
        except GONE as gone:
            raise Lost from gone

    async def head(self) -> tuple[int, Pairs]:
        event = await self._next()
        if not isinstance(event, h11.Response):
            raise Lost(repr(event))
        return event.status_code, tuple(event.headers)

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        while not isinstance(event := await self._next(), h11.EndOfMessage):
            yield bytes(event.data)

    def hang_up(self) -> None:
        self._stream.hang_up()

    @property
    def incoming(self) -> Line:
        return self._stream.incoming

    async def _next(self) -> Any:
        while True:
            try:
                event = self._h11.next_event()
            except h11.RemoteProtocolError as broken:
                raise Lost(str(broken)) from broken
            if event is h11.NEED_DATA:
                try:
                    self._h11.receive_data(bytes(await self._stream.receive_some(RECEIVE_BYTES)))
                except GONE as gone:
                    raise Lost from gone
            elif isinstance(event, h11.ConnectionClosed):
                raise Lost("closed")
            else:
                return event


def parse(block: bytes) -> Frame | None:
    """Return the block's frame; None for a comment or a `retry:`.

    Raises:
        Garbled: it is neither.
    """
    if match := FRAME.fullmatch(block):
        return Frame(int(match[1]), match[2].decode(), match[3])
    if match := PLACE.fullmatch(block):
        return Frame(int(match[1]))
    if QUIET.fullmatch(block):
        return None
    raise Garbled(repr(block[:200]))
