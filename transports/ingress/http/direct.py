"""HTTP/1.1 requests that are plainly written, answered without a state machine.

Most requests come in one piece: a small header, a body of known length, on a connection that is
kept; and most answers fit in one write. h11 and Hypercorn take such an exchange apart into a dozen
events, at twice the cost of all else that is done for it. Here a header is held against the strict
form of RFC 9112, and only what fits it to the letter is taken. All else is left to them untouched,
and they judge it: a header in pieces, a target that names a host, chunks, an upgrade, an
expectation, `Connection: close`, and whatever is wrong. The app is called as ever.
Source: RFC 9112, sections 3, 5, 6 and 9.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote

import h11
import trio
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.h11 import H11Protocol

from runtime import limits

START: Final = re.compile(rb"(GET|HEAD|POST|PUT|DELETE|OPTIONS) (/[\x21-\x7e]*|\*) HTTP/1\.1")
FIELD: Final = re.compile(
    rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*"
    rb"([\x21-\x7e\x80-\xff]+(?:[ \t]+[\x21-\x7e\x80-\xff]+)*)[ \t]*"
)
LENGTH: Final = re.compile(rb"[0-9]{1,12}")
JUDGED: Final = frozenset({b"transfer-encoding", b"upgrade", b"expect"})  # by h11
BODILESS: Final = frozenset({204, 304})
FAILED: Final = b"HTTP/1.1 500 \r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
Pairs = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Asked:
    """The header of a request."""

    method: str
    target: bytes
    headers: list[tuple[bytes, bytes]]  # names in lower case
    length: int  # of the body
    body_at: int  # where it begins


def read(data: bytes) -> Asked | None:
    """Return the request that the bytes begin with; None where it is for h11 to judge."""
    end = data.find(b"\r\n\r\n", 0, limits.HEADER_BYTES_MAX)
    if end < 0:
        return None
    first, *lines = data[:end].split(b"\r\n")
    start = START.fullmatch(first)
    if start is None:
        return None
    headers: list[tuple[bytes, bytes]] = []
    hosts, lengths = 0, []
    for line in lines:
        field = FIELD.fullmatch(line)
        if field is None:
            return None
        name, value = field[1].lower(), field[2]
        if name in JUDGED or (name == b"connection" and value.lower() != b"keep-alive"):
            return None
        hosts += name == b"host"
        if name == b"content-length":
            lengths.append(value)
        headers.append((name, value))
    if hosts != 1 or len(lengths) > 1 or not all(LENGTH.fullmatch(each) for each in lengths):
        return None
    length = int(lengths[0]) if lengths else 0
    return Asked(start[1].decode(), start[2], headers, length, end + 4)


class Direct(H11Protocol):
    """Answers one plain request after the other; h11 has the connection in between."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.missing = 0  # bytes of the body that have not come
        self._put: Callable[[Any], Awaitable[None]] | None = None  # while an exchange is under way
        self._over = False
        self._free: trio.Event | None = None  # made where somebody waits for the end of an exchange

    async def handle(self, event: Event) -> None:
        if isinstance(event, Closed):
            await self._close()
            await super().handle(event)
            return
        if not isinstance(event, RawData):
            return
        rest = event.data
        while rest and not self._over:
            if self.missing:
                rest = await self._take_body(rest)
            elif self._put is not None:
                self._free = trio.Event()
                await self._free.wait()
            elif self._h11_rests and (asked := read(rest)) is not None:
                rest = await self._begin(asked, rest)
            else:
                await super().handle(RawData(rest))
                return
        if not event.data and self._put is None:
            await super().handle(event)

    @property
    def _h11_rests(self) -> bool:
        known = self.connection
        rests = known.our_state is h11.IDLE and known.their_state is h11.IDLE
        return rests and not known.trailing_data[0]

    async def _begin(self, asked: Asked, data: bytes) -> bytes:
        """Start the exchange; return what follows the request."""
        await self.send(Updated(idle=False))
        self.keep_alive_requests += 1
        self.missing = asked.length
        answer = Answer(self, asked.method)
        self._put = await self.task_group.spawn_app(
            self.app, self.config, self._scope(asked), answer
        )
        rest = data[asked.body_at :]
        if asked.length:
            return await self._take_body(rest) if rest else b""
        await self._put({"type": "http.request", "body": b"", "more_body": False})
        return rest

    def _scope(self, asked: Asked) -> Any:
        path, _, query = asked.target.partition(b"?")
        return {
            "type": "http",
            "http_version": "1.1",
            "asgi": {"spec_version": "2.1", "version": "3.0"},
            "method": asked.method,
            "scheme": "https" if self.ssl else "http",
            "path": unquote(path.decode("ascii")),
            "raw_path": path,
            "query_string": query,
            "root_path": self.config.root_path,
            "headers": asked.headers,
            "client": self.client,
            "server": self.server,
            "state": self.connection_state.copy(),
            "extensions": {},
        }

    async def _take_body(self, data: bytes) -> bytes:
        """Hand on what belongs to the body; return what follows it."""
        part, rest = data[: self.missing], data[self.missing :]
        self.missing -= len(part)
        if self._put is not None:
            more = self.missing > 0
            await self._put({"type": "http.request", "body": part, "more_body": more})
        return rest

    async def _close(self) -> None:
        """The client has gone, or the connection ends."""
        self._over = True
        put, self._put = self._put, None
        if put is not None:
            await put({"type": "http.disconnect"})
        self._let_in()

    def _let_in(self) -> None:
        free, self._free = self._free, None
        if free is not None:
            free.set()

    async def end(self, *, closes: bool) -> None:
        """End the exchange under way, and with `closes` the connection."""
        if self._over:
            return
        if closes:
            await self.send(Closed())
            return
        self._put = None
        await self.send(Updated(idle=True))
        self._let_in()


class Answer:
    """The way out of one exchange: takes the app's messages, makes as few writes as can be."""

    __slots__ = ("_closes", "_done", "_framed", "_head", "_method", "_owed", "_protocol", "_silent")

    def __init__(self, protocol: Direct, method: str) -> None:
        self._protocol, self._method = protocol, method
        self._head: bytes | None = None  # None before the start; written with the first part
        self._owed: int | None = None  # bytes of the body to come, where the answer told
        self._framed = False  # in chunks
        self._silent = False  # the answer has no body, whatever it says of one
        self._closes = self._done = False

    async def __call__(self, message: Any) -> None:
        """Take a message of the app's; None is its end, also where it failed."""
        if self._done:
            return
        if message is None:
            await self._give_up()
        elif message["type"] == "http.response.start":
            await self._start(message["status"], message["headers"])
        elif message["type"] == "http.response.body":
            await self._send_part(message.get("body", b""), more=message.get("more_body", False))

    async def _start(self, status: int, headers: Pairs) -> None:
        known = self._protocol
        lines = b"".join([b"%b: %b\r\n" % pair for pair in headers])
        if lines.count(b"\n") != len(headers) or lines.count(b"\r") != len(headers):
            raise ValueError("A header holds a line end.")
        told = next((value for name, value in headers if name == b"content-length"), None)
        self._silent = self._method == "HEAD" or status in BODILESS
        self._framed = told is None and status not in BODILESS
        if told is not None and not self._silent:
            self._owed = int(told)
        last = known.keep_alive_requests >= known.config.keep_alive_max_requests
        self._closes = known.missing > 0 or last  # what follows on it would not be read
        self._head = b"HTTP/1.1 %d \r\n%b%b%b%b\r\n" % (
            status,
            lines,
            _every(known.config, int(trio.current_time())),
            b"transfer-encoding: chunked\r\n" if self._framed else b"",
            b"connection: close\r\n" if self._closes else b"",
        )

    async def _send_part(self, part: bytes, *, more: bool) -> None:
        data = b""
        if not self._silent:
            if self._owed is not None:
                self._owed -= len(part)
            data = b"%x\r\n%b\r\n" % (len(part), part) if self._framed and part else part
            if self._framed and not more:
                data += b"0\r\n\r\n"
        await self._write(data)
        if not more:
            self._done = True
            await self._protocol.end(closes=self._closes or bool(self._owed))

    async def _write(self, data: bytes) -> None:
        head, self._head = self._head, b""
        if data := (head + data if head else data):
            await self._protocol.send(RawData(data=data))

    async def _give_up(self) -> None:
        """End what the app left unfinished."""
        self._done = True
        if self._head != b"":  # nothing of it has been sent
            await self._protocol.send(RawData(data=FAILED))
        await self._protocol.end(closes=True)


@lru_cache(maxsize=2)
def _every(config: Config, _second: int) -> bytes:
    """Return the headers of every answer of this second: a date is made once, not each time."""
    return b"".join([b"%b: %b\r\n" % pair for pair in config.response_headers("h11")])
