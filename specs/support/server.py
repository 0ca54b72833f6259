"""A whole service on a loopback port for a spec: real store, actors, routes and protocol code.

Only the store is in memory and its writer in the loop, so that a service starts in a few
milliseconds and, under a virtual clock, in none.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import trio
from hypercorn.typing import ASGIFramework

from actors.accounts import Accounts
from actors.claims import Claims
from actors.desk import Desk
from actors.spine import Sealing, Settled, Spine
from actors.tree import Tree
from harness.contract import Proof
from runtime.clock import Clock, SystemClock
from runtime.hub import Hub
from runtime.ids import Ids
from runtime.settings import Server, Settings
from runtime.telemetry import Metrics
from specs.support import responses_oracle
from store import opening, sessions, tokens
from store.event_log import SqliteEventLog
from store.keyring import Keyring
from store.loop_writer import LoopWriter
from store.writer import Write, Writer
from transports.egress.configured import provider_of
from transports.egress.providers.base import Provider
from transports.egress.providers.catalog import Catalog
from transports.egress.providers.echo import Echo
from transports.egress.providers.synthetic import Synthetic
from transports.ingress.http.app import build
from transports.ingress.http.context import Services
from transports.ingress.http.readers import Readers
from transports.ingress.http.server import HttpServer, Listener, listen, port_of
from transports.ingress.http.wire import Bounds

TIMEOUT_S = 20
PROOF = Proof(
    responses_oracle.problems
)  # what the whole run has shown of the contract; read by specs/conftest.py


@dataclass(slots=True, kw_only=True)
class Service:
    """A running service, and what a spec needs to talk to it or to look inside."""

    services: Services
    app: ASGIFramework
    server: HttpServer
    port: int
    stop: trio.Event
    stopped: trio.Event = field(default_factory=trio.Event)  # every connection has ended
    cut: trio.Event = field(default_factory=trio.Event)  # a client has been cut for slowness
    clients: list[httpx.AsyncClient] = field(default_factory=list)

    def note_cut(self) -> None:
        """Count a client that has been cut, as the product does, and say so."""
        self.services.metrics.readers_cut_total.inc()
        self.cut.set()

    async def serve(
        self, listeners: Sequence[Listener], *, task_status: trio.TaskStatus[None]
    ) -> None:
        await self.server.serve(listeners, self.stop, task_status=task_status)
        self.stopped.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def writer(self) -> Writer:
        return self.services.writer

    async def token(self, tenant: str = "local", user: str = "ann", *, admin: bool = False) -> str:
        """Make a token and return its secret."""
        ids, now_ms = self.services.ids, self.services.clock.now_ms()
        secret, token_id = ids.secret(), ids.new("tok_")
        await self.writer.write(
            Write(
                rows=lambda db: tokens.create(
                    db,
                    id=token_id,
                    secret=secret,
                    tenant=tenant,
                    user=user,
                    admin=admin,
                    now_ms=now_ms,
                )
            )
        )
        return secret

    async def code(self, tenant: str = "local", user: str = "ann") -> str:
        """Make a sign-in code."""
        secret, now_ms = self.services.ids.secret(), self.services.clock.now_ms()
        await self.writer.write(
            Write(
                rows=lambda db: sessions.create_code(
                    db, secret=secret, tenant=tenant, user=user, now_ms=now_ms
                )
            )
        )
        return secret

    async def client(
        self, tenant: str = "local", user: str = "ann", *, admin: bool = False
    ) -> httpx.AsyncClient:
        """Return a client that carries a token of this user; it is closed with the service."""
        secret = await self.token(tenant, user, admin=admin)
        return self.stranger({"Authorization": f"Bearer {secret}"})

    def stranger(self, headers: Mapping[str, str] | None = None) -> httpx.AsyncClient:
        """Return a client without credentials."""
        client = httpx.AsyncClient(
            base_url=self.url,
            headers=headers,
            timeout=TIMEOUT_S,
            verify=False,  # noqa: S501 - no TLS here, and reading the CA list costs 50 ms
        )
        self.clients.append(client)
        return client


@asynccontextmanager
async def service(
    *,
    settings: Server | None = None,
    providers: tuple[Provider, ...] = (),
    clock: Clock | None = None,
    bounds: Bounds | None = None,
    wrap: Callable[[ASGIFramework], ASGIFramework] = PROOF.watch,
    connections_max: int = 4096,
    data: Path = Path("nowhere"),
    mcp: Settled | None = None,
) -> AsyncIterator[Service]:
    """Start a service on a free port; it ends with the block.

    Args:
        data: where the keys of sealed secrets are; a service that seals none makes no file there.
        mcp: the operator's MCP servers.
    """
    seen = len(PROOF.violations)
    async with trio.open_nursery() as nursery:
        known = _services(
            nursery, settings or Server(), providers, clock or SystemClock(), data, mcp or Settled()
        )
        app: Any = wrap(build(known))
        server = HttpServer(
            app,
            on_cut=lambda: running.note_cut(),  # noqa: PLW0108 - made below
            bounds=bounds,
            connections_max=connections_max,
        )
        listeners = await listen("127.0.0.1", 0)
        port, stop = port_of(listeners), trio.Event()
        running = Service(services=known, app=app, server=server, port=port, stop=stop)
        await nursery.start(running.serve, listeners)
        try:
            yield running
        finally:
            with trio.CancelScope(shield=True):
                for client in running.clients:
                    await client.aclose()
                await known.catalog.aclose()
            nursery.cancel_scope.cancel()
    assert violations_since(seen) == []


def violations_since(seen: int) -> list[str]:
    """Return what broke the contract since then: every answer of a spec is held against it."""
    return PROOF.violations[seen:]


def _services(
    nursery: trio.Nursery,
    server: Server,
    providers: tuple[Provider, ...],
    clock: Clock,
    data: Path,
    mcp: Settled,
) -> Services:
    ids = Ids(clock)
    store = opening.open_memory(ids)
    hub, metrics = Hub(), Metrics()
    log = SqliteEventLog(store.reader)
    writer = LoopWriter(store.writer, log, hub)
    catalog = Catalog((Echo(), Synthetic(), *providers), default="echo")
    spine = Spine(
        clock=clock,
        ids=ids,
        hub=hub,
        log=log,
        reader=store.reader,
        writer=writer,
        catalog=catalog,
        metrics=metrics,
        sealing=Sealing(keyring=Keyring(data), make=provider_of),
        settled=mcp,
    )
    tree = Tree(spine, nursery)
    accounts = Accounts(clock=clock, ids=ids, reader=store.reader, writer=writer, nursery=nursery)
    return Services(
        settings=Settings(server=server),
        clock=clock,
        ids=ids,
        log=log,
        hub=hub,
        reader=store.reader,
        writer=writer,
        desk=Desk(spine),
        claims=Claims(store.reader, clock),
        tree=tree,
        catalog=catalog,
        metrics=metrics,
        authenticator=accounts,
        log_epoch=store.log_epoch,
        version="0.1.0",
        readers=Readers(metrics),
    )
