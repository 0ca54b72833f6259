"""/api/endpoints: where models are asked; admins add, change, test and remove them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated, Any

from pydantic import Field
from quart import Blueprint, Response

from actors.endpoints import EndpointView
from runtime import limits
from runtime.problems import AuditUnavailable, EndpointExists, EndpointFixed
from transports.ingress.http.context import services
from transports.ingress.http.dto import STRICT
from transports.ingress.http.operation import Call, Nothing, empty, operation

routes = Blueprint("endpoints", __name__, url_prefix="/api/endpoints")
Word = Annotated[str, Field(max_length=limits.HEADER_VALUE_MAX)]


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointList:
    """All endpoints."""

    items: tuple[EndpointView, ...]
    next_cursor: None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointChange:
    """Settings of an endpoint, as in the settings file; absent ones stay as they are."""

    __pydantic_config__ = STRICT
    base_url: Annotated[str, Field(max_length=limits.EGRESS_URL_CHARS)] | None = None
    wire: Word | None = None
    vendor: Word | None = None
    api_key: Annotated[str, Field(max_length=limits.API_KEY_CHARS_MAX)] | None = None
    models: Annotated[tuple[Word, ...], Field(max_length=limits.ENDPOINT_MODELS_MAX)] | None = None
    concurrency: Annotated[int, Field(strict=True)] | None = None
    connect_s: float | None = None
    first_byte_s: float | None = None
    idle_s: float | None = None
    total_s: float | None = None
    retries: Annotated[int, Field(strict=True)] | None = None
    allow_loopback: Annotated[bool, Field(strict=True)] | None = None

    def given(self) -> dict[str, Any]:
        """Return what was said, by the names of the settings."""
        values = {each.name: getattr(self, each.name) for each in fields(EndpointChange)}
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEndpoint(EndpointChange):
    """An endpoint to add."""

    __pydantic_config__ = STRICT
    name: Word


@dataclass(frozen=True, slots=True, kw_only=True)
class TestBody:
    """Which model is asked; null: the endpoint's first."""

    __pydantic_config__ = STRICT
    model: Word | None = None


@routes.get("")
@operation("The endpoints that answer for the models.", answers=EndpointList)
async def list_endpoints(call: Call[Nothing, Nothing]) -> EndpointList:
    return EndpointList(items=services().desk.endpoints.list_all(call.caller))


@routes.get("/<name>")
@operation("One endpoint.", answers=EndpointView)
async def read_endpoint(call: Call[Nothing, Nothing], name: str) -> EndpointView:
    return services().desk.endpoints.one(call.caller, name)


@routes.post("")
@operation(
    "Add an endpoint; its key is sealed and never shown again. For admins.",
    body=NewEndpoint,
    answers=EndpointView,
    status=201,
    auth="admin",
    idempotent=True,
    problems=(EndpointExists, AuditUnavailable),
)
async def add_endpoint(call: Call[NewEndpoint, Nothing]) -> EndpointView:
    given = call.body.given()
    return await services().desk.endpoints.add(
        call.caller, call.body.name, given, call.claim, call.request_id
    )


@routes.patch("/<name>")
@operation(
    "Change an endpoint; the jobs that run go on at the old settings. For admins.",
    body=EndpointChange,
    answers=EndpointView,
    auth="admin",
    problems=(EndpointFixed, AuditUnavailable),
)
async def change_endpoint(call: Call[EndpointChange, Nothing], name: str) -> EndpointView:
    return await services().desk.endpoints.change(
        call.caller, name, call.body.given(), call.request_id
    )


@routes.delete("/<name>")
@operation(
    "Remove an endpoint and its key. For admins.",
    status=204,
    auth="admin",
    problems=(EndpointFixed, AuditUnavailable),
)
async def remove_endpoint(call: Call[Nothing, Nothing], name: str) -> Response:
    await services().desk.endpoints.remove(call.caller, name, call.request_id)
    return empty(204)


@routes.post("/<name>/test")
@operation(
    "Ask it for a word, and keep what it was able to do as its profile. For admins.",
    body=TestBody,
    answers=EndpointView,
    auth="admin",
    problems=(AuditUnavailable,),
)
async def test_endpoint(call: Call[TestBody, Nothing], name: str) -> EndpointView:
    return await services().desk.endpoints.test(call.caller, name, call.body.model, call.request_id)
