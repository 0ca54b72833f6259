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
    """Print the endpoints: id and what is known of their state."""
    return _print(args, "/api/endpoints", ("id", "name", "state", "concurrency", "models"))


def _print(args: argparse.Namespace, path: str, columns: tuple[str, ...]) -> int:
    document = trio.run(partial(call, args, "GET", path))
    for row in document["items"]:
        if args.json:
            print(json.dumps(row, ensure_ascii=False))
        else:
            print(
                "  ".join(
                    f"{name}={_shown(row[name])}" if name != columns[0] else row[name]
                    for name in columns
                    if name in row
                )
            )
    return Exit.DONE


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value)) or "-"
    return "unknown" if value is None else str(value)
