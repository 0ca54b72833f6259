"""/mcp: Runchat as an MCP server, for the callers of the HTTP API. The front's neighbour.

Theory: the front has settled who asks and has the body whole. What is no JSON-RPC message is
refused here, before the SDK sees it, since the SDK would tell what it read. A revision named in the
header that has no sessions is served by itself; all else belongs to a session. The SDK's server is
a second of imports, so that it is made when somebody first asks, and off the loop.
Source: specification 2025-11-25 and 2026-07-28, basic/transports.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import orjson
import trio

from actors.desk import Desk
from runtime.caller import Caller
from runtime.hub import Hub
from runtime.ids import Ids
from runtime.log import EventLog
from runtime.problems import MediaTypeNotSupported, ShuttingDown
from store.database import Database
from transports.ingress.mcp import saying

if TYPE_CHECKING:
    from transports.ingress.mcp.engine import Engine, Fittings

PARSE_ERROR: Final = -32700  # JSON-RPC 2.0, section 5.1
INVALID_REQUEST: Final = -32600
JSON: Final = b"application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the server is made of.

    Args:
        more: makes what is offered beside it; only the harness has any.
    """

    desk: Desk
    log: EventLog
    hub: Hub
    reader: Database
    ids: Ids
    more: Callable[[], Fittings] | None = None


class Door:
    """One per service. `run` it in a nursery that outlives every request."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._nursery: trio.Nursery
        self._engine: Engine | None = None
        self._making = trio.Lock()
        self._closing = trio.Event()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Carry the sessions until `close`."""
        async with trio.open_nursery() as self._nursery:
            task_status.started()
            await self._closing.wait()

    def close(self) -> None:
        """End what has no end of its own, and each session with its last request; take no more."""
        self._closing.set()
        if self._engine is not None:
            self._engine.close()

    async def __call__(
        self, caller: Caller, request_id: str, scope: Any, receive: Any, send: Any
    ) -> None:
        """Answer a request of a caller, whose body has come whole.

        Raises:
            Problem: it is refused before it is one of the protocol.
        """
        if self._closing.is_set():
            raise ShuttingDown("The service is stopping.")
        method = ""
        if scope["method"] == "POST":
            body = (await receive())["body"]
            _check_media_type(scope)
            try:
                message = orjson.loads(body)
            except orjson.JSONDecodeError:
                words = "The body is not valid JSON."
                await saying.error(send, HTTPStatus.BAD_REQUEST, PARSE_ERROR, words)
                return
            if not is_message(message):
                words = "The body is not one JSON-RPC message."
                await saying.error(send, HTTPStatus.BAD_REQUEST, INVALID_REQUEST, words)
                return
            method, receive = message.get("method", ""), _again(body, receive)
        engine = await self._made()
        await engine.serve(caller, request_id, method, scope, receive, send)

    async def _made(self) -> Engine:
        async with self._making:
            if self._engine is None:
                name = f"{__package__}.engine"
                module = await trio.to_thread.run_sync(import_module, name)
                made: Engine = module.Engine(self._parts)
                await self._nursery.start(made.run)
                self._engine = made
        return self._engine


def is_message(message: Any) -> bool:
    """Whether it is a request, a notification or an answer; the SDK reads what is in it."""
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
        return False
    name = message.get("id", 0)
    if isinstance(name, bool) or not isinstance(name, int | str):
        return False
    if "method" in message:
        params = message.get("params", {})
        return isinstance(message["method"], str) and isinstance(params, dict)
    answers = ("result" in message) != ("error" in message)
    return answers and "id" in message and isinstance(message.get("result", {}), dict)


def _check_media_type(scope: Any) -> None:
    said = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
    if said.partition(b";")[0].strip().lower() != JSON:
        raise MediaTypeNotSupported("The body must be application/json, in UTF-8.")


def _again(body: bytes, receive: Any) -> Any:
    """Return a `receive` that gives the body once more."""
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Any:
        return messages.pop() if messages else await receive()

    return again
