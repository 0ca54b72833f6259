"""A job's log sent in another API's words, as server-sent events: the body of such an answer.

What its frames are, a projection says; everything that is sent has been committed. How it goes on
in the course of time is the same as for every stream (`following`). Whoever waits in the foreground
and leaves has the job ended; else it runs on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from quart import Response

from runtime.caller import Caller
from runtime.log import Record, Subscription
from transports.ingress.http.context import Services
from transports.ingress.http.following import HEARTBEAT, Following
from transports.ingress.http.negotiation import SSE
from transports.ingress.http.readers import Readers
from transports.ingress.http.sse import RETRY

DONE: Final = b"data: [DONE]\n\n"
Frames = Callable[[Record], Iterable[bytes]]  # of the next record of the log


class EventStream(Following):
    """The body of an answer that sends the frames of a log to its end."""

    farewell = RETRY

    def __init__(
        self,
        log: Subscription,
        frames: Frames,
        *,
        caller: Caller,
        readers: Readers,
        permitted: Callable[[], Awaitable[None]],
        left: Callable[[], None] | None,
    ) -> None:
        """Begin before the first record.

        Args:
            permitted: raises a Problem once the caller may no longer read.
            left: called where the reader leaves before the end.
        """
        super().__init__(
            caller=caller, hub=log.hub, readers=readers, permitted=permitted, first=b""
        )
        self._log, self._frames, self._left = log, frames, left
        self._refused = False

    async def __aexit__(self, *how: object) -> None:
        await super().__aexit__(*how)
        if self._left is not None and not self._over:
            self._left()

    async def __anext__(self) -> bytes:
        """Return what is pending, or wait for it; who may no longer read is told when to retry."""
        try:
            return await super().__anext__()
        except StopAsyncIteration:
            if not self._refused:
                raise
            self._refused = False
            return RETRY

    async def _may_go_on(self) -> bool:
        self._refused = not await super()._may_go_on()
        return not self._refused

    def _streams(self) -> tuple[str, ...]:
        return (self._log.stream,)

    def _pending(self) -> bytes:
        if not (segments := self._log.read()):
            return b""
        records = (record for segment in segments for record in segment.records)
        data = b"".join(frame for record in records for frame in self._frames(record))
        self._over = self._log.ended
        return data or HEARTBEAT  # what makes no frame says at least that it is still there


def streamed(
    known: Services,
    caller: Caller,
    log: Subscription,
    frames: Frames,
    *,
    permitted: Callable[[], Awaitable[None]],
    left: Callable[[], None] | None = None,
) -> Response:
    """Return the answer that sends the frames of a log; see `EventStream`.

    Raises:
        TooManyRequests: the caller has as many streams open as it may.
    """
    known.readers.admit(caller)
    body = EventStream(
        log, frames, caller=caller, readers=known.readers, permitted=permitted, left=left
    )
    response = Response(body, content_type=SSE)
    response.timeout = None  # it has no end of its own
    response.headers["X-Accel-Buffering"] = "no"  # nginx: send what there is
    return response
