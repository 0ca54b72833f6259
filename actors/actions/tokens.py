"""The tokens of actions: fetched when they are wanted, one at a time, sealed, told to nobody else.

A person's token goes to the token endpoint and the server that they were given for: another one of
either forgets them. Who asks while another asks gets the other's answer. A refresh that the issuer
refuses means that the person signs in again.
Source: RFC 6749 section 6; RFC 9700 section 4.14.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

import orjson
import structlog
import trio

from actors.actions.kept import Kept
from actors.changing import commit
from runtime import limits
from runtime.caller import Caller
from runtime.problems import Upstream, UpstreamSaid
from runtime.secret import Secret
from store import action_sets
from store.database import Database
from store.keyring import Keyring, SealBroken
from transports.egress import guard
from transports.egress.actions.authorizing import Issuer, Tokens

if TYPE_CHECKING:
    from actors.spine import Spine

log = structlog.get_logger(__name__)
SIGN_IN: Final = "sign-in-needed"
EARLY_MS: Final = 10_000  # before its end a token is taken to have ended


class ActionTokens:
    """One per service."""

    def __init__(self, spine: Spine) -> None:
        self._spine = spine
        self._turns: dict[tuple[str, str, str], trio.Lock] = defaultdict(trio.Lock)

    def signed_in(self, caller: Caller, name: str) -> bool:
        """Say whether there are tokens of a person."""
        return action_sets.grant(self._spine.reader, caller, name) is not None

    async def token(self, caller: Caller, kept: Kept, *, refused: str = "") -> str:
        """Return a token to present.

        Args:
            refused: one that the server would not have, so that another one is wanted.

        Raises:
            Upstream: there is none; its code says whether somebody has to sign in.
        """
        key = (caller.tenant, caller.user, kept.name)
        async with self._turns[key]:
            now_ms = self._spine.clock.now_ms()
            held = self.held(caller, kept.name)
            if held and held.access != refused and held.is_good(now_ms + EARLY_MS):
                return held.access
            issuer = self.issuer(kept)
            if kept.auth.type == "oauth_client":
                fresh = await issuer.by_client(now_ms)
            elif held is None or not held.refresh:
                await self._forgotten(caller, kept.name, held)
                raise sign_in_needed()
            else:
                try:
                    fresh = await issuer.by_refresh(held, now_ms)
                except UpstreamSaid as problem:
                    if problem.extensions.get("code") != "token-refused":
                        raise
                    await self._forgotten(caller, kept.name, held)
                    raise sign_in_needed() from problem
            await self.keep(caller, kept.name, fresh)
            return fresh.access

    def issuer(self, kept: Kept) -> Issuer:
        """Return what asks a set's token endpoint."""
        return Issuer(
            auth=kept.auth,
            client_secret=kept.secrets.get("client_secret", Secret("")),
            reach=guard.Reach(
                purpose="oauth",
                exempt=self._spine.settled.action_places,
                domains=guard.only(kept.auth.token_url),
                idle_s=limits.MCP_OAUTH_S,
                total_s=limits.MCP_OAUTH_S,
                body_bytes=limits.MCP_OAUTH_BYTES,
                on_decision=self._spine.settled.on_decision,
            ),
        )

    async def revoke(self, kept: Kept, held: Tokens | None) -> None:
        """Tell an issuer that tokens which are forgotten here are of no use; it may be away."""
        if held is None or kept.key_lost:
            return
        revoked = False
        with trio.move_on_after(limits.MCP_REVOKE_S):
            try:
                revoked = await self.issuer(kept).revoke(held)
            except (Upstream, ValueError) as problem:
                log.info("tokens_not_revoked", reason=str(problem))
        log.info("action_signed_out", set=kept.name, revoked=revoked)

    async def keep(self, caller: Caller, name: str, tokens: Tokens) -> None:
        """Keep tokens, sealed; what is not audited is not kept."""
        record = Secret(orjson.dumps(asdict(tokens)).decode())
        sealed = self._keyring().seal(record, _owner(caller, name))
        now_ms = self._spine.clock.now_ms()

        def rows(db: Database) -> None:
            if action_sets.get(db, caller, name) is not None:  # it may have been removed meanwhile
                action_sets.put_grant(db, caller, name, sealed, now_ms)

        await commit(self._spine, caller, "action.grant", name, rows, "")

    def held(self, caller: Caller, name: str) -> Tokens | None:
        """Return the tokens of a person; None where there are none, or they do not open."""
        sealed = action_sets.grant(self._spine.reader, caller, name)
        if sealed is None:
            return None
        try:
            record = self._keyring().open(sealed, _owner(caller, name))
        except SealBroken:
            log.warning("action_grant_lost", set=name)
            return None
        return Tokens(**orjson.loads(record.reveal()))

    async def _forgotten(self, caller: Caller, name: str, held: Tokens | None) -> None:
        if held is not None:
            rows = lambda db: action_sets.forget_grant(db, caller, name)
            await commit(self._spine, caller, "action.grant.lost", name, rows, "")

    def _keyring(self) -> Keyring:
        assert self._spine.sealing is not None
        return self._spine.sealing.keyring


def sign_in_needed() -> UpstreamSaid:
    """Return what says that a person has to sign in first."""
    return UpstreamSaid(
        "Somebody has to sign in for this action first.", code=SIGN_IN, **{"class": "auth"}
    )


def _owner(caller: Caller, name: str) -> str:
    return f"action-grant/{caller.tenant}/{caller.user}/{name}"
