"""Reads a whole stream with the decoder of its wire, and keeps what a job would keep of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from runtime.problems import Upstream
from transports.egress.providers.base import Delta, End, ItemDone, ItemStart, Part, Retracted, Usage
from transports.egress.providers.wires import WIRES
from transports.egress.sse_decoder import SseDecoder

MODEL = "m"


@dataclass(slots=True, kw_only=True)
class Said:
    """An item, as its parts add up."""

    type: str
    name: str | None = None
    call_id: str | None = None
    text: str = ""
    arguments: str = ""
    data: bytes = b""
    annotations: list[Any] = field(default_factory=list)
    native: Any = None
    done: bool = False


@dataclass(slots=True, kw_only=True)
class Reading:
    """All of an answer."""

    items: list[Said] = field(default_factory=list)
    usage: Usage | None = None
    end: End | None = None
    error: Upstream | None = None
    ignored: int = 0

    def of(self, kind: str) -> list[Said]:
        return [each for each in self.items if each.type == kind]

    @property
    def text(self) -> str:
        return "".join(each.text for each in self.of("message"))

    @property
    def calls(self) -> list[tuple[str | None, str | None, str]]:
        return [(each.call_id, each.name, each.arguments) for each in self.of("tool_call")]

    @property
    def natives(self) -> list[Any]:
        return [each.native for each in self.items if each.native is not None]

    def take(self, part: Part) -> None:
        match part:
            case Retracted():
                self.items.clear()
            case ItemStart():
                assert part.index == len(self.items)
                said = Said(type=part.type, name=part.name, call_id=part.call_id)
                self.items.append(said)
            case Delta():
                said = self.items[part.index]
                assert said.done is False
                said.text += part.text or ""
                said.arguments += part.arguments or ""
                said.data += part.data or b""
                said.annotations += [] if part.annotation is None else [part.annotation]
            case ItemDone():
                assert self.items[part.index].done is False
                self.items[part.index].done = True
                if part.native:
                    assert part.native.model == MODEL
                    self.items[part.index].native = part.native.value
            case End():
                self.end = part


def read(wire: str, body: str) -> Reading:
    """Return what we make of a body."""
    answer, decoder, reading = WIRES[wire].answer(MODEL), SseDecoder(), Reading()
    try:
        for event in [*decoder.feed(body.encode()), *decoder.close()]:
            for part in answer.take(event.data):
                reading.take(part)
        for part in answer.close():
            reading.take(part)
    except Upstream as error:
        reading.error = error
    reading.usage, reading.ignored = answer.usage, answer.ignored
    return reading
