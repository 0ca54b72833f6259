"""`python3 -m harness serve-as`: the whole product, with every request taken as one caller.

Theory: a conformance suite or a bench knows no tokens. The product has no switch that turns
authentication off; it takes its authenticator from whoever composes it, and only the harness hands
in another one. Whatever credential comes, or none, the caller is the one that was named; synthetic
models are allowed. Source: CONTRACT.md section 1, the last entry but none.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import trio

from runtime import settings as settings_of
from runtime import telemetry
from runtime.caller import Caller
from runtime.settings import BadSettings, Settings
from transports import compose
from transports.ingress.cli.endings import CommandFailed, Exit, leaf
from transports.ingress.cli.serve import (
    Started,
    announce,
    stop_on_signal,
    stop_with_parent,
    told,
)
from transports.ingress.http.caller import Credentials


@dataclass(frozen=True, slots=True, kw_only=True)
class Always:
    """The `Authenticator` that takes everybody for one caller."""

    caller: Caller

    def authenticate(self, credentials: Credentials) -> Caller:
        """Return the caller, whatever was brought."""
        del credentials
        return self.caller

    async def sign_in(self, code: str) -> str:
        """Let anybody in; the cookie means nothing."""
        del code
        return "everybody"

    async def sign_out(self, credentials: Credentials) -> None:
        """Nobody is signed in."""


def main(argv: Sequence[str]) -> int:
    """Serve until told to stop; return the exit status."""
    args = _parser().parse_args(argv)
    try:
        settings = _settings(args)
    except BadSettings as problem:
        print(f"serve-as: {problem.detail}", file=sys.stderr)
        return Exit.USAGE
    telemetry.configure(format=settings.log.format, level=settings.log.level, for_good=True)
    try:
        return trio.run(_serve, args, settings)
    except BaseException as group:  # noqa: BLE001  a bug is raised again
        error = told(leaf(group), settings)
        if not isinstance(error, CommandFailed):
            raise error from None
        print(f"serve-as: {error}", file=sys.stderr)
        return int(error.status)


def _settings(args: argparse.Namespace) -> Settings:
    flags = {"server.host": args.host, "server.port": args.port}
    settings = settings_of.load(args.config, os.environ, flags)
    return replace(settings, providers=replace(settings.providers, synthetic=True))


async def _serve(args: argparse.Namespace, settings: Settings) -> int:
    stop = trio.Event()
    caller = Caller(tenant=args.tenant, user=args.user, admin=args.admin)
    async with trio.open_nursery() as nursery:
        await nursery.start(stop_on_signal, stop)
        if args.exit_with_parent:
            nursery.start_soon(stop_with_parent, stop)
        status = await compose.serve(
            settings,
            args.data,
            on_ready=partial(announce, Started(), as_json=args.announce == "json"),
            stop=stop,
            authenticator=Always(caller=caller),
            offered=_fittings if args.mcp_fixtures else None,
        )
        nursery.cancel_scope.cancel()
    return status


def _fittings() -> Any:
    """Return what the protocol's own suite asks for; imported off the loop, with the rest of it."""
    return import_module("harness.mcp.fixtures.rest").fittings()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python3 -m harness serve-as",
        description="The whole product, with every request taken as one caller.",
    )
    parser.add_argument("--tenant", required=True)
    parser.add_argument("--user", required=True)
    parser.add_argument("--admin", action="store_true", help="the caller is an admin")
    parser.add_argument("--host")
    parser.add_argument("--port", type=int, help="0 takes a free one (default: the setting)")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--config", type=Path, metavar="FILE")
    parser.add_argument("--mcp-fixtures", action="store_true", help="offer /mcp's suite its tools")
    parser.add_argument("--announce", choices=["json"], help="one line on stdout once ready")
    parser.add_argument("--exit-with-parent", action="store_true", help="end when stdin ends")
    return parser
