"""What a program beside the service does to its store: one short transaction, audited.

`runchat token` and `runchat link` write here while `serve` runs, or before it ever has. They take
the schema as it is. What SQLite complains of is told as what it means (`store.failures`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runtime.ids import Ids
from store import audit
from store.audit import AuditEntry
from store.database import Database, transaction
from store.failures import grade, problem_for
from store.opening import Store, open_store

OPERATOR = "operator"  # whoever may read the data folder, as the audit trail writes it


@contextmanager
def opened(folder: Path, ids: Ids) -> Iterator[Store]:
    """Open the store of a folder for the block.

    Raises:
        SchemaNewer, SchemaOlder: it belongs to another version, or was never made.
        StoreUnavailable, StoreClosed: SQLite cannot read or write it.
    """
    try:
        store = open_store(folder, ids=ids, migrates=False)
        try:
            yield store
        finally:
            store.close()
    except sqlite3.Error as error:
        raise problem_for(grade(error), audited=False) from error


@contextmanager
def audited(
    store: Store, *, at_ms: int, tenant: str, action: str, object_id: str
) -> Iterator[Database]:
    """Run the block and its audit entry in one transaction.

    Raises:
        AuditUnavailable: nothing has changed.
    """
    entry = AuditEntry(
        at_ms=at_ms,
        tenant=tenant,
        actor=OPERATOR,
        action=action,
        object_id=object_id,
        outcome="done",
        request_id="",
    )
    try:
        with transaction(store.writer) as database:
            yield database
            audit.insert(database, entry)
    except sqlite3.Error as error:
        raise problem_for(grade(error), audited=True) from error
