"""The eraser: has the logs erased that nobody can reach any more, and ends streams in their time.

It has no stream; it reads two lists of the store: doomed logs, and streams whose time is over. The
one is worked through as soon as somebody finds it alive, the other looked at now and then. Erasing
is `store.erase`'s, on a thread and a connection of its own (law 13); it may happen twice and is the
same. Messages: none; to be found is to be woken.
"""

from __future__ import annotations

from typing import Any

import structlog
import trio

from actors.spine import DOOMED, Spine
from actors.streams.words import Expire, key_of
from runtime import limits
from runtime.actor import TrioActor
from runtime.problems import Problem
from store import durable
from store.audit import AuditEntry
from store.durable import Address
from store.writer import Write

log = structlog.get_logger(__name__)


class LogEraser(TrioActor):
    """One per service."""

    def __init__(self, spine: Spine) -> None:
        super().__init__()
        self.spine = spine

    async def started(self) -> None:
        """Begin both rounds."""
        self.life.start_soon(self._erase)
        self.life.start_soon(self._sweep)

    async def handle(self, message: Any) -> None:
        raise NotImplementedError(f"The eraser takes no {type(message).__name__}")

    async def _erase(self) -> None:
        while True:
            try:
                if not await self._erase_some():
                    await self.spine.hub.wait(DOOMED)
                    await trio.sleep(limits.ERASE_PAUSE_S)
            except Problem as problem:
                log.warning("erasing_failed", reason=problem.detail)
                await trio.sleep(limits.ERASE_RETRY_S)

    async def _erase_some(self) -> bool:
        """Erase the next logs of one tenant; say whether there were any."""
        waiting = durable.doomed(self.spine.reader, limits.ERASE_NAMES_MAX)
        if not waiting or self.spine.eraser is None:
            return False
        tenant = waiting[0][1]
        names = [name for name, owner in waiting if owner == tenant]
        entry = AuditEntry(
            at_ms=self.spine.clock.now_ms(),
            tenant=tenant,
            actor="service",
            action="stream.erase",
            object_id=" ".join(name.removeprefix("streams/") for name in names),
            outcome="done",
            request_id="",
        )
        await self.spine.eraser(names, entry)
        await self.spine.writer.write(Write(rows=lambda db: durable.buried(db, names)))
        for name in names:
            self.spine.hub.announce(name)  # readers find it gone
        return True

    async def _sweep(self) -> None:
        while True:
            now_ms = self.spine.clock.now_ms()
            for row in durable.expired(self.spine.reader, now_ms, limits.STREAM_SWEEP_MAX):
                at = Address(tenant=row.tenant, user=row.user, path=row.path)
                try:
                    await self.spine.streams.ask(key_of(at), Expire())
                except Problem as problem:
                    log.warning("stream_not_ended", stream=row.id, reason=problem.detail)
            await trio.sleep(limits.STREAM_SWEEP_S)
