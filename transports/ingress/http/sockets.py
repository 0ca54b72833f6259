"""One WebSocket in one task: what its client says waits here, and that it has left ends the task.

A message that is too large is counted and dropped as it comes, and its client told. Hypercorn 0.18
keeps all of it in memory however long it grows, says 1009, and then leaves the connection open.

Source: the ASGI specification, "WebSocket"; hypercorn 0.18 `protocol/ws_stream.py`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

import trio
from hypercorn.protocol.ws_stream import WebsocketBuffer, WSStream

from runtime import limits

MAIL: Final = "runchat.socket"  # where the scope carries the SocketMail
Message = MutableMapping[str, Any]
Send = Callable[[Any], Awaitable[None]]
TOO_LARGE: Final[dict[str, Any]] = {"type": "runchat.too-large"}  # in place of such a message


class Bounded(WebsocketBuffer):
    """One message as it comes; nothing of it where it is larger than `max_length` bytes."""

    def extend(self, event: Any) -> None:
        """Add a piece of the message."""
        data = event.data
        size = self.length + (len(data.encode()) if isinstance(data, str) else len(data))
        if size <= self.max_length:
            super().extend(event)
        else:
            self.value = None
        self.length = size

    def to_message(self) -> dict[str, Any]:
        """Return the whole message as ASGI has it, or that it is too large."""
        return TOO_LARGE if self.length > self.max_length else super().to_message()


def bound(send: Send) -> None:
    """Have what comes on the WebSocket of Hypercorn's that `send` belongs to bounded."""
    stream = getattr(send, "__self__", None)
    if isinstance(stream, WSStream):
        stream.buffer = Bounded(limits.BODY_BYTES_MAX)


class SocketMail:
    """What a client says over its socket, in order."""

    __slots__ = ("_put", "_take", "scope")

    def __init__(self) -> None:
        self.scope = trio.CancelScope()  # cancelled when the client leaves
        self._put, self._take = trio.open_memory_channel[Message](limits.SOCKET_MESSAGES_MAX)

    async def put(self, message: Message) -> None:
        """Take a message of Hypercorn's; one too many waits, and so does the client's socket."""
        if message["type"] == "websocket.disconnect":
            self.scope.cancel()
        else:
            await self._put.send(message)

    async def take(self) -> Message:
        """Return the next message, once there is one."""
        return await self._take.receive()
