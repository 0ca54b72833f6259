"""The client that `guard` hands out: httpx2 over connections that the guard has opened.

Apart from `guard` only because importing httpx2 takes longer than many a run of the command line.
Nothing here decides; it passes each connect to `Reach` and maps trio's errors to httpcore2's.
Source: httpcore2's `AsyncNetworkBackend`, httpx2's `AsyncHTTPTransport`.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from math import inf
from types import TracebackType
from typing import Any, TypeAlias

import httpcore2
import httpx2
import trio

from runtime import limits
from runtime.problems import UpstreamLost, UpstreamSaid
from transports.egress import places
from transports.egress.capped import DEADLINE, Capped, too_late
from transports.egress.denial import Denied
from transports.egress.gathered import Gathered
from transports.egress.guard import Handshake, Reach
from transports.egress.places import PORTS

Client: TypeAlias = httpx2.AsyncClient  # noqa: TID251 -- this is the guard's other half

RELATIVE = re.compile(r"\Z|/(?!/)|[?#]|[A-Za-z0-9_.~-]+(?:[/?#]|\Z)")  # to the client's own base
SCHEME_CHARS = len("https://")
SAFE = ("GET", "HEAD")
SAYS_NOT_WHO = {  # what goes on to another origin: credentials have too many names to list those
    *("accept", "accept-encoding", "accept-language", "connection", "host", "user-agent"),
    "traceparent",
}


def client(
    reach: Reach,
    *,
    base_url: str,
    headers: Mapping[str, str],
    follow_redirects: bool = False,
    kind: type[Client] = Client,
    **more: Any,
) -> Client:
    """Return a client whose every connection comes from `reach`.

    Args:
        kind: a library's own subclass of httpx2's client, such as authlib's; it takes `more`.
    """
    coding = "gzip, deflate" if reach.decodes else "identity"
    guarded: type[GuardedClient] = GuardedClient
    if kind is not Client:
        guarded = type("Guarded", (GuardedClient, kind), {})
    return guarded(
        reach,
        transport=GuardedTransport(reach, wants_tls=not base_url.startswith("http:")),
        base_url=base_url,
        headers={"Accept-Encoding": coding, "User-Agent": "runchat", **headers},
        timeout=httpx2.Timeout(reach.idle_s, connect=reach.connect_s),
        follow_redirects=follow_redirects,
        max_redirects=limits.EGRESS_REDIRECTS_MAX,
        trust_env=False,
        **more,
    )


class GuardedClient(Client):
    """httpx2's own client; the guard reads its URLs, also those of redirects, before it does."""

    def __init__(self, reach: Reach, **how: Any) -> None:
        # Clients are shared between people, so no cookie is kept for the next of them.
        nobody = CookieJar(policy=DefaultCookiePolicy(allowed_domains=()))
        self._reach, self._known = reach, set[str]()
        super().__init__(cookies=nobody, **how)

    def _merge_url(self, url: httpx2.URL | str) -> httpx2.URL:
        if isinstance(url, str) and not (self.base_url.host and RELATIVE.match(url)):
            url = self._read(url)
        return super()._merge_url(url)

    def _read(self, url: str) -> str:
        """Return a URL as the guard reads it; of an origin known by its text only the rest."""
        ends = url.find("/", SCHEME_CHARS)
        begins = url[:ends] if ends > 0 else ""
        if begins in self._known and not places.NEVER.search(url):
            return url
        written = str(self._reach.admit(url))
        if written == url and len(self._known) < limits.EGRESS_ORIGINS_MAX:
            self._known |= {begins} - {""}
        return written

    async def _send_handling_redirects(
        self, request: httpx2.Request, *rest: Any, **how: Any
    ) -> Any:
        request.extensions = {DEADLINE: trio.current_time() + self._reach.total_s} | dict(
            request.extensions
        )
        try:
            return await super()._send_handling_redirects(request, *rest, **how)
        except RedirectDenied as denial:
            self._reach.refuse(denial, request.url.host)
        except httpx2.TooManyRedirects:
            most = f"There were more than {self.max_redirects} redirects."
            self._reach.refuse(RedirectDenied("redirects", most), request.url.host)

    def _build_redirect_request(
        self, request: httpx2.Request, response: httpx2.Response
    ) -> httpx2.Request:
        following = super()._build_redirect_request(request, response)
        if following.url.origin != request.url.origin and following.method not in SAFE:
            raise RedirectDenied("redirect-body", "A body would be sent on to another origin.")
        return following

    def _redirect_url(self, request: httpx2.Request, response: httpx2.Response) -> httpx2.URL:
        try:
            leads_to = places.joined(str(request.url), response.headers["Location"])
            self._reach.check(leads_to)
        except Denied as denial:
            raise RedirectDenied(denial.rule, f"The redirect: {denial.reason}") from denial
        falls = request.url.scheme == "https" and leads_to.scheme == "http"
        if falls and not self._reach.downgrade:
            raise RedirectDenied("downgrade", "The redirect leads from https to http.")
        return httpx2.URL(str(leads_to))

    def _redirect_headers(
        self, request: httpx2.Request, url: httpx2.URL, method: str
    ) -> httpx2.Headers:
        headers = super()._redirect_headers(request, url, method)
        if url.origin == request.url.origin:
            return headers
        kept = {name: value for name, value in headers.items() if name.lower() in SAYS_NOT_WHO}
        return httpx2.Headers(kept)


class Unsent(httpx2.TransportError):
    """What a client that sends nothing was to send: its `request`."""


class Unsending(httpx2.AsyncBaseTransport):
    """Raises what it was to send."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send nothing.

        Raises:
            Unsent: always.
        """
        raise Unsent("not sent", request=request)


def unsending() -> Client:
    """Return a client that sends nothing: whose requests another client will send."""
    identity = {"Accept-Encoding": "identity"}
    return Client(transport=Unsending(), headers=identity, trust_env=False)


class RedirectDenied(Denied, httpx2.RemoteProtocolError):
    """A redirect that is not followed; where none is to be followed httpx2 passes over it."""

    def __init__(self, rule: str, reason: str) -> None:
        Denied.__init__(self, rule, reason)
        self._request = None  # httpx2 sets it


class GuardedTransport(httpx2.AsyncHTTPTransport):
    """httpx2's own transport, on our connections, for http and https alone."""

    def __init__(self, reach: Reach, *, wants_tls: bool) -> None:
        plays_tls = not wants_tls or reach.handshake is not None
        trusted = reach.trust or (trusting_nobody() if plays_tls else _trusting_the_usual())
        super().__init__(verify=trusted, trust_env=False)
        self._reach = reach
        self._admitted: set[tuple[str, bytes, bytes]] = set()
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
            Denied: it may not be sent there.
            httpx2.UnsupportedProtocol: neither http nor https.
        """
        url = request.url
        if url.scheme not in PORTS:
            raise httpx2.UnsupportedProtocol("Only http and https are spoken.", request=request)
        origin = (url.scheme, url.netloc, url.userinfo)
        if origin not in self._admitted:
            user = "@" if url.userinfo else ""
            self._reach.admit(f"{url.scheme}://{user}{url.netloc.decode()}")
            if len(self._admitted) < limits.EGRESS_ORIGINS_MAX:
                self._admitted.add(origin)
        due = request.extensions.get(DEADLINE, trio.current_time() + self._reach.total_s)
        with trio.CancelScope(deadline=due) as scope:
            response = await super().handle_async_request(request)
        if scope.cancelled_caught:
            raise too_late()
        try:
            response.stream = Capped(response, due, self._reach)
        except UpstreamSaid:
            await response.aclose()
            raise
        return response


@cache
def _trusting_the_usual() -> ssl.SSLContext:
    """Return what most clients trust; reading it takes 20 ms, so they share it."""
    return httpx2.create_ssl_context(trust_env=False)


def trusting_nobody() -> ssl.SSLContext:
    """Return what a client has that speaks http: TLS fails with it."""
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
        with _Bounded(timeout, httpcore2.ConnectTimeout, httpcore2.ConnectError):
            return GuardedStream(await self._reach.connect(host, port), self._reach.handshake)

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

    def __init__(self, stream: trio.abc.Stream, handshake: Handshake | None = None) -> None:
        self._stream, self._handshake = stream, handshake
        self._gathered = Gathered()
        self._unsent = b""  # the beginning of a request, held for its rest
        self._write_s: float | None = None

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        with suppress(httpcore2.WriteError):  # it may have answered before it had read all
            await self._flush()
        with _Bounded(timeout, httpcore2.ReadTimeout, httpcore2.ReadError):
            while data := bytes(await self._stream.receive_some(max_bytes)):
                if told := self._gathered.take(data):
                    return told
            return b""

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Write, at the latest where the answer is read for: head and body are one write."""
        self._gathered.begin()
        self._unsent, self._write_s = self._unsent + buffer, timeout
        if len(self._unsent) >= limits.EGRESS_HELD_BYTES:
            await self._flush()

    async def _flush(self) -> None:
        if unsent := self._unsent:
            self._unsent = b""
            with _Bounded(self._write_s, httpcore2.WriteTimeout, httpcore2.WriteError):
                await self._stream.send_all(unsent)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 -- httpcore2's signature
    ) -> httpcore2.AsyncNetworkStream:
        if self._handshake is not None:
            return GuardedStream(await self._handshake(self._stream, server_hostname or ""))
        tls = trio.SSLStream(
            self._stream, ssl_context, server_hostname=server_hostname, https_compatible=True
        )
        try:
            with _Bounded(timeout, httpcore2.ConnectTimeout, httpcore2.ConnectError):
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


@contextmanager
def lost() -> Iterator[None]:
    """Raise UpstreamLost in place of httpx2's errors."""
    try:
        yield
    except Denied:
        raise
    except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
        raise UpstreamLost("The provider cannot be reached.", code="connection-lost") from error
    except httpx2.TimeoutException as error:
        raise UpstreamLost("The provider fell silent.", code="idle-timeout") from error
    except httpx2.TransportError as error:
        broke = "The connection to the provider broke."
        raise UpstreamLost(broke, code="connection-lost") from error


class _Bounded:
    """Bounds a block in time, and raises httpcore2's errors in place of trio's."""

    def __init__(
        self, timeout: float | None, slow: type[Exception], broken: type[Exception]
    ) -> None:
        due = inf if timeout is None else trio.current_time() + timeout
        self._scope, self._slow, self._broken = trio.CancelScope(deadline=due), slow, broken

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
            raise self._slow("It took too long.")
        if isinstance(error, trio.BrokenResourceError | trio.ClosedResourceError | OSError):
            raise self._broken(str(error) or str(error.__cause__ or "")) from error
