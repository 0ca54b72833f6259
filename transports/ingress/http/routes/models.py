"""/api/models: what can be asked."""

from __future__ import annotations

from dataclasses import dataclass

from quart import Blueprint

from transports.egress.providers.base import Model
from transports.ingress.http.context import services
from transports.ingress.http.operation import Call, Nothing, operation

routes = Blueprint("models", __name__, url_prefix="/api")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelView:
    """A model; what is not known is null."""

    id: str
    endpoint: str
    context: int | None
    output_limit: int | None
    abilities: tuple[str, ...]
    prices: None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelList:
    """All models; `default` answers a job that names none, and is null where none is installed."""

    items: tuple[ModelView, ...]
    next_cursor: None = None
    default: str | None


@routes.get("/models")
@operation("The models that can be asked.", answers=ModelList)
async def list_models(_: Call[Nothing, Nothing]) -> ModelList:
    catalog = services().catalog
    return ModelList(items=tuple(map(_shown, catalog.models())), default=catalog.default or None)


def _shown(model: Model) -> ModelView:
    return ModelView(
        id=model.id,
        endpoint=model.endpoint,
        context=model.context,
        output_limit=model.output_limit,
        abilities=model.abilities,
    )
