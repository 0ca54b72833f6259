"""HTTP as the fidelity run speaks it: requests one after the other over a connection kept open.

Thousands of short jobs are asked for; a whole client library would cost more than the service.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import h11
import orjson
import trio

READ_BYTES = 256 * 1024
GOOD = range(200, 300)
EVENTS = "text/event-stream"


class Talk:
    """One connection to a service on loopback."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._stream: trio.SocketStream | None = None
        self._http = h11.Connection(h11.CLIENT)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._leave()

    async def post(self, path: str, document: Any) -> Any:
        """Send JSON; return the JSON that is answered."""
        return orjson.loads(await self._ask("POST", path, orjson.dumps(document)))

    async def get(self, path: str) -> Any:
        """Return the JSON at a path."""
        return orjson.loads(await self._ask("GET", path))

    async def events(self, path: str) -> list[Any]:
        """Return the events of a stream that ends."""
        body = await self._ask("GET", path, accept=EVENTS)
        lines = (line for line in body.split(b"\n") if line.startswith(b"data: "))
        return [orjson.loads(line[6:]) for line in lines]

    async def _ask(
        self, method: str, path: str, body: bytes = b"", accept: str = "application/json"
    ) -> bytes:
        stream = self._stream = self._stream or await trio.open_tcp_stream("127.0.0.1", self._port)
        headers = [
            ("Host", f"127.0.0.1:{self._port}"),
            ("Accept", accept),
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
        ]
        http = self._http
        sent = http.send(h11.Request(method=method, target=path, headers=headers)) or b""
        sent += http.send(h11.Data(data=body)) or b""
        await stream.send_all(sent + (http.send(h11.EndOfMessage()) or b""))
        status, said = await self._answer(stream)
        if status not in GOOD:
            raise RuntimeError(f"{method} {path}: {status} {said[:500]!r}")
        if http.our_state is http.their_state is h11.DONE:
            http.start_next_cycle()
        else:  # the service wants the connection closed
            await self._leave()
        return said

    async def _answer(self, stream: trio.SocketStream) -> tuple[int, bytes]:
        status, said = 0, bytearray()
        while not isinstance(event := self._http.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                self._http.receive_data(bytes(await stream.receive_some(READ_BYTES)))
            elif isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                said += event.data
        return status, bytes(said)

    async def _leave(self) -> None:
        stream, self._stream = self._stream, None
        self._http = h11.Connection(h11.CLIENT)
        if stream:
            await stream.aclose()
