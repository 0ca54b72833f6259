"""`runchat models` and `runchat endpoints`: whom one can ask, where, and what holds of it."""

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
from transports.ingress.cli.mcp import pairs

COLUMNS = ("id", "endpoint", "context", "output_limit", "abilities")
NUMBERS = frozenset({"context", "output_limit"})
LISTS = frozenset({"abilities", "inputs", "efforts"})


def models(args: argparse.Namespace) -> int:
    """Print the models: id, endpoint, context, output limit, abilities."""
    return _print(args, "/api/models", COLUMNS)


def set_facts(args: argparse.Namespace) -> int:
    """Say what holds of a model, in place of what was said before; print the model."""
    body: dict[str, Any] = {}
    for name, value in pairs("set", args.facts).items():
        outer, dot, inner = name.partition(".")
        if dot:
            body.setdefault(outer, {})[inner] = value
        else:
            body[name] = _fact(name, value)
    view = trio.run(partial(call, args, "PUT", _path(args.model), body=body))
    _line(args, view, COLUMNS)
    return Exit.DONE


def forget_facts(args: argparse.Namespace) -> int:
    """Take back what was said of a model."""
    trio.run(partial(call, args, "DELETE", _path(args.model)))
    return Exit.DONE


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
    for row in trio.run(partial(call, args, "GET", path))["items"]:
        _line(args, row, columns)
    return Exit.DONE


def _line(args: argparse.Namespace, row: dict[str, Any], columns: tuple[str, ...]) -> None:
    first, *others = columns
    if args.json:
        print(json.dumps(row, ensure_ascii=False))
    else:
        known = (f"{name}={_shown(row[name])}" for name in others if name in row)
        print("  ".join((row[first], *known)))


def _path(model: str) -> str:
    return f"/api/models/{quote(model)}"


def _fact(name: str, value: str) -> Any:
    """Return a fact as the service takes it; what it cannot be, the service says."""
    if name in LISTS:
        return [each for each in value.split(",") if each]
    return int(value) if name in NUMBERS and value.isdecimal() else value


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value)) or "-"
    return "unknown" if value is None else str(value)
