"""What the operator says of a model, which wins over what is known: limits, abilities, prices.

It is kept by the model's id and counts at once for what is asked next; what is not said stays as it
is known. Taken back, what is known counts again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from actors.changing import commit
from actors.spine import Spine
from runtime.caller import Caller
from runtime.problems import NotFound
from store import endpoints
from store.database import Database
from transports.egress.providers.base import Model

LISTS = ("abilities", "inputs", "efforts")


class ModelFacts:
    """One per service; `stand` puts what is stored in the catalog at the start."""

    def __init__(self, spine: Spine) -> None:
        self._spine = spine

    def stand(self) -> None:
        """Let what is stored count."""
        for model, kept in endpoints.facts(self._spine.reader).items():
            self._spine.catalog.overlay(model, _fields(orjson.loads(kept)))

    async def put(
        self, caller: Caller, model: str, given: Mapping[str, Any], request_id: str
    ) -> Model:
        """Keep what is given in place of what was said before; return the model as it is now.

        Raises:
            NotFound: there is no such model, or the caller is no admin.
        """
        self._find(model)
        now_ms, kept = self._spine.clock.now_ms(), orjson.dumps(given)
        await self._change(
            caller,
            "model.put",
            model,
            lambda db: endpoints.put_facts(db, model, kept, now_ms),
            request_id,
        )
        self._spine.catalog.overlay(model, _fields(given))
        return self._find(model)

    async def forget(self, caller: Caller, model: str, request_id: str) -> None:
        """Take back what was said.

        Raises:
            NotFound: nothing was, or the caller is no admin.
        """
        if model not in endpoints.facts(self._spine.reader):
            raise NotFound("Nothing was said of such a model.")
        await self._change(
            caller, "model.forget", model, lambda db: endpoints.forget_facts(db, model), request_id
        )
        self._spine.catalog.overlay(model, None)

    def _find(self, model: str) -> Model:
        for known in self._spine.catalog.models():
            if known.id == model:
                return known
        raise NotFound("There is no such model.")

    async def _change(
        self,
        caller: Caller,
        action: str,
        model: str,
        rows: Callable[[Database], None],
        request_id: str,
    ) -> None:
        access = lambda _: caller.admin
        await commit(self._spine, caller, action, model, rows, request_id, access=access)


def _fields(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields of a `Model`."""
    return {name: tuple(value) if name in LISTS else value for name, value in given.items()}
