"""A stream as server-sent events: `data` with what was appended, `control` with where that ends.

Every event has an id, the offset after it, so that a browser comes back to where it was. What is
committed together is one `data` event and its `control`, rendered once for all readers who are told
the same. The answer ends with the stream, when it is deleted, and after a minute: whoever reads
comes back with its offset. Source: Durable Streams protocol 1.0, section 5.8; WHATWG HTML 9.2.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from quart import Response

from actors.streams import view as stream_view
from actors.streams.body import is_json, is_text
from actors.streams.view import Link, View
from runtime import limits
from runtime.caller import Caller
from runtime.clock import Clock
from runtime.hub import Hub
from runtime.log import EventLog, Segment
from runtime.offsets import offset_of
from transports.ingress.http.durable.cursors import interval_at
from transports.ingress.http.durable.pages import plain, values
from transports.ingress.http.following import Following
from transports.ingress.http.pump import Load
from transports.ingress.http.readers import Readers
from transports.ingress.http.sse import MEDIA_TYPE, RETRY

LINE_END: Final = re.compile(rb"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Frames:
    """Renders a segment as `data` and `control`; equal for readers who are told the same."""

    json: bool
    text: bool
    base: int
    cursor: int
    up_to_date: bool
    closed: bool

    def __call__(self, segment: Segment) -> bytes:
        """Return both events."""
        offset = offset_of(self.base + segment.last)
        data = segment.render_whole(values if self.json else plain)
        if self.json:
            data = b"[%b]" % data
        if not self.text:
            data = base64.b64encode(data)
        if b"\n" in data or b"\r" in data or data.startswith(b" "):
            data = lines(data)
        frame = b"id: %b\nevent: data\ndata:%b\n\n" % (offset.encode(), data)
        return frame + control(offset, self.cursor, up_to_date=self.up_to_date, closed=self.closed)


def lines(data: bytes) -> bytes:
    """Return text as the lines of one event: no line of it may end the event or lose its indent."""
    each = (b" " + line if line.startswith(b" ") else line for line in LINE_END.split(data))
    return b"\ndata:".join(each)


def control(offset: str, cursor: int, *, up_to_date: bool, closed: bool) -> bytes:
    """Return the event that says where the reader stands."""
    if closed:
        rest = ',"upToDate":true,"streamClosed":true'
    else:
        rest = f',"streamCursor":"{cursor}"' + (',"upToDate":true' if up_to_date else "")
    body = f'{{"streamNextOffset":"{offset}"{rest}}}'
    return f"id: {offset}\nevent: control\ndata:{body}\n\n".encode()


@dataclass(frozen=True, slots=True)
class StreamCourse:
    """A stream as readers are told of it who have come to its own log, past those it forks from."""

    log: EventLog
    clock: Clock
    own: Link
    json: bool
    text: bool
    least_cursor: int

    @property
    def stream(self) -> str:
        """The log in which it grows."""
        return self.own.stream

    def cursor(self) -> int:
        """Return the cursor of the moment."""
        return max(self.least_cursor, interval_at(self.clock.now_ms()))

    def load(self, after: int) -> Load | None:
        """Return the next page after a sequence of the stream."""
        found = self.log.read(self.stream, after=after - self.own.base)
        return self.rendered([(self.own, segment) for segment in found]) if found else None

    def rendered(
        self, found: Sequence[tuple[Link, Segment]], most: int = limits.READ_EVENTS_MAX
    ) -> Load:
        """Return a page, of at most so many events, as its readers are sent it."""
        count = sum(segment.count for _, segment in found)
        last_link, last = found[-1]
        caught_up = (
            last_link.last is None
            and sum(segment.size_bytes for _, segment in found) < limits.PAGE_BYTES
            and count < most
        )
        closed = caught_up and self._ends(last)
        cursor = self.cursor()
        pieces: list[bytes] = []
        for link, segment in found:
            told = (caught_up, closed) if segment is last else (False, False)
            frames = Frames(self.json, self.text, link.base, cursor, *told)
            pieces.append(segment.render_whole(frames))
        return Load(
            data=pieces[0] if len(pieces) == 1 else b"".join(pieces),
            events=count,
            reached=last_link.base + last.last,
            is_last=closed,
            is_all=caught_up,
        )

    def _ends(self, segment: Segment) -> bool:
        """Whether the stream ends with this segment; only a segment of the tail knows."""
        if segment.ends is not None:
            return segment.ends
        head = self.log.head(self.stream)
        return head is not None and head.ended and head.sequence == segment.last


class StreamReader(Following):
    """The body of one open event stream."""

    def __init__(
        self,
        *,
        caller: Caller,
        view: View,
        after: int,
        log: EventLog,
        hub: Hub,
        readers: Readers,
        clock: Clock,
        least_cursor: int,
        permitted: Callable[[], Awaitable[object]],
    ) -> None:
        """Follow a stream.

        Args:
            least_cursor: none smaller is told.
            permitted: raises a Problem once the caller may no longer read, or nothing is there.
        """
        super().__init__(
            caller=caller,
            hub=hub,
            readers=readers,
            permitted=permitted,
            first=RETRY,
            recheck_s=min(limits.RECHECK_S, view.ttl_s / 2 if view.ttl_s else limits.RECHECK_S),
            lasts_s=limits.ROTATE_S,
        )
        if least_cursor <= interval_at(clock.now_ms()):
            least_cursor = 0  # of no account: it is told what all are told
        json, text = is_json(view.content_type), is_text(view.content_type)
        self._known = StreamCourse(log, clock, view.own, json, text, least_cursor)
        self._log, self._links, self._after = log, view.links, after
        self._most = limits.FIRST_READ_EVENTS_MAX  # events of a page
        self._told = False  # that it is up to date

    def _streams(self) -> tuple[str, ...]:
        return (self._known.stream,)

    def _pending(self) -> bytes:
        most = self._most
        self._most = min(most * limits.READ_GROWTH, limits.READ_EVENTS_MAX)
        found = list(stream_view.read(self._log, self._links, self._after, most))
        if not found:
            return self._tell()
        load = self._known.rendered(found, most)
        self._readers.metrics.reader_lag.observe(load.events)
        self._after, self._told, self._over = load.reached, load.is_all, load.is_last
        return load.data

    def _tell(self) -> bytes:
        """Return what to say to a reader who has read all: once that it has, and the end."""
        own = self._known.own
        head = self._log.head(own.stream)
        if head is None:
            self._over = True  # erased
            return b""
        closed = head.ended and own.base + head.sequence == self._after
        if self._told and not closed:
            return b""
        self._told, self._over = True, closed
        offset = offset_of(self._after)
        return control(offset, self._known.cursor(), up_to_date=True, closed=closed)

    def _place(self) -> tuple[StreamCourse, int]:
        return self._known, self._after

    def _move(self, reached: int, *, was_last: bool) -> None:
        self._after, self._over = reached, was_last


def answer(reader: StreamReader, content_type: str) -> Response:
    """Return the answer that sends a reader's bytes as they come."""
    response = Response(reader, content_type=MEDIA_TYPE)
    response.timeout = None  # Quart's 60 s would cut it
    response.headers["Cache-Control"] = "no-cache, no-store"
    response.headers["X-Accel-Buffering"] = "no"
    if not is_text(content_type):
        response.headers["Stream-SSE-Data-Encoding"] = "base64"
    return response
