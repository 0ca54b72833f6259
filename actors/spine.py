"""What every actor of this service works with, handed to it when it is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import trio

from actors.tools.toolbox import Toolbox, ToolCatalog
from runtime import limits
from runtime.clock import Clock
from runtime.hub import Hub
from runtime.ids import Ids
from runtime.log import EventLog
from runtime.problems import StoreClosed, StoreUnavailable
from runtime.settings import Endpoint, McpServer
from runtime.supervisor import Supervisor
from runtime.telemetry import Metrics
from store.database import Database
from store.erase import Eraser
from store.jobs import JobRow
from store.keyring import Keyring
from store.writer import Write, Writer
from transports.egress.denial import Told
from transports.egress.places import Place
from transports.egress.providers.asked import Input, Wanted
from transports.egress.providers.base import Provider
from transports.egress.providers.catalog import Catalog
from transports.egress.webhooks import Webhooks

if TYPE_CHECKING:
    from actors.actions.sets import ActionSets
    from actors.mcp.servers import McpServers
    from actors.subscriptions.watches import Watches

R = TypeVar("R")
Prepared: TypeAlias = tuple[tuple[Input, ...], Wanted, Any]  # what a model is asked; its options
ERASER = "all"  # the key of the one eraser
DOOMED = "doomed"  # announced when there is something to erase


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealing:
    """What keeps endpoints that an admin adds.

    Args:
        make: makes the provider of an endpoint; raises ValueError for a URL that cannot be.
        settled: the endpoints of the settings, which come first.
    """

    keyring: Keyring
    make: Callable[[str, Endpoint], Provider]
    settled: Mapping[str, Endpoint] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What the operator's settings say of MCP servers and actions.

    Args:
        places: in a private network, that people's servers and sign-ins may reach.
        public_url: where people reach the service; "": where they ask it.
        action_places: in a private network, that actions, documents and sign-ins may reach.
    """

    servers: Mapping[str, McpServer] = field(default_factory=dict)
    places: frozenset[Place] = frozenset()
    public_url: str = ""
    action_places: frozenset[Place] = frozenset()
    on_decision: Told | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Founded:
    """A conversation as it was just kept, with its one job, which runs."""

    head: int
    job: JobRow


@dataclass(slots=True, kw_only=True)
class Spine:
    """The parts that actors share. `actors.tree` puts the supervisors in, once, at the start."""

    clock: Clock
    ids: Ids
    log: EventLog
    hub: Hub
    reader: Database  # for reads on the loop
    writer: Writer
    catalog: Catalog
    metrics: Metrics
    beneath: Database | None = None  # what a store in memory may go on from
    eraser: Eraser | None = None  # None: a store in memory keeps what nobody can reach
    sealing: Sealing | None = None  # None: endpoints are those of the settings alone
    webhooks: Webhooks | None = None  # None: subscriptions are pull-wake only
    settled: Settled = field(default_factory=Settled)
    traces: dict[str, str] = field(default_factory=dict)  # job -> traceparent, till it runs
    prepared: dict[str, Prepared] = field(default_factory=dict)  # job -> its prompt, likewise
    offered: dict[str, ToolCatalog] = field(default_factory=dict)  # job -> its tools, likewise
    rows: dict[str, JobRow] = field(default_factory=dict)  # job -> as it was just kept, likewise
    founded: dict[str, Founded] = field(default_factory=dict)  # conversation -> likewise
    waiting: set[str] = field(default_factory=set)  # jobs that only wait for a human
    toolbox: Toolbox = field(default_factory=Toolbox)  # `add` a source to it
    starts_jobs: bool = True  # false once the service is stopping: what is queued stays queued
    conversations: Supervisor = field(init=False)
    jobs: Supervisor = field(init=False)
    providers: Supervisor = field(init=False)
    tool_calls: Supervisor = field(init=False)
    streams: Supervisor = field(init=False)
    subscriptions: Supervisor = field(init=False)
    erasers: Supervisor = field(init=False)
    mcp_sessions: Supervisor = field(init=False)
    mcp_sign_ins: Supervisor = field(init=False)
    mcp: McpServers = field(init=False)
    actions: ActionSets = field(init=False)
    watches: Watches = field(init=False)
    in_memory: Callable[[], Spine] = field(init=False)  # for what must leave nothing on disk

    @property
    def readers(self) -> tuple[Database, ...]:
        """Where what came before is looked for: in this store, then in the one beneath it."""
        return (self.reader,) if self.beneath is None else (self.reader, self.beneath)

    async def erase_soon(self) -> None:
        """Have the logs erased that nobody can reach any more."""
        if self.eraser is not None:
            await self.erasers.find(ERASER)
            self.hub.announce(DOOMED)

    async def write_until_kept(self, write: Write[R]) -> R:
        """Write, and while there is no space wait and try again: nothing that was said is lost.

        Raises:
            StoreClosed: the store will not write again in this process.
        """
        pause_s, longest_s = limits.STORE_RETRY_S
        while True:
            try:
                return await self.writer.write(write)
            except StoreClosed:
                raise
            except StoreUnavailable:
                await trio.sleep(pause_s)
                pause_s = min(2 * pause_s, longest_s)
