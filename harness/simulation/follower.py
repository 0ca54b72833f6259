"""A reader that comes and goes: it follows one log, is cut off anywhere, and resumes by its cursor.

Theory: over all its connections the frames it was sent must be the sequences after its first
cursor, one after the other: one piece of the log with nothing missing and nothing doubled.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from http import HTTPStatus

import trio

from harness.simulation.badges import Badge, Badges
from harness.simulation.network import ROOM_BYTES
from harness.simulation.oracle import Oracle
from harness.simulation.wire import Asked, Garbled, Lost
from runtime.events import JOB_END

Connect = Callable[[str, int], Asked | None]


@dataclass(slots=True, eq=False)
class Follower:
    """One reader of one stream."""

    name: str
    caller: str
    badges: Badges
    stream: str  # `jobs/<id>` or `conversations/<id>`
    oracle: Oracle
    note: Callable[..., None]
    cursor: int | None = 0  # None: wherever the log is when it connects
    ended: bool = False  # it has read the terminal event, or was told that there is no more
    connected: bool = False
    reading: bool = False  # it has been let in and has not been sent away
    by_header: bool = True  # resumes by Last-Event-ID, else by ?after=
    room: int = ROOM_BYTES  # what its connection holds
    worn: Badge | None = None  # the token that it came with
    asked: Asked | None = None  # while it is connected
    reading_since: float = 0.0
    stalled_until: float = 0.0
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)

    async def run(self, connect: Connect) -> None:
        """Follow until the log ends, the connection is lost, or `drop`."""
        self.connected, self.scope = True, trio.CancelScope()
        try:
            with self.scope:
                await self._follow(connect)
        except Lost:
            self.note("lost", self.name, self.cursor)
        except Garbled as garbled:
            self.oracle.wrong("only the contract's blocks", self.name, garbled)
        finally:
            self.connected = self.reading = False

    def drop(self) -> None:
        """Let go of the connection, keep the cursor."""
        self.stalled_until, self.reading = 0.0, False
        self.scope.cancel()

    async def _follow(self, connect: Connect) -> None:
        self.worn = badge = self.badges.of(self.caller)
        exchange = connect(badge.secret, self.room)
        if exchange is None:
            raise Lost("nobody listens")
        self.asked = exchange
        try:
            await self._ask(exchange, badge)
        finally:
            self.asked = None
            exchange.hang_up()

    def stall(self, seconds: float) -> None:
        """Read nothing for a while, and keep the connection."""
        self.stalled_until = max(self.stalled_until, trio.current_time() + seconds)
        if self.asked is not None:
            self.asked.incoming.room = 0  # its window closes: nothing more goes through

    @property
    def stalled(self) -> bool:
        """Whether it reads nothing just now."""
        return trio.current_time() < self.stalled_until

    async def _ask(self, exchange: Asked, badge: Badge) -> None:
        headers, query = {"Accept": "text/event-stream"}, ""
        if self.cursor is None:
            query = "?after=now"
        elif self.by_header and self.cursor:
            headers["Last-Event-ID"] = str(self.cursor)
        else:
            query = f"?after={self.cursor}"
        await exchange.send("GET", f"/api/{self.stream}/events{query}", headers=headers)
        await self._while_stalled(exchange)
        status, _ = await exchange.head()
        self.note("follow", self.name, self.stream, self.cursor, status)
        if status == HTTPStatus.NO_CONTENT:
            self._end_at_head()
        elif status == HTTPStatus.UNAUTHORIZED and self.badges.state(badge) != "alive":
            return  # it ended while we came
        elif status != HTTPStatus.OK:
            self.oracle.wrong("a reader is let in", self.name, self.stream, status)
        else:
            await self._read(exchange)

    async def _read(self, exchange: Asked) -> None:
        self.reading, self.reading_since = True, trio.current_time()
        async with aclosing(exchange.frames()) as frames:
            async for frame in frames:
                await self._while_stalled(exchange)
                if frame.event is None:
                    if self.cursor is None:
                        self.cursor = frame.id
                    if frame.id != self.cursor:
                        self.oracle.wrong("the cursor comes back", self.name, frame.id, self.cursor)
                    continue
                if self.cursor is None or frame.id != self.cursor + 1:
                    self.oracle.wrong(
                        "nothing is missing or doubled",
                        self.name,
                        self.stream,
                        self.cursor,
                        frame.id,
                    )
                if self.ended:
                    self.oracle.wrong("nothing follows the end", self.name, self.stream, frame.id)
                self.cursor = frame.id
                self.note("frame", self.name, frame.id, frame.event)
                self.oracle.read(self.name, self.stream, frame.id, frame.data)
                self.ended = frame.event == JOB_END and self.stream.startswith("jobs/")

    async def _while_stalled(self, exchange: Asked) -> None:
        while self.stalled:  # noqa: ASYNC110  it may be told to stall on
            await trio.sleep_until(self.stalled_until)
        exchange.incoming.room = self.room or ROOM_BYTES

    def _end_at_head(self) -> None:
        job_id = self.stream.partition("/")[2]
        length = len(self.oracle.logs.get(self.stream, ()))
        if not self.oracle.ended(job_id) or self.cursor not in (None, length):
            self.oracle.wrong("204 is said at the terminal event", self.name, self.cursor, length)
        self.cursor, self.ended = length, True
