"""The writer thread: durable first, then visible, then answered; many Writes in one commit."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from runtime import limits
from runtime.hub import Hub
from runtime.log import Segment
from runtime.problems import MailboxFull, NotFound, SequenceConflict, StoreClosed
from specs.requirements import requirement
from specs.unit.store.kit import (
    Bench,
    append,
    appends,
    connect_failing,
    fail_next,
    make,
    names,
    opened,
    raw,
    running,
)
from store.database import Database
from store.event_log import SqliteEventLog
from store.loop_writer import LoopWriter
from store.opening import Store
from store.thread_writer import ThreadWriter
from store.writer import Write

GATE_S = 20  # real seconds; a gate that nobody opens fails the spec


class Gate:
    """Holds the writer's thread inside a transaction until it is opened."""

    def __init__(self) -> None:
        self.entered, self.opened = threading.Event(), threading.Event()

    def rows(self, _: Database) -> None:
        self.entered.set()
        assert self.opened.wait(timeout=GATE_S) is True

    async def reached(self) -> None:
        assert await trio.to_thread.run_sync(lambda: self.entered.wait(timeout=GATE_S)) is True


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with running(opened(tmp_path, connect=connect_failing)) as bench:
        await bench.writer.write(make(*(f"jobs/{place}" for place in range(300))))
        yield bench


async def write_all(writer: ThreadWriter | LoopWriter, writes: Iterable[Write[Any]]) -> list[Any]:
    """Write at once; return each result, or the type of what was raised."""
    results: dict[int, Any] = {}

    async def one(place: int, write: Write[Any]) -> None:
        try:
            results[place] = await writer.write(write)
        except Exception as error:  # noqa: BLE001 - it is compared
            results[place] = type(error)

    async with trio.open_nursery() as nursery:
        for place, write in enumerate(writes):
            nursery.start_soon(one, place, write)
    return [results[place] for place in sorted(results)]


async def test_what_waited_for_a_commit_goes_into_the_next_one(bench: Bench) -> None:
    gate = Gate()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.writer.write, Write(rows=gate.rows))
        await gate.reached()
        before = len(bench.commits)
        for place in range(300):
            nursery.start_soon(bench.writer.write, appends(append(f"jobs/{place}", 0)))
        await trio.testing.wait_all_tasks_blocked()
        assert bench.writer.waiting == 301
        inbox: Any = bench.writer._ref.actor_inbox
        assert inbox.qsize() == 1
        gate.opened.set()

    assert [(each.writes, each.records) for each in bench.commits[before:]] == [(1, 0), (300, 300)]
    assert bench.writer.waiting == 0
    assert [bench.log.head(f"jobs/{place}") for place in (0, 299)] == [bench.log.head("jobs/1")] * 2


async def test_one_bad_write_of_a_batch_fails_alone(bench: Bench) -> None:
    gate = Gate()

    def refuse(_: Database) -> None:
        raise NotFound("Not this one.")

    writes: list[Write[Any]] = [
        Write(rows=gate.rows),
        appends(append("jobs/1", 0)),
        appends(append("jobs/2", 7)),
        Write(rows=refuse),
        Write(rows=lambda _: "mine"),
    ]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(gate_then_open, gate)
        results = await write_all(bench.writer, writes)

    assert sorted(map(str, results)) == sorted(
        map(str, [None, None, SequenceConflict, NotFound, "mine"])
    )


async def gate_then_open(gate: Gate) -> None:
    await gate.reached()
    gate.opened.set()


class Watching(SqliteEventLog):
    """A log that looks with a foreign connection whether what it is shown is on disk."""

    def __init__(self, store: Store, folder: Path, story: list[str]) -> None:
        super().__init__(store.reader)
        self.folder, self.story = folder, story

    def remember(self, stream: str, segment: Segment) -> None:
        foreign = raw(self.folder)
        [(count,)] = foreign.execute("SELECT COUNT(*) FROM event").fetchall()
        foreign.close()
        self.story.append(f"{stream} shown, {count} on disk")
        super().remember(stream, segment)


class Announcing(Hub):
    """A hub that writes down whom it wakes."""

    def __init__(self, story: list[str]) -> None:
        super().__init__()
        self.story = story

    def announce(self, stream: str) -> None:
        self.story.append(f"{stream} announced")
        super().announce(stream)


@requirement("sse.never-before-commit")
@pytest.mark.parametrize("kind", ["thread", "loop"])
async def test_committed_then_shown_then_announced_then_answered(tmp_path: Path, kind: str) -> None:
    story: list[str] = []
    with opened(tmp_path) as store:
        log, hub = Watching(store, tmp_path, story), Announcing(story)
        writer: ThreadWriter | LoopWriter
        if kind == "thread":
            writer = ThreadWriter(store.writer, log, hub, on_fatal=lambda: None)
        else:
            writer = LoopWriter(store.writer, log, hub)
        await writer.write(make("jobs/1", "jobs/2"))
        await writer.write(appends(append("jobs/2", 0, ends=True), append("jobs/1", 0, 2)))
        story.append("answered")
        await writer.close()

    assert story == [
        "jobs/2 shown, 3 on disk",
        "jobs/2 announced",
        "jobs/1 shown, 3 on disk",
        "jobs/1 announced",
        "answered",
    ]


async def test_a_reader_that_waits_is_woken_by_the_commit(bench: Bench) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.hub.wait, "jobs/1")
        await trio.testing.wait_all_tasks_blocked()
        await bench.writer.write(appends(append("jobs/1", 0)))

    assert bench.hub.waiting() == 0


async def test_to_cancel_the_wait_does_not_cancel_the_write(bench: Bench) -> None:
    gate = Gate()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.writer.write, Write(rows=gate.rows))
        await gate.reached()
        with trio.move_on_after(0) as scope:
            await bench.writer.write(appends(append("jobs/1", 0)))
        gate.opened.set()
    await bench.writer.write(appends(append("jobs/1", 1)))

    assert scope.cancelled_caught is True
    [first, second] = bench.log.read("jobs/1", after=0)
    assert (first.last, second.last) == (1, 2)


async def test_more_writes_than_may_wait_are_refused(tmp_path: Path) -> None:
    gate = Gate()
    async with running(opened(tmp_path)) as bench, trio.open_nursery() as nursery:
        nursery.start_soon(bench.writer.write, Write(rows=gate.rows))
        await gate.reached()
        bench.writer.waiting = limits.WRITES_WAITING_MAX
        with pytest.raises(MailboxFull):
            await bench.writer.write(Write(rows=lambda _: None))
        bench.writer.waiting = 1
        gate.opened.set()


async def test_close_commits_what_waits_and_empties_the_wal(tmp_path: Path) -> None:
    gate = Gate()
    results: list[Any] = []
    async with running(opened(tmp_path)) as bench, trio.open_nursery() as nursery:
        nursery.start_soon(bench.writer.write, Write(rows=gate.rows))
        await gate.reached()

        async def write() -> None:
            results.append(await bench.writer.write(Write(rows=lambda _: "kept")))

        nursery.start_soon(write)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(bench.writer.close)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(StoreClosed):
            await bench.writer.write(Write(rows=lambda _: None))
        gate.opened.set()

    assert results == ["kept"]
    assert names(tmp_path) == ["runchat.db"]


async def test_a_failed_fsync_closes_the_writer_and_ends_the_service(bench: Bench) -> None:
    await bench.writer.write(appends(append("jobs/1", 0)))
    fail_next(bench.store, sqlite3.SQLITE_IOERR_FSYNC)

    results = await write_all(bench.writer, [appends(append("jobs/1", 1))])
    results += await write_all(bench.writer, [appends(append("jobs/2", 0))] * 2)

    assert results == [StoreClosed] * 3
    assert bench.fatal == ["fatal"]
    assert bench.writer.fsync_errors == 1
    assert [each.last for each in bench.log.read("jobs/1", after=0)] == [1]


def test_a_writer_whose_loop_is_gone_ends_quietly(tmp_path: Path) -> None:
    store = opened(tmp_path)
    gate = Gate()

    async def leave_without_closing() -> ThreadWriter:
        writer = ThreadWriter(
            store.writer, SqliteEventLog(store.reader), Hub(), on_fatal=lambda: None
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(writer.write, Write(rows=gate.rows))
            await gate.reached()
            nursery.cancel_scope.cancel()
        return writer

    writer = trio.run(leave_without_closing)
    gate.opened.set()
    stopped = writer._ref.stop(block=False)

    assert stopped.get(timeout=GATE_S) is True


async def test_in_memory_a_write_waits_for_no_company(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        writer = LoopWriter(store.writer, SqliteEventLog(store.reader), Hub(), gathers=False)
        with trio.CancelScope() as late:
            late.cancel()  # whoever waits from here on does not get the answer
            assert await writer.write(Write(rows=lambda _: 1)) == 1
        assert late.cancelled_caught is False


async def test_in_the_loop_batches_form_too(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        hub = Hub()
        writer = LoopWriter(store.writer, SqliteEventLog(store.reader), hub)
        await writer.write(make("jobs/1", "jobs/2"))
        writes: list[Write[Any]] = [
            Write(rows=lambda _: 1),
            appends(append("jobs/1", 0)),
            appends(append("jobs/2", 5)),
        ]
        assert await write_all(writer, writes) == [1, None, SequenceConflict]
        await writer.close()
        with pytest.raises(StoreClosed):
            await writer.write(Write(rows=lambda _: None))
