"""Reply: the answer to an ask, one future for trio tasks and for plain threads.

It is settled once, from anywhere. A trio task awaits it, a plain thread calls `get`; a call of
`get` that would block the trio loop raises at once instead. A waiter that is cancelled takes its
waker away with it. Source: pykka 4.5 `_future.py`, whose own `await` spins and `get` blocks.
"""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import suppress
from types import TracebackType
from typing import Any, TypeAlias

import pykka
import trio

Failure: TypeAlias = (
    tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
)


class Reply(pykka.Future[Any]):
    """Settled from any thread, once; awaited in trio, got in a thread."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._settled = False
        self._value: Any = None
        self._error: BaseException | None = None
        self._wakers: list[Callable[[], None]] = []

    def __repr__(self) -> str:
        return f"<Reply {'settled' if self._settled else 'open'}>"

    @property
    def settled(self) -> bool:
        """Whether the answer is there."""
        return self._settled

    def set(self, value: Any = None) -> None:
        """Settle with an answer.

        Raises:
            queue.Full: it was settled before, as pykka has it.
        """
        self._settle(value, None)

    def set_exception(self, exc_info: Any = None) -> None:
        """Settle with a failure: of `exc_info`, or of the exception being handled."""
        failure: Failure = exc_info or sys.exc_info()
        self._settle(None, failure[1])

    def fail(self, error: BaseException) -> None:
        """Settle with a failure, without the ceremony of `set_exception`."""
        self._settle(None, error)

    def when_failed(self, told: Callable[[BaseException], None]) -> None:
        """Have `told` called with the failure, if there is one; in the thread that settles it."""

        def look() -> None:
            if self._error is not None:
                told(self._error)

        if not self._join(look):
            look()

    def _settle(self, value: Any, error: BaseException | None) -> None:
        with self._lock:
            if self._settled or self._get_hook is not None:
                raise queue.Full
            self._value, self._error, self._settled = value, error, True
        for wake in self._wakers:  # nobody joins once it is settled
            wake()
        self._wakers.clear()

    def _join(self, wake: Callable[[], None]) -> bool:
        """Have `wake` called when it is settled; False where it already is."""
        with self._lock:
            if not self._settled:
                self._wakers.append(wake)
            return not self._settled

    def _result(self) -> Any:
        if self._error is not None:
            raise self._error
        return self._value

    def get(self, *, timeout: float | None = None) -> Any:
        """Return the answer, or raise the failure; blocks a plain thread until it is there.

        Raises:
            RuntimeError: it is not there yet, and waiting would block the trio loop.
            pykka.Timeout: it was not there within `timeout` seconds.
        """
        if self._get_hook is not None:
            return super().get(timeout=timeout)
        if not self._settled:
            refuse_to_block()
            ready = threading.Event()
            if self._join(ready.set) and not ready.wait(timeout):
                self._leave(ready.set)
                raise pykka.Timeout(f"{timeout} seconds")
        return self._result()

    def _leave(self, wake: Callable[[], None]) -> None:
        with self._lock, suppress(ValueError):  # it may have been settled in this very moment
            self._wakers.remove(wake)

    async def _wait(self) -> Any:
        if self._get_hook is not None:
            raise RuntimeError("A mapped reply is for threads: await the reply, map its value")
        if self._settled:
            await trio.lowlevel.checkpoint()  # or a loop of asks to the dead would hold the loop
            return self._result()
        done, home = trio.Event(), threading.get_ident()
        token = trio.lowlevel.current_trio_token()

        def wake() -> None:
            if threading.get_ident() == home:
                done.set()
            else:
                with suppress(trio.RunFinishedError):  # then nobody waits any more
                    token.run_sync_soon(done.set)

        if self._join(wake):
            try:
                await done.wait()
            except trio.Cancelled:
                self._leave(wake)
                raise
        return self._result()

    def __await__(self) -> Generator[Any, None, Any]:
        return self._wait().__await__()

    __iter__ = __await__


def refuse_to_block() -> None:
    """Raise where blocking would stop the trio loop.

    Raises:
        RuntimeError: we are on the thread of a running trio loop.
    """
    if trio.lowlevel.in_trio_run():
        raise RuntimeError("This would block the trio loop: ask with block=False and await it")
