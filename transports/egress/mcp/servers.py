"""An MCP server as an operator configures it, and where its connections may reach.

A session reaches its server's own origin and nothing else; what its authorization takes (discovery,
registration, tokens) has a client and a reach of its own. A stdio server is a list of words, never
a line for a shell, and gets the environment that is named here and nothing of ours.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from runtime import limits
from runtime.secret import Secret
from transports.egress import guard
from transports.egress.denial import Told
from transports.egress.places import Place

Revisions: TypeAlias = Literal[
    "auto", "legacy"
]  # legacy: begins with a handshake, as till 2025-11-25
NO_SECRET = Secret("")


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """What a browser brought back from an authorization server: a code, or why there is none."""

    code: str
    state: str | None
    issuer: str | None
    error: str = ""


Consent: TypeAlias = Callable[[str], Awaitable[Returned]]  # shows a URL, awaits what comes back


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A person signs in with a browser.

    Args:
        client_id: registered beforehand; "": the metadata document, else dynamic registration.
        issuer: the only authorization server that gets to see that registration; "": any.
        metadata_url: of our own client metadata document, which is then our client id; "": none.
        consent: None: nobody is there, and a sign-in that is needed is told as such.
        anew: whoever gives consent wants to, whatever is known of them.
    """

    redirect_uri: str
    client_name: str = "Runchat"
    client_id: str = ""
    client_secret: Secret = NO_SECRET
    issuer: str = ""
    metadata_url: str = ""
    consent: Consent | None = None
    anew: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """The service signs in as itself, with a secret or with a key of its own.

    Args:
        issuer: the only authorization server that gets to see them.
        private_key: PEM; where there is one, `algorithm` signs an assertion with it.
    """

    issuer: str
    client_id: str
    client_secret: Secret = NO_SECRET
    private_key: Secret = NO_SECRET
    algorithm: str = "ES256"
    scope: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """The machine's own identity is exchanged for a token (RFC 7523, section 2.1).

    Args:
        assertion: returns a JWT for an audience, such as a platform writes to a file.
        issuer: the only authorization server that gets to see it.
    """

    issuer: str
    client_id: str
    assertion: Callable[[str], Awaitable[Secret]]
    scope: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Enterprise:
    """An enterprise's identity provider vouches for the person (ID-JAG).

    Args:
        id_jag: returns the assertion for an audience and a resource.
    """

    issuer: str
    client_id: str
    client_secret: Secret
    id_jag: Callable[[str, str], Awaitable[Secret]]


Access: TypeAlias = Person | Credentials | Workload | Enterprise


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpServer:
    """A server that is reached by streamable HTTP.

    Args:
        exempt: places that its session may reach in a private network: its own, at most.
        oauth_exempt: places in a private network where its authorization servers are.
        access: None: it wants no token.
    """

    name: str
    url: str
    revisions: Revisions = "auto"
    headers: Mapping[str, Secret] = field(default_factory=dict)
    exempt: frozenset[Place] = field(default_factory=frozenset)
    oauth_exempt: frozenset[Place] = field(default_factory=frozenset)
    access: Access | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StdioServer:
    """A server that is a program of this machine; only an operator's configuration names one."""

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, Secret] = field(default_factory=dict)
    folder: str | None = None
    revisions: Revisions = "auto"


Server: TypeAlias = HttpServer | StdioServer


def reach_of(server: HttpServer, on_decision: Told | None = None) -> guard.Reach:
    """Return the reach of a session: its server's origin and no other.

    Raises:
        ValueError: the URL is none that a client may be made for.
    """
    return guard.Reach(
        purpose="mcp",
        exempt=server.exempt,
        domains=guard.only(server.url),
        idle_s=limits.MCP_SILENCE_S,
        body_bytes=limits.MCP_BODY_BYTES,
        on_decision=on_decision,
    )


def oauth_reach_of(server: HttpServer, on_decision: Told | None = None) -> guard.Reach:
    """Return the reach of a server's authorization: the public internet and what is exempt."""
    return guard.Reach(
        purpose="oauth",
        exempt=server.oauth_exempt,
        idle_s=limits.MCP_OAUTH_S,
        total_s=limits.MCP_OAUTH_S,
        body_bytes=limits.MCP_OAUTH_BYTES,
        on_decision=on_decision,
    )
