"""One connection outward: a request goes out, its answer comes in, and then the next request.

Most answers are plainly written: a head of the strict form, a body of known length. h11 takes such
an exchange apart into events, at more than the cost of all else that is done for it. What is plain
to the letter is read here; everything else is h11's to judge: chunks, interim answers, a body that
ends with its connection, and whatever is wrong.
Source: RFC 9112, sections 3 to 6 and 9.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf
from types import TracebackType
from typing import Any, Final

import h11
import httpx2
import trio

from runtime import limits
from transports.egress.capped import too_late
from transports.egress.gathered import Gathered

TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
VISIBLE: Final = rb"[\x21-\x7e\x80-\xff]+"
ASKED: Final = re.compile(
    rb"[A-Z]+ [\x21-\x7e]+ HTTP/1\.1\r\n(?:%b:[\t\x20-\x7e\x80-\xff]*\r\n)+\r\n" % TOKEN
)
FIELD: Final = re.compile(
    rb"(%b):[ \t]*((?:%b(?:[ \t]+%b)*)?)[ \t]*\r\n" % (TOKEN, VISIBLE, VISIBLE)
)
START: Final = re.compile(rb"HTTP/1\.1 ([2-5][0-9][0-9])(?: ([\t\x20-\x7e\x80-\xff]*))?\r\n")
BLANK: Final = re.compile(rb"\n\r?\n")  # h11 ends a head so
LENGTH: Final = re.compile(rb"[0-9]{1,18}")
BODILESS: Final = frozenset({204, 304})
SWITCHED: Final = 101
READ_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Head:
    """The head of an answer; `length` of its body, None where h11 knows more."""

    status: int
    reason: bytes
    headers: list[tuple[bytes, bytes]]
    length: int | None = None


def read(head: bytes) -> Head | None:
    """Return a whole head that is plainly written; None where it is for h11 to judge."""
    start = START.match(head)
    if start is None or int(start[1]) in BODILESS:
        return None
    headers: list[tuple[bytes, bytes]] = []
    lengths: list[bytes] = []
    at = start.end()
    while found := FIELD.match(head, at):
        at = found.end()
        name, value = found[1], found[2]
        headers.append((name, value))
        match name.lower():
            case b"content-length":
                lengths.append(value)
            case b"connection" if value.lower() != b"keep-alive":
                return None
            case b"transfer-encoding" | b"upgrade":
                return None
            case _:
                pass
    if head[at:] != b"\r\n" or len(lengths) != 1 or not LENGTH.fullmatch(lengths[0]):
        return None
    return Head(int(start[1]), start[2] or b"", headers, int(lengths[0]))


def written(request: httpx2.Request) -> bytes:
    """Return the head of a request.

    Raises:
        httpx2.LocalProtocolError: something in it cannot stand in a head.
    """
    raw = request.headers.raw
    first = b"%b %b HTTP/1.1" % (request.method.encode(), request.url.raw_path)
    head = b"\r\n".join((first, *(b"%b: %b" % pair for pair in raw), b"\r\n"))
    if head.count(b"\n") != len(raw) + 2 or not ASKED.fullmatch(head):
        raise httpx2.LocalProtocolError("The request cannot be written.")
    return head


@dataclass(slots=True, eq=False)
class Connection:
    """A connection, and the exchange that is under way on it."""

    stream: trio.abc.Stream
    kept_until: float = inf  # trio's time
    _due: float = inf  # of the exchange, trio's time
    _read_s: float | None = None
    _closes: bool = False  # after this exchange
    _left: int = 0  # of a body of known length, beside what came early
    _early: bytes = b""  # of that body, come with the head
    _http: h11.Connection | None = None  # where the answer is not plain
    _gathered: Gathered = field(default_factory=Gathered)

    async def ask(self, request: httpx2.Request, due: float) -> Head:
        """Send a request; return the head of its answer.

        Args:
            due: by when the whole answer is wanted, in trio's time.

        Raises:
            httpx2.TransportError: it cannot be sent, or no answer came, or one that is none.
        """
        times = request.extensions.get("timeout") or {}
        self._due, self._read_s = due, times.get("read")
        self._closes, self._left, self._early, self._http = True, 0, b"", None
        self._gathered.begin()
        with suppress(httpx2.WriteError):  # it may have answered before it had read all
            await self._send(request, times.get("write"))
        head = await self._plain(request)
        self._closes = request.headers.get("connection", "").lower() == "close"
        return head

    async def _send(self, request: httpx2.Request, write_s: float | None) -> None:
        """Send head and body, the head with the first piece of the body."""
        waiting, sent = written(request), 0
        chunks = "transfer-encoding" in request.headers
        assert isinstance(request.stream, httpx2.AsyncByteStream), "the client saw to it"
        async for piece in request.stream:
            sent += len(piece)
            waiting += b"%x\r\n%b\r\n" % (len(piece), piece) if chunks and piece else piece
            if len(waiting) >= READ_BYTES:
                await self._write(waiting, write_s)
                waiting = b""
        if chunks:
            waiting += b"0\r\n\r\n"
        elif sent != int(request.headers.get("content-length", 0)):
            raise httpx2.LocalProtocolError("The body is not as long as its head says.")
        if waiting:
            await self._write(waiting, write_s)

    async def _write(self, data: bytes, write_s: float | None) -> None:
        with Bounded(write_s, self._due, httpx2.WriteTimeout, httpx2.WriteError):
            await self.stream.send_all(data)

    async def _receive(self) -> bytes:
        with Bounded(self._read_s, self._due, httpx2.ReadTimeout, httpx2.ReadError):
            return bytes(await self.stream.receive_some(READ_BYTES))

    async def _plain(self, request: httpx2.Request) -> Head:
        """Read the head of a plain answer, and of another with h11's help."""
        data = b""
        while not BLANK.search(data) and len(data) <= limits.EGRESS_HEAD_BYTES:
            if not (more := await self._receive()):
                break
            data += more
        end = data.find(b"\r\n\r\n") + 4
        known = read(data[:end]) if request.method != "HEAD" else None
        if known is None or known.length is None:
            return await self._judged(request.method, data)
        self._early, self._left = data[end:], known.length
        return known

    async def _judged(self, method: str, data: bytes) -> Head:
        if not data:
            raise httpx2.RemoteProtocolError("It hung up without an answer.")
        http = self._http = h11.Connection(
            h11.CLIENT, max_incomplete_event_size=limits.EGRESS_HEAD_BYTES
        )
        http.send(h11.Request(method=method, target="/", headers=[("host", "it")]))
        http.send(h11.EndOfMessage())
        if told := self._gathered.take(data):
            http.receive_data(told)
        while not isinstance(event := await self._event(http), h11.Response):
            if not isinstance(event, h11.InformationalResponse) or event.status_code == SWITCHED:
                raise httpx2.RemoteProtocolError("It changes the protocol.")
        return Head(event.status_code, event.reason, event.headers.raw_items())

    async def _event(self, http: h11.Connection) -> Any:
        try:
            while (event := http.next_event()) is h11.NEED_DATA:
                data = await self._receive()
                if not data and http.their_state is h11.SEND_RESPONSE:
                    raise httpx2.RemoteProtocolError("It hung up without an answer.")
                if not data or (data := self._gathered.take(data)):
                    http.receive_data(data)
        except h11.RemoteProtocolError as error:
            raise httpx2.RemoteProtocolError(str(error)) from error
        return event

    async def read(self) -> bytes:
        """Return more of the body; nothing at its end.

        Raises:
            httpx2.TransportError: it broke, or fell silent.
        """
        if self._http is not None:
            over = self._http.their_state is h11.DONE
            event = None if over else await self._event(self._http)
            return bytes(event.data) if isinstance(event, h11.Data) else b""
        data, self._early = self._early, b""
        if self._left and not data and not (data := await self._receive()):
            raise httpx2.RemoteProtocolError("It hung up in the middle of its answer.")
        if len(data) > self._left:
            self._closes, data = True, data[: self._left]  # nobody asked for what is behind
        self._left -= len(data)
        return data

    @property
    def is_free(self) -> bool:
        """Whether the answer is whole, and another request may follow."""
        if self._closes or self._left:
            return False
        http = self._http
        return http is None or (http.their_state is h11.DONE and not http.trailing_data[0])

    @property
    def is_left(self) -> bool:
        """Whether the peer has left, or says what nobody asked, while nothing is under way."""
        stream = self.stream
        if isinstance(stream, trio.SSLStream):
            stream = stream.transport_stream
        return isinstance(stream, trio.SocketStream) and stream.socket.is_readable()

    async def aclose(self) -> None:
        """Close it, whatever is under way."""
        with trio.CancelScope(shield=True):
            await self.stream.aclose()


class Bounded:
    """Bounds a block in time, and raises httpx2's errors in place of trio's."""

    def __init__(
        self,
        wait_s: float | None,
        due: float,
        slow: type[httpx2.TransportError],
        broken: type[httpx2.TransportError],
    ) -> None:
        self._due, self._slow, self._broken = due, slow, broken
        by = inf if wait_s is None else trio.current_time() + wait_s
        self._scope = trio.CancelScope(deadline=min(by, due))

    def __enter__(self) -> None:
        self._scope.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._scope.__exit__(kind, error, trace)
        if self._scope.cancelled_caught:
            raise too_late() if trio.current_time() >= self._due else self._slow("It took too long")
        if isinstance(error, trio.BrokenResourceError | trio.ClosedResourceError | OSError):
            raise self._broken(str(error) or str(error.__cause__ or "")) from error
