"""What a person gives to add or change an MCP server, checked: settings, or a `server.json`. Pure.

A person may say less than the operator: no program, no exempt place, no server whose tools all run
without being asked for. Another address wants every secret to be given again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from actors.mcp import installing as mcp_installing
from runtime.problems import Invalid
from runtime.settings import McpServer

HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")  # RFC 9110 section 5.6.2
VALUE: Final = re.compile(r"[\t -~]{0,8192}")
OURS: Final = {
    "host",
    "content-length",
    "content-type",
    "transfer-encoding",
    "connection",
    "accept",
}
TOLD_TWICE: Final = frozenset({"url", "headers"})  # by a server.json and beside it


def unfolded(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is given with a `server.json` in its place: its URL, headers, title, version."""
    values = {name: value for name, value in given.items() if value is not None}
    document, inputs = values.pop("server_json", None), values.pop("inputs", {})
    if document is None:
        if inputs:
            raise Invalid.at("/inputs", "Only a server_json asks for inputs.")
        return values
    if twice := sorted(TOLD_TWICE & values.keys()):
        raise Invalid.at(f"/{twice[0]}", "The server_json says it.")
    manifest = mcp_installing.read(document, inputs)
    told = {"url": manifest.url, "headers": dict(manifest.headers)}
    more = {"title": manifest.title, "release": manifest.release}
    return {"name": manifest.name, **values, **told, **more}


def values(settings: McpServer) -> dict[str, Any]:
    """Return what a person's server is made of, by the names of the settings."""
    names = ("url", "headers", "auth", "client_id", "client_secret", "issuer", "scope")
    more = ("policy", "tools", "timeout_s", "enabled")
    values = {name: getattr(settings, name) for name in (*names, *more)}
    return {**values, "headers": {k: v.reveal() for k, v in settings.headers.items()}}


def wanted_again(settings: McpServer, given: Mapping[str, Any]) -> None:
    """Refuse that a secret goes to another address than it was given for."""
    for name in ("headers", "client_secret"):
        if getattr(settings, name) and name not in given:
            raise Invalid.at(f"/{name}", "Another address wants it to be given again.")


def check(settings: McpServer) -> None:
    """Refuse what the settings may say and a person may not, and headers that are none."""
    if settings.auth == "service":
        for name in ("client_id", "client_secret", "issuer"):
            if not getattr(settings, name):
                raise Invalid.at(f"/{name}", "`service` needs it.")
    if settings.policy == "auto":
        raise Invalid.at("/policy", "Let tools run one by one; a whole server only asks or denies.")
    for name, value in settings.headers.items():
        if not HEADER.fullmatch(name) or name.lower() in OURS:
            raise Invalid.at("/headers", f"{name!r} cannot be sent.")
        if not VALUE.fullmatch(value.reveal()):
            raise Invalid.at("/headers", f"The value of {name} cannot be sent.")
