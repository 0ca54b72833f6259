"""What a process is built of in the simulation, and what watches its disk, commits and actors.

Theory: every part is the product's own with a look or a fault put round it. Mutations, which plant
bugs to prove the rig, come in through `Build`: another type of a part, or a look at each new actor.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import trio

from actors.accounts import Accounts
from harness.faults import Faults, Killed, kind_of_task
from harness.simulation.oracle import Oracle
from harness.simulation.scheduler import VirtualClock
from harness.simulation.scripted import Scripted, ScriptedProvider
from harness.simulation.vendor import Straight
from runtime.actor import TrioActor
from runtime.hub import Hub
from runtime.ids import Ids
from runtime.supervisor import Supervisor
from runtime.telemetry import Metrics
from store.commit import Committer, Done, Outcome
from store.event_log import SqliteEventLog
from store.loop_writer import LoopWriter
from store.opening import Store
from store.streams import find_stream
from store.writer import Write
from transports import compose
from transports.egress.providers.base import Provider
from transports.egress.providers.compatible import Endpoint
from transports.ingress.http.context import Services
from transports.ingress.http.server import HttpServer

Note: TypeAlias = Callable[..., None]


class DiskWriter(LoopWriter):
    """The writer in the loop over a disk that takes its time, so that others run meanwhile."""

    pause_s: Callable[[], float]

    async def _commit_all(self) -> None:
        self._committing = True  # who comes meanwhile joins the batch
        if pause_s := self.pause_s():
            with trio.CancelScope(shield=True):  # a Write goes its way though its task is gone
                await trio.sleep(pause_s)
        await super()._commit_all()


@dataclass(slots=True, kw_only=True)
class Machine:
    """What outlives a process: the disk, the vendor, the clock, and who watches."""

    store: Store
    vendor: Scripted
    wall: VirtualClock
    chance: random.Random  # of ids
    speaks_http: bool  # clients and the vendor, by bytes over connections
    disk_pause_s: Callable[[], float]
    faults: Faults
    oracle: Oracle
    note: Note
    tasks: trio.Nursery  # of what outlives a process
    build: Build
    instead: Sequence[Provider] = ()  # what is offered in place of the vendor from the next life on

    def read_ns(self) -> int:
        """What the wall's clock shows, which may be anything."""
        return self.wall.now_ms() * 1_000_000


class WatchedCommitter(Committer):
    """Tells the oracle what SQLite has taken, and dies where a fault says so."""

    def __init__(
        self, machine: Machine, die: Callable[[], None], on_fatal: Callable[[], None]
    ) -> None:
        super().__init__(machine.store.writer)
        self._machine, self._die, self.dead = machine, die, False
        self._on_fatal = on_fatal

    def commit(self, writes: Sequence[Write[Any]]) -> list[Outcome]:
        """Commit, unless the process is dead."""
        if self.dead or self._machine.faults.kills("before"):
            self._fall()
        was_closed = self.closed
        outcomes = super().commit(writes)
        if self.closed and not was_closed:
            self._on_fatal()
            kept = [each for each in writes if each.appends and self._is_kept(each)]
            if kept:  # the disk had it after all; whoever waited is told that it failed
                self._machine.oracle.committed(kept)
        done = [w for w, o in zip(writes, outcomes, strict=True) if isinstance(o, Done)]
        if done:
            self._machine.oracle.committed(done)
        if self._machine.faults.kills("after"):
            self._fall()
        return outcomes

    def _is_kept(self, write: Write[Any]) -> bool:
        """Say whether a Write that failed has happened all the same; half is none."""
        heads = [find_stream(self.database, each.stream) for each in write.appends]
        kept = [
            head is not None and head.head >= each.after + len(each.records)
            for head, each in zip(heads, write.appends, strict=True)
        ]
        if len(set(kept)) > 1:
            self._machine.oracle.wrong("half a Write never happens", kept)
        return all(kept)

    def _fall(self) -> None:
        self.dead = True
        self._die()
        raise Killed


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """What a life is built of; a planted bug replaces one of these."""

    writer: type[DiskWriter] = DiskWriter
    committer: type[WatchedCommitter] = WatchedCommitter
    log: type[SqliteEventLog] = SqliteEventLog
    hub: type[Hub] = Hub
    provider: Callable[[Endpoint, Scripted], ScriptedProvider] = Straight
    accounts: type[Accounts] = Accounts
    ids: type[Ids] = Ids
    on_actor: Callable[[TrioActor], None] = lambda _: None
    on_store: Callable[[Store], None] = lambda _: None
    on_http: Callable[[HttpServer], None] = lambda _: None
    on_front: Callable[[Services], None] = lambda _: None
    on_core: Callable[[compose.Core], None] = lambda _: None


class ActorsWriter:
    """The `store.writer.Writer` given to actors: one may crash right before or after a Write."""

    def __init__(self, inner: LoopWriter, faults: Faults) -> None:
        self._inner, self._faults = inner, faults

    async def write(self, write: Write[Any]) -> Any:
        kind = kind_of_task()
        if kind:
            self._faults.pass_by("write", kind, "before")
        value = await self._inner.write(write)
        if kind:
            self._faults.pass_by("write", kind, "after")
        return value

    async def close(self) -> None:
        await self._inner.close()


class WatchingMetrics(Metrics):
    """Metrics, and with them a look at each actor before it lives: the tree shows it all here."""

    def __init__(self, machine: Machine) -> None:
        super().__init__()
        self._machine = machine

    def watch(self, *supervisors: Supervisor) -> None:
        """Take the supervisors of a new tree."""
        super().watch(*supervisors)
        for each in supervisors:
            each._start = partial(built, self._machine, each.name, each._start)  # noqa: SLF001


def built(machine: Machine, kind: str, start: Callable[[str], TrioActor], key: str) -> TrioActor:
    """Build the actor of `key`, which notes all that it handles and crashes where it is told to."""
    actor = start(key)
    machine.build.on_actor(actor)
    handle, handle_parts = actor.handle, actor.handle_parts

    async def watched(message: Any) -> Any:
        machine.note("handle", key, type(message).__name__)
        machine.faults.pass_by("message", kind, "before")
        answer = await handle(message)
        machine.faults.pass_by("message", kind, "after")
        return answer

    async def watched_parts(parts: list[Any]) -> None:
        machine.note("parts", key, len(parts))
        machine.faults.pass_by("message", kind, "before")
        await handle_parts(parts)
        machine.faults.pass_by("message", kind, "after")

    actor.handle, actor.handle_parts = watched, watched_parts  # type: ignore[method-assign]
    return actor


def watch_hub(hub: Hub, oracle: Oracle, note: Note) -> None:
    """Note every wake-up, and tell the oracle."""
    real = hub.announce

    def announce(stream: str) -> None:
        note("announce", stream)
        oracle.announced(stream)
        real(stream)

    hub.announce = announce  # type: ignore[method-assign]
