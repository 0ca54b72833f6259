"""/api/health, /api/health/actors and /metrics: how the service fares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from quart import Blueprint, Response

from runtime.metrics import CONTENT_TYPE
from runtime.supervisor import ActorReport
from transports.ingress.http.context import services
from transports.ingress.http.operation import Call, Nothing, operation

routes = Blueprint("health", __name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The service is up."""

    status: Literal["ok"]
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Actors:
    """Every actor, in the start order of the tree."""

    actors: tuple[ActorReport, ...]


@routes.get("/api/health")
@operation("Whether the service is up.", answers=Health, auth="none")
async def read_health(_: Call[Nothing, Nothing]) -> Health:
    return Health(status="ok", version=services().version)


@routes.get("/api/health/actors")
@operation("How every actor fares; for admins.", answers=Actors, auth="admin")
async def read_actors(_: Call[Nothing, Nothing]) -> Actors:
    supervisors = services().tree.supervisors
    return Actors(actors=tuple(each for one in supervisors for each in one.report()))


@routes.get("/metrics")
@operation("The metrics, as Prometheus reads them; for admins.", auth="admin")
async def read_metrics(_: Call[Nothing, Nothing]) -> Response:
    return Response(services().metrics.render(), 200, content_type=CONTENT_TYPE)
