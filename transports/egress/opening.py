"""Opens a client for one errand beside the providers; what breaks is told in our own words."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING

import trio

from transports.egress import guard

if TYPE_CHECKING:
    from transports.egress.connection import Client

CONNECTION = "transports.egress.connection"  # it imports httpx2, which takes 0.2 s


@asynccontextmanager
async def client_of(reach: guard.Reach, *, follow_redirects: bool = False) -> AsyncIterator[Client]:
    """Yield a client that goes where `reach` lets it.

    Raises:
        UpstreamLost: the way to the other side broke, in the block.
    """
    if CONNECTION not in sys.modules:
        await trio.to_thread.run_sync(import_module, CONNECTION)
    lost = import_module(CONNECTION).lost
    async with guard.client(reach, follow_redirects=follow_redirects) as client:
        with lost():
            yield client
