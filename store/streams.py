"""Streams: their names, owners and ends. The events themselves are `store.event_log`'s.

The name is for everybody else; events are keyed by the integer id, which is never given twice.
"""

from __future__ import annotations

import zlib
from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache

from runtime import limits
from store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRow:
    """A stream as it is kept; `head` is its newest sequence, 0 when empty."""

    id: int
    name: str
    tenant: str
    owner: str
    ended: bool
    head: int


def find_stream(db: Database, name: str) -> StreamRow | None:
    """Return the stream called `name`, in one look-up by key."""
    row = db.execute(
        "SELECT id, name, tenant, owner, ended,"
        " COALESCE((SELECT MAX(sequence) FROM event WHERE stream = stream.id), 0)"
        " FROM stream WHERE name = ?",
        (name,),
    ).fetchone()
    if row is None:
        return None
    return StreamRow(
        id=row[0], name=row[1], tenant=row[2], owner=row[3], ended=bool(row[4]), head=row[5]
    )


def end_stream(db: Database, id: int) -> None:
    """Mark the stream as ended: the database takes no event after this."""
    db.execute("UPDATE stream SET ended = 1 WHERE id = ?", (id,))


@lru_cache(maxsize=limits.STREAM_IDS_MAX)
def checksum_seed(stream: int, kind: str) -> int:
    """Return where the CRC-32 of an event's body begins, so that it covers stream and kind too."""
    return zlib.crc32(kind.encode(), stream)


class StreamIds:
    """Ids of the streams in use, by name; bounded, the longest unused leaves first."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._ids: OrderedDict[str, int] = OrderedDict()

    def find(self, name: str) -> int | None:
        """Return the id of `name`, or None where there is no such stream."""
        if (known := self._ids.get(name)) is not None:
            self._ids.move_to_end(name)
            return known
        row = self._database.execute("SELECT id FROM stream WHERE name = ?", (name,)).fetchone()
        if row is None:
            return None
        self._ids[name] = found = int(row[0])
        if len(self._ids) > limits.STREAM_IDS_MAX:
            self._ids.popitem(last=False)
        return found

    def clear(self) -> None:
        """Forget all: after a rollback an id may belong to another stream."""
        self._ids.clear()
