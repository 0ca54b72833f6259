"""People sign in for their actions: sent to the issuer with a browser, and taken back once.

What comes back is bound to the browser that was sent, by a proof in its cookie, and to the request
by a verifier that never left. A state is good for one return within its time; whoever lacks the
proof does not spend it. Source: RFC 6749 section 10.12; RFC 7636; RFC 9700 section 4.7.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING

from actors.action_kept import Kept
from actors.action_tokens import ActionTokens
from runtime import limits
from runtime.caller import Caller
from runtime.clock import rfc3339
from runtime.problems import Invalid, NotFound, UpstreamSaid
from transports.egress.actions.authorizing import CODE_CHARS_MAX, Auth, authorization_url

if TYPE_CHECKING:
    from actors.spine import Spine


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionSignInView:
    """Where the person signs in, and until when they may come back."""

    authorization_url: str
    expires_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A sign-in that waits for its return."""

    caller: Caller
    name: str
    auth: Auth
    proof: bytes
    verifier: str
    redirect_uri: str
    expires_at_ms: int


class ActionSignIns:
    """One per service."""

    def __init__(self, spine: Spine, tokens: ActionTokens) -> None:
        self._spine, self._tokens = spine, tokens
        self._pending: dict[str, Pending] = {}  # by state, the oldest first

    def begin(
        self, caller: Caller, kept: Kept, *, redirect_uri: str, proof: str
    ) -> ActionSignInView:
        """Return where the person signs in; raises Invalid where nobody does."""
        if kept.auth.type != "oauth_code" or not kept.enabled or kept.key_lost:
            raise Invalid.at("/auth", "Nobody signs in for these actions, as they are.")
        now_ms = self._spine.clock.now_ms()
        state, verifier = self._spine.ids.secret(), self._spine.ids.secret()
        expires_at_ms = now_ms + int(1000 * limits.MCP_SIGN_IN_S)
        for each in [known for known, other in self._pending.items() if _is_over(other, now_ms)]:
            del self._pending[each]
        while len(self._pending) >= limits.MCP_SIGN_INS_MAX:
            del self._pending[next(iter(self._pending))]
        self._pending[state] = Pending(
            caller=caller,
            name=kept.name,
            auth=kept.auth,
            proof=_digest(proof),
            verifier=verifier,
            redirect_uri=redirect_uri,
            expires_at_ms=expires_at_ms,
        )
        url = authorization_url(
            kept.auth, redirect_uri=redirect_uri, state=state, verifier=verifier
        )
        return ActionSignInView(authorization_url=url, expires_at=rfc3339(expires_at_ms))

    def claim(self, state: str, proof: str) -> Pending:
        """Return the sign-in that a browser comes back from, once.

        Raises:
            NotFound: none waits for this state, or not for this browser.
        """
        pending = self._pending.get(state)
        if pending is None or not hmac.compare_digest(pending.proof, _digest(proof)):
            raise NotFound("No sign-in waits for this.")
        del self._pending[state]
        if _is_over(pending, self._spine.clock.now_ms()):
            raise NotFound("No sign-in waits for this.")
        return pending

    async def finish(self, pending: Pending, kept: Kept, code: str, error: str) -> None:
        """Keep the tokens of a code.

        Raises:
            NotFound: the set signs in another way by now.
            Upstream: the issuer refused.
        """
        if kept.auth != pending.auth:
            raise NotFound("No sign-in waits for this.")
        if error or not code:
            said = error[:CODE_CHARS_MAX] or "no code came"
            raise UpstreamSaid(f"The issuer refused: {said}.", code="sign-in-refused")
        tokens = await self._tokens.issuer(kept).by_code(
            code,
            redirect_uri=pending.redirect_uri,
            verifier=pending.verifier,
            now_ms=self._spine.clock.now_ms(),
        )
        await self._tokens.keep(pending.caller, pending.name, tokens)


def _is_over(pending: Pending, now_ms: int) -> bool:
    return pending.expires_at_ms < now_ms


def _digest(proof: str) -> bytes:
    return hashlib.sha256(proof.encode()).digest()
