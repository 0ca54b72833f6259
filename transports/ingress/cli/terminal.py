"""What a person or a program sees: the answer on stdout, everything else on stderr.

A terminal obeys what is written to it, so what a model says to one is stripped of every control
character but newline and tab. A spinner stands on stderr until the first word, where stderr is a
terminal. Source: ECMA-48 (C0 and C1 controls); https://no-color.org.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from typing import BinaryIO, TextIO

import trio

from runtime import limits

CONTROLS = {code: None for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}
FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
PLAIN_FRAMES = "|/-\\"
DIM, BRIGHT, ERASE = "\x1b[2m", "\x1b[0m", "\r\x1b[K"


class Terminal:
    """Both outputs of one command. Only this writes while an answer is coming."""

    def __init__(
        self,
        out: BinaryIO | None = None,
        err: TextIO | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._out = out or sys.stdout.buffer
        self._err = err or sys.stderr
        self._to_a_person = self._out.isatty()
        self._spins = self._err.isatty() and environ.get("TERM") != "dumb"
        self._colours = self._spins and not environ.get("NO_COLOR")
        self._drawn = False  # a frame of the spinner stands on the line
        self._open = False  # the answer's last line has no newline yet

    def say_answer(self, text: str) -> None:
        """Write a piece of the answer.

        Raises:
            BrokenPipeError: nobody reads any more.
        """
        if not text:
            return
        self._erase()
        self._open = not text.endswith("\n")
        if self._to_a_person:
            text = text.translate(CONTROLS)
        self._write(text.encode("utf-8", "replace"))

    def end_line(self) -> None:
        """End the answer's last line where it has not ended itself."""
        if self._open:
            self._open = False
            self._write(b"\n")

    def say_json(self, line: bytes) -> None:
        """Write one JSON object as it came, on a line of its own."""
        self._erase()
        self._write(line + b"\n")

    def say(self, sentence: str) -> None:
        """Tell a person something that is not the answer."""
        self._erase()
        if self._to_a_person:
            self.end_line()
        dim, bright = (DIM, BRIGHT) if self._colours else ("", "")
        print(f"{dim}{sentence}{bright}", file=self._err, flush=True)

    @contextlib.contextmanager
    def typed_text_restored(self) -> Iterator[None]:
        """Leave the terminal's settings as they were found."""
        if not sys.stdin.isatty():
            yield
            return
        import termios  # noqa: PLC0415  not everywhere, and only for a terminal

        descriptor = sys.stdin.fileno()
        before = termios.tcgetattr(descriptor)
        try:
            yield
        finally:
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)

    async def spin(self) -> None:
        """Draw a spinner until cancelled; a word that is written erases it."""
        if not self._spins:
            return
        frames = FRAMES if "utf" in (self._err.encoding or "").lower() else PLAIN_FRAMES
        dim, bright = (DIM, BRIGHT) if self._colours else ("", "")
        try:
            while True:
                for frame in frames:
                    await trio.sleep(limits.SPINNER_FRAME_S)
                    self._err.write(f"\r{dim}{frame}{bright}")
                    self._err.flush()
                    self._drawn = True
        finally:
            self._erase()

    def _erase(self) -> None:
        if self._drawn:
            self._drawn = False
            self._err.write(ERASE)
            self._err.flush()

    def _write(self, data: bytes) -> None:
        self._out.write(data)
        self._out.flush()
