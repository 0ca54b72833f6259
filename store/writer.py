"""The words of writing: what is asked of the one writer, and what it promises.

All that must happen together is one Write: rows, audit entry and the appends of several streams.
`store.commit` makes transactions of Writes, many in one (group commit); `store.thread_writer` runs
it on a thread, `store.loop_writer` in the loop. Nobody else writes in the service.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from runtime.log import Record
from store.audit import AuditEntry
from store.database import Database

R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class Append:
    """Records that continue a stream right after the head `after`."""

    stream: str
    after: int
    records: Sequence[Record]
    ends: bool = False  # the last record is the stream's end


@dataclass(frozen=True, slots=True, kw_only=True)
class Write(Generic[R]):
    """One transaction: all of it is committed, or nothing has happened."""

    appends: Sequence[Append] = ()
    rows: Callable[[Database], R] | None = (
        None  # runs first, on the writer's thread, reads and writes
    )
    audit: AuditEntry | None = None  # with one, any failure of the store is AuditUnavailable

    @property
    def is_plain(self) -> bool:
        """It only appends, so it may share one statement with others."""
        return not (self.rows or self.audit or any(append.ends for append in self.appends))


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """One commit, for the metrics."""

    latency_s: float  # from the first statement to the return of COMMIT
    writes: int
    records: int


class Writer(Protocol):
    """Takes Writes from the loop."""

    async def write(self, write: Write[R]) -> R:
        """Return what `rows` returned, once it is committed and announced to readers.

        To cancel the wait does not cancel the Write.

        Raises:
            MailboxFull: more Writes wait than may; nothing has happened.
            SequenceConflict: an append does not continue its stream.
            StoreUnavailable, AuditUnavailable: there is no space, or the store is closed.
        """
        ...

    async def close(self) -> None:
        """Commit what waits, checkpoint, close the database."""
        ...
