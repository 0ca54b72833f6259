"""One person's sign-in at one server: from the page they are sent to, to the tokens they get.

Owns no stream. Messages: Begin, answered with a Reply of the URL to visit, or of None where no
sign-in is wanted; Finish, answered with a Reply once the tokens are kept. A later Begin ends the
one before. What is asked of whom, and what is made of the answer, is the flow's
(`transports.egress.mcp.flows`): state, PKCE, the issuer's name, the resource.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, TypeAlias

import trio

from runtime import limits
from runtime.actor import TrioActor
from runtime.problems import NotFound, Upstream, UpstreamLost
from runtime.reply import Reply
from transports.egress.mcp.servers import Consent, Returned
from transports.egress.mcp.words import Session

Opening: TypeAlias = Callable[[str, Consent], AbstractAsyncContextManager[Session]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin:
    """Send the person to sign in; they come back to this URI."""

    redirect_uri: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """The person has come back with this."""

    returned: Returned


@dataclass(slots=True, eq=False)
class Attempt:
    """One sign-in under way."""

    url: Reply
    scope: trio.CancelScope
    back: trio.Event
    returned: Returned | None = None
    ended: Reply | None = None


class McpSignIn(TrioActor):
    """See the module."""

    def __init__(self, opening: Opening) -> None:
        """Take what opens a session for somebody who gives consent."""
        super().__init__()
        self._opening = opening
        self._attempt: Attempt | None = None

    async def started(self) -> None:
        """Begin with no sign-in: those of an earlier life have ended with it."""
        self._attempt = None

    async def handle(self, message: Begin | Finish) -> Any:
        """Begin or finish; see the messages."""
        if isinstance(message, Begin):
            if self._attempt is not None:
                self._attempt.scope.cancel()
            attempt = Attempt(Reply(), trio.CancelScope(), trio.Event())
            self._attempt = attempt
            self.life.start_soon(self._run, attempt, message.redirect_uri)
            return attempt.url
        attempt = self._waiting()
        attempt.returned, attempt.ended = message.returned, Reply()
        attempt.back.set()
        return attempt.ended

    def idle(self) -> bool:
        """Whether nobody is signing in."""
        return self._attempt is None

    def _waiting(self) -> Attempt:
        if self._attempt is None or self._attempt.back.is_set():
            raise NotFound("No sign-in waits for this.")
        return self._attempt

    async def _run(self, attempt: Attempt, redirect_uri: str) -> None:
        """Go through one sign-in, and tell whoever waits how it went."""

        async def consent(url: str) -> Returned:
            attempt.url.set(url)
            attempt.scope.deadline = trio.current_time() + limits.MCP_SIGN_IN_S
            await attempt.back.wait()
            attempt.scope.deadline = trio.current_time() + limits.MCP_OAUTH_S
            assert attempt.returned is not None
            return attempt.returned

        failure: Upstream = UpstreamLost("The sign-in took too long, or another was begun.")
        done = False
        try:
            with attempt.scope:
                attempt.scope.deadline = trio.current_time() + limits.MCP_CONNECT_S
                async with self._opening(redirect_uri, consent) as session:
                    await session.tools(None)
                    done = True
        except Upstream as problem:
            failure = problem
        finally:
            if self._attempt is attempt:
                self._attempt = None
            _tell(attempt, None if done else failure)


def _tell(attempt: Attempt, failure: Upstream | None) -> None:
    """Settle what waits: for the URL, or for the end."""
    for reply in (attempt.url, attempt.ended):
        if reply is not None and not reply.settled:
            if failure is None:
                reply.set(None)
            else:
                reply.fail(failure)
