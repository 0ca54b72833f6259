"""A service that may go and come back: calls are made again, a log is read on from its cursor.

Whatever is asked carries an idempotency key, so that asking again is safe; whatever was read is
not read again. Patience is counted from the last sign of life; with a url where nobody has
answered yet there is little, since it is most likely wrong.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

import trio

from runtime import limits
from transports.ingress.cli.client import Client, Take
from transports.ingress.cli.endings import Lost
from transports.ingress.cli.finding import AtUrl, Finder

T = TypeVar("T")


class Steady:
    """Talks to the service that `finder` finds, however often it goes."""

    def __init__(
        self, finder: Finder, tell: Callable[[str], None], patience_s: float = limits.CLI_PATIENCE_S
    ) -> None:
        """Take what finds the service.

        Args:
            tell: says to a person that the service is gone.
            patience_s: how long without a sign of life before it is given up; 0 at once.
        """
        self._finder, self._tell, self._patience_s = finder, tell, patience_s
        self._alive_at_s: float | None = None  # the last sign of life

    async def call(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """Return the JSON of an answer; see `Client.call`."""
        return await self._try(lambda client: client.call(method, path, body, **more))

    async def follow(self, job_id: str, after: int, take: Take) -> None:
        """Give each event of a job after `after` to `take`, once and in order, to its end."""
        cursor: int | None = after
        while cursor is not None:
            before = cursor
            cursor = await self._try(partial(_follow, job_id, before, take))
            if cursor == before:  # a stop ended it before a word came
                await trio.sleep(limits.CLI_PAUSE_S[1])

    async def _try(self, act: Callable[[Client], Awaitable[T]]) -> T:
        lost, pause_s, told = None, limits.CLI_PAUSE_S[0], False
        begun_s = trio.current_time()
        while True:
            address = None
            try:
                address = await self._finder.find(lost, self._silent_s())
                async with Client(address) as client:
                    result = await act(client)
            except Lost as error:
                missing_s = trio.current_time() - begun_s
                if missing_s >= self._patience():
                    raise
                lost = address or lost
                if not told and missing_s >= limits.CLI_QUIET_S:
                    self._tell(f"{error}; waiting for it to come back")
                    told = True
            else:
                self._alive_at_s = trio.current_time()
                return result
            await trio.sleep(pause_s)
            pause_s = min(2 * pause_s, limits.CLI_PAUSE_S[1])

    def _patience(self) -> float:
        first = self._alive_at_s is None and isinstance(self._finder, AtUrl)
        return min(limits.CLI_FIRST_S, self._patience_s) if first else self._patience_s

    def _silent_s(self) -> float | None:
        return None if self._alive_at_s is None else trio.current_time() - self._alive_at_s


async def _follow(job_id: str, after: int, take: Take, client: Client) -> int | None:
    return await client.follow(job_id, after, take)
