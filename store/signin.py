"""The first user of a store, and the link by which a browser becomes a user."""

from __future__ import annotations

import os
from pathlib import Path

from runtime.clock import Clock
from runtime.ids import Ids
from store import sessions, tokens, users
from store.audit import AuditEntry, insert
from store.database import Database, transaction
from store.opening import Store

TENANT, OWNER, TOKEN = "local", "owner", "token"


def make_owner(store: Store, folder: Path, clock: Clock, ids: Ids) -> None:
    """Make tenant `local` with its admin `owner`, whose token stands in DIR/token; once.

    Call it before the writer owns its connection. A lost DIR/token is made again.
    """
    if users.get(store.reader, TENANT, OWNER) and (folder / TOKEN).exists():
        return
    now_ms, secret, token_id = clock.now_ms(), ids.secret(), ids.new("tok_")
    _write_secret(folder / TOKEN, secret)  # first: a token that nobody can read helps nobody
    with transaction(store.writer) as db:
        tokens.create(
            db,
            id=token_id,
            secret=secret,
            tenant=TENANT,
            user=OWNER,
            admin=True,
            name="first start",
            now_ms=now_ms,
        )
        insert(db, _entry("token.create", token_id, now_ms))


def make_code(db: Database, clock: Clock, ids: Ids) -> str:
    """Return a fresh sign-in code for the owner: `GET /signin?code=`, once, within 5 minutes."""
    code, now_ms = ids.secret(), clock.now_ms()
    with transaction(db):
        sessions.create_code(db, secret=code, tenant=TENANT, user=OWNER, now_ms=now_ms)
        insert(db, _entry("signin.create", OWNER, now_ms))
    return code


def _entry(action: str, object_id: str, at_ms: int) -> AuditEntry:
    """Return the audit entry of what this machine's user does without a request."""
    return AuditEntry(
        at_ms=at_ms,
        tenant=TENANT,
        actor=f"{TENANT}/{OWNER}",
        action=action,
        object_id=object_id,
        outcome="done",
        request_id="",
    )


def _write_secret(path: Path, secret: str) -> None:
    unfinished = path.with_name(f"{path.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    opened = os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(opened, "w") as file:
        file.write(secret + "\n")
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
