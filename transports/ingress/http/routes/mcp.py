"""/api/mcp/servers: the MCP servers of a person, and what each has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal

from pydantic import Field
from quart import Blueprint, Response

from actors.mcp.session import Fetch
from actors.mcp.views import McpServerView, McpTools
from runtime import limits
from runtime.problems import (
    AuditUnavailable,
    Invalid,
    ServerExists,
    ServerFixed,
    UpstreamLost,
    UpstreamSaid,
)
from transports.ingress.http.context import services
from transports.ingress.http.dto import STRICT
from transports.ingress.http.operation import Call, Nothing, empty, operation

routes = Blueprint("mcp", __name__, url_prefix="/api/mcp/servers")
Word = Annotated[str, Field(max_length=limits.HEADER_VALUE_MAX)]
Long = Annotated[str, Field(max_length=limits.API_KEY_CHARS_MAX)]
Url = Annotated[str, Field(max_length=limits.EGRESS_URL_CHARS)]
FAILURES = (UpstreamSaid, UpstreamLost)


@dataclass(frozen=True, slots=True, kw_only=True)
class McpServerList:
    """The servers of a person: the operator's, and their own."""

    items: tuple[McpServerView, ...]
    next_cursor: None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class McpServerChange:
    """Settings of a server, as in the settings file; absent ones stay as they are.

    Args:
        tools: the policy of each tool that has one of its own; `auto` counts for its present
            definition.
        server_json: of the registry's schema 2025-12-11; it says URL and headers.
        inputs: what the server.json asks for, by name.
    """

    __pydantic_config__ = STRICT
    title: Word | None = None
    url: Url | None = None
    headers: Annotated[dict[Word, Long], Field(max_length=limits.MCP_HEADERS_MAX)] | None = None
    auth: Literal["none", "person", "service"] | None = None
    client_id: Url | None = None
    client_secret: Long | None = None
    issuer: Url | None = None
    scope: Long | None = None
    policy: Literal["ask", "deny"] | None = None
    tools: (
        Annotated[
            dict[Word, Literal["auto", "ask", "deny"]], Field(max_length=limits.MCP_TOOLS_MAX)
        ]
        | None
    ) = None
    timeout_s: float | None = None
    enabled: Annotated[bool, Field(strict=True)] | None = None
    server_json: dict[str, Any] | None = None
    inputs: Annotated[dict[Word, Long], Field(max_length=limits.MCP_HEADERS_MAX)] | None = None

    def given(self) -> dict[str, Any]:
        """Return what was said, by its names."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMcpServer(McpServerChange):
    """A server to add: a `name` and a `url`, or a `server_json`, whose name is taken then."""

    __pydantic_config__ = STRICT
    name: Word | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PageQuery:
    """Which page of a list; the server's own cursor."""

    cursor: Annotated[str, Field(max_length=limits.API_KEY_CHARS_MAX)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class McpPage:
    """A page of what a server has, each as the server describes it."""

    items: tuple[Mapping[str, Any], ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceQuery:
    """Which resource."""

    uri: Annotated[str, Field(max_length=limits.EGRESS_URL_CHARS)] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class McpResource:
    """What a resource holds: parts with `text`, or with `blob` in base64."""

    contents: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptBody:
    """Which prompt, and its arguments."""

    __pydantic_config__ = STRICT
    name: Annotated[str, Field(min_length=1, max_length=limits.HEADER_VALUE_MAX)]
    arguments: Annotated[dict[Word, str], Field(max_length=limits.MCP_HEADERS_MAX)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class McpPrompt:
    """A prompt, filled in by its server."""

    description: str | None
    messages: tuple[Mapping[str, Any], ...]


@routes.get("")
@operation("The MCP servers of the caller.", answers=McpServerList)
async def list_mcp_servers(call: Call[Nothing, Nothing]) -> McpServerList:
    return McpServerList(items=services().desk.mcp.list_all(call.caller))


@routes.get("/<name>")
@operation("One MCP server.", answers=McpServerView)
async def read_mcp_server(call: Call[Nothing, Nothing], name: str) -> McpServerView:
    return services().desk.mcp.one(call.caller, name)


@routes.post("")
@operation(
    "Add an MCP server of one's own; its secrets are sealed and never shown again.",
    body=NewMcpServer,
    answers=McpServerView,
    status=201,
    idempotent=True,
    problems=(ServerExists, AuditUnavailable),
)
async def add_mcp_server(call: Call[NewMcpServer, Nothing]) -> McpServerView:
    given = call.body.given()
    return await services().desk.mcp.add(call.caller, given, call.claim, call.request_id)


@routes.patch("/<name>")
@operation(
    "Change one's own MCP server, turn it on or off, or let a tool run without being asked for.",
    body=McpServerChange,
    answers=McpServerView,
    problems=(ServerFixed, AuditUnavailable, *FAILURES),
)
async def change_mcp_server(call: Call[McpServerChange, Nothing], name: str) -> McpServerView:
    given = call.body.given()
    return await services().desk.mcp.change(call.caller, name, given, call.request_id)


@routes.delete("/<name>")
@operation(
    "Remove one's own MCP server, its secrets, and the sign-in there.",
    status=204,
    problems=(ServerFixed, AuditUnavailable),
)
async def remove_mcp_server(call: Call[Nothing, Nothing], name: str) -> Response:
    await services().desk.mcp.remove(call.caller, name, call.request_id)
    return empty(204)


@routes.post("/<name>/test")
@operation("Connect afresh and list its tools; the answer says how it went.", answers=McpServerView)
async def test_mcp_server(call: Call[Nothing, Nothing], name: str) -> McpServerView:
    return await services().desk.mcp.test(call.caller, name)


@routes.get("/<name>/tools")
@operation("The tools of an MCP server.", answers=McpTools, problems=FAILURES)
async def list_mcp_tools(call: Call[Nothing, Nothing], name: str) -> McpTools:
    return await services().desk.mcp.tools(call.caller, name)


@routes.get("/<name>/resources")
@operation("The resources of an MCP server.", query=PageQuery, answers=McpPage, problems=FAILURES)
async def list_mcp_resources(call: Call[Nothing, PageQuery], name: str) -> McpPage:
    return await _page(call, name, Fetch(what="resources", given=_cursor(call)), "resources")


@routes.get("/<name>/resource-templates")
@operation(
    "The templates of an MCP server's resources.",
    query=PageQuery,
    answers=McpPage,
    problems=FAILURES,
)
async def list_mcp_templates(call: Call[Nothing, PageQuery], name: str) -> McpPage:
    wanted = Fetch(what="templates", given=_cursor(call))
    return await _page(call, name, wanted, "resourceTemplates")


@routes.get("/<name>/resources/read")
@operation("What a resource holds.", query=ResourceQuery, answers=McpResource, problems=FAILURES)
async def read_mcp_resource(call: Call[Nothing, ResourceQuery], name: str) -> McpResource:
    services().desk.mcp.one(call.caller, name)
    if not call.query.uri:
        raise Invalid.at("/uri", "Which resource?")
    wanted = Fetch(what="resource", given={"uri": call.query.uri})
    found = await services().desk.mcp.fetch(call.caller, name, wanted)
    return McpResource(contents=tuple(found.get("contents", ())))


@routes.get("/<name>/prompts")
@operation("The prompts of an MCP server.", query=PageQuery, answers=McpPage, problems=FAILURES)
async def list_mcp_prompts(call: Call[Nothing, PageQuery], name: str) -> McpPage:
    return await _page(call, name, Fetch(what="prompts", given=_cursor(call)), "prompts")


@routes.post("/<name>/prompts")
@operation(
    "A prompt of an MCP server, filled in.", body=PromptBody, answers=McpPrompt, problems=FAILURES
)
async def get_mcp_prompt(call: Call[PromptBody, Nothing], name: str) -> McpPrompt:
    given = {"name": call.body.name, "arguments": call.body.arguments or {}}
    found = await services().desk.mcp.fetch(call.caller, name, Fetch(what="prompt", given=given))
    return McpPrompt(
        description=found.get("description"), messages=tuple(found.get("messages", ()))
    )


def _cursor(call: Call[Nothing, PageQuery]) -> dict[str, Any]:
    return {"cursor": call.query.cursor}


async def _page(call: Call[Nothing, PageQuery], name: str, wanted: Fetch, of: str) -> McpPage:
    found = await services().desk.mcp.fetch(call.caller, name, wanted)
    return McpPage(items=tuple(found.get(of, ())), next_cursor=found.get("nextCursor"))
