"""What a route may reach: the services of the app that serves it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from quart import current_app

from actors.claims import Claims
from actors.desk import Desk
from actors.tree import Tree
from runtime.clock import Clock
from runtime.hub import Hub
from runtime.ids import Ids
from runtime.log import EventLog
from runtime.settings import Settings
from runtime.telemetry import Metrics
from store.database import Database
from store.writer import Writer
from transports.egress.providers.catalog import Catalog
from transports.ingress.http.caller import Authenticator
from transports.ingress.http.readers import Readers


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Filled by `transports.compose`, once."""

    settings: Settings
    clock: Clock
    ids: Ids
    log: EventLog
    hub: Hub
    reader: Database  # for reads on the loop
    writer: Writer
    desk: Desk
    claims: Claims
    tree: Tree
    catalog: Catalog
    metrics: Metrics
    authenticator: Authenticator
    log_epoch: str
    version: str
    readers: Readers


def services() -> Services:
    """Return the services of the app that is serving."""
    return cast("Services", current_app.extensions["services"])
