"""What an upstream is to say, and how it is to fail: the script of one model.

The body is the events of a chat stream (or `raw`, as it stands). It is cut after so many events or
bytes, and `then` says what happens there; without a cut it ends as HTTP wants it to.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import orjson

DONE = "[DONE]"
EVENT = re.compile(rb"(?<=\n\n)|(?<=\r\n\r\n)|(?<=\r\r)")  # behind each blank line


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """One answer.

    Args:
        text: said a word an event.
        chunks: the JSON of the events, in place of `text`, `reason` and `usage`.
        raw: the body, in place of everything above.
        reason: the finish_reason; None is a stream without one.
        done: whether [DONE] follows.
        status: other than 200, the body is `error` as JSON.
        first_delay_s: before the head of the response.
        delay_s: before each event.
        split_bytes: size of the writes; None is an event a write.
        cut_events: how many events are sent; None is all. `cut_bytes` likewise.
        then: after the cut: end the body as HTTP wants it, close the connection in the middle of
            the body, reset the connection, or say nothing more.
        framing: chunked, or a body that ends with its connection.
    """

    text: str = "Hello from upstream."
    chunks: tuple[Mapping[str, Any], ...] | None = None
    raw: str | None = None
    reason: str | None = "stop"
    usage: Mapping[str, Any] | None = None
    done: bool = True
    status: int = 200
    error: Any = None
    content_type: str = "text/event-stream"
    headers: Mapping[str, str] | None = None
    line_end: Literal["\n", "\r", "\r\n"] = "\n"
    first_delay_s: float = 0.0
    delay_s: float = 0.0
    split_bytes: int | None = None
    cut_events: int | None = None
    cut_bytes: int | None = None
    then: Literal["end", "close", "reset", "stall"] = "end"
    framing: Literal["chunked", "close"] = "chunked"

    def events(self) -> list[bytes]:
        """Return the body as it is written: an event a piece, before splitting and cutting."""
        if self.status != 200:  # noqa: PLR2004 -- RFC 9110
            return [orjson.dumps(self.error)]
        if self.raw is not None:
            return list(_recorded(self.raw, self.line_end))
        said = [orjson.dumps(chunk).decode() for chunk in self._chunks()]
        if self.done:
            said.append(DONE)
        return [f"data: {each}{self.line_end * 2}".encode() for each in said]

    def _chunks(self) -> list[Mapping[str, Any]]:
        if self.chunks is not None:
            return list(self.chunks)
        words = re.findall(r"\s+|\S+\s*", self.text)
        chunks = [chunk({"role": "assistant", "content": ""})]
        chunks += [chunk({"content": word}) for word in words]
        if self.reason is not None:
            chunks.append(chunk({}, self.reason))
        if self.usage is not None:
            chunks.append({"choices": [], "usage": self.usage})
        return chunks

    def writes(self) -> list[bytes]:
        """Return what is written, in order: cut, then split."""
        events = self.events()[: self.cut_events]
        if self.cut_bytes is None and self.split_bytes is None:
            return events
        body = b"".join(events)[: self.cut_bytes]
        size = self.split_bytes or max(1, len(body))
        return [body[start : start + size] for start in range(0, len(body), size)]


@lru_cache(maxsize=64)  # a stream that is cut in a thousand places is taken apart once
def _recorded(raw: str, line_end: str) -> tuple[bytes, ...]:
    """Return a recorded body, an event a piece; its line ends are the script's."""
    body = raw.encode("utf-8", "surrogateescape")
    if line_end != "\n":
        body = body.replace(b"\r\n", b"\n").replace(b"\n", line_end.encode())
    return tuple(piece for piece in EVENT.split(body) if piece)


def chunk(delta: Mapping[str, Any], reason: str | None = None) -> Mapping[str, Any]:
    """Return one chunk of a chat stream."""
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [choice]}


def read_script(document: Mapping[str, Any]) -> Script:
    """Return the script that a JSON object describes.

    Raises:
        TypeError: a name in it is none of a script's.
    """
    chunks = document.get("chunks")
    return Script(**{**document, "chunks": None if chunks is None else tuple(chunks)})
