"""/api/mcp/servers/{name}/sign-in and /api/mcp/callback: a person's way to an issuer and back.

The way back is bound to the browser that was sent by a cookie of its own: the session's is not sent
along when another site leads back here (SameSite=Strict).
"""

from __future__ import annotations

from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Annotated, Final

from pydantic import Field
from quart import Blueprint, Response, g, request

from actors.mcp_sign_ins import OURSELVES, McpSignInView
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

routes = Blueprint("mcp_sign_in", __name__, url_prefix="/api/mcp")
COOKIE: Final = "runchat_mcp_sign_in"
BACK: Final = "/api/mcp/callback"
FAILURES: Final[tuple[type[Problem], ...]] = (UpstreamSaid, UpstreamLost)
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
    mcp, origin = services().desk.mcp, g.seen.origin
    server, proof = mcp.find(call.caller, name), _proof()
    if not mcp.sign_ins.known_proof(call.caller, proof):
        proof = services().ids.secret()
    redirect_uri = f"{services().settings.server.public_url.rstrip('/') or origin}{BACK}"
    view = await mcp.sign_ins.begin(call.caller, server, redirect_uri, proof)
    response = Response(to_bytes(view), 200, content_type=JSON)
    response.set_cookie(
        COOKIE,
        proof,
        max_age=int(limits.MCP_SIGN_IN_S),
        path=BACK,
        httponly=True,
        samesite="Lax",
        secure=g.seen.scheme == "https",
    )
    return response


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
    name = await services().desk.mcp.sign_ins.finish(returned, _proof(), _caller(call))
    response = empty(303)
    response.headers["Location"] = f"/#mcp={name}"
    return response


@routes.get("/client.json")
@operation(
    "What this service is to an authorization server, where it has a public https URL.",
    auth="none",
    answers=McpClientMetadata,
    problems=(NotFound,),
)
async def read_mcp_client(_: Call[Nothing, Nothing]) -> McpClientMetadata:
    public = services().settings.server.public_url.rstrip("/")
    if not public.startswith("https://"):
        raise NotFound(NOTHING_HERE)
    return McpClientMetadata(
        client_id=f"{public}{OURSELVES}",
        client_name="Runchat",
        redirect_uris=(f"{public}{BACK}",),
    )


def _proof() -> str:
    """Return what the browser holds of a sign-in; "" for nothing."""
    try:
        morsel = SimpleCookie(request.headers.get("Cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel is not None else ""


def _caller(call: Call[Nothing, BackQuery]) -> Caller | None:
    """Return who shows a credential; a stranger may come back too, with the cookie."""
    try:
        return services().authenticator.authenticate(call.credentials)
    except Unauthenticated:
        return None
