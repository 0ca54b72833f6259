"""A job's log sent in another API's words, as server-sent events: the body of such an answer.

What its frames are, a projection says; everything that is sent has been committed. Whoever waits in
the foreground and leaves has the job ended; else it runs on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from typing import Final, Self

import trio
from quart import Response
from quart.wrappers.response import ResponseBody

from runtime import limits
from runtime.caller import Caller
from runtime.log import Record, Subscription
from runtime.problems import Problem
from transports.ingress.http.context import Services
from transports.ingress.http.negotiation import SSE

RETRY: Final = b"retry: %d\n\n" % limits.RETRY_MS
DONE: Final = b"data: [DONE]\n\n"
STILL_THERE: Final = b":\n\n"  # says nothing: after a silence, and where a record makes no frame
Frames = Callable[[Record], Iterable[bytes]]  # of the next record of the log


class EventStream(ResponseBody, AsyncIterator[bytes]):
    """The body of an answer that sends the frames of a log to its end."""

    def __init__(
        self,
        known: Services,
        caller: Caller,
        log: Subscription,
        frames: Frames,
        *,
        permitted: Callable[[], None],
        left: Callable[[], None] | None,
    ) -> None:
        """Begin before the first record.

        Args:
            permitted: raises a Problem once the caller may no longer read.
            left: called where the reader leaves before the end.
        """
        self.caller = caller
        self._readers, self._permitted, self._left = known.readers, permitted, left
        self._log, self._frames = log, frames
        self._resting = trio.CancelScope()
        self._over = False
        self._checked_at_s = trio.current_time()

    async def __aenter__(self) -> Self:
        self._readers.join(self)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._readers.leave(self)
        if self._left is not None and not self._over:
            self._left()

    def __aiter__(self) -> Self:
        return self

    def wake(self) -> None:
        """Let a waiting reader look again: the service is stopping."""
        self._resting.cancel()

    async def __anext__(self) -> bytes:
        """Return all that is pending, at most about a page, or wait for it; or say goodbye."""
        if self._over:
            raise StopAsyncIteration
        waited = False
        while True:
            if not self._may_read():
                self._over = True
                return RETRY
            if data := self._pending():
                if not waited:
                    await trio.lowlevel.checkpoint()  # others have a turn between two pages
                return data
            if self._readers.draining:
                self._over = True
                return RETRY
            with trio.move_on_after(limits.HEARTBEAT_S) as self._resting:
                await self._log.wait()
            waited = True
            if self._resting.cancelled_caught and not self._readers.draining:
                return STILL_THERE

    def _may_read(self) -> bool:
        """Look again, once in a while, at whether the caller may read."""
        if trio.current_time() - self._checked_at_s < limits.RECHECK_S:
            return True
        self._checked_at_s = trio.current_time()
        try:
            self._permitted()
        except Problem:
            return False
        return True

    def _pending(self) -> bytes:
        if not (segments := self._log.read()):
            return b""
        records = (record for segment in segments for record in segment.records)
        data = b"".join(frame for record in records for frame in self._frames(record))
        self._over = self._log.ended
        return data or STILL_THERE


def streamed(
    known: Services,
    caller: Caller,
    log: Subscription,
    frames: Frames,
    *,
    permitted: Callable[[], None],
    left: Callable[[], None] | None = None,
) -> Response:
    """Return the answer that sends the frames of a log; see `EventStream`.

    Raises:
        TooManyRequests: the caller has as many streams open as it may.
    """
    known.readers.admit(caller)
    body = EventStream(known, caller, log, frames, permitted=permitted, left=left)
    response = Response(body, content_type=SSE)
    response.timeout = None  # it has no end of its own
    response.headers["X-Accel-Buffering"] = "no"  # nginx: send what there is
    return response
