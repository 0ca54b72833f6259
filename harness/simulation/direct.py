"""A request that skips the bytes of HTTP: straight into the app, as Hypercorn would hand it over.

Theory: to write a request as bytes and to read it back twice costs more than to answer it. One seed
in a few speaks HTTP (`plan.WIRE_EVERY`); the others come in here, where everything from the app on
is the product, and so look at more orders of events in the same time. Source: ASGI 3.0, HTTP.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any
from urllib.parse import unquote

import orjson
import trio

from harness.simulation.network import ROOM_BYTES, Line
from harness.simulation.wire import Asked, Lost
from transports.ingress.http.connection import IN_MEMORY
from transports.ingress.http.exchange import MAIL, Mail


class Direct(Asked):
    """One request to the app of a process."""

    def __init__(self, app: Any, caller: str, tasks: trio.Nursery, room: int) -> None:
        self._app, self._caller, self._tasks = app, caller, tasks
        self._line, self._scope = Line(room), trio.CancelScope()
        self._start: tuple[int, dict[str, str]] | None = None
        self._first = b""
        self._whole = False
        self.on_end: Callable[[], object] = lambda: None

    @property
    def incoming(self) -> Line:
        return self._line

    async def send(
        self, method: str, path: str, *, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> None:
        raw = b"" if body is None else orjson.dumps(body)
        sent = [
            (b"host", b"127.0.0.1:8787"),
            (b"authorization", b"Bearer %b" % self._caller.encode()),
        ]
        if body is not None:
            sent += [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(raw))]
        sent += [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
        plain, _, query = path.partition("?")
        mail = Mail()
        scope = {
            "type": "http",
            "http_version": "1.1",
            "asgi": {"spec_version": "2.1", "version": "3.0"},
            "method": method,
            "scheme": "http",
            "path": unquote(plain),
            "raw_path": plain.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": sent,
            "client": IN_MEMORY,
            "server": IN_MEMORY,
            "state": {},
            "extensions": {MAIL: mail},
        }
        await mail.put({"type": "http.request", "body": raw, "more_body": False})
        self._tasks.start_soon(self._serve, scope)

    async def _serve(self, scope: dict[str, Any]) -> None:
        try:
            with self._scope:
                await self._app(scope, None, self._take)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the client has left, or the process has died
        finally:
            self._line.close()
            self.on_end()

    async def _take(self, message: dict[str, Any]) -> None:
        """Take a message of the app."""
        if message["type"] == "http.response.start":
            told = {name.decode().lower(): value.decode() for name, value in message["headers"]}
            self._start = message["status"], told
            return
        if message["body"]:
            await self._line.put(message["body"])
        if not message["more_body"]:
            self._whole = True
            self._line.close()

    async def head(self) -> tuple[int, dict[str, str]]:
        self._first = await self._get()
        if self._start is None:
            raise Lost("no answer")
        return self._start

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        piece, self._first = self._first, b""
        while piece:
            yield piece
            piece = await self._get()
        if not self._whole:
            raise Lost("cut")

    async def _get(self) -> bytes:
        try:
            return await self._line.get(ROOM_BYTES)
        except trio.BrokenResourceError as gone:
            raise Lost from gone

    def hang_up(self) -> None:
        self._line.tear()
        self._scope.cancel()

    def cut(self) -> None:
        """End it as the death of the process does: what is on the way still comes."""
        self._line.close()
