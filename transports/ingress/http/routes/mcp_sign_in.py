"""/api/mcp/servers/{name}/sign-in and /api/mcp/callback: a person's way to an issuer and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import Field
from quart import Blueprint, Response

from actors.mcp.sign_ins import OURSELVES, McpSignInView
from actors.views import to_bytes
from runtime import limits
from runtime.caller import Caller
from runtime.problems import (
    AuditUnavailable,
    Invalid,
    NotFound,
    Problem,
    Unauthenticated,
    UpstreamLost,
    UpstreamSaid,
)
from transports.egress.mcp.servers import Returned
from transports.ingress.http.context import services
from transports.ingress.http.operation import JSON, Call, Nothing, empty, operation
from transports.ingress.http.problems import NOTHING_HERE
from transports.ingress.http.way_back import WayBack, arrived

routes = Blueprint("mcp_sign_in", __name__, url_prefix="/api/mcp")
BACK: Final = WayBack(path="/api/mcp/callback", cookie="runchat_mcp_sign_in")
FAILURES: Final[tuple[type[Problem], ...]] = (UpstreamSaid, UpstreamLost)
KEPT: Final = "public, max-age=300"  # an issuer has it from the page to the token, or not at all
Text = Annotated[str, Field(max_length=limits.API_KEY_CHARS_MAX)]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackQuery:
    """What an authorization server sends back (RFC 6749 section 4.1.2, RFC 9207)."""

    code: Text = ""
    state: Text = ""
    iss: Text | None = None
    error: Text = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class McpClientMetadata:
    """What this service is, to an authorization server that knows it by this document's URL."""

    client_id: str
    client_name: str
    redirect_uris: tuple[str, ...]
    grant_types: tuple[str, ...] = ("authorization_code", "refresh_token")
    response_types: tuple[str, ...] = ("code",)
    token_endpoint_auth_method: str = "none"  # noqa: S105 -- the name of a method
    application_type: str = "web"


@routes.post("/servers/<name>/sign-in")
@operation(
    "Begin to sign in at an MCP server: the answer says which page to visit.",
    answers=McpSignInView,
    problems=(Invalid, *FAILURES),
)
async def begin_mcp_sign_in(call: Call[Nothing, Nothing], name: str) -> Response:
    mcp = services().desk.mcp
    server = mcp.find(call.caller, name)
    proof = BACK.proof_of(call.caller, mcp.sign_ins.ways_back)
    view = await mcp.sign_ins.begin(call.caller, server, BACK.redirect_uri, proof)
    return BACK.leave(view, proof)


@routes.delete("/servers/<name>/sign-in")
@operation(
    "Sign out at an MCP server: its tokens are forgotten, and its issuer is told.",
    status=204,
    problems=(AuditUnavailable,),
)
async def end_mcp_sign_in(call: Call[Nothing, Nothing], name: str) -> Response:
    mcp = services().desk.mcp
    await mcp.sign_ins.sign_out(call.caller, mcp.find(call.caller, name), call.request_id)
    return empty(204)


@routes.get("/callback")
@operation(
    "Come back from an authorization server, once, with the browser that was sent there.",
    query=BackQuery,
    auth="none",
    status=303,
    problems=(NotFound, *FAILURES),
)
async def finish_mcp_sign_in(call: Call[Nothing, BackQuery]) -> Response:
    query = call.query
    returned = Returned(code=query.code, state=query.state, issuer=query.iss, error=query.error)
    name = await services().desk.mcp.sign_ins.finish(returned, BACK.proof(), _caller(call))
    return arrived(f"mcp={name}")


@routes.get("/client.json")
@operation(
    "What this service is to an authorization server, where it has a public https URL.",
    auth="none",
    answers=McpClientMetadata,
    problems=(NotFound,),
)
async def read_mcp_client(_: Call[Nothing, Nothing]) -> Response:
    public = services().settings.server.public_url.rstrip("/")
    if not public.startswith("https://"):
        raise NotFound(NOTHING_HERE)
    told = McpClientMetadata(
        client_id=f"{public}{OURSELVES}",
        client_name="Runchat",
        redirect_uris=(f"{public}{BACK.path}",),
    )
    response = Response(to_bytes(told), 200, content_type=JSON)
    response.headers["Cache-Control"] = KEPT
    return response


def _caller(call: Call[Nothing, BackQuery]) -> Caller | None:
    """Return who shows a credential; a stranger may come back too, with the cookie."""
    try:
        return services().authenticator.authenticate(call.credentials)
    except Unauthenticated:
        return None
