"""/api/models: what can be asked; an admin's word on a model wins over what is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import Field
from quart import Blueprint, Response

from runtime import limits
from runtime.problems import AuditUnavailable
from transports.egress.providers.base import Model
from transports.egress.providers.prices import PUBLIC, Rates
from transports.ingress.http.context import services
from transports.ingress.http.dto import STRICT
from transports.ingress.http.operation import Call, Nothing, empty, operation

routes = Blueprint("models", __name__, url_prefix="/api")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelView:
    """A model; what is not known is null.

    Args:
        prices: US dollars by unit, `input_mtok` is a million tokens of input: each `{usd, above?}`,
            and their `source`.
    """

    id: str
    endpoint: str
    context: int | None
    output_limit: int | None
    abilities: tuple[str, ...]
    inputs: tuple[str, ...] | None
    efforts: tuple[str, ...] | None
    ends_on: str | None
    prices: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelList:
    """All models; `default` answers a job that names none, and is null where none is installed."""

    items: tuple[ModelView, ...]
    next_cursor: None = None
    default: str | None


Tokens = Annotated[int, Field(strict=True, ge=1, le=limits.MODEL_TOKENS_MAX)]
Word = Annotated[str, Field(min_length=1, max_length=limits.MODEL_WORD_CHARS)]
Words = Annotated[tuple[Word, ...], Field(max_length=limits.MODEL_WORDS_MAX)]
Usd = Annotated[str, Field(pattern=r"^[0-9]{1,6}(\.[0-9]{1,9})?$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnRates:
    """US dollars for a million tokens, as strings: a float would round them."""

    __pydantic_config__ = STRICT
    input: Usd
    output: Usd
    cached: Usd | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFactsBody:
    """What is said of a model; what is left out stays as it is known."""

    __pydantic_config__ = STRICT
    context: Tokens | None = None
    output_limit: Tokens | None = None
    abilities: Words | None = None
    inputs: Words | None = None
    efforts: Words | None = None
    ends_on: Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")] | None = None
    rates: OwnRates | None = None

    def given(self) -> dict[str, Any]:
        """Return what was said."""
        return _said(self) | ({"rates": _said(self.rates)} if self.rates else {})


def _said(body: Any) -> dict[str, Any]:
    values = {each.name: getattr(body, each.name) for each in fields(body)}
    return {name: value for name, value in values.items() if value is not None}


@routes.put("/models/<path:path>")
@operation(
    "Say what holds of a model, prices among it; it wins over what is known. For admins.",
    body=ModelFactsBody,
    answers=ModelView,
    auth="admin",
    problems=(AuditUnavailable,),
)
async def put_model_facts(call: Call[ModelFactsBody, Nothing], path: str) -> ModelView:
    known = services()
    given = call.body.given()
    model = await known.desk.facts.put(call.caller, path, given, call.request_id)
    await PUBLIC.load()
    return _shown(model, datetime.fromtimestamp(known.clock.now_ms() / 1000, UTC))


@routes.delete("/models/<path:path>")
@operation(
    "Take back what was said of a model. For admins.",
    status=204,
    auth="admin",
    problems=(AuditUnavailable,),
)
async def forget_model_facts(call: Call[Nothing, Nothing], path: str) -> Response:
    await services().desk.facts.forget(call.caller, path, call.request_id)
    return empty(204)


@routes.get("/models")
@operation("The models that can be asked.", answers=ModelList)
async def list_models(_: Call[Nothing, Nothing]) -> ModelList:
    catalog, at = services().catalog, services().clock.now_ms()
    models = catalog.models()
    if any(model.vendor for model in models):
        await PUBLIC.load()
    shown = tuple(_shown(model, datetime.fromtimestamp(at / 1000, UTC)) for model in models)
    return ModelList(items=shown, default=catalog.default or None)


def _shown(model: Model, at: datetime) -> ModelView:
    return ModelView(
        id=model.id,
        endpoint=model.endpoint,
        context=model.context,
        output_limit=model.output_limit,
        abilities=model.abilities,
        inputs=model.inputs,
        efforts=model.efforts,
        ends_on=model.ends_on,
        prices=_prices(model, at),
    )


def _prices(model: Model, at: datetime) -> Mapping[str, Any] | None:
    if model.rates:
        return Rates.of(model.rates).to_json()
    return PUBLIC.rates(model.vendor, model.name, at) if model.vendor else None
