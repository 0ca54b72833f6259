"""Server-sent events: a log, or several, as one endless answer.

Everything that is pending goes out in one write, rendered once for all readers of a stream; between
two pages others get their turn. Silence is broken by a comment; authorization is looked at again;
a stop and a revocation end the stream cleanly, and the reader's cursor stays good. The answer is an
iterator object and no async generator: a cancel scope must not stay open across a yield.
Source: WHATWG HTML section 9.2, contract section 3.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Self

import orjson
import trio
from quart import Response
from quart.wrappers.response import ResponseBody

from runtime import limits
from runtime.caller import Caller
from runtime.hub import Hub
from runtime.log import Record, Subscription
from runtime.problems import Problem
from transports.ingress.http.readers import Readers

MEDIA_TYPE: Final = "text/event-stream"
RETRY: Final = b"retry: %d\n\n" % limits.RETRY_MS
OPENING: Final = b"retry: %d\n:%s\n\n" % (limits.RETRY_MS, b" " * limits.OPENING_BYTES)
HEARTBEAT: Final = b":\n\n"


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


class Reader(ResponseBody, AsyncIterator[bytes]):
    """The body of one open stream."""

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
        self.caller = caller
        self._follows, self._hub, self._readers = list(follows), hub, readers
        self._ends = ends
        self._permitted, self._first = permitted, first
        self._task: trio.lowlevel.Task | None = None  # while it waits
        self._silent = False  # for so long that a heartbeat is due
        self._over = False
        self._checked_at_s = trio.current_time()

    async def __aenter__(self) -> Self:
        self._readers.join(self)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._readers.leave(self)

    def __aiter__(self) -> Self:
        return self

    def wake(self) -> None:
        """Let a waiting reader look again: the service is stopping."""
        if self._task is not None:
            self._hub.release(self._task)

    def beat(self) -> None:
        """Let a waiting reader send a heartbeat."""
        self._silent = True
        self.wake()

    async def __anext__(self) -> bytes:
        """Return all that is pending, at most about a page, or wait for it; or say goodbye."""
        if self._over:
            raise StopAsyncIteration
        waited = False
        while True:
            if trio.current_time() - self._checked_at_s >= limits.RECHECK_S:
                await self._check()
            data = self._pending()
            if data or self._over:
                if not waited and not self._first:
                    await trio.lowlevel.checkpoint()  # a page just went out: others have a turn
                first, self._first = self._first, b""
                return first + data
            if self._first or self._readers.draining:
                return self._greet_or_leave()
            if not await self._wait():
                return HEARTBEAT
            waited = True

    def _pending(self) -> bytes:
        """Return what has been committed and not been sent, and note the streams that ended."""
        if self._over:
            return b""
        pieces: list[bytes] = []
        size_bytes = lag = 0
        for follow in tuple(self._follows):
            subscription, render = follow
            for segment in subscription.read():
                pieces.append(rendered := segment.render(render))
                size_bytes += len(rendered)
                lag += len(segment.records)
            if subscription.ended:
                self._follows.remove(follow)
            if size_bytes >= limits.PAGE_BYTES:
                break
        if lag:
            self._readers.metrics.reader_lag.observe(lag)
        self._over = self._ends and not self._follows
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _greet_or_leave(self) -> bytes:
        first, self._first = self._first, b""
        if self._readers.draining:
            self._over = True
            return first or RETRY
        return first

    async def _wait(self) -> bool:
        """Wait for something to send; False where a heartbeat is due."""
        self._task, self._silent = trio.lowlevel.current_task(), False
        self._readers.rest(self)
        try:
            await self._hub.wait_any(tuple([each.stream for each, _ in self._follows]))
        finally:
            self._readers.stir(self)
            self._task = None
        return not self._silent

    async def _check(self) -> None:
        """Look again at whether the caller may read; end the stream where not."""
        self._checked_at_s = trio.current_time()
        try:
            await self._permitted()
        except Problem:
            self._over = True


def stream(reader: Reader) -> Response:
    """Return the answer that sends a reader's bytes as they come."""
    response = Response(reader, content_type=MEDIA_TYPE)
    response.timeout = None  # it has no end; Quart's 60 s would cut it
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"  # nginx: send what there is
    return response
