"""A backup is whole, whatever is written meanwhile; a restore believes what it has checked."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
import trio

from runtime.problems import BackupRefused, SchemaNewer, SchemaOlder
from specs.requirements import requirement
from specs.unit.store.kit import append, appends, fill, make, names, opened, raw, running
from store.backup import HOLDS_NO_KEYS, backup, restore, verify
from store.database import open_database
from store.event_log import SqliteEventLog
from store.opening import FILE, open_store


@requirement("backup.while-running")
async def test_a_backup_made_while_events_are_written_is_whole(tmp_path: Path) -> None:
    folder, file = tmp_path / "data", tmp_path / "backup.db"
    folder.mkdir()
    seen = 0
    async with running(opened(folder)) as bench:
        await bench.writer.write(make("jobs/1", "jobs/2"))
        done = False

        async def write(stream: str) -> None:
            after = 0
            while not done:
                await bench.writer.write(appends(append(stream, after, 50)))
                after += 50

        async with trio.open_nursery() as nursery:
            nursery.start_soon(write, "jobs/1")
            nursery.start_soon(write, "jobs/2")
            while not seen:
                await trio.lowlevel.checkpoint()
                head = bench.log.head("jobs/1")
                seen = head.sequence if head else 0
            said = await trio.to_thread.run_sync(backup, folder, file)
            done = True

    assert said == HOLDS_NO_KEYS
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert names(tmp_path) == ["backup.db", "data"]
    restore(file, tmp_path / "new")
    with open_store(tmp_path / "new", migrates=False) as store:
        assert verify(store.reader) == []
        head = SqliteEventLog(store.reader).head("jobs/1")
        assert head is not None
        assert head.sequence >= seen
        assert head.sequence % 50 == 0


@requirement("backup.names-what-it-lacks")
def test_a_backup_says_that_it_holds_no_keys() -> None:
    assert HOLDS_NO_KEYS == ("The backup holds no keys: provider keys and DIR/token are not in it.")


@requirement("backup.restore", "cursor.new-epoch")
def test_a_restored_store_holds_everything_under_a_new_epoch(tmp_path: Path) -> None:
    folder, file, new = tmp_path / "data", tmp_path / "backup.db", tmp_path / "new"
    folder.mkdir()
    with opened(folder) as store:
        fill(store, "jobs/1", 2500)
        epoch = store.log_epoch
        kept = store.reader.execute("SELECT * FROM event").fetchall()
    backup(folder, file)
    restore(file, new)

    with open_store(new, migrates=True) as store:
        assert store.reader.execute("SELECT * FROM event").fetchall() == kept
        assert len(store.log_epoch) == 16
        assert store.log_epoch != epoch
    assert names(new) == [FILE]


def test_a_backup_replaces_nothing_and_needs_a_store(tmp_path: Path) -> None:
    folder, file = tmp_path / "data", tmp_path / "backup.db"
    folder.mkdir()
    with pytest.raises(BackupRefused, match="no store"):
        backup(folder, file)
    open_database(folder / FILE, role="migrator").close()
    with pytest.raises(SchemaOlder):
        backup(folder, file)
    file.write_text("mine")
    with pytest.raises(BackupRefused, match="already"):
        backup(folder, file)
    assert file.read_text() == "mine"


def test_a_restore_replaces_nothing(tmp_path: Path) -> None:
    file = made_backup(tmp_path)
    new = tmp_path / "new"
    new.mkdir()
    (new / "mine").touch()

    with pytest.raises(BackupRefused, match="not empty"):
        restore(file, new)
    assert names(new) == ["mine"]


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE event SET body = x'00' WHERE sequence = 40",
        "DELETE FROM event WHERE sequence = 40",
        "DELETE FROM stream",
    ],
)
def test_a_damaged_backup_is_refused_and_leaves_nothing(tmp_path: Path, damage: str) -> None:
    file = made_backup(tmp_path)
    database = open_database(file, role="migrator")
    for trigger in ("event_kept", "event_stays", "stream_stays", "stream_erased"):
        database.execute(f"DROP TRIGGER {trigger}")
    database.execute(damage)
    database.close()

    with pytest.raises(BackupRefused, match="damaged"):
        restore(file, tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []


def test_a_backup_with_a_torn_page_is_refused(tmp_path: Path) -> None:
    file = made_backup(tmp_path)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])

    with pytest.raises(BackupRefused, match="damaged"):
        restore(file, tmp_path / "new")


@pytest.mark.parametrize("content", [b"", b"not a database", b"SQLite format 3\0" + bytes(84)])
def test_a_file_that_is_no_backup_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "backup.db"
    file.write_bytes(content)

    with pytest.raises(BackupRefused):
        restore(file, tmp_path / "new")


def test_a_backup_of_a_newer_program_is_refused(tmp_path: Path) -> None:
    file = made_backup(tmp_path)
    database = open_database(file, role="migrator")
    database.execute(
        "INSERT INTO _sqlite_migrations (migration_set, name, applied_at)"
        " VALUES ('runchat', '9999_later', 'now')"
    )
    database.close()

    with pytest.raises(SchemaNewer):
        restore(file, tmp_path / "new")


def test_nothing_that_was_deleted_is_in_a_backup(tmp_path: Path) -> None:
    folder, file = tmp_path / "data", tmp_path / "backup.db"
    folder.mkdir()
    with opened(folder) as store:
        store.writer.execute("INSERT INTO meta VALUES ('canary', 'c4n4ry')")
        store.writer.execute("DELETE FROM meta WHERE key = 'canary'")
        backup(folder, file)
    assert b"c4n4ry" not in file.read_bytes()


def made_backup(tmp_path: Path) -> Path:
    folder, file = tmp_path / "data", tmp_path / "backup.db"
    folder.mkdir()
    with opened(folder) as store:
        fill(store, "jobs/1", 100)
    backup(folder, file)
    assert raw(folder).execute("SELECT COUNT(*) FROM event").fetchone() == (100,)
    return file
