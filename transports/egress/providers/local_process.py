"""The process of the embedded model, seen from the service: one life of it.

A child has a life of its own: it is started, asked one thing at a time, and killed when it does not
listen. Its standard error is read to the end of it and only what cannot hold a user's text is
logged. A pid file says whom to look for when the service itself was killed; a process is only ever
killed when its command line is that of our child, for our folder.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from pathlib import Path
from subprocess import PIPE
from typing import Any

import orjson
import structlog
import trio

from runtime import limits
from runtime.problems import UpstreamLost

log = structlog.get_logger(__name__)

PROGRAM = Path(__file__).with_name("local_child.py")
INHERITED = ("PATH", "TMPDIR", "LD_LIBRARY_PATH")  # nothing else of the service's environment
ASSERTION = re.compile(rb"\S+:\d+: GGML_ASSERT.*")  # words of the program's source
PID_FILE = "local-model.pid"


class Child:
    """One life of the process."""

    def __init__(self, process: trio.Process, run_folder: Path) -> None:
        """Take a process that has just been started with three pipes."""
        assert process.stdin is not None
        assert process.stdout is not None
        self._process, self._stdin = process, process.stdin
        self._stdout, self._lines = process.stdout, Lines(process.stdout)
        self._run_folder = run_folder
        self._asked = 0
        self._reading = False  # whether an answer may still be under way in the child

    @classmethod
    async def start(
        cls, command: tuple[str, ...], run_folder: Path, nursery: trio.Nursery
    ) -> Child:
        """Start `command` and wait until it is ready.

        Args:
            nursery: outlives the child; reads its standard error.

        Raises:
            UpstreamLost: it ended, or said nothing in time.
        """
        env = {name: os.environ[name] for name in INHERITED if name in os.environ}
        process = await trio.lowlevel.open_process(
            command, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=env
        )
        child = cls(process, run_folder)
        nursery.start_soon(_drain, process, name="local model: stderr")
        try:
            await trio.Path(run_folder / PID_FILE).write_text(str(process.pid))
            with trio.move_on_after(limits.CHILD_START_S):
                if await child._line() == {"ready": True}:
                    return child
        except BaseException:
            await child.kill()
            raise
        await child.kill()
        raise UpstreamLost("The local model did not start.")

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def is_alive(self) -> bool:
        """Say whether the process still runs."""
        return self._process.returncode is None

    async def ask(self, body: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """Yield the child's lines for one question, the end last.

        Raises:
            UpstreamLost: the process has ended.
        """
        self._asked += 1
        self._reading = True
        await self._send({"id": self._asked, **body})
        while self._reading:
            line = await self._line()
            self._reading = line.keys().isdisjoint({"end", "error"})
            yield line

    async def stop(self) -> bool:
        """End the answer under way; say whether the child has listened in time."""
        with trio.move_on_after(limits.CHILD_CANCEL_S, shield=True), suppress(UpstreamLost):
            if self._reading:
                await self._send({"cancel": self._asked})
            while self._reading:
                line = await self._line()
                self._reading = line.keys().isdisjoint({"end", "error"})
        return not self._reading

    async def close(self) -> None:
        """Let the process end by closing its input; kill it where that does not help."""
        with trio.move_on_after(limits.CHILD_CANCEL_S, shield=True):
            await self._stdin.aclose()
            await self._process.wait()
        await self.kill()

    async def kill(self) -> None:
        """Kill and reap."""
        with trio.CancelScope(shield=True):  # SIGKILL cannot be refused: the wait is short
            self._process.kill()
            await self._process.wait()
            await self._stdin.aclose()
            await self._stdout.aclose()
            with suppress(OSError):
                await trio.Path(self._run_folder / PID_FILE).unlink(missing_ok=True)

    async def _send(self, message: Mapping[str, Any]) -> None:
        try:
            await self._stdin.send_all(orjson.dumps(message) + b"\n")
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise await self._lost() from error

    async def _line(self) -> dict[str, Any]:
        try:
            line = await self._lines.next()
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise await self._lost() from error
        if line is None:
            raise await self._lost()
        try:
            message = orjson.loads(line)
        except orjson.JSONDecodeError:
            message = None
        if not isinstance(message, dict):
            raise UpstreamLost("The local model's process spoke no sense.")
        return message

    async def _lost(self) -> UpstreamLost:
        with trio.move_on_after(limits.CHILD_CANCEL_S):
            await self._process.wait()
        return UpstreamLost(f"The local model's process ended ({self._process.returncode}).")


class Lines:
    """The lines of a stream. A reader that is cancelled loses nothing."""

    def __init__(self, source: trio.abc.ReceiveStream) -> None:
        self._source, self._rest = source, bytearray()

    async def next(self) -> bytes | None:
        """Return the next line without its end, or None where there is none.

        Raises:
            UpstreamLost: the line is too long.
        """
        searched = 0
        while (end := self._rest.find(b"\n", searched)) < 0:
            searched = len(self._rest)
            if searched > limits.CHILD_LINE_BYTES:
                raise UpstreamLost("The local model's process sent too long a line.")
            chunk = await self._source.receive_some()
            if not chunk:
                return None
            self._rest += chunk
        line = bytes(self._rest[:end])
        del self._rest[: end + 1]
        return line


async def _drain(process: trio.Process) -> None:
    """Read what the process complains of, to its end; log what is known to hold no user's text."""
    size_bytes = 0
    assert process.stderr is not None
    with suppress(trio.BrokenResourceError):
        async for chunk in process.stderr:
            size_bytes += len(chunk)
            for found in ASSERTION.finditer(chunk):
                text = found.group()[: limits.LOG_LINE_CHARS].decode(errors="replace")
                log.error("local_model_said", pid=process.pid, text=text)
    status = await process.wait()
    log.info("local_model_ended", pid=process.pid, status=status, complaints_bytes=size_bytes)


def command(model: Path, run_folder: Path, *, context: int, threads: int) -> tuple[str, ...]:
    """Return the command line of the child; the last word says whose child it is."""
    interpreter = (sys.executable, "-I", str(PROGRAM))
    return (*interpreter, str(model), str(context), str(threads), str(run_folder))


async def reap(run_folder: Path) -> bool:
    """Kill the child that an earlier service of this folder left; say whether there was one."""
    path = trio.Path(run_folder / PID_FILE)
    try:
        pid = int(await path.read_text())
    except (FileNotFoundError, ValueError):
        return False
    line = await _command_line(pid)
    is_ours = str(PROGRAM) in line and line.rstrip().endswith(str(run_folder))
    if is_ours:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        log.warning("local_model_reaped", pid=pid)
    await path.unlink(missing_ok=True)
    return is_ours


async def _command_line(pid: int) -> str:
    """Return the command line of a process, "" where there is none."""
    if sys.platform == "linux":
        with suppress(OSError):
            words = await trio.Path(f"/proc/{pid}/cmdline").read_bytes()
            return words.rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")
        return ""
    shown = await trio.run_process(
        ["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_stdout=True, check=False
    )
    return shown.stdout.decode(errors="replace")
