"""The app of the simulation: built once for all worlds, since its routes take 15 ms.

Theory: the app keeps nothing but its routes; the services of whichever life runs now are put in.
"""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from typing import Any, Final

from runtime.ids import Ids
from runtime.settings import Settings
from transports.ingress.http import app
from transports.ingress.http.context import Services

SETTINGS: Final = Settings()


class CurrentIds(Ids):
    """The ids of whichever world runs now."""

    current: Ids

    def __init__(self) -> None:
        """Wait for `current`."""

    def new(self, prefix: str) -> str:
        """Return a fresh id of that world."""
        return self.current.new(prefix)


@cache
def front() -> tuple[app.App, CurrentIds]:
    """Return the app, built once: it keeps nothing but its routes, and they take 15 ms."""
    ids = CurrentIds()
    nothing: Any = None
    services = {each.name: nothing for each in fields(Services)}
    return app.build(Services(**(services | {"settings": SETTINGS, "ids": ids}))), ids
