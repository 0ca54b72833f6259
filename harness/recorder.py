"""The trace of a run: everything that happened, in order, with its virtual time, and its hash.

Theory: a run that repeats has one trace, so two traces are compared by their hashes; the lines are
kept only where somebody wants to read them. What is noted must not depend on addresses, hashes of
objects or the machine: names, sequences, statuses and sizes only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import structlog
import trio
from structlog.typing import EventDict, WrappedLogger

from runtime.telemetry import told_exception


class Recorder:
    """Takes notes; one per run, used from inside its trio loop."""

    def __init__(self, *, keeps_lines: bool = False) -> None:
        self.lines: list[str] = []
        self.count = 0
        self._keeps_lines = keeps_lines
        self._hash = hashlib.blake2b(digest_size=16)
        self._now, self._stamp = -1.0, ""

    def note(self, *words: object) -> None:
        """Add one line: the time in microseconds, then the words."""
        if (now := trio.current_time()) != self._now:
            self._now, self._stamp = now, f"{now * 1e6:.0f}"
        line = f"{self._stamp} {' '.join(map(str, words))}\n"
        self.count += 1
        self._hash.update(line.encode())
        if self._keeps_lines:
            self.lines.append(line[:-1])

    def digest(self) -> str:
        """Return the hash of all lines so far, hexadecimal."""
        return self._hash.hexdigest()

    @contextmanager
    def taking_logs(self) -> Iterator[None]:
        """Note what the product logs as a warning or worse, in place of printing it."""
        before = structlog.get_config()
        structlog.configure(
            processors=[told_exception, self._take],
            wrapper_class=structlog.make_filtering_bound_logger("warning"),
            cache_logger_on_first_use=False,
        )
        try:
            yield
        finally:
            structlog.configure(**before)

    def _take(self, _: WrappedLogger, __: str, event: EventDict) -> NoReturn:
        places = event.get("raised_at") or [""]
        self.note("log", event["event"], event.get("key", ""), event.get("error", ""), places[-1])
        raise structlog.DropEvent
