"""The MCP session actor: one per person and server; holds the connection and the list of tools.

Owns no stream. Messages: ListTools, CallTool, Fetch, Cancel, Reopen; the first three are answered
at once with a Reply that is settled later, so that no server can hold up the actor. The connection
is opened when it is first wanted, once for all that wait, and again when it is wanted after it
broke: after a pause that grows, and not at all for a while after several failures in a row. A call
that was under way when it broke is told so and not repeated: nobody knows what it has done.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field
from math import inf
from random import Random
from typing import Any, Final, TypeAlias, cast

import orjson
import structlog
import trio

from runtime import limits
from runtime.actor import TrioActor
from runtime.problems import Problem, TooManyRequests, Upstream, UpstreamLost, UpstreamSaid
from runtime.reply import Reply
from transports.egress.mcp.words import (
    SIGN_IN_NEEDED,
    Connect,
    OnProgress,
    Result,
    Session,
    Tool,
    What,
)

log = structlog.get_logger(__name__)
CLOSED: Final = "closed"  # the code of a session that ended because we wanted it to
CALL: ContextVar[str] = ContextVar("mcp_call", default="")  # the call that a task works for
PLAIN: Final = re.compile(r"[!-~]{1,128}")  # MCP 2025-11-25, tools: names; and nothing invisible


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """The tools of a server. `version` is the same as long as they are.

    Args:
        versions: of each tool, by its name: the same as long as its definition is.
        left_out: names that came twice, the first of each being the one that counts, names that
            no reader could tell from another's, and those of what is no tool.
    """

    version: str
    revision: str
    tools: Mapping[str, Tool]
    versions: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ListTools:
    """Answered with a Reply of the Catalog; `afresh`: the server is asked in any case."""

    afresh: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTool:
    """Answered with a Reply of the Result.

    Args:
        call: names the call, for Cancel.
        version: of the tool that the call was decided by; None: any, and the server knows best
            whether it has the tool. Another one is refused.
    """

    call: str
    tool: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    version: str | None = None
    timeout_s: float = limits.MCP_CALL_S
    on_progress: OnProgress | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """Answered with a Reply of what the server has, as JSON; see `words.Session.fetch`."""

    what: What
    given: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """Stop a call, at the server too; one that has ended is none."""

    call: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reopen:
    """Close the connection, and forget what has failed: who wants one next gets another."""


Message: TypeAlias = ListTools | CallTool | Fetch | Cancel | Reopen
Work: TypeAlias = Callable[[], Awaitable[Any]]
Fared: TypeAlias = Callable[["Upstream | None"], None]


def nobody_hears(_: Upstream | None) -> None:
    """Be told how the session fares, to no end."""


class McpSession(TrioActor):
    """See the module."""

    def __init__(
        self,
        name: str,
        connect: Connect,
        random: Random,
        connect_s: float = limits.MCP_CONNECT_S,
        fared: Fared = nobody_hears,
    ) -> None:
        """Take what opens a session.

        Args:
            name: of the server, for the log.
            random: for the jitter of pauses.
            connect_s: opening takes no longer; more where a person signs in meanwhile.
            fared: called with None when a session has opened, and with what ended one.
        """
        super().__init__()
        self._name, self._connect, self._random = name, connect, random
        self._connect_s, self._fared = connect_s, fared
        self._failures, self._closed_until, self._not_before = 0, -inf, -inf
        self._why: Upstream = UpstreamLost("The MCP server has not been asked yet.")

    async def started(self) -> None:
        """Begin with no connection."""
        self._session: Session | None = None
        self._holding = trio.CancelScope()  # what to cancel to close the connection
        self._opening: trio.Event | None = None  # set when an attempt has ended, well or badly
        self._left = trio.Event()  # set when the session has been closed
        self._catalog: Catalog | None = None
        self._fresh_until = -inf
        self._listing, self._places = trio.Lock(), trio.Semaphore(limits.MCP_CALLS_MAX)
        self._calls: dict[str, trio.CancelScope] = {}
        self._running = 0

    async def handle(self, message: Message) -> Any:
        """Begin what is asked; see the messages."""
        match message:
            case ListTools(afresh=False) if self._is_fresh():
                reply = Reply()
                reply.set(self._catalog)
                return reply
            case ListTools(afresh=afresh):
                return self._begin(lambda: self._listed(afresh=afresh), limits.MCP_LIST_S)
            case CallTool():
                if self._running >= limits.MCP_CALLS_WAITING_MAX:
                    raise TooManyRequests("Too many calls wait for this MCP server.")
                return self._begin(lambda: self._called(message), message.timeout_s, message.call)
            case Fetch():
                return self._begin(lambda: self._fetched(message), limits.MCP_LIST_S)
            case Cancel(call=call) if call in self._calls:
                self._calls[call].cancel()
            case Reopen():
                self._holding.cancel()
                if self._session is not None:
                    self._session.ended.set()  # who comes next does not take what is being closed
                self._failures, self._closed_until, self._not_before = 0, -inf, -inf
        return None

    def idle(self) -> bool:
        """Whether nobody waits for anything."""
        return self._running == 0

    def _is_fresh(self) -> bool:
        """Whether the session is open, and the list of its tools what it was."""
        if self._session is None or self._session.ended.is_set():
            return False
        return self._catalog is not None and self._fresh_until > trio.current_time()

    def _begin(self, work: Work, timeout_s: float, call: str = "") -> Reply:
        reply, scope = Reply(), trio.CancelScope()
        self._running += 1
        if call:
            self._calls[call] = scope
        self.life.start_soon(self._work, work, timeout_s, scope, call, reply)
        return reply

    async def _work(
        self, work: Work, timeout_s: float, scope: trio.CancelScope, call: str, reply: Reply
    ) -> None:
        """Do one piece of work in its time and settle its reply, whatever becomes of it."""
        CALL.set(call)
        try:
            with scope:
                await self._ready()  # to open takes its own time
                scope.deadline = trio.current_time() + timeout_s
                reply.set(await work())
            if not reply.settled:
                slow = trio.current_time() >= scope.deadline
                late = UpstreamLost(f"The MCP server did not answer within {timeout_s:g} s.")
                reply.fail(late if slow else UpstreamLost("The call was cancelled."))
        except Problem as problem:
            if problem.extensions.get("code") == SIGN_IN_NEEDED:
                self._fared(cast("Upstream", problem))
            reply.fail(problem)
        finally:
            self._running -= 1
            self._calls.pop(call, None)
            if not reply.settled:
                reply.fail(UpstreamLost("The session ended during the call."))

    async def _ready(self) -> Session:
        """Return the open session, opened for all that wait by one of them.

        Raises:
            Upstream: it cannot be opened, or has been left alone for a while.
        """
        if self._session is not None and self._session.ended.is_set():
            await self._left.wait()  # it is being closed
        if self._session is None:
            if self._opening is None:
                if trio.current_time() < self._closed_until:
                    raise self._why
                self._opening = trio.Event()
                self.life.start_soon(self._hold, self._opening)
            await self._opening.wait()
        if self._session is None:
            raise self._why
        return self._session

    async def _hold(self, opening: trio.Event) -> None:
        """Open a session and hold it until it ends."""
        self._why, deadline = UpstreamLost("The session was closed.", code=CLOSED), inf
        try:
            with trio.CancelScope() as self._holding:
                scope = self._holding
                await trio.sleep_until(self._not_before)
                scope.deadline = deadline = trio.current_time() + self._connect_s
                async with self._connect(self._changed) as session:
                    scope.deadline = inf
                    self._opened(session, opening)
                    await session.ended.wait()
                    self._why = UpstreamLost("The MCP server has ended the session.")
            if self._session is None and trio.current_time() >= deadline:
                self._why = UpstreamLost("The MCP server took too long to open a session.")
        except Upstream as problem:
            self._why = problem
        finally:
            self._closed(opening)

    def _opened(self, session: Session, opening: trio.Event) -> None:
        log.info("mcp_opened", server=self._name, revision=session.revision)
        self._session, self._failures, self._left = session, 0, trio.Event()
        self._not_before = -inf
        self._fresh_until = -inf  # what changed meanwhile is not known
        self._fared(None)
        opening.set()

    def _closed(self, opening: trio.Event) -> None:
        """Note the end of a session, or that it could not be opened."""
        if self._session is None:
            self._failures += 1
            least_s, most_s = limits.MCP_PAUSE_S
            pause_s = min(most_s, least_s * 2 ** (self._failures - 1))
            now = trio.current_time()
            self._not_before = now + self._random.uniform(pause_s / 2, pause_s)
            if self._failures >= limits.MCP_FAILURES_MAX:
                self._closed_until = now + limits.MCP_OPEN_S
        log.info("mcp_closed", server=self._name, reason=self._why.detail)
        self._fared(self._why)
        self._session = self._opening = None
        self._left.set()
        opening.set()

    def _changed(self) -> None:
        """The server says that its tools have changed: they are listed again when wanted."""
        self._fresh_until = -inf

    async def _listed(self, *, afresh: bool = False) -> Catalog:
        """Return the catalog, listed by one for all that wait."""
        asked_at = trio.current_time()
        session = await self._ready()
        async with self._listing:
            known = self._catalog
            if known is None or self._fresh_until <= asked_at or afresh:
                known = await self._list(session)
            return known

    async def _list(self, session: Session) -> Catalog:
        """Ask for all pages.

        Raises:
            UpstreamSaid: there are more than may be.
        """
        self._fresh_until = inf  # a change from now on brings it back
        tools: dict[str, Tool] = {}
        versions: dict[str, str] = {}
        left_out: list[str] = []
        size_bytes, fresh_s, cursor = 0, inf, None
        digest = hashlib.sha256()
        for _ in range(limits.MCP_PAGES_MAX):
            page = await session.tools(cursor)
            left_out += page.left_out
            for tool in page.tools:
                told = _written(tool)
                size_bytes += len(told)
                if not told or tool.name in tools or not PLAIN.fullmatch(tool.name):
                    left_out.append(tool.name)
                    continue
                digest.update(told)
                tools[tool.name] = tool
                versions[tool.name] = hashlib.sha256(told).hexdigest()[:16]
            count = len(tools) + len(left_out)
            if size_bytes > limits.MCP_CATALOG_BYTES or count > limits.MCP_TOOLS_MAX:
                raise UpstreamSaid("The MCP server has too many tools.", code="too_large")
            fresh_s = min(fresh_s, page.fresh_s if page.fresh_s is not None else inf)
            cursor = page.following
            if cursor is None:
                break
        else:
            raise UpstreamSaid("The MCP server's list of tools has no end.", code="too_large")
        if self._fresh_until == inf and fresh_s < inf:
            least_s, most_s = limits.MCP_FRESH_S
            self._fresh_until = trio.current_time() + max(least_s, min(fresh_s, most_s))
        self._catalog = Catalog(
            version=digest.hexdigest()[:16],
            revision=session.revision,
            tools=tools,
            versions=versions,
            left_out=tuple(left_out),
        )
        return self._catalog

    async def _called(self, message: CallTool) -> Result:
        """Call a tool.

        Raises:
            UpstreamSaid: there is no such tool, or it is another one by now.
        """
        async with self._places:
            catalog = await self._listed()
            if message.version is not None and message.tool not in catalog.tools:
                raise UpstreamSaid("The MCP server has no such tool.", code="no-such-tool")
            if message.version not in (None, catalog.versions.get(message.tool)):
                raise UpstreamSaid("The MCP server has changed the tool.", code="tool-changed")
            session = await self._ready()
            return await session.call(message.tool, message.arguments, message.on_progress)

    async def _fetched(self, message: Fetch) -> Mapping[str, Any]:
        session = await self._ready()
        return await session.fetch(message.what, message.given)


def _written(tool: Tool) -> bytes:
    """Return a tool's definition as JSON; b"" where it has what no JSON of ours can say."""
    try:
        return orjson.dumps(asdict(tool), option=orjson.OPT_SORT_KEYS)
    except (TypeError, RecursionError):  # a number of more than 64 bits, half a character
        return b""
