"""What the runtime asks of an event log, and how a reader follows one.

A stream is a row of records numbered 1, 2, 3. What was committed in one append is a segment. The
segments of live streams stay for a while in a bounded tail, so that a thousand readers of one
stream share one copy and one rendering; the tail is a cache of the log and nothing more. A reader
is a subscription: a cursor and a wait. It holds no event, so a slow one costs no memory.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate, count, islice, pairwise, repeat
from operator import attrgetter
from typing import NamedTuple, Protocol

from runtime import limits
from runtime.hub import Hub


class Record(NamedTuple):
    """One committed event as it is kept and sent: `body` is the JSON of the whole event object.

    A tuple, since a log is read and written a thousand at a time: it is made in half the time.
    """

    sequence: int
    kind: str
    body: bytes


def records_after(sequence: int, kind: str, bodies: Iterable[bytes]) -> list[Record]:
    """Return the records of one kind that follow a sequence; made in C, at a third of the cost."""
    make = partial(tuple.__new__, Record)
    return list(map(make, zip(count(sequence + 1), repeat(kind), bodies)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Where a stream stands: its newest sequence (0 when empty), and whether that is its end."""

    sequence: int
    ended: bool


class Segment:
    """Consecutive records of one stream, with their renderings kept for all who ask."""

    __slots__ = ("_records", "_rendered", "_wholes", "ends", "first", "last", "size_bytes")

    def __init__(
        self, records: Sequence[Record], *, ends: bool | None = None, size_bytes: int | None = None
    ) -> None:
        """Take the records.

        Args:
            ends: whether the stream ended with them; None where only its head can tell.
            size_bytes: of their bodies, where that is known.
        """
        self._records, self.ends = records, ends
        self.first, self.last = records[0].sequence, records[-1].sequence
        if size_bytes is None:
            size_bytes = sum([len(record.body) for record in records])
        self.size_bytes = size_bytes
        self._rendered: dict[Callable[[Record], bytes], bytes] = {}
        self._wholes: dict[Callable[[Segment], bytes], bytes] = {}

    @property
    def records(self) -> Sequence[Record]:
        """The records, in order."""
        return self._records

    @property
    def newest(self) -> Record:
        """The last of the records."""
        return self.records[-1]

    @property
    def bodies(self) -> Sequence[bytes]:
        """The bodies of the records, in order."""
        return [record.body for record in self.records]

    @property
    def count(self) -> int:
        """How many records there are."""
        return self.last - self.first + 1

    def after(self, cursor: int) -> Segment:
        """Return the part of the segment that follows `cursor`; itself when that is all of it."""
        if cursor < self.first:
            return self
        return Segment(self.records[cursor - self.first + 1 :], ends=self.ends)

    def upto(self, sequence: int) -> Segment:
        """Return the part of the segment that ends with `sequence`; itself when that is all."""
        if sequence >= self.last:
            return self
        return Segment(self.records[: sequence - self.first + 1])

    def pieces(self, size_bytes: int) -> list[Segment]:
        """Return the segment in pieces of about `size_bytes`, at least an event each."""
        if self.size_bytes <= size_bytes:
            return [self]
        upto = [0, *accumulate(map(len, self.bodies))]  # bytes of the first so many events
        cuts = [0]
        while cuts[-1] < self.count:
            full = bisect_right(upto, upto[cuts[-1]] + size_bytes) - 1
            cuts.append(max(full, cuts[-1] + 1))
        return [Segment(self.records[a:b], size_bytes=upto[b] - upto[a]) for a, b in pairwise(cuts)]

    def render(self, encode: Callable[[Record], bytes]) -> bytes:
        """Return the records encoded and joined, made once however many readers ask."""
        if (rendered := self._rendered.get(encode)) is None:
            rendered = self._rendered[encode] = b"".join(map(encode, self.records))
        return rendered

    def render_whole(self, encode: Callable[[Segment], bytes]) -> bytes:
        """Return the segment as `encode` makes it, made once for all who ask alike.

        Only the newest few ways are kept: some change with the time.
        """
        if (rendered := self._wholes.get(encode)) is None:
            if len(self._wholes) >= limits.RENDERINGS_MAX:
                self._wholes.clear()
            rendered = self._wholes[encode] = encode(self)
        return rendered


class Alike(Segment):
    """Records of one kind, each made when it is asked for.

    A page of a long log is sent as it was read, and to make its records is half of the cost. They
    are not kept: what is kept of many pages is as much as the collector would look through.
    """

    __slots__ = ("_bodies", "_kind")

    def __init__(self, first: int, kind: str, bodies: Sequence[bytes], size_bytes: int) -> None:
        """Take what the records are made of; `size_bytes` is that of all bodies."""
        self._records, self.ends = (), None
        self._kind, self._bodies, self.size_bytes = kind, bodies, size_bytes
        self.first, self.last = first, first + len(bodies) - 1
        self._rendered, self._wholes = {}, {}

    @property
    def records(self) -> Sequence[Record]:
        return records_after(self.first - 1, self._kind, self._bodies)

    @property
    def newest(self) -> Record:
        return Record(self.last, self._kind, self._bodies[-1])

    @property
    def bodies(self) -> Sequence[bytes]:
        return self._bodies


class EventLog(Protocol):
    """Committed events, by stream. `store.event_log` has the one that keeps them."""

    def head(self, stream: str) -> Head | None:
        """Return where `stream` stands; None where there is no such stream."""
        ...

    def read(
        self, stream: str, *, after: int, limit: int = limits.READ_EVENTS_MAX
    ) -> list[Segment]:
        """Return what follows `after`: at most `limit` events and about one page of bytes.

        At least one event is returned where there is one; none is returned twice or left out.
        """
        ...

    def remember(self, stream: str, segment: Segment) -> None:
        """Take a segment just committed into the tail. Called by the writer, in commit order."""
        ...


def cost_bytes(segment: Segment) -> int:
    """Return the memory that a kept segment takes: its bodies, as they are and as they are sent."""
    records = segment.count * limits.RECORD_COST_BYTES
    return 2 * segment.size_bytes + records + limits.SEGMENT_COST_BYTES


@dataclass(slots=True, eq=False)
class Held:
    """The newest segments of one stream, never none, and what they cost."""

    segments: deque[Segment] = field(default_factory=deque)
    size_bytes: int = 0


class Tail:
    """The newest segments of the streams written lately; bounded by stream and in all."""

    def __init__(
        self,
        stream_bytes: int = limits.TAIL_STREAM_BYTES,
        total_bytes: int = limits.TAIL_TOTAL_BYTES,
    ) -> None:
        self._stream_bytes, self._total_bytes = stream_bytes, total_bytes
        self._streams: OrderedDict[str, Held] = OrderedDict()
        self._held_bytes = 0

    def add(self, stream: str, segment: Segment) -> None:
        """Append a segment; what no longer fits leaves, oldest first, longest unwritten first.

        What one commit wrote may be megabytes: it is kept in pages, since a page is what a reader
        holds while its client takes it.
        """
        for piece in segment.pieces(limits.PAGE_BYTES):
            self._add(stream, piece)

    def _add(self, stream: str, segment: Segment) -> None:
        held = self._streams.get(stream)
        if held is not None and held.segments[-1].last + 1 != segment.first:
            self.forget(stream)  # not contiguous: a tail with a hole would lose events
            held = None
        if held is None:
            held = self._streams[stream] = Held()
        else:
            self._streams.move_to_end(stream)
        held.segments.append(segment)
        grown_bytes = cost_bytes(segment)
        while held.size_bytes + grown_bytes > self._stream_bytes and len(held.segments) > 1:
            grown_bytes -= cost_bytes(held.segments.popleft())
        held.size_bytes += grown_bytes
        self._held_bytes += grown_bytes
        while self._held_bytes > self._total_bytes and len(self._streams) > 1:
            self.forget(next(iter(self._streams)))

    def forget(self, stream: str) -> None:
        """Drop a stream's tail; the log still has it all."""
        if (held := self._streams.pop(stream, None)) is not None:
            self._held_bytes -= held.size_bytes

    def read(self, stream: str, after: int, limit: int, size_bytes: int) -> list[Segment] | None:
        """Return the segments that follow `after`, or None where the tail cannot tell."""
        held = self._streams.get(stream)
        if held is None:
            return None
        segments = held.segments
        if after + 1 < segments[0].first or after > segments[-1].last:
            return None
        return page(_newest(segments, after), after, limit, size_bytes)


def _newest(segments: deque[Segment], after: int) -> Iterable[Segment]:
    """Return the segments that reach past `after`; most readers are at the live end."""
    newest = segments[-1]
    if newest.first <= after + 1:
        return () if after >= newest.last else (newest,)
    return islice(segments, bisect_right(segments, after, key=attrgetter("last")), None)


def page(segments: Iterable[Segment], after: int, limit: int, size_bytes: int) -> list[Segment]:
    """Cut `segments` to what follows `after`, at most `limit` events, and about `size_bytes`."""
    chosen: list[Segment] = []
    for segment in segments:
        piece = segment.after(after)
        if piece.count > limit:
            piece = Segment(piece.records[:limit])
        chosen.append(piece)
        limit -= piece.count
        size_bytes -= piece.size_bytes
        if limit <= 0 or size_bytes <= 0:
            break
    return chosen


class Subscription:
    """A reader's place in a stream: call `read` until it returns nothing, then `wait`."""

    __slots__ = ("_limit", "cursor", "ended", "hub", "log", "stream", "terminal")

    def __init__(
        self, log: EventLog, hub: Hub, stream: str, *, after: int, terminal: str | None
    ) -> None:
        """Begin after the cursor.

        Args:
            terminal: the kind that ends this stream; None for a stream without end.
        """
        self.log, self.hub = log, hub
        self.stream, self.cursor, self.terminal = stream, after, terminal
        self.ended = False  # the terminal event has been read
        self._limit = limits.FIRST_READ_EVENTS_MAX

    def read(self) -> list[Segment]:
        """Return the next page and move past it; empty when everything so far has been read."""
        segments = self.log.read(self.stream, after=self.cursor, limit=self._limit)
        self._limit = min(self._limit * limits.READ_GROWTH, limits.READ_EVENTS_MAX)
        if segments:
            newest = segments[-1].newest
            self.cursor, self.ended = newest.sequence, newest.kind == self.terminal
        return segments

    async def wait(self) -> None:
        """Wait until the stream has grown past what `read` has returned."""
        await self.hub.wait(self.stream)
