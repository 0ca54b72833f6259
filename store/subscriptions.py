"""Subscriptions of the Durable Streams protocol: who is woken by which streams, and how far it is.

`generation` counts the wakes of one; `incarnation` tells it from one of the same id that was
deleted. A link remembers which stream was at its path, so that a path made again begins anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionKey:
    """Whose subscription, and which."""

    tenant: str
    user: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionRow:
    """A subscription as it is kept; the fields are the columns, in order."""

    tenant: str
    user: str
    id: str
    type: str  # webhook or pull-wake
    pattern: str | None
    webhook_url: str | None
    wake_stream: str | None
    lease_ttl_ms: int
    description: str | None
    digest: str  # of all that makes it this one
    origin: str  # of this service as its maker addressed it
    created_at_ms: int
    incarnation: str
    generation: int
    wake_id: str | None  # of the wake in flight
    holder: str | None  # worker that has claimed it
    lease_until_ms: int | None
    failures: int  # deliveries that failed in a row
    next_attempt_at_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRow:
    """A stream that a subscription looks at; `acked` is the last sequence done with."""

    path: str
    explicit: bool
    globbed: bool
    stream: str | None  # id of what was at the path
    acked: int


NAMES = tuple(field.name for field in fields(SubscriptionRow))
SELECT = f"SELECT {', '.join(NAMES)} FROM subscription"  # noqa: S608 - our own columns
INSERT = f"INSERT INTO subscription ({', '.join(NAMES)}) VALUES ({', '.join('?' * len(NAMES))})"  # noqa: S608


def find(db: Database, key: SubscriptionKey) -> SubscriptionRow | None:
    """Return a subscription."""
    row = db.execute(f"{SELECT} WHERE tenant = ? AND user = ? AND id = ?", _values(key)).fetchone()
    return SubscriptionRow(**dict(zip(NAMES, row, strict=True))) if row else None


def all_of_them(db: Database) -> list[SubscriptionRow]:
    """Return every subscription; once, at the start."""
    rows = db.execute(f"{SELECT} ORDER BY tenant, user, id").fetchall()
    return [SubscriptionRow(**dict(zip(NAMES, row, strict=True))) for row in rows]


def count(db: Database, tenant: str, user: str) -> int:
    """Return how many subscriptions a user has."""
    sql = "SELECT COUNT(*) FROM subscription WHERE tenant = ? AND user = ?"
    return int(db.execute(sql, (tenant, user)).fetchone()[0])


def insert(db: Database, row: SubscriptionRow) -> None:
    """Keep a new subscription."""
    db.execute(INSERT, tuple(getattr(row, name) for name in NAMES))


def keep_state(db: Database, row: SubscriptionRow) -> None:
    """Keep where a subscription stands."""
    db.execute(
        "UPDATE subscription SET generation = ?, wake_id = ?, holder = ?, lease_until_ms = ?,"
        " failures = ?, next_attempt_at_ms = ? WHERE tenant = ? AND user = ? AND id = ?",
        (
            row.generation,
            row.wake_id,
            row.holder,
            row.lease_until_ms,
            row.failures,
            row.next_attempt_at_ms,
            row.tenant,
            row.user,
            row.id,
        ),
    )


def remove(db: Database, key: SubscriptionKey) -> None:
    """Forget a subscription and its links."""
    db.execute(
        "DELETE FROM subscription_stream WHERE tenant = ? AND user = ? AND subscription = ?",
        _values(key),
    )
    db.execute("DELETE FROM subscription WHERE tenant = ? AND user = ? AND id = ?", _values(key))


def links(db: Database, key: SubscriptionKey) -> list[LinkRow]:
    """Return what a subscription looks at, by path."""
    rows = db.execute(
        "SELECT path, explicit, globbed, stream, acked FROM subscription_stream"
        " WHERE tenant = ? AND user = ? AND subscription = ? ORDER BY path",
        _values(key),
    ).fetchall()
    return [
        LinkRow(path=r[0], explicit=bool(r[1]), globbed=bool(r[2]), stream=r[3], acked=r[4])
        for r in rows
    ]


def keep_links(db: Database, key: SubscriptionKey, kept: Sequence[LinkRow]) -> None:
    """Keep links, new ones and changed ones."""
    for each in kept:
        db.execute(
            "INSERT INTO subscription_stream VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (tenant, user, subscription, path) DO UPDATE SET"
            " explicit = excluded.explicit, globbed = excluded.globbed,"
            " stream = excluded.stream, acked = excluded.acked",
            (*_values(key), each.path, each.explicit, each.globbed, each.stream, each.acked),
        )


def remove_link(db: Database, key: SubscriptionKey, path: str) -> None:
    """Forget one link."""
    db.execute(
        "DELETE FROM subscription_stream"
        " WHERE tenant = ? AND user = ? AND subscription = ? AND path = ?",
        (*_values(key), path),
    )


def secret(db: Database, name: str) -> str | None:
    """Return a key that this service signs with."""
    row = db.execute("SELECT secret FROM signing_key WHERE name = ?", (name,)).fetchone()
    return str(row[0]) if row else None


def keep_secret(db: Database, name: str, value: str, now_ms: int) -> str:
    """Keep a key where there is none yet; return the one that is kept."""
    sql = "INSERT INTO signing_key VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
    db.execute(sql, (name, value, now_ms))
    return secret(db, name) or value


def _values(key: SubscriptionKey) -> tuple[Any, ...]:
    return (key.tenant, key.user, key.id)
