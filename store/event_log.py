"""The event log: committed events of every stream, read in order and checked as they are read.

Events are stored once, as the bytes that every reader is sent. A page comes from the shared tail
where the tail holds it, else from the database by primary key: cost does not grow with the log.
Full pages read lately are kept too, since an event never changes: who reads a log from its start is
seldom the only one.
Used from the trio thread; a read is one short statement that ends before it returns, so that it
never holds back a checkpoint. An event that does not match its checksum is never read as data.
"""

from __future__ import annotations

from collections import OrderedDict
from zlib import crc32

from runtime import limits
from runtime.log import Alike, Head, Record, Segment, Tail
from runtime.problems import LogCorrupt
from store.database import Database
from store.streams import StreamIds, checksum_seed, find_stream


def create_stream(db: Database, name: str, tenant: str, owner: str) -> None:
    """Make an empty stream that belongs to a tenant and a user.

    Raises:
        sqlite3.IntegrityError: there is one of this name.
    """
    db.execute("INSERT INTO stream (name, tenant, owner) VALUES (?, ?, ?)", (name, tenant, owner))


class SqliteEventLog:
    """The `runtime.log.EventLog` over a reader's connection."""

    def __init__(self, database: Database, tail: Tail | None = None) -> None:
        self._database = database
        self._tail = tail or Tail()
        self._ids = StreamIds(database)
        self._pages: OrderedDict[tuple[int, int], Segment] = OrderedDict()
        self._ends: OrderedDict[str, Head] = OrderedDict()  # of streams that take no more

    def head(self, stream: str) -> Head | None:
        """Return where `stream` stands; None where there is no such stream.

        To find the newest event is to pass by those next to it, and the last but one of a job has
        its whole answer: an end is looked up once.
        """
        if (end := self._ends.get(stream)) is not None:
            return end
        row = find_stream(self._database, stream)
        if row is None:
            return None
        head = Head(sequence=row.head, ended=row.ended)
        if head.ended:
            self._ends[stream] = head
            if len(self._ends) > limits.ENDS_KEPT_MAX:
                self._ends.popitem(last=False)
        return head

    def read(
        self, stream: str, *, after: int, limit: int = limits.READ_EVENTS_MAX
    ) -> list[Segment]:
        """Return what follows `after`: at most `limit` events and about one page of bytes.

        Raises:
            LogCorrupt: the next event is damaged or missing.
        """
        found = self._tail.read(stream, after, limit, limits.PAGE_BYTES)
        if found is not None:
            return found
        stream_id = self._ids.find(stream)
        if stream_id is None:
            return []
        whole = limit == limits.READ_EVENTS_MAX
        if whole and (kept := self._pages.get((stream_id, after))) is not None:
            self._pages.move_to_end((stream_id, after))
            return [kept]
        page = read_alike(self._database, stream_id, after, limits.PAGE_BYTES) if whole else None
        if page is None:
            records = read_page(self._database, stream_id, after, limit, limits.PAGE_BYTES)
            if not records:
                return []
            page = Segment(records)
        if whole and (page.size_bytes >= limits.PAGE_BYTES or page.count == limit):
            self._keep_page((stream_id, after), page)
        return [page]

    def _keep_page(self, place: tuple[int, int], page: Segment) -> None:
        if page.size_bytes > limits.PAGE_KEPT_BYTES_MAX:
            return
        self._pages[place] = page
        if len(self._pages) > limits.PAGES_KEPT_MAX:
            self._pages.popitem(last=False)

    def remember(self, stream: str, segment: Segment) -> None:
        """Take a segment just committed into the tail."""
        self._tail.add(stream, segment)

    def forget(self, stream: str) -> None:
        """Drop what is cached of a stream, which has been erased."""
        self._tail.forget(stream)
        self._ends.pop(stream, None)
        self._ids.clear()
        self._pages.clear()


def read_alike(db: Database, stream_id: int, after: int, size_bytes: int) -> Segment | None:
    """Return the page that follows `after` where it is good and full and all of one kind.

    Most pages of a long log are, and such a one costs half. None for any other, which is for
    `read_page` to judge: the checksum covers the kind, so that one of another kind looks damaged.
    """
    found = db.execute(
        "SELECT kind FROM event WHERE stream = ? AND sequence = ?", (stream_id, after + 1)
    ).fetchone()
    if found is None:
        return None
    kind, left = str(found[0]), size_bytes
    seed = checksum_seed(stream_id, kind)
    last = after + limits.READ_EVENTS_MAX
    rows = db.execute(
        "SELECT sequence, body, checksum FROM event"
        " WHERE stream = ? AND sequence > ? AND sequence <= ? ORDER BY sequence",
        (stream_id, after, last),
    )
    bodies: list[bytes] = []
    keep = bodies.append
    sequence = after
    try:
        for sequence, body, kept in rows:  # noqa: B007  the last of them tells of a gap
            if crc32(body, seed) != kept:
                return None
            keep(body)
            left -= len(body)
            if left <= 0:
                break
    finally:
        rows.close()
    if sequence != after + len(bodies) or (left > 0 and sequence < last):
        return None
    return Alike(after + 1, kind, bodies, size_bytes - left)


def read_page(
    db: Database, stream_id: int, after: int, limit: int, size_bytes: int
) -> list[Record]:
    """Return the good records that follow `after`, until `size_bytes` is reached.

    Raises:
        LogCorrupt: the very first of them is damaged or missing.
    """
    rows = db.execute(
        "SELECT sequence, kind, body, checksum FROM event"
        " WHERE stream = ? AND sequence > ? ORDER BY sequence LIMIT ?",
        (stream_id, after, limit),
    )
    records: list[Record] = []
    expected = after
    try:
        for sequence, kind, body, kept in rows:
            expected += 1
            if sequence != expected or crc32(body, checksum_seed(stream_id, kind)) != kept:
                if records:
                    break  # the next read begins with the damage, and says so
                raise LogCorrupt(f"Event {expected} of stream {stream_id} is damaged or missing.")
            records.append(Record(sequence, kind, body))
            size_bytes -= len(body)
            if size_bytes <= 0:
                break
    finally:
        rows.close()
    return records
