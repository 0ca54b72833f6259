"""From a response that has begun to what its caller is sent: one object, or events as they come.

Who waits in the foreground and leaves has the answer ended: nobody else waits for it, and it costs.
In the background it goes on. Everything that is sent has been committed.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import chain
from typing import Any

import trio
from quart import Response

from actors.ending import fold_log
from actors.turn_desk import Found
from runtime.events import JOB_END, one_line
from runtime.log import Record
from runtime.problems import Invalid
from transports.ingress.http import projected
from transports.ingress.http.context import Services
from transports.ingress.http.operation import JSON, Call
from transports.ingress.http.projected import DONE
from transports.ingress.http.responses.projection import Projection
from transports.ingress.http.responses.resource import Shown, Told, resource, told_by, told_of


def whole(found: Found) -> Response:
    """Return the answer that shows a response by its row, which tells all once it has ended."""
    return _answer(found, told_by(found.job))


def just_begun(found: Found) -> Response:
    """Return the answer to who began a response in the background, however far it is by now."""
    return _answer(found, Told(status="running"))


def _answer(found: Found, told: Told) -> Response:
    body = one_line(resource(Shown.of(found.turn, found.job), told))
    return Response(body, 200, content_type=JSON)


async def as_it_stands(found: Found) -> Response:
    """Return the answer that shows a response, which may still be growing."""
    told = told_by(found.job)
    if found.job.ended_at_ms is None:
        state = await fold_log(found.desk.spine.log, found.job.id)
        if state.ended is not None:  # between the two looks
            return whole(await when_ended(found, awaited=False))
        told = told_of(state)
    return _answer(found, told)


async def when_ended(found: Found, *, awaited: bool = True) -> Found:
    """Wait for the end of a response; who leaves has it ended.

    Args:
        awaited: nobody but the caller waits for it.
    """
    try:
        row = await found.desk.ended(found.job.id)
    except trio.Cancelled:
        if awaited:
            found.desk.leave(found.job.id)
        raise
    return Found(desk=found.desk, turn=found.turn, job=row)


async def require_told(found: Found, number: int) -> None:
    """Refuse to go on after an event that there is not yet: those before it would never be sent.

    Raises:
        Invalid: the response has no event of this number.
    """
    projection, log = Projection(Shown.of(found.turn, found.job)), found.desk.log_of(found.job.id)
    newest = -1
    while newest < number and (segments := log.read()):
        for record in chain.from_iterable(segment.records for segment in segments):
            for newest, _, _ in projection.take(record):  # noqa: B007  the last of them counts
                pass
        await trio.lowlevel.checkpoint()
    if newest < number:
        raise Invalid.at("/starting_after", f"The newest event of the response is {newest}.")


def streamed(
    known: Services, call: Call[Any, Any], found: Found, *, after: int = -1, awaited: bool = False
) -> Response:
    """Return the answer that sends a response's events, those that follow number `after`.

    Args:
        awaited: as `when_ended`.
    """
    projection = Projection(Shown.of(found.turn, found.job))

    async def permitted() -> None:
        caller = known.authenticator.authenticate(call.credentials)
        known.desk.responses.find(caller, found.job.id)

    def frames(record: Record) -> Iterator[bytes]:
        for number, kind, data in projection.take(record):
            if number > after:
                yield b"event: %b\ndata: %b\n\n" % (kind.encode(), data)
        if record.kind == JOB_END:
            yield DONE

    left = partial(found.desk.leave, found.job.id) if awaited else None
    log = found.desk.log_of(found.job.id)
    return projected.streamed(known, call.caller, log, frames, permitted=permitted, left=left)
