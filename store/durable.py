"""Streams of the Durable Streams protocol: what each has beside its log, by the caller's path.

The log of one is the stream `streams/<id>`. An id is never used twice, so that a path deleted and
made again is another stream to every cache and reader. A fork keeps only its own records; those it
inherits stay its source's, which is therefore kept, out of reach, until its last fork has gone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

from store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Whose path it is."""

    tenant: str
    user: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DurableRow:
    """A stream as it is kept; the fields are the columns, in order."""

    id: str
    tenant: str
    user: str
    path: str
    content_type: str  # as its maker wrote it
    created_at_ms: int
    ttl_s: int | None  # sliding; then `expires_at_ms` moves with every use
    expires_at_ms: int | None
    inherits_expiry: bool  # a fork that named none of its own
    source: str | None  # id of the stream it was forked from
    source_path: str | None
    fork_sequence: int  # records inherited whole; its own continue there
    fork_anchor: int  # where its maker asked for, and how far past it
    fork_sub: int
    forks: int  # streams that inherit from it
    deleted: bool  # out of reach, and kept for its forks
    last_seq: str | None  # newest Stream-Seq
    closed_by: str | None  # JSON of producer, epoch, sequence that closed it

    @property
    def stream(self) -> str:
        """Name of its log."""
        return name_of(self.id)


NAMES = tuple(field.name for field in fields(DurableRow))
FLAGS = ("inherits_expiry", "deleted")
SELECT = f"SELECT {', '.join(NAMES)} FROM durable_stream"  # noqa: S608 - our own columns
INSERT = f"INSERT INTO durable_stream ({', '.join(NAMES)}) VALUES ({', '.join('?' * len(NAMES))})"  # noqa: S608


@dataclass(frozen=True, slots=True, kw_only=True)
class Producer:
    """An idempotent producer's newest accepted place."""

    id: str
    epoch: int
    sequence: int


def name_of(id: str) -> str:
    """Return the name of a stream's log."""
    return f"streams/{id}"


def find(db: Database, at: Address) -> DurableRow | None:
    """Return what is at an address, a deleted stream that is kept for its forks too."""
    return _one(db, "WHERE tenant = ? AND user = ? AND path = ?", (at.tenant, at.user, at.path))


def get(db: Database, id: str) -> DurableRow | None:
    """Return a stream whosever it is; for actors, never for a request."""
    return _one(db, "WHERE id = ?", (id,))


def is_reachable(db: Database, id: str) -> bool:
    """Whether a stream is there for its owner."""
    sql = "SELECT 1 FROM durable_stream WHERE id = ? AND deleted = 0"
    return db.execute(sql, (id,)).fetchone() is not None


def paths(db: Database, tenant: str, user: str) -> list[tuple[str, str]]:
    """Return path and id of every stream that a user can reach."""
    rows = db.execute(
        "SELECT path, id FROM durable_stream WHERE tenant = ? AND user = ? AND deleted = 0"
        " ORDER BY path",
        (tenant, user),
    )
    return [(row[0], row[1]) for row in rows]


def insert(db: Database, row: DurableRow) -> None:
    """Keep a new stream; its log is made by `event_log.create_stream`."""
    db.execute(INSERT, tuple(getattr(row, name) for name in NAMES))


def hold(db: Database, id: str) -> bool:
    """Count one more fork of a stream; False where it is out of reach."""
    sql = "UPDATE durable_stream SET forks = forks + 1 WHERE id = ? AND deleted = 0"
    return db.execute(sql, (id,)).rowcount == 1


def note_append(db: Database, id: str, *, last_seq: str | None, closed_by: str | None) -> None:
    """Keep what an append says of the stream itself; None leaves it as it is."""
    db.execute(
        "UPDATE durable_stream SET last_seq = COALESCE(?, last_seq),"
        " closed_by = COALESCE(?, closed_by) WHERE id = ?",
        (last_seq, closed_by, id),
    )


def put_off(db: Database, id: str, expires_at_ms: int) -> None:
    """Move the end of a stream's sliding life, never back."""
    db.execute(
        "UPDATE durable_stream SET expires_at_ms = MAX(expires_at_ms, ?) WHERE id = ?",
        (expires_at_ms, id),
    )


def expired(db: Database, now_ms: int, limit: int) -> list[DurableRow]:
    """Return streams whose time is over."""
    where = "WHERE expires_at_ms <= ? AND deleted = 0 ORDER BY expires_at_ms LIMIT ?"
    return list(_all(db, where, (now_ms, limit)))


def producer(db: Database, stream: str, id: str) -> Producer | None:
    """Return where a producer stands in a stream."""
    row = db.execute(
        "SELECT epoch, sequence FROM producer WHERE stream = ? AND id = ?", (stream, id)
    ).fetchone()
    return Producer(id=id, epoch=row[0], sequence=row[1]) if row else None


def keep_producer(db: Database, stream: str, kept: Producer) -> None:
    """Keep where a producer stands; in the transaction of its append."""
    db.execute(
        "INSERT INTO producer VALUES (?, ?, ?, ?) ON CONFLICT (stream, id)"
        " DO UPDATE SET epoch = excluded.epoch, sequence = excluded.sequence",
        (stream, kept.id, kept.epoch, kept.sequence),
    )


def remove(db: Database, id: str) -> list[str]:
    """Take a stream out of reach; return the ids of those whose logs nobody needs any more.

    One that has forks is kept for them. What was kept only for this one goes with it.
    """
    gone: list[str] = []
    here: str | None = id
    while here is not None and (row := get(db, here)) is not None:
        if here == id and row.forks:
            db.execute("UPDATE durable_stream SET deleted = 1 WHERE id = ?", (here,))
            break
        if here != id:
            db.execute("UPDATE durable_stream SET forks = forks - 1 WHERE id = ?", (here,))
            if row.forks > 1 or not row.deleted:
                break
        db.execute("DELETE FROM durable_stream WHERE id = ?", (here,))
        db.execute("DELETE FROM producer WHERE stream = ?", (here,))
        db.execute("INSERT INTO doomed_stream VALUES (?, ?)", (name_of(here), row.tenant))
        gone.append(here)
        here = row.source
    return gone


def doomed(db: Database, limit: int) -> list[tuple[str, str]]:
    """Return name and tenant of logs that wait to be erased."""
    rows = db.execute(
        "SELECT name, tenant FROM doomed_stream ORDER BY tenant, name LIMIT ?", (limit,)
    )
    return [(row[0], row[1]) for row in rows]


def buried(db: Database, names: Sequence[str]) -> None:
    """Forget logs that have been erased."""
    for name in names:
        db.execute("DELETE FROM doomed_stream WHERE name = ?", (name,))


def _one(db: Database, where: str, values: Sequence[Any]) -> DurableRow | None:
    return next(_all(db, where, values), None)


def _all(db: Database, where: str, values: Sequence[Any]) -> Iterator[DurableRow]:
    for row in db.execute(f"{SELECT} {where}", values).fetchall():
        named: dict[str, Any] = dict(zip(NAMES, row, strict=True))
        yield DurableRow(**named | {name: bool(named[name]) for name in FLAGS})
