"""Server-sent events, the reader's side: bytes in any pieces to whole frames.

A long line that comes in a thousand pieces is looked at once, piece by piece.
Source: WHATWG HTML section 9.2.6.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

ENDING = re.compile(b"\r\n|\n|\r")


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One dispatched event; `id` is the last id seen, which is where to resume."""

    id: str
    event: str
    data: bytes


class Frames:
    """Collects the pieces of one answer."""

    def __init__(self) -> None:
        self.last_id = ""
        self._line: list[bytes] = []  # the pieces of a line that has not ended
        self._data: list[bytes] = []
        self._event = ""
        self._after_return = False  # the last piece ended in CR: a LF that follows belongs to it

    def feed(self, piece: bytes) -> Iterator[Frame]:
        """Yield the frames that this piece completes."""
        if not piece:
            return
        if self._after_return and piece.startswith(b"\n"):
            piece = piece[1:]
        self._after_return = piece.endswith(b"\r")
        first, *others = ENDING.split(piece)
        self._line.append(first)
        for other in others:
            line = b"".join(self._line)
            self._line = [other]
            if not line:
                yield from self._dispatch()
            else:
                self._take(line)

    def _take(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._event = value.decode("utf-8", "replace")
        elif name == b"id" and b"\0" not in value:
            self.last_id = value.decode("utf-8", "replace")

    def _dispatch(self) -> Iterator[Frame]:
        if self._data:
            data = b"\n".join(self._data)
            yield Frame(id=self.last_id, event=self._event or "message", data=data)
        self._data, self._event = [], ""
