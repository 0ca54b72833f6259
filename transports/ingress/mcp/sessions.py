"""Sessions of the revisions before 2026-07-28: each is its caller's, bounded, and ends when idle.

The SDK carries a session; who may have one is decided here. The id of another caller's session is
one that never was. A caller who opens more than a few loses the one it has not used for longest,
whose client then begins anew; the SDK's own manager would share one replay among all sessions.
Source: specification 2025-11-25, basic/transports, Session Management; mcp 2.3
`streamable_http_manager.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

import structlog
import trio
from mcp.server.lowlevel import Server
from mcp.server.runner import serve_loop
from mcp.server.streamable_http import MCP_SESSION_ID_HEADER, StreamableHTTPServerTransport
from mcp_types import INVALID_REQUEST

from runtime import limits
from runtime.caller import Caller
from runtime.ids import Ids
from runtime.problems import TooManyRequests
from transports.ingress.mcp import saying
from transports.ingress.mcp.replay import Replay
from transports.ingress.mcp.shelf import BEGUN

HEADER: Final = MCP_SESSION_ID_HEADER.encode()
log = structlog.get_logger(__name__)


@dataclass(slots=True, kw_only=True, eq=False)
class _Session:
    caller: Caller
    transport: StreamableHTTPServerTransport
    replay: Replay
    used_s: float  # when its last request came
    requests: int = 0  # under way
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)


class Sessions:
    """All sessions of one server."""

    def __init__(
        self,
        server: Server[Any],
        ids: Ids,
        nursery: trio.Nursery,
        *,
        most: int = limits.MCP_SERVED_MAX,
        most_per_caller: int = limits.MCP_SERVED_PER_CALLER_MAX,
    ) -> None:
        self._server, self._ids, self._nursery = server, ids, nursery
        self._most, self._most_per_caller = most, most_per_caller
        self._open: dict[str, _Session] = {}
        self._closing = False

    def __len__(self) -> int:
        return len(self._open)

    async def serve(self, caller: Caller, opens: bool, scope: Any, receive: Any, send: Any) -> None:
        """Serve a request of a session, or the one that opens it.

        Args:
            opens: it asks for a new session.

        Raises:
            TooManyRequests: no further session can be had now.
        """
        named = next((value for name, value in scope["headers"] if name == HEADER), None)
        if named is not None:
            session = self._open.get(named.decode("latin-1"))
            if session is None or not _is_of(session, caller):
                await saying.error(send, HTTPStatus.NOT_FOUND, INVALID_REQUEST, "No such session.")
                return
        elif opens:
            session = await self._begin(caller)
        else:
            words = "A session is needed: begin with initialize."
            await saying.error(send, HTTPStatus.BAD_REQUEST, INVALID_REQUEST, words)
            return
        await self._serve(session, scope, receive, send, stays=named is not None)

    async def _serve(
        self, session: _Session, scope: Any, receive: Any, send: Any, *, stays: bool
    ) -> None:
        status, begun = 0, trio.Event()
        scope[BEGUN] = begun

        async def watch(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)
            if message["type"] == "http.response.body":
                begun.set()

        session.requests += 1
        session.used_s = trio.current_time()
        try:
            await session.transport.handle_request(scope, receive, watch)
        finally:
            begun.set()
            session.requests -= 1
            stays = stays or 0 < status < HTTPStatus.BAD_REQUEST
            over = self._closing and not session.requests
            if over or session.transport.is_terminated or not stays:
                self._end(session)

    async def _begin(self, caller: Caller) -> _Session:
        self._make_room(caller)
        session = _Session(
            caller=caller,
            transport=StreamableHTTPServerTransport(
                self._ids.secret(),
                event_store=(replay := Replay()),
                retry_interval=limits.MCP_RETRY_MS,
                idle_timeout=limits.MCP_SERVED_IDLE_S,
            ),
            replay=replay,
            used_s=trio.current_time(),
        )
        self._open[self._id(session)] = session
        await self._nursery.start(self._run, session)
        return session

    def _make_room(self, caller: Caller) -> None:
        own = [each for each in self._open.values() if _is_of(each, caller)]
        if len(own) >= self._most_per_caller or len(self._open) >= self._most:
            resting = [each for each in own if not each.requests]
            if not resting:
                raise TooManyRequests("So many sessions are open that no more can be had now.")
            self._end(min(resting, key=lambda each: each.used_s))

    async def _run(
        self, session: _Session, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        options = self._server.create_initialization_options(
            extensions={}  # those that there are belong to the later revision
        )
        try:
            with session.scope:
                async with session.transport.connect() as (heard, said):
                    task_status.started()
                    with session.transport.idle_scope:  # type: ignore[union-attr]  # made by `connect`
                        await serve_loop(
                            self._server,
                            heard,
                            said,
                            lifespan_state={},
                            session_id=self._id(session),
                            init_options=options,
                        )
        except Exception:  # a bug in one session is not the others' affair
            log.exception("mcp_session_failed")
        finally:
            self._end(session)
            with trio.CancelScope(shield=True):
                await session.transport.terminate()

    def _end(self, session: _Session) -> None:
        """Forget a session at once; its task ends what it has open."""
        self._open.pop(self._id(session), None)
        session.replay.close()
        session.scope.cancel()

    def close(self) -> None:
        """End each session with its last request; what only listens ends at once."""
        self._closing = True
        for session in tuple(self._open.values()):
            session.replay.close()
            session.transport.close_standalone_sse_stream()
            if not session.requests:
                self._end(session)

    @staticmethod
    def _id(session: _Session) -> str:
        name = session.transport.mcp_session_id
        assert name is not None
        return name


def _is_of(session: _Session, caller: Caller) -> bool:
    """Whether it is the caller's; another token of the same user is the same caller."""
    owner = session.caller
    return (owner.tenant, owner.user) == (caller.tenant, caller.user)
