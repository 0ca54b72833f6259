"""Server-sent events out of bytes, however the bytes were split. No I/O.

What WHATWG's parser would dispatch, and one thing more: an event that is there when the body ends
counts, though the end of its line or the blank line after it is missing.
Source: WHATWG HTML, 9.2.6.
"""

from __future__ import annotations

from dataclasses import dataclass

from runtime import limits
from runtime.problems import UpstreamLost

BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event: its name, "message" where the wire gave none, and its data."""

    name: str
    data: str


class SseDecoder:
    """Takes bytes, gives events."""

    def __init__(self, size_bytes: int = limits.UPSTREAM_EVENT_BYTES) -> None:
        """Begin a stream.

        Args:
            size_bytes: the largest event that is taken, lines and all.
        """
        self._size_bytes = size_bytes
        self._rest = bytearray()  # a line that has not ended
        self._after_cr = False  # a line feed that comes now belongs to the last line's end
        self._is_first = True
        self._name = ""
        self._data: list[bytes] = []
        self._held = 0  # bytes in `_data`

    def feed(self, chunk: bytes) -> list[ServerEvent]:
        """Return the events that `chunk` completes.

        Raises:
            UpstreamLost: an event is larger than the bound.
        """
        if self._after_cr and chunk:
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")
        events = []
        for line in chunk.splitlines(keepends=True):
            if not line.endswith((b"\n", b"\r")):
                self._rest += line
            else:
                whole = bytes(self._rest) + line if self._rest else line
                self._rest.clear()
                if event := self._line(whole.rstrip(b"\r\n")):
                    events.append(event)
            if len(self._rest) + self._held > self._size_bytes:
                raise UpstreamLost("The provider sent too large an event.")
        self._after_cr = self._after_cr or chunk.endswith(b"\r")
        return events

    def close(self) -> list[ServerEvent]:
        """Return the event that was there but for the end of its line. The body has ended.

        Its last line may have been cut: who reads it must know a half from a whole.
        """
        if self._rest:
            self._line(bytes(self._rest))
            self._rest.clear()
        event = self._dispatch()
        return [event] if event else []

    def _line(self, line: bytes) -> ServerEvent | None:
        if self._is_first:
            self._is_first = False
            line = line.removeprefix(BOM)
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
            self._held += len(value) + 1
        elif name == b"event":
            self._name = value.decode(errors="replace")
        return None  # comments, ids, retries and what nobody knows say nothing here

    def _dispatch(self) -> ServerEvent | None:
        name, data = self._name or "message", self._data
        self._name, self._data, self._held = "", [], 0
        if not data:
            return None
        return ServerEvent(name, b"\n".join(data).decode(errors="replace"))
