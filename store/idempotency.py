"""Answers kept under the caller's idempotency key, written with the change they answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyRow:
    """The answer to a request; the fields are the columns, in order."""

    tenant: str
    user: str
    method: str
    path: str
    key: str
    body_sha256: str  # of the request's body, hexadecimal
    body: bytes  # of the answer
    created_at_ms: int


NAMES = tuple(field.name for field in fields(IdempotencyRow))
INSERT = f"INSERT INTO idempotency ({', '.join(NAMES)}) VALUES ({', '.join('?' * len(NAMES))})"  # noqa: S608


def find(
    db: Database, tenant: str, user: str, method: str, path: str, key: str
) -> IdempotencyRow | None:
    """Return what the key answered, if it has not been used up by time (`expire`)."""
    row: Sequence[Any] | None = db.execute(
        f"SELECT {', '.join(NAMES)} FROM idempotency"  # noqa: S608 - our own columns
        " WHERE tenant = ? AND user = ? AND method = ? AND path = ? AND key = ?",
        (tenant, user, method, path, key),
    ).fetchone()
    return IdempotencyRow(**dict(zip(NAMES, row, strict=True))) if row else None


def insert(db: Database, row: IdempotencyRow) -> None:
    """Keep an answer; rows older than a day make room as new ones come.

    Raises:
        sqlite3.IntegrityError: the key is in use.
    """
    db.execute(INSERT, tuple(getattr(row, name) for name in NAMES))


def expire(db: Database, before_ms: int) -> int:
    """Delete the answers older than a moment; return how many."""
    return db.execute("DELETE FROM idempotency WHERE created_at_ms < ?", (before_ms,)).rowcount
