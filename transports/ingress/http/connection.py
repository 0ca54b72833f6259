"""One client connection: Hypercorn's protocol code with every wait bounded.

Hypercorn shields its writes and waits for ever on a client that has stopped reading. Here a client
that takes no byte for `stall_s` is cut; an idle connection, and one that sends its header a byte at
a time, ends at `keep_alive_s`; an answer that comes before its request has been read is lingered
over, so that the reset does not overtake it; and an exception ends this connection and no other.
A plain socket is written without a scheduling point while the kernel takes all: with a thousand
readers that is most of the cost of an event. It is read as directly, and the first time at once,
since a request most often comes with its connection. Source: hypercorn 0.18 `trio/tcp_server.py`.
"""

from __future__ import annotations

import logging
import os
import socket
import struct
from collections.abc import Callable
from functools import partial
from math import inf
from typing import Any, Final

import trio
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.utils import parse_socket_addr

from runtime import limits
from transports.ingress.http.exchange import Tasks
from transports.ingress.http.wire import Address, Service, Wire

RECEIVE_BYTES: Final = 64 * 1024
RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER: drop what is unsent, and say so
FULL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\n"
    b"connection: close\r\n\r\n"
)
IN_MEMORY: Final = ("127.0.0.1", 8787)
GONE: Final = (trio.BrokenResourceError, trio.ClosedResourceError, OSError)
log = logging.getLogger("runchat.http")


def at_once(stream: Any) -> Callable[[bytes | memoryview], int] | None:
    """Return what writes as much as there is room for, as `os.write` does; None where nothing can.

    A plain socket can; TLS lies between us and its socket. One in memory may bring its own.
    """
    if isinstance(stream, trio.SocketStream):
        return partial(os.write, stream.socket.fileno())
    now: Callable[[bytes | memoryview], int] | None = getattr(stream, "write_now", None)
    return now


def addresses(stream: Any) -> tuple[Address, Address]:
    """Return the client's address and ours; a stream in memory has none but IN_MEMORY."""
    if not isinstance(stream, trio.SocketStream):
        return IN_MEMORY, IN_MEMORY
    plain = stream.socket
    family = plain.family
    return (
        parse_socket_addr(family, plain.getpeername()),
        parse_socket_addr(family, plain.getsockname()),
    )


class Connection:
    """Runs one stream to its end; `cut` ends it at once, `finish` when its answer is sent."""

    __slots__ = (
        "_at_once",
        "_bounds",
        "_gone",
        "_idle",
        "_lingering",
        "_lock",
        "_reading",
        "_service",
        "_stream",
        "_tasks",
        "_waits",
        "_was_cut",
        "_wire",
        "_writing",
    )

    def __init__(self, service: Service, stream: Any) -> None:
        """Take a trio stream: a SocketStream, an SSLStream over one, or one in memory."""
        self._service, self._stream, self._bounds = service, stream, service.bounds
        self._wire: Wire
        self._tasks: Tasks
        self._lock: trio.Lock | None = None  # made by the first write that has to wait
        self._writing: trio.CancelScope | None = None
        self._reading = trio.CancelScope()
        self._idle, self._lingering = True, False
        self._gone, self._was_cut = False, False
        self._waits = False  # before it reads, so that no client keeps the loop; not the first time
        self._at_once = at_once(stream)

    async def run(self) -> None:
        """Serve the connection until either side ends it."""
        try:
            if (protocol := await self._handshake()) is not None:
                await self._serve(protocol)
        except GONE:
            pass
        except Exception:  # a bug of one connection must not take the others down
            log.exception("connection failed")
        finally:
            self._gone, self._at_once = True, None
            await self._close()

    async def _close(self) -> None:
        """Let go of the stream, which over TLS says goodbye first."""
        if isinstance(self._stream, trio.SocketStream):
            self._stream.socket.close()
            return
        with trio.CancelScope(shield=True) as scope:
            patience_s = 0.0 if self._was_cut else self._bounds.linger_s
            scope.deadline = trio.current_time() + patience_s
            await self._stream.aclose()

    def finish(self) -> None:
        """Close the connection if it is idle; a busy one closes by itself once it has answered."""
        if self._idle:
            self._reading.cancel()

    def cut(self) -> None:
        """End the connection now, whatever it is doing."""
        self._gone = self._was_cut = True
        self._reading.cancel()
        if self._writing is not None:
            self._writing.cancel()
        if (tasks := getattr(self, "_tasks", None)) is not None:
            tasks.end()

    async def _handshake(self) -> str | None:
        """Return the protocol agreed on, or None where the client is gone."""
        if not isinstance(self._stream, trio.SSLStream):
            return "http/1.1"
        with trio.move_on_after(self._bounds.handshake_s):
            await self._stream.do_handshake()
            return self._stream.selected_alpn_protocol() or "http/1.1"
        return None

    async def _serve(self, protocol: str) -> None:
        tls = isinstance(self._stream, trio.SSLStream)
        client, server = addresses(self._stream.transport_stream if tls else self._stream)
        now = self._write_now if self._at_once is not None else None
        async with Tasks(self._write_or_close, now) as tasks:
            self._tasks = tasks
            self._wire = Wire(
                self._service, tasks, self._send, protocol, tls=tls, client=client, server=server
            )
            await self._wire.initiate()
            self._rest(idle=True)
            with self._reading:
                await self._read()
            await self._wire.handle(Closed())

    def _rest(self, *, idle: bool) -> None:
        """Note whether a request is under way; without one the connection ends after a while."""
        self._idle = idle
        ends_s = self._bounds.keep_alive_s if idle else inf
        self._reading.deadline = trio.current_time() + ends_s
        if idle and self._service.context.terminated.is_set():
            self._reading.cancel()

    async def _read(self) -> None:
        while True:
            try:
                data = await self._receive()
            except GONE:
                return
            if not self._lingering:
                await self._wire.handle(RawData(data))
            if not data:
                return

    async def _receive(self) -> bytes:
        """Return what has come, once something has; nothing at the end."""
        if not isinstance(self._stream, trio.SocketStream):
            return bytes(await self._stream.receive_some(RECEIVE_BYTES))
        plain = self._stream.socket
        while True:
            if self._waits:
                await trio.lowlevel.wait_readable(plain)
            waited, self._waits = self._waits, True
            try:
                data = os.read(plain.fileno(), RECEIVE_BYTES)
            except BlockingIOError:
                continue
            more = len(data) == RECEIVE_BYTES  # is there, most often, and read without a wait, once
            self._waits = not (waited and more)
            return data

    async def _send(self, event: Event) -> None:
        """Take an event of Hypercorn's protocol code: bytes, the end, or a change of idleness."""
        if isinstance(event, RawData):
            await self._write_or_close(event.data)
        elif isinstance(event, Closed):
            await self._wire.handle(Closed())
            await self._end()
        elif isinstance(event, Updated):
            self._rest(idle=event.idle)

    async def _end(self) -> None:
        """Say that nothing follows, and read on for a moment where the request was not read."""
        if not self._wire.unread:
            self._reading.cancel()
            return
        self._lingering = True
        self._reading.deadline = trio.current_time() + self._bounds.linger_s
        if isinstance(self._stream, trio.SocketStream):
            try:
                await self._stream.send_eof()
            except GONE:
                self._reading.cancel()

    async def _write_or_close(self, data: bytes | memoryview) -> None:
        if not await self._write(data):
            self._reading.cancel()
            await self._wire.handle(Closed())

    def _write_now(self, data: bytes | memoryview) -> int:
        """Return how many bytes the kernel took at once; none where others wait, or none is left.

        Who was not rid of all of it goes on by `_write`, which says whether the client is gone.
        """
        if self._at_once is None or self._gone or (self._lock is not None and self._lock.locked()):
            return 0
        try:
            return self._at_once(data)
        except BlockingIOError:
            return 0
        except OSError:
            self._gone = True
            return 0

    async def _write(self, data: bytes | memoryview) -> bool:
        """Write it all, in the order of the calls; False where the client is gone or was cut."""
        sent = self._write_now(data)
        if self._gone:
            return False
        return sent == len(data) or await self._write_slowly(memoryview(data)[sent:])

    async def _write_slowly(self, rest: memoryview) -> bool:
        """Write what the kernel did not take at once, as long as the client takes some of it."""
        lock = self._lock = self._lock or trio.Lock()
        with trio.CancelScope(shield=True) as scope:
            try:
                lock.acquire_nowait()  # free when the first bytes went out: nobody gets between
            except trio.WouldBlock:
                await lock.acquire()
            try:
                self._writing = scope
                while rest and not self._gone:
                    scope.deadline = trio.current_time() + self._bounds.stall_s
                    rest = rest[await self._write_some(rest) :]
            except GONE:
                self._gone = True
            finally:
                self._writing = None
                lock.release()
        if scope.cancelled_caught:
            self._cut_off()
        return not self._gone

    async def _write_some(self, rest: memoryview) -> int:
        """Write at least a byte and return how many; the measure of a client's progress."""
        if isinstance(self._stream, trio.SocketStream):
            return int(await self._stream.socket.send(rest))
        piece = rest[: limits.WRITE_BYTES]
        await self._stream.send_all(piece)
        return len(piece)

    def _cut_off(self) -> None:
        """Drop a client that has stopped reading, and what the kernel still holds for it."""
        if not self._gone:
            self._service.on_cut()
        self._gone = self._was_cut = True
        tls = isinstance(self._stream, trio.SSLStream)
        transport = self._stream.transport_stream if tls else self._stream
        if isinstance(transport, trio.SocketStream):
            try:
                transport.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            except GONE:
                return
