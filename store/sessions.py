"""Sessions of browsers, and the single-use codes that begin them.

The cookie's secret and the code are kept as digests. A session slides: every use moves its end, but
the move is written at most once a minute.
"""

from __future__ import annotations

from typing import Any

from runtime import limits
from runtime.caller import Caller
from store.database import Database
from store.tokens import digest

SELECT = (
    "SELECT id, session.tenant, session.user, admin FROM session"
    " JOIN user ON user.tenant = session.tenant AND user.name = session.user"
)


def create(db: Database, *, id: str, secret: str, tenant: str, user: str, now_ms: int) -> None:
    """Begin a session of a user who is there."""
    db.execute(
        "INSERT INTO session (id, digest, tenant, user, created_at_ms, last_used_at_ms,"
        " expires_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (id, digest(secret), tenant, user, now_ms, now_ms, now_ms + limits.SESSION_MS),
    )


def by_secret(db: Database, secret: str, now_ms: int) -> Caller | None:
    """Return whose session it is; None when it is unknown or over."""
    return _caller(db, "digest = ? AND expires_at_ms > ?", (digest(secret), now_ms))


def valid(db: Database, id: str, now_ms: int) -> Caller | None:
    """Return whose session it is now; for the second look at a long stream."""
    return _caller(db, "id = ? AND expires_at_ms > ?", (id, now_ms))


def touch(db: Database, id: str, now_ms: int) -> None:
    """Move the session's end, at most once a minute."""
    db.execute(
        "UPDATE session SET last_used_at_ms = ?1, expires_at_ms = ?1 + ?2"
        " WHERE id = ?3 AND last_used_at_ms <= ?1 - ?4",
        (now_ms, limits.SESSION_MS, id, limits.TOUCH_MS),
    )


def end(db: Database, id: str) -> None:
    """End a session."""
    db.execute("DELETE FROM session WHERE id = ?", (id,))


def create_code(db: Database, *, secret: str, tenant: str, user: str, now_ms: int) -> None:
    """Keep a sign-in code for a user who is there; codes that are over leave."""
    db.execute("DELETE FROM signin_code WHERE expires_at_ms <= ?", (now_ms,))
    db.execute(
        "INSERT INTO signin_code (digest, tenant, user, expires_at_ms) VALUES (?, ?, ?, ?)",
        (digest(secret), tenant, user, now_ms + limits.SIGNIN_CODE_MS),
    )


def owner_of_code(db: Database, secret: str, now_ms: int) -> tuple[str, str] | None:
    """Return the tenant and user that a code is for, without using it up; None as below."""
    row = db.execute(
        "SELECT tenant, user FROM signin_code WHERE digest = ? AND expires_at_ms > ?",
        (digest(secret), now_ms),
    ).fetchone()
    return (row[0], row[1]) if row else None


def redeem_code(db: Database, secret: str, now_ms: int) -> tuple[str, str] | None:
    """Use up a code: return tenant and user, or None when it is unknown, over or used."""
    row = db.execute(
        "DELETE FROM signin_code WHERE digest = ? RETURNING tenant, user, expires_at_ms",
        (digest(secret),),
    ).fetchall()
    return (row[0][0], row[0][1]) if row and row[0][2] > now_ms else None


def _caller(db: Database, where: str, values: tuple[Any, ...]) -> Caller | None:
    row = db.execute(f"{SELECT} WHERE {where}", values).fetchone()
    if row is None:
        return None
    return Caller(tenant=row[1], user=row[2], admin=bool(row[3]), credential=row[0])
