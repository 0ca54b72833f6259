"""`runchat serve`: the service as a process. Its flags, its one line, its signals, its end.

SIGTERM, SIGINT, SIGHUP and the end of stdin (`--exit-with-parent`) all mean the same: end cleanly.
A second SIGINT ends at once, which is safe at any moment: what was visible is on the disk. Away
from a terminal, and with a settings file, SIGHUP has the file's endpoints and MCP servers read
again instead.
Source: CONTRACT.md section 1.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from runtime import settings as settings_of
from runtime.problems import FolderInUse, StoreRefused
from runtime.settings import BadSettings, Settings
from transports.ingress.cli.endings import CommandFailed, Exit, leaf
from transports.ingress.cli.finding import data_folder
from transports.ingress.cli.kept_code import kept_code
from transports.ingress.cli.sparing import unused

if TYPE_CHECKING:
    from transports.compose import Ready

STDIN = 0
PIECE_BYTES = 4096  # what the parent writes is not looked at


def run(args: argparse.Namespace) -> int:
    """Serve until told to stop; return how it ended."""
    gc.disable()  # a start makes a hundred thousand objects that stay: nothing to collect yet
    settings = read_settings(args)
    with unused():
        from runtime import telemetry  # noqa: PLC0415  slow, and for `serve` alone

    telemetry.configure(format=settings.log.format, level=settings.log.level, for_good=True)
    try:
        return trio.run(serve, args, settings, data_folder(args))
    except BaseException as group:  # noqa: BLE001  a bug is raised again
        raise told(leaf(group), settings) from None


def read_settings(args: argparse.Namespace) -> Settings:
    """Return the settings: flags before the environment before the file.

    Raises:
        CommandFailed: one cannot be used.
    """
    flags = {
        "server.host": args.host,
        "server.port": args.port,
        "server.behind_proxy": args.behind_proxy,
    }
    try:
        return settings_of.load(args.config, os.environ, flags)
    except BadSettings as problem:
        raise CommandFailed(problem.detail, Exit.USAGE) from None


def told(error: BaseException, settings: Settings) -> BaseException:
    """Return why it could not serve, as a sentence and an exit status; a bug as it is."""
    server = settings.server
    match error:
        case FolderInUse():
            url = error.extensions.get("url")
            where = f"It answers at {url}." if url else "It is just starting or stopping."
            return CommandFailed(f"{error.detail} {where}", Exit.OWNED)
        case StoreRefused():
            return CommandFailed(error.detail, Exit.UNUSABLE)
        case BadSettings():
            return CommandFailed(error.detail, Exit.USAGE)
        case OSError():
            words = error.strerror or str(error)
            return CommandFailed(f"cannot listen on {server.host}:{server.port}: {words}")
        case _:
            return error


async def serve(args: argparse.Namespace, settings: Settings, data: Path) -> int:
    """Serve the folder until a signal or the parent's end."""
    with unused(), kept_code():
        from transports import compose  # noqa: PLC0415  all there is; not for a wrong setting

    stop, ready = trio.Event(), Started()
    send, reloads = trio.open_memory_channel[Settings](1)
    async with trio.open_nursery() as nursery:
        again = partial(read_again, args, send) if args.config and not sys.stderr.isatty() else None
        await nursery.start(stop_on_signal, stop, again)
        if args.exit_with_parent:
            nursery.start_soon(stop_with_parent, stop)
        if sys.stderr.isatty():
            nursery.start_soon(show_link, ready, data)
        tell = partial(announce, ready, as_json=args.announce == "json")
        status = await compose.serve(settings, data, on_ready=tell, stop=stop, reloads=reloads)
        nursery.cancel_scope.cancel()
    return status


class Started:
    """Whether connections are accepted, and at which url."""

    def __init__(self) -> None:
        self.event, self.url = trio.Event(), ""


def announce(started: Started, ready: Ready, *, as_json: bool) -> None:
    """Say that connections are accepted, in one line on stdout where that is wanted."""
    gc.freeze()  # what the start has made is never looked at again
    gc.enable()
    started.url = ready.url
    started.event.set()
    if as_json:
        line = {"ready": True, "url": ready.url, "pid": ready.pid, "version": ready.version}
        with contextlib.suppress(BrokenPipeError):  # nobody listens; that is no reason to end
            print(json.dumps(line), flush=True)


async def show_link(started: Started, data: Path) -> None:
    """Show a person at the terminal the way in."""
    from transports.ingress.cli import link  # noqa: PLC0415  only for a person

    await started.event.wait()
    url = await trio.to_thread.run_sync(link.make, data, started.url)
    print(f"\nOpen this link, once, within five minutes:\n  {url}\n", file=sys.stderr, flush=True)


def read_again(args: argparse.Namespace, reloads: trio.MemorySendChannel[Settings]) -> None:
    """Hand on the settings as they are now; those that cannot be used are told and left."""
    try:
        reloads.send_nowait(read_settings(args))
    except CommandFailed as problem:
        print(f"runchat: the settings stay as they were: {problem}", file=sys.stderr, flush=True)
    except trio.WouldBlock:
        pass  # the latest wish waits already; it reads the file as it was a moment ago


async def stop_on_signal(
    stop: trio.Event,
    again: Callable[[], None] | None = None,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Stop at the first signal; end at once at a second Ctrl-C.

    Args:
        again: called at a SIGHUP in place of that.
    """
    wanted = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # `nohup` wants it ignored
        wanted.append(signal.SIGHUP)
    with trio.open_signal_receiver(*wanted) as signals:
        task_status.started()
        async for number in signals:
            if number == signal.SIGHUP and again is not None:
                again()
                continue
            if number == signal.SIGINT and stop.is_set():
                os._exit(Exit.ABORTED)
            if sys.stderr.isatty() and not stop.is_set():
                print("\nStopping; Ctrl-C again ends at once.", file=sys.stderr, flush=True)
            stop.set()


async def stop_with_parent(stop: trio.Event) -> None:
    """Stop when stdin ends: the parent has closed it, or has died."""
    await trio.to_thread.run_sync(read_to_end, abandon_on_cancel=True)
    stop.set()


def read_to_end() -> None:
    """Read stdin until it ends. Waits in a thread: stdin may be a file, which epoll refuses."""
    with contextlib.suppress(OSError):  # it was never open
        while os.read(STDIN, PIECE_BYTES):
            pass
