"""People sign in for their actions: sent to the issuer with a browser, and taken back once.

What comes back is bound to the browser that was sent (`actors.way_back`), and to the request by a
verifier that never left. Source: RFC 7636.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from actors.actions.kept import Kept
from actors.actions.tokens import ActionTokens
from actors.way_back import Away, WaysBack, expires_at_ms
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
class Asked:
    """What a person was sent to sign in for, and what their return is held against."""

    name: str
    auth: Auth
    verifier: str
    redirect_uri: str


class ActionSignIns:
    """One per service."""

    def __init__(self, spine: Spine, tokens: ActionTokens) -> None:
        self._spine, self._tokens = spine, tokens
        self.ways_back: WaysBack[Asked] = WaysBack(spine.clock)

    def begin(
        self, caller: Caller, kept: Kept, *, redirect_uri: str, proof: str
    ) -> ActionSignInView:
        """Return where the person signs in; raises Invalid where nobody does."""
        if kept.auth.type != "oauth_code" or not kept.enabled or kept.key_lost:
            raise Invalid.at("/auth", "Nobody signs in for these actions, as they are.")
        now_ms = self._spine.clock.now_ms()
        state, verifier = self._spine.ids.secret(), self._spine.ids.secret()
        asked = Asked(name=kept.name, auth=kept.auth, verifier=verifier, redirect_uri=redirect_uri)
        self.ways_back.send(state, caller, proof, asked, now_ms)
        url = authorization_url(
            kept.auth, redirect_uri=redirect_uri, state=state, verifier=verifier
        )
        return ActionSignInView(authorization_url=url, expires_at=rfc3339(expires_at_ms(now_ms)))

    async def finish(self, away: Away[Asked], kept: Kept, code: str, error: str) -> None:
        """Keep the tokens of a code.

        Raises:
            NotFound: the set signs in another way by now.
            Upstream: the issuer refused.
        """
        if kept.auth != away.what.auth:
            raise NotFound("No sign-in waits for this.")
        if error or not code:
            said = error[:CODE_CHARS_MAX] or "no code came"
            raise UpstreamSaid(f"The issuer refused: {said}.", code="sign-in-refused")
        tokens = await self._tokens.issuer(kept).by_code(
            code,
            redirect_uri=away.what.redirect_uri,
            verifier=away.what.verifier,
            now_ms=self._spine.clock.now_ms(),
        )
        await self._tokens.keep(away.caller, kept.name, tokens)
