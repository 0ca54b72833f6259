"""A subscription's row as it is made, and its configuration as it is told back. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, replace

import orjson

from actors.subscriptions.words import Described, Place, Subscribe, Wanted
from store.subscriptions import SubscriptionKey, SubscriptionRow


def new_row(
    key: SubscriptionKey, asked: Subscribe, *, incarnation: str, now_ms: int
) -> SubscriptionRow:
    """Return the row of a new subscription."""
    wanted = asked.wanted
    return SubscriptionRow(
        tenant=key.tenant,
        user=key.user,
        id=key.id,
        type=wanted.type,
        pattern=wanted.pattern,
        webhook_url=wanted.webhook_url,
        wake_stream=wanted.wake_stream,
        lease_ttl_ms=wanted.lease_ttl_ms,
        description=wanted.description,
        digest=digest(wanted),
        origin=asked.origin,
        created_at_ms=now_ms,
        incarnation=incarnation,
        generation=0,
        wake_id=None,
        holder=None,
        lease_until_ms=None,
        failures=0,
        next_attempt_at_ms=None,
    )


def described(
    row: SubscriptionRow, explicit: Iterable[str], places: tuple[Place, ...]
) -> Described:
    """Return what is told of a subscription."""
    wanted = Wanted(
        type="webhook" if row.type == "webhook" else "pull-wake",
        pattern=row.pattern,
        streams=tuple(explicit),
        webhook_url=row.webhook_url,
        wake_stream=row.wake_stream,
        lease_ttl_ms=row.lease_ttl_ms,
        description=row.description,
    )
    return Described(
        id=row.id,
        wanted=wanted,
        places=places,
        created_at_ms=row.created_at_ms,
        failing=row.next_attempt_at_ms is not None,
    )


def without_wake(row: SubscriptionRow) -> SubscriptionRow:
    """Return the row with no wake in flight and no lease."""
    return replace(row, wake_id=None, holder=None, lease_until_ms=None)


def without_what_is_over(row: SubscriptionRow, now_ms: int) -> SubscriptionRow:
    """Return the row without a lease or a pause that has ended."""
    if row.lease_until_ms is not None and row.lease_until_ms <= now_ms:
        row = without_wake(row)
    if row.next_attempt_at_ms is not None and row.next_attempt_at_ms <= now_ms:
        row = replace(row, next_attempt_at_ms=None)
    return row


def digest(wanted: Wanted) -> str:
    """Return what is the same for the same configuration."""
    kept = orjson.dumps(asdict(wanted), option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(kept).hexdigest()
