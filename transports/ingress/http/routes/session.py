"""/signin and /api/session: a browser's way in and out."""

from __future__ import annotations

from dataclasses import dataclass

from quart import Blueprint, Response, g, request

from runtime import limits
from runtime.problems import AuditUnavailable, Unauthenticated
from transports.ingress.http.caller import COOKIE
from transports.ingress.http.context import services
from transports.ingress.http.operation import Call, Nothing, empty, operation

routes = Blueprint("session", __name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInQuery:
    """The code from a sign-in link."""

    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """Who the credential stands for."""

    tenant: str
    user: str
    admin: bool


@routes.get("/signin")
@operation(
    "Spend a sign-in code.",
    query=SignInQuery,
    auth="none",
    status=303,
    problems=(Unauthenticated, AuditUnavailable),
)
async def sign_in(call: Call[Nothing, SignInQuery]) -> Response:
    response = empty(303)
    response.headers["Location"] = "/"
    if request.method == "HEAD":  # who looks at what a link leads to spends no code
        return response
    value = await services().authenticator.sign_in(call.query.code)
    _keep(response, value, limits.SESSION_MS // 1000)
    return response


@routes.get("/api/session")
@operation("Who asks.", answers=Who)
async def read_session(call: Call[Nothing, Nothing]) -> Who:
    return Who(tenant=call.caller.tenant, user=call.caller.user, admin=call.caller.admin)


@routes.delete("/api/session")
@operation("End the session of this browser.", status=204, problems=(AuditUnavailable,))
async def end_session(call: Call[Nothing, Nothing]) -> Response:
    await services().authenticator.sign_out(call.credentials)
    response = empty(204)
    _keep(response, "", 0)
    return response


def _keep(response: Response, value: str, age_s: int) -> None:
    """Set the session cookie; an age of 0 takes it away."""
    response.set_cookie(
        COOKIE,
        value,
        max_age=age_s,
        path="/",
        httponly=True,
        samesite="Strict",
        secure=g.seen.scheme == "https",
    )
