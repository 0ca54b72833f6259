"""Plays a recorded job to a browser: the product's own page and front over the replay's actors.

Theory: a page that reads the replay's log by the real front shows what a person saw, at the pace of
the record, with no second player to keep true. Everybody who opens the address is the one caller
that the replay belongs to; it listens on loopback alone. It begins once somebody reads along, and
stays until it is stopped, so that the page can be loaded again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

import trio

from harness.replaying.recording import Recording
from harness.replaying.rerun import CALLER, Rerun
from harness.serve_as import Always
from runtime.settings import Settings
from transports.compose import VERSION, Core
from transports.ingress.cli.serve import stop_on_signal
from transports.ingress.http import app
from transports.ingress.http.context import Services
from transports.ingress.http.readers import Readers
from transports.ingress.http.server import HttpServer, Listener, listen, port_of

HOST = "127.0.0.1"
LOOKS_S = 0.05  # how often it is asked whether somebody reads along


async def serve(
    recording: Recording, port: int, speed: float, say: Callable[[str], object] = print
) -> None:
    """Play it once to whoever opens the address that is said; return when stopped."""
    stop = trio.Event()
    listeners = await listen(HOST, port)
    async with trio.open_nursery() as nursery:
        await nursery.start(stop_on_signal, stop)
        stage = Stage(nursery=nursery, listeners=listeners, say=say)
        rerun = Rerun(recording=recording, speed=speed, on_core=stage.open, on_end=stage.stay)
        nursery.start_soon(rerun.run)
        await stop.wait()
        nursery.cancel_scope.cancel()


@dataclass(slots=True, kw_only=True)
class Stage:
    """The front of a replay; each life of its process has another core behind it."""

    nursery: trio.Nursery
    listeners: list[Listener]
    say: Callable[[str], object]
    app: app.App | None = None
    readers: Readers = field(init=False)

    async def open(self, rerun: Rerun, core: Core) -> None:
        """Let the front ask this core; the first time, return once somebody reads along."""
        if self.app is not None:
            self.app.extensions["services"] = self._services(rerun, core)
            return
        self.readers = Readers(rerun.metrics)
        self.app = app.build(self._services(rerun, core))
        await self.nursery.start(HttpServer(self.app).serve, self.listeners, trio.Event())
        talk = rerun.recording.job["conversation_id"]
        self.say(f"http://{HOST}:{port_of(self.listeners)}/#{talk}")
        while not self.readers.open:  # noqa: ASYNC110  a reader is no event of anything
            await trio.sleep(LOOKS_S)

    async def stay(self, rerun: Rerun) -> None:
        """Say how it went, and keep the core alive for whoever loads the page again."""
        same = rerun.replayed() == rerun.recording.log
        self.say("played: the log is the same" if same else "played: the log is another")
        await trio.sleep_forever()

    def _services(self, rerun: Rerun, core: Core) -> Services:
        nothing: dict[str, Any] = {each.name: None for each in fields(Services)}
        played = {
            "settings": Settings(),
            "clock": rerun.clock,
            "ids": rerun.ids,
            "log": rerun.log,
            "hub": rerun.hub,
            "reader": rerun.store.reader,
            "writer": rerun.writer,
            "desk": core.desk,
            "claims": core.claims,
            "tree": core.tree,
            "catalog": rerun.catalog,
            "metrics": rerun.metrics,
            "authenticator": Always(caller=CALLER),
            "log_epoch": rerun.store.log_epoch,
            "version": VERSION,
            "readers": self.readers,
        }
        return Services(**(nothing | played))  # what a replay has no use for is None
