"""Keeps who has been sent to an issuer, so that each comes back once, and in the same browser.

The browser holds a proof, or shows the credential that began. A state is good for one return;
whoever lacks the proof does not spend it. Nothing is kept on disk: a restart ends what waits.
Source: RFC 6749, section 10.12; RFC 9700, section 4.7.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from runtime import limits
from runtime.caller import Caller
from runtime.clock import Clock
from runtime.problems import NotFound

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Away(Generic[T]):
    """Somebody who has not come back yet.

    Args:
        proof: digest of what the browser holds.
        what: they signed in for.
    """

    caller: Caller
    proof: bytes
    expires_at_ms: int
    what: T


class WaysBack(Generic[T]):
    """Those of one kind of sign-in."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._away: dict[str, Away[T]] = {}  # by state, the oldest first

    def send(self, state: str, caller: Caller, proof: str, what: T, began_ms: int) -> None:
        """Keep somebody who is on their way; the oldest make room."""
        now_ms = self._clock.now_ms()
        self.forget(lambda each: each.expires_at_ms < now_ms)
        while len(self._away) >= limits.MCP_SIGN_INS_MAX:
            del self._away[next(iter(self._away))]
        self._away[state] = Away(
            caller=caller,
            proof=_digest(proof),
            expires_at_ms=expires_at_ms(began_ms),
            what=what,
        )

    def forget(self, gone: Callable[[Away[T]], bool]) -> None:
        """Forget all of whom this is true."""
        self._away = {state: each for state, each in self._away.items() if not gone(each)}

    def known_proof(self, caller: Caller, proof: str) -> bool:
        """Say whether a browser holds the proof of a sign-in of this caller that waits."""
        held = _digest(proof)
        mine = [each for each in self._away.values() if same_person(each.caller, caller)]
        return any(hmac.compare_digest(each.proof, held) for each in mine)

    def come(self, state: str, proof: str, caller: Caller | None = None) -> Away[T]:
        """Take somebody back, once.

        Args:
            proof: what the browser holds; "" for nothing.
            caller: who shows a credential.

        Raises:
            NotFound: nobody is awaited with this state, or not in this browser.
        """
        away = self._away.get(state)
        if away is None or away.expires_at_ms < self._clock.now_ms():
            raise NotFound("No sign-in waits for this.")
        shown = caller is not None and caller.credential != "" and caller == away.caller
        if not (shown or hmac.compare_digest(away.proof, _digest(proof))):
            raise NotFound("No sign-in waits for this.")
        del self._away[state]
        return away


def expires_at_ms(began_ms: int) -> int:
    """Return until when a sign-in that began then is waited for."""
    return began_ms + int(1000 * limits.MCP_SIGN_IN_S)


def same_person(one: Caller, other: Caller) -> bool:
    """Whether two callers are one person, by whatever credential."""
    return (one.tenant, one.user) == (other.tenant, other.user)


def _digest(proof: str) -> bytes:
    return hashlib.sha256(proof.encode()).digest()
