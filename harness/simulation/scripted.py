"""A vendor that says what a job's options tell it to, as bytes, and remembers what it sent to whom.

Theory: the script travels in the job's options, so it is in the store, and a job that asks again
after a crash hears the same again. The bytes are those of the chat wire and go through the
product's own client and decoder; they are split anywhere, and may be cut, reset or held back after
any byte of them. What a vendor knows (which connections are open, whether the terminal mark has
been sent) is what the product cannot know by itself, so the laws are held against it.
"""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Annotated, Any, Final, Literal

import orjson
from pydantic import Field

from harness.simulation.network import Line
from transports.egress.providers.base import Model, Options, Part, Request
from transports.egress.providers.compatible import Compatible, Endpoint

MODEL: Final = "script/one"
SYLLABLES = ("ka", "lo", "mi", "né", "ru", "so", "ta", "vi", "\U0001f33f", "zu")
HEAD: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n"
    b"connection: close\r\n\r\n"  # a kept one that its vendor has left is a fault of its own
)
SAID_NO: Final = b'{"error":{"message":"The vendor says no.","code":"scripted"}}'
REFUSAL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\n"
    b"connection: close\r\ncontent-length: %d\r\n\r\n%b" % (len(SAID_NO), SAID_NO)
)
Whole = Annotated[int, Field(ge=0)]
How = Literal["finish", "length", "truncate", "error", "refuse", "garbage", "reset", "stall", "bug"]
BREAKS: Final = ("truncate", "reset", "stall")
STATUS: Final = {"finish": "completed", "error": "failed", "refuse": "failed", "bug": "failed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Script(Options):
    """What is said in one answer.

    Args:
        seed: names the text, and where its bytes are split.
        words: how many deltas.
        pause_ms: before each of them.
        end: how the answer ends after the last word.
        at: `truncate`, `reset` and `stall` come after this byte (modulo all there are) of a whole
            answer, its head and its framing included; None: after the last word.
        splits: how often the bytes are split where no event ends.
        thinks: an item of reasoning goes before the message.
        counts: usage is said before the end.
    """

    seed: Whole = 0
    words: Whole = 5
    pause_ms: Whole = 10
    end: How = "finish"
    at: Whole | None = None
    splits: Whole = 0
    thinks: bool = False
    counts: bool = False

    def text(self) -> str:
        """Return the whole message."""
        return "".join(self.word(index) for index in range(self.words))

    def word(self, index: int) -> str:
        """Return the text of one delta."""
        number = (self.seed * 7919 + index * 104_729) % 9973
        return f"{SYLLABLES[number % 10]}{SYLLABLES[number // 10 % 10]}{number} "

    def statuses(self) -> set[str]:
        """Return how the job may end that has heard this."""
        if self.at is not None and self.end in BREAKS:
            return {"completed", "incomplete"}  # whether the mark came through is `marked`
        return {STATUS.get(self.end, "incomplete")}


def _events(script: Script) -> Iterator[tuple[float, bytes]]:
    """Yield each event of the answer with the pause before it, in seconds."""
    if script.thinks:
        yield 0.0, _event({"delta": {"reasoning_content": "hm "}})
    for index in range(script.words):
        yield script.pause_ms / 1000, _event({"delta": {"content": script.word(index)}})
    if script.counts:
        usage = {"prompt_tokens": 3, "completion_tokens": script.words}
        yield 0.0, b"data: %b\n\n" % orjson.dumps({"choices": [], "usage": usage})
    if script.end == "error":
        yield 0.0, b"data: %b\n\n" % SAID_NO
    elif script.end == "garbage":
        yield 0.0, b'data: {"choices": [\n\n'
    elif script.end in ("finish", "length") or (script.end in BREAKS and script.at is not None):
        reason = "length" if script.end == "length" else "stop"
        yield 0.0, _event({"delta": {}, "finish_reason": reason})
        yield 0.0, b"data: [DONE]\n\n"


def _event(choice: dict[str, Any]) -> bytes:
    return b"data: %b\n\n" % orjson.dumps({"choices": [{"index": 0, **choice}]})


@dataclass(slots=True)
class Speech:
    """An answer as it is sent."""

    pieces: list[tuple[float, bytes]]  # each with the pause before it
    mark: float  # how many bytes hold the terminal mark; infinite where there is none
    then: Literal["close", "reset", "stall"]


def speech(script: Script, *, framed: bool) -> Speech:
    """Return what a vendor sends.

    Args:
        framed: with HTTP's head and chunks around it; else the body alone.
    """
    if script.end == "refuse":
        return Speech([(0.0, REFUSAL if framed else SAID_NO)], float("inf"), "close")
    raw, mark = (bytearray(HEAD) if framed else bytearray()), float("inf")
    starts: list[tuple[int, float]] = [(0, 0.0)]
    for pause_s, event in _events(script):
        if pause_s:
            starts.append((len(raw), pause_s))
        raw += b"%x\r\n%b\r\n" % (len(event), event) if framed else event
        if b"finish_reason" in event:
            mark = len(raw) - (4 if framed else 2)  # its JSON is whole
    then: Literal["close", "reset", "stall"] = "close"
    if script.end in ("reset", "stall"):
        then = "reset" if script.end == "reset" else "stall"
    elif framed:
        raw += b"0\r\n\r\n"
    if script.at is not None and script.end in BREAKS:
        del raw[script.at % (len(raw) + 1) :]
    return Speech(list(_cut(raw, starts, script)), mark, then)


def _cut(
    raw: bytearray, starts: list[tuple[int, float]], script: Script
) -> Iterator[tuple[float, bytes]]:
    chance = random.Random(script.seed)  # noqa: S311  it repeats, that is its point
    pauses = dict(starts)
    places = {place for place in pauses if place < len(raw)}
    if script.splits and raw:
        places |= {chance.randrange(len(raw)) for _ in range(script.splits)}
    inside = [place for place, byte in enumerate(raw) if 0x80 <= byte < 0xC0]  # noqa: PLR2004 UTF-8
    if script.splits > 1 and inside:
        places.add(chance.choice(inside))
    ordered = [*sorted(places), len(raw)]
    for place, after in pairwise(ordered):
        yield pauses.get(place, 0.0), bytes(raw[place:after])


@dataclass(slots=True, eq=False)
class Call:
    """One request of a job, as the vendor sees it."""

    script: Script
    line: Line | None = None  # from the product; None where no connection lies between
    marked: bool = False  # the terminal mark has been sent
    answering: bool = True

    @property
    def is_open(self) -> bool:
        """Whether neither side has ended it."""
        return self.answering and not (self.line is not None and self.line.closed)


@dataclass(slots=True)
class Scripted:
    """The vendor and its memory. It outlives the service, as vendors do."""

    calls: dict[str, list[Call]] = field(default_factory=dict)  # by job
    scripts: dict[str, Script] = field(default_factory=dict)  # by job, as the product was asked

    def take_call(self, job_id: str, line: Line | None = None) -> Call:
        """Begin an answer."""
        call = Call(self.scripts[job_id], line)
        self.calls.setdefault(job_id, []).append(call)
        return call

    def open_calls(self, job_id: str) -> int:
        """Return how many connections the job has open."""
        return sum(call.is_open for call in self.calls.get(job_id, ()))

    def marked(self, job_id: str) -> bool:
        """Whether the terminal mark has been sent to the job."""
        return any(call.marked for call in self.calls.get(job_id, ()))


class ScriptedProvider(Compatible):
    """The product's provider for the chat wire; what job it speaks for goes along as the trace."""

    def __init__(self, endpoint: Endpoint, vendor: Scripted) -> None:
        super().__init__(endpoint)
        self._vendor = vendor
        name, _, _ = MODEL.partition("/")
        self.models = (Model(id=MODEL, endpoint=name, options=Script),)

    async def answer(self, request: Request) -> AsyncGenerator[Part, None]:
        """Yield what the vendor says, or meet a bug of ours."""
        self._vendor.scripts[request.job_id] = request.options
        named = replace(request, traceparent=request.job_id)
        async with aclosing(super().answer(named)) as parts:
            async for part in parts:
                yield part
        if request.options.end == "bug":
            raise ZeroDivisionError
