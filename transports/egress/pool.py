"""The connections of one client: opened by the guard, kept a while for the next request.

A place's newest idle connection is taken first. One that its peer has left, or that has rested too
long, is closed where it is come upon. No more are open at once than may be: who comes then waits.
TLS is what a place of https has, under the name that was asked for.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TypeAlias

import httpx2
import trio

from runtime import limits
from transports.egress.exchange import Bounded, Connection, Head
from transports.egress.guard import Reach
from transports.egress.places import PORTS

Origin: TypeAlias = tuple[str, str, int]  # scheme, host, port


class Pool:
    """One per client."""

    def __init__(self, reach: Reach, trusted: ssl.SSLContext) -> None:
        self._reach, self._trusted = reach, trusted
        self._room = trio.Semaphore(limits.UPSTREAM_CONNECTIONS_MAX)  # of exchanges under way
        self._open: set[Connection] = set()
        self._idle: list[tuple[Origin, Connection]] = []  # oldest first

    async def ask(self, request: httpx2.Request, due: float) -> tuple[Body, Head]:
        """Send a request; return its answer's body, which is to be closed, and its head.

        Raises:
            Denied: there may be no connection.
            httpx2.TransportError: there is none, it broke, or it took too long.
        """
        await self._enter(request, due)
        url = request.url
        origin = (url.scheme, url.raw_host.decode("ascii"), url.port or PORTS[url.scheme])
        connection: Connection | None = None
        try:
            connection = await self._found(origin) or await self._opened(origin, request, due)
            head = await connection.ask(request, due)
        except BaseException:
            self._room.release()
            if connection is not None:
                await self._close(connection)
            raise
        return Body(self, origin, connection), head

    async def _enter(self, request: httpx2.Request, due: float) -> None:
        try:
            self._room.acquire_nowait()
        except trio.WouldBlock:
            wait_s = (request.extensions.get("timeout") or {}).get("pool")
            with Bounded(wait_s, due, httpx2.PoolTimeout, httpx2.ConnectError):
                await self._room.acquire()

    async def _found(self, origin: Origin) -> Connection | None:
        for place in range(len(self._idle) - 1, -1, -1):
            if self._idle[place][0] == origin:
                _, connection = self._idle.pop(place)
                if connection.kept_until > trio.current_time() and not connection.is_left:
                    return connection
                await self._close(connection)
                return await self._found(origin)  # they are few, and others may have come
        return None

    async def _opened(self, origin: Origin, request: httpx2.Request, due: float) -> Connection:
        if self._idle and len(self._open) >= limits.UPSTREAM_CONNECTIONS_MAX:
            await self._close(self._idle.pop(0)[1])
        scheme, host, port = origin
        wait_s = (request.extensions.get("timeout") or {}).get("connect")
        with Bounded(wait_s, due, httpx2.ConnectTimeout, httpx2.ConnectError):
            stream = await self._reach.connect(host, port)
        if scheme == "https":
            with Bounded(wait_s, due, httpx2.ConnectTimeout, httpx2.ConnectError):
                stream = await self._secured(stream, host)
        connection = Connection(stream)
        self._open.add(connection)
        return connection

    async def _secured(self, stream: trio.abc.Stream, host: str) -> trio.abc.Stream:
        if self._reach.handshake is not None:
            return await self._reach.handshake(stream, host)
        tls = trio.SSLStream(stream, self._trusted, server_hostname=host, https_compatible=True)
        try:
            await tls.do_handshake()
        except BaseException:
            await trio.aclose_forcefully(tls)
            raise
        return tls

    async def give_back(self, origin: Origin, connection: Connection) -> None:
        """Keep a connection whose answer is whole; close another."""
        self._room.release()
        if connection not in self._open or not connection.is_free:
            await self._close(connection)
            return
        connection.kept_until = trio.current_time() + limits.UPSTREAM_KEPT_S
        self._idle.append((origin, connection))
        if len(self._idle) > limits.UPSTREAM_KEPT_MAX:
            await self._close(self._idle.pop(0)[1])

    async def _close(self, connection: Connection) -> None:
        self._open.discard(connection)
        await connection.aclose()

    async def aclose(self) -> None:
        """Close every connection, whatever is under way."""
        self._idle.clear()
        for connection in tuple(self._open):
            await self._close(connection)


@dataclass(slots=True)
class Body(httpx2.AsyncByteStream):
    """The body of an answer; its connection goes back, or away, where this is closed."""

    _pool: Pool | None
    _origin: Origin
    _connection: Connection

    async def read(self) -> bytes:
        """Return more of it; nothing at its end."""
        return await self._connection.read()

    async def aclose(self) -> None:
        """Leave it; a second time does nothing."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.give_back(self._origin, self._connection)
