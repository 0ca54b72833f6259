"""The network of a run: byte streams in memory that hold little, stall, and can be cut anywhere.

Theory: a peer that reads nothing fills what lies between, and then the writer waits, as it does
over a socket; `room` says how much lies between. One reader and one writer a direction, so a wait
is one parked task. Who reads first takes a turn of the loop; who writes takes one too.
Source: trio's memory streams, which hold any amount.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import trio
from trio.lowlevel import Abort, Task

ROOM_BYTES: Final = 64 * 1024


class Line:
    """One direction: what is put in comes out in order, until it is closed or broken."""

    __slots__ = ("_pieces", "_reader", "_writer", "broken", "closed", "full_since", "held", "room")

    def __init__(self, room: int = ROOM_BYTES) -> None:
        self.room, self.held = room, 0
        self.closed = self.broken = False  # ended by the writer; refused by the reader
        self.full_since: float | None = None  # since when the writer has waited for the reader
        self._pieces: deque[bytes] = deque()
        self._reader: Task | None = None
        self._writer: Task | None = None

    async def put(self, piece: bytes | memoryview) -> None:
        """Send; wait while more than `room` bytes have not been taken.

        Raises:
            BrokenResourceError: nobody will ever read it.
            ClosedResourceError: it was closed here.
        """
        await trio.lowlevel.checkpoint()
        self._check()
        if not piece:
            return  # httpcore writes one at the end of a request
        self._pieces.append(bytes(piece))
        self.held += len(piece)
        self._wake_reader()
        if self.held <= self.room:
            return
        self.full_since = trio.current_time()
        try:
            while self.held > self.room and not self.broken:
                self._writer = trio.lowlevel.current_task()
                await trio.lowlevel.wait_task_rescheduled(self._stop_writing)
        finally:
            self._writer = self.full_since = None
        self._check()

    def put_now(self, data: bytes | memoryview) -> int:
        """Send what there is room for, and return how many bytes that is.

        Raises:
            BrokenResourceError, ClosedResourceError: as `put`.
        """
        self._check()
        piece = bytes(data[: max(0, self.room - self.held)])
        if piece and self._writer is None:
            self._pieces.append(piece)
            self.held += len(piece)
            self._wake_reader()
            return len(piece)
        return 0

    @property
    def ended(self) -> bool:
        """Whether nothing that is put in would be read."""
        return self.closed or self.broken

    async def wait(self) -> None:
        """Wait for a byte, or the end."""
        if not self._pieces and not self.ended:
            self._reader = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._stop_reading)
        else:
            await trio.lowlevel.checkpoint()

    def _check(self) -> None:
        if self.closed:
            raise trio.ClosedResourceError
        if self.broken:
            raise trio.BrokenResourceError

    async def get(self, most: int) -> bytes:
        """Return what has come, at most so much of it; wait for a byte; b"" is the end.

        Raises:
            BrokenResourceError: the line has been torn down.
        """
        await self.wait()
        if self.broken:
            raise trio.BrokenResourceError
        data = b"".join(self._pieces)
        self._pieces.clear()
        if len(data) > most:
            data, rest = data[:most], data[most:]
            self._pieces.append(rest)
        self.held -= len(data)
        if self._writer is not None and self.held <= self.room:
            self._wake_writer()
        elif data and self.full_since is not None:
            self.full_since = trio.current_time()
        return data

    def _stop_reading(self, _: object) -> Abort:
        self._reader = None
        return Abort.SUCCEEDED

    def _stop_writing(self, _: object) -> Abort:
        self._writer = None
        return Abort.SUCCEEDED

    def _wake_reader(self) -> None:
        if self._reader is not None:
            trio.lowlevel.reschedule(self._reader)
            self._reader = None

    def _wake_writer(self) -> None:
        if self._writer is not None:
            trio.lowlevel.reschedule(self._writer)
            self._writer = None

    def close(self) -> None:
        """Say that nothing follows."""
        self.closed = True
        self._wake_reader()

    def tear(self) -> None:
        """Lose what is on the way; both ends hear of it."""
        self.broken = True
        self._pieces.clear()
        self._wake_reader()
        self._wake_writer()


class Pipe(trio.abc.HalfCloseableStream):
    """One end of a connection."""

    def __init__(self, incoming: Line, outgoing: Line) -> None:
        self.incoming, self.outgoing = incoming, outgoing

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self.outgoing.put(memoryview(data))

    def write_now(self, data: bytes | memoryview) -> int:
        """Send what there is room for, as a socket that does not block, and say how much it was.

        Raises:
            BlockingIOError: there is no room.
            ConnectionError: nobody will ever read it.
        """
        try:
            sent = self.outgoing.put_now(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as gone:
            raise ConnectionError from gone
        if data and not sent:
            raise BlockingIOError
        return sent

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        return await self.incoming.get(max_bytes or ROOM_BYTES)

    async def send_eof(self) -> None:
        self.outgoing.close()
        await trio.lowlevel.checkpoint()

    def hang_up(self) -> None:
        """Close this end: the other reads what is on the way, and cannot write any more."""
        self.outgoing.close()
        self.incoming.tear()

    def reset(self) -> None:
        """Break the connection for both, as a reset does."""
        self.outgoing.tear()
        self.incoming.tear()

    async def aclose(self) -> None:
        self.hang_up()
        await trio.lowlevel.checkpoint()


def pair(room: int = ROOM_BYTES) -> tuple[Pipe, Pipe]:
    """Return the two ends of a new connection; `room` holds what the first end has not read."""
    to_first, to_second = Line(room), Line()
    return Pipe(to_first, to_second), Pipe(to_second, to_first)
