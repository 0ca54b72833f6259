"""A stream as server-sent events: `data` with what was appended, `control` with where that ends.

Every event has an id, the offset after it, so that a browser comes back to where it was. What is
committed together is one `data` event and its `control`, rendered once for all readers who are told
the same. The answer ends with the stream, when it is deleted, and after a minute: whoever reads
comes back with its offset. Source: Durable Streams protocol 1.0, section 5.8; WHATWG HTML 9.2.
"""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Self

import trio
from quart import Response
from quart.wrappers.response import ResponseBody

from actors import stream_view
from actors.stream_body import is_json, is_text
from actors.stream_view import Link, View
from runtime import limits
from runtime.caller import Caller
from runtime.hub import Hub
from runtime.log import EventLog, Segment
from runtime.offsets import offset_of
from runtime.problems import Problem
from transports.ingress.http.durable.pages import after_comma, plain
from transports.ingress.http.readers import Readers
from transports.ingress.http.sse import HEARTBEAT, MEDIA_TYPE, RETRY

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
        data = segment.render(after_comma if self.json else plain)
        if self.json:
            data = b"[" + data[1:] + b"]"
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


class StreamReader(ResponseBody, AsyncIterator[bytes]):
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
        cursor: Callable[[], int],
        least_cursor: int,
        permitted: Callable[[], Awaitable[object]],
    ) -> None:
        """Follow a stream.

        Args:
            cursor: makes the cursor of the moment.
            least_cursor: none smaller is told.
            permitted: raises a Problem once the caller may no longer read, or nothing is there.
        """
        self.caller = caller
        self._links, self._after = view.links, after
        self._json, self._text = is_json(view.content_type), is_text(view.content_type)
        self._log, self._hub, self._readers = log, hub, readers
        self._cursor, self._least_cursor, self._permitted = cursor, least_cursor, permitted
        self._first = RETRY
        self._told = False  # that it is up to date
        self._over = False
        self._waiting: trio.CancelScope | None = None
        now_s = trio.current_time()
        self._ends_at_s = now_s + limits.ROTATE_S
        self._recheck_s = min(limits.RECHECK_S, view.ttl_s / 2 if view.ttl_s else limits.RECHECK_S)
        self._check_at_s = now_s + self._recheck_s

    async def __aenter__(self) -> Self:
        self._readers.join(self)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._readers.leave(self)

    def __aiter__(self) -> Self:
        return self

    def wake(self) -> None:
        """Let a waiting reader look again: the service is stopping."""
        if self._waiting is not None:
            self._waiting.cancel()

    async def __anext__(self) -> bytes:
        """Return all that is pending, at most about a page, or wait for it; or say goodbye."""
        waited = woken = False
        while not self._over:
            if trio.current_time() >= self._check_at_s and not await self._may_go_on():
                break
            if data := self._pending():
                if not waited and not self._first:
                    await trio.lowlevel.checkpoint()  # a page just went out: others have a turn
                first, self._first = self._first, b""
                return first + data
            if self._readers.draining or trio.current_time() >= self._ends_at_s:
                break
            if woken and not await self._may_go_on():
                break  # woken for nothing: the stream may have been deleted
            beat_s = trio.current_time() + limits.HEARTBEAT_S
            woken, waited = await self._silence(beat_s), True
            if not woken and trio.current_time() >= beat_s and not self._readers.draining:
                return HEARTBEAT
        self._over = True
        raise StopAsyncIteration

    def _pending(self) -> bytes:
        """Return what has been committed and not been sent, or that there is nothing more."""
        if self._over:
            return b""
        found = list(stream_view.read(self._log, self._links, self._after))
        if not found:
            return self._tell()
        size_bytes = sum(segment.size_bytes for _, segment in found)
        count = sum(len(segment.records) for _, segment in found)
        last_link, last = found[-1]
        caught_up = (
            last_link.last is None
            and size_bytes < limits.PAGE_BYTES
            and count < limits.READ_EVENTS_MAX
        )
        self._readers.metrics.reader_lag.observe(count)
        self._after = last_link.base + last.last
        closed = caught_up and self._ends(last_link, last)
        cursor = self._make_cursor()
        pieces = [
            segment.render_whole(self._frames(link, cursor, up_to_date=False, closed=False))
            for link, segment in found[:-1]
        ]
        frames = self._frames(last_link, cursor, up_to_date=caught_up, closed=closed)
        pieces.append(last.render_whole(frames))
        self._told, self._over = caught_up, closed
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _frames(self, link: Link, cursor: int, *, up_to_date: bool, closed: bool) -> Frames:
        return Frames(self._json, self._text, link.base, cursor, up_to_date, closed)

    def _tell(self) -> bytes:
        """Return what to say to a reader who has read all: once that it has, and the end."""
        own = self._links[-1]
        head = self._log.head(own.stream)
        if head is None:
            self._over = True  # erased
            return b""
        closed = head.ended and own.base + head.sequence == self._after
        if self._told and not closed:
            return b""
        self._told, self._over = True, closed
        offset = offset_of(self._after)
        return control(offset, self._make_cursor(), up_to_date=True, closed=closed)

    def _ends(self, link: Link, segment: Segment) -> bool:
        """Whether the stream ends with this segment; only a segment of the tail knows."""
        if segment.ends is not None:
            return segment.ends
        head = self._log.head(link.stream)
        return head is not None and head.ended and head.sequence == segment.last

    def _make_cursor(self) -> int:
        return max(self._least_cursor, self._cursor())

    async def _silence(self, beat_s: float) -> bool:
        """Wait for something to send or to do; True where the stream woke us."""
        until_s = min(beat_s, self._check_at_s, self._ends_at_s)
        with trio.CancelScope(deadline=until_s) as scope:
            self._waiting = scope
            await self._hub.wait(self._links[-1].stream)
        self._waiting = None
        return not scope.cancelled_caught

    async def _may_go_on(self) -> bool:
        """Look again at whether the caller may read, and whether there is still a stream."""
        self._check_at_s = trio.current_time() + self._recheck_s
        try:
            await self._permitted()
        except Problem:
            return False
        return True


def answer(reader: StreamReader, content_type: str) -> Response:
    """Return the answer that sends a reader's bytes as they come."""
    response = Response(reader, content_type=MEDIA_TYPE)
    response.timeout = None  # Quart's 60 s would cut it
    response.headers["Cache-Control"] = "no-cache, no-store"
    response.headers["X-Accel-Buffering"] = "no"
    if not is_text(content_type):
        response.headers["Stream-SSE-Data-Encoding"] = "base64"
    return response
