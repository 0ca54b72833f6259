"""Bugs planted at the product's edges: the disk, the network, the clock, the tokens, the vendor.

Theory: as in `planted`: each is a mistake that could be made in one place, put in through a seam of
`Build`. Where a class is replaced, only the one method that is wrong is written anew.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf
from typing import Any, Final

import trio

from actors.accounts import Accounts, Credentials
from actors.conversation import AbortJob, Conversation
from actors.job_view import view_of_ended
from harness.simulation.machine import Build, WatchedCommitter
from harness.simulation.network import Pipe
from harness.simulation.vendor import Hand, Response, Straight
from runtime.actor import TrioActor
from runtime.caller import Caller
from runtime.hub import Hub
from runtime.ids import Ids
from runtime.log import Head
from store import jobs
from store.commit import Done, Outcome
from store.event_log import SqliteEventLog
from store.failures import grade
from store.writer import Write
from transports.compose import Core
from transports.ingress.http.context import Services
from transports.ingress.http.pump import Course, Pump, Rider
from transports.ingress.http.server import HttpServer
from transports.ingress.http.wire import Bounds


class TearsWrites(WatchedCommitter):
    """Commits the first stream of a Write before the others."""

    def commit(self, writes: Sequence[Write[Any]]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for each in writes:
            if len(each.appends) > 1:
                outcomes += super().commit([replace(each, appends=each.appends[:1], audit=None)])
                super().commit([replace(each, appends=each.appends[1:], rows=None)])
            else:
                outcomes += super().commit([each])
        return outcomes


class SaysKept(WatchedCommitter):
    """Takes a full disk for a commit."""

    def _all_failed(self, writes: Sequence[Write[Any]], error: sqlite3.Error) -> list[Outcome]:
        outcomes = super()._all_failed(writes, error)
        return [Done(None)] * len(writes) if grade(error) == "full" else outcomes


class WritesOn(WatchedCommitter):
    """Takes a failed fsync for something that passes."""

    def _all_failed(self, writes: Sequence[Write[Any]], error: sqlite3.Error) -> list[Outcome]:
        outcomes = super()._all_failed(writes, error)
        self.closed = False
        return outcomes


class RunsAhead(SqliteEventLog):
    """Says that a log is one event longer than it is."""

    def head(self, stream: str) -> Head | None:
        found = super().head(stream)
        if found is None or found.ended or not found.sequence:
            return found
        return replace(found, sequence=found.sequence + 1)


class ForgetsEarlier(Ids):
    """Goes by the clock alone."""

    def follow(self, earlier: str) -> None:
        """Forget it."""


class RemembersCallers(Accounts):
    """Looks at what a request brought only once."""

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        self._seen: list[tuple[Credentials, Caller]] = []

    def authenticate(self, credentials: Credentials) -> Caller:
        for brought, caller in self._seen:
            if brought is credentials:
                return caller
        caller = super().authenticate(credentials)
        self._seen.append((credentials, caller))
        return caller


class Queued(Pipe):
    """Lets one connection write at a time."""

    lock: trio.Lock

    def write_now(self, data: bytes | memoryview) -> int:
        if self.lock.locked():
            raise BlockingIOError
        return super().write_now(data)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        async with self.lock:
            await super().send_all(data)


class HalfDecoded(Response):
    """Decodes each piece of the bytes by itself."""

    def heard(self, piece: bytes) -> bytes:
        return piece.decode(errors="replace").encode()


class DecodesPieces(Straight):
    """Loses a character that two pieces share."""

    def _make_client(self) -> Any:
        return Hand(self._vendor, HalfDecoded)


def _takes_turns(http: HttpServer) -> None:
    """Let a client that reads nothing hold up all others."""
    lock, serve = trio.Lock(), http.serve_stream

    async def serve_stream(stream: Pipe) -> None:
        stream.__class__, queued = Queued, stream
        queued.lock = lock  # type: ignore[attr-defined]
        await serve(stream)

    http.serve_stream = serve_stream  # type: ignore[method-assign]


def _waits_for_ever(http: HttpServer) -> None:
    """Let a client that reads nothing keep its connection."""
    http._service = replace(http._service, bounds=Bounds(stall_s=inf))  # noqa: SLF001


class DropsRest(Pump):
    """Takes what a socket took of a piece for all of it."""

    __slots__ = ()

    def _off(self, rider: Rider) -> None:
        rider.unsent = None
        super()._off(rider)


def _pumps_halves(front: Services) -> None:
    """Let a reader whose socket is full miss the rest of what it was sent."""
    pumps = front.readers.pumps
    join = pumps.join

    def joined(course: Course, hub: Hub) -> Pump:
        pump = join(course, hub)
        pump.__class__ = DropsRest
        return pump

    pumps.join = joined  # type: ignore[method-assign]


def _forgets_keys(core: Core) -> None:
    """Let a request happen again though its key came before."""
    core.claims._kept = lambda *_: None  # type: ignore[method-assign]  # noqa: SLF001


def _loses_aborts(actor: TrioActor) -> None:
    """Let a conversation say that a job is aborted, and do nothing."""
    if not isinstance(actor, Conversation):
        return
    talk, handle = actor, actor.handle

    async def lost(message: Any) -> Any:
        if isinstance(message, AbortJob) and message.job_id == talk.current:
            row = jobs.get_any(talk.spine.reader, message.job_id)
            assert row is not None
            return replace(view_of_ended(row, 0), status="aborted")
        return await handle(message)

    talk.handle = lost  # type: ignore[method-assign]


PLANTED_AT_EDGES: Final[Mapping[str, Build]] = {
    "torn-group-commit": Build(committer=TearsWrites),
    "full-disk-acknowledged": Build(committer=SaysKept),
    "append-after-failed-fsync": Build(committer=WritesOn),
    "cursor-off-by-one": Build(log=RunsAhead),
    "ids-by-the-clock-alone": Build(ids=ForgetsEarlier),
    "revoked-reads-on": Build(accounts=RemembersCallers),
    "split-character": Build(provider=DecodesPieces),
    "stalled-blocks-others": Build(on_http=_takes_turns),
    "stalled-is-kept": Build(on_http=_waits_for_ever),
    "rest-not-sent": Build(on_front=_pumps_halves),
    "key-forgotten": Build(on_core=_forgets_keys),
    "lost-abort": Build(on_actor=_loses_aborts),
}
