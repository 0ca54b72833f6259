"""Tenants and users: made where they are new, the first time a credential names them."""

from __future__ import annotations

from dataclasses import dataclass

from store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRow:
    """A user of a tenant. `admin` belongs to the user, whichever credential is shown."""

    tenant: str
    name: str
    admin: bool
    created_at_ms: int


def ensure(db: Database, tenant: str, name: str, *, admin: bool = False, now_ms: int) -> UserRow:
    """Make tenant and user where they are new; `admin` raises a user, nothing here lowers one."""
    db.execute("INSERT INTO tenant VALUES (?, ?) ON CONFLICT DO NOTHING", (tenant, now_ms))
    db.execute(
        "INSERT INTO user (tenant, name, admin, created_at_ms) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (tenant, name) DO UPDATE SET admin = MAX(admin, excluded.admin)",
        (tenant, name, int(admin), now_ms),
    )
    user = get(db, tenant, name)
    assert user is not None
    return user


def get(db: Database, tenant: str, name: str) -> UserRow | None:
    """Return the user of a tenant."""
    row = db.execute(
        "SELECT tenant, name, admin, created_at_ms FROM user WHERE tenant = ? AND name = ?",
        (tenant, name),
    ).fetchone()
    if row is None:
        return None
    return UserRow(tenant=row[0], name=row[1], admin=bool(row[2]), created_at_ms=row[3])
