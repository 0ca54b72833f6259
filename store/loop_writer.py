"""The writer of a store in memory: the same transactions as the thread's, made in the loop itself.

The first task to write lets the others run once, so that batches form, and then commits for all.
"""

from __future__ import annotations

from typing import Any, TypeVar

import trio

from runtime import limits
from runtime.hub import Hub
from runtime.log import EventLog
from runtime.problems import MailboxFull, StoreClosed
from store.commit import Committer
from store.database import Database
from store.pending import Pending, publish
from store.writer import Write

R = TypeVar("R")


class LoopWriter:
    """The `store.writer.Writer` without a thread; deterministic under trio's seeded scheduler."""

    def __init__(
        self, database: Database, log: EventLog, hub: Hub, *, gathers: bool = True
    ) -> None:
        """Take over the database.

        Args:
            gathers: whether to wait for company; in memory a commit alone costs as little.
        """
        self.committer = Committer(database)
        self._log, self._hub = log, hub
        self._waiting: list[Pending[Any]] = []
        self._committing = False
        self._closed = False
        self._gathers = gathers

    async def write(self, write: Write[R]) -> R:
        """Return what `rows` returned, once it is committed and announced. See `Writer.write`."""
        if self._closed:
            raise StoreClosed("The store is closed.")
        if len(self._waiting) >= limits.WRITES_WAITING_MAX:
            raise MailboxFull("Too many writes wait already.")
        pending = Pending(write)
        self._waiting.append(pending)
        if not self._committing:
            await self._commit_all()
        return await pending.wait()

    async def _commit_all(self) -> None:
        self._committing = True
        try:
            while self._waiting:
                if self._gathers:
                    await trio.lowlevel.cancel_shielded_checkpoint()
                batch = self._waiting[: limits.BATCH_WRITES_MAX]
                del self._waiting[: limits.BATCH_WRITES_MAX]
                outcomes = self.committer.commit([each.write for each in batch])
                publish(batch, outcomes, self._log, self._hub)
        finally:
            self._committing = False

    async def close(self) -> None:
        """Take no more Writes; the database stays open, since in memory it is the store."""
        self._closed = True
        await trio.lowlevel.checkpoint()
