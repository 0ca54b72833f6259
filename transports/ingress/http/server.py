"""Serves the app on its listeners until told to stop, and then ends in bounded time.

Hypercorn's `worker_serve` hard-codes its own connection class, so that this does the same with
ours: it takes connections, runs each, and at the end lets answers under way finish for `end_s`
before it cuts what is left. Source: hypercorn 0.18 `trio/run.py`.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from math import inf
from pathlib import Path
from typing import Any, Final

import trio
from hypercorn.config import Config
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGIFramework
from hypercorn.utils import wrap_app

from runtime import limits
from transports.ingress.http.connection import FULL, Connection
from transports.ingress.http.wire import Bounds, Service

# all may come back at once, while the loop is busy: past it the kernel drops or resets them
BACKLOG: Final = limits.CONNECTIONS_MAX
Listener = trio.SocketListener | trio.SSLListener[trio.SocketStream]


def tls_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return a server's TLS context: 1.2 or newer, HTTP/2 offered first.

    Raises:
        OSError: a file cannot be read, or is no certificate or key.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION  # RFC 9113, section 9.2.1
    context.set_alpn_protocols(["h2", "http/1.1"])
    context.load_cert_chain(certificate, key)
    return context


async def listen(host: str, port: int, tls: ssl.SSLContext | None = None) -> list[Listener]:
    """Bind and listen; port 0 takes a free one.

    Raises:
        OSError: the address is in use or is not ours.
    """
    plain = await trio.open_tcp_listeners(port, host=host, backlog=BACKLOG)
    if tls is None:
        return list(plain)
    return [trio.SSLListener(each, tls, https_compatible=True) for each in plain]


def port_of(listeners: Sequence[Listener]) -> int:
    """Return the port that was bound."""
    first = listeners[0]
    plain = first.transport_listener if isinstance(first, trio.SSLListener) else first
    assert isinstance(plain, trio.SocketListener)
    port: int = plain.socket.getsockname()[1]
    return port


class HttpServer:
    """Runs connections of one app; also over a stream in memory, as the simulation does."""

    def __init__(
        self,
        app: ASGIFramework,
        *,
        on_cut: Callable[[], None] = lambda: None,
        bounds: Bounds | None = None,
        connections_max: int = limits.CONNECTIONS_MAX,
        dates: bool = True,
    ) -> None:
        """Prepare to serve.

        Args:
            on_cut: called for each client that is cut because it has stopped reading.
            dates: whether answers carry the machine's date; the simulation does without.
        """
        self._service = Service(
            app=wrap_app(app, 0, "asgi"),
            config=configuration(dates=dates),
            context=WorkerContext(None),
            bounds=bounds or Bounds(),
            on_cut=on_cut,
        )
        self._connections: set[Connection] = set()
        self._connections_max = connections_max

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    async def serve(
        self,
        listeners: Sequence[Listener],
        stop: trio.Event,
        *,
        end_s: float = limits.END_S,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until `stop` is set; return once every connection has ended or been cut."""
        async with trio.open_nursery() as timing:
            async with trio.open_nursery() as connections:
                async with trio.open_nursery() as accepting:
                    accepting.start_soon(self._accept, listeners, connections)
                    task_status.started()
                    await stop.wait()
                    accepting.cancel_scope.cancel()
                await self._service.context.terminated.set()
                for connection in tuple(self._connections):
                    connection.finish()
                timing.start_soon(self._cut_later, end_s)
            timing.cancel_scope.cancel()

    async def serve_stream(self, stream: Any) -> None:
        """Serve one connection over any trio stream and return when it has ended."""
        if len(self._connections) >= self._connections_max:
            await self._turn_away(stream)
            return
        connection = Connection(self._service, stream)
        self._connections.add(connection)
        try:
            await connection.run()
        finally:
            self._connections.discard(connection)

    async def _accept(self, listeners: Sequence[Listener], connections: trio.Nursery) -> None:
        await trio.serve_listeners(self.serve_stream, list(listeners), handler_nursery=connections)

    async def _turn_away(self, stream: Any) -> None:
        with trio.move_on_after(self._service.bounds.linger_s):
            if not isinstance(stream, trio.SSLStream):
                await stream.send_all(FULL)
            await stream.aclose()
        await trio.aclose_forcefully(stream)

    async def _cut_later(self, end_s: float) -> None:
        await trio.sleep(end_s)
        for connection in tuple(self._connections):
            connection.cut()


def configuration(*, dates: bool) -> Config:
    """Return what Hypercorn's protocol code is told."""
    config = Config()
    config.accesslog = None
    config.errorlog = None  # what fails is logged by the connection, with its request id
    config.include_server_header = False
    config.include_date_header = dates
    config.h11_max_incomplete_size = limits.HEADER_BYTES_MAX
    config.h2_max_header_list_size = limits.HEADER_BYTES_MAX
    config.h2_max_concurrent_streams = limits.H2_STREAMS_MAX
    config.keep_alive_max_requests = limits.REQUESTS_PER_CONNECTION_MAX
    config.websocket_max_message_size = limits.BODY_BYTES_MAX
    config.websocket_ping_interval = limits.SOCKET_PING_S
    config.keep_alive_timeout = inf  # the connection keeps its own time
    return config
