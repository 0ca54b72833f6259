"""A provider whose every part is said by the spec, when the spec says it.

It is the real thing to the service: a call waits on a channel as it would on a socket, and closing
the call is seen by the spec.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

import trio

from runtime import limits
from transports.egress.providers.base import Delta, End, Model, Part, Request


@dataclass(slots=True)
class Call:
    """One call under way: what was asked, where its parts go in, and when it was closed."""

    request: Request
    say: trio.MemorySendChannel[Part | Exception]
    closed: trio.Event = field(default_factory=trio.Event)

    async def text(self, *pieces: str) -> None:
        for piece in pieces:
            await self.say.send(Delta(index=0, text=piece))

    async def end(self, end: End | None = None) -> None:
        await self.say.send(end or End())


class Scripted:
    """The provider `scripted`; `next_call` waits for a job to ask it."""

    endpoint = "scripted"
    merges = True
    patience_s = limits.PROVIDER_IDLE_S

    def __init__(self, *, concurrency: int = 100, context: int | None = None) -> None:
        self.concurrency = concurrency
        model = Model(id="scripted", endpoint="scripted", context=context)
        self.models: tuple[Model, ...] = (model,)
        self.calls: list[Call] = []
        self._put, self._calls = trio.open_memory_channel[Call](100)

    async def next_call(self) -> Call:
        return await self._calls.receive()

    async def answer(self, request: Request) -> AsyncGenerator[Part, None]:
        say, said = trio.open_memory_channel[Part | Exception](0)
        call = Call(request, say)
        self.calls.append(call)
        self._put.send_nowait(call)
        try:
            async for part in said:
                if isinstance(part, Exception):
                    raise part
                yield part
        finally:
            said.close()
            call.closed.set()

    async def aclose(self) -> None:
        self._put.close()
