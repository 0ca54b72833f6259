"""An upstream that speaks the vendors' wires over real bytes, and fails as it is told.

`POST` to any wire's path answers by the script of the model that its body or path names; `PUT
/scripts/NAME` sets a script, `GET /records` tells what each request brought and when its client
left. It watches for the client's leaving while it writes and while it waits, since that is what
proves a cancel.
Source: h11's state machine; RFC 9112.
"""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any
from urllib.parse import unquote

import h11
import orjson
import trio

from harness.upstream.script import Script, read_script

READ_BYTES = 64 * 1024
HELD_BYTES = 4096  # of small chunks that are written together
# The paths of the four wires; a Gemini path names the model.
ASKED = re.compile(
    r"/(?:chat/completions|responses|messages|models/([^/:]+):streamGenerateContent)$"
)
RST_AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER on, for no time


@dataclass(slots=True, kw_only=True)
class Record:
    """What became of one request. Times are trio's."""

    number: int
    model: str
    path: str
    headers: Mapping[str, str]
    body: Any
    began_at: float
    sent_bytes: int = 0
    client_left_at: float | None = None
    ended_at: float | None = None
    left: trio.Event = field(default_factory=trio.Event, repr=False)

    def to_json(self) -> dict[str, Any]:
        """Return all but the event."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name != "left"}


class Upstream:
    """Scripts by model's name, and records of what was asked."""

    def __init__(self, scripts: Mapping[str, Script] | None = None) -> None:
        self.scripts: dict[str, Script] = {"hello": Script(), **(scripts or {})}
        self.records: list[Record] = []

    def find(self, model: str) -> Script | None:
        """Return the script of a model."""
        return self.scripts.get(model)

    def refusal(self, record: Record) -> str | None:  # noqa: ARG002  a stricter one reads it
        """Return why a request is refused; None where it is accepted."""
        return None

    async def serve(
        self,
        port: int = 0,
        *,
        task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve on loopback until cancelled; report the port."""
        listeners = await trio.open_tcp_listeners(port, host="127.0.0.1")
        bound: int = listeners[0].socket.getsockname()[1]
        task_status.started(bound)
        await trio.serve_listeners(self.serve_stream, listeners)

    async def serve_stream(self, stream: trio.abc.Stream) -> None:
        """Serve one connection, whatever it runs over."""
        await Connection(self, stream).run()


class Connection:
    """One connection: h11 between bytes and requests."""

    def __init__(self, upstream: Upstream, stream: trio.abc.Stream) -> None:
        self._upstream, self._stream = upstream, stream
        self._http = h11.Connection(h11.SERVER)

    async def run(self) -> None:
        """Answer one request after another until either side has had enough."""
        async with self._stream:
            try:
                while (request := await self._request()) is not None:
                    await self._route(*request)
                    if self._http.our_state is not h11.DONE:
                        return
                    self._http.start_next_cycle()
            except (trio.BrokenResourceError, trio.ClosedResourceError, h11.RemoteProtocolError):
                return

    async def _request(self) -> tuple[h11.Request, bytes] | None:
        request: h11.Request | None = None
        body = bytearray()
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                self._http.receive_data(bytes(await self._stream.receive_some(READ_BYTES)))
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage) and request is not None:
                return request, bytes(body)
            else:
                return None

    async def _route(self, request: h11.Request, body: bytes) -> None:
        method, path = request.method.decode(), request.target.decode().partition("?")[0]
        if method == "POST" and (asked := ASKED.search(path)):
            await self._chat(request, path, orjson.loads(body), unquote(asked[1] or ""))
        elif method == "PUT" and path.startswith("/scripts/"):
            await self._set(path.removeprefix("/scripts/"), body)
        elif method == "GET" and path == "/records":
            await self._json(200, [record.to_json() for record in self._upstream.records])
        elif method == "GET" and path.endswith("/models"):
            data = [{"id": name, "object": "model"} for name in sorted(self._upstream.scripts)]
            await self._json(200, {"object": "list", "data": data})
        else:
            await self._json(404, {"error": {"message": "There is nothing here."}})

    async def _set(self, name: str, body: bytes) -> None:
        try:
            self._upstream.scripts[name] = read_script(orjson.loads(body))
        except (ValueError, TypeError, AttributeError) as problem:
            await self._json(400, {"error": {"message": f"This is no script: {problem}"}})
        else:
            await self._json(200, {"set": True})

    async def _chat(self, request: h11.Request, path: str, body: Any, named: str) -> None:
        record = Record(
            number=len(self._upstream.records),
            model=named or body["model"],
            path=path,
            headers={name.decode(): value.decode() for name, value in request.headers},
            body=body,
            began_at=trio.current_time(),
        )
        self._upstream.records.append(record)
        script = self._upstream.find(record.model)
        if script is None:
            error = {"message": "No such model.", "code": "model_not_found"}
            await self._json(404, {"error": error})
            return
        if (why := self._upstream.refusal(record)) is not None:
            error = {"message": why, "code": "invalid_request_error"}
            await self._json(400, {"error": error})
            return
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch, record, nursery.cancel_scope)
            try:
                await self._play(script, record)
            except trio.BrokenResourceError:
                _leave(record)
            record.ended_at = trio.current_time()
            nursery.cancel_scope.cancel()

    async def _watch(self, record: Record, answering: trio.CancelScope) -> None:
        """Note when the client leaves. It has sent all it has to say, so anything is its end."""
        try:
            data = await self._stream.receive_some(READ_BYTES)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            data = b""
        if data:
            self._http.receive_data(bytes(data))
            return
        _leave(record)
        answering.cancel()

    async def _play(self, script: Script, record: Record) -> None:
        is_chunked = script.framing == "chunked"
        await trio.sleep(script.first_delay_s)
        head = _head(script)
        await (self._send(head) if is_chunked else self._stream.send_all(_head_bytes(head)))
        held = bytearray()  # pieces that go in one write: each is a chunk, which the reader sees
        for piece in script.writes():
            held += (self._http.send(h11.Data(data=piece)) or b"") if is_chunked else piece
            record.sent_bytes += len(piece)
            is_held = is_chunked and script.split_bytes is not None and not script.delay_s
            if not is_held or len(held) >= HELD_BYTES:
                await trio.sleep(script.delay_s)
                await self._stream.send_all(held)
                held.clear()
        await self._stream.send_all(held)
        is_cut = script.cut_events is not None or script.cut_bytes is not None
        if script.then == "stall":
            await trio.sleep_forever()
        elif script.then == "reset":
            self._reset()
        elif is_chunked and (script.then == "end" or not is_cut):
            await self._send(h11.EndOfMessage())

    async def _send(self, event: h11.Event) -> None:
        data = self._http.send(event)
        if data:
            await self._stream.send_all(data)

    def _reset(self) -> None:
        """Make the closing of the connection a reset; over memory there is nothing to make."""
        if isinstance(self._stream, trio.SocketStream):
            self._stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST_AT_ONCE)

    async def _json(self, status: int, document: Any) -> None:
        body = orjson.dumps(document)
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        await self._send(h11.Response(status_code=status, headers=headers))
        await self._send(h11.Data(data=body))
        await self._send(h11.EndOfMessage())


def _leave(record: Record) -> None:
    """Note that the client is gone, whichever way it showed."""
    if record.client_left_at is None:
        record.client_left_at = trio.current_time()
        record.left.set()


def _head(script: Script) -> h11.Response:
    content_type = script.content_type if script.status == 200 else "application/json"  # noqa: PLR2004
    headers = [("Content-Type", content_type), *(script.headers or {}).items()]
    if script.framing == "chunked":
        headers.append(("Transfer-Encoding", "chunked"))
    else:
        headers.append(("Connection", "close"))
    return h11.Response(status_code=script.status, headers=headers)


def _head_bytes(head: h11.Response) -> bytes:
    """Return a head by hand: h11 would have every HTTP/1.1 body chunked."""
    lines = [b": ".join(header) for header in head.headers.raw_items()]
    return b"\r\n".join([b"HTTP/1.1 %d " % head.status_code, *lines, b"", b""])
