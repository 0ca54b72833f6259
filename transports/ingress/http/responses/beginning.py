"""From a request's body to a response that has begun; HTTP and the WebSocket begin it alike."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import orjson

from actors.claims import Claim
from actors.responses_desk import NewResponse
from actors.turn_desk import Found
from runtime.caller import Caller
from runtime.problems import IdempotencyConflict
from store import idempotency
from transports.ingress.http.context import Services
from transports.ingress.http.responses import asked
from transports.ingress.http.responses.asked import CreateResponse
from transports.ingress.http.responses.resource import job_id_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A response that has begun; `replayed` where an earlier request began it."""

    found: Found
    replayed: bool = False


def wanted(
    known: Services,
    body: CreateResponse,
    *,
    unstored: Collection[str] = (),
    claim: Claim | None = None,
    traceparent: str = "",
) -> NewResponse:
    """Return what a body asks for.

    Args:
        unstored: jobs that may be gone on from though they are not stored.

    Raises:
        Invalid: with the place of what is wrong.
    """
    asked.check(body)
    _, model = known.catalog.find(body.model)
    previous = body.previous_response_id
    return NewResponse(
        model=model.id,
        input=() if body.input is None else body.input,
        asked=asked.asked_of(body),
        options=asked.options_of(body),
        stored=body.is_stored,
        previous=None if previous is None else job_id_of(previous) or "job_",
        unstored=unstored,
        thread=body.thread,
        shown=asked.shown_of(body, model.id),
        claim=claim,
        traceparent=traceparent,
    )


async def begin(known: Services, caller: Caller, new: NewResponse, request_id: str) -> Begun:
    """Begin a response, or find the one that the same key has begun before.

    Raises:
        IdempotencyConflict: the key belongs to another request, or to an answer not kept.
        Invalid, NotFound, JobActive, ShuttingDown, AuditUnavailable.
    """
    made: list[Found] = []

    async def make() -> Any:
        made.append(await known.desk.responses.create(caller, new, request_id))
        return {"id": made[0].job.id}

    receipt = await known.claims.once(caller, new.claim, make)
    if made:
        return Begun(found=made[0])
    said = receipt.body or kept_in_memory(known, caller, new.claim)
    return Begun(found=known.desk.responses.find(caller, orjson.loads(said)["id"]), replayed=True)


def kept_in_memory(known: Services, caller: Caller, claim: Claim | None) -> bytes:
    """Return the receipt of an answer that is not stored; on disk its key is a digest alone.

    Raises:
        IdempotencyConflict: it is not kept any more.
    """
    reader = known.desk.responses.memory.spine.reader
    if claim is not None:
        scope = (caller.tenant, caller.user, claim.method, claim.path, claim.key)
        if (row := idempotency.find(reader, *scope)) is not None:
            return row.body
    raise IdempotencyConflict("This key was used, and its answer was not to be kept.")
