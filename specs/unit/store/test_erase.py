"""A stream leaves whole, with an audit entry, and no other way."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from runtime.problems import SequenceConflict
from specs.unit.store.kit import append, appends, fill, opened
from specs.unit.store.test_guards import ENTRY
from store import audit
from store.commit import Committer, Failed, commit_one
from store.database import open_database
from store.erase import erase_streams
from store.event_log import SqliteEventLog, create_stream
from store.opening import FILE


def test_a_stream_leaves_whole_with_an_audit_entry(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        fill(store, "jobs/1", 20)
        fill(store, "jobs/2", 3)
        log = SqliteEventLog(store.reader)

        assert erase_streams(tmp_path / FILE, ["jobs/1", "jobs/none"], ENTRY) == 1

        assert log.head("jobs/1") is None
        assert log.read("jobs/1", after=0) == []
        kept = store.reader.execute("SELECT stream, sequence FROM event").fetchall()
        assert kept == [(2, 1), (2, 2), (2, 3)]
        [row] = audit.list_page(store.reader, "t", limit=10)
        assert row.entry == ENTRY


def test_what_was_erased_is_not_on_the_disk(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        fill(store, "jobs/1", 50, size=333)
    erase_streams(tmp_path / FILE, ["jobs/1"], ENTRY)

    left = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"x" * 100 not in left


def test_a_stream_that_cannot_be_audited_stays(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        fill(store, "jobs/1", 3)
        store_file = open_database(tmp_path / FILE, role="migrator")
        store_file.execute(
            "CREATE TRIGGER no_audit BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
        store_file.close()

        with pytest.raises(sqlite3.IntegrityError):
            erase_streams(tmp_path / FILE, ["jobs/1"], ENTRY)

        assert [each.last for each in SqliteEventLog(store.reader).read("jobs/1", after=0)] == [3]


def test_the_number_of_an_erased_stream_is_never_given_again(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        fill(store, "jobs/1", 3)
        committer = Committer(store.writer)
        committer.commit([appends(append("jobs/1", 3))])
        erase_streams(tmp_path / FILE, ["jobs/1"], ENTRY)
        create_stream(store.writer, "jobs/2", "t", "u")

        [outcome] = committer.commit([appends(append("jobs/1", 4))])
        assert isinstance(outcome, Failed)
        assert isinstance(outcome.error, SequenceConflict)
        commit_one(store.writer, appends(append("jobs/2", 0)))
        assert store.reader.execute("SELECT stream, sequence FROM event").fetchall() == [(2, 1)]
