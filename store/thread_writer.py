"""The one writer of the service: a pykka ThreadingActor that group-commits.

A commit starts as soon as the last one ended, and everything that waited goes into it; so batches
grow by themselves when the disk is slow, and a single Write never waits for company. The actor is
told once that something waits, not of each Write: what waits is taken when a commit begins. After
COMMIT one call into the loop publishes the whole batch. Checkpoints come after the answers.
"""

from __future__ import annotations

import queue
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pykka
import trio
from pykka import ActorDeadError

from runtime import limits
from runtime.hub import Hub
from runtime.log import EventLog
from runtime.problems import MailboxFull, StoreClosed
from store.commit import Committer, Outcome
from store.database import Database
from store.pending import Pending, publish
from store.writer import Committed, Write

R = TypeVar("R")
Batch = list[Pending[Any]]
Publish = Callable[[Batch, list[Outcome], float], None]


@dataclass(slots=True)
class Waiting:
    """What waits for a commit: filled in the loop, emptied by the thread; each end is atomic."""

    writes: deque[Pending[Any]] = field(default_factory=deque)
    told: bool = False  # of something that it has not begun to take


class Commit:
    """Says that something waits."""


COMMIT = Commit()


class ThreadWriter:
    """The `store.writer.Writer` of the service. Made and used on the trio thread."""

    def __init__(
        self,
        database: Database,
        log: EventLog,
        hub: Hub,
        *,
        on_fatal: Callable[[], None],
        on_commit: Callable[[Committed], None] = lambda _: None,
    ) -> None:
        """Start the thread; it owns `database` from now on.

        Args:
            on_fatal: called once, in the loop, after an I/O error: the service has to end.
            on_commit: called in the loop for every commit.
        """
        self.waiting = 0  # Writes not answered yet
        self._waiting = Waiting()
        self._log, self._hub = log, hub
        self._on_fatal, self._on_commit = on_fatal, on_commit
        self._committer = Committer(database)
        self._token = trio.lowlevel.current_trio_token()
        self._closing = self._fatal = False
        self._stopped = trio.Event()
        self._ref = _WriterThread.start(
            self._committer, self._waiting, self._from_thread, self._when_stopped
        )

    @property
    def fsync_errors(self) -> int:
        """How often the disk said that data did not reach it."""
        return self._committer.fsync_errors

    @property
    def disk_full(self) -> int:
        """How many batches failed for want of space."""
        return self._committer.disk_full

    async def write(self, write: Write[R]) -> R:
        """Return what `rows` returned, once it is committed and announced. See `Writer.write`."""
        if self._closing or not self._ref.is_alive():
            raise StoreClosed("The store is closed.")
        if self.waiting >= limits.WRITES_WAITING_MAX:
            raise MailboxFull("Too many writes wait already.")
        pending = Pending(write)
        self._waiting.writes.append(pending)
        if not self._waiting.told:
            self._waiting.told = True
            try:
                self._ref.tell(COMMIT)
            except ActorDeadError:
                raise StoreClosed("The store is closed.") from None
        self.waiting += 1
        return await pending.wait()

    async def close(self) -> None:
        """Commit what waits, checkpoint, close the database."""
        if not self._closing:
            self._closing = True
            self._ref.stop(block=False)
        with trio.CancelScope(shield=True):
            await self._stopped.wait()

    def _from_thread(self, batch: Batch, outcomes: list[Outcome], latency_s: float) -> None:
        self._run_in_loop(lambda: self._publish(batch, outcomes, latency_s))

    def _when_stopped(self) -> None:
        self._run_in_loop(self._stopped.set)

    def _run_in_loop(self, call: Callable[[], None]) -> None:
        try:
            self._token.run_sync_soon(call)
        except trio.RunFinishedError:
            return  # nobody is left to be told

    def _publish(self, batch: Batch, outcomes: list[Outcome], latency_s: float) -> None:
        self.waiting -= len(batch)
        publish(batch, outcomes, self._log, self._hub)
        records = sum(len(a.records) for each in batch for a in each.write.appends)
        self._on_commit(Committed(latency_s=latency_s, writes=len(batch), records=records))
        if self._committer.closed and not self._fatal:
            self._fatal = True
            self._on_fatal()


class _WriterThread(pykka.ThreadingActor):
    """Commits what waits, in the order in which it came."""

    use_daemon_thread = True  # a service that dies without `close` must not hang in this thread

    def __init__(
        self,
        committer: Committer,
        waiting: Waiting,
        publish: Publish,
        stopped: Callable[[], None],
    ) -> None:
        super().__init__()
        self._committer, self._waiting = committer, waiting
        self._publish, self._stopped = publish, stopped

    @staticmethod
    def _create_actor_inbox() -> Any:
        return (
            queue.SimpleQueue()
        )  # in C: a put or get takes the interpreter once, Queue five times

    def on_receive(self, _message: Commit) -> None:
        """Commit all that waits, until there is a pause."""
        while True:
            self._waiting.told = False  # whoever comes from here on is taken, or tells again
            while batch := self._take():
                self._commit(batch)
            if not self._is_told():
                return

    def _take(self) -> Batch:
        """Return what waits, as much as goes into one commit."""
        writes = self._waiting.writes
        return [writes.popleft() for _ in range(min(len(writes), limits.BATCH_WRITES_MAX))]

    def _is_told(self) -> bool:
        """Wait to be told again; False after a pause, in which to checkpoint, and for a stop."""
        try:
            envelope = self.actor_inbox.get(timeout=limits.CHECKPOINT_IDLE_S)  # type: ignore[call-arg]
        except queue.Empty:
            self._committer.checkpoint()
            return False
        if isinstance(envelope.message, Commit):
            return True
        self.actor_inbox.put(envelope)  # pykka's stop, and pykka's to handle
        return False

    def _commit(self, batch: Batch) -> None:
        began = time.perf_counter()
        outcomes = self._committer.commit([each.write for each in batch])
        self._publish(batch, outcomes, time.perf_counter() - began)
        if self._committer.wants_checkpoint:
            self._committer.checkpoint()

    def on_stop(self) -> None:
        """Checkpoint and close; nothing waits, since `close` was the last to tell."""
        try:
            self._committer.close()
        finally:
            self._stopped()
