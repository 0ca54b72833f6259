"""A provider that says what a job's options tell it to, and remembers what it has said to whom.

Theory: the script travels in the job's options, so it is in the store, and a job that asks again
after a crash hears the same again. What a provider knows (which calls are open, whether the
terminal mark was sent) is what the product cannot know by itself, so the laws are held against it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Annotated, Literal

import trio
from pydantic import Field

from runtime.problems import UpstreamLost, UpstreamSaid
from transports.egress.providers.base import (
    Delta,
    End,
    ItemDone,
    ItemStart,
    Model,
    Part,
    Request,
    Usage,
)

MODEL = "script"
SYLLABLES = ("ka", "lo", "mi", "né", "ru", "so", "ta", "vi", "\U0001f33f", "zu")
Whole = Annotated[int, Field(ge=0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What is said in one answer.

    Args:
        seed: names the text.
        words: how many deltas.
        pause_ms: before each of them.
        end: how the answer ends after the last word.
        thinks: an item of reasoning goes before the message.
        counts: usage is said before the end.
    """

    seed: Whole = 0
    words: Whole = 5
    pause_ms: Whole = 10
    end: Literal["finish", "length", "truncate", "error", "reset", "stall", "bug"] = "finish"
    thinks: bool = False
    counts: bool = False

    def text(self) -> str:
        """Return the whole message."""
        return "".join(self.word(index) for index in range(self.words))

    def word(self, index: int) -> str:
        """Return the text of one delta."""
        number = (self.seed * 7919 + index * 104_729) % 9973
        return f"{SYLLABLES[number % 10]}{SYLLABLES[number // 10 % 10]}{number} "


@dataclass(slots=True)
class Call:
    """One request of a job, as the provider saw it."""

    opened_at: float
    closed_at: float | None = None
    marked: bool = False  # the terminal mark has been sent


@dataclass(slots=True)
class Scripted:
    """The provider `script` with its one model. It outlives the service, as vendors do."""

    endpoint: str = "script"
    models: tuple[Model, ...] = (Model(id=MODEL, endpoint="script", options=Script),)
    concurrency: int = 6  # fewer than may run, so that calls wait their turn
    merges: bool = True
    calls: dict[str, list[Call]] = field(default_factory=dict)  # by job

    async def answer(self, request: Request) -> AsyncGenerator[Part, None]:
        """Yield what the options script."""
        call = Call(opened_at=trio.current_time())
        self.calls.setdefault(request.job_id, []).append(call)
        try:
            async with aclosing(_say(request.options)) as parts:
                async for part in parts:
                    call.marked |= isinstance(part, End)
                    yield part
        finally:
            call.closed_at = trio.current_time()

    async def aclose(self) -> None:
        """There is nothing to let go of."""

    def open_calls(self, job_id: str) -> int:
        """Return how many connections the job has open."""
        return sum(call.closed_at is None for call in self.calls.get(job_id, ()))

    def marked(self, job_id: str) -> bool:
        """Whether the terminal mark has been sent to the job."""
        return any(call.marked for call in self.calls.get(job_id, ()))


async def _say(script: Script) -> AsyncGenerator[Part, None]:  # noqa: C901  a table of ends
    index = 0
    if script.thinks:
        yield ItemStart(index=0, type="reasoning")
        yield Delta(index=0, text="hm ")
        yield ItemDone(index=0)
        index = 1
    yield ItemStart(index=index, type="message")
    for word in range(script.words):
        await trio.sleep(script.pause_ms / 1000)
        yield Delta(index=index, text=script.word(word))
    if script.counts:
        yield Usage(source="provider", input=3, output=script.words)
    match script.end:
        case "error":
            raise UpstreamSaid("The vendor says no.", code="scripted")
        case "reset":
            raise UpstreamLost("The vendor hung up.")
        case "stall":
            await trio.sleep_forever()
        case "bug":
            raise ZeroDivisionError
        case "truncate":
            return
        case "length":
            yield End(reason="length", provider_reason="max_tokens")
        case "finish":
            yield ItemDone(index=index)
            yield End(provider_reason="stop")
