"""Mailbox: what waits for an actor, in two lanes, filled from trio tasks and from plain threads.

The control lane holds messages (`put`, never waits); the data lane holds parts (`offer`, waits for
room). The bound of the control lane is taken by the teller, under the lock, in the teller's own
thread: a full mailbox is the teller's error at once, and closing is atomic with being empty, so
that no accepted message is ever left without an answer. A thread appends by itself and wakes the
actor by one idempotent call into the loop, so that a burst of tells costs one wake-up. Source:
pykka 4.5 `_actor.py` (ActorInbox); trio's `wait_task_rescheduled`.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

import trio
from pykka import ActorDeadError
from pykka._envelope import Envelope
from pykka.messages import _ActorStop  # pykka has no public one

from runtime import limits
from runtime.problems import MailboxFull


class Mailbox:
    """Two bounded lanes and one waiting reader: the actor's task, whichever life it is in."""

    __slots__ = (
        "_control",
        "_home",
        "_lock",
        "_parked",
        "_parts",
        "_room",
        "_token",
        "closed",
        "rested_at",
    )

    def __init__(self) -> None:
        self._lock = threading.Lock()  # held for a few instructions, never across a wait
        self._control: deque[Envelope[Any]] = deque()
        self._parts: deque[Any] | None = None  # made on the first part: most get none
        self._room: trio.lowlevel.ParkingLot | None = None  # offerers waiting; made when one waits
        self._parked: trio.lowlevel.Task | None = None  # the actor's task while nothing waits
        self._token: trio.lowlevel.TrioToken | None = None
        self._home = 0  # the loop's thread
        self.closed = False
        self.rested_at = 0.0  # when the actor last ran out of mail, by trio's clock

    def __len__(self) -> int:
        """Return how many messages and parts wait."""
        return len(self._control) + len(self._parts or ())

    def empty(self) -> bool:
        """Whether nothing waits."""
        return not self._control and not self._parts

    def put(self, envelope: Envelope[Any], /) -> None:
        """Append to the control lane and wake the actor; never waits; from any thread.

        Raises:
            MailboxFull: as many messages wait as may; a stop is taken nevertheless.
            ActorDeadError: nobody will ever read it.
        """
        with self._lock:
            if self.closed:
                raise ActorDeadError("The actor has stopped")
            full = len(self._control) >= limits.MAILBOX_MAX
            if full and not isinstance(envelope.message, _ActorStop):
                raise MailboxFull("The actor has too many messages waiting")
            self._control.append(envelope)
            if self._parked is not None and not self._wake():
                self._control.pop()
                raise ActorDeadError("The loop of the actor has ended")

    async def offer(self, part: Any) -> None:
        """Append to the data lane, once there is room; from trio tasks only.

        It waits, and can be cancelled, only while the lane is full.

        Raises:
            ActorDeadError: the actor has stopped; the part was not taken.
        """
        while not self.closed and self._parts is not None and len(self._parts) >= limits.PARTS_MAX:
            if self._room is None:
                self._room = trio.lowlevel.ParkingLot()
            await self._room.park()
        with self._lock:
            if self.closed:
                raise ActorDeadError("The actor has stopped")
            if self._parts is None:
                self._parts = deque()
            self._parts.append(part)
            if self._parked is not None:
                self._wake()

    def get(self) -> Envelope[Any]:
        """Return the oldest message of the control lane.

        Raises:
            IndexError: none waits.
        """
        return self._control.popleft()

    def take(self) -> Envelope[Any] | None:
        """Return the oldest message of the control lane, None where none waits."""
        return self._control.popleft() if self._control else None

    def take_parts(self) -> list[Any]:
        """Return the oldest parts, at most one burst of them, and let as many offerers in."""
        parts = self._parts
        if not parts:
            return []
        if len(parts) <= limits.PARTS_BURST:
            taken = list(parts)
            parts.clear()
        else:
            taken = [parts.popleft() for _ in range(limits.PARTS_BURST)]
        if self._room is not None:
            self._room.unpark(count=len(taken))
        return taken

    async def wait(self) -> None:
        """Wait until something waits or the mailbox is closed; for the actor's own task."""
        with self._lock:  # no thread slips a message in between the look and the parking
            if self._control or self._parts or self.closed:
                return
            self._parked = trio.lowlevel.current_task()
            if self._token is None:
                self._token = trio.lowlevel.current_trio_token()
                self._home = threading.get_ident()
            self.rested_at = trio.current_time()
        await trio.lowlevel.wait_task_rescheduled(self._abort)

    def close_if_idle(self) -> bool:
        """Close if the actor's task waits here and nothing waits for it; say whether it did."""
        with self._lock:
            if self._parked is None or self._control or self._parts or self.closed:
                return False
            self.closed = True
            self._resume()
            return True

    def close(self, error: BaseException | None = None) -> None:
        """Take nothing any more, and answer all that waits; from the loop's thread.

        Args:
            error: what those who wait are told; None tells them that the actor has stopped.
        """
        with self._lock:
            self.closed = True
            left, self._control = self._control, deque()
            self._parts = None
        for envelope in left:
            if envelope.reply_to is None:
                continue
            if isinstance(envelope.message, _ActorStop):
                envelope.reply_to.set(True)
            else:
                dead = error or ActorDeadError("The actor stopped before it took the message")
                envelope.reply_to.set_exception((type(dead), dead, None))
        if self._room is not None:
            self._room.unpark_all()
        self._resume()

    def _wake(self) -> bool:
        """Wake the parked task, called with the lock held; False where its loop has ended."""
        if threading.get_ident() == self._home:
            self._resume()
            return True
        assert self._token is not None
        try:
            self._token.run_sync_soon(self._resume, idempotent=True)
        except trio.RunFinishedError:
            return False
        return True

    def _resume(self) -> None:
        task, self._parked = self._parked, None
        if task is not None:
            trio.lowlevel.reschedule(task)

    def _abort(self, _: object) -> trio.lowlevel.Abort:
        self._parked = None
        return trio.lowlevel.Abort.SUCCEEDED
