"""What is kept stays as it is, whatever SQL is run, on every connection the product opens."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from specs.requirements import requirement
from specs.unit.store.kit import NOW_MS, append, fill, make, opened, raw, record
from store import audit
from store.audit import AuditEntry
from store.commit import commit_one
from store.database import open_database
from store.guards import Role
from store.opening import FILE, Store
from store.writer import Write

ENTRY = AuditEntry(
    at_ms=NOW_MS,
    tenant="t",
    actor="t/u",
    action="job.start",
    object_id="job_1",
    outcome="done",
    request_id="r",
)
ATTACKS = [
    "UPDATE event SET body = x'00'",
    "UPDATE event SET sequence = 9 WHERE sequence = 1",
    "DELETE FROM event",
    "DELETE FROM event WHERE sequence = 3",
    "REPLACE INTO event SELECT stream, sequence, kind, x'00', checksum FROM event",
    "REPLACE INTO event SELECT stream, 3, kind, x'00', checksum FROM event WHERE sequence = 1",
    "INSERT OR REPLACE INTO event VALUES (1, 1, 'k', x'00', 0)",
    "INSERT INTO event VALUES (1, 1, 'k', x'00', 0) ON CONFLICT DO UPDATE SET body = x'00'",
    "INSERT INTO event VALUES (1, 5, 'k', x'00', 0)",
    "INSERT INTO event VALUES (1, 0, 'k', x'00', 0)",
    "INSERT INTO event VALUES (99, 1, 'k', x'00', 0)",
    "UPDATE audit SET actor = 'nobody'",
    "DELETE FROM audit",
    "REPLACE INTO audit SELECT 1, 1, 't', 'nobody', 'a', 'o', 'done', ''",
    "INSERT INTO audit SELECT 7, 1, 't', 'nobody', 'a', 'o', 'done', ''",
    "UPDATE stream SET name = 'other'",
    "UPDATE stream SET id = 7",
    "UPDATE stream SET owner = 'other'",
    "UPDATE stream SET ended = 0 WHERE ended = 1",
    "DELETE FROM stream",
    "REPLACE INTO stream (id, name, tenant, owner) VALUES (1, 'jobs/1', 't', 'other')",
    "REPLACE INTO stream (name, tenant, owner) VALUES ('jobs/1', 't', 'other')",
    "DROP TABLE event",
    "DROP TABLE audit",
    "DROP TRIGGER event_kept",
    "DROP TRIGGER event_stays",
    "ALTER TABLE event RENAME TO gone",
    "ALTER TABLE event DROP COLUMN checksum",
    "CREATE TEMP TRIGGER t BEFORE INSERT ON event BEGIN SELECT RAISE(IGNORE); END",
    "CREATE TEMP TABLE event (x)",
    "ATTACH ':memory:' AS other",
    "PRAGMA writable_schema = ON",
    "PRAGMA recursive_triggers = OFF",
    "PRAGMA ignore_check_constraints = ON",
    "PRAGMA journal_mode = DELETE",
    "PRAGMA query_only = OFF",
    "PRAGMA trusted_schema = OFF",
    "DELETE FROM sqlite_master",
    "DELETE FROM sqlite_sequence",
    "VACUUM",
]
HARMLESS_COPIES = ["ATTACH ':memory:' AS other", "VACUUM"]
KEPT_COLUMNS = [
    "* FROM stream",
    "* FROM event",
    "* FROM audit",
    "type, name, sql FROM sqlite_master",
]
OF_THE_FILE = [
    attack
    for attack in ATTACKS
    if attack.startswith(("UPDATE", "DELETE", "REPLACE", "INSERT")) and "sqlite_" not in attack
]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Two streams, the first ended; one audit entry."""
    store = opened(tmp_path)
    fill(store, "jobs/1", 3)
    commit_one(store.writer, Write(appends=(append("jobs/1", 3, ends=True),)))
    fill(store, "jobs/2", 2)
    audit.insert(store.writer, ENTRY)
    with store:
        yield store


def contents(folder: Path) -> list[list[tuple[object, ...]]]:
    connection = raw(folder)
    try:
        return [
            connection.execute(f"SELECT {columns} ORDER BY 1, 2").fetchall()
            for columns in KEPT_COLUMNS
        ]
    finally:
        connection.close()


@requirement("grammar.unchanging")
@pytest.mark.parametrize("role", ["writer", "reader", "eraser", "copier"])
def test_no_sql_changes_what_is_kept(store: Store, tmp_path: Path, role: Role) -> None:
    before = contents(tmp_path)
    database = open_database(tmp_path / FILE, role=role)

    harmless = HARMLESS_COPIES if role == "copier" else []
    assert [attack for attack in ATTACKS if gets_through(database.conn, attack)] == harmless

    database.close()
    assert contents(tmp_path) == before


@requirement("grammar.unchanging")
def test_the_file_itself_refuses_a_foreign_program(store: Store, tmp_path: Path) -> None:
    before = contents(tmp_path)
    foreign = raw(tmp_path)

    assert [attack for attack in OF_THE_FILE if gets_through(foreign, attack)] == []

    foreign.close()
    assert contents(tmp_path) == before


def test_a_copier_cannot_write_by_another_name(store: Store, tmp_path: Path) -> None:
    before = contents(tmp_path)
    copier = open_database(tmp_path / FILE, role="copier")
    copier.execute("ATTACH ? AS vacuum_db", (str(tmp_path / FILE),))

    with pytest.raises(sqlite3.DatabaseError):
        copier.execute("DELETE FROM vacuum_db.event")

    copier.close()
    assert contents(tmp_path) == before


def gets_through(connection: sqlite3.Connection, attack: str) -> bool:
    try:
        connection.execute(attack).fetchall()
    except sqlite3.DatabaseError:
        return False
    return True


@requirement("grammar.one-end")
def test_nothing_follows_an_end(store: Store) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="has not ended"):
        store.writer.execute("INSERT INTO event VALUES (1, 5, 'k', x'00', 0)")


def test_a_reader_writes_nothing_at_all(store: Store) -> None:
    for statement in (
        "INSERT INTO meta VALUES ('a', 'b')",
        "UPDATE user SET admin = 1",
        "DELETE FROM session",
    ):
        with pytest.raises(sqlite3.DatabaseError):
            store.reader.execute(statement)


def test_the_writer_still_writes_where_it_may(store: Store) -> None:
    commit_one(store.writer, make("jobs/3"))
    commit_one(store.writer, Write(appends=(append("jobs/3", 0, 2, ends=True),)))

    kept = store.reader.execute("SELECT sequence, body FROM event WHERE stream = 3").fetchall()
    assert kept == [(1, record(1).body), (2, record(2).body)]


@pytest.mark.parametrize("role", ["writer", "reader", "eraser", "copier", "migrator"])
def test_every_connection_is_durable_and_guarded(store: Store, tmp_path: Path, role: Role) -> None:
    database = open_database(tmp_path / FILE, role=role)
    database.conn.set_authorizer(None)
    pragmas = ("journal_mode", "synchronous", "foreign_keys", "recursive_triggers")
    values = [database.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas]
    database.close()

    assert values == ["wal", 2, 1, 1]  # 2 is FULL
