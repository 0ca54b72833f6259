"""The client that `guard` hands out: httpx2 over connections that the guard has opened.

Apart from `guard` only because importing httpx2 takes longer than many a run of the command line.
Nothing here decides: `Reach` is asked for each connection (`pool`), and what a URL or a redirect
says is read as the guard reads it before httpx2 does. Source: httpx2's `AsyncClient`.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, TypeAlias

import httpx2
import trio

from runtime import limits
from runtime.problems import UpstreamLost, UpstreamSaid
from transports.egress import places
from transports.egress.capped import DEADLINE, Capped
from transports.egress.denial import Denied
from transports.egress.guard import Reach
from transports.egress.places import PORTS
from transports.egress.pool import Pool

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


class RedirectDenied(Denied, httpx2.RemoteProtocolError):
    """A redirect that is not followed; where none is to be followed httpx2 passes over it."""

    def __init__(self, rule: str, reason: str) -> None:
        Denied.__init__(self, rule, reason)
        self._request = None  # httpx2 sets it


class GuardedTransport(httpx2.AsyncBaseTransport):
    """Requests over connections that the guard has opened, for http and https alone."""

    def __init__(self, reach: Reach, *, wants_tls: bool) -> None:
        plays_tls = not wants_tls or reach.handshake is not None
        trusted = reach.trust or (_trusting_nobody() if plays_tls else _trusting_the_usual())
        self._reach, self._pool = reach, Pool(reach, trusted)
        self._admitted: set[tuple[str, bytes, bytes]] = set()

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
        body, head = await self._pool.ask(request, due)
        response = httpx2.Response(
            head.status,
            headers=head.headers,
            stream=body,
            extensions={"http_version": b"HTTP/1.1", "reason_phrase": head.reason},
        )
        try:
            response.stream = Capped(response, body, self._reach)
        except UpstreamSaid:
            await response.aclose()
            raise
        return response

    async def aclose(self) -> None:
        """Close every connection."""
        await self._pool.aclose()


@cache
def _trusting_the_usual() -> ssl.SSLContext:
    """Return what most clients trust; reading it takes 20 ms, so they share it."""
    return httpx2.create_ssl_context(trust_env=False)


def _trusting_nobody() -> ssl.SSLContext:
    """Return what a client has that speaks http: TLS fails with it."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


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
