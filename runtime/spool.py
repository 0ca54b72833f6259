"""A spool: lines on their way to a stream whose reader may be slow, stand still, or leave.

A desktop app that owns the service may never read its stderr; the pipe fills up after 64 KiB, and a
write that waits for it would hold the loop and with it every conversation. So lines wait here and a
thread writes them. What no longer fits is dropped and counted, and the count is told when the
reader comes back. At the end the thread has a moment to write the rest. To wake a thread holds up
who does it; so this one, once awake, looks again by itself until a while has passed without a line.
"""

from __future__ import annotations

import atexit
import threading
from collections import deque
from contextlib import suppress
from typing import TextIO

from runtime import limits


class Spool:
    """Looks like a text stream to a logger; `write` never waits."""

    def __init__(self, stream: TextIO, most: int = limits.LOG_LINES_WAITING_MAX) -> None:
        self._stream, self._most = stream, most
        self._lines: deque[str] = deque()
        self._lock = threading.Lock()  # held for a few instructions, never across a write
        self._dropped = 0
        self._rests = True  # the thread has to be woken
        self._ready = threading.Event()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def write(self, text: str) -> None:
        """Take a line; from any thread."""
        with self._lock:
            if len(self._lines) >= self._most:
                self._dropped += 1
                return
            self._lines.append(text)
            rested, self._rests = self._rests, False
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="log", daemon=True)
            self._thread.start()
            atexit.register(self.close)
        if rested:
            self._ready.set()

    def flush(self) -> None:
        """Do nothing: the thread flushes."""

    def close(self) -> None:
        """Write what waits, for a moment at most: nobody may be reading."""
        self._closing.set()
        self._ready.set()
        if self._thread is not None:
            self._thread.join(limits.LOG_CLOSE_S)

    def _run(self) -> None:
        while not self._closing.is_set():
            self._ready.wait()
            self._ready.clear()
            self._closing.wait(limits.LOG_GATHER_S)
            while not self._may_rest():
                while text := self._next():
                    self._put(text)
                self._closing.wait(limits.LOG_GATHER_S)

    def _may_rest(self) -> bool:
        """Whether nothing has come since the last look; then the next line has to wake us."""
        with self._lock:
            self._rests = not self._lines and not self._dropped
            return self._rests

    def _next(self) -> str:
        """Return what is to be written next; "" where nothing waits."""
        with self._lock:
            dropped, self._dropped = self._dropped, 0
            some = min(len(self._lines), limits.LOG_LINES_BURST)
            text = "".join([self._lines.popleft() for _ in range(some)])
        return f"{dropped} log lines were dropped: nobody read them\n{text}" if dropped else text

    def _put(self, text: str) -> None:
        with suppress(OSError, ValueError):  # the reader has left, or the file is closed
            self._stream.write(text)
            self._stream.flush()
