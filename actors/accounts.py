"""Accounts: who is behind a token or a session, and how a browser signs in and out.

Looking up reads the store each time, so that a token made, revoked or expired beside the running
service counts at once. That a credential was used is written once a minute at most, by a task of
its own: no request waits for it. Tokens are the store's; only their digests are kept.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol, TypeVar

import structlog
import trio

from runtime import limits
from runtime.caller import Caller
from runtime.clock import Clock
from runtime.ids import Ids
from runtime.problems import Problem, Unauthenticated
from store import sessions, tokens
from store.change import change
from store.database import Database
from store.writer import Write, Writer

log = structlog.get_logger(__name__)
R = TypeVar("R")
TOKEN, SESSION = "tok_", "ses_"  # what the ids of credentials begin with


class Credentials(Protocol):
    """What a request brought; the empty string for nothing."""

    @property
    def token(self) -> str: ...
    @property
    def cookie(self) -> str: ...


class Accounts:
    """The one authenticator of the product."""

    def __init__(
        self, *, clock: Clock, ids: Ids, reader: Database, writer: Writer, nursery: trio.Nursery
    ) -> None:
        """Begin with nobody seen.

        Args:
            nursery: runs the notes of use; it ends before the writer does.
        """
        self._clock, self._ids, self._reader, self._writer = clock, ids, reader, writer
        self._nursery = nursery
        self._noted: OrderedDict[str, int] = OrderedDict()  # credential -> when its use was noted

    def authenticate(self, credentials: Credentials) -> Caller:
        """Return who asks.

        Raises:
            Unauthenticated: nobody we know.
        """
        now_ms = self._clock.now_ms()
        caller = None
        if credentials.token:
            caller = tokens.by_secret(self._reader, credentials.token, now_ms)
        elif credentials.cookie:
            caller = sessions.by_secret(self._reader, credentials.cookie, now_ms)
        if caller is None:
            raise Unauthenticated("A valid token or a session is needed.")
        self._note_use(caller.credential, now_ms)
        return caller

    async def sign_in(self, code: str) -> str:
        """Spend a sign-in code and return the value of a session cookie.

        Raises:
            Unauthenticated: the code is unknown, spent or too old.
        """
        now_ms = self._clock.now_ms()
        secret, session_id = self._ids.secret(), self._ids.new(SESSION)

        def rows(db: Database) -> tuple[str, str] | None:
            owner = sessions.redeem_code(db, code, now_ms)
            if owner:
                tenant, user = owner
                sessions.create(
                    db, id=session_id, secret=secret, tenant=tenant, user=user, now_ms=now_ms
                )
            return owner

        owner = sessions.owner_of_code(self._reader, code, now_ms)
        if owner is None:
            raise Unauthenticated("The link is unknown, used or too old: ask for another.")
        caller = Caller(tenant=owner[0], user=owner[1], credential=session_id)
        if await self._writer.write(self._audited(caller, "session.start", rows)) is None:
            raise Unauthenticated("The link has just been used: ask for another.")
        return secret

    async def sign_out(self, credentials: Credentials) -> None:
        """End the session of this cookie; without one nothing happens."""
        caller = sessions.by_secret(self._reader, credentials.cookie, self._clock.now_ms())
        if caller:
            await self._writer.write(
                self._audited(caller, "session.end", lambda db: sessions.end(db, caller.credential))
            )

    def _audited(self, caller: Caller, action: str, rows: Callable[[Database], R]) -> Write[R]:
        return change(
            caller,
            action=action,
            object_id=caller.credential,
            at_ms=self._clock.now_ms(),
            request_id="",
            access=lambda _: True,
            rows=rows,
        )

    def _note_use(self, credential: str, now_ms: int) -> None:
        if now_ms - self._noted.get(credential, -limits.TOUCH_MS) < limits.TOUCH_MS:
            return
        self._noted[credential] = now_ms
        self._noted.move_to_end(credential)
        while len(self._noted) > limits.CREDENTIALS_NOTED_MAX:
            self._noted.popitem(last=False)
        self._nursery.start_soon(self._touch, credential, now_ms)

    async def _touch(self, credential: str, now_ms: int) -> None:
        noun = sessions if credential.startswith(SESSION) else tokens
        try:
            await self._writer.write(Write(rows=lambda db: noun.touch(db, credential, now_ms)))
        except Problem as problem:
            log.info("use_not_noted", problem=problem.name())
