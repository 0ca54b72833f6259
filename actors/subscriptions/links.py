"""What one subscription looks at, and how far each stream is done. Kept by its actor alone.

A stream that begins to match is looked at from its beginning: it is newer than the subscription,
whose making links all that is there, as done. So a link that a crash lost is made again the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import structlog

from actors.spine import Spine
from actors.subscriptions.watches import Watch
from actors.subscriptions.words import Place
from runtime import limits
from runtime.problems import BadRequest
from store import durable, subscriptions
from store.database import Database
from store.durable import Address
from store.subscriptions import LinkRow, SubscriptionKey

log = structlog.get_logger(__name__)


class Links:
    """The links of a subscription, by path."""

    def __init__(self, spine: Spine, key: SubscriptionKey) -> None:
        """Read what is kept."""
        self._spine, self._key = spine, key
        self.rows = {link.path: link for link in subscriptions.links(spine.reader, key)}

    def explicit(self) -> tuple[str, ...]:
        """Return the paths that were named one by one."""
        return tuple(sorted(link.path for link in self.rows.values() if link.explicit))

    def of_new(self, watch: Watch) -> dict[str, LinkRow]:
        """Return the links of a new subscription.

        Raises:
            BadRequest: too many.
        """
        found = {
            path: self._now(path, explicit=path in watch.explicit, globbed=True)
            for path in self._paths()
            if watch.globs(path)
        }
        for path in watch.explicit - set(found):
            found[path] = self._now(path, explicit=True, globbed=False)
        return _few(found)

    def with_explicit(self, paths: Iterable[str]) -> dict[str, LinkRow]:
        """Return the links with some more that are named.

        Raises:
            BadRequest: too many.
        """
        named = {
            path: replace(
                self.rows.get(path) or self._now(path, explicit=True, globbed=False), explicit=True
            )
            for path in paths
        }
        return _few(self.rows | named)

    def without_explicit(self, path: str) -> dict[str, LinkRow]:
        """Return the links with one named no more; it stays where the pattern means it."""
        rows = dict(self.rows)
        link = rows.pop(path)
        return rows | {path: replace(link, explicit=False)} if link.globbed else rows

    def find_matching(self, watch: Watch) -> None:
        """Look at every stream that the pattern means."""
        for path in self._paths():
            self.match(watch, path)

    def match(self, watch: Watch, path: str) -> None:
        """Look at a path, from its beginning, if the pattern means it."""
        if path in self.rows or not watch.globs(path):
            return
        if len(self.rows) >= limits.SUBSCRIPTION_STREAMS_MAX:
            log.warning("subscription_full", subscription=self._key.id)
            return
        stream, _ = self._at(path)
        self.rows[path] = LinkRow(path=path, explicit=False, globbed=True, stream=stream, acked=0)

    def forget(self, path: str) -> None:
        """What was at the path is gone."""
        link = self.rows.pop(path, None)
        if link is not None and link.explicit:
            self.rows[path] = replace(link, stream=None, acked=0)

    def places(self) -> tuple[Place, ...]:
        """Return every linked stream as it stands; one whose path was made again begins anew."""
        return tuple(self._place(link) for _, link in sorted(self.rows.items()))

    def move(self, acks: Mapping[str, int]) -> dict[str, LinkRow]:
        """Return the links with these done up to a sequence, never back."""
        moved = {
            path: replace(link, acked=max(link.acked, acks[path]))
            for path, link in self.rows.items()
            if path in acks
        }
        return self.rows | moved

    def keep(self, db: Database, rows: Mapping[str, LinkRow]) -> None:
        """Keep these links and no others."""
        subscriptions.keep_links(db, self._key, list(rows.values()))

    def _place(self, link: LinkRow) -> Place:
        stream, tail = self._at(link.path)
        if stream is not None and link.stream != stream:
            link = self.rows[link.path] = replace(link, stream=stream, acked=0)
        return Place(path=link.path, explicit=link.explicit, acked=link.acked, tail=tail)

    def _now(self, path: str, *, explicit: bool, globbed: bool) -> LinkRow:
        stream, tail = self._at(path)
        return LinkRow(path=path, explicit=explicit, globbed=globbed, stream=stream, acked=tail)

    def _at(self, path: str) -> tuple[str | None, int]:
        """Return which stream is at a path, and its newest sequence; 0 where none is."""
        at = Address(tenant=self._key.tenant, user=self._key.user, path=path)
        row = durable.find(self._spine.reader, at)
        if row is None or row.deleted:
            return None, 0
        head = self._spine.log.head(row.stream)
        return row.id, row.fork_sequence + (head.sequence if head else 0)

    def _paths(self) -> list[str]:
        reader, key = self._spine.reader, self._key
        return [path for path, _ in durable.paths(reader, key.tenant, key.user)]


def _few(rows: dict[str, LinkRow]) -> dict[str, LinkRow]:
    if len(rows) > limits.SUBSCRIPTION_STREAMS_MAX:
        most = limits.SUBSCRIPTION_STREAMS_MAX
        raise BadRequest(f"At most {most} streams belong to one subscription.")
    return rows
