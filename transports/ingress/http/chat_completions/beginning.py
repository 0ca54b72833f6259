"""From a request's body to a chat completion that has begun: a turn that follows no other.

It leaves nothing on disk unless `store` asks for it. One key begins one completion.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import orjson

from actors.claims import Claim
from actors.responses_desk import Numbered
from actors.turn_desk import Found, Order, TurnDesk
from actors.turns import Asked
from runtime.caller import Caller
from runtime.problems import NotFound
from transports.ingress.http.chat_completions import asked, messages
from transports.ingress.http.chat_completions.asked import CreateCompletion
from transports.ingress.http.context import Services
from transports.ingress.http.responses.beginning import Begun, kept_in_memory

FRONT: Final = "chat"


async def begin(
    known: Services,
    caller: Caller,
    body: CreateCompletion,
    request_id: str,
    *,
    claim: Claim | None = None,
    traceparent: str = "",
) -> Begun:
    """Begin a completion, or find the one that the same key has begun before.

    Raises:
        Invalid: with the place of what is wrong.
        IdempotencyConflict: the key belongs to another request, or to an answer not kept.
        Busy, ShuttingDown, AuditUnavailable.
    """
    asked.check(body)
    _, model = known.catalog.find(body.model)
    job_id = known.ids.new("job_")
    wish, options = asked.wish_of(body)
    order = Order(
        job_id=job_id,
        front=FRONT,
        model=model.id,
        items=messages.read_messages(body.messages, Numbered(job_id)),
        asked=_asked(body, wish),
        options=options,
        receipt={"id": job_id},
        claim=claim,
        traceparent=traceparent,
    )
    desk: TurnDesk = known.desk.turns if body.store else known.desk.responses.memory
    made: list[Found] = []

    async def make() -> Any:
        with asked.called_as_here(body):
            made.append(await desk.ask(caller, order, request_id))
        return {"id": job_id}

    receipt = await known.claims.once(caller, claim, make)
    if made:
        return Begun(found=made[0])
    said = receipt.body or kept_in_memory(known, caller, claim)
    return Begun(found=_found(desk, caller, orjson.loads(said)["id"]), replayed=True)


def _asked(body: CreateCompletion, wish: Asked) -> Asked:
    """Return how it is to be made: in one piece where only its end will be seen."""
    is_seen = body.stream or body.store
    return wish if is_seen else replace(wish, wanted=replace(wish.wanted, whole=True))


def find_stored(known: Services, caller: Caller, job_id: str) -> Found:
    """Return the caller's completion that was to be stored.

    Raises:
        NotFound: there is none, for this caller.
    """
    found = _found(known.desk.turns, caller, job_id)
    if found.job.ended_at_ms is None:
        raise NotFound("There is no such completion; or it has not ended yet.")
    return found


def _found(desk: TurnDesk, caller: Caller, job_id: str) -> Found:
    return Found(desk=desk, turn=desk.turn(caller, job_id, FRONT), job=desk.job(job_id))
