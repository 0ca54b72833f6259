"""`runchat jobs`, `tail`, `abort` and `export`: jobs seen from outside."""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from typing import Any
from urllib.parse import quote

import trio

from runtime import limits
from transports.ingress.cli.client import Client
from transports.ingress.cli.endings import CommandFailed, Exit
from transports.ingress.cli.finding import finder
from transports.ingress.cli.sse import Frame
from transports.ingress.cli.steady import Steady
from transports.ingress.cli.terminal import Terminal


def list_jobs(args: argparse.Namespace) -> int:
    """Print the caller's jobs, newest first: id, status, model, when, conversation."""
    if args.limit < 1:
        raise CommandFailed("--limit must be at least 1", Exit.USAGE)
    for job in trio.run(_jobs, args):
        if args.json:
            print(json.dumps(job, ensure_ascii=False))
        else:
            words = (job["id"], f"{job['status']:<11}", job["model"], job["created_at"])
            print("  ".join((*words, job["conversation_id"])))
    return Exit.DONE


async def _jobs(args: argparse.Namespace) -> list[Any]:
    found: list[Any] = []
    cursor: str | None = None
    async with Client(await finder(args).find(None, None)) as client:
        while len(found) < args.limit:
            query = {"limit": min(args.limit - len(found), limits.LIST_LIMIT_MAX)}
            query |= {"status": args.status} if args.status else {}
            query |= {"cursor": cursor} if cursor else {}
            page = await client.call("GET", "/api/jobs", query=query)
            found += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                break
    return found


def tail(args: argparse.Namespace) -> int:
    """Print a job's events, one JSON object a line, until its end."""
    if args.after < 0:
        raise CommandFailed("--after must not be negative", Exit.USAGE)
    trio.run(_tail, args)
    return Exit.DONE


async def _tail(args: argparse.Namespace) -> None:
    terminal, found = Terminal(), finder(args)
    await found.find(None, None)  # no patience with a service that has never been there
    job_id = quote(args.job, safe="")

    def take(frame: Frame) -> None:
        terminal.say_json(frame.data)

    await Steady(found, terminal.say).follow(job_id, args.after, take)


def abort(args: argparse.Namespace) -> int:
    """Stop a job; print how it stands."""
    job = trio.run(partial(call, args, "POST", f"/api/jobs/{quote(args.job, safe='')}/abort"))
    print(job["id"], job["status"])
    return Exit.DONE


def export(args: argparse.Namespace) -> int:
    """Print a job as the lines that replay it."""
    trio.run(_export, args)
    return Exit.DONE


async def _export(args: argparse.Namespace) -> None:
    async with Client(await finder(args).find(None, None)) as client:
        await client.copy(f"/api/jobs/{quote(args.job, safe='')}/export", sys.stdout.buffer.write)
    sys.stdout.buffer.flush()


async def call(args: argparse.Namespace, method: str, path: str, body: Any = None) -> Any:
    """Return the answer of one call to the service that the command line means."""
    async with Client(await finder(args).find(None, None)) as client:
        return await client.call(method, path, body)
