"""Evidence of tool calls: a row is committed before the call is made, and settled once after it.

The table's own triggers keep it so: nothing is deleted, nothing but the settling changes. A row
that is still `intended` at a start of the service is of a call that a dead process was making.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeAlias

from runtime.caller import Caller
from store.conversations import AFTER_ALL_IDS
from store.database import Database

Outcome: TypeAlias = Literal["intended", "done", "failed", "refused", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What came of a call.

    Args:
        outcome: `failed`: the tool said so; `refused`: it was not called; `unknown`: it may have
            happened.
        reason: a kebab-case word where the outcome alone does not say why.
        dialled: whom the call went to.
        result_sha256: of the result as it came, before anything was cut, hexadecimal.
    """

    outcome: Outcome
    reason: str | None = None
    settled_at_ms: int
    dialled: str | None = None
    result_sha256: str | None = None
    result_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallRow:
    """A call as it is kept; the fields are the columns, in order.

    Args:
        made_by: who chose to call: a model's id, or the caller's name.
        approval: `auto`, or what a human said: `approved`, `denied`, `expired`; `none` where it
            came to no question.
    """

    id: str
    tenant: str
    user: str
    job_id: str
    item_id: str
    made_by: str
    tool: str
    version: str
    arguments_sha256: str
    approval: str
    approval_id: str | None
    intended_at_ms: int
    outcome: Outcome = "intended"
    reason: str | None = None
    settled_at_ms: int | None = None
    dialled: str | None = None
    result_sha256: str | None = None
    result_bytes: int | None = None


NAMES = tuple(field.name for field in fields(ToolCallRow))
SETTLED = tuple(field.name for field in fields(Settlement))
SELECT = f"SELECT {', '.join(NAMES)} FROM tool_call"  # noqa: S608 - our own columns
INSERT = f"INSERT INTO tool_call ({', '.join(NAMES)}) VALUES ({', '.join('?' * len(NAMES))})"  # noqa: S608
SETTLE = f"UPDATE tool_call SET {' = ?, '.join(SETTLED)} = ? WHERE id = ?"  # noqa: S608


def insert(db: Database, row: ToolCallRow) -> None:
    """Keep a call that is about to be made, or that was refused before."""
    db.execute(INSERT, tuple(getattr(row, name) for name in NAMES))


def settle(db: Database, id: str, settlement: Settlement) -> None:
    """Write what came of a call; once."""
    db.execute(SETTLE, (*(getattr(settlement, name) for name in SETTLED), id))


def are_open(db: Database) -> bool:
    """Say whether any call is intended and not settled."""
    sql = "SELECT 1 FROM tool_call WHERE outcome = 'intended' LIMIT 1"
    return db.execute(sql).fetchone() is not None


def settle_lost(db: Database, at_ms: int) -> int:
    """Settle what a dead process was doing as unknown; return how many calls that were."""
    sql = (
        "UPDATE tool_call SET outcome = 'unknown', reason = 'process-died', settled_at_ms = ?"
        " WHERE outcome = 'intended'"
    )
    return db.execute(sql, (at_ms,)).rowcount


def get_any(db: Database, id: str) -> ToolCallRow | None:
    """Return a call whosever it is; for actors, never for a request."""
    row = db.execute(f"{SELECT} WHERE id = ?", (id,)).fetchone()
    return _row(row) if row else None


def list_page(
    db: Database,
    caller: Caller,
    *,
    outcome: Outcome | None = None,
    limit: int,
    before_id: str | None = None,
) -> list[ToolCallRow]:
    """Return the calls of the caller's tenant before a place in the list, newest first."""
    where, values = "tenant = ? AND id < ?", [caller.tenant, before_id or AFTER_ALL_IDS]
    if outcome is not None:
        where, values = f"{where} AND outcome = ?", [*values, outcome]
    sql = f"{SELECT} WHERE {where} ORDER BY id DESC LIMIT ?"
    return [_row(each) for each in db.execute(sql, (*values, limit))]


def _row(values: Sequence[Any]) -> ToolCallRow:
    return ToolCallRow(**dict(zip(NAMES, values, strict=True)))
