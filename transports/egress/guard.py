"""Makes every client that reaches outward, and decides where it may go.

Only http and https; no proxy of the environment; no redirect is followed. A name is resolved once,
every address it has must be allowed, and the address that was looked at is the one that is dialled,
so that a name cannot change its mind in between. Not allowed is all that is not the public
internet, unless the endpoint's settings exempt exactly that host and port.
Source: IANA's special-purpose registries (by `ipaddress`), RFC 4291, 3056, 4380, 6052.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

import trio

from runtime import limits
from runtime.problems import UpstreamSaid

if TYPE_CHECKING:
    import httpx2

    from transports.egress.connection import Client

Place: TypeAlias = tuple[str, int]  # host as the URL writes it, and port
Dial: TypeAlias = Callable[[str, int], Awaitable[trio.abc.Stream]]

PORTS = {"http": 80, "https": 443}
NAT64 = IPv6Network("64:ff9b::/96")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Where a client may go and how long it waits.

    Args:
        exempt: places that may lie in a private network.
        dial: opens a stream to an address; the harness puts its memory network here.
    """

    exempt: frozenset[Place] = field(default_factory=frozenset)
    connect_s: float = limits.UPSTREAM_CONNECT_S
    idle_s: float = limits.PROVIDER_IDLE_S
    dial: Dial | None = None

    async def connect(self, host: str, port: int) -> trio.abc.Stream:
        """Open a connection to a place, if it is allowed.

        Raises:
            UpstreamSaid: the place is not allowed; the sentence does not say what lies there.
            OSError: it cannot be reached.
        """
        host = plain(host)
        addresses = [host]
        if self.dial is None:
            addresses = await resolve(host, port)
        if (host, port) not in self.exempt and not all(map(is_public, addresses)):
            raise UpstreamSaid(
                "The address of the endpoint is not allowed.",
                code="address_not_allowed",
                **{"class": "egress"},
            )
        dial = self.dial or trio.open_tcp_stream  # noqa: TID251 -- this is the guard
        failure: OSError | None = None
        for address in addresses:
            try:
                return await dial(address, port)
            except OSError as error:
                failure = error
        raise failure or OSError("The name has no address.")


def client(reach: Reach, *, base_url: str = "", headers: Mapping[str, str] | None = None) -> Client:
    """Return a client that goes where `reach` lets it; the caller closes it.

    Raises:
        ValueError: the URL is none that a client may be made for.
    """
    if base_url:
        origin(base_url)
    from transports.egress import connection  # noqa: PLC0415 -- httpx2 costs 0.2 s, often unused

    return connection.client(reach, base_url=base_url, headers=headers or {})


def control_reach(url: str) -> Reach:
    """Return the reach of the service's own command line: that one place, wherever it lies."""
    return Reach(exempt=frozenset({origin(url)}))


def origin(url: str) -> Place:
    """Return host and port of a URL.

    Raises:
        ValueError: not http or https, without a host, or with a user's name in it.
    """
    parts = urlsplit(url)
    if parts.scheme not in PORTS:
        raise ValueError(f"{parts.scheme or 'no'} is not a scheme that is spoken here.")
    if not parts.hostname or parts.username is not None or parts.password is not None:
        raise ValueError("The URL wants a host, and no credentials.")
    return plain(parts.hostname), parts.port or PORTS[parts.scheme]


def plain(host: str) -> str:
    """Return the host in lower case, without brackets and without a dot at its end."""
    return host.strip("[]").rstrip(".").lower()


async def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a host, in the resolver's order.

    Raises:
        OSError: the name is not known.
    """
    with trio.fail_after(limits.UPSTREAM_CONNECT_S):
        found = await trio.socket.getaddrinfo(host, port, type=trio.socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def is_public(address: str) -> bool:
    """Say whether an address belongs to the public internet, whatever it is wrapped in."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False  # a name: only a dialler of the harness sees one, and it must be exempt
    return all(_is_plainly_public(each) for each in (found, *_wrapped(found)))


def _is_plainly_public(address: IPv4Address | IPv6Address) -> bool:
    return address.is_global and not (address.is_multicast or address.is_reserved)


def _wrapped(address: IPv4Address | IPv6Address) -> Iterable[IPv4Address]:
    """Return the IPv4 addresses that an IPv6 address leads to."""
    if isinstance(address, IPv4Address):
        return ()
    inside = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in NAT64:
        inside.append(IPv4Address(int(address) & 0xFFFF_FFFF))
    return (each for each in inside if each is not None)


async def body(response: httpx2.Response, size_bytes: int) -> bytes:
    """Return the body of a response, cut at `size_bytes`: an error's words, not its novel."""
    found = bytearray()
    chunks: AsyncIterator[bytes] = response.aiter_raw()
    async for chunk in chunks:
        found += chunk
        if len(found) >= size_bytes:
            break
    return bytes(found[:size_bytes])
