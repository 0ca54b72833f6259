"""`runchat models` and `runchat endpoints`: what can be asked, and where it answers."""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from typing import Any
from urllib.parse import quote

import trio

from transports.ingress.cli.endings import Exit
from transports.ingress.cli.jobs import call


def models(args: argparse.Namespace) -> int:
    """Print the models: id, endpoint, context, output limit, abilities."""
    return _print(args, "/api/models", ("id", "endpoint", "context", "output_limit", "abilities"))


def endpoints(args: argparse.Namespace) -> int:
    """Print the endpoints: name, how many answers at once, models."""
    return _print(args, "/api/endpoints", ("name", "concurrency", "models"))


def test_endpoint(args: argparse.Namespace) -> int:
    """Ask an endpoint for a word; print what it was able to do, or say why not."""
    path = f"/api/endpoints/{quote(args.name, safe='')}/test"
    view = trio.run(partial(call, args, "POST", path, body={"model": args.model}))
    profile = view["profile"]
    if args.json:
        print(json.dumps(profile, ensure_ascii=False))
    elif profile["ok"]:
        names = ("model", "end_state", "deltas", "says_usage")
        known = (f"{name}={_shown(profile[name])}" for name in names)
        print("  ".join((args.name, "ok", *known)))
    else:
        why = (profile["error"] or {}).get("detail") or f"it ended {profile['end_state']}"
        print(f"runchat: {args.name}: {why}", file=sys.stderr)
    return Exit.DONE if profile["ok"] else Exit.FAILED


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
