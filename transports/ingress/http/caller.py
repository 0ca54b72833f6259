"""Who asks: the bearer token or the session cookie of a request, and who finds its owner.

A token in the header counts before the cookie. The cookie comes along with whatever a browser
sends, so it authorises an unsafe method only where the Origin is our own (`operation.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Final, Protocol

from werkzeug.datastructures import Headers

from runtime.caller import Caller

COOKIE: Final = "runchat_session"
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a request brought to prove who asks; the empty string for nothing."""

    token: str = ""
    cookie: str = ""

    @classmethod
    def of(cls, headers: Headers) -> Credentials:
        """Read the Authorization and Cookie headers."""
        scheme, _, token = headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token.strip():
            return cls(token=token.strip())
        return cls(cookie=session_cookie(headers.get("Cookie", "")))


class Authenticator(Protocol):
    """Finds the caller behind credentials. The product has one; the harness may put another."""

    def authenticate(self, credentials: Credentials) -> Caller:
        """Return who asks.

        Raises:
            Unauthenticated: nobody we know.
        """
        ...

    async def sign_in(self, code: str) -> str:
        """Spend a sign-in code and return the value of a session cookie.

        Raises:
            Unauthenticated: the code is unknown, spent or too old.
        """
        ...

    async def sign_out(self, credentials: Credentials) -> None:
        """End the session of this cookie; without one nothing happens."""
        ...


def session_cookie(header: str) -> str:
    """Return the session cookie's value in a Cookie header, or the empty string."""
    try:
        morsel = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel is not None else ""
