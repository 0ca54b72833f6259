"""The tools of a person's MCP servers, as a source of tools.

All servers are asked at once, each for so long; one that does not answer has no tools in this turn
and goes on being opened for the next. Nothing that a server says is taken on trust: what a reader
would not see is taken out of its words, and its annotations decide nothing.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import structlog
import trio

from actors.mcp.installed import Installed
from actors.mcp.servers import McpServers
from actors.mcp.session import CallTool, Catalog
from actors.tools.tooling import Calling, Outcome, Tool, sets_of
from runtime import limits
from runtime.caller import Caller
from runtime.problems import NotFound, Problem
from transports.egress.mcp.configured import dialled
from transports.egress.mcp.words import Progress
from transports.egress.providers.asked import Content, File, Image, Text

log = structlog.get_logger(__name__)
SEEN: Final = "\n\t"  # control characters that are no trick
UNSEEN: Final = frozenset({"Cc", "Cf", "Co", "Cn", "Cs"})  # Unicode's categories


class McpSource:
    """See `actors.tools.tooling.Source`."""

    kind: str = "mcp"

    def __init__(self, servers: McpServers, patience_s: float = limits.MCP_TOOLS_S) -> None:
        """Take the registry, and how long a server may take to list its tools."""
        self._servers, self._patience_s = servers, patience_s

    async def tools(self, caller: Caller, named: Collection[str] | None = None) -> Sequence[Tool]:
        """Return the tools of all servers that are in use and need nobody to sign in first."""
        wanted = sets_of(named)
        listed: dict[str, list[Tool]] = {}
        installed = self._servers.installed(caller)
        async with trio.open_nursery() as nursery:
            for server in installed:
                health = self._servers.sessions.health(caller, server.name)
                is_wanted = wanted is None or server.name in wanted
                if is_wanted and server.in_use and not health.needs_sign_in:
                    nursery.start_soon(self._listed, caller, server, listed)
        return [tool for name in sorted(listed) for tool in listed[name]]

    async def _listed(self, caller: Caller, server: Installed, into: dict[str, list[Tool]]) -> None:
        with trio.move_on_after(self._patience_s):
            try:
                catalog = await self._servers.sessions.list(caller, server.name)
            except Problem as problem:
                log.info("mcp_not_listed", server=server.name, reason=problem.detail)
            else:
                into[server.name] = _tools(server, catalog)

    async def call(
        self, caller: Caller, tool: Tool, arguments: Mapping[str, Any], calling: Calling
    ) -> Outcome:
        """Call a tool, if it is still what it was.

        Raises:
            NotFound: the person has no such server.
            Upstream: see `McpSession`.
        """
        _, name, its_name = tool.id.split("/", 2)
        server = self._servers.find(caller, name)
        if server.policy(its_name, tool.version) == "deny":
            raise NotFound("There is no such tool.")

        def progress(told: Progress) -> None:
            calling.on_progress(told.done, told.total, told.message or "")

        message = CallTool(
            call=calling.id,
            tool=its_name,
            arguments=arguments,
            version=tool.version,
            timeout_s=limits.MCP_CALL_MOST_S,
            on_progress=progress,
        )
        result = await self._servers.sessions.call(caller, name, message, calling)
        return Outcome(
            content=tuple(_content(block) for block in result.content),
            structured=result.structured,
            is_error=result.is_error,
            dialled=dialled(server.settings),
        )


def _tools(server: Installed, catalog: Catalog) -> list[Tool]:
    return [
        Tool(
            id=f"mcp/{server.name}/{name}",
            name=name,
            description=plain(tool.description or tool.title or ""),
            schema=tool.input_schema,
            version=catalog.versions[name],
            policy=server.policy(name, catalog.versions[name]),
            timeout_s=server.settings.timeout_s,
        )
        for name, tool in catalog.tools.items()
    ]


def plain(text: str) -> str:
    """Return a text without the characters that a model reads and a person does not see."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        each for each in text if each in SEEN or unicodedata.category(each) not in UNSEEN
    )


def _content(block: Mapping[str, Any]) -> Content:
    """Return a block of a result; what a model cannot be shown is told in words."""
    match block:
        case {"type": "image", "data": str(data), "mimeType": str(kind)}:
            return Image(url=f"data:{kind};base64,{data}")
        case {"type": "audio", "data": str(data), "mimeType": str(kind)}:
            return File(url=f"data:{kind};base64,{data}", name="audio")
        case {"type": "resource", "resource": {"blob": str(data), "uri": str(uri)} as found}:
            kind = str(found.get("mimeType") or "application/octet-stream")
            return File(url=f"data:{kind};base64,{data}", name=uri)
    return Text(text=_words(block))


def _words(block: Mapping[str, Any]) -> str:
    match block:
        case {"type": "text", "text": str(text)} | {
            "type": "resource",
            "resource": {"text": str(text)},
        }:
            return text
        case {"type": "resource_link", "uri": str(uri)}:
            return f"[{block.get('title') or block.get('name') or 'resource'}]({uri})"
    return f"[a {block.get('type', 'nameless')} that cannot be shown]"
