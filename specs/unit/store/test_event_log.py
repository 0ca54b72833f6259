"""The log gives back what was committed, from tail and disk alike, or says that it cannot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime import limits
from runtime.log import Alike, Head, Record, Segment, Tail
from runtime.problems import LogCorrupt
from specs.requirements import requirement
from specs.unit.store.kit import append, appends, fill, ids, make, opened, record
from store.commit import commit_one
from store.database import open_database
from store.event_log import SqliteEventLog
from store.opening import FILE, Store, open_memory
from store.writer import Append, Write

STREAM = "jobs/1"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with opened(tmp_path) as store:
        yield store


def read_all(log: SqliteEventLog, after: int, limit: int) -> list[Record]:
    seen: list[Record] = []
    while segments := log.read(STREAM, after=after, limit=limit):
        page = [each for segment in segments for each in segment.records]
        assert len(page) <= limit
        seen += page
        after = page[-1].sequence
    return seen


@requirement("grammar.sequence", "sse.same-bytes")
@settings(deadline=None, max_examples=50)
@given(
    sizes=st.lists(st.integers(1, 7), min_size=1, max_size=12),
    after=st.integers(0, 90),
    limit=st.integers(1, 40),
    tail_bytes=st.integers(1, 6000),
)
def test_reads_after_any_cursor_add_up_to_the_whole(
    sizes: list[int], after: int, limit: int, tail_bytes: int
) -> None:
    with open_memory(ids()) as store:
        log = SqliteEventLog(store.reader, Tail(tail_bytes, tail_bytes))
        cold = SqliteEventLog(store.reader)
        commit_one(store.writer, make(STREAM))
        written: list[Record] = []
        for size in sizes:
            each = append(STREAM, len(written), size)
            commit_one(store.writer, Write(appends=(each,)))
            log.remember(STREAM, Segment(each.records))
            written += each.records

        assert read_all(log, after, limit) == written[after:]
        assert read_all(cold, after, limit) == written[after:]


def test_a_page_ends_soon_after_its_bytes(store: Store) -> None:
    fill(store, STREAM, 300, size=1000)

    [segment] = SqliteEventLog(store.reader).read(STREAM, after=0)

    assert segment.first == 1
    assert limits.PAGE_BYTES <= segment.size_bytes < limits.PAGE_BYTES + 1100


def test_an_event_larger_than_a_page_is_read_alone(store: Store) -> None:
    fill(store, STREAM, 3, size=2 * limits.PAGE_BYTES)

    assert [each.sequence for each in read_all(SqliteEventLog(store.reader), 0, 100)] == [1, 2, 3]
    [segment] = SqliteEventLog(store.reader).read(STREAM, after=1)
    assert [each.sequence for each in segment.records] == [2]


def test_head_says_where_a_stream_stands(store: Store) -> None:
    log = SqliteEventLog(store.reader)
    assert log.head(STREAM) is None

    commit_one(store.writer, make(STREAM))
    assert log.head(STREAM) == Head(sequence=0, ended=False)
    assert log.read(STREAM, after=0) == []

    commit_one(store.writer, Write(appends=(append(STREAM, 0, 2),)))
    assert log.head(STREAM) == Head(sequence=2, ended=False)

    commit_one(store.writer, Write(appends=(append(STREAM, 2, ends=True),)))
    assert log.head(STREAM) == Head(sequence=3, ended=True)


@pytest.mark.parametrize(
    "flipped",
    [
        "body = CAST(replace(CAST(body AS TEXT), 'x', 'y') AS BLOB)",
        "kind = 'item.delt`'",
        "checksum = checksum + 1",
    ],
)
def test_a_flipped_bit_is_never_read_as_data(store: Store, tmp_path: Path, flipped: str) -> None:
    fill(store, STREAM, 10)
    damage(
        tmp_path,
        "DROP TRIGGER event_kept",
        f"UPDATE event SET {flipped} WHERE sequence = 6",  # noqa: S608 - words of ours
    )
    log = SqliteEventLog(store.reader)

    assert [each.sequence for each in log.read(STREAM, after=0)[0].records] == [1, 2, 3, 4, 5]
    with pytest.raises(LogCorrupt):
        log.read(STREAM, after=5)
    assert [each.sequence for each in log.read(STREAM, after=6)[0].records] == [7, 8, 9, 10]


@pytest.mark.parametrize(
    ("harm", "trigger"),
    [
        ("UPDATE event SET body = CAST('{}' AS BLOB) WHERE sequence = 50", "event_kept"),
        ("UPDATE event SET checksum = checksum + 1 WHERE sequence = 50", "event_kept"),
        ("DELETE FROM event WHERE sequence = 50", "event_stays"),
    ],
)
def test_damage_within_a_full_page_is_found_at_its_event(
    store: Store, tmp_path: Path, harm: str, trigger: str
) -> None:
    fill(store, STREAM, 100, size=1000)
    damage(tmp_path, f"DROP TRIGGER {trigger}", harm)
    log = SqliteEventLog(store.reader)

    [page] = log.read(STREAM, after=0)
    assert (page.first, page.last) == (1, 49)
    with pytest.raises(LogCorrupt):
        log.read(STREAM, after=49)


def test_a_full_page_reads_the_same_whether_its_events_are_alike_or_not(store: Store) -> None:
    fill(store, STREAM, 100, size=1000)
    fill(store, "jobs/2", 10, size=1000)
    odd = Record(11, "item.completed", b"{}")
    rest = [record(12 + place, "x" * 1000) for place in range(90)]
    commit_one(
        store.writer, Write(appends=(Append(stream="jobs/2", after=10, records=(odd, *rest)),))
    )
    log = SqliteEventLog(store.reader)
    [alike], [mixed] = log.read(STREAM, after=0), log.read("jobs/2", after=0)

    assert (type(alike), type(mixed)) == (Alike, Segment)
    assert [each.sequence for each in alike.records] == list(range(1, alike.last + 1))
    assert {each.kind for each in alike.records} == {"item.delta"}
    assert alike.bodies == [each.body for each in alike.records]
    assert alike.size_bytes == sum(len(each.body) for each in alike.records)
    assert alike.count == len(alike.records)
    assert (alike.newest, mixed.newest) == (alike.records[-1], mixed.records[-1])
    assert alike.records is not alike.records  # none is kept for the collector to look through
    assert (mixed.records[10], mixed.count) == (odd, len(mixed.records))
    assert list(mixed.records[:10]) == list(alike.records[:10])


def test_a_missing_event_is_never_skipped(store: Store, tmp_path: Path) -> None:
    fill(store, STREAM, 4)
    damage(tmp_path, "DROP TRIGGER event_stays", "DELETE FROM event WHERE sequence = 3")

    with pytest.raises(LogCorrupt):
        SqliteEventLog(store.reader).read(STREAM, after=2)


def test_an_event_of_another_stream_is_not_taken_for_ones_own(store: Store, tmp_path: Path) -> None:
    fill(store, STREAM, 2)
    fill(store, "jobs/2", 1)
    damage(tmp_path, "DROP TRIGGER event_kept", "UPDATE event SET stream = 2 WHERE sequence = 2")

    with pytest.raises(LogCorrupt):
        SqliteEventLog(store.reader).read("jobs/2", after=1)


def test_a_tail_with_all_of_a_stream_needs_no_disk(store: Store) -> None:
    log = SqliteEventLog(store.reader)
    each = Append(stream=STREAM, after=0, records=(record(1), record(2)))
    log.remember(STREAM, Segment(each.records))

    [segment] = log.read(STREAM, after=1)
    assert list(segment.records) == [record(2)]
    log.forget(STREAM)
    assert log.read(STREAM, after=0) == []


def damage(folder: Path, *statements: str) -> None:
    database = open_database(folder / FILE, role="migrator")
    for statement in statements:
        database.execute(statement)
    database.close()


def test_a_full_page_is_shared_until_it_is_forgotten_and_a_short_one_never(store: Store) -> None:
    fill(store, STREAM, limits.READ_EVENTS_MAX + 1, size=10)
    log = SqliteEventLog(store.reader)
    [page] = log.read(STREAM, after=0)
    assert (page.first, page.last) == (1, limits.READ_EVENTS_MAX)
    assert log.read(STREAM, after=0)[0] is page
    assert log.read(STREAM, after=0, limit=1)[0].last == 1
    [short] = log.read(STREAM, after=limits.READ_EVENTS_MAX)
    assert log.read(STREAM, after=limits.READ_EVENTS_MAX)[0] is not short
    log.forget(STREAM)
    assert log.read(STREAM, after=0)[0] is not page


def test_the_pages_that_are_kept_are_bounded(store: Store) -> None:
    fill(store, STREAM, limits.PAGES_KEPT_MAX + 10, size=limits.PAGE_BYTES)
    log = SqliteEventLog(store.reader)
    [first] = log.read(STREAM, after=0)
    for after in range(1, limits.PAGES_KEPT_MAX + 5):
        log.read(STREAM, after=after)
    assert log.read(STREAM, after=0)[0] is not first


def test_the_end_of_a_stream_is_looked_up_once_until_it_is_forgotten(store: Store) -> None:
    commit_one(store.writer, make(STREAM))
    log = SqliteEventLog(store.reader)
    commit_one(store.writer, Write(appends=(append(STREAM, 0, 2),)))
    assert log.head(STREAM) is not log.head(STREAM)
    commit_one(store.writer, Write(appends=(append(STREAM, 2, 1, ends=True),)))
    end = log.head(STREAM)
    assert end == Head(sequence=3, ended=True)
    assert log.head(STREAM) is end
    log.forget(STREAM)
    again = log.head(STREAM)
    assert again == end
    assert again is not end


def test_the_ends_that_are_kept_are_bounded(store: Store) -> None:
    log = SqliteEventLog(store.reader)
    names = [f"jobs/{number}" for number in range(limits.ENDS_KEPT_MAX + 2)]
    commit_one(store.writer, make(*names))
    commit_one(store.writer, appends(*[append(name, 0, 1, ends=True) for name in names]))
    first = log.head(names[0])
    assert log.head(names[0]) is first
    for name in names[1:]:
        log.head(name)
    assert log.head(names[0]) is not first
