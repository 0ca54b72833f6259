"""A store opens with the schema of this program, or says which program it needs."""

from __future__ import annotations

import hashlib
import re
import stat
from pathlib import Path

import pytest

from runtime.problems import SchemaNewer, SchemaOlder
from specs.requirements import requirement
from specs.unit.store.kit import fill, ids, opened, raw
from store.database import open_database
from store.event_log import SqliteEventLog
from store.migrate import migrate, pending, steps
from store.opening import FILE, Store, open_memory, open_store

MERGED = {
    "0001_first": "40455675601748a1",
    "0002_streams": "dda2b6855ddf990e",
    "0003_turns": "d0307cad84a88ec6",
    "0004_endpoints": "19388c57e1d1fe4a",
    "0005_mcp": "ef95e0210ad5ca85",
    "0006_mcp_servers": "68c8c0c0c664dea9",
    "0007_tools": "8541ef50273e7657",
    "0008_actions": "70b5fb6a09290df4",
}


def test_a_merged_step_is_never_edited() -> None:
    digests = {name: hashlib.sha256(sql.encode()).hexdigest()[:16] for name, sql in steps().items()}
    assert digests == MERGED


def test_steps_are_numbered_in_order() -> None:
    names = list(steps())
    assert [name[:4] for name in names] == [f"{place:04}" for place in range(1, len(names) + 1)]


def test_only_its_user_reads_the_database(tmp_path: Path) -> None:
    with opened(tmp_path):
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"runchat.db": 0o600, "runchat.db-wal": 0o600, "runchat.db-shm": 0o600}


def test_a_store_keeps_its_epoch(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        epoch = store.log_epoch
    with open_store(tmp_path, migrates=True) as store:
        assert store.log_epoch == epoch
    assert re.fullmatch("[0-9a-f]{16}", epoch) is not None


@requirement("folder.only-serve-migrates")
def test_only_serve_makes_or_migrates_a_store(tmp_path: Path) -> None:
    with pytest.raises(SchemaOlder):
        open_store(tmp_path, migrates=False)
    assert list(tmp_path.iterdir()) == []

    open_database(tmp_path / FILE, role="migrator").close()
    with pytest.raises(SchemaOlder):
        open_store(tmp_path, migrates=False)

    opened(tmp_path).close()
    open_store(tmp_path, migrates=False).close()


@requirement("folder.newer-is-refused")
@pytest.mark.parametrize("migrates", [True, False])
def test_a_newer_store_is_refused_and_left_as_it_was(tmp_path: Path, *, migrates: bool) -> None:
    opened(tmp_path).close()
    newer = raw(tmp_path)
    newer.execute(
        "INSERT INTO _sqlite_migrations (migration_set, name, applied_at)"
        " VALUES ('runchat', '9999_later', 'now')"
    )
    newer.close()
    before = (tmp_path / FILE).read_bytes()

    with pytest.raises(SchemaNewer, match="9999_later"):
        open_store(tmp_path, migrates=migrates)

    assert (tmp_path / FILE).read_bytes() == before


@requirement("folder.older-is-migrated")
def test_an_older_store_is_backed_up_and_migrated(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        fill(store, "jobs/1", 5)
    later = steps() | {"0002_later": "CREATE TABLE later (x);\nINSERT INTO later VALUES (1);"}

    database = open_database(tmp_path / FILE, role="migrator")
    migrate(database, later)

    assert pending(database, later) == []
    assert database.execute("SELECT x FROM later").fetchall() == [(1,)]
    database.close()
    kept = open_database(tmp_path / f"{FILE}.before-0002_later", role="reader")
    assert pending(kept, later) == ["0002_later"]
    [segment] = SqliteEventLog(kept).read("jobs/1", after=0)
    assert segment.last == 5
    kept.close()


def test_a_step_that_fails_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    opened(tmp_path).close()
    broken = steps() | {"0002_broken": "CREATE TABLE half (x);\nINSERT INTO nowhere VALUES (1);"}
    database = open_database(tmp_path / FILE, role="migrator")

    with pytest.raises(Exception, match="nowhere"):
        migrate(database, broken)

    assert pending(database, broken) == ["0002_broken"]
    assert "half" not in database.table_names()
    database.close()


def test_a_store_in_memory_is_what_the_migrations_make(tmp_path: Path) -> None:
    with opened(tmp_path) as on_disk, open_memory(ids()) as in_memory:
        assert in_memory.reader.schema == on_disk.reader.schema
        assert rows_of(in_memory) == rows_of(on_disk)
        assert pending(in_memory.reader, steps()) == []


def rows_of(store: Store) -> dict[str, list[tuple[object, ...]]]:
    """Return every row of every table, but for when a step was applied."""
    tables = [name for name in store.reader.table_names() if name != "_sqlite_migrations"]
    queries = {name: f"SELECT * FROM [{name}]" for name in tables}  # noqa: S608 - our own tables
    queries["_sqlite_migrations"] = "SELECT migration_set, name FROM _sqlite_migrations"
    return {name: store.reader.execute(sql).fetchall() for name, sql in queries.items()}


def test_stores_in_memory_know_nothing_of_each_other() -> None:
    with open_memory(ids()) as one:
        fill(one, "jobs/1", 2)
        with open_memory(ids()) as other:
            assert list(SqliteEventLog(other.reader).read("jobs/1", after=0)) == []
            assert other.reader.execute("SELECT name FROM stream").fetchall() == []
        [segment] = SqliteEventLog(one.reader).read("jobs/1", after=0)
        assert segment.last == 2
