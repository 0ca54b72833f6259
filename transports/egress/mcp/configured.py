"""What the settings, or a person, say of an MCP server, as one that can be connected to.

Only an operator's settings name a program, or exempt a place for all. A person's own server is
reached over HTTP, through the guard, at a public address or at a place that the operator has named;
what looks like a template of the environment is sent as it is written.
"""

from __future__ import annotations

from collections.abc import Iterable

from runtime.sections import McpServer
from transports.egress import guard
from transports.egress.mcp.servers import (
    Access,
    Consent,
    Credentials,
    HttpServer,
    Person,
    Server,
    StdioServer,
)
from transports.egress.places import Place


def places_of(written: Iterable[str]) -> frozenset[Place]:
    """Return places that are written `host:port`.

    Raises:
        ValueError: one is none.
    """
    return frozenset(guard.origin(f"http://{each}/") for each in written)


def server_of(
    name: str, settings: McpServer, places: frozenset[Place], access: Access | None = None
) -> Server:
    """Return the server of these settings.

    Args:
        places: that a session and its authorization may reach in a private network.

    Raises:
        ValueError: its URL cannot be used.
    """
    if settings.command:
        return StdioServer(
            name=name,
            argv=settings.command,
            environment=settings.environment,
            folder=settings.folder or None,
        )
    own = guard.origin(settings.url)
    exempt = frozenset({own} if settings.allow_loopback or own in places else ())
    return HttpServer(
        name=name,
        url=settings.url,
        headers=settings.headers,
        exempt=exempt,
        oauth_exempt=exempt | places,
        access=access,
    )


def access_of(
    settings: McpServer,
    *,
    redirect_uri: str = "",
    metadata_url: str = "",
    consent: Consent | None = None,
) -> Access | None:
    """Return how a server's tokens are got; None where it wants none.

    Args:
        redirect_uri: of no use without `consent`, and not asked for then.
    """
    if settings.auth == "none" or not settings.url:
        return None
    if settings.auth == "service":
        return Credentials(
            issuer=settings.issuer,
            client_id=settings.client_id,
            client_secret=settings.client_secret,
            scope=settings.scope or None,
        )
    return Person(
        redirect_uri=redirect_uri or "http://127.0.0.1/",
        client_id=settings.client_id,
        client_secret=settings.client_secret,
        issuer=settings.issuer,
        metadata_url=metadata_url,
        consent=consent,
        anew=consent is not None,
    )


def dialled(settings: McpServer) -> str:
    """Return whom a call goes to: `host:port`, or a program's first word."""
    if settings.command:
        return settings.command[0]
    host, port = guard.origin(settings.url)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
