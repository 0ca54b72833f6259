"""What SQL may be run on which connection: the second fence round the append-only tables.

The first fence stands in the database itself: triggers (`migrations/0001_first.sql`) that hold
against any program. What no trigger can stop (`DROP TABLE`, `writable_schema`, `ATTACH`) this
authorizer refuses while a statement is prepared, so a prepared statement costs nothing more.
Source: https://www.sqlite.org/c3ref/set_authorizer.html
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Literal, TypeAlias

Role: TypeAlias = Literal["writer", "reader", "eraser", "copier", "migrator"]
Authorizer: TypeAlias = Callable[[int, str | None, str | None, str | None, str | None], int]

KEPT = frozenset({"event", "audit"})  # rows that never change
STAYS = KEPT | {"tool_call"}  # rows that never leave
PRAGMAS = frozenset(
    {
        "data_version",
        "foreign_key_check",
        "foreign_key_list",
        "freelist_count",
        "index_info",
        "index_list",
        "index_xinfo",
        "integrity_check",
        "journal_mode",  # refused below when it is set
        "max_page_count",  # the specs' full disk; can only make a write fail
        "page_count",
        "quick_check",
        "table_info",
        "table_list",
        "table_xinfo",
        "wal_checkpoint",
    }
)
COPY = "vacuum_db"  # what SQLite calls the file that VACUUM INTO writes
READS = frozenset(
    {
        sqlite3.SQLITE_SELECT,
        sqlite3.SQLITE_READ,
        sqlite3.SQLITE_RECURSIVE,
        sqlite3.SQLITE_TRANSACTION,
        sqlite3.SQLITE_SAVEPOINT,
    }
)


def authorizer(role: Role) -> Authorizer:
    """Return the rule for a connection of `role`; a migrator has none."""

    def decide(
        action: int, name: str | None, more: str | None, database: str | None, cause: str | None
    ) -> int:
        allowed = _may(role, action, name or "", more, cause) or (
            role == "copier" and (database == COPY or action == sqlite3.SQLITE_ATTACH)
        )
        return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY

    return decide


def _may(role: Role, action: int, name: str, more: str | None, cause: str | None) -> bool:
    if action in READS:
        return True
    if action == sqlite3.SQLITE_FUNCTION:
        return more != "load_extension"
    if action == sqlite3.SQLITE_PRAGMA:
        return name in PRAGMAS and not (name == "journal_mode" and more)
    if role in ("reader", "copier") or name.startswith("sqlite_"):
        return False  # AUTOINCREMENT keeps its counter in sqlite_sequence without asking
    return _may_write(role, action, name, more, cause)


def _may_write(role: Role, action: int, table: str, column: str | None, cause: str | None) -> bool:
    if action == sqlite3.SQLITE_INSERT:
        return True
    if action == sqlite3.SQLITE_UPDATE:
        return table not in KEPT and (table != "stream" or column == "ended")
    if action == sqlite3.SQLITE_DELETE:
        return _may_delete(role, table, cause)
    return False  # every CREATE, DROP, ALTER, ATTACH and DETACH


def _may_delete(role: Role, table: str, cause: str | None) -> bool:
    if table == "stream":
        return role == "eraser"
    if table == "event":
        return role == "eraser" and cause == "stream_erased"
    return table not in STAYS
