"""Turns that leave nothing on disk: the same contract over a store in memory, for a while.

What happens here is audited in the durable store, which learns ids and no words. An ended turn can
be read until it is old, or until there are too many, or too much of them; then it is as if it had
never been. A turn that runs is never let go; where there is no room, none is taken.
"""

from __future__ import annotations

from actors.ending import stream_of
from actors.spine import Spine
from actors.turn_desk import Order, TurnDesk
from runtime import limits
from runtime.caller import Caller
from runtime.problems import Busy
from store import change, jobs
from store.database import used_bytes
from store.erase import erase_in_memory
from store.event_log import SqliteEventLog
from store.idempotency import IdempotencyRow
from store.jobs import JobRow


class MemoryDesk(TurnDesk):
    """The turns of the core in memory."""

    def __init__(self, durable: Spine) -> None:
        super().__init__(durable.in_memory(), audits=False)
        self._durable = durable
        self._since_look = 0
        self.jobs_max, self.sweep_max = limits.MEMORY_JOBS_MAX, limits.MEMORY_SWEEP_MAX

    async def _permit(self, caller: Caller, order: Order, request_id: str) -> None:
        """Audit on disk what is begun in memory.

        Raises:
            Busy: there is no room.
        """
        self._make_room()
        await self._audit(caller, "job.start", order.job_id, request_id, order)

    async def cancel(self, caller: Caller, job: JobRow, request_id: str) -> None:
        await self._audit(caller, "job.abort", job.id, request_id)
        self.leave(job.id)
        await self.ended(job.id)

    async def delete(self, caller: Caller, job_id: str, request_id: str) -> None:
        await self._audit(caller, "response.delete", job_id, request_id)
        await super().delete(caller, job_id, request_id)

    def keeps(self, job_id: str) -> bool:
        row = jobs.get_any(self.spine.reader, job_id)
        oldest_ms = self.spine.clock.now_ms() - int(1000 * limits.MEMORY_KEPT_S)
        return row is not None and (row.ended_at_ms is None or row.ended_at_ms > oldest_ms)

    async def _audit(
        self, caller: Caller, action: str, job_id: str, request_id: str, order: Order | None = None
    ) -> None:
        """Note on disk who did what; of a key, its digest."""
        now_ms, record = self.spine.clock.now_ms(), None
        if order is not None and order.claim is not None:
            record = IdempotencyRow(
                tenant=caller.tenant,
                user=caller.user,
                method=order.claim.method,
                path=order.claim.path,
                key=order.claim.key,
                body_sha256=order.claim.body_sha256,
                body=b"",
                created_at_ms=now_ms,
            )
        write = change.change(
            caller,
            action=action,
            object_id=job_id,
            at_ms=now_ms,
            request_id=request_id,
            access=lambda _: True,
            rows=lambda _: None,
            idempotency=record,
        )
        await self._durable.writer.write(write)

    def _make_room(self) -> None:
        """Let go of what has ended and is old, or is too much.

        Raises:
            Busy: all that is kept is still running.
        """
        self._since_look += 1
        if self._since_look < self.sweep_max and self._has_room():
            return
        self._since_look = 0
        self._let_go_of_old()
        while not self._has_room():
            if not self._let_go(self.spine.clock.now_ms(), self.sweep_max):
                raise Busy("Too many answers are being made in memory.")

    def _has_room(self) -> bool:
        reader = self.spine.reader
        return jobs.count(reader) < self.jobs_max and used_bytes(reader) < limits.MEMORY_BYTES

    def _let_go_of_old(self) -> None:
        old_ms = self.spine.clock.now_ms() - int(1000 * limits.MEMORY_KEPT_S)
        while self._let_go(old_ms, self.sweep_max):
            pass

    def _let_go(self, ended_at_ms: int, most: int) -> bool:
        """Erase the first jobs that had ended by a moment; say whether there were any."""
        found = jobs.ended_before(self.spine.reader, ended_at_ms, most)
        names = [stream_of(job) for job, _ in found]
        names += [f"conversations/{conversation}" for _, conversation in found]
        if found:
            erase_in_memory(self.spine.reader, names, [job for job, _ in found])
            log = self.spine.log
            assert isinstance(log, SqliteEventLog)
            for name in names:
                log.forget(name)
        return bool(found)
