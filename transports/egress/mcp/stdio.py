"""An MCP server that is a program of this machine, as a transport of the SDK.

A guardian (`guardian.py`) stands between: it starts the program in a process group of its own and
kills that group when our end of a pipe closes, which it does whatever becomes of us. The program
gets the environment that was configured, a search path and nothing else; a line that is too long
ends the session.
Source: MCP 2025-11-25, transports (stdio) and lifecycle (shutdown).
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from subprocess import PIPE
from typing import TYPE_CHECKING

import anyio
import structlog
import trio
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

from runtime import limits
from runtime.problems import UpstreamLost
from transports.egress.mcp.servers import StdioServer

if TYPE_CHECKING:
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
    from mcp.client._transport import TransportStreams

log = structlog.get_logger(__name__)

GUARDIAN = Path(__file__).with_name("guardian.py")
INHERITED = ("PATH", "TMPDIR", "LANG")  # nothing else of the service's environment


@asynccontextmanager
async def running(server: StdioServer, ended: trio.Event) -> AsyncIterator[TransportStreams]:
    """Start the program and yield its streams; it is gone when the block has ended.

    Args:
        ended: is set when the program has closed its output.

    Raises:
        UpstreamLost: it cannot be started.
    """
    to_us, inward = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    outward, from_us = anyio.create_memory_object_stream[SessionMessage](0)
    theirs, ours = os.pipe()
    try:
        process = await _start(server, theirs)
    except OSError as error:
        os.close(ours)
        raise UpstreamLost(f"The program of the MCP server cannot be started: {error}") from error
    finally:
        os.close(theirs)
    try:
        async with trio.open_nursery() as nursery, to_us, inward, outward, from_us:
            nursery.start_soon(_read, process, to_us, ended)
            nursery.start_soon(_write, process, from_us)
            nursery.start_soon(_complaints, process, server.name)
            yield inward, outward
            nursery.cancel_scope.cancel()
    finally:
        await _end(process, ours)


async def _start(server: StdioServer, lifeline: int) -> trio.Process:
    environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
    environment |= {name: value.reveal() for name, value in server.environment.items()}
    command = (sys.executable, "-I", "-S", str(GUARDIAN), str(lifeline), str(limits.MCP_KILL_S))
    return await trio.lowlevel.open_process(
        (*command, *server.argv),
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        env=environment,
        cwd=server.folder,
        pass_fds=(lifeline,),
        start_new_session=True,  # a ^C at our terminal is ours alone
    )


async def _read(
    process: trio.Process,
    to_us: MemoryObjectSendStream[SessionMessage | Exception],
    ended: trio.Event,
) -> None:
    """Hand over each line as a message."""
    assert process.stdout is not None
    rest = bytearray()
    async with to_us:  # what waits is told once `ended` is set
        try:
            with suppress(trio.BrokenResourceError, anyio.BrokenResourceError):
                async for chunk in process.stdout:
                    searched = len(rest)
                    rest += chunk
                    while (end := rest.find(b"\n", searched)) >= 0:
                        line = bytes(rest[:end])
                        del rest[: end + 1]
                        searched = 0
                        if line.strip():
                            await to_us.send(_message(line))
                    if len(rest) > limits.MCP_MESSAGE_BYTES:
                        log.warning("mcp_line_too_long", bytes=len(rest))
                        return
        finally:
            ended.set()


def _message(line: bytes) -> SessionMessage | Exception:
    try:
        return SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
    except ValueError as error:
        return error  # the session is told, and goes on


async def _write(process: trio.Process, from_us: MemoryObjectReceiveStream[SessionMessage]) -> None:
    assert process.stdin is not None
    async with from_us, process.stdin:
        with suppress(trio.BrokenResourceError):
            async for message in from_us:
                line = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                await process.stdin.send_all(line.encode() + b"\n")


async def _complaints(process: trio.Process, name: str) -> None:
    """Read what the program complains of, so that it does not block; log only how much."""
    assert process.stderr is not None
    size_bytes = 0
    with suppress(trio.BrokenResourceError):
        async for chunk in process.stderr:
            size_bytes += len(chunk)
    log.info("mcp_program_silent", server=name, complaints_bytes=size_bytes)


async def _end(process: trio.Process, ours: int) -> None:
    """Let the program end by itself, then have its group killed."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        with trio.move_on_after(limits.MCP_CLOSE_S, shield=True):
            await process.stdin.aclose()
            await process.wait()
    finally:
        os.close(ours)  # the guardian kills what is left
        with trio.move_on_after(2 * limits.MCP_KILL_S + limits.MCP_CLOSE_S, shield=True) as late:
            await process.wait()
        if late.cancelled_caught:
            process.kill()
        for stream in (process.stdout, process.stderr):
            await trio.aclose_forcefully(stream)
