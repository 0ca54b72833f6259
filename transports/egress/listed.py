"""The two lists an operator may give: exemptions, which widen, and allow-lists, which narrow.

An exemption is `host:port`, host as a URL writes it, `[v6]:port`; an address or a network alone is
exempt on the usual ports. It takes exactly that place out of the address rules and the port rule.
An allow-list names hosts by label: `example.com` is that host, `*.example.com` what lies below it
and not itself; `https://` before it and `:8443` behind it narrow further. Being on it exempts from
nothing but the port rule, where it names a port.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_network

from transports.egress import ranges
from transports.egress.denial import Denied
from transports.egress.places import PORTS, Place, Written, named, read

WITH_PORT = re.compile(r"(\[[^\[\]]+\]|[^:\[\]]+):([0-9]{1,5})")


class BadEntry(ValueError):
    """An entry of a list says nothing that could be followed."""


def exemptions(
    entries: Iterable[str],
) -> tuple[frozenset[Place], tuple[ranges.Network, ...]]:
    """Return the places that a list of exemptions means, and the networks.

    Raises:
        BadEntry: an entry says nothing; it is named.
    """
    places: set[Place] = set()
    networks: list[ranges.Network] = []
    for entry in entries:
        try:
            if "://" in entry:
                places.add(read(entry).place)
            elif split := WITH_PORT.fullmatch(entry):
                places.add((named(split[1])[0], int(split[2])))
            elif _is_network(entry):
                networks.append(ip_network(entry.strip("[]"), strict=False))
            else:
                places |= {(named(entry)[0], port) for port in PORTS.values()}
        except (Denied, ValueError) as error:
            raise BadEntry(f"{entry!r} is no host:port, address or network") from error
    return frozenset(places), tuple(networks)


def _is_network(entry: str) -> bool:
    try:
        ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return False
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """One entry of an allow-list.

    Args:
        scheme: None is any.
        labels: the host's, or what lies above it where `below`.
        port: None is any that the port rule allows.
    """

    scheme: str | None
    labels: tuple[str, ...]
    below: bool
    port: int | None

    def covers(self, written: Written) -> bool:
        """Whether a URL goes where the entry says."""
        return (
            self.scheme in (None, written.scheme)
            and self.port in (None, written.port)
            and self._names(written.host)
        )

    def opens(self, host: str, port: int) -> bool:
        """Whether the entry names that very port of a host."""
        return self.port == port and self._names(host)

    def _names(self, host: str) -> bool:
        labels = tuple(host.split("."))  # an address is one label or is no domain below another
        over = len(labels) - len(self.labels)
        is_deep = over > 0 if self.below else over == 0
        return is_deep and labels[over:] == self.labels


def domains(entries: Iterable[str]) -> tuple[Domain, ...]:
    """Return what an allow-list means; an empty one allows everything.

    Raises:
        BadEntry: an entry says nothing; it is named.
    """
    return tuple(map(_domain, entries))


def _domain(entry: str) -> Domain:
    scheme, _, rest = entry.rpartition("://")
    scheme = scheme.lower()
    below = rest.startswith("*.")
    rest = rest.removeprefix("*.").removesuffix("/")
    split = WITH_PORT.fullmatch(rest)
    try:
        host, address = named(split[1] if split else rest)
    except Denied as denial:
        raise BadEntry(f"{entry!r} is no host of an allow-list") from denial
    if scheme not in ("", *PORTS) or (below and address is not None):
        raise BadEntry(f"{entry!r} is no host of an allow-list")
    port = int(split[2]) if split else None
    return Domain(scheme=scheme or None, labels=tuple(host.split(".")), below=below, port=port)
