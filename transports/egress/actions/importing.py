"""Imports a document in a child process, whose memory and time are bounded, and which ends with us.

The document is handed to the child as it comes, a piece at a time: the service never holds it. What
comes back is bounded too. A wait that is cancelled kills the child.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import Any, Final, Protocol

import orjson
import trio

from runtime import limits
from transports.egress.actions.making import Choice
from transports.egress.actions.reading import Unusable

PROGRAM: Final = Path(__file__).with_name("child.py")
INHERITED: Final = ("PATH", "TMPDIR", "LANG", "LD_LIBRARY_PATH")
PIECE_BYTES: Final = 64 * 1024


class Importing(Protocol):
    """What reads a document."""

    async def read(self, document: AsyncIterator[bytes], choice: Choice) -> dict[str, Any]:
        """Return what `making.made` returns; raises Unusable."""
        ...


class Importer:
    """Imports documents, a few at a time. One per service."""

    def __init__(
        self,
        *,
        memory_bytes: int = limits.ACTION_CHILD_BYTES,
        wait_s: float = limits.ACTION_IMPORT_S,
    ) -> None:
        self._memory_bytes, self._wait_s = memory_bytes, wait_s
        self.pids: set[int] = set()  # of the children at work
        self._turns = trio.CapacityLimiter(limits.ACTION_IMPORTS_MAX)

    async def read(self, document: AsyncIterator[bytes], choice: Choice) -> dict[str, Any]:
        """Return what `making.made` returns.

        Raises:
            Unusable: nothing can be made of it, or not within the bounds.
        """
        async with self._turns:
            with trio.move_on_after(self._wait_s):
                return await self._read(document, choice)
        raise Unusable("too-slow", f"It was not read within {self._wait_s:g} s.")

    async def _read(self, document: AsyncIterator[bytes], choice: Choice) -> dict[str, Any]:
        words = (str(self._memory_bytes), str(int(self._wait_s) + 1))
        process = await trio.lowlevel.open_process(
            (sys.executable, "-I", str(PROGRAM), *words),
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            env={name: os.environ[name] for name in INHERITED if name in os.environ},
            start_new_session=True,  # a ^C at our terminal is ours alone
        )
        self.pids.add(process.pid)
        try:
            said, failure = bytearray(), None
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_listen, process, said, nursery.cancel_scope)
                try:
                    await _tell(process, document, choice)
                except Exception as error:  # noqa: BLE001  of the document; raised as itself below
                    failure = error
                    process.kill()
            if failure is not None:
                raise failure
        finally:
            with trio.CancelScope(shield=True):  # SIGKILL cannot be refused: the wait is short
                process.kill()
                await process.wait()
                self.pids.discard(process.pid)
                for pipe in (process.stdin, process.stdout):
                    if pipe is not None:
                        await pipe.aclose()
        return _said(bytes(said))


async def pieces(text: bytes) -> AsyncGenerator[bytes, None]:
    """Yield a text a piece at a time."""
    for start in range(0, len(text), PIECE_BYTES):
        yield text[start : start + PIECE_BYTES]


async def _tell(process: trio.Process, document: AsyncIterator[bytes], choice: Choice) -> None:
    assert process.stdin is not None
    told = 0
    with suppress(trio.BrokenResourceError):  # it has ended: what it said says why
        await process.stdin.send_all(orjson.dumps(asdict(choice)) + b"\n")
        async for piece in document:
            told += len(piece)
            if told > limits.ACTION_JSON_BYTES:
                most = limits.ACTION_JSON_BYTES
                raise Unusable("too-large", f"A document has {most} bytes at most.")
            await process.stdin.send_all(piece)
    await process.stdin.aclose()


async def _listen(process: trio.Process, said: bytearray, telling: trio.CancelScope) -> None:
    """Hear the child out; once it has ended there is nobody to tell the rest of a document."""
    assert process.stdout is not None
    with suppress(trio.BrokenResourceError):
        async for chunk in process.stdout:
            said += chunk
            if len(said) > limits.ACTION_RESULT_BYTES:
                process.kill()
                break
    telling.cancel()


def _said(answer: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(answer)
    except orjson.JSONDecodeError:
        words = "It takes more memory or time than an import may have."
        raise Unusable("memory", words) from None
    if "rule" in found:
        raise Unusable(str(found["rule"]), str(found["words"]))
    result: dict[str, Any] = found
    return result
