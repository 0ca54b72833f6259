"""What a reader needs to know of a stream: where its records lie, and where it ends now.

A fork's records lie in several logs: those of its sources up to where it left them, then its own.
Its sequences count through. A job's log is a stream of one log that only its job writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from actors.streams.body import JSON
from runtime import limits
from runtime.log import EventLog, Segment
from runtime.problems import BadRequest
from store import durable
from store.database import Database
from store.durable import DurableRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Part of a stream: the records of one log, counted on from `base`."""

    stream: str
    base: int  # a record's sequence is this more than in its log
    last: int | None  # sequence at which the next link takes over; None for the own log


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A stream as it stands."""

    id: str
    content_type: str
    links: tuple[Link, ...]
    tail: int  # sequence of its newest record
    closed: bool
    ttl_s: int | None = None
    expires_at_ms: int | None = None

    @property
    def own(self) -> Link:
        """Where it grows."""
        return self.links[-1]


def of_log(stream: str, tail: int, *, closed: bool) -> View:
    """Return the view of a log of events, such as a job's."""
    link = Link(stream=stream, base=0, last=None)
    return View(id=stream, content_type=JSON, links=(link,), tail=tail, closed=closed)


def links_of(db: Database, row: DurableRow) -> tuple[Link, ...]:
    """Return where the records of a stream lie, in order.

    Raises:
        BadRequest: it is a fork of too many forks.
    """
    found = [Link(stream=row.stream, base=row.fork_sequence, last=None)]
    upto, here = row.fork_sequence, row.source
    for _ in range(limits.FORK_DEPTH_MAX):
        if here is None or not upto:
            return tuple(reversed(found))
        source = durable.get(db, here)
        assert source is not None  # a source is kept while it has forks
        if source.fork_sequence < upto:
            link = Link(stream=source.stream, base=source.fork_sequence, last=upto)
            found.append(link)
            upto = source.fork_sequence
        here = source.source
    raise BadRequest(f"At most {limits.FORK_DEPTH_MAX} forks may follow from one another.")


def read(
    log: EventLog, links: tuple[Link, ...], after: int, most: int = limits.READ_EVENTS_MAX
) -> Iterator[tuple[Link, Segment]]:
    """Yield the segments of the page after a sequence, each with the link it lies in.

    Args:
        most: events of the page, at most.
    """
    for link in links:
        if link.last is not None and after >= link.last:
            continue
        if link.last is not None:
            most = min(most, link.last - after)
        for segment in log.read(link.stream, after=after - link.base, limit=most):
            yield link, segment
        return
