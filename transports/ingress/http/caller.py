"""Who asks: a bearer token or the session cookie, looked up in the store.

A token in the header counts before the cookie. The cookie comes along with whatever a browser
sends, so it authorises an unsafe method only where the Origin is our own. Looking up happens on the
reader's connection; that a credential was used is written by a task of its own, at most once a
minute each, so that no request waits for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from http.cookies import CookieError, SimpleCookie
from typing import Final, NoReturn, Protocol, TypeAlias

import structlog
import trio
from werkzeug.datastructures import Headers

from runtime import limits
from runtime.caller import Caller
from runtime.clock import Clock
from runtime.ids import Ids
from runtime.problems import Busy, Unauthenticated
from store import sessions, tokens
from store.database import Database
from store.writer import Write, Writer

Touch: TypeAlias = Callable[[Database, str, int], None]
NOBODY: Final = "A valid token or a session is needed."  # said whatever was wrong with it
log = structlog.get_logger(__name__)
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


class StoreAuthenticator:
    """Knows tokens and sessions by the store: one look-up a request, so a revocation holds at once.

    `run` notes in the store which credentials were used; start it once, beside the server.
    """

    def __init__(self, reader: Database, writer: Writer, clock: Clock, ids: Ids) -> None:
        self._reader, self._writer, self._clock, self._ids = reader, writer, clock, ids
        self._touched_ms: dict[str, int] = {}  # by credential: when its use was last noted
        self._waiting: dict[str, tuple[Touch, int]] = {}
        self._used = trio.Event()

    def authenticate(self, credentials: Credentials) -> Caller:
        """Return who asks, and have the use noted."""
        now_ms = self._clock.now_ms()
        touch: Touch
        if credentials.token:
            caller, touch = tokens.by_secret(self._reader, credentials.token, now_ms), tokens.touch
        elif credentials.cookie:
            caller = sessions.by_secret(self._reader, credentials.cookie, now_ms)
            touch = sessions.touch
        else:
            caller = None
        if caller is None:
            raise Unauthenticated(NOBODY)
        self._note(caller.credential, touch, now_ms)
        return caller

    async def sign_in(self, code: str) -> str:
        """Spend a sign-in code; return the value of a session cookie."""
        now_ms = self._clock.now_ms()
        session, secret = self._ids.new("ses_"), self._ids.secret()

        def rows(db: Database) -> None:
            user = sessions.redeem_code(db, code, now_ms)
            if user is None:
                raise Unauthenticated("This sign-in link has been used or is too old.")
            tenant, name = user
            sessions.create(db, id=session, secret=secret, tenant=tenant, user=name, now_ms=now_ms)

        await self._writer.write(Write(rows=rows))
        return secret

    async def sign_out(self, credentials: Credentials) -> None:
        """End the session of this cookie."""
        secret, now_ms = credentials.cookie, self._clock.now_ms()
        caller = sessions.by_secret(self._reader, secret, now_ms) if secret else None
        if caller is not None:
            await self._writer.write(Write(rows=lambda db: sessions.end(db, caller.credential)))

    async def run(self) -> NoReturn:
        """Note the uses of credentials as they come; what cannot be noted now is let go."""
        while True:
            await self._used.wait()
            self._used = trio.Event()
            waiting, self._waiting = self._waiting, {}
            try:
                await self._writer.write(Write(rows=partial(_touch, waiting)))
            except Busy:
                log.warning("credential.use_not_noted", credentials=len(waiting))

    def _note(self, credential: str, touch: Touch, now_ms: int) -> None:
        if now_ms - self._touched_ms.get(credential, 0) < limits.TOUCH_MS:
            return
        if len(self._touched_ms) >= limits.TOUCHES_MAX:
            self._touched_ms.clear()  # the store itself keeps to once a minute
        self._touched_ms[credential] = now_ms
        self._waiting[credential] = touch, now_ms
        self._used.set()


def _touch(uses: Mapping[str, tuple[Touch, int]], db: Database) -> None:
    for credential, (touch, now_ms) in uses.items():
        touch(db, credential, now_ms)
