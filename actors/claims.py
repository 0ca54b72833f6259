"""Idempotency: a POST with a key happens once, however often and however concurrently it is sent.

The record of the answer is written in the transaction of the change itself, so a crash leaves both
or neither. A second call with the key of a running one waits for it. Only success leaves a record:
a refusal frees the key. Source: draft-ietf-httpapi-idempotency-key-header.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import trio

from actors.views import to_bytes
from runtime import limits
from runtime.caller import Caller
from runtime.clock import Clock
from runtime.problems import IdempotencyConflict
from store import idempotency
from store.database import Database
from store.idempotency import IdempotencyRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One use of a key. `body_sha256` is the digest of the body's bytes, hexadecimal."""

    key: str
    method: str
    path: str
    body_sha256: str

    def record(self, caller: Caller, view: Any, at_ms: int) -> IdempotencyRow:
        """Return the row that will answer the next call with this key."""
        return IdempotencyRow(
            tenant=caller.tenant,
            user=caller.user,
            method=self.method,
            path=self.path,
            key=self.key,
            body_sha256=self.body_sha256,
            body=to_bytes(view),
            created_at_ms=at_ms,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The bytes of a view; `replayed` when an earlier call made them."""

    body: bytes
    replayed: bool = False


class Claims:
    """Holds the keys that are in use right now; the store knows those of the last day."""

    def __init__(self, reader: Database, clock: Clock) -> None:
        self._reader, self._clock = reader, clock
        self._held: dict[tuple[str, ...], trio.Lock] = {}

    async def once(
        self, caller: Caller, claim: Claim | None, make: Callable[[], Awaitable[Any]]
    ) -> Answer:
        """Return the view of `make` as bytes, or those of the call that used the key before.

        Raises:
            IdempotencyConflict: the key was used with another body.
        """
        if claim is None:
            return Answer(body=to_bytes(await make()))
        scope = (caller.tenant, caller.user, claim.method, claim.path, claim.key)
        lock = self._held.setdefault(scope, trio.Lock())
        try:
            async with lock:
                return self._kept(scope, claim) or Answer(body=to_bytes(await make()))
        finally:
            if not lock.locked() and self._held.get(scope) is lock:
                del self._held[scope]

    def _kept(self, scope: tuple[str, ...], claim: Claim) -> Answer | None:
        row = idempotency.find(self._reader, *scope)
        oldest_ms = self._clock.now_ms() - limits.IDEMPOTENCY_MS
        if row is None or row.created_at_ms < oldest_ms:  # the next change deletes what is too old
            return None
        if row.body_sha256 != claim.body_sha256:
            raise IdempotencyConflict("This key came with another body before.")
        return Answer(body=row.body, replayed=True)
