"""Reads the text of a URL in one way only, and refuses what two programs might read in two.

A URL is taken apart here once; what goes on to the client is put together again from the parts, in
plain ASCII. So no other parser ever sees a backslash, a control character, user names, a percent
sign in a host, or a number that some resolvers take for an address: all of these are refused, also
where they would lead to a public place. Legal is the one usual spelling of an address.
Source: RFC 3986; UTS 46 (names in other scripts); WHATWG URL ("ends in a number").
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, TypeAlias
from urllib.parse import urljoin

import idna

from runtime import limits
from transports.egress import ranges
from transports.egress.denial import Denied

Place: TypeAlias = tuple[str, int]  # host in ASCII and lower case, without brackets; and port

PORTS: Final = {"http": 80, "https": 443}
NEVER = re.compile(r"[\x00-\x20\x7f-\xa0\\\u2028\u2029\u3000]")
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
PARTS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)(.*)", re.DOTALL)
AUTHORITY = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::([0-9]{0,20}))?")
LABEL = re.compile(r"[a-z0-9_-]{1,63}")
NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
HOST_CHARS_MAX = 253  # RFC 1035 section 2.3.4, as text
PORT_MAX = 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A URL, understood.

    Args:
        rest: path, query and fragment as they were written.
        address: the host, where it is an address and no name.
    """

    scheme: str
    host: str
    port: int
    rest: str = ""
    address: ranges.Address | None = None

    @property
    def place(self) -> Place:
        return self.host, self.port

    @property
    def origin(self) -> tuple[str, str, int]:
        return self.scheme, self.host, self.port

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if PORTS[self.scheme] == self.port else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.rest or '/'}"


def read(url: str) -> Written:
    """Return what a URL says.

    Raises:
        Denied: it is none that may be used; the rule says what is wrong with it.
    """
    if len(url) > limits.EGRESS_URL_CHARS:
        raise Denied("url", f"It is longer than {limits.EGRESS_URL_CHARS} characters.")
    if NEVER.search(url):
        raise Denied("url", "It holds a space, a control character or a backslash.")
    parts = PARTS.fullmatch(url)
    if parts is None:
        raise Denied("scheme", "It does not begin with http:// or https://.")
    scheme, authority, rest = parts[1].lower(), parts[2], parts[3]
    if scheme not in PORTS:
        raise Denied("scheme", f"{scheme} is not spoken here, only http and https.")
    if "@" in authority:
        raise Denied("userinfo", "It names a user before the host.")
    split = AUTHORITY.fullmatch(authority)
    if split is None:
        raise Denied("host", "What stands for host and port cannot be read.")
    host, address = named(split[1])
    port = int(split[2] or PORTS[scheme])
    if not 1 <= port <= PORT_MAX:
        raise Denied("port", f"{port} is no port.")
    if rest[:1] in ("?", "#"):
        rest = f"/{rest}"
    return Written(scheme=scheme, host=host, port=port, rest=rest, address=address)


def named(text: str) -> tuple[str, ranges.Address | None]:
    """Return a host as it is looked up, and the address that it is, None for a name.

    Raises:
        Denied: it is neither a name nor an address in its usual spelling.
    """
    if not text:
        raise Denied("host", "It has no host.")
    if "%" in text:
        raise Denied("host", "A host holds no percent sign: no coding, no zone.")
    if ":" in text or text.startswith("["):
        return _address(text.removeprefix("[").removesuffix("]"), version=6)
    if len(text) > HOST_CHARS_MAX:
        raise Denied("host", f"The name is longer than {HOST_CHARS_MAX} characters.")
    host = _ascii(text).removesuffix(".")
    labels = host.split(".")
    if len(host) > HOST_CHARS_MAX or not all(map(LABEL.fullmatch, labels)):
        raise Denied("host", "The name is not well formed.")
    if not NUMBER.fullmatch(labels[-1]):
        return host, None
    if host != text:
        raise Denied("spelling", "A number in disguise that may mean an address.")
    return _address(host, version=4)


def _address(text: str, *, version: int) -> tuple[str, ranges.Address]:
    try:
        address = ranges.address_of(text)
    except ValueError:
        raise Denied("spelling", "It spells no address in the one usual way.") from None
    if address.version != version:
        raise Denied("spelling", "Brackets are for IPv6 alone.")
    return str(address), address


def _ascii(text: str) -> str:
    """Return a name in lower-case ASCII, as browsers map it."""
    if text.isascii():
        return text.lower()
    try:
        mapped = idna.uts46_remap(text, std3_rules=False)
        labels = mapped.split(".")
        coded = (x if x.isascii() else f"xn--{x.encode('punycode').decode()}" for x in labels)
        return ".".join(coded)
    except (idna.IDNAError, UnicodeError):
        raise Denied("host", "The name cannot be written in ASCII.") from None


def joined(base: str, location: str) -> Written:
    """Return where a redirect leads.

    Raises:
        Denied: it leads to no URL that may be used.
    """
    if NEVER.search(location):
        raise Denied("url", "The redirect holds a space, a control character or a backslash.")
    if SCHEME.match(location):
        return read(location)
    if location.startswith("//"):
        return read(f"{base.partition(':')[0]}:{location}")
    return read(urljoin(base, location))
