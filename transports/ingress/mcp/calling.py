"""The caller's own tools as MCP tools: what their MCP servers and actions offer, called by jobs.

Each call goes by the desk of tools, with its check of the arguments, its approval and its evidence.
A tool is called what models call it; one that is called as one of Runchat's own is told apart.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from mcp.server.context import HandlerResult
from mcp_types import CallToolRequestParams, Tool

from actors.desk import Desk
from actors.tools.desk import ToolView
from transports.ingress.mcp.jobs import Jobs
from transports.ingress.mcp.shelf import Asker, Context


class Calling:
    """The shelf of the caller's own tools."""

    def __init__(self, desk: Desk, jobs: Jobs, taken: Collection[str]) -> None:
        """Take what calls them.

        Args:
            taken: names that are others'.
        """
        self._desk, self._jobs, self._taken = desk, jobs, taken

    async def tools(self, asker: Asker) -> Sequence[Tool]:
        """Return what the caller may call now."""
        listed = await self._desk.tools.list_all(asker.caller)
        return [
            Tool(
                name=self._name(tool),
                description=tool.description,
                input_schema=dict(tool.schema),
            )
            for tool in listed.items
        ]

    async def call(
        self, ctx: Context, asker: Asker, params: CallToolRequestParams
    ) -> HandlerResult:
        """Call one of them."""
        listed = await self._desk.tools.list_all(asker.caller)
        found = next((each for each in listed.items if self._name(each) == params.name), None)
        if found is None:
            return None
        given = params.arguments or {}
        job = await self._desk.tools.call(asker.caller, found.id, given, None, asker.request_id)
        return await self._jobs.run(ctx, asker, job)

    def _name(self, tool: ToolView) -> str:
        return f"tool_{tool.name}" if tool.name in self._taken else tool.name
