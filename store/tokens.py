"""Tokens: the secrets with which programs say who they are, kept as SHA-256 only.

The secrets are 256 random bits, so a plain digest cannot be guessed backwards.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from runtime import limits
from runtime.caller import Caller
from store import users
from store.database import Database

SELECT = (
    "SELECT id, token.tenant, token.user, admin, token.name, token.created_at_ms,"
    " last_used_at_ms, expires_at_ms, revoked_at_ms"
    " FROM token JOIN user ON user.tenant = token.tenant AND user.name = token.user"
)
ALIVE = "revoked_at_ms IS NULL AND (expires_at_ms IS NULL OR expires_at_ms > ?)"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRow:
    """A token as it is listed; its secret is nowhere. `admin` is its user's."""

    id: str
    tenant: str
    user: str
    admin: bool
    name: str
    created_at_ms: int
    last_used_at_ms: int | None
    expires_at_ms: int | None
    revoked_at_ms: int | None


def digest(secret: str) -> str:
    """Return what is kept of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def create(
    db: Database,
    *,
    id: str,
    secret: str,
    tenant: str,
    user: str,
    admin: bool = False,
    name: str = "",
    now_ms: int,
    expires_at_ms: int | None = None,
) -> None:
    """Keep a new token; tenant and user are made where they are new."""
    users.ensure(db, tenant, user, admin=admin, now_ms=now_ms)
    db.execute(
        "INSERT INTO token (id, digest, tenant, user, name, created_at_ms, expires_at_ms)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (id, digest(secret), tenant, user, name, now_ms, expires_at_ms),
    )


def by_secret(db: Database, secret: str, now_ms: int) -> Caller | None:
    """Return whom a token stands for; None when it is unknown, expired or revoked."""
    return _caller(db, f"digest = ? AND {ALIVE}", (digest(secret), now_ms))


def valid(db: Database, id: str, now_ms: int) -> Caller | None:
    """Return whom the token stands for now; for the second look at a long stream."""
    return _caller(db, f"id = ? AND {ALIVE}", (id, now_ms))


def list_all(db: Database) -> list[TokenRow]:
    """Return all tokens, oldest first."""
    return [_row(row) for row in db.execute(f"{SELECT} ORDER BY id")]


def revoke(db: Database, id: str, now_ms: int) -> bool:
    """End a token; say whether there was one that had not been ended."""
    sql = "UPDATE token SET revoked_at_ms = ? WHERE id = ? AND revoked_at_ms IS NULL"
    return db.execute(sql, (now_ms, id)).rowcount == 1


def touch(db: Database, id: str, now_ms: int) -> None:
    """Note that the token was used, at most once a minute."""
    db.execute(
        "UPDATE token SET last_used_at_ms = ?1 WHERE id = ?2"
        " AND (last_used_at_ms IS NULL OR last_used_at_ms <= ?1 - ?3)",
        (now_ms, id, limits.TOUCH_MS),
    )


def _caller(db: Database, where: str, values: tuple[Any, ...]) -> Caller | None:
    row = db.execute(f"{SELECT} WHERE {where}", values).fetchone()
    if row is None:
        return None
    return Caller(tenant=row[1], user=row[2], admin=bool(row[3]), credential=row[0])


def _row(values: Sequence[Any]) -> TokenRow:
    token_id, tenant, user, admin, name, created, last_used, expires, revoked = values
    return TokenRow(
        id=token_id,
        tenant=tenant,
        user=user,
        admin=bool(admin),
        name=name,
        created_at_ms=created,
        last_used_at_ms=last_used,
        expires_at_ms=expires,
        revoked_at_ms=revoked,
    )
