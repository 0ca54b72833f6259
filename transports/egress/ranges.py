"""Which addresses are not the public internet: the table, and the question asked of it.

The longest prefix that holds an address decides. Some IPv6 prefixes only wrap an IPv4 address; a
packet goes where that one is, so it is the one that is judged. What IANA calls global but what is
never a server (anycast to the nearest gateway, identifiers) is refused here as well. All of IPv6
outside 2000::/3 is refused: nothing else has been allocated for unicast.
Source: IANA's IPv4 and IPv6 special-purpose address registries and multicast and address space
registries as of 2026-08-22; RFC 4291, 6052, 3056, 4380, 5214; the clouds' own pages for metadata.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final, TypeAlias

DATED: Final = "2026-08-22"
Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

METADATA: Final = "metadata"
PUBLIC: Final = ""  # the rule of a row that is reachable although what surrounds it is not

# network, rule, what it is
TABLE: Final = (
    ("0.0.0.0/8", "this-network", "this network, RFC 791"),
    ("10.0.0.0/8", "private", "private use, RFC 1918"),
    ("100.64.0.0/10", "shared", "carrier-grade NAT, RFC 6598"),
    ("100.100.100.200/32", METADATA, "metadata of Alibaba Cloud"),
    ("127.0.0.0/8", "loopback", "loopback, RFC 1122"),
    ("168.63.129.16/32", METADATA, "WireServer of Azure, inside public space"),
    ("169.254.0.0/16", "link-local", "link local, RFC 3927"),
    ("169.254.169.254/32", METADATA, "metadata of most clouds"),
    ("169.254.170.2/32", METADATA, "credentials of AWS ECS tasks"),
    ("169.254.170.23/32", METADATA, "credentials of AWS EKS pods"),
    ("172.16.0.0/12", "private", "private use, RFC 1918"),
    ("192.0.0.0/24", "protocol", "IETF protocol assignments, RFC 6890; two lead to the gateway"),
    ("192.0.0.192/32", METADATA, "metadata of Oracle Cloud"),
    ("192.0.2.0/24", "documentation", "TEST-NET-1, RFC 5737"),
    ("192.88.99.0/24", "relay", "6to4 relay anycast, RFC 7526"),
    ("192.168.0.0/16", "private", "private use, RFC 1918"),
    ("198.18.0.0/15", "benchmarking", "benchmarking, RFC 2544"),
    ("198.51.100.0/24", "documentation", "TEST-NET-2, RFC 5737"),
    ("203.0.113.0/24", "documentation", "TEST-NET-3, RFC 5737"),
    ("224.0.0.0/4", "multicast", "multicast, RFC 5771"),
    ("240.0.0.0/4", "reserved", "reserved, RFC 1112"),
    ("255.255.255.255/32", "broadcast", "limited broadcast, RFC 919"),
    ("::/0", "unallocated", "not allocated for unicast"),
    ("2000::/3", PUBLIC, "global unicast, RFC 4291"),
    ("::/128", "unspecified", "unspecified, RFC 4291"),
    ("::1/128", "loopback", "loopback, RFC 4291"),
    ("::ffff:0:0:0/96", "translation", "SIIT, RFC 2765: never on the public internet"),
    ("64:ff9b:1::/48", "translation", "local-use NAT64, RFC 8215"),
    ("100::/64", "discard", "discard only, RFC 6666"),
    ("100:0:0:1::/64", "discard", "dummy prefix, RFC 9780"),
    ("2001::/23", "protocol", "IETF protocol assignments, RFC 2928; some lead to the gateway"),
    ("2001:2::/48", "benchmarking", "benchmarking, RFC 5180"),
    ("2001:3::/32", PUBLIC, "AMT, RFC 7450"),
    ("2001:4:112::/48", PUBLIC, "AS112, RFC 7535"),
    ("2001:10::/28", "identifier", "ORCHID, RFC 4843"),
    ("2001:20::/28", "identifier", "ORCHIDv2, RFC 7343"),
    ("2001:30::/28", "identifier", "drone identifiers, RFC 9374"),
    ("2001:db8::/32", "documentation", "documentation, RFC 3849"),
    ("3fff::/20", "documentation", "documentation, RFC 9637"),
    ("5f00::/16", "segment-routing", "SRv6 SIDs, RFC 9602"),
    ("fc00::/7", "unique-local", "unique local, RFC 4193"),
    ("fd00:ec2::254/128", METADATA, "metadata of AWS"),
    ("fd00:ec2::23/128", METADATA, "credentials of AWS EKS pods"),
    ("fd20:ce::254/128", METADATA, "metadata of Google Cloud"),
    ("fe80::/10", "link-local", "link local, RFC 4291"),
    ("fec0::/10", "site-local", "site local, RFC 3879"),
    ("ff00::/8", "multicast", "multicast, RFC 4291"),
)

MAPPED, COMPATIBLE = IPv6Network("::ffff:0:0/96"), IPv6Network("::/96")
NAT64 = IPv6Network("64:ff9b::/96")
SIX_TO_FOUR, TEREDO = IPv6Network("2002::/16"), IPv6Network("2001::/32")
ISATAP = (0x0000_5EFE, 0x0200_5EFE)  # upper half of an interface identifier, RFC 5214 section 6.1
LOW = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """One row of the table."""

    network: Network
    rule: str
    words: str


def _indexed(version: int) -> tuple[Range, ...]:
    rows = (Range(network=ip_network(net), rule=rule, words=words) for net, rule, words in TABLE)
    mine = [row for row in rows if row.network.version == version]
    return tuple(sorted(mine, key=lambda row: -row.network.prefixlen))


BY_VERSION: Final = {4: _indexed(4), 6: _indexed(6)}


def refusing(address: Address) -> Range | None:
    """Return why an address is refused, None where it is on the public internet."""
    for each in judged(address):
        for row in BY_VERSION[each.version]:
            if each in row.network:
                if row.rule != PUBLIC:
                    return row
                break
    return None


def address_of(text: str) -> Address:
    """Return the address that a text spells in the usual way.

    Raises:
        ValueError: it spells none, or one with a zone, which means something on one machine only.
    """
    if "%" in text:
        raise ValueError("An address with a zone is of one machine.")
    return ip_address(text)


def judged(address: Address) -> tuple[Address, ...]:
    """Return the addresses that decide about one: what it wraps, else itself, or both."""
    if isinstance(address, IPv4Address):
        return (address,)
    number = int(address)
    if address in MAPPED or address in NAT64 or (address in COMPATIBLE and number > 1):
        return (IPv4Address(number & LOW),)
    if address in SIX_TO_FOUR:
        return (IPv4Address(number >> 80 & LOW),)
    if address in TEREDO:  # its server, and its client with every bit turned
        return IPv4Address(number >> 64 & LOW), IPv4Address(~number & LOW)
    if number >> 32 & LOW in ISATAP:
        return address, IPv4Address(number & LOW)
    return (address,)
