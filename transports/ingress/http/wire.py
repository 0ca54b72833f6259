"""Hypercorn's HTTP/1.1 and HTTP/2 code, with the gaps closed that a client could fall into.

HTTP/1.1: no upgrade to h2c (the answer simply comes in HTTP/1.1). HTTP/2: a stream whose client
opens no window is reset after `stall_s`, and data that arrives for a stream already answered is
counted and dropped, where Hypercorn 0.18 would end the whole connection with a KeyError.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import h2.errors
import h2.events
import h2.exceptions
import h11
import trio
from hypercorn.config import Config
from hypercorn.events import Event, RawData
from hypercorn.protocol import ProtocolWrapper
from hypercorn.protocol.events import Body, EndBody, Response
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.h2 import H2Protocol
from hypercorn.protocol.h11 import H2ProtocolAssumedError
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import AppWrapper, ConnectionState, TaskGroup

from runtime import limits
from transports.ingress.http.direct import Direct

PUSH_BYTES: Final = 64 * 1024  # handed to an HTTP/2 stream at once, so that progress is seen
ABSOLUTE: Final = re.compile(rb"https?://([^/?#]*)([^?#]*)([^#]*)", re.IGNORECASE)
Address = tuple[str, int] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How long a connection waits for its client, in seconds."""

    stall_s: float = limits.READER_STALL_S
    keep_alive_s: float = limits.KEEP_ALIVE_S
    handshake_s: float = limits.TLS_HANDSHAKE_S
    linger_s: float = limits.LINGER_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What all connections of a server share."""

    app: AppWrapper
    config: Config
    context: WorkerContext
    bounds: Bounds
    on_cut: Callable[[], None]


class Strict(h11.Connection):
    """h11 bounds a header that has not come yet; this one bounds those that came at once too.

    It asks for no body that is too large, and refuses one told in two ways, by which requests
    are smuggled (RFC 9110, section 10.1.1; RFC 9112, section 6.1).
    """

    too_large = False  # the body that was announced

    @property
    def they_are_waiting_for_100_continue(self) -> bool:
        """Whether to ask for the body; one that will be refused is not asked for."""
        return super().they_are_waiting_for_100_continue and not self.too_large

    def next_event(self) -> Any:
        event = super().next_event()
        if isinstance(event, h11.Request):
            sizes = [int(value) for name, value in event.headers if name == b"content-length"]
            self.too_large = any(size > limits.BODY_BYTES_MAX for size in sizes)
            size_bytes = len(event.target)
            size_bytes += sum(len(name) + len(value) for name, value in event.headers)
            if size_bytes > limits.HEADER_BYTES_MAX:
                raise h11.RemoteProtocolError("header too large", error_status_hint=431)
            if {b"content-length", b"transfer-encoding"} <= {name for name, _ in event.headers}:
                raise h11.RemoteProtocolError("body told in two ways", error_status_hint=400)
            if not event.target.startswith(b"/"):
                return addressed(event)
        return event


def addressed(event: h11.Request) -> h11.Request:
    """Return a request whose target names a host as one to that host, whatever its header says.

    Raises:
        h11.RemoteProtocolError: the target is none (RFC 9112, section 3.2).
    """
    if event.target == b"*" or event.method == b"CONNECT":
        return event
    absolute = ABSOLUTE.fullmatch(event.target)
    if absolute is None:
        raise h11.RemoteProtocolError("no target", error_status_hint=400)
    host, path, query = absolute.groups()
    others = [pair for pair in event.headers if pair[0] != b"host"]
    return h11.Request(
        method=event.method,
        target=(path or b"/") + query,
        headers=[(b"host", host), *others],
        http_version=event.http_version,
    )


class Http1(Direct):
    """HTTP/1.1; HTTP/2 only by prior knowledge (RFC 9113, section 3.3)."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.connection = Strict(h11.SERVER, max_incomplete_event_size=limits.HEADER_BYTES_MAX)

    async def _check_protocol(self, event: h11.Request) -> None:
        if event.method == b"PRI" and event.target == b"*" and event.http_version == b"2.0":
            rest = self.connection.trailing_data[0]
            raise H2ProtocolAssumedError(b"PRI * HTTP/2.0\r\n\r\n" + rest)

    async def stream_send(self, event: StreamEvent) -> None:
        if isinstance(event, Response) and self.unread:  # what follows on it would not be read
            event.headers.append((b"connection", b"close"))
        await super().stream_send(event)

    @property
    def unread(self) -> bool:
        """Whether the client may still be sending a request that has been answered."""
        return self.missing > 0 or self.connection.their_state in {h11.SEND_BODY, h11.ERROR}


class Http2(H2Protocol):
    """HTTP/2 whose streams have a bound on waiting for their client's window."""

    unread = False
    stall_s: float
    on_cut: Callable[[], None]

    async def stream_send(self, event: StreamEvent) -> None:
        if isinstance(event, Body):
            for start in range(0, len(event.data), PUSH_BYTES):
                piece = event.data[start : start + PUSH_BYTES]
                if not await self._bounded(Body(stream_id=event.stream_id, data=piece)):
                    return
        elif isinstance(event, EndBody):
            await self._bounded(event)
        else:
            await super().stream_send(event)

    async def _bounded(self, event: StreamEvent) -> bool:
        """Send; reset the stream and return False where its client has taken nothing for long."""
        with trio.move_on_after(self.stall_s) as scope:
            await super().stream_send(event)
        if not scope.cancelled_caught:
            return True
        self.on_cut()
        try:
            self.connection.reset_stream(event.stream_id, h2.errors.ErrorCodes.CANCEL)
        except h2.exceptions.ProtocolError:
            return False
        await self._flush()
        await self._close_stream(event.stream_id)
        return False

    async def _handle_events(self, events: list[h2.events.Event]) -> None:
        for event in events:
            late = isinstance(event, h2.events.DataReceived) and event.stream_id not in self.streams
            if late:
                self._drop(event)
            else:
                await super()._handle_events([event])
        await self._flush()

    def _drop(self, event: Any) -> None:
        """Give back the window of data that nobody reads any more."""
        try:
            self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        except (h2.exceptions.ProtocolError, KeyError):
            return


class Wire(ProtocolWrapper):
    """Speaks whichever protocol the client chose."""

    protocol: Http1 | Http2

    def __init__(
        self,
        service: Service,
        tasks: TaskGroup,
        send: Callable[[Event], Awaitable[None]],
        protocol: str,
        *,
        tls: bool,
        client: Address,
        server: Address,
    ) -> None:
        self._service = service
        self._parts: tuple[Any, ...] = (
            service.app,
            service.config,
            service.context,
            tasks,
            ConnectionState({}),
            tls,
            client,
            server,
            send,
        )
        self.protocol = self._http2() if protocol == "h2" else Http1(*self._parts)

    def _http2(self) -> Http2:
        protocol = Http2(*self._parts)
        protocol.stall_s = self._service.bounds.stall_s
        protocol.on_cut = self._service.on_cut
        return protocol

    async def initiate(self) -> None:
        await self.protocol.initiate()

    async def handle(self, event: Event) -> None:
        try:
            await self.protocol.handle(event)
        except H2ProtocolAssumedError as assumed:
            self.protocol = self._http2()
            await self.protocol.initiate()
            if assumed.data:
                await self.protocol.handle(RawData(data=assumed.data))

    @property
    def unread(self) -> bool:
        """Whether the client may still be sending what has been answered already."""
        return self.protocol.unread
