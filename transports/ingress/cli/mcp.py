"""`runchat mcp list | add | test | remove`: the MCP servers of whoever asks.

What a server.json asks for is asked on a terminal, where it was not given; elsewhere its names are
told. A value that begins with @ is read from that file, so that no secret is on a command line.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from functools import partial
from getpass import getpass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import trio

from transports.ingress.cli.endings import CommandFailed, Exit
from transports.ingress.cli.jobs import call

SERVERS = "/api/mcp/servers"
COLUMNS = ("state", "source", "kind", "auth")


def list_servers(args: argparse.Namespace) -> int:
    """Print the servers: id, state, whose they are, how they are reached, who signs in."""
    for server in trio.run(partial(call, args, "GET", SERVERS))["items"]:
        _show(args, server)
    return Exit.DONE


def add(args: argparse.Namespace) -> int:
    """Add a server by its URL or by a server.json; print it."""
    body: dict[str, Any] = {"name": args.name, "auth": args.auth}
    if args.what.startswith(("http://", "https://")):
        body |= {"url": args.what, "headers": pairs("--header", args.header)}
    else:
        body |= {"server_json": _document(args.what), "inputs": pairs("--input", args.input)}
    given = {name: value for name, value in body.items() if value is not None}
    if "server_json" in given:
        _ask_for(given)
    _show(args, trio.run(partial(call, args, "POST", SERVERS, body=given)))
    return Exit.DONE


def test(args: argparse.Namespace) -> int:
    """Connect to a server afresh; print how it is, or say why not."""
    server = trio.run(partial(call, args, "POST", f"{_at(args)}/test"))
    _show(args, server)
    error = server["last_error"]
    if error is not None:
        print(f"runchat: {server['id']}: {error['detail']}", file=sys.stderr)
    return Exit.DONE if server["state"] == "open" else Exit.FAILED


def remove(args: argparse.Namespace) -> int:
    """Remove a server, its secrets, and the sign-in there."""
    trio.run(partial(call, args, "DELETE", _at(args)))
    return Exit.DONE


def _at(args: argparse.Namespace) -> str:
    return f"{SERVERS}/{quote(args.name, safe='')}"


def _show(args: argparse.Namespace, server: dict[str, Any]) -> None:
    if args.json:
        print(json.dumps(server, ensure_ascii=False))
    else:
        print("  ".join((server["id"], *(f"{name}={server[name]}" for name in COLUMNS))))


def _document(path: str) -> Any:
    try:
        return json.loads(Path(path).read_bytes())
    except (OSError, ValueError) as error:
        raise CommandFailed(f"{path} is no URL, and no server.json: {error}", Exit.USAGE) from error


def pairs(flag: str, given: Sequence[str]) -> dict[str, str]:
    """Return what a flag that is given as NAME=VALUE, or as NAME=@FILE, says."""
    found = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not (name and equals):
            raise CommandFailed(f"{flag} wants NAME=VALUE", Exit.USAGE)
        found[name] = _value(value)
    return found


def _value(value: str) -> str:
    if not value.startswith("@"):
        return value
    try:
        return Path(value[1:]).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandFailed(f"{value[1:]} cannot be read: {error}", Exit.USAGE) from error


def _ask_for(body: dict[str, Any]) -> None:
    """Ask on a terminal for what a server.json wants to be told and was not given."""
    if not sys.stdin.isatty():
        return
    from actors.mcp import installing as mcp_installing  # noqa: PLC0415  only who is asked pays for it
    from runtime.problems import Invalid  # noqa: PLC0415  as above

    try:
        mcp_installing.read(body["server_json"], body["inputs"])
    except Invalid as problem:
        for each in problem.extensions.get("inputs", ()):
            if each["required"] and each["name"] not in body["inputs"]:
                ask = getpass if each["secret"] else input
                body["inputs"][each["name"]] = ask(f"{each['name']} ({each['description']}): ")
