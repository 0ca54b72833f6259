"""`runchat egress check`: what the guard would decide about URLs, and by which rule.

URLs come as arguments or a line each on stdin. With `--json` the lines are cases that bring the
resolver's and the servers' answers with them; nothing is looked up, and a line that makes no sense
is a block with a reason. Without it names are really looked up; nobody is connected to in any form.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

import trio

from runtime import settings, telemetry
from transports.egress import configured, rehearsal
from transports.egress.guard import Reach
from transports.ingress.cli.endings import Exit


def check(args: argparse.Namespace) -> int:
    """Answer a line for a line; without `--json` the status is 1 where something is blocked."""
    telemetry.configure(level="error")  # what is denied is the answer here, and no warning
    if args.json:
        for line in sys.stdin.buffer:
            if line.strip():
                _print(json.dumps(trio.run(rehearsal.rehearse, line), ensure_ascii=False))
        return Exit.DONE
    read = settings.load(args.config, os.environ)
    reach = configured.reach_for(read, args.purpose)
    return max([Exit.DONE, *(_explained(url, reach) for url in _urls(args))])


def _urls(args: argparse.Namespace) -> Iterator[str]:
    if args.urls:
        yield from args.urls
        return
    for line in sys.stdin:
        if url := line.rstrip("\r\n"):
            yield url


def _explained(url: str, reach: Reach) -> Exit:
    verdict: dict[str, Any] = trio.run(partial(rehearsal.explain, url, reach))
    shown = json.dumps(url)[1:-1]
    if verdict["decision"] == "allow":
        _print(f"allow  {shown}\n       would connect to {verdict['dial']} ({verdict['reason']})")
        return Exit.DONE
    _print(f"block  {shown}\n       {verdict['reason']}")
    return Exit.FAILED


def _print(text: str) -> None:
    print(text, flush=True)
