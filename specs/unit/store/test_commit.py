"""A batch of Writes is one transaction, in which each Write is whole or absent."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime import limits
from runtime.caller import Caller
from runtime.log import Record
from runtime.problems import (
    AuditUnavailable,
    NotFound,
    Problem,
    SequenceConflict,
    StoreClosed,
    StoreUnavailable,
)
from specs.requirements import requirement
from specs.unit.store.kit import (
    NOW_MS,
    append,
    appends,
    connect_failing,
    fail_next,
    fill,
    ids,
    make,
    opened,
    record,
)
from store import audit, users
from store.change import change
from store.commit import Committer, Done, Failed, Outcome, commit_one
from store.database import Database
from store.event_log import SqliteEventLog
from store.failures import grade
from store.idempotency import IdempotencyRow, find
from store.opening import Store, open_memory
from store.recovery import damaged_tails
from store.writer import Append, Write

CALLER = Caller(tenant="t", user="u")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with opened(tmp_path, connect=connect_failing) as store:
        commit_one(store.writer, make("jobs/1", "jobs/2"))
        yield store


def sequences(store: Store, stream: str) -> list[int]:
    segments = SqliteEventLog(store.reader).read(stream, after=0)
    return [each.sequence for segment in segments for each in segment.records]


def failures(outcomes: list[Outcome]) -> list[type[Exception] | None]:
    return [type(each.error) if isinstance(each, Failed) else None for each in outcomes]


def add_user(name: str) -> Write[Any]:
    return Write(rows=lambda db: users.ensure(db, "t", name, now_ms=NOW_MS).name)


def changed(name: str, **more: Any) -> Write[Any]:
    """An audited change that makes a user."""
    return change(
        CALLER,
        action="user.create",
        object_id=name,
        at_ms=NOW_MS,
        request_id="r",
        access=more.pop("access", lambda _: True),
        rows=lambda db: users.ensure(db, "t", name, now_ms=NOW_MS),
        **more,
    )


def test_a_batch_of_appends_keeps_the_order_of_each_stream(store: Store) -> None:
    writes = [
        appends(append("jobs/1", 0, 2), append("jobs/2", 0)),
        appends(append("jobs/1", 2, 3)),
        appends(append("jobs/2", 1, ends=True)),
    ]

    assert Committer(store.writer).commit(writes) == [Done(None)] * 3
    assert sequences(store, "jobs/1") == [1, 2, 3, 4, 5]
    assert sequences(store, "jobs/2") == [1, 2]


@pytest.mark.parametrize("count", [1, 2, 3, 1023, 1024, 1025, 2500])
def test_every_size_of_batch_is_kept_exactly(store: Store, count: int) -> None:
    commit_one(store.writer, Write(appends=(append("jobs/1", 0, count),)))

    kept = store.reader.execute("SELECT sequence, body FROM event ORDER BY sequence").fetchall()
    assert kept == [(place, record(place).body) for place in range(1, count + 1)]


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (append("jobs/1", 5), SequenceConflict),
        (append("jobs/1", 0), SequenceConflict),
        (append("jobs/none", 0), SequenceConflict),
        (Append(stream="jobs/1", after=1, records=(record(3),)), SequenceConflict),
        (Append(stream="jobs/1", after=1, records=(record(2), record(2))), SequenceConflict),
    ],
)
def test_one_bad_append_fails_alone(store: Store, bad: Append, why: type[Exception]) -> None:
    writes = [
        appends(append("jobs/1", 0)),
        appends(append("jobs/2", 0, 2), bad),
        appends(append("jobs/1", 1)),
    ]

    assert failures(Committer(store.writer).commit(writes)) == [None, why, None]
    assert sequences(store, "jobs/1") == [1, 2]
    assert sequences(store, "jobs/2") == []


def test_rows_that_raise_undo_their_own_write_and_no_other(store: Store) -> None:
    def refuse(db: Database) -> None:
        users.ensure(db, "t", "gone", now_ms=NOW_MS)
        raise NotFound("Not this one.")

    writes: list[Write[Any]] = [
        add_user("first"),
        Write(rows=refuse, appends=(append("jobs/1", 0),)),
        add_user("last"),
    ]

    outcomes = Committer(store.writer).commit(writes)

    assert failures(outcomes) == [None, NotFound, None]
    assert outcomes[0] == Done("first")
    names = store.reader.execute("SELECT name FROM user ORDER BY name").fetchall()
    assert names == [("first",), ("last",)]
    assert sequences(store, "jobs/1") == []


def test_a_stream_of_an_undone_write_is_gone_and_its_number_free(store: Store) -> None:
    undone = Write(rows=make("jobs/3").rows, appends=(append("jobs/3", 0), append("jobs/1", 99)))
    writes: list[Write[Any]] = [
        undone,
        make("jobs/4"),  # gets the number that jobs/3 had
        Write(appends=(append("jobs/3", 0),)),
        Write(appends=(append("jobs/4", 0, 2),)),
    ]

    outcomes = Committer(store.writer).commit(writes)

    assert failures(outcomes) == [SequenceConflict, None, SequenceConflict, None]
    assert sequences(store, "jobs/4") == [1, 2]


@requirement("audit.same-transaction")
def test_rows_events_answer_and_audit_entry_are_one(store: Store) -> None:
    answer = IdempotencyRow(
        tenant="t",
        user="u",
        method="POST",
        path="/api/x",
        key="k",
        body_sha256="00",
        body=b"{}",
        created_at_ms=NOW_MS,
    )
    commit_one(store.writer, changed("new", appends=(append("jobs/1", 0),), idempotency=answer))

    [row] = audit.list_page(store.reader, "t", limit=10)
    assert (row.sequence, row.entry.action, row.entry.actor) == (1, "user.create", "t/u")
    assert find(store.reader, "t", "u", "POST", "/api/x", "k") == answer
    assert sequences(store, "jobs/1") == [1]


def test_what_a_caller_may_not_touch_is_not_found_and_leaves_no_trace(store: Store) -> None:
    with pytest.raises(NotFound):
        commit_one(store.writer, changed("new", access=lambda _: False))

    assert audit.list_page(store.reader, "t", limit=10) == []
    assert users.get(store.reader, "t", "new") is None


@requirement("audit.fail-closed")
def test_a_change_that_cannot_be_audited_does_not_happen(store: Store) -> None:
    write = changed("new", appends=(append("jobs/1", 0),))
    store.writer.conn.set_authorizer(deny_audit)
    try:
        with pytest.raises(AuditUnavailable):
            commit_one(store.writer, write)
    finally:
        store.writer.conn.set_authorizer(None)

    assert users.get(store.reader, "t", "new") is None
    assert sequences(store, "jobs/1") == []


def deny_audit(action: int, table: str | None, *_: str | None) -> int:
    denied = action == sqlite3.SQLITE_INSERT and table == "audit"
    return sqlite3.SQLITE_DENY if denied else sqlite3.SQLITE_OK


@requirement("folder.disk-full")
def test_a_full_disk_refuses_the_batch_and_heals(store: Store) -> None:
    committer = Committer(store.writer)
    pages = store.writer.execute("PRAGMA page_count").fetchone()[0]
    store.writer.execute(f"PRAGMA max_page_count = {pages}").fetchall()
    large = appends(append("jobs/1", 0, 2000))

    assert failures(committer.commit([large])) == [StoreUnavailable]
    audited = changed("new", appends=(append("jobs/1", 0, 2000),))
    assert failures(committer.commit([large, audited])) == [StoreUnavailable, AuditUnavailable]
    assert sequences(store, "jobs/1") == []
    assert (committer.closed, committer.disk_full) == (False, 2)

    store.writer.execute("PRAGMA max_page_count = 1000000").fetchall()
    assert committer.commit([large]) == [Done(None)]


@pytest.mark.parametrize("code", [sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_WRITE])
def test_an_io_error_closes_the_store_for_good(store: Store, tmp_path: Path, code: int) -> None:
    committer = Committer(store.writer)
    committer.commit([Write(appends=(append("jobs/1", 0, 3),))])
    fail_next(store, code)

    writes: list[Write[Any]] = [
        Write(appends=(append("jobs/1", 3),)),
        changed("new"),
    ]
    assert failures(committer.commit(writes)) == [StoreClosed, AuditUnavailable]
    assert failures(committer.commit(writes)) == [StoreClosed, AuditUnavailable]
    assert committer.fsync_errors == int(code == sqlite3.SQLITE_IOERR_FSYNC)

    store.close()
    with opened(tmp_path) as again:
        assert damaged_tails(again.reader) == ()
        assert sequences(again, "jobs/1") == [1, 2, 3]
        assert users.get(again.reader, "t", "new") is None


def test_an_io_error_in_a_plain_append_closes_the_store_too(store: Store) -> None:
    committer = Committer(store.writer)
    fail_next(store, sqlite3.SQLITE_IOERR_FSYNC)

    assert failures(committer.commit([Write(appends=(append("jobs/1", 0),))])) == [StoreClosed]
    assert committer.closed is True


def test_another_programs_lock_is_no_reason_to_close(store: Store) -> None:
    committer = Committer(store.writer)
    fail_next(store, sqlite3.SQLITE_BUSY)

    write = appends(append("jobs/1", 0))
    assert failures(committer.commit([write])) == [StoreUnavailable]
    assert committer.commit([write]) == [Done(None)]


def test_a_full_index_of_the_wal_is_a_full_disk() -> None:
    error = sqlite3.OperationalError()
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMSIZE
    assert grade(error) == "full"


def test_a_bug_in_rows_reaches_its_caller_only(store: Store) -> None:
    def bug(_: Database) -> None:
        raise ZeroDivisionError

    writes: list[Write[Any]] = [Write(rows=bug), add_user("fine")]
    assert failures(Committer(store.writer).commit(writes)) == [ZeroDivisionError, None]


def test_the_wal_stays_within_its_bound(store: Store, tmp_path: Path) -> None:
    committer = Committer(store.writer)
    for after in range(0, 40_000, 1000):
        committer.commit([Write(appends=(append("jobs/1", after, 1000),))])
        if committer.wants_checkpoint:
            committer.checkpoint()

    assert (tmp_path / "runchat.db-wal").stat().st_size < 10 * 1024 * 1024
    assert store.reader.execute("SELECT COUNT(*) FROM event").fetchone() == (40_000,)


@settings(deadline=None, max_examples=15)
@given(
    plan=st.lists(
        st.tuples(
            st.sampled_from(["append", "bad", "rows", "refused", "end"]),
            st.integers(0, 2),
            st.integers(1, 3),
        ),
        max_size=12,
    )
)
def test_any_batch_equals_its_writes_one_by_one(plan: list[tuple[str, int, int]]) -> None:
    together, alone = kept_after(plan, batched=True), kept_after(plan, batched=False)

    assert together == alone


def kept_after(plan: list[tuple[str, int, int]], *, batched: bool) -> list[Any]:
    """How each Write of the plan went, and what is in the store then."""
    heads = [0, 0, 0]
    ended = [False, False, False]
    writes: list[Write[Any]] = []
    for kind, place, count in plan:
        stream, head = f"jobs/{place}", heads[place]
        if kind == "rows":
            writes.append(add_user(f"user{len(writes)}"))
        elif kind == "refused":
            writes.append(changed("x", access=lambda _: False, appends=(append(stream, head),)))
        elif kind == "bad":
            writes.append(Write(appends=(append(stream, head + 1, count),)))
        else:
            writes.append(Write(appends=(append(stream, head, count, ends=kind == "end"),)))
            if not ended[place]:
                heads[place] += count
            ended[place] |= kind == "end"
    with open_memory(ids()) as store:
        commit_one(store.writer, make("jobs/0", "jobs/1", "jobs/2"))
        committer = Committer(store.writer)
        if batched:
            outcomes = committer.commit(writes)
        else:
            outcomes = [outcome for each in writes for outcome in committer.commit([each])]
        kept = [
            store.reader.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()  # noqa: S608
            for table in ("event", "stream", "user", "audit")
        ]
    return [failures(outcomes), kept]


def test_commit_one_raises_what_went_wrong(store: Store) -> None:
    fill(store, "jobs/9", 1)
    with pytest.raises(Problem):
        commit_one(store.writer, Write(appends=(append("jobs/9", 5),)))
    assert commit_one(store.writer, add_user("name")) == "name"


def test_a_record_may_hold_any_bytes(store: Store) -> None:
    odd = Record(1, "item.delta", bytes(range(256)) * 3)
    commit_one(store.writer, Write(appends=(Append(stream="jobs/1", after=0, records=(odd,)),)))

    assert list(SqliteEventLog(store.reader).read("jobs/1", after=0)[0].records) == [odd]


def test_a_statement_does_not_keep_a_copy_of_a_large_event(store: Store) -> None:
    committer = Committer(store.writer)
    body = b'"' + b"x" * (2 * limits.LARGE_VALUE_BYTES) + b'"'
    given: list[tuple[object, ...]] = []
    execute = store.writer.execute

    def watch(sql: str, parameters: Any = None) -> Any:
        if sql.startswith("INSERT INTO event"):
            given.append(tuple(parameters))
        return execute(sql, parameters)

    store.writer.execute = watch  # type: ignore[method-assign]
    large = Append(stream="jobs/1", after=0, records=[Record(1, "item.done", body)])
    [outcome] = committer.commit([appends(large)])

    assert isinstance(outcome, Done)
    assert [set(values) == {None} for values in given] == [False, True]
    assert sequences(store, "jobs/1") == [1]
