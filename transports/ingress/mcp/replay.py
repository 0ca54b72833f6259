"""What a session has sent lately, so that a client that lost its connection misses nothing.

A client of the revisions with sessions comes back with the id of the last event it saw, and hears
what its stream said since, and goes on to hear it until the answer has come. The newest are kept,
so many events and bytes; who is further behind is told nothing rather than half of it. Following
happens here and not in the SDK, which between replaying and following would lose what comes.
Source: specification 2025-11-25, basic/transports, Resumability; mcp 2.3 `EventStore`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import trio
from mcp.server.streamable_http import EventCallback, EventMessage, EventStore
from mcp_types import JSONRPCError, JSONRPCMessage, JSONRPCResponse

from runtime import limits


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sent:
    number: int
    stream: str
    message: JSONRPCMessage | None  # None only says where a stream begins
    size_bytes: int


class Replay(EventStore):
    """The events of one session."""

    def __init__(self) -> None:
        self._kept: deque[_Sent] = deque()
        self._held_bytes = self._last = 0
        self._more = trio.Event()
        self._closed = False

    async def store_event(self, stream_id: str, message: JSONRPCMessage | None) -> str:
        """Keep an event, and let the oldest go where it is too much; return its id."""
        self._last += 1
        size_bytes = len(message.model_dump_json()) if message is not None else 0
        sent = _Sent(number=self._last, stream=stream_id, message=message, size_bytes=size_bytes)
        self._kept.append(sent)
        self._held_bytes += size_bytes
        while len(self._kept) > 1 and self._is_full:
            self._held_bytes -= self._kept.popleft().size_bytes
        self._wake()
        return str(self._last)

    async def replay_events_after(
        self, last_event_id: str, send_callback: EventCallback
    ) -> str | None:
        """Send what the event's stream said after it, and what comes, until its answer has come."""
        known = next((each for each in self._kept if str(each.number) == last_event_id), None)
        if known is None:
            return None
        cursor = known.number
        while not self._closed:
            more = self._more
            for each in tuple(self._kept):
                if each.number <= cursor or each.stream != known.stream:
                    continue
                cursor = each.number
                if each.message is None:
                    continue
                await send_callback(EventMessage(each.message, str(each.number)))
                if isinstance(each.message, JSONRPCResponse | JSONRPCError):
                    return None
            await more.wait()
        return None

    def close(self) -> None:
        """End all who follow."""
        self._closed = True
        self._wake()

    @property
    def _is_full(self) -> bool:
        too_many = len(self._kept) > limits.MCP_REPLAY_EVENTS_MAX
        return too_many or self._held_bytes > limits.MCP_REPLAY_BYTES

    def _wake(self) -> None:
        self._more.set()
        self._more = trio.Event()
