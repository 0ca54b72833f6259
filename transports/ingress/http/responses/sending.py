"""From a response that has begun to what its caller is sent: one object, or events as they come.

Who waits in the foreground and leaves has the answer ended: nobody else waits for it, and it costs.
In the background it goes on. Everything that is sent has been committed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any, Final, Self

import trio
from quart import Response
from quart.wrappers.response import ResponseBody

from actors.ending import fold_log
from actors.responses_desk import Found
from runtime import limits
from runtime.caller import Caller
from runtime.events import one_line
from runtime.problems import Problem
from transports.ingress.http.context import Services
from transports.ingress.http.negotiation import SSE
from transports.ingress.http.operation import JSON, Call
from transports.ingress.http.responses.projection import Projection
from transports.ingress.http.responses.resource import Shown, Told, resource, told_by, told_of

RETRY: Final = b"retry: %d\n\n" % limits.RETRY_MS
DONE: Final = b"data: [DONE]\n\n"
STILL_THERE: Final = b":\n\n"  # says nothing: after a silence, and for events that were seen before


class EventStream(ResponseBody, AsyncIterator[bytes]):
    """The body of an answer that sends a response's events, those that follow a number."""

    def __init__(
        self,
        known: Services,
        caller: Caller,
        found: Found,
        *,
        after: int,
        permitted: Callable[[], None],
        left: Callable[[], None] | None,
    ) -> None:
        """Begin before the first event.

        Args:
            after: the number of the newest event that the reader has, -1 for none.
            permitted: raises a Problem once the caller may no longer read.
            left: called where the reader leaves before the end.
        """
        self.caller = caller
        self._readers, self._permitted, self._left = known.readers, permitted, left
        self._log, self._after = found.desk.log_of(found.job.id), after
        self._projection = Projection(Shown.of(found.turn, found.job))
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
        frames = [
            b"event: %b\ndata: %b\n\n" % (kind.encode(), data)
            for segment in segments
            for record in segment.records
            for number, kind, data in self._projection.take(record)
            if number > self._after
        ]
        if self._log.ended:
            self._over = True
            frames.append(DONE)
        return b"".join(frames) or STILL_THERE


def whole(found: Found) -> Response:
    """Return the answer that shows a response by its row, which tells all once it has ended."""
    return _answer(found, told_by(found.job))


def _answer(found: Found, told: Told) -> Response:
    body = one_line(resource(Shown.of(found.turn, found.job), told))
    return Response(body, 200, content_type=JSON)


async def as_it_stands(found: Found) -> Response:
    """Return the answer that shows a response, which may still be growing."""
    told = told_by(found.job)
    if found.job.ended_at_ms is None:
        state = await fold_log(found.desk.spine.log, found.job.id)
        if state.ended is not None:  # between the two looks
            return whole(await when_ended(found, awaited=False))
        told = told_of(state)
    return _answer(found, told)


async def when_ended(found: Found, *, awaited: bool = True) -> Found:
    """Wait for the end of a response; who leaves has it ended.

    Args:
        awaited: nobody but the caller waits for it.
    """
    try:
        row = await found.desk.ended(found.job.id)
    except trio.Cancelled:
        if awaited:
            found.desk.leave(found.job.id)
        raise
    return Found(desk=found.desk, turn=found.turn, job=row)


def streamed(
    known: Services, call: Call[Any, Any], found: Found, *, after: int = -1, awaited: bool = False
) -> Response:
    """Return the answer that sends a response's events, those that follow number `after`.

    Args:
        awaited: as `when_ended`.
    """
    known.readers.admit(call.caller)

    def permitted() -> None:
        caller = known.authenticator.authenticate(call.credentials)
        known.desk.responses.find(caller, found.job.id)

    left = partial(found.desk.leave, found.job.id) if awaited else None
    body = EventStream(known, call.caller, found, after=after, permitted=permitted, left=left)
    response = Response(body, content_type=SSE)
    response.timeout = None  # it has no end of its own
    response.headers["X-Accel-Buffering"] = "no"  # nginx: send what there is
    return response
