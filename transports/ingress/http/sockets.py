"""One WebSocket in one task: what its client says waits here, and that it has left ends the task.

Source: the ASGI specification, "WebSocket"; hypercorn 0.18 `protocol/ws_stream.py`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

import trio

from runtime import limits

MAIL: Final = "runchat.socket"  # where the scope carries the SocketMail
Message = MutableMapping[str, Any]
Send = Callable[[Any], Awaitable[None]]


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
