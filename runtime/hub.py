"""Hub: tells waiting readers that a stream has grown. It carries wake-ups, never events.

The event log is the only truth: a reader reads the log after its cursor and waits here once it has
read all. No wake-up is lost: everything here runs on the one trio thread, and a writer announces
after its commit, so whoever read nothing and waits without an await in between is woken.
"""

from __future__ import annotations

import trio


class Hub:
    """One per process, used from the trio thread only, so it needs no lock."""

    def __init__(self) -> None:
        self._grown: dict[str, trio.Event] = {}

    def announce(self, stream: str) -> None:
        """Wake every reader that waits for `stream`. Call it after the append has committed."""
        grown = self._grown.pop(stream, None)
        if grown is not None:
            grown.set()

    async def wait(self, stream: str) -> None:
        """Wait until `stream` is announced; call it right after a read that found nothing."""
        await self.wait_any((stream,))

    async def wait_any(self, streams: tuple[str, ...]) -> None:
        """Wait until one of `streams` is announced."""
        if len(streams) == 1:
            await self._wait(streams[0])
            return
        async with trio.open_nursery() as nursery:
            for stream in streams:
                nursery.start_soon(self._wait_then_cancel, stream, nursery.cancel_scope)

    async def _wait_then_cancel(self, stream: str, scope: trio.CancelScope) -> None:
        await self._wait(stream)
        scope.cancel()

    async def _wait(self, stream: str) -> None:
        grown = self._grown.setdefault(stream, trio.Event())
        try:
            await grown.wait()
        finally:
            if self._grown.get(stream) is grown and not grown.statistics().tasks_waiting:
                del self._grown[stream]  # the last reader left: a stream at rest costs nothing

    def waiting(self) -> int:
        """Return how many streams have a reader waiting; for the metrics and the soak."""
        return len(self._grown)
