"""Who the clients say they are: tokens of the real store, which end by revocation or by the clock.

Theory: tokens are made and revoked as `runchat token` does, beside the running service. Whether one
still counts is known here but for one case: where the wall's clock was set back behind its end, a
service that has seen the later time and one that has started since may differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Literal

import trio

from harness.faults import Faults
from harness.simulation.scheduler import EPOCH_MS, VirtualClock
from store import audit, tokens
from store.database import Database, transaction

CALLERS: Final = ("one/alice", "one/bob", "two/carol")
MORTAL: Final = "one/bob"  # whose tokens end by themselves
LIFE_MS: Final = 2 * 3600 * 1000


@dataclass(slots=True, eq=False)
class Badge:
    """A token in a client's hand."""

    caller: str
    id: str
    secret: str
    expires_at_ms: int | None
    revoked: bool = False
    dead_since: float | None = None  # as was seen by `watch`


@dataclass(slots=True)
class Badges:
    """All tokens of a run."""

    db: Database
    wall: VirtualClock
    faults: Faults
    current: dict[str, Badge] = field(default_factory=dict)  # by caller
    made: int = 0
    revoked: int = 0

    def of(self, caller: str) -> Badge:
        """Return a token of the caller that counts now."""
        found = self.current.get(caller)
        if found is None:
            found = self.current[caller] = first(caller)
        if self.state(found) != "alive":
            found = self._issue(caller)
        return found

    def state(self, badge: Badge) -> Literal["alive", "dead", "unsure"]:
        """Say whether the token counts."""
        if badge.revoked:
            return "dead"
        if badge.expires_at_ms is None or self.wall.latest_ms() < badge.expires_at_ms:
            return "alive"
        return "dead" if self.wall.now_ms() >= badge.expires_at_ms else "unsure"

    def watch(self, badge: Badge) -> float:
        """Return for how many seconds the token is known not to count."""
        if self.state(badge) != "dead":
            badge.dead_since = None
            return 0.0
        if badge.dead_since is None:
            badge.dead_since = trio.current_time()
        return trio.current_time() - badge.dead_since

    def revoke(self, caller: str) -> Badge:
        """End the caller's token, and return it."""
        badge, now_ms = self.of(caller), self.wall.now_ms()
        with self._beside() as db:
            tokens.revoke(db, badge.id, now_ms)
            audit.insert(db, audit.of_this_machine("token.revoke", badge.id, now_ms))
        badge.revoked = True
        self.revoked += 1
        self.watch(badge)
        return badge

    def _issue(self, caller: str) -> Badge:
        self.made += 1
        tenant, _, user = caller.partition("/")
        now_ms = self.wall.now_ms()
        expires_at_ms = self.wall.latest_ms() + LIFE_MS if caller == MORTAL else None
        badge = Badge(caller, f"tok_{user}{self.made}", f"{caller}/{self.made}", expires_at_ms)
        with self._beside() as db:
            tokens.create(
                db,
                id=badge.id,
                secret=badge.secret,
                tenant=tenant,
                user=user,
                now_ms=now_ms,
                expires_at_ms=expires_at_ms,
            )
        self.current[caller] = badge
        return badge

    @contextmanager
    def _beside(self) -> Iterator[Database]:
        """Write as another program does, whose disk is well."""
        self.faults.outside = True
        try:
            with transaction(self.db) as db:
                yield db
        finally:
            self.faults.outside = False


def first(caller: str) -> Badge:
    """Return the token that a caller begins with; its secret is the caller's name."""
    expires_at_ms = EPOCH_MS + LIFE_MS if caller == MORTAL else None
    return Badge(caller, f"tok_{caller.partition('/')[2]}", caller, expires_at_ms)


def make_first(db: Database) -> None:
    """Put the first tokens into a new store."""
    for caller in CALLERS:
        badge = first(caller)
        tenant, _, user = caller.partition("/")
        tokens.create(
            db,
            id=badge.id,
            secret=badge.secret,
            tenant=tenant,
            user=user,
            now_ms=EPOCH_MS,
            expires_at_ms=badge.expires_at_ms,
        )
