"""The supervision tree as one list, in start order. What is below falls with what is above.

| key of           | actor         | lives                                                    |
|------------------|---------------|----------------------------------------------------------|
| (the writer)     | store.writer  | from the opening of the store to its closing             |
| providers        | ProviderActor | per endpoint; leaves when idle, comes back on demand     |
| tool_calls       | ToolCall      | per call of a tool; leaves some time after its end       |
| jobs             | Job           | per running job; leaves once its end is committed        |
| conversations    | Conversation  | per conversation in use; leaves when idle, comes back    |
| erasers          | LogEraser     | while there are logs to erase, and for expired streams   |
| subscriptions    | Subscription  | per subscription with a wake or lease; leaves when idle  |
| streams          | Stream        | per path in use; leaves when idle, comes back on demand  |
| mcp              | McpSession    | per person and MCP server in use; leaves when idle       |
| mcp_sign_ins     | McpSignIn     | per person and MCP server, while the person signs in     |

Jobs that must leave nothing on disk have a tree of their own over a store in memory, with the same
providers; it is made when the first of them comes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from actors.actions.sets import ActionSets
from actors.actions.source import ActionSource
from actors.conversation import Conversation, GaveUp, Interrupt
from actors.job import Job
from actors.log_eraser import LogEraser
from actors.mcp.servers import McpServers
from actors.mcp.source import McpSource
from actors.provider import ProviderActor
from actors.spine import Spine
from actors.streams.stream import Stream
from actors.subscriptions.subscription import Subscription
from actors.subscriptions.watches import Watches
from actors.tools.tool import ToolCall
from runtime import limits
from runtime.hub import Hub
from runtime.supervisor import Supervisor
from store import jobs, opening
from store.event_log import SqliteEventLog
from store.jobs import JobRow
from store.loop_writer import LoopWriter


class Tree:
    """The supervisors of one service, each with its policy."""

    def __init__(self, spine: Spine, nursery: trio.Nursery) -> None:
        self.spine, self._nursery = spine, nursery
        self._memory: Spine | None = None
        spine.in_memory = self.in_memory
        chance = spine.ids.random
        spine.providers = Supervisor(nursery, self._provider, name="providers", random=chance)
        spine.tool_calls = Supervisor(
            nursery,
            lambda key: ToolCall(spine, key),
            name="tool_calls",
            random=chance,
            idle_s=limits.JOB_IDLE_S,
        )
        _grow(spine, nursery, self._bury)
        spine.erasers = Supervisor(
            nursery, lambda _: LogEraser(spine), name="erasers", random=chance
        )
        spine.subscriptions = Supervisor(
            nursery,
            lambda key: Subscription(spine, key),
            name="subscriptions",
            random=chance,
            idle_s=limits.SUBSCRIPTION_IDLE_S,
        )
        spine.streams = Supervisor(
            nursery,
            lambda key: Stream(spine, key),
            name="streams",
            random=chance,
            idle_s=limits.STREAM_IDLE_S,
        )
        spine.watches = Watches(spine)
        spine.mcp = McpServers(spine)
        spine.mcp_sessions = Supervisor(
            nursery, spine.mcp.sessions.start, name="mcp", random=chance, idle_s=limits.MCP_IDLE_S
        )
        spine.mcp_sign_ins = Supervisor(
            nursery,
            spine.mcp.sign_ins.start,
            name="mcp_sign_ins",
            random=chance,
            idle_s=limits.MCP_IDLE_S,
        )
        spine.toolbox.add(McpSource(spine.mcp))
        spine.actions = ActionSets(spine)
        spine.toolbox.add(ActionSource(spine.actions))
        self.supervisors = (
            spine.providers,
            spine.tool_calls,
            spine.jobs,
            spine.conversations,
            spine.erasers,
            spine.subscriptions,
            spine.streams,
            spine.mcp_sessions,
            spine.mcp_sign_ins,
        )
        spine.metrics.watch(*self.supervisors)

    def in_memory(self) -> Spine:
        """Return the parts of the jobs in memory, which are made when they are first wanted."""
        if self._memory is None:
            own, ids = self.spine, self.spine.ids
            store, hub = opening.open_memory(ids), Hub()
            log = SqliteEventLog(store.reader)
            self._memory = Spine(
                clock=own.clock,
                ids=ids,
                log=log,
                hub=hub,
                reader=store.reader,
                beneath=own.reader,
                writer=LoopWriter(store.writer, log, hub, gathers=False),
                catalog=own.catalog,
                metrics=own.metrics,
                starts_jobs=own.starts_jobs,
            )
            self._memory.providers = own.providers
            self._memory.tool_calls = own.tool_calls
            _grow(self._memory, self._nursery, self._bury_in_memory)
        return self._memory

    def _provider(self, endpoint: str) -> ProviderActor:
        return ProviderActor(self.spine, endpoint)

    async def _bury(self, job_id: str, _: BaseException) -> None:
        await _bury(self.spine, job_id)

    async def _bury_in_memory(self, job_id: str, _: BaseException) -> None:
        await _bury(self.in_memory(), job_id)

    def job_runs(self) -> bool:
        """Whether any job is being answered; one that waits for a human can wait longer."""
        return any(self._at_work(spine) for spine in self._spines())

    def _at_work(self, spine: Spine) -> list[JobRow]:
        return [row for row in jobs.unfinished(spine.reader) if row.id not in spine.waiting]

    def _spines(self) -> tuple[Spine, ...]:
        return (self.spine,) if self._memory is None else (self.spine, self._memory)

    async def resume_queues(self) -> None:
        """Wake the conversations in which jobs wait, or stand; called once, after recovery."""
        standing = [row.conversation_id for row in jobs.unfinished(self.spine.reader)]
        for conversation_id in [*standing, *jobs.conversations_waiting(self.spine.reader)]:
            await self.spine.conversations.find(conversation_id)

    async def resume_streams(self) -> None:
        """Erase what was left to erase, and wake the subscriptions; called once at the start."""
        await self.spine.erase_soon()
        await self.spine.watches.resume()

    def start_no_more(self) -> None:
        """Leave queued jobs queued from now on; the next start of the service goes on with them."""
        for spine in self._spines():
            spine.starts_jobs = False

    async def interrupt(self) -> None:
        """End every running job as interrupted; called when the grace of a shutdown is over.

        What only waits for a human goes on at the next start.
        """
        for spine in self._spines():
            for row in self._at_work(spine):
                await spine.conversations.tell(row.conversation_id, Interrupt())

    async def stop(self) -> None:
        """Stop all actors, the last started first."""
        if self._memory is not None:
            await self._memory.conversations.stop_all()
            await self._memory.jobs.stop_all()
        for supervisor in reversed(self.supervisors):
            await supervisor.stop_all()


def _grow(
    spine: Spine, nursery: trio.Nursery, gave_up: Callable[[str, BaseException], Awaitable[None]]
) -> None:
    """Put in the supervisors of what every core has: its jobs and its conversations."""
    chance = spine.ids.random
    spine.jobs = Supervisor(
        nursery,
        lambda key: Job(spine, key),
        name="jobs",
        random=chance,
        idle_s=limits.JOB_IDLE_S,
        gave_up=gave_up,
    )
    spine.conversations = Supervisor(
        nursery,
        lambda key: Conversation(spine, key),
        name="conversations",
        random=chance,
        idle_s=limits.CONVERSATION_IDLE_S,
    )


async def _bury(spine: Spine, job_id: str) -> None:
    """A job's actor gave up: its conversation ends it."""
    row = jobs.get_any(spine.reader, job_id)
    if row:
        await spine.conversations.ask(row.conversation_id, GaveUp(job_id=job_id))
