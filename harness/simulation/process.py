"""One life of the service's process: the real core and the real front over the store that stays.

Theory: everything but the provider, the clock, the ids, the disk and the network is the product, as
`transports/compose.py` would build it. A kill cancels the whole life at once, and from that moment
nothing is committed; what the next life finds is what the store holds.
"""

from __future__ import annotations

import trio

from harness.faults import Killed
from harness.simulation.direct import Direct
from harness.simulation.front import SETTINGS, front
from harness.simulation.machine import (
    ActorsWriter,
    Machine,
    WatchedCommitter,
    WatchingMetrics,
    watch_hub,
)
from harness.simulation.network import ROOM_BYTES, Pipe, pair
from harness.simulation.scripted import ScriptedProvider
from harness.simulation.vendor import ENDPOINT, Exchanged, Network
from harness.simulation.wire import Asked, Exchange
from runtime.clock import SystemClock
from runtime.hub import Hub
from runtime.problems import StoreUnavailable
from runtime.telemetry import Metrics
from store.event_log import SqliteEventLog
from store.loop_writer import LoopWriter
from transports import compose
from transports.egress.providers.catalog import Catalog
from transports.ingress.http.context import Services
from transports.ingress.http.readers import Readers
from transports.ingress.http.server import HttpServer


class Process:
    """One life; `run` it in a task, `connect` to it, `kill` it."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._clock = SystemClock(machine.read_ns)
        self._ids = machine.build.ids(self._clock, machine.chance)
        self._scope = trio.CancelScope()
        self._network: Network | None = None
        self._committer: WatchedCommitter | None = None
        self._tasks: trio.Nursery | None = None
        self.core: compose.Core | None = None
        self.front: Services | None = None
        self.http: HttpServer | None = None
        self._streams: dict[Pipe, None] = {}  # ordered: closing is part of the trace
        self._direct: dict[Direct, None] = {}
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
        watch_hub(hub, machine.oracle, machine.note)
        log = build.log(machine.store.reader)
        inner = build.writer(machine.store.writer, log, hub)
        self._committer = build.committer(machine, self.kill, self._fail)
        inner.committer, inner.pause_s = self._committer, machine.disk_pause_s
        async with (
            trio.open_nursery() as self._tasks,
            compose.open_core(
                clock=self._clock,
                ids=self._ids,
                hub=hub,
                event_log=log,
                reader=machine.store.reader,
                writer=ActorsWriter(inner, machine.faults),
                catalog=self._catalog(),
                metrics=metrics,
            ) as core,
        ):
            build.on_core(core)
            self._serve(core, metrics, inner, log, hub)
            self.core = core
            machine.note("process", "up")
            self.up.set()
            await trio.sleep_forever()

    def _catalog(self) -> Catalog:
        providers = self._machine.instead or [self._provider()]
        return Catalog(providers, default=providers[0].models[0].id)

    def _provider(self) -> ScriptedProvider:
        vendor = self._machine.vendor
        if not self._machine.speaks_http:
            return self._machine.build.provider(ENDPOINT, vendor)
        self._network = Network(vendor, self._machine.tasks.start_soon)
        return Exchanged(vendor, self._network)

    def _serve(
        self,
        core: compose.Core,
        metrics: Metrics,
        writer: LoopWriter,
        log: SqliteEventLog,
        hub: Hub,
    ) -> None:
        machine, tasks = self._machine, self._tasks
        assert tasks is not None
        accounts = machine.build.accounts(
            clock=self._clock,
            ids=self._ids,
            reader=machine.store.reader,
            writer=core.spine.writer,
            nursery=tasks,
        )
        self.front = Services(
            settings=SETTINGS,
            clock=self._clock,
            ids=self._ids,
            log=log,
            hub=hub,
            reader=machine.store.reader,
            writer=writer,
            desk=core.desk,
            claims=core.claims,
            tree=core.tree,
            catalog=core.spine.catalog,
            metrics=metrics,
            authenticator=accounts,
            log_epoch=machine.store.log_epoch,
            version="simulated",
            readers=Readers(metrics),
        )
        app, ids = front()
        app.extensions["services"], ids.current = self.front, self._ids
        self.http = HttpServer(app, dates=False)
        machine.build.on_http(self.http)
        machine.build.on_front(self.front)

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

    def connect(self, room: int = ROOM_BYTES) -> Pipe | None:
        """Return a connection to the service; None where nobody listens."""
        if self._tasks is None or self.http is None or self._scope.cancel_called:
            return None
        ours, theirs = pair(room)
        self._tasks.start_soon(self._serve_one, self.http, theirs)
        return ours

    def open(self, caller: str, room: int = ROOM_BYTES) -> Asked | None:
        """Return a way to ask one thing; None where nobody listens.

        Args:
            room: bytes of the answer that are on the way before the service has to wait.
        """
        if self._machine.speaks_http:
            stream = self.connect(room)
            return None if stream is None else Exchange(stream, caller)
        if self._tasks is None or self.http is None or self._scope.cancel_called:
            return None
        asked = Direct(front()[0], caller, self._tasks, room)
        self._direct[asked] = None
        asked.on_end = lambda: self._direct.pop(asked, None)
        return asked

    async def _serve_one(self, http: HttpServer, stream: Pipe) -> None:
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
            stream.hang_up()
        for asked in self._direct:
            asked.cut()
        if self._network is not None:
            self._network.hang_up()
        self._scope.cancel()

    def _fail(self) -> None:
        """End this life as `compose.serve` does after an I/O error."""
        self._machine.note("process", "store failed")
        if self._tasks is not None and self.up.is_set():
            self.stop(0)
        else:
            self.kill()

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


async def _then_cancel(event: trio.Event, scope: trio.CancelScope) -> None:
    await event.wait()
    scope.cancel()
