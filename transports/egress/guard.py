"""Makes every client that reaches outward, and decides where it may go.

A URL is read once (`places`); only http and https, on their own ports. A connection resolves its
name once; every address of the answer must be on the public internet (`ranges`) or be exempt, the
first of them is dialled, and its peer is asked who it is: a name cannot change its mind in between.
No proxy of the environment, no unix socket; a redirect is looked at like a first request. What is
decided is logged, and told to `on_decision`; a denial names its rule.
Source: OWASP ASVS 5.0 1.3.6; RFC 6761, RFC 6762 and ICANN's reservation of `.internal` for names.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import structlog
import trio

from runtime import limits
from transports.egress import places, ranges
from transports.egress.denial import Decision, Denied, Told
from transports.egress.listed import Domain, domains
from transports.egress.places import PORTS, Place, Written

if TYPE_CHECKING:
    import httpx2

    from transports.egress.connection import Client

Dial: TypeAlias = Callable[[str, int], Awaitable[trio.abc.Stream]]
Resolve: TypeAlias = Callable[[str, int], Awaitable[list[str]]]
Handshake: TypeAlias = Callable[[trio.abc.Stream, str], Awaitable[trio.abc.Stream]]

log = structlog.get_logger(__name__)

THIS_MACHINE = ("localhost", "localdomain")  # last labels of names that mean this machine
INSIDE = ("internal", "local")  # last labels of names that are never public
PUBLIC, EXEMPT = "public", "exempt"  # the rules that allow


async def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a host, in the resolver's order.

    Raises:
        OSError: the name is not known.
    """
    found = await trio.socket.getaddrinfo(host, port, type=trio.socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


async def dial(address: str, port: int) -> trio.abc.Stream:
    """Open a connection to an address.

    Raises:
        OSError: it cannot be reached.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = trio.socket.socket(family, socket.SOCK_STREAM)  # noqa: TID251 -- this is the guard
    try:
        await made.connect((address, port))
    except BaseException:
        made.close()
        raise
    return trio.SocketStream(made)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Where a client may go, how long it waits and how much it takes.

    Args:
        purpose: what the client is for, in the log and the metric: provider, webhook, mcp, oauth,
            action, import, check.
        exempt: places that may lie in a private network, and have any port; an address is exempt
            under whatever name it is found.
        networks: these may be reached on the usual ports.
        domains: hosts that alone may be reached; empty: any.
        downgrade: a redirect may lead from https to http.
        decodes: gzip and deflate are asked for; else a coded answer is refused.
        idle_s: a peer may be silent so long.
        total_s: a request, its redirects and its whole answer take no longer.
        body_bytes: of an answer, both as it comes and decoded.
        trust: the certificates trusted; None: those of httpx2.
        dial: opens a stream to an address; the harness puts its memory network here, and then a
            name goes to it unresolved.
        resolve: finds the addresses of a name; None: the system's resolver.
        handshake: makes a stream TLS; None: a real one.
        on_decision: is told each decision.
    """

    purpose: str = "provider"
    exempt: frozenset[Place] = field(default_factory=frozenset)
    networks: tuple[ranges.Network, ...] = ()
    domains: tuple[Domain, ...] = ()
    downgrade: bool = False
    decodes: bool = False
    connect_s: float = limits.UPSTREAM_CONNECT_S
    idle_s: float = limits.PROVIDER_IDLE_S
    total_s: float = limits.EGRESS_TOTAL_S
    body_bytes: int = limits.EGRESS_BODY_BYTES
    trust: ssl.SSLContext | None = None
    dial: Dial | None = None
    resolve: Resolve | None = None
    handshake: Handshake | None = None
    on_decision: Told | None = None

    def admit(self, url: str) -> Written:
        """Return what a URL says, if a client may be sent there; nothing is looked up.

        Raises:
            Denied: it may not; this has been logged and counted.
        """
        try:
            written = places.read(url)
            self.check(written)
        except Denied as denial:
            self.refuse(denial)
        return written

    def check(self, written: Written) -> None:
        """Check all of a URL that needs no look-up.

        Raises:
            Denied: it may not be reached.
        """
        if self.domains and not any(each.covers(written) for each in self.domains):
            raise Denied("not-listed", f"{written.host} is not on the allow-list.")
        if written.address is None:
            self._check_name(written.host, written.port)
        else:
            self._check_addresses(written.host, written.port, [written.address])

    async def connect(self, host: str, port: int) -> trio.abc.Stream:
        """Open a connection to a place, if it is allowed.

        Raises:
            Denied: it is not; this has been logged and counted.
            OSError: it cannot be reached, or its name is not known.
        """
        try:
            host, literal = places.named(f"[{host}]" if ":" in host else host)
            if literal is not None:
                answer = [str(literal)]
            else:
                self._check_name(host, port)
                answer = await self._resolved(host, port)
            rule = self._check_answer(host, port, answer)
        except Denied as denial:
            self.refuse(denial, host, port)
        return await self._dialled(host, port, answer, rule)

    @property
    def knows_names(self) -> bool:
        """Whether the network dialled is one that knows names itself, as the harness's does."""
        return self.dial is not None and self.resolve is None

    async def _resolved(self, host: str, port: int) -> list[str]:
        """Return the whole answer for a name."""
        if self.knows_names:
            return [host]
        failure = OSError("The name has no address.")
        try:
            with trio.fail_after(self.connect_s):
                if found := await (self.resolve or resolve)(host, port):
                    return found
        except OSError as error:
            failure = error
        except trio.TooSlowError:
            failure = OSError("The look-up took too long.")
        self.tell(allowed=False, rule="dns", reason=str(failure), host=host, port=port)
        raise failure

    def _check_answer(self, host: str, port: int, answer: list[str]) -> str:
        """Check every address of an answer; return the rule that allows them."""
        if self.knows_names and (host, port) in self.exempt:
            return EXEMPT
        try:
            addresses = [ranges.address_of(each) for each in answer]
        except ValueError:
            raise Denied("dns", f"The answer for {host} holds what is no address.") from None
        return self._check_addresses(host, port, addresses)

    def _check_addresses(self, host: str, port: int, addresses: list[ranges.Address]) -> str:
        by_name = (host, port) in self.exempt
        unusual = None if by_name else self._unusual(host, port)
        rule = EXEMPT if by_name else PUBLIC
        for address in addresses:
            if self._is_exempt(address, port):
                rule = EXEMPT
                continue
            row = ranges.refusing(address)
            if row is not None and (row.rule == ranges.METADATA or not by_name):
                raise Denied(row.rule, f"{address} is in {row.network}: {row.words}.")
            if unusual is not None:
                raise unusual
        return rule

    def _check_name(self, host: str, port: int) -> None:
        if (host, port) in self.exempt:
            return
        if _is_below(host, THIS_MACHINE):
            raise Denied("name", f"{host} means this very machine.")
        unusual = self._unusual(host, port)
        if unusual is not None and not self._may_be_exempt(port):
            raise unusual

    def _unusual(self, host: str, port: int) -> Denied | None:
        """Return why a place is refused, wherever it lies, unless it is exempt."""
        if _is_below(host, INSIDE):
            return Denied("name", f"{host} is a name of private networks.")
        if port in PORTS.values() or any(each.opens(host, port) for each in self.domains):
            return None
        return Denied("port", f"Port {port} is neither 80 nor 443.")

    def _is_exempt(self, address: ranges.Address, port: int) -> bool:
        if (str(address), port) in self.exempt:
            return True
        return port in PORTS.values() and any(
            address.version == network.version and address in network for network in self.networks
        )

    def _may_be_exempt(self, port: int) -> bool:
        """Whether the answer for a name may turn out to be exempt on a port."""
        if self.networks and port in PORTS.values():
            return True
        return any(port == each for _, each in self.exempt)

    async def _dialled(self, host: str, port: int, answer: list[str], rule: str) -> trio.abc.Stream:
        """Dial what was checked, one address after the other, and ask the peer who it is."""
        failure = OSError("The name has no address.")
        for address in answer[: limits.EGRESS_DIALS_MAX]:
            try:
                stream = await (self.dial or dial)(address, port)
            except OSError as error:
                failure = error
                continue
            if not _is_peer(stream, address):
                await trio.aclose_forcefully(stream)
                denial = Denied("peer", "Another address answered than the one dialled.")
                self.refuse(denial, host, port)
            self.tell(allowed=True, rule=rule, reason="", host=host, port=port, dialled=address)
            return stream
        raise failure

    def refuse(self, denial: Denied, host: str = "", port: int = 0) -> NoReturn:
        """Log and count a denial, and raise it."""
        self.tell(allowed=False, rule=denial.rule, reason=denial.reason, host=host, port=port)
        raise denial

    def tell(
        self,
        *,
        allowed: bool,
        rule: str,
        reason: str,
        host: str,
        port: int,
        dialled: str | None = None,
    ) -> None:
        """Log a decision and hand it to whoever counts."""
        decision = Decision(
            allowed=allowed,
            rule=rule,
            reason=reason,
            purpose=self.purpose,
            host=host,
            port=port,
            dialled=dialled,
        )
        said = {"rule": rule, "purpose": self.purpose, "host": host, "port": port}
        if allowed:
            log.debug("egress_allowed", dialled=dialled, **said)
        else:
            log.warning("egress_denied", reason=reason, **said)
        if self.on_decision is not None:
            self.on_decision(decision)


def _is_below(host: str, last_labels: tuple[str, ...]) -> bool:
    return host.rpartition(".")[2] in last_labels


def _is_peer(stream: trio.abc.Stream, address: str) -> bool:
    """Whether the far end of a socket has an address; other streams have none."""
    if not isinstance(stream, trio.SocketStream):
        return True
    return ranges.address_of(stream.socket.getpeername()[0]) == ranges.address_of(address)


def client(
    reach: Reach | None = None,
    *,
    purpose: str = "provider",
    base_url: str = "",
    headers: Mapping[str, str] | None = None,
    follow_redirects: bool = False,
    **more: Any,
) -> Client:
    """Return a client that goes where `reach` lets it; the caller closes it.

    It is an `httpx2.AsyncClient`, which the SDKs of the vendors and MCP take as theirs.

    Args:
        reach: None is the public internet, for `purpose`.
        more: `kind`, a library's own subclass of that client to make, and what it wants besides.

    Raises:
        ValueError: the URL is none that a client may be made for.
    """
    if base_url:
        origin(base_url)
    from transports.egress import connection  # noqa: PLC0415 -- httpx2 costs 0.2 s, often unused

    return connection.client(
        reach or Reach(purpose=purpose),
        base_url=base_url,
        headers=headers or {},
        follow_redirects=follow_redirects,
        **more,
    )


def only(url: str) -> tuple[Domain, ...]:
    """Return the allow-list that holds the origin of a URL and nothing else, whatever its port.

    Raises:
        ValueError: the URL is none that a client may be made for.
    """
    host, port = origin(url)
    host = f"[{host}]" if ":" in host else host
    return domains([f"{url.partition(':')[0]}://{host}:{port}"])


def control_reach(url: str) -> Reach:
    """Return the reach of the service's own command line: that one place, wherever it lies."""
    return Reach(purpose="control", exempt=frozenset({origin(url)}))


def origin(url: str) -> Place:
    """Return host and port of a URL.

    Raises:
        ValueError: not http or https, without a host, or with a user's name in it.
    """
    try:
        return places.read(url).place
    except Denied as denial:
        raise ValueError(f"The URL cannot be used. {denial.reason}") from denial


def is_public(address: str) -> bool:
    """Say whether an address belongs to the public internet, whatever it is wrapped in."""
    try:
        return ranges.refusing(ranges.address_of(address)) is None
    except ValueError:
        return False


async def body(response: httpx2.Response, size_bytes: int) -> bytes:
    """Return the body of a response, cut at `size_bytes`: an error's words, not its novel."""
    found = bytearray()
    chunks: AsyncIterator[bytes] = response.aiter_raw()
    async for chunk in chunks:
        found += chunk
        if len(found) >= size_bytes:
            break
    return bytes(found[:size_bytes])
