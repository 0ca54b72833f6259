"""A request that skips the bytes of HTTP: straight into the app, as Hypercorn would hand it over.

Theory: to write a request as bytes and to read it back twice costs more than to answer it. One seed
in a few speaks HTTP (`plan.WIRE_EVERY`); the others come in here, where everything from the app on
is the product, and so look at more orders of events in the same time. What has one answer is
answered in the task of the client that asks. A stream has a task of its own, and a line that takes
what there is room for, as a socket does, so that the pump carries its reader.
Source: ASGI 3.0, HTTP; RFC 9112, section 7.1.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any, Final
from urllib.parse import unquote

import orjson
import trio

from harness.faults import Killed
from harness.simulation.network import ROOM_BYTES, Line
from harness.simulation.wire import ANSWER_S, GONE, Answer, Asked, Garbled, Lost, Pairs
from transports.ingress.http.connection import IN_MEMORY
from transports.ingress.http.exchange import LINE, MAIL, Mail
from transports.ingress.http.line import Line as Way

CHUNK: Final = re.compile(rb"([0-9a-f]+)\r\n")


class Direct(Asked):
    """One request to the app of a process."""

    def __init__(self, app: Any, caller: str, tasks: trio.Nursery, room: int) -> None:
        self._app, self._caller, self._tasks = app, caller, tasks
        self._line, self._scope = Line(room), trio.CancelScope()
        self._start: tuple[int, Pairs] | None = None
        self._whole = self._over = False
        self.on_end: Callable[[], object] = lambda: None

    @property
    def incoming(self) -> Line:
        return self._line

    async def answer(
        self, method: str, path: str, *, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        scope, pieces = await self._ask(method, path, body, headers), list[bytes]()

        async def take(message: dict[str, Any]) -> None:
            if not self._scope.cancel_called:  # the dead say nothing
                self._take_start(message)
                pieces.append(message.get("body", b""))

        self._scope.deadline = trio.current_time() + ANSWER_S
        try:
            with self._scope:
                await self._app(scope, None, take)
        except Killed as killed:  # it was this request's own commit that the process died at
            raise Lost from killed
        finally:
            self._end()
        if self._start is None or not self._whole:
            raise trio.TooSlowError if self._scope.deadline <= trio.current_time() else Lost("cut")
        status, pairs = self._start
        return Answer(status=status, pairs=pairs, body=b"".join(pieces))

    async def send(
        self, method: str, path: str, *, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> None:
        scope = await self._ask(method, path, body, headers)
        scope["extensions"][LINE] = Way(self._take, self._line.put, self._write_now)
        self._tasks.start_soon(self._serve, scope)

    async def _ask(
        self, method: str, path: str, body: Any, headers: Mapping[str, str] | None
    ) -> dict[str, Any]:
        """Return what the app is told of a request, and by the way its body."""
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
        await mail.put({"type": "http.request", "body": raw, "more_body": False})
        return {
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

    async def _serve(self, scope: dict[str, Any]) -> None:
        try:
            with self._scope:
                await self._app(scope, None, self._take)
        except GONE:
            pass  # the client has left, or the process has died
        finally:
            self._line.close()
            self._end()

    def _end(self) -> None:
        self._over = True  # to cancel what is over costs as much as to cancel it
        self.on_end()

    async def _take(self, message: dict[str, Any]) -> None:
        """Take a message of the app; a part of the body goes as a chunk, as the pump sends it."""
        if self._scope.cancel_called:
            raise trio.ClosedResourceError
        self._take_start(message)
        if part := message.get("body"):
            await self._line.put(b"%x\r\n%b\r\n" % (len(part), part))
        if self._whole:
            self._line.close()

    def _take_start(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self._start = message["status"], tuple(message["headers"])
        else:
            self._whole = not message["more_body"]

    def _write_now(self, data: bytes) -> int:
        return 0 if self._line.ended else self._line.put_now(data)

    async def head(self) -> tuple[int, Pairs]:
        await self._line.wait()
        if self._start is None:
            raise Lost("no answer")
        return self._start

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        data = b""
        while True:
            if match := CHUNK.match(data):
                end = match.end() + int(match[1], 16)
                if data[end : end + 2] == b"\r\n":
                    yield data[match.end() : end]
                    data = data[end + 2 :]
                    continue
                if len(data) > end + 1:
                    raise Garbled(repr(data[end : end + 200]))
            if not (piece := await self._get()):
                break
            data += piece
        if data or not self._whole:
            raise Lost("cut")

    async def _get(self) -> bytes:
        try:
            return await self._line.get(ROOM_BYTES)
        except trio.BrokenResourceError as gone:
            raise Lost from gone

    def hang_up(self) -> None:
        self._line.tear()
        if not self._over:
            self._scope.cancel()

    def cut(self) -> None:
        """End it as the death of the process does: what is on the way still comes."""
        self._line.close()
        self._scope.cancel()
