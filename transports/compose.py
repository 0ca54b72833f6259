"""The one file that knows everything: builds the parts and hands them out.

`open_core` makes what lives without a port: store, log, actors, desk. `serve` owns the data folder,
puts the front before the core and runs until told to stop. The harness builds the same core with a
virtual clock, seeded ids and a writer in the loop.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

import structlog
import trio

from actors import recovery
from actors.accounts import TOKEN, Accounts
from actors.claims import Claims
from actors.desk import Desk
from actors.spine import Sealing, Settled, Spine
from actors.tools.tooling import Source
from actors.tree import Tree
from runtime import limits
from runtime.clock import Clock, SystemClock
from runtime.hub import Hub
from runtime.ids import Ids
from runtime.log import EventLog
from runtime.settings import Settings
from runtime.telemetry import Metrics, sample_loop_lag
from store import audit, folder, opening, tokens
from store import recovery as store_recovery
from store.audit import AuditEntry
from store.database import Database, transaction
from store.erase import Eraser, erase_streams
from store.event_log import SqliteEventLog
from store.keyring import Keyring
from store.opening import Store
from store.thread_writer import ThreadWriter
from store.writer import Writer
from transports.egress.configured import catalog_for, counted, provider_of, webhooks_for
from transports.egress.mcp.configured import places_of
from transports.egress.providers.base import Provider
from transports.egress.providers.catalog import Catalog
from transports.egress.webhooks import Webhooks
from transports.ingress.http import app, server
from transports.ingress.http.beside import Beside
from transports.ingress.http.caller import Authenticator
from transports.ingress.http.context import Services
from transports.ingress.http.readers import Readers
from transports.ingress.mcp.door import Door, Parts

log = structlog.get_logger(__name__)
Ready = folder.Service  # what `serve` says of itself once it accepts connections
VERSION = installed_version("runchat")
MCP = "/mcp"  # where Runchat is an MCP server
STORE_FAILED = 5  # exit code: the store met an I/O error and closed


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """A running service without its front."""

    spine: Spine
    tree: Tree
    desk: Desk
    claims: Claims

    async def end_jobs(self, grace_s: float) -> None:
        """Take no new jobs, give the running ones `grace_s`, and end the rest as interrupted."""
        self.desk.closing = True
        self.tree.start_no_more()
        with trio.move_on_after(grace_s):
            await self._until_no_job_runs()
        await self.tree.interrupt()
        with trio.move_on_after(limits.INTERRUPT_S):
            await self._until_no_job_runs()

    async def follow(self, reloads: AsyncIterable[Settings]) -> None:
        """Take up endpoints and MCP servers of the settings each time that they are read again."""
        async for settings in reloads:
            endpoints = await self.desk.endpoints.settle(settings.endpoints)
            servers = self.spine.mcp.settle(settings.mcp_servers)
            log.info("settings_read_again", endpoints=endpoints, mcp_servers=servers)

    async def _until_no_job_runs(self) -> None:
        while self.tree.job_runs():  # noqa: ASYNC110  the store is the truth
            await trio.sleep(limits.STOP_POLL_S)


@asynccontextmanager
async def open_core(
    *,
    clock: Clock,
    ids: Ids,
    hub: Hub,
    event_log: EventLog,
    reader: Database,
    writer: Writer,
    catalog: Catalog,
    metrics: Metrics,
    eraser: Eraser | None = None,
    sealing: Sealing | None = None,
    webhooks: Webhooks | None = None,
    mcp: Settled | None = None,
    sources: Iterable[Source] = (),
) -> AsyncIterator[Core]:
    """Recover what a dead process left, start the actors, and stop them at the end.

    Args:
        eraser: erases the logs of deleted streams; None keeps them, as a store in memory does.
        sealing: keeps endpoints that an admin adds; None takes none.
        webhooks: delivers the wakes of subscriptions; None: they are pull-wake only.
        mcp: the operator's MCP servers; None: there are none.
        sources: of tools, beside those that the tree makes. Only the harness gives any.
    """
    spine = Spine(
        clock=clock,
        ids=ids,
        hub=hub,
        log=event_log,
        reader=reader,
        writer=writer,
        catalog=catalog,
        metrics=metrics,
        eraser=eraser,
        sealing=sealing,
        webhooks=webhooks,
        settled=mcp or Settled(),
    )
    await recovery.close_interrupted(spine)
    async with trio.open_nursery() as nursery:
        tree, desk = Tree(spine, nursery), Desk(spine)
        for source in sources:
            spine.toolbox.add(source)
        desk.endpoints.stand()
        desk.facts.stand()
        await tree.resume_queues()
        await tree.resume_streams()
        yield Core(spine=spine, tree=tree, desk=desk, claims=Claims(reader, clock))
        await tree.stop()
        if webhooks is not None:
            await webhooks.aclose()


def eraser_of(path: Path, log: SqliteEventLog) -> Eraser:
    """Return what erases logs from the database at `path`, on a thread, and from the cache."""

    async def erase(names: Sequence[str], entry: AuditEntry) -> None:
        await trio.to_thread.run_sync(erase_streams, path, names, entry)
        for name in names:
            log.forget(name)

    return erase


def make_owner(store: Store, data: Path, clock: Clock, ids: Ids) -> None:
    """Make tenant `local`, its admin `owner` and the token in DATA/token, where there is none."""
    file = data / "token"
    if file.exists() and tokens.list_all(store.reader):
        return  # a file alone is what a crash before the transaction has left
    secret, token_id, now_ms = ids.secret(), ids.new(TOKEN), clock.now_ms()
    folder.write_private(file, secret + "\n")  # first: a token that nobody can read helps nobody
    with transaction(store.writer) as db:
        tokens.create(
            db,
            id=token_id,
            secret=secret,
            tenant="local",
            user="owner",
            admin=True,
            name="first start",
            now_ms=now_ms,
        )
        audit.insert(db, audit.of_this_machine("token.create", token_id, now_ms))


async def serve(
    settings: Settings,
    data: Path,
    *,
    on_ready: Callable[[Ready], None],
    stop: trio.Event,
    authenticator: Authenticator | None = None,
    providers: Sequence[Provider] = (),
    offered: Callable[[], Any] | None = None,
    reloads: AsyncIterable[Settings] | None = None,
) -> int:
    """Own the data folder and serve it until `stop` is set; return the exit code.

    Args:
        on_ready: called once, when connections are accepted.
        authenticator: who callers are taken for; None is the real one. Only the harness gives one.
        providers: offered beside those of the settings. Only the harness gives any.
        reloads: the settings each time that they have been read again; see `Core.follow`.
        offered: makes the `Fittings` put beside Runchat's own over MCP. Only the harness gives any.

    Raises:
        Problem: the folder is in use, or it or its schema cannot be used.
        OSError: the address cannot be bound.
    """
    sys.setswitchinterval(limits.SWITCH_INTERVAL_S)
    clock = SystemClock()
    ids = Ids(clock)
    with folder.own(data) as owned:
        store = opening.open_store(data, ids=ids, migrates=True)
        for stream in store_recovery.damaged_tails(store.reader):
            log.error("log_damaged", stream=stream)  # its job ends; what is readable stays readable
        make_owner(store, data, clock, ids)
        service = _Service(settings, data, owned, store, clock, ids, providers, offered)
        try:
            await service.run(on_ready, stop, authenticator, reloads)
        finally:
            store.reader.close()
        return STORE_FAILED if service.store_failed else 0


def beside(front: Services, offered: Callable[[], Any] | None = None) -> tuple[Any, Door]:
    """Return the app that serves these services, and its door at /mcp, which is to be run."""
    known = {name: getattr(front, name) for name in ("desk", "log", "hub", "reader", "ids")}
    door = Door(Parts(**known, more=offered))
    return Beside(app.build(front), front, app.gate_of(front.settings), {MCP: door}), door


class _Service:
    """One run of `serve`, from the open store to the closed one."""

    def __init__(
        self,
        settings: Settings,
        data: Path,
        owned: folder.Owned,
        store: Store,
        clock: Clock,
        ids: Ids,
        providers: Sequence[Provider],
        offered: Callable[[], Any] | None,
    ) -> None:
        self.settings, self.data, self.owned, self.store = settings, data, owned, store
        self.clock, self.ids, self.providers, self.offered = clock, ids, providers, offered
        self.hub, self.metrics = Hub(), Metrics()
        self.log = SqliteEventLog(store.reader)
        self.store_failed = False

    async def run(
        self,
        on_ready: Callable[[Ready], None],
        stop: trio.Event,
        authenticator: Authenticator | None,
        reloads: AsyncIterable[Settings] | None,
    ) -> None:
        def on_fatal() -> None:
            self.store_failed = True
            self.metrics.fsync_errors_total.inc(by=writer.fsync_errors)
            log.critical("store_failed")
            stop.set()

        writer = ThreadWriter(
            self.store.writer,
            self.log,
            self.hub,
            on_fatal=on_fatal,
            on_commit=lambda done: self.metrics.committed(done.latency_s, done.writes),
        )
        try:
            async with trio.open_nursery() as nursery:
                run_folder = folder.run_folder(self.data)
                catalog = catalog_for(
                    self.settings, nursery, run_folder, self.providers, counted(self.metrics)
                )
                async with open_core(
                    clock=self.clock,
                    ids=self.ids,
                    hub=self.hub,
                    event_log=self.log,
                    reader=self.store.reader,
                    writer=writer,
                    catalog=catalog,
                    metrics=self.metrics,
                    sealing=Sealing(
                        keyring=Keyring(self.data),
                        make=partial(provider_of, on_decision=counted(self.metrics)),
                        settled=self.settings.endpoints,
                    ),
                    eraser=eraser_of(self.data / opening.FILE, self.log),
                    webhooks=webhooks_for(self.settings, counted(self.metrics)),
                    mcp=Settled(
                        servers=self.settings.mcp_servers,
                        places=places_of(self.settings.mcp.places),
                        action_places=places_of(self.settings.actions.places),
                        public_url=self.settings.server.public_url.rstrip("/"),
                        on_decision=counted(self.metrics),
                    ),
                ) as core:
                    catalog.settle(self.settings.models.default)
                    nursery.start_soon(sample_loop_lag, self.metrics)
                    if reloads is not None:
                        nursery.start_soon(core.follow, reloads)
                    front = self._front(core, nursery, authenticator)
                    await self._listen(core, front, on_ready, stop)
                await catalog.aclose()
                nursery.cancel_scope.cancel()
        finally:
            with trio.CancelScope(shield=True):
                await writer.close()

    def _front(
        self, core: Core, nursery: trio.Nursery, authenticator: Authenticator | None
    ) -> Services:
        spine = core.spine
        accounts = authenticator or Accounts(
            clock=self.clock,
            ids=self.ids,
            reader=self.store.reader,
            writer=spine.writer,
            nursery=nursery,
        )
        return Services(
            settings=self.settings,
            clock=self.clock,
            ids=self.ids,
            log=self.log,
            hub=self.hub,
            reader=self.store.reader,
            writer=spine.writer,
            desk=core.desk,
            claims=core.claims,
            tree=core.tree,
            catalog=spine.catalog,
            metrics=self.metrics,
            authenticator=accounts,
            log_epoch=self.store.log_epoch,
            readers=Readers(self.metrics),
            version=VERSION,
        )

    async def _listen(
        self, core: Core, front: Services, on_ready: Callable[[Ready], None], stop: trio.Event
    ) -> None:
        """Bind, say so, serve until `stop`; then end jobs, streams, connections, in that order."""
        wanted = self.settings.server
        tls = None
        if wanted.tls_cert:
            tls = server.tls_context(Path(wanted.tls_cert), Path(wanted.tls_key))
        listeners = await server.listen(wanted.host, wanted.port, tls)
        host = f"[{wanted.host}]" if ":" in wanted.host else wanted.host
        scheme = "https" if tls else "http"
        ready = Ready(
            url=f"{scheme}://{host}:{server.port_of(listeners)}", pid=os.getpid(), version=VERSION
        )
        everything, door = beside(front, self.offered)
        http = server.HttpServer(everything, on_cut=self.metrics.readers_cut_total.inc)
        close = trio.Event()
        async with trio.open_nursery() as nursery:
            await nursery.start(door.run)
            await nursery.start(http.serve, listeners, close)
            self.owned.announce(ready.url, ready.pid, ready.version)
            on_ready(ready)
            log.info("serving", url=ready.url, version=VERSION)
            await stop.wait()
            await core.end_jobs(wanted.shutdown_grace_s if not self.store_failed else 0)
            front.readers.drain()
            door.close()
            close.set()
