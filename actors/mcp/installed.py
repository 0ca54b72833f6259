"""An installed MCP server, as one person may use it: its settings, whose they are, its policies.

Policy: a tool is asked for unless somebody has said otherwise. The operator says so in the
settings, for the tool or the whole server. A person says so of a tool of their own server, and of
the definition it had then: once the server changes it, the person is asked again. What a server
says of its own tools (annotations) decides nothing. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

import orjson

from actors.tools.tooling import Policy
from runtime.secret import Secret
from runtime.settings import McpServer, mcp_server_of
from store.mcp_servers import McpServerRow

Source: TypeAlias = Literal["settings", "added"]
SECRETS = ("headers", "client_secret")  # what is sealed, and never shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """A server as one person may use it.

    Args:
        approved: the definition by which the person has let a tool run, by the tool's name.
        title: what people call it; "" for its name.
        release: the version of its `server.json`; "" where it came without one.
        key_lost: its secrets are sealed with a key that is not here.
    """

    name: str
    source: Source
    settings: McpServer
    approved: Mapping[str, str] = field(default_factory=dict)
    title: str = ""
    release: str = ""
    key_lost: bool = False
    created_at_ms: int | None = None

    @property
    def in_use(self) -> bool:
        """Whether its tools can be listed and called."""
        return self.settings.enabled and not self.key_lost

    def policy(self, tool: str, version: str) -> Policy:
        """Return whether a human is asked before a call of a tool of this definition."""
        wanted = self.settings.tools.get(tool)
        if self.source == "settings":
            return wanted or self.settings.policy
        if wanted == "auto" and self.approved.get(tool) != version:
            return "ask"
        return wanted or ("deny" if self.settings.policy == "deny" else "ask")


def installed_in(row: McpServerRow, secrets: Secret | None) -> Installed:
    """Return the server of a row; without its secrets where they do not open."""
    kept: dict[str, Any] = orjson.loads(row.settings)
    opened = orjson.loads(secrets.reveal()) if secrets else {}
    lost = row.sealed is not None and secrets is None
    return Installed(
        name=row.name,
        source="added",
        settings=mcp_server_of(row.name, {**kept["settings"], **opened}),
        approved=kept["approved"],
        title=kept["title"],
        release=kept["release"],
        key_lost=lost,
        created_at_ms=row.created_at_ms,
    )


def parts_of(server: Installed) -> tuple[bytes, Secret | None]:
    """Return what is kept of a server in the clear, and what is sealed."""
    settings = server.settings
    plain = {
        "url": settings.url,
        "auth": settings.auth,
        "client_id": settings.client_id,
        "issuer": settings.issuer,
        "scope": settings.scope,
        "policy": settings.policy,
        "tools": dict(settings.tools),
        "timeout_s": settings.timeout_s,
        "enabled": settings.enabled,
    }
    secrets = {
        "headers": {name: value.reveal() for name, value in settings.headers.items()},
        "client_secret": settings.client_secret.reveal(),
    }
    kept = {
        "settings": plain,
        "approved": dict(server.approved),
        "title": server.title,
        "release": server.release,
    }
    sealed = Secret(orjson.dumps(secrets).decode()) if any(secrets.values()) else None
    return orjson.dumps(kept), sealed


def approving(server: Installed, versions: Mapping[str, str]) -> Installed:
    """Return the server with the definitions of the tools that its owner lets run.

    Args:
        versions: of the tools as they are now, by name.
    """
    auto = [name for name, policy in server.settings.tools.items() if policy == "auto"]
    kept = {name: server.approved[name] for name in auto if name in server.approved}
    return replace(
        server, approved=kept | {name: versions[name] for name in auto if name in versions}
    )
