"""`runchat actions list | look | add | remove`: what whoever asks has made of documents of APIs."""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import trio

from transports.ingress.cli.endings import CommandFailed, Exit
from transports.ingress.cli.jobs import call
from transports.ingress.cli.mcp import pairs

SETS = "/api/actions"


def list_sets(args: argparse.Namespace) -> int:
    """Print the sets: id, state, where calls go, how many actions."""
    for each in trio.run(partial(call, args, "GET", SETS))["items"]:
        _show(args, each)
    return Exit.DONE


def look(args: argparse.Namespace) -> int:
    """Print what a document comes to: a line an operation, those left out with the reason."""
    body = _document(args) | ({"search": args.search} if args.search else {})
    seen = trio.run(partial(call, args, "POST", f"{SETS}/preview", body=body))
    if args.json:
        print(json.dumps(seen, ensure_ascii=False))
        return Exit.DONE
    for each in seen["operations"]:
        words = (each["name"], each["method"], each["path"])
        print(
            "  ".join((*words, *((f"left out: {each['left_out']}",) if each["left_out"] else ())))
        )
    print(f"{seen['taken']} of {seen['total']} can be called, at {seen['server'] or 'no server'}")
    return Exit.DONE


def add(args: argparse.Namespace) -> int:
    """Make actions of a document; print the set."""
    body = _document(args) | {"name": args.name}
    if args.operation:
        body["operations"] = args.operation
    if args.header:
        [(name, value)] = pairs("--header", [args.header]).items()
        body["auth"] = {"type": "header", "name": name, "value": value}
    _show(args, trio.run(partial(call, args, "POST", SETS, body=body)))
    return Exit.DONE


def remove(args: argparse.Namespace) -> int:
    """Remove a set, its secrets, and the sign-in for it."""
    trio.run(partial(call, args, "DELETE", f"{SETS}/{quote(args.name, safe='')}"))
    return Exit.DONE


def _document(args: argparse.Namespace) -> dict[str, Any]:
    server = {"server": args.server} if args.server else {}
    if args.what.startswith(("http://", "https://")):
        return {"url": args.what, **server}
    try:
        return {"document": Path(args.what).read_text(encoding="utf-8"), **server}
    except (OSError, UnicodeDecodeError) as error:
        raise CommandFailed(f"{args.what} cannot be read: {error}", Exit.USAGE) from error


def _show(args: argparse.Namespace, each: dict[str, Any]) -> None:
    if args.json:
        print(json.dumps(each, ensure_ascii=False))
    else:
        known = (f"state={each['state']}", f"server={each['server']}")
        print("  ".join((each["id"], *known, f"actions={len(each['actions'])}")))
