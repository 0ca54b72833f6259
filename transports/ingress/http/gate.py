"""Who may come in at all: the Host and Origin of a request, and what a proxy says about it.

A page of another origin can make a browser send requests here, and a name that resolves to this
machine can make it believe that it is at home; both are refused before anything is read. Forwarded
headers are believed from `trusted_proxies` alone, and only what the nearest proxy added.
Source: RFC 9110 section 7.2, RFC 6454, the Fetch standard (CORS).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

from werkzeug.datastructures import Headers

from runtime.problems import HostNotAllowed, OriginNotAllowed

LOCAL: Final = ("localhost", "127.0.0.1", "[::1]")
DEFAULT_PORTS: Final[Mapping[str, str]] = {"http": "80", "https": "443"}
STREAMS: Final = "/v1/stream/"  # the Durable Streams protocol: any origin may ask what it may send
ANY_HEADERS: Final = (
    "authorization, content-type, idempotency-key, if-none-match, last-event-id, mcp-method,"
    " mcp-name, mcp-protocol-version, mcp-session-id, producer-epoch, producer-id, producer-seq,"
    " stream-closed, stream-expires-at, stream-fork-offset,"
    " stream-fork-sub-offset, stream-forked-from, stream-seq, stream-ttl, traceparent"
)
EXPOSED: Final = (
    "etag, idempotent-replayed, location, mcp-session-id, producer-epoch, producer-expected-seq,"
    " producer-received-seq, producer-seq, retry-after, stream-closed, stream-cursor,"
    " stream-expires-at, stream-next-offset, stream-sse-data-encoding, stream-ttl,"
    " stream-up-to-date, x-request-id"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A request as its client sees it: `host` is name and port, `origin` what it belongs to."""

    scheme: str
    host: str
    client: str
    port: int  # ours

    @property
    def origin(self) -> str:
        """The origin of this service as this client addresses it."""
        return f"{self.scheme}://{_without_default_port(self.scheme, self.host)}"


class Gate:
    """Checks a request against the settings."""

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        public_url: str | None = None,
        allowed_hosts: Iterable[str] = (),
        cors_origins: Iterable[str] = (),
        trusted_proxies: Iterable[str] = (),
    ) -> None:
        """Take the settings.

        Args:
            host: the address that was bound.
            allowed_hosts: names, with a port or for any port.
            cors_origins: origins that may ask with a bearer token.
            trusted_proxies: addresses or networks.
        """
        public = urlsplit(public_url) if public_url else None
        self._bound = (*LOCAL, f"[{host}]" if ":" in host else host.lower())
        self._hosts = {each.lower() for each in allowed_hosts}
        self._origins: set[str] = set()
        if public is not None:
            self._hosts.add(public.netloc.lower())
            netloc = _without_default_port(public.scheme, public.netloc.lower())
            self._origins.add(f"{public.scheme}://{netloc}")
            self._hosts.add(netloc)
        self._cors = {each.lower().rstrip("/") for each in cors_origins}
        self._proxies = [ip_network(each, strict=False) for each in trusted_proxies]

    def see(
        self,
        *,
        scheme: str,
        headers: Headers,
        client: tuple[str, int] | None,
        server: tuple[str, int | None] | None,
    ) -> Seen:
        """Return the request as its client sees it, proxies taken into account."""
        peer = client[0] if client else ""
        host = headers.get("Host", "")
        if self._trusts(peer):
            scheme = _nearest(headers.get("X-Forwarded-Proto", "")) or scheme
            host = _nearest(headers.get("X-Forwarded-Host", "")) or host
            peer = _nearest(headers.get("X-Forwarded-For", "")) or peer
        port = (server[1] if server else None) or 0
        return Seen(scheme=scheme.lower(), host=host.lower(), client=peer, port=port)

    def _trusts(self, peer: str) -> bool:
        if not self._proxies:
            return False
        try:
            address = ip_address(peer)
        except ValueError:
            return False
        return any(address in network for network in self._proxies)

    def check_host(self, seen: Seen) -> None:
        """Check that the request is for this service.

        Our own name without a port is ours too: plain clients leave it out, a browser never does,
        and it is the name that tells a rebound one.

        Raises:
            HostNotAllowed: it is for somebody else's name.
        """
        name, port = _split(seen.host)
        if name in self._bound and port in {"", str(seen.port)}:
            return
        if name in self._hosts or seen.host in self._hosts:
            return
        raise HostNotAllowed("The Host header names no host of this service.")

    def check_origin(self, seen: Seen, origin: str, *, bearer: bool) -> str | None:
        """Check where a page that asks comes from; return the origin to allow by CORS, if any.

        Args:
            origin: the Origin header, empty where there is none.
            bearer: the request carries a bearer token, or is a preflight that asks for one.

        Raises:
            OriginNotAllowed: it comes from elsewhere.
        """
        if not origin or self.is_own(seen, origin):
            return None
        if bearer and origin.lower() in self._cors:
            return origin
        raise OriginNotAllowed("A page of this origin may not ask here.")

    def is_own(self, seen: Seen, origin: str) -> bool:
        """Whether the origin is this service's own: scheme, host and port."""
        return origin.lower() == seen.origin or origin.lower() in self._origins


def cors_headers(origin: str, *, preflight: bool) -> dict[bytes, str]:
    """Return the headers that let a page of this origin read the answer."""
    headers = {
        b"access-control-allow-origin": origin,
        b"vary": "Origin",
        b"access-control-expose-headers": EXPOSED,
        b"cross-origin-resource-policy": "cross-origin",
    }
    if preflight:
        headers[b"access-control-allow-methods"] = "GET, HEAD, POST, PUT, DELETE"
        headers[b"access-control-allow-headers"] = ANY_HEADERS
        headers[b"access-control-max-age"] = "600"
    return headers


def _nearest(values: str) -> str:
    return values.rpartition(",")[2].strip()


def _split(host: str) -> tuple[str, str]:
    name, colon, port = host.rpartition(":")
    if colon and port.isdigit():
        return name, port
    return host, ""


def _without_default_port(scheme: str, host: str) -> str:
    name, port = _split(host)
    return name if port == DEFAULT_PORTS.get(scheme) else host
