"""/api/models: what can be asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from quart import Blueprint

from transports.egress.providers.base import Model
from transports.egress.providers.prices import PUBLIC
from transports.ingress.http.context import services
from transports.ingress.http.operation import Call, Nothing, operation

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
        prices=PUBLIC.rates(model.vendor, model.name, at) if model.vendor else None,
    )
