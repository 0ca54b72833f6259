"""The guard lets a client go to the public internet and to places that are exempt by name."""

from __future__ import annotations

import socket
from collections.abc import Sequence

import pytest
import trio

from runtime.problems import UpstreamSaid
from specs.requirements import requirement
from transports.egress import guard
from transports.egress.guard import Reach


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.9.9.9",
        "0.0.0.0",  # noqa: S104 -- an address to refuse
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fc00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a00:1",
        "2002:7f00:1::",
        "2001:0:a00:1::f5ff:fffe",
        "localhost",
    ],
)
def test_what_is_not_the_public_internet_is_refused(address: str) -> None:
    assert guard.is_public(address) is False


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111"])
def test_the_public_internet_is_allowed(address: str) -> None:
    assert guard.is_public(address) is True


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("http://127.0.0.1:8931/v1", ("127.0.0.1", 8931)),
        ("https://API.example.com./v1", ("api.example.com", 443)),
        ("http://[::1]:80/", ("::1", 80)),
        ("http://example.com", ("example.com", 80)),
    ],
)
def test_the_place_of_a_url_is_its_host_and_port(url: str, place: tuple[str, int]) -> None:
    assert guard.origin(url) == place


@pytest.mark.parametrize(
    "url", ["ftp://example.com", "file:///etc/passwd", "http://", "//x", "http://u:p@example.com"]
)
def test_other_urls_make_no_client(url: str) -> None:
    with pytest.raises(ValueError, match=r"URL|scheme"):
        guard.client(Reach(), base_url=url)


class Names(trio.abc.HostnameResolver):
    """A resolver that knows a few names, and counts."""

    def __init__(self, **known: Sequence[str]) -> None:
        self.known = known
        self.asked = 0

    async def getaddrinfo(  # type: ignore[override]  # the families are told apart by literals
        self, host: bytes, port: int, *rest: int
    ) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        self.asked += 1
        kind = (int(socket.AF_INET), int(socket.SOCK_STREAM), 6, "")
        return [(*kind, (address, port)) for address in self.known[host.decode()]]

    async def getnameinfo(
        self, sockaddr: tuple[str, int] | tuple[str, int, int, int], flags: int
    ) -> tuple[str, str]:
        raise NotImplementedError


@pytest.fixture
async def names() -> Names:
    known = Names(inside=["10.0.0.1"], mixed=["1.1.1.1", "127.0.0.1"], here=["127.0.0.1"])
    trio.socket.set_custom_hostname_resolver(known)  # of this run
    return known


@pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "::1"])
async def test_a_literal_address_is_looked_at_too(host: str) -> None:
    with pytest.raises(UpstreamSaid) as refusal:
        await Reach().connect(host, 9)
    assert refusal.value.extensions["code"] == "address_not_allowed"


@pytest.fixture
async def quiet_port() -> int:
    """A port where nobody listens."""
    with trio.socket.socket() as unused:
        await unused.bind(("127.0.0.1", 0))
        port: int = unused.getsockname()[1]
    return port


@requirement("egress.whole-answer")
async def test_a_name_is_refused_if_one_of_its_addresses_is(names: Names) -> None:
    with pytest.raises(UpstreamSaid):
        await Reach().connect("mixed", 80)
    with pytest.raises(UpstreamSaid):
        await Reach().connect("inside", 80)
    assert names.asked == 2


async def test_exempt_is_that_host_and_that_port_and_no_other(quiet_port: int) -> None:
    reach = Reach(exempt=frozenset({("127.0.0.1", quiet_port)}))
    with pytest.raises(OSError, match=r"127\.0\.0\.1"):
        await reach.connect("127.0.0.1", quiet_port)  # allowed; nobody listens
    with pytest.raises(UpstreamSaid):
        await reach.connect("127.0.0.1", quiet_port - 1)
    with pytest.raises(UpstreamSaid):
        await reach.connect("localhost", quiet_port)


async def test_a_name_is_resolved_once_and_its_address_is_dialled(
    names: Names, nursery: trio.Nursery
) -> None:
    async def serve(stream: trio.SocketStream) -> None:
        await stream.send_all(b"hello")

    listeners = await nursery.start(trio.serve_tcp, serve, 0)
    port = listeners[0].socket.getsockname()[1]
    names.asked = 0
    with trio.fail_after(5):
        async with await Reach(exempt=frozenset({("here", port)})).connect("HERE.", port) as stream:
            assert await stream.receive_some(16) == b"hello"
    assert names.asked == 1


async def test_a_client_takes_no_proxy_from_the_environment_and_follows_nobody() -> None:
    async with guard.client(Reach(), base_url="http://example.com") as client:
        assert client.trust_env is False
        assert client.follow_redirects is False
