"""Lives of the real store that end in a power cut, and what is found after each.

Theory: a life writes through the product's own writer while every step on the disk is taken down,
with the moments at which somebody was told that a Write is kept. So one life can be cut at any of
its steps, as often as one likes. After a cut the store is opened as `serve` opens it, by the
product's own SQLite, and held against what was sent: all that was acknowledged is there, a Write is
there as a whole or not at all, and nothing is there that was not sent. The next life goes on from
what one of the cuts has left.
"""

from __future__ import annotations

import random
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import trio

from harness.power import sqlite
from harness.power.disk import Acknowledged, Disk, Step, write_out
from harness.simulation import scheduler
from harness.simulation.scheduler import VirtualClock
from runtime.hub import Hub
from runtime.ids import Ids
from runtime.log import Record
from runtime.problems import Problem
from store import opening, recovery
from store.audit import AuditEntry
from store.database import Database
from store.event_log import SqliteEventLog, create_stream
from store.loop_writer import LoopWriter
from store.writer import Append, Write

TASKS: Final = 4
WRITES: Final = 14  # of each task, in one life
SIZES: Final = (20, 60, 200, 200, 900, 3000, 9000, 40_000)  # bytes of an event; a page is 4096
TOLD: Final = 5  # failures that are told in words


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One Write: after it, these streams have these heads."""

    heads: dict[str, int]
    audited: bool


@dataclass(slots=True)
class Book:
    """All that was ever sent to the store, in the order of each stream."""

    streams: dict[str, list[bytes]] = field(default_factory=dict)
    writes: list[Sent] = field(default_factory=list)  # of this life
    kept: dict[str, int] = field(default_factory=dict)  # heads that this life began with


@dataclass(slots=True, kw_only=True)
class Tally:
    """What many cuts came to."""

    points: int = 0
    lives: int = 0
    acknowledged: int = 0  # events that had to be there, over all points
    lost: int = 0
    corrupt: int = 0
    told: list[str] = field(default_factory=list)

    def take(self, where: str, expected: int, lost: int, wrongs: Sequence[str]) -> None:
        """Count one cut."""
        self.points += 1
        self.acknowledged += expected
        self.lost += lost
        self.corrupt += bool(wrongs)
        if (lost or wrongs) and len(self.told) < TOLD:
            self.told.append(f"{where}: {lost} lost {' '.join(wrongs)[:300]}")


def trials(
    points: int, *, seed: int = 1, synchronous: str = "FULL", points_a_life: int = 20
) -> Tally:
    """Cut the power at so many points, in as many lives as that takes.

    Args:
        synchronous: what SQLite is told in place of the store's FULL.
    """
    tally, chance, files = Tally(), random.Random(f"power {seed}"), dict[str, bytes]()  # noqa: S311
    streams: dict[str, list[bytes]] = {}
    while tally.points < points:
        steps, book = live(files, streams, seed * 1000 + tally.lives, synchronous)
        count = min(points_a_life, points - tally.points)
        chosen = sorted(chance.sample(range(len(steps) + 1), count))
        sound = [(files, streams)]
        for place, cut in _cuts(files, steps, chosen, chance):
            where = f"seed {seed}, life {tally.lives}, step {place} of {len(steps)}"
            expected, lost, wrongs = _look(cut, book, steps[:place])
            tally.take(where, expected, lost, wrongs)
            if not wrongs:
                sound.append((cut, book.streams))
        files, streams = chance.choice(sound[1:] or sound)
        tally.lives += 1
    return tally


def _cuts(
    files: dict[str, bytes], steps: Sequence[Step], places: Sequence[int], chance: random.Random
) -> Iterator[tuple[int, dict[str, bytes]]]:
    """Yield what is found after a cut at each of the places, which are in order."""
    disk, taken = Disk(files), 0
    for place in places:
        for step in steps[taken:place]:
            disk.take(step)
        taken = place
        yield place, disk.cut(chance)


# --- a life ---


def live(
    files: dict[str, bytes], streams: dict[str, list[bytes]], seed: int, synchronous: str
) -> tuple[list[Step], Book]:
    """Let the store live once on what is found; return all that the disk was asked to do."""
    steps: list[Step] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "data"
        write_out(files, folder)
        with sqlite.noted(steps.append):
            program = partial(_write_all, folder, streams, steps, seed, synchronous)
            book, taken = scheduler.run(program, seed)
    return steps[:taken], book


async def _write_all(
    folder: Path, streams: dict[str, list[bytes]], steps: list[Step], seed: int, synchronous: str
) -> tuple[Book, int]:
    """Write from several tasks at once; the store is closed well in every other life."""
    chance = random.Random(f"life {seed}")  # noqa: S311  it repeats
    ids = Ids(VirtualClock(), random.Random(seed))  # noqa: S311
    connect = sqlite.connect(synchronous)
    store = opening.open_store(folder, migrates=True, ids=ids, connect=connect)
    log = SqliteEventLog(store.reader)
    book = _found(log, streams)
    writer = LoopWriter(store.writer, log, Hub())
    async with trio.open_nursery() as nursery:
        for task in range(TASKS):
            mine = random.Random(f"task {seed} {task}")  # noqa: S311
            nursery.start_soon(_write, writer, book, steps, f"streams/{seed}-{task}", mine)
    taken = len(steps)
    store.reader.close()
    writer.committer.close()
    return book, len(steps) if chance.random() < 0.5 else taken  # noqa: PLR2004


def _found(log: SqliteEventLog, streams: dict[str, list[bytes]]) -> Book:
    """Return the book as this life finds it: what the cut has taken is forgotten."""
    book = Book()
    for name, bodies in streams.items():
        head = log.head(name)
        if head is not None:
            book.streams[name], book.kept[name] = bodies[: head.sequence], head.sequence
    return book


async def _write(
    writer: LoopWriter, book: Book, steps: list[Step], name: str, chance: random.Random
) -> None:
    """Do one task's Writes: plain appends, and some with rows, audit entry and two streams."""
    older = [each for each in sorted(book.streams) if each.endswith(name[-2:])]
    for number in range(WRITES):
        await trio.sleep(chance.choice((0, 0, 0.001, 0.01)))
        makes = f"{name}-{number}" if number == 0 or chance.random() < 0.2 else None  # noqa: PLR2004
        names = [*({chance.choice(older)} if older else ()), *([makes] if makes else ())]
        if makes:
            older.append(makes)
        audited = makes is not None or chance.random() < 0.2  # noqa: PLR2004
        appends = [_append(book, each, chance) for each in names]
        entry = AuditEntry(
            at_ms=number,
            tenant="t",
            actor="t/u",
            action="power.test",
            object_id=name,
            outcome="done",
            request_id=f"{name} {number}",
        )
        heads = {each.stream: each.after + len(each.records) for each in appends}
        book.writes.append(Sent(heads=heads, audited=audited))
        place = len(book.writes) - 1
        await writer.write(
            Write(
                rows=partial(_make, makes) if makes else None,
                appends=appends,
                audit=entry if audited else None,
            )
        )
        steps.append(Acknowledged(place))
        if chance.random() < 0.15:  # noqa: PLR2004  as the writer does in a pause
            writer.committer.checkpoint()


def _make(name: str, db: Database) -> None:
    create_stream(db, name, "t", "u")


def _append(book: Book, name: str, chance: random.Random) -> Append:
    bodies = book.streams.setdefault(name, [])
    after = len(bodies)
    for _ in range(chance.choice((1, 1, 2, 5))):
        bodies.append(chance.randbytes(chance.choice(SIZES)))
    records = [Record(n, "e", body) for n, body in enumerate(bodies[after:], after + 1)]
    return Append(stream=name, after=after, records=records)


# --- after a cut ---


def _look(
    files: dict[str, bytes], book: Book, before: Sequence[Step]
) -> tuple[int, int, list[str]]:
    """Return how many events had to be found, how many of them were not, and what is not sound."""
    wanted = dict(book.kept)
    audited = 0  # entries of the audit trail, which are lost or found as events are
    for step in before:
        if isinstance(step, Acknowledged):
            wanted |= book.writes[step.write].heads
            audited += book.writes[step.write].audited
    expected = sum(wanted.values()) + audited
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "data"
        write_out(files, folder)
        try:
            with opening.open_store(folder, migrates=True) as store:
                found, wrongs = _read(store, book)
                entries = "SELECT COUNT(*) FROM audit WHERE action = 'power.test'"
                audited -= store.reader.execute(entries).fetchone()[0]
        except (sqlite3.Error, Problem) as error:
            found, wrongs = {}, [f"the store does not open: {error}"]
    lost = max(0, audited) + sum(max(0, head - found.get(name, 0)) for name, head in wanted.items())
    wrongs += [f"half a Write: {each.heads}" for each in book.writes if _is_half(each, found)]
    return expected, lost, wrongs


def _read(store: opening.Store, book: Book) -> tuple[dict[str, int], list[str]]:
    """Read all that is there through the event log; return the heads and what is not sound."""
    wrongs = [f"damaged: {name}" for name in recovery.damaged_tails(store.reader)]
    if (said := store.reader.execute("PRAGMA integrity_check").fetchone()[0]) != "ok":
        wrongs.append(str(said))
    log, heads = SqliteEventLog(store.reader), dict[str, int]()
    for (name,) in store.reader.execute("SELECT name FROM stream").fetchall():
        bodies: list[bytes] = []
        while page := log.read(name, after=len(bodies)):
            bodies += [each.body for segment in page for each in segment.records]
        if bodies != book.streams.get(name, [])[: len(bodies)]:
            wrongs.append(f"{name} is not what was sent")
        heads[name] = len(bodies)
    return heads, wrongs


def _is_half(write: Sent, heads: dict[str, int]) -> bool:
    return len({heads.get(name, 0) >= head for name, head in write.heads.items()}) > 1
