"""`runchat link`: a link that signs a browser in, once, within five minutes."""

from __future__ import annotations

import argparse
from pathlib import Path

from runtime.clock import SystemClock
from runtime.ids import Ids
from store import beside, sessions
from store.folder import find_service
from transports.ingress.cli.endings import CommandFailed, Exit
from transports.ingress.cli.finding import data_folder, reachable

TENANT, USER = "local", "owner"


def run(args: argparse.Namespace) -> int:
    """Print a link to the service that runs on the folder."""
    data = data_folder(args)
    service = find_service(data)
    if service is None:
        raise CommandFailed(f"no service runs on {data}; start one with `runchat serve`")
    print(make(data, service.url))
    return Exit.DONE


def make(data: Path, url: str) -> str:
    """Return a new link, whose code is kept in the store of the folder."""
    clock = SystemClock()
    ids, now_ms = Ids(clock), clock.now_ms()
    code = ids.secret()
    with (
        beside.opened(data, ids) as store,
        beside.audited(
            store, at_ms=now_ms, tenant=TENANT, action="signin.offer", object_id=USER
        ) as database,
    ):
        sessions.create_code(database, secret=code, tenant=TENANT, user=USER, now_ms=now_ms)
    return f"{reachable(url)}/signin?code={code}"
