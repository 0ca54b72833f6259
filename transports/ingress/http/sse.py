"""Server-sent events: a log, or several, as one endless answer.

An event is rendered once for all readers of a stream. How a stream goes on in the course of time is
the same for all of them (`following`). Source: WHATWG HTML section 9.2, contract section 3.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import orjson
from quart import Response

from runtime import limits
from runtime.caller import Caller
from runtime.hub import Hub
from runtime.log import EventLog, Record, Subscription
from transports.ingress.http.following import Following
from transports.ingress.http.pump import Load
from transports.ingress.http.readers import Readers

MEDIA_TYPE: Final = "text/event-stream"
RETRY: Final = b"retry: %d\n\n" % limits.RETRY_MS
OPENING: Final = b"retry: %d\n:%s\n\n" % (limits.RETRY_MS, b" " * limits.OPENING_BYTES)


def frame(record: Record) -> bytes:
    """Return the record as an event whose id is its sequence: a browser resumes by itself."""
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (
        record.sequence,
        record.kind.encode(),
        record.body,
    )


@dataclass(frozen=True, slots=True)
class FeedFrame:
    """Renders records of one stream for a feed; equal for equal streams, so that it is shared."""

    stream: str

    def __call__(self, record: Record) -> bytes:
        """Return the record as an event without an id: a feed has no one cursor."""
        return b'event: %b\ndata: {"stream": %b, "event": %b}\n\n' % (
            record.kind.encode(),
            orjson.dumps(self.stream),
            record.body,
        )


def opening(cursor: int | None) -> bytes:
    """Return the first bytes of a stream; the block with an id sets the browser's cursor."""
    return OPENING if cursor is None else OPENING + b"id: %d\n\n" % cursor


@dataclass(frozen=True, slots=True)
class LogCourse:
    """A log as its readers are told of it."""

    log: EventLog
    stream: str
    terminal: str | None

    def load(self, after: int) -> Load | None:
        """Return the next page after a sequence."""
        segments = self.log.read(self.stream, after=after)
        if not segments:
            return None
        newest = segments[-1].newest
        return Load(
            data=b"".join([segment.render(frame) for segment in segments]),
            events=sum(segment.count for segment in segments),
            reached=newest.sequence,
            is_last=newest.kind == self.terminal,
        )


class Reader(Following):
    """The body of one open stream of events."""

    farewell = RETRY

    def __init__(
        self,
        *,
        caller: Caller,
        follows: Sequence[tuple[Subscription, Callable[[Record], bytes]]],
        hub: Hub,
        readers: Readers,
        permitted: Callable[[], Awaitable[None]],
        first: bytes,
        ends: bool = True,
    ) -> None:
        """Follow one subscription, or several.

        Args:
            follows: each with what renders its records.
            ends: whether the answer ends once every stream has ended.
            permitted: raises a Problem once the caller may no longer read.
            first: sent before anything else.
        """
        super().__init__(caller=caller, hub=hub, readers=readers, permitted=permitted, first=first)
        self._follows, self._ends = list(follows), ends

    def _streams(self) -> tuple[str, ...]:
        return tuple([place.stream for place, _ in self._follows])

    def _pending(self) -> bytes:
        pieces: list[bytes] = []
        size_bytes = lag = 0
        for follow in tuple(self._follows):
            place, render = follow
            for segment in place.read():
                pieces.append(rendered := segment.render(render))
                size_bytes += len(rendered)
                lag += segment.count
            if place.ended:
                self._follows.remove(follow)
            if size_bytes >= limits.PAGE_BYTES:
                break
        if lag:
            self._readers.metrics.reader_lag.observe(lag)
        self._over = self._ends and not self._follows
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _place(self) -> tuple[LogCourse, int] | None:
        if len(self._follows) != 1:
            return None
        place, render = self._follows[0]
        if render is not frame:
            return None
        return LogCourse(place.log, place.stream, place.terminal), place.cursor

    def _move(self, reached: int, *, was_last: bool) -> None:
        place, _ = self._follows[0]
        place.cursor, place.ended = reached, was_last
        self._over = self._ends and was_last


def stream(reader: Reader) -> Response:
    """Return the answer that sends a reader's bytes as they come."""
    response = Response(reader, content_type=MEDIA_TYPE)
    response.timeout = None  # it has no end; Quart's 60 s would cut it
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"  # nginx: send what there is
    return response
