"""One life of the service's process: the real core and the real front over the store that stays.

Theory: everything but the provider, the clock, the ids, the disk and the network is the product, as
`transports/compose.py` would build it. A kill cancels the whole life at once, and from that moment
nothing is committed; what the next life finds is what the store holds. Mutations, which plant bugs
to prove the rig, come in through `Build`: the types of the parts, and a look at each new actor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from functools import cache, partial
from typing import Any, TypeAlias

import trio
from trio.testing import MemoryReceiveStream, MemorySendStream, memory_stream_pair

from harness.faults import Faults, Killed, kind_of_task
from harness.simulation.oracle import Oracle
from runtime.actor import TrioActor
from runtime.caller import Caller
from runtime.clock import Clock
from runtime.hub import Hub
from runtime.ids import Ids
from runtime.problems import StoreUnavailable
from runtime.settings import Settings
from runtime.supervisor import Supervisor
from runtime.telemetry import Metrics
from store.commit import Committer, Done, Outcome
from store.event_log import SqliteEventLog
from store.loop_writer import LoopWriter
from store.opening import Store
from store.writer import Write
from transports import compose
from transports.egress.providers.base import Provider
from transports.egress.providers.catalog import Catalog
from transports.ingress.http import app
from transports.ingress.http.caller import Credentials
from transports.ingress.http.context import Services
from transports.ingress.http.readers import Readers
from transports.ingress.http.server import HttpServer

Note: TypeAlias = Callable[..., None]
SETTINGS = Settings()
MemoryStream: TypeAlias = "trio.StapledStream[MemorySendStream, MemoryReceiveStream]"


class DiskWriter(LoopWriter):
    """The writer in the loop over a disk that takes its time, so that others run meanwhile."""

    pause_s: Callable[[], float]

    async def _commit_all(self) -> None:
        self._committing = True  # who comes meanwhile joins the batch
        if pause_s := self.pause_s():
            with trio.CancelScope(shield=True):  # a Write goes its way though its task is gone
                await trio.sleep(pause_s)
        await super()._commit_all()


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """What a life is built of; a planted bug replaces one of these."""

    writer: type[DiskWriter] = DiskWriter
    log: type[SqliteEventLog] = SqliteEventLog
    hub: type[Hub] = Hub
    on_actor: Callable[[TrioActor], None] = lambda _: None
    on_store: Callable[[Store], None] = lambda _: None
    on_core: Callable[[compose.Core], None] = lambda _: None


@dataclass(slots=True, kw_only=True)
class Machine:
    """What outlives a process: the disk, the vendor, the clock, and who watches."""

    store: Store
    providers: Sequence[Provider]
    clock: Clock
    ids: Ids
    disk_pause_s: Callable[[], float]
    faults: Faults
    oracle: Oracle
    note: Note
    build: Build = field(default_factory=Build)


class WatchedCommitter(Committer):
    """Tells the oracle what SQLite has taken, and dies where a fault says so."""

    def __init__(self, machine: Machine, die: Callable[[], None]) -> None:
        super().__init__(machine.store.writer)
        self._machine, self._die, self.dead = machine, die, False

    def commit(self, writes: Sequence[Write[Any]]) -> list[Outcome]:
        """Commit, unless the process is dead."""
        if self.dead or self._machine.faults.kills("before"):
            self._fall()
        outcomes = super().commit(writes)
        done = [w for w, o in zip(writes, outcomes, strict=True) if isinstance(o, Done)]
        if done:
            self._machine.oracle.committed(done)
        if self._machine.faults.kills("after"):
            self._fall()
        return outcomes

    def _fall(self) -> None:
        self.dead = True
        self._die()
        raise Killed


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
            each._start = partial(_built, self._machine, each.name, each._start)  # noqa: SLF001


def _built(machine: Machine, kind: str, start: Callable[[str], TrioActor], key: str) -> TrioActor:
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


class Everyone:
    """The `Authenticator` of the simulation: a token is `tenant/user`."""

    def authenticate(self, credentials: Credentials) -> Caller:
        tenant, _, user = credentials.token.partition("/")
        return Caller(tenant=tenant, user=user)

    async def sign_in(self, code: str) -> str:
        return code

    async def sign_out(self, credentials: Credentials) -> None:
        """Nobody is signed in."""


class Process:
    """One life; `run` it in a task, `connect` to it, `kill` it."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._scope = trio.CancelScope()
        self._committer: WatchedCommitter | None = None
        self._tasks: trio.Nursery | None = None
        self.core: compose.Core | None = None
        self.front: Services | None = None
        self.http: HttpServer | None = None
        self._streams: dict[MemoryStream, None] = {}  # ordered: closing is part of the trace
        self.closing = False
        self.up, self.ended = trio.Event(), trio.Event()

    async def run(self) -> None:
        """Recover, serve, and return once killed or stopped."""
        try:
            with self._scope:
                await self._live()
        except* Killed:
            self._machine.note("process", "fell")
        except* StoreUnavailable:
            self._machine.note("process", "cannot start")
            if self.up.is_set():
                raise
        finally:
            self.kill()
            self.core = self.http = self._tasks = None
            self.ended.set()

    async def _live(self) -> None:
        machine, build = self._machine, self._machine.build
        hub, metrics = build.hub(), WatchingMetrics(machine)
        _watch_hub(hub, machine.oracle, machine.note)
        log = build.log(machine.store.reader)
        inner = build.writer(machine.store.writer, log, hub)
        self._committer = WatchedCommitter(machine, self.kill)
        inner.committer, inner.pause_s = self._committer, machine.disk_pause_s
        async with compose.open_core(
            clock=machine.clock,
            ids=machine.ids,
            hub=hub,
            event_log=log,
            reader=machine.store.reader,
            writer=ActorsWriter(inner, machine.faults),
            catalog=Catalog(machine.providers, default=machine.providers[0].models[0].id),
            metrics=metrics,
        ) as core:
            build.on_core(core)
            self._serve(core, metrics, inner, log, hub)
            async with trio.open_nursery() as self._tasks:
                self.core = core
                machine.note("process", "up")
                self.up.set()
                await trio.sleep_forever()

    def _serve(
        self,
        core: compose.Core,
        metrics: Metrics,
        writer: LoopWriter,
        log: SqliteEventLog,
        hub: Hub,
    ) -> None:
        machine = self._machine
        self.front = Services(
            settings=SETTINGS,
            clock=machine.clock,
            ids=machine.ids,
            log=log,
            hub=hub,
            reader=machine.store.reader,
            writer=writer,
            desk=core.desk,
            claims=core.claims,
            tree=core.tree,
            catalog=core.spine.catalog,
            metrics=metrics,
            authenticator=Everyone(),
            log_epoch=machine.store.log_epoch,
            version="simulated",
            readers=Readers(metrics),
        )
        front, ids = _front()
        front.extensions["services"], ids.current = self.front, machine.ids
        self.http = HttpServer(front, dates=False)

    @property
    def is_up(self) -> bool:
        """Whether it takes connections."""
        return self.up.is_set() and not self._scope.cancel_called

    async def up_or_ended(self) -> None:
        """Wait until it takes connections, or has ended."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_then_cancel, self.ended, nursery.cancel_scope)
            if not self._scope.cancel_called:
                nursery.start_soon(_then_cancel, self.up, nursery.cancel_scope)

    def connect(self) -> trio.abc.Stream | None:
        """Return a connection to the service; None where nobody listens."""
        if self._tasks is None or self.http is None or self._scope.cancel_called:
            return None
        ours, theirs = memory_stream_pair()
        self._tasks.start_soon(self._serve_one, self.http, theirs)
        return ours

    async def _serve_one(self, http: HttpServer, stream: MemoryStream) -> None:
        self._streams[stream] = None
        try:
            await http.serve_stream(stream)
        finally:
            self._streams.pop(stream, None)

    def kill(self) -> None:
        """End this life now, as kill -9 does: what is not committed never will be."""
        if self._committer is not None:
            self._committer.dead = True
        for stream in self._streams:  # the system closes what the dead process had open
            stream.send_stream.close()
            stream.receive_stream.close()
        self._scope.cancel()

    def stop(self, grace_s: float) -> None:
        """End this life as SIGTERM does."""
        if self._tasks is not None and not self.closing:
            self.closing = True
            self._tasks.start_soon(self._stop, grace_s)

    async def _stop(self, grace_s: float) -> None:
        core, front = self.core, self.front
        assert core is not None
        assert front is not None
        await core.end_jobs(grace_s)
        front.readers.drain()
        await trio.sleep(0.05)
        self.kill()


class CurrentIds(Ids):
    """The ids of whichever world runs now."""

    current: Ids

    def __init__(self) -> None:
        """Wait for `current`."""

    def new(self, prefix: str) -> str:
        """Return a fresh id of that world."""
        return self.current.new(prefix)


@cache
def _front() -> tuple[app.App, CurrentIds]:
    """Return the app, built once: it keeps nothing but its routes, and they take 15 ms."""
    ids = CurrentIds()
    nothing: Any = None
    services = {each.name: nothing for each in fields(Services)}
    return app.build(Services(**(services | {"settings": SETTINGS, "ids": ids}))), ids


def _watch_hub(hub: Hub, oracle: Oracle, note: Note) -> None:
    real = hub.announce

    def announce(stream: str) -> None:
        note("announce", stream)
        oracle.announced(stream)
        real(stream)

    hub.announce = announce  # type: ignore[method-assign]


async def _then_cancel(event: trio.Event, scope: trio.CancelScope) -> None:
    await event.wait()
    scope.cancel()
