"""`runchat models` and `runchat endpoints`: what can be asked, and where it answers."""

from __future__ import annotations

import argparse
import json
from functools import partial
from typing import Any

import trio

from transports.ingress.cli.endings import Exit
from transports.ingress.cli.jobs import call


def models(args: argparse.Namespace) -> int:
    """Print the models: id, endpoint, context, output limit, abilities."""
    return _print(args, "/api/models", ("id", "endpoint", "context", "output_limit", "abilities"))


def endpoints(args: argparse.Namespace) -> int:
    """Print the endpoints: name, how many answers at once, models."""
    return _print(args, "/api/endpoints", ("name", "concurrency", "models"))


def _print(args: argparse.Namespace, path: str, columns: tuple[str, ...]) -> int:
    """Print a line each: the first column bare, the others by their name."""
    first, *others = columns
    for row in trio.run(partial(call, args, "GET", path))["items"]:
        if args.json:
            print(json.dumps(row, ensure_ascii=False))
        else:
            known = (f"{name}={_shown(row[name])}" for name in others if name in row)
            print("  ".join((row[first], *known)))
    return Exit.DONE


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value)) or "-"
    return "unknown" if value is None else str(value)
