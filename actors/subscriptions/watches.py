"""Which subscriptions look at a path: what a stream asks after each append, without a query.

All of it is kept in memory, since every append looks here; the store is the truth, and is read once
at the start. To be told of what grew is only a hint: a subscription looks at the streams itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from pykka import ActorDeadError

from actors.spine import Spine
from actors.subscriptions import path_glob
from actors.subscriptions.words import Grown, Removed, text_of
from runtime.problems import Problem
from store import subscriptions
from store.durable import Address
from store.subscriptions import LinkRow, SubscriptionKey, SubscriptionRow

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What one subscription looks at."""

    key: SubscriptionKey
    pattern: str | None
    wake_stream: str | None  # never looked at: a wake would wake
    explicit: frozenset[str]

    def sees(self, path: str) -> bool:
        """Whether it looks at a path."""
        return path in self.explicit or self.globs(path)

    def globs(self, path: str) -> bool:
        """Whether its pattern means a path."""
        return (
            self.pattern is not None
            and path != self.wake_stream
            and path_glob.matches(self.pattern, path)
        )


def _watch_of(row: SubscriptionRow, links: list[LinkRow]) -> Watch:
    return Watch(
        key=SubscriptionKey(tenant=row.tenant, user=row.user, id=row.id),
        pattern=row.pattern,
        wake_stream=row.wake_stream,
        explicit=frozenset(link.path for link in links if link.explicit),
    )


class Watches:
    """One per service."""

    def __init__(self, spine: Spine) -> None:
        self._spine = spine
        self._of: dict[tuple[str, str], dict[str, Watch]] = {}

    async def resume(self) -> None:
        """Wake the subscriptions that have something waiting; called once at the start."""
        rows = subscriptions.all_of_them(self._spine.reader)
        for row in rows:
            key = SubscriptionKey(tenant=row.tenant, user=row.user, id=row.id)
            self.set(_watch_of(row, subscriptions.links(self._spine.reader, key)))
        for row in rows:
            key = SubscriptionKey(tenant=row.tenant, user=row.user, id=row.id)
            await self._spine.subscriptions.find(text_of(key))

    def set(self, watch: Watch) -> None:
        """Look from now on as `watch` says."""
        self._of.setdefault((watch.key.tenant, watch.key.user), {})[watch.key.id] = watch

    def drop(self, key: SubscriptionKey) -> None:
        """Look no more for a subscription."""
        mine = self._of.get((key.tenant, key.user), {})
        mine.pop(key.id, None)
        if not mine:
            self._of.pop((key.tenant, key.user), None)

    async def grown(self, at: Address) -> None:
        """A stream has more: tell the subscriptions that look at it."""
        await self._tell(at, Grown(path=at.path))

    async def removed(self, at: Address) -> None:
        """A stream has been deleted."""
        await self._tell(at, Removed(path=at.path))

    async def _tell(self, at: Address, message: Grown | Removed) -> None:
        for watch in tuple(self._of.get((at.tenant, at.user), {}).values()):
            if watch.sees(at.path):
                try:
                    await self._spine.subscriptions.tell(text_of(watch.key), message)
                except (Problem, ActorDeadError) as problem:  # what was appended stays appended
                    log.warning("watch_not_told", subscription=watch.key.id, reason=str(problem))
