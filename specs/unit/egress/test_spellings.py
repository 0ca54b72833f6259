"""However an address is spelt, and whatever it is wrapped in, the guard finds where it leads."""

from __future__ import annotations

import random
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ssrfguard import DEFAULT_DENIED

from specs.requirements import requirement
from transports.egress import places, ranges
from transports.egress.denial import Denied
from transports.egress.guard import Reach

DENIED_V4 = [
    row.network for row in ranges.BY_VERSION[4] if row.rule
]  # each refused network of the fourth version
LOW = 0xFFFF_FFFF


@st.composite
def denied_v4(draw: st.DrawFn) -> IPv4Address:
    network = draw(st.sampled_from(DENIED_V4))
    return IPv4Address(
        draw(st.integers(int(network.network_address), int(network.broadcast_address)))
    )


def _parts(address: IPv4Address, how: str, count: int) -> str:
    """Return an address in `count` numbers, each written as `how` writes it."""
    octets = list(address.packed)
    last = int.from_bytes(bytes(octets[count - 1 :]), "big")
    return ".".join(how % each for each in (*octets[: count - 1], last))


FULLWIDTH = {ord("0") + digit: 0xFF10 + digit for digit in range(10)}
SPELLINGS: dict[str, Callable[[IPv4Address], str]] = {
    "plain": str,
    "decimal": lambda a: _parts(a, "%d", 1),
    "hex": lambda a: _parts(a, "%#x", 1),
    "capital hex": lambda a: _parts(a, "%#X", 1),
    "octal": lambda a: _parts(a, "0%o", 1),
    "two decimals": lambda a: _parts(a, "%d", 2),
    "three decimals": lambda a: _parts(a, "%d", 3),
    "two in hex": lambda a: _parts(a, "%#x", 2),
    "four in hex": lambda a: _parts(a, "%#x", 4),
    "four in octal": lambda a: _parts(a, "0%o", 4),
    "padded": lambda a: _parts(a, "%03d", 4),
    "dotted": lambda a: f"{a}.",
    "fullwidth": lambda a: str(a).translate(FULLWIDTH),
    "ideographic": lambda a: str(a).replace(".", "\u3002"),
    "percent": lambda a: "".join(f"%{ord(each):02x}" for each in str(a)),
    "mapped": lambda a: f"[::ffff:{a}]",
    "mapped in hex": lambda a: f"[{IPv6Address(0xFFFF << 32 | int(a))}]",
    "at length": lambda a: f"[{IPv6Address(0xFFFF << 32 | int(a)).exploded}]",
    "compatible": lambda a: f"[::{a}]",
    "SIIT": lambda a: f"[::ffff:0:{a}]",
    "NAT64": lambda a: f"[64:ff9b::{a}]",
    "local NAT64": lambda a: f"[64:ff9b:1::{a}]",
    "6to4": lambda a: f"[{IPv6Address(0x2002 << 112 | int(a) << 80)}]",
    "Teredo server": lambda a: f"[{IPv6Address(0x20010000 << 96 | int(a) << 64 | 0xF7F7F7F7)}]",
    "Teredo client": lambda a: (
        f"[{IPv6Address(0x20010000 << 96 | 0x08080808 << 64 | (~int(a) & LOW))}]"
    ),
    "ISATAP": lambda a: f"[2001:470::5efe:{a}]",
    "with a zone": lambda a: f"[::ffff:{a}%25eth0]",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@settings(max_examples=60, deadline=None)
@given(address=denied_v4())
def test_no_spelling_of_a_refused_address_is_admitted(spelling: str, address: IPv4Address) -> None:
    host = SPELLINGS[spelling](address)
    with pytest.raises(Denied):
        Reach().check(places.read(f"http://{host}/"))


@settings(max_examples=300, deadline=None)
@given(number=st.integers(0, 2**32 - 1))
def test_a_public_address_is_admitted_in_its_usual_spelling_and_each_wrapper(number: int) -> None:
    address = IPv4Address(number)
    is_refused = any(address in network for network in DENIED_V4)
    for spelling in ("plain", "mapped", "mapped in hex", "at length", "NAT64", "6to4", "ISATAP"):
        try:
            Reach().check(places.read(f"http://{SPELLINGS[spelling](address)}/"))
            found = False
        except Denied:
            found = True
        assert (spelling, found) == (spelling, is_refused)


OURS_ALONE = [  # refused here and not by ssrfguard 0.4.1, each for the reason in the table
    ip_network(each)
    for each in (
        *("168.63.129.16/32", "192.0.0.9/32", "192.0.0.10/32", "::ffff:0:0:0/96"),
        *("2001:1::1/128", "2001:1::2/128", "2001:1::3/128", "2001:20::/28", "2001:30::/28"),
    )
]


def is_ours_alone(address: ranges.Address) -> bool:
    """Whether we are known to be stricter: the list above, IPv6 beyond 2000::/3, and ISATAP."""
    if any(
        each in network
        for each in ranges.judged(address)
        for network in OURS_ALONE
        if each.version == network.version
    ):
        return True
    if isinstance(address, IPv4Address):
        return False
    is_isatap = ranges.judged(address)[1:] != () and ranges.judged(address)[0] == address
    return is_isatap or address not in ip_network("2000::/3")


def looked_at() -> list[ranges.Address]:
    """Addresses in and beside every network that either guard has, and ten thousand others."""
    chance = random.Random(20260822)  # noqa: S311 -- it chooses examples
    networks = [row.network for row in (*ranges.BY_VERSION[4], *ranges.BY_VERSION[6])]
    networks += [block.network for block in DEFAULT_DENIED.blocks]
    found: set[ranges.Address] = set()
    for network in networks:
        first, last = int(network.network_address), int(network.broadcast_address)
        most = 2**network.max_prefixlen - 1
        kind = IPv4Address if network.version == 4 else IPv6Address
        for number in (first - 1, first, first + 1, (first + last) // 2, last, last + 1):
            found.add(kind(min(max(number, 0), most)))
        found |= {kind(chance.randint(first, last)) for _ in range(20)}
    found |= {IPv4Address(chance.getrandbits(32)) for _ in range(5000)}
    found |= {IPv6Address(1 << 125 | chance.getrandbits(125)) for _ in range(5000)}
    return sorted(found, key=lambda each: (each.version, int(each)))


@requirement("egress.spellings")
def test_another_guard_refuses_nothing_that_we_admit() -> None:
    missed = [
        str(each)
        for each in looked_at()
        if DEFAULT_DENIED.classify(each).blocked and ranges.refusing(each) is None
    ]
    assert missed == []


def test_what_we_alone_refuse_is_known() -> None:
    alone = [
        str(each)
        for each in looked_at()
        if ranges.refusing(each) is not None
        and not DEFAULT_DENIED.classify(each).blocked
        and not is_ours_alone(each)
    ]
    assert alone == []


def test_the_table_is_as_old_as_the_other_guards() -> None:
    assert DEFAULT_DENIED.snapshot == ranges.DATED


@pytest.mark.parametrize("text", ["fe80::1%eth0", "", "x", "1", "127.1", "::g"])
def test_what_spells_no_address_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"address|appear"):
        ranges.address_of(text)


@settings(max_examples=300, deadline=None)
@given(text=st.text(max_size=40), prefix=st.sampled_from(["", "http://", "https://h.test"]))
def test_any_text_at_all_is_read_or_denied(text: str, prefix: str) -> None:
    try:
        written = places.read(prefix + text)
    except Denied:
        return
    again = places.read(str(written))  # what is read is read the same the second time
    assert (again.origin, again.address) == (written.origin, written.address)
    assert written.host == written.host.lower()
    assert written.host.encode("ascii", "replace").decode() == written.host
