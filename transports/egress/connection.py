"""The client that `guard` hands out: httpx2 over connections that the guard has opened.

Apart from `guard` only because importing httpx2 takes longer than many a run of the command line.
Nothing here decides; it passes each connect to `Reach` and maps trio's errors to httpcore2's.
Source: httpcore2's `AsyncNetworkBackend`, httpx2's `AsyncHTTPTransport`.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from math import inf
from typing import Any, TypeAlias

import httpcore2
import httpx2
import trio

from runtime import limits
from runtime.problems import UpstreamLost
from transports.egress.guard import PORTS, Reach

Client: TypeAlias = httpx2.AsyncClient  # noqa: TID251 -- this is the guard's other half


def client(reach: Reach, *, base_url: str, headers: Mapping[str, str]) -> Client:
    """Return a client whose every connection comes from `reach`."""
    return Client(
        transport=GuardedTransport(reach, wants_tls=not base_url.startswith("http:")),
        base_url=base_url,
        headers={"Accept-Encoding": "identity", "User-Agent": "runchat", **headers},
        timeout=httpx2.Timeout(reach.idle_s, connect=reach.connect_s),
        follow_redirects=False,
        trust_env=False,
    )


class GuardedTransport(httpx2.AsyncHTTPTransport):
    """httpx2's own transport, on our connections, for http and https alone."""

    def __init__(self, reach: Reach, *, wants_tls: bool) -> None:
        # Reading the trusted certificates takes 20 ms; a client that speaks http trusts nobody.
        trusted = httpx2.create_ssl_context(trust_env=False) if wants_tls else _trusting_nobody()
        super().__init__(verify=trusted, trust_env=False)
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=trusted,
            max_connections=limits.UPSTREAM_CONNECTIONS_MAX,
            max_keepalive_connections=limits.UPSTREAM_KEPT_MAX,
            keepalive_expiry=limits.UPSTREAM_KEPT_S,
            network_backend=GuardedBackend(reach),
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request.

        Raises:
            httpx2.UnsupportedProtocol: neither http nor https.
        """
        if request.url.scheme not in PORTS:
            raise httpx2.UnsupportedProtocol("Only http and https are spoken.", request=request)
        return await super().handle_async_request(request)


def _trusting_nobody() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class GuardedBackend(httpcore2.AsyncNetworkBackend):
    """Opens httpcore2's connections through `reach`."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 -- httpcore2's signature
        local_address: str | None = None,  # noqa: ARG002
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002
    ) -> httpcore2.AsyncNetworkStream:
        with _mapped(httpcore2.ConnectTimeout, httpcore2.ConnectError), _within(timeout):
            return GuardedStream(await self._reach.connect(host, port))

    async def connect_unix_socket(
        self,
        path: str,  # noqa: ARG002
        timeout: float | None = None,  # noqa: ARG002, ASYNC109
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002
    ) -> httpcore2.AsyncNetworkStream:
        raise httpcore2.UnsupportedProtocol("A path is no address.")

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(seconds)


class GuardedStream(httpcore2.AsyncNetworkStream):
    """A trio stream as httpcore2 wants one."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        with _mapped(httpcore2.ReadTimeout, httpcore2.ReadError), _within(timeout):
            return bytes(await self._stream.receive_some(max_bytes))

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        with _mapped(httpcore2.WriteTimeout, httpcore2.WriteError), _within(timeout):
            await self._stream.send_all(buffer)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 -- httpcore2's signature
    ) -> httpcore2.AsyncNetworkStream:
        tls = trio.SSLStream(
            self._stream, ssl_context, server_hostname=server_hostname, https_compatible=True
        )
        try:
            with _mapped(httpcore2.ConnectTimeout, httpcore2.ConnectError), _within(timeout):
                await tls.do_handshake()
        except BaseException:
            await trio.aclose_forcefully(tls)
            raise
        return GuardedStream(tls)

    def get_extra_info(self, info: str) -> Any:
        """Say whether an idle connection has something to read: then its peer has left."""
        stream = self._stream
        if isinstance(stream, trio.SSLStream):
            if info == "ssl_object":
                return stream._ssl_object  # noqa: SLF001 -- as httpcore2's own backend does
            stream = stream.transport_stream
        if info == "is_readable" and isinstance(stream, trio.SocketStream):
            return stream.socket.is_readable()
        return None


def _within(timeout: float | None) -> Any:
    return trio.fail_after(inf if timeout is None else timeout)


@contextmanager
def lost() -> Iterator[None]:
    """Raise UpstreamLost in place of httpx2's errors."""
    try:
        yield
    except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
        raise UpstreamLost("The provider cannot be reached.") from error
    except httpx2.TimeoutException as error:
        raise UpstreamLost("The provider fell silent.") from error
    except httpx2.TransportError as error:
        raise UpstreamLost("The connection to the provider broke.") from error


@contextmanager
def _mapped(slow: type[Exception], broken: type[Exception]) -> Iterator[None]:
    """Raise httpcore2's errors in place of trio's."""
    try:
        yield
    except trio.TooSlowError as error:
        raise slow(str(error)) from error
    except (trio.BrokenResourceError, trio.ClosedResourceError, OSError) as error:
        raise broken(str(error)) from error
