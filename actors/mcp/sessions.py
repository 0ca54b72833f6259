"""The sessions of people with MCP servers: who has which, how each fares, who is asked what.

A person has a session of their own with each server, the operator's too, so that no server can
carry anything from one person to another. The protocol's code takes a second to import: it is done
once a server is wanted, on a thread. A server's question goes to the call that it came in; where
the wire does not say which that is, to the one that began last, and to nobody where none is open.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import orjson
import structlog
import trio

from actors.mcp.grants import Grants
from actors.mcp.session import (
    CALL,
    CLOSED,
    CallTool,
    Cancel,
    Catalog,
    Fetch,
    ListTools,
    McpSession,
    Reopen,
)
from actors.tools.tooling import Calling
from runtime import limits
from runtime.caller import Caller
from runtime.problems import NotFound, Upstream, UpstreamSaid
from transports.egress.mcp.configured import access_of, server_of
from transports.egress.mcp.servers import HttpServer, Server
from transports.egress.mcp.words import SIGN_IN_NEEDED, Answer, Connect, Question, Result, Session

if TYPE_CHECKING:
    from actors.mcp.installed import Installed
    from actors.spine import Spine
    from runtime.settings import McpServer
    from transports.egress.mcp.client import Authority, Means

log = structlog.get_logger(__name__)
SERVICE: Final = Caller(tenant="", user="")  # whom the service's own tokens belong to
CLIENT: Final = "transports.egress.mcp.client"
Find = Callable[[Caller, str], "Installed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How a session fared when that was last known.

    Args:
        error: why the last attempt failed; None: it did not, or was not made.
        left_out: the tools that the server lists and nobody can use.
    """

    open: bool = False
    error: Upstream | None = None
    left_out: tuple[str, ...] = ()
    at_ms: int = 0

    @property
    def needs_sign_in(self) -> bool:
        """Whether nothing will work until the person has signed in."""
        return self.error is not None and self.error.extensions.get("code") == SIGN_IN_NEEDED


def key_of(caller: Caller, name: str) -> str:
    """Return the key of a person's session; no name of a person or a server has a slash in it."""
    return f"{caller.tenant}/{caller.user}/{name}"


class McpSessions:
    """One per service."""

    def __init__(self, spine: Spine, find: Find) -> None:
        """Take the parts.

        Args:
            find: returns a person's server; raises NotFound.
        """
        self._spine, self._find = spine, find
        self._health: dict[str, Health] = {}
        self._shared: dict[str, tuple[McpServer, Authority]] = {}  # of the service, by server
        self._asking: dict[str, dict[str, Calling]] = {}  # by session, then by call, in their order

    def start(self, key: str) -> McpSession:
        """Return the actor of a key; see `Supervisor`."""
        tenant, user, name = key.split("/")
        connect = self._connecting(Caller(tenant=tenant, user=user), name)

        def fared(error: Upstream | None) -> None:
            self._note(key, error)

        return McpSession(name, connect, self._spine.ids.random, fared=fared)

    def health(self, caller: Caller, name: str) -> Health:
        """Return how a person's session with a server fares."""
        return self._health.get(key_of(caller, name), Health())

    async def list(self, caller: Caller, name: str, *, afresh: bool = False) -> Catalog:
        """Return the tools of a server.

        Raises:
            NotFound: the person has no such server.
            Upstream: it cannot be reached, or has no such list.
        """
        catalog: Catalog = await self._ask(caller, name, ListTools(afresh=afresh))
        known = self.health(caller, name)
        if known.open and known.left_out != catalog.left_out:
            log.info("mcp_tools_left_out", server=name, count=len(catalog.left_out))
            at_ms = self._spine.clock.now_ms()
            noted = replace(known, left_out=catalog.left_out, at_ms=at_ms)
            self._health[key_of(caller, name)] = noted
        return catalog

    async def fetch(self, caller: Caller, name: str, wanted: Fetch) -> Mapping[str, Any]:
        """Return what else a server has; raises what `list` does."""
        found: Mapping[str, Any] = await self._ask(caller, name, wanted)
        return found

    async def call(self, caller: Caller, name: str, message: CallTool, calling: Calling) -> Result:
        """Call a tool; where the wait is cancelled, the call is cancelled at the server."""
        key = key_of(caller, name)
        with self._questions(key, calling):
            try:
                result: Result = await self._ask(caller, name, message)
            except trio.Cancelled:
                if (door := self._spine.mcp_sessions.alive(key)) is not None:
                    door.tell(Cancel(call=message.call))
                raise
        return result

    def reopen(self, caller: Caller, name: str) -> None:
        """Close a person's session, so that the next use sees what has changed."""
        self._reopen(key_of(caller, name))

    def reopen_all(self, names: frozenset[str]) -> None:
        """Do so with everybody's sessions with these servers."""
        known = {*self._health, *(each.key for each in self._spine.mcp_sessions.report())}
        for key in known:
            if key.rpartition("/")[2] in names:
                self._reopen(key)
        self._shared = {name: each for name, each in self._shared.items() if name not in names}

    def _reopen(self, key: str) -> None:
        self._health.pop(key, None)
        if (door := self._spine.mcp_sessions.alive(key)) is not None:
            door.tell(Reopen())

    def kept(self, caller: Caller, name: str) -> Grants | None:
        """Return where a person's tokens for a server are kept; None: nothing is sealed here."""
        spine = self._spine
        if spine.sealing is None:
            return None
        return Grants(
            caller=caller,
            server=name,
            keyring=spine.sealing.keyring,
            reader=spine.reader,
            writer=spine.writer,
            clock=spine.clock,
        )

    def signed_in(self, caller: Caller, server: Installed) -> bool:
        """Say whether tokens of this person are kept; they may have run out since."""
        kept = self.kept(caller, server.name)
        record = kept.record() if kept is not None else None
        found = orjson.loads(record.reveal()) if record is not None else {}
        here = found.get("url") in (None, "", server.settings.url)
        return bool(found.get("tokens")) and here

    async def _ask(self, caller: Caller, name: str, message: Any) -> Any:
        self._find(caller, name)  # what is not theirs is not there, also while it has an actor
        return await (await self._spine.mcp_sessions.ask(key_of(caller, name), message))

    def _note(self, key: str, error: Upstream | None) -> None:
        if error is not None and error.extensions.get("code") == CLOSED:
            self._health.pop(key, None)
            return
        self._health.pop(key, None)
        at_ms = self._spine.clock.now_ms()
        self._health[key] = Health(open=error is None, error=error, at_ms=at_ms)
        while len(self._health) > limits.MCP_HEALTH_MAX:
            del self._health[next(iter(self._health))]

    def _connecting(self, caller: Caller, name: str) -> Connect:
        @asynccontextmanager
        async def connecting(changed: Callable[[], None]) -> AsyncIterator[Session]:
            await trio.to_thread.run_sync(import_module, CLIENT)
            from transports.egress.mcp.client import connect  # noqa: PLC0415 -- see the module

            server, means = self.server(caller, name), self.means(caller, name)
            async with connect(server, means, changed) as session:
                yield session

        return connecting

    def server(self, caller: Caller, name: str) -> Server:
        """Return a person's server as it is now.

        Raises:
            UpstreamSaid: it is out of use.
        """
        try:
            found = self._find(caller, name)
            server = server_of(name, found.settings, self._spine.settled.places)
        except (NotFound, ValueError) as error:
            raise UpstreamSaid(f"The MCP server cannot be used: {error}", code="egress") from error
        if not found.in_use:
            raise UpstreamSaid("The MCP server is out of use.", code="disabled")
        if isinstance(server, HttpServer):
            server = replace(server, access=access_of(found.settings))
        return server

    def means(self, caller: Caller, name: str) -> Means:
        """Return what opening a person's session takes; only once the client is imported."""
        from transports.egress.mcp.client import Means  # noqa: PLC0415 -- see the module

        key = key_of(caller, name)

        async def ask(question: Question) -> Answer:
            return await self._put(key, question)

        return Means(
            clock=self._spine.clock,
            kept=self.kept(caller, name),
            authority=self._authority(caller, name),
            asker=ask,
            on_decision=self._spine.settled.on_decision,
        )

    def _authority(self, caller: Caller, name: str) -> Authority | None:
        """Return the tokens that all share where the service itself signs in; None elsewhere."""
        from transports.egress.mcp.client import authority_for  # noqa: PLC0415 -- see the module

        found = self._find(caller, name)
        if found.source != "settings" or found.settings.auth != "service":
            return None
        known = self._shared.get(name)
        if known is None or known[0] != found.settings:
            server = self.server(caller, name)
            assert isinstance(server, HttpServer)
            kept = self.kept(SERVICE, name)
            known = found.settings, authority_for(server, kept, self._spine.clock)
            self._shared[name] = known
        return known[1]

    @contextmanager
    def _questions(self, key: str, calling: Calling) -> Iterator[None]:
        """Let a server's questions come to a call, while it runs."""
        asking = self._asking.setdefault(key, {})
        asking[calling.id] = calling
        try:
            yield
        finally:
            asking.pop(calling.id, None)
            if not asking:
                self._asking.pop(key, None)

    async def _put(self, key: str, question: Question) -> Answer:
        """Put a server's question to the person."""
        asking = self._asking.get(key, {})
        calling = asking.get(CALL.get()) or next(reversed(asking.values()), None)
        if calling is None:
            return Answer(action="decline")
        words, schema = question.message[: limits.ERROR_CHARS], question.schema
        if question.url is not None:
            words, schema = f"{words}\n{question.url}", {"type": "object", "properties": {}}
        answer = await calling.ask(words, schema or {})
        return (
            Answer(action="decline") if answer is None else Answer(action="accept", content=answer)
        )
