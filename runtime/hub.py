"""Hub: tells waiting readers that a stream has grown. It carries wake-ups, never events.

The event log is the only truth: a reader reads the log after its cursor and waits here once it has
read all. No wake-up is lost: everything here runs on the one trio thread, and a writer announces
after its commit, so whoever read nothing and waits without an await in between is woken.
"""

from __future__ import annotations

import trio


class _Growth:
    """The next growth of one stream, and how many readers wait for it."""

    __slots__ = ("event", "readers")

    def __init__(self) -> None:
        self.event, self.readers = trio.Event(), 0


class Hub:
    """One per process, used from the trio thread only, so it needs no lock."""

    def __init__(self) -> None:
        self._growths: dict[str, _Growth] = {}

    def announce(self, stream: str) -> None:
        """Wake every reader that waits for `stream`. Call it after the append has committed."""
        growth = self._growths.pop(stream, None)
        if growth is not None:
            growth.event.set()

    async def wait(self, stream: str) -> None:
        """Wait until `stream` is announced; call it right after a read that found nothing."""
        await self.wait_any((stream,))

    async def wait_any(self, streams: tuple[str, ...]) -> None:
        """Wait until one of `streams` is announced."""
        # All are taken before anything is awaited: an announcement from here on wakes this reader.
        growths = [(stream, self._take(stream)) for stream in streams]
        try:
            if len(growths) == 1:
                await growths[0][1].event.wait()
            else:
                async with trio.open_nursery() as nursery:
                    for _, growth in growths:
                        nursery.start_soon(_wait_then_cancel, growth.event, nursery.cancel_scope)
        finally:
            for stream, growth in growths:
                self._leave(stream, growth)

    def _take(self, stream: str) -> _Growth:
        growth = self._growths.get(stream)
        if growth is None:
            growth = self._growths[stream] = _Growth()
        growth.readers += 1
        return growth

    def _leave(self, stream: str, growth: _Growth) -> None:
        growth.readers -= 1
        if not growth.readers and self._growths.get(stream) is growth:
            del self._growths[stream]  # the last reader left: a stream at rest costs nothing

    def waiting(self) -> int:
        """Return how many streams have a reader waiting; for the metrics and the soak."""
        return len(self._growths)


async def _wait_then_cancel(event: trio.Event, scope: trio.CancelScope) -> None:
    await event.wait()
    scope.cancel()
