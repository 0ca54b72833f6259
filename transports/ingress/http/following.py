"""The body of an open stream: what has been committed, then what comes, until one of its ends.

Everything that is pending goes out in one write; between two pages others get their turn. Silence
is broken by a comment; authorization is looked at again; a stop and a revocation end the stream
cleanly, and the reader's cursor stays good. Who has caught up over plain HTTP/1.1 is carried by a
pump, as soon as another follows the same. What is sent is made by the kinds of reader (`sse`,
`durable.events`). An iterator object and no async generator: a cancel scope must not stay open
across a yield. Source: contract section 3.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from math import inf
from typing import ClassVar, Final, Self

import trio
from quart.wrappers.response import ResponseBody

from runtime import limits
from runtime.caller import Caller
from runtime.hub import Hub
from runtime.problems import Problem
from transports.ingress.http.line import Line
from transports.ingress.http.pump import Course, Pump
from transports.ingress.http.readers import Readers

HEARTBEAT: Final = b":\n\n"


class Following(ResponseBody, AsyncIterator[bytes]):
    """What all open streams do in the course of time."""

    farewell: ClassVar[bytes] = b""  # said where the service ends the stream
    line: Line | None = None  # where parts may go straight to a plain socket

    def __init__(
        self,
        *,
        caller: Caller,
        hub: Hub,
        readers: Readers,
        permitted: Callable[[], Awaitable[object]],
        first: bytes,
        recheck_s: float = limits.RECHECK_S,
        lasts_s: float = inf,
    ) -> None:
        """Begin.

        Args:
            permitted: raises a Problem once the caller may no longer read, or nothing is there.
            first: sent before anything else.
            recheck_s: it is asked so often.
            lasts_s: the stream ends after so long, and its reader comes back.
        """
        self.caller = caller
        self.reached, self.was_last = 0, False  # where a pump has brought it
        self.unsent: memoryview | None = None  # and what it could not send of that
        self.timed_s: float | None = None  # when it is looked at (`Readers`)
        self._hub, self._readers, self._permitted, self._first = hub, readers, permitted, first
        self._held = b""  # a large page, until the greeting has gone before it
        self._over = False
        self._task: trio.lowlevel.Task | None = None  # while it waits
        self._beaten = False
        self._course: Course | None = None
        self._pump: Pump | None = None
        now_s = trio.current_time()
        self._rested_s, self._ends_s = now_s, now_s + lasts_s
        self._recheck_s, self._check_s = recheck_s, now_s + recheck_s

    @abstractmethod
    def _pending(self) -> bytes:
        """Return what has been committed and not been sent; at the end set `_over`."""

    @abstractmethod
    def _streams(self) -> tuple[str, ...]:
        """Return the streams whose announcements tell of more."""

    def _place(self) -> tuple[Course, int] | None:
        """Return what a pump could carry it on, and from where; None for nothing."""
        return None

    def _move(self, reached: int, *, was_last: bool) -> None:
        """Go on after what a pump has sent."""

    async def __aenter__(self) -> Self:
        self._readers.join(self)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._readers.leave(self)
        self._readers.stir(self)
        if self._course is not None:
            self._readers.pumps.leave(self._course)
            self._course = None

    def __aiter__(self) -> Self:
        return self

    @property
    def greets(self) -> bool:
        """Whether it has something to say at once."""
        return bool(self._first)

    @property
    def due_s(self) -> float:
        """When it has something to do even if nothing comes."""
        return min(self._silent_s, self._check_s, self._ends_s)

    @property
    def _silent_s(self) -> float:
        """When its silence has to be broken."""
        said_s = self._rested_s
        if self._pump is not None:
            said_s = max(said_s, self._pump.sent_s)
        return said_s + limits.HEARTBEAT_S

    def wake(self) -> None:
        """Let it look again at what it waits for."""
        if self._task is not None:
            self._hub.release(self._task)

    def beat(self) -> None:
        """Let it do what is due."""
        self._beaten = True
        self.wake()

    def write_now(self, data: bytes) -> int:
        """Return how many bytes its socket took, without waiting."""
        return self.line.write_now(data) if self.line is not None and self.line.write_now else 0

    async def __anext__(self) -> bytes:
        """Return all that is pending, at most about a page, or wait for it; or say goodbye."""
        waited = idle = False
        while self._held or not self._over:
            if trio.current_time() >= self._check_s and not await self._may_go_on():
                break
            if (data := self._held or self._pending()) or self._over:
                if not waited and not self._first:
                    await trio.lowlevel.checkpoint()  # a page just went out: others have a turn
                first, self._first = self._first, b""
                self._held = data if first and len(data) >= limits.PAGE_BYTES else b""
                return first if self._held else first + data  # all share a page: no copy
            if self._readers.draining or trio.current_time() >= self._ends_s:
                self._over = True
                if last := self._first or self.farewell:
                    return last
                break
            if self._first:
                first, self._first = self._first, b""
                return first
            if idle and not await self._may_go_on():
                break  # announced, and nothing there: the stream may be gone
            silent, idle = await self._wait(spoke=not waited)
            if silent:
                return HEARTBEAT
            waited = True
        self._over = True
        raise StopAsyncIteration

    async def _wait(self, *, spoke: bool) -> tuple[bool, bool]:
        """Wait; say whether the silence is to be broken, and whether it was woken for nothing."""
        if spoke:  # another look at the reader's right alone breaks no silence
            self._rested_s = trio.current_time()
        self._task, self._beaten = trio.lowlevel.current_task(), False
        self._readers.rest(self)
        was = self._board()
        try:
            await self._hub.wait_any(self._streams() if was is None else ())
        finally:
            self._task = None
            if was is not None and self._pump is not None:
                self._pump.let_off(self)
        silent = self._beaten and trio.current_time() >= self._silent_s
        if was is None or self.reached == was:
            return silent, not self._beaten
        self._move(self.reached, was_last=self.was_last)
        unsent, self.unsent = self.unsent, None
        if unsent is not None and self.line is not None:
            await self.line.write(unsent)
        return silent, False

    def _board(self) -> int | None:
        """Let a pump carry it from here where others go the same way; return the place."""
        if self.line is None or self.line.write_now is None or (place := self._place()) is None:
            return None
        course, reached = place
        if self._pump is None:
            self._course, self._pump = course, self._readers.pumps.join(course, self._hub)
        if self._pump.readers == 1:
            return None
        self._pump.take(self, reached)
        return reached

    async def _may_go_on(self) -> bool:
        """Look again at whether the caller may read, and whether there is still a stream."""
        self._check_s = trio.current_time() + self._recheck_s
        try:
            await self._permitted()
        except Problem:
            return False
        return True
