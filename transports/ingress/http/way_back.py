"""Binds a person's way back from an issuer to the browser that was sent there.

It holds a proof in a cookie of its own: the session's is not sent along when another site leads
back here (SameSite=Strict). Source: RFC 9700, section 4.7.
"""

from __future__ import annotations

from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any

from quart import Response, g, request

from actors.views import to_bytes
from actors.way_back import WaysBack
from runtime import limits
from runtime.caller import Caller
from transports.ingress.http.context import services
from transports.ingress.http.operation import JSON, empty


@dataclass(frozen=True, slots=True, kw_only=True)
class WayBack:
    """One kind of sign-in.

    Args:
        path: of the callback.
        cookie: the name of the one that holds the proof.
    """

    path: str
    cookie: str

    @property
    def redirect_uri(self) -> str:
        """The callback's address, as a browser reaches it."""
        public = services().settings.server.public_url.rstrip("/")
        return f"{public or g.seen.origin}{self.path}"

    def proof(self) -> str:
        """Return what the browser holds of a sign-in; "" for nothing."""
        try:
            morsel = SimpleCookie(request.headers.get("Cookie", "")).get(self.cookie)
        except CookieError:
            return ""
        return morsel.value if morsel is not None else ""

    def proof_of(self, caller: Caller, ways_back: WaysBack[Any]) -> str:
        """Return the proof of a sign-in that begins: of one that waits already, or a new one."""
        held = self.proof()
        return held if ways_back.known_proof(caller, held) else services().ids.secret()

    def leave(self, view: Any, proof: str) -> Response:
        """Answer where to sign in, and have the browser hold the proof."""
        response = Response(to_bytes(view), 200, content_type=JSON)
        response.set_cookie(
            self.cookie,
            proof,
            max_age=int(limits.MCP_SIGN_IN_S),
            path=self.path.rpartition("/")[0],  # also where the next sign-in begins
            httponly=True,
            samesite="Lax",
            secure=g.seen.scheme == "https",
        )
        return response


def arrived(place: str) -> Response:
    """Answer a browser that has come back: it goes on to a place of the page."""
    response = empty(303)
    response.headers["Location"] = f"/#{place}"
    return response
