"""Backup and restore: one file that holds everything but keys.

`VACUUM INTO` writes a consistent copy while the service runs, of what is alive only: nothing that
was erased is in it. A restore checks every event before it is believed, goes into a new folder and
begins a new log epoch, since cursors from after the backup would point past its logs.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

from runtime.clock import SystemClock
from runtime.ids import Ids
from runtime.problems import BackupRefused, LogCorrupt
from store.database import Database, open_database
from store.event_log import read_page
from store.migrate import pending, require_current, steps
from store.opening import FILE, set_epoch

HOLDS_NO_KEYS = "The backup holds no keys: provider keys and DIR/token are not in it."
PAGE_EVENTS = 1000
PAGE_BYTES = 4 * 1024 * 1024
HEADER = b"SQLite format 3\0"


def backup(folder: Path, file: Path) -> str:
    """Write the store of `folder` into a new file, also while it is served; return what to say.

    Raises:
        BackupRefused: the file is there already.
        SchemaNewer, SchemaOlder: the store belongs to another version.
    """
    if file.exists():
        raise BackupRefused(f"{file} is there already; a backup replaces nothing.")
    source = folder / FILE
    if not source.exists():
        raise BackupRefused(f"There is no store in {folder}.")
    unfinished = file.with_name(f"{file.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    database = open_database(source, role="copier")
    try:
        require_current(database)
        os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        database.execute("VACUUM INTO ?", (str(unfinished),))
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    finally:
        database.close()
    _sync(unfinished)
    unfinished.rename(file)
    _sync(file.parent)
    return HOLDS_NO_KEYS


def restore(file: Path, folder: Path, *, ids: Ids | None = None) -> None:
    """Make a new data folder of a backup.

    Raises:
        BackupRefused: the folder is not empty, or the file is no sound backup.
        SchemaNewer: a newer version wrote it.
    """
    if folder.exists() and any(folder.iterdir()):
        raise BackupRefused(f"{folder} is not empty; a restore replaces nothing.")
    if not file.is_file() or not _begins_as_sqlite(file):
        raise BackupRefused(f"{file} is no backup.")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = folder / f"{FILE}.unfinished"
    try:
        shutil.copyfile(file, unfinished)
        unfinished.chmod(0o600)
        _renew(unfinished, ids or Ids(SystemClock()))
    except sqlite3.DatabaseError as error:
        _remove(unfinished)
        raise BackupRefused(f"The backup is damaged: {error}.") from error
    except BaseException:
        _remove(unfinished)
        raise
    _sync(unfinished)
    unfinished.rename(folder / FILE)
    _sync(folder)


def _renew(path: Path, ids: Ids) -> None:
    """Verify the copy and give it a new log epoch."""
    database = open_database(path, role="migrator")
    try:
        pending(database, steps())
        if faults := verify(database):
            raise BackupRefused(f"The backup is damaged: {faults[0]}")
        set_epoch(database, ids)
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    finally:
        database.close()


def verify(db: Database) -> list[str]:
    """Check the whole store: pages, indexes, and every event's place and checksum.

    Returns what is wrong, in sentences; nothing when all is sound. Reads everything: minutes on a
    large store.
    """
    found = [str(row[0]) for row in db.execute("PRAGMA integrity_check(10)")]
    if found != ["ok"]:
        return found
    faults = []
    streams = db.execute(
        "SELECT id, name, COALESCE((SELECT MAX(sequence) FROM event WHERE stream = id), 0)"
        " FROM stream ORDER BY id"
    ).fetchall()
    for stream, name, head in streams:
        after = 0
        try:
            while after < head:
                after = read_page(db, stream, after, PAGE_EVENTS, PAGE_BYTES)[-1].sequence
        except LogCorrupt:
            faults.append(f"{name} is damaged after event {after}.")
    orphans = db.execute(
        "SELECT COUNT(*) FROM event WHERE stream NOT IN (SELECT id FROM stream)"
    ).fetchone()[0]
    if orphans:
        faults.append(f"{orphans} events belong to no stream.")
    return faults


def _remove(unfinished: Path) -> None:
    for left in unfinished.parent.glob(f"{unfinished.name}*"):
        left.unlink()


def _begins_as_sqlite(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(len(HEADER)) == HEADER


def _sync(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
