"""The MCP server itself: what is on the shelves, said in the protocol's words.

The SDK decodes, checks and frames; a problem that a tool meets is told to the model as that tool's
error, and a bug is logged and told to nobody. Sources: mcp 2.3 `server/lowlevel/server.py`; the
specification, revisions 2025-11-25 and 2026-07-28.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final, get_args

import structlog
from mcp.server.caching import CacheableMethod, CacheHint
from mcp.server.context import CallNext, HandlerResult
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from mcp.shared.message import CloseSSEStreamCallback
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
)
from pydantic import ValidationError

from runtime import limits
from runtime.problems import Problem
from transports.ingress.mcp import tasks
from transports.ingress.mcp.shelf import BEGUN, Context, Keeper, Shelf, asker_of

INSTRUCTIONS: Final = (
    "Runchat keeps conversations with language models. `ask` puts a question and waits for the"
    " answer; name a conversation to go on with it. Whatever was said can be searched and read."
)
log = structlog.get_logger(__name__)


def build(shelves: Sequence[Shelf], keepers: Sequence[Keeper], version: str) -> Server[Any]:
    """Return a server of these tools and tasks."""

    async def list_tools(ctx: Context, _: PaginatedRequestParams | None) -> ListToolsResult:
        asker, found = asker_of(ctx), dict[str, Tool]()
        for shelf in shelves:
            for tool in await shelf.tools(asker):
                found.setdefault(tool.name, tool)  # the first of a name is the one that is called
        return ListToolsResult(tools=[*found.values()])

    async def call_tool(ctx: Context, params: CallToolRequestParams) -> HandlerResult:
        asker = asker_of(ctx)
        for shelf in shelves:
            try:
                result = await shelf.call(ctx, asker, params)
            except Problem as problem:
                return failed(problem.detail)
            if result is not None:
                return result
        raise MCPError(INVALID_PARAMS, "There is no such tool.", {"name": params.name})

    hint = CacheHint(ttl_ms=limits.MCP_SHELF_FRESH_MS, scope="private")
    made: Server[Any] = Server(
        "runchat",
        title="Runchat",
        version=version,
        instructions=INSTRUCTIONS,
        cache_hints=dict.fromkeys(get_args(CacheableMethod), hint),
        on_list_tools=list_tools,
        on_call_tool=call_tool,  # type: ignore[arg-type]  # a task is a result the SDK has no type for
    )
    made.middleware[:] = [_tell]
    tasks.offer(made, keepers)
    return made


def failed(words: str) -> CallToolResult:
    """Return the result of a tool that could not do what it was asked."""
    return CallToolResult(content=[TextContent(text=words)], is_error=True)


async def _tell(ctx: Context, call_next: CallNext) -> HandlerResult:
    """Let through what the protocol has words for; the rest is a bug, which is logged here."""
    if ctx.close_sse_stream is not None:
        ctx = replace(ctx, close_sse_stream=partial(_close_begun, ctx, ctx.close_sse_stream))
    try:
        return await call_next(ctx)
    except (MCPError, ValidationError):
        raise
    except Problem as problem:
        raise MCPError(INVALID_PARAMS, problem.detail) from None
    except Exception:
        log.exception("mcp.failed", method=ctx.method)
        words = "Something went wrong here; it has been logged."
        raise MCPError(INTERNAL_ERROR, words) from None


async def _close_begun(ctx: Context, close: CloseSSEStreamCallback) -> None:
    """Close a call's stream once its client knows where to go on; the SDK would close it before."""
    assert ctx.request is not None
    await ctx.request.scope[BEGUN].wait()
    await close()
