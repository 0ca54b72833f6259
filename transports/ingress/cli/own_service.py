"""A service of one's own: started where none runs on a folder, ended with whoever started it.

The child holds one end of a pipe (`--exit-with-parent`), so it also ends when its starter is
killed. Of several starters one has its turn and the others share its service; a `serve` that was
quicker is shared too. The child has a process group of its own: Ctrl-C is for its starter.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Self

import trio

from runtime import limits
from store.folder import find_service
from transports.ingress.cli.endings import CommandFailed, Exit, Lost
from transports.ingress.cli.finding import Address, InFolder

SERVE = [sys.executable, "-P", "-m", "transports.ingress.cli.main", "serve"]
STARTING = "starting"  # DIR/starting, locked by who is starting a service
FLAGS = ["--port", "0", "--announce", "json", "--exit-with-parent"]


class OwnService:
    """A folder's service, somebody else's or one's own."""

    def __init__(self, folder: InFolder) -> None:
        self._folder = folder
        self._child: subprocess.Popen[bytes] | None = None
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  lives as long as the child
        self._raced = False  # the service is that of whoever was quicker

    async def find(self, lost: Address | None, silent_s: float | None, /) -> Address:
        """Return the folder's service; start one where none runs.

        A service that was there without our doing and is gone has a while to come back: whoever
        restarts it should not find the folder taken.

        Raises:
            Lost, CommandFailed.
        """
        address = self._look()
        if address is not None and (address != lost or self._child_lives()):
            return address
        theirs = self._child is None and not self._raced
        if theirs and silent_s is not None and silent_s < limits.CLI_RETURN_S:
            if address is not None:
                return address  # its process lives: it may be stopping
            raise Lost(f"the service on {self._folder.data} is gone")
        await self._start()
        return self._folder.look()

    def end(self) -> None:
        """End what was started; wait for it, at most `CLI_END_S`."""
        self._release()
        self._log.close()

    def _release(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()
        try:
            child.wait(timeout=limits.CLI_END_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait(timeout=limits.CLI_END_S)

    def _look(self) -> Address | None:
        try:
            return self._folder.look()
        except Lost:
            return None

    def _child_lives(self) -> bool:
        return self._child is not None and self._child.poll() is None

    async def _start(self) -> None:
        """Start a child, unless somebody else is quicker; return once a service is ready."""
        with (
            trio.move_on_after(limits.CLI_START_S),
            Turn(self._folder.data) as turn,
        ):
            while not turn.is_ours():
                if self._look() is not None:
                    break
                await trio.sleep(limits.CLI_PAUSE_S[0])
            if self._look() is None and await self._child_is_ready():
                return
            self._raced = True
            await self._winner()
            return
        raise Lost(f"no service became ready on {self._folder.data} in {limits.CLI_START_S:.0f} s")

    async def _child_is_ready(self) -> bool:
        """Start a child; return once it is ready, or False where the folder is somebody else's.

        Raises:
            CommandFailed: it cannot start, for the reason it gives.
        """
        self._release()
        child = self._child = self._spawn()
        if await first_line(child):
            return True
        status = child.wait(timeout=limits.CLI_END_S)
        self._release()
        if status != Exit.OWNED:
            raise CommandFailed(f"no service could be started: {self._last_words()}")
        return False

    def _spawn(self) -> subprocess.Popen[bytes]:
        self._log.seek(0)
        self._log.truncate()
        return subprocess.Popen(
            [*SERVE, "--data", str(self._folder.data), *FLAGS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={**os.environ, "RUNCHAT_LOG__LEVEL": "warning"},
            process_group=0,
        )

    async def _winner(self) -> None:
        """Wait for the service of whoever was quicker."""
        while find_service(self._folder.data) is None:  # noqa: ASYNC110  a file has no event
            await trio.sleep(limits.CLI_PAUSE_S[0])

    def _last_words(self) -> str:
        self._log.seek(0)
        lines = self._log.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1].removeprefix("runchat: ") if lines else "it said nothing"


class Turn:
    """Who may start a service of its own now: one at a time, so that a race costs one start.

    The lock dies with its process. Where there can be none, everybody may: `serve` has its own.
    """

    def __init__(self, data: Path) -> None:
        self._file: int | None = None
        with contextlib.suppress(OSError):  # `serve` says what is wrong with the folder
            data.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = os.open(data / STARTING, os.O_CREAT | os.O_RDWR, 0o600)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            os.close(self._file)

    def is_ours(self) -> bool:
        """Take the turn, where nobody else has it."""
        if self._file is not None:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        return True


async def first_line(child: subprocess.Popen[bytes]) -> bytes:
    """Return the first line a child prints, empty where it ends without one."""
    assert child.stdout is not None
    line = b""
    while not line.endswith(b"\n"):
        await trio.lowlevel.wait_readable(child.stdout)
        piece = os.read(child.stdout.fileno(), limits.PAGE_BYTES)
        if not piece:
            return b""
        line += piece
    return line
