"""The chunks of a body that one read brought, as one chunk: HTTP/1.1 bytes in, HTTP/1.1 bytes out.

A provider sends each event as a chunk of its own; a hundred that have come together would cost a
hundred turns through h11, httpcore2 and httpx2. What is written anew is chunks alone, and says the
same; heads, other kinds of body, trailers and whatever is not understood go through as they came,
for h11 to judge. Nothing is held back but the beginning of a chunk's first or last line.
Source: RFC 9112, sections 6 and 7.1.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Final

import httpcore2

CHUNKED: Final = re.compile(
    rb"HTTP/1\.1 .*\r\ntransfer-encoding:[ \t]*chunked[ \t]*\r\n", re.IGNORECASE | re.DOTALL
)
INTERIM: Final = re.compile(rb"HTTP/1\.1 1\d\d")
SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,8})\r\n")
LINE_BYTES: Final = 16  # a longer first line has extensions
HEAD_END: Final = b"\r\n\r\n"
LINE_END: Final = b"\r\n"


class _State(Enum):
    HEAD = auto()
    CHUNKS = auto()
    AS_IT_COMES = auto()


class Gathered:
    """What a connection reads, one response after the other."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Expect the head of a response: a request is being sent."""
        self._state = _State.HEAD
        self._rest = b""  # of a head; or the beginning of a line
        self._left = 0  # of the chunk under way
        self._is_open = False  # that chunk has not had its last line

    def take(self, data: bytes) -> bytes:
        """Return what stands for `data`; nothing where that is half a line.

        Raises:
            httpcore2.RemoteProtocolError: a chunk is longer than it said.
        """
        match self._state:
            case _State.HEAD:
                return self._head(data)
            case _State.CHUNKS:
                return self._chunks(data)
            case _State.AS_IT_COMES:
                return data

    def _head(self, data: bytes) -> bytes:
        """Return the data, its chunks gathered where the head ends in it."""
        seen = self._rest + data
        while INTERIM.match(seen) and HEAD_END in seen:
            seen = seen.partition(HEAD_END)[2]
        head, end, behind = seen.partition(HEAD_END)
        self._rest = b"" if end else seen
        if not end:
            return data
        if not CHUNKED.match(head + LINE_END):
            self._state = _State.AS_IT_COMES
            return data
        self._state = _State.CHUNKS
        return data.removesuffix(behind) + self._chunks(behind)

    def _chunks(self, data: bytes) -> bytes:
        data, self._rest = self._rest + data, b""
        found: list[bytes] = []
        at = 0
        while at < len(data):
            if self._left:
                piece = data[at : at + self._left]
                found.append(piece)
                at += len(piece)
                self._left -= len(piece)
            elif (ends := self._line(data, at)) is None:
                break
            else:
                at = ends
        if self._state is _State.CHUNKS:
            self._rest = data[at:]
        body = b"".join(found)
        tail = data[at:] if self._state is _State.AS_IT_COMES else b""
        return (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + tail

    def _line(self, data: bytes, at: int) -> int | None:
        """Read a chunk's last line, or the next one's first; return where it ends.

        None: it is not whole; or from here all goes through as it comes.
        """
        if self._is_open:
            if len(data) - at == 1 and data[at:] == LINE_END[:1]:
                return None
            if not data.startswith(LINE_END, at):
                raise httpcore2.RemoteProtocolError("A chunk is longer than it said.")
            self._is_open = False
            return at + len(LINE_END)
        line = SIZE.match(data, at)
        self._left = int(line[1], 16) if line else 0
        self._is_open = self._left > 0
        if line and self._left:
            return line.end()
        if line or len(data) - at >= LINE_BYTES or b"\n" in data[at:]:
            self._state = _State.AS_IT_COMES
        return None
