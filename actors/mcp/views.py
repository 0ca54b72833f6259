"""An MCP server and its tools as a person is shown them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from actors.mcp.installed import Installed
from actors.mcp.session import Catalog
from actors.mcp.sessions import Health
from actors.tools.tooling import Policy
from runtime import limits
from runtime.clock import rfc3339

State: TypeAlias = Literal["idle", "open", "failed", "needs-sign-in", "disabled", "key-lost"]


@dataclass(frozen=True, slots=True, kw_only=True)
class McpError:
    """What is wrong with a server, or with some of its tools; `code` is for programs."""

    code: str
    detail: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class McpServerView:
    """An MCP server as a person may use it.

    Args:
        source: whose it is; the operator's is changed in the settings alone.
        url: null for a program, and to those who may not know where the operator's is.
        headers: names of those that each request carries; their values are never shown.
        release: the version of the `server.json` that it was installed by.
        left_out: how many tools it lists that nobody can use; `last_error` names them.
    """

    id: str
    title: str
    source: Literal["settings", "added"]
    kind: Literal["http", "stdio"]
    state: State
    last_error: McpError | None
    left_out: int
    enabled: bool
    url: str | None
    headers: tuple[str, ...]
    auth: Literal["none", "person", "service"]
    signed_in: bool
    policy: Policy
    tools: Mapping[str, Policy]
    release: str | None
    created_at: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class McpToolView:
    """A tool as its server describes it. `annotations` are the server's word and decide nothing."""

    id: str
    name: str
    title: str | None
    description: str | None
    schema: Mapping[str, Any]
    version: str
    policy: Policy
    annotations: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class McpTools:
    """The tools of a server.

    Args:
        left_out: names that came twice, that cannot be told from another's, or of what is no tool.
    """

    items: tuple[McpToolView, ...]
    left_out: tuple[str, ...]
    revision: str
    next_cursor: None = None


def view_of(server: Installed, health: Health, *, whole: bool, signed_in: bool) -> McpServerView:
    """Return a server as it is shown.

    Args:
        whole: whether its address may be shown.
    """
    settings = server.settings
    return McpServerView(
        id=server.name,
        title=server.title or server.name,
        source=server.source,
        kind="stdio" if settings.command else "http",
        state=_state(server, health),
        last_error=_error(health),
        left_out=len(health.left_out),
        enabled=settings.enabled,
        url=(settings.url or None) if whole else None,
        headers=tuple(settings.headers) if whole else (),
        auth=settings.auth,
        signed_in=signed_in,
        policy=settings.policy,
        tools=settings.tools,
        release=server.release or None,
        created_at=rfc3339(server.created_at_ms) if server.created_at_ms else None,
    )


def _error(health: Health) -> McpError | None:
    error, at = health.error, rfc3339(health.at_ms)
    if error is not None:
        code = str(error.extensions.get("code") or error.name())
        return McpError(code=code, detail=error.detail, at=at)
    if health.left_out:
        names = ", ".join(map(repr, health.left_out))[: limits.ERROR_CHARS]
        return McpError(code="tools-left-out", detail=f"No tools that can be used: {names}", at=at)
    return None


def _state(server: Installed, health: Health) -> State:
    if not server.settings.enabled:
        return "disabled"
    if server.key_lost:
        return "key-lost"
    if health.error is not None:
        return "needs-sign-in" if health.needs_sign_in else "failed"
    return "open" if health.open else "idle"


def tools_of(server: Installed, catalog: Catalog) -> McpTools:
    """Return the tools of a server as they are shown."""
    items = tuple(
        McpToolView(
            id=f"mcp/{server.name}/{name}",
            name=name,
            title=tool.title,
            description=tool.description,
            schema=tool.input_schema,
            version=catalog.versions[name],
            policy=server.policy(name, catalog.versions[name]),
            annotations=tool.annotations,
        )
        for name, tool in catalog.tools.items()
    )
    return McpTools(items=items, left_out=catalog.left_out, revision=catalog.revision)
