"""From a chat completion that has begun to what its caller is sent: one object, or its chunks.

Who waits and leaves has the answer ended: nobody else waits for it, and it costs.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from quart import Response

from actors.turn_desk import Found
from runtime.events import JOB_END, one_line
from runtime.log import Record
from runtime.problems import UpstreamSaid
from store.jobs import JobRow
from transports.ingress.http import projected
from transports.ingress.http.chat_completions.beginning import FRONT
from transports.ingress.http.chat_completions.projection import (
    Chunks,
    Shown,
    completion,
    error,
    finish_reason,
)
from transports.ingress.http.context import Services
from transports.ingress.http.operation import JSON, Call
from transports.ingress.http.projected import DONE
from transports.ingress.http.responses.resource import told_by


def shown(job: JobRow) -> Shown:
    """Return what of a completion never changes."""
    return Shown(job_id=job.id, created_at_ms=job.created_at_ms, model=job.model)


def whole(job: JobRow) -> Response:
    """Return the answer that gives a completion whole.

    Raises:
        UpstreamSaid: it broke off, or failed.
    """
    told = told_by(job)
    if finish_reason(told) is None:
        said = error(told)
        raise UpstreamSaid(said["message"], code=said["code"])
    return Response(one_line(completion(shown(job), told)), 200, content_type=JSON)


def streamed(
    known: Services, call: Call[Any, Any], found: Found, *, tells_usage: bool, awaited: bool
) -> Response:
    """Return the answer that sends a completion's chunks.

    Args:
        awaited: nobody but the caller waits for it.
    """
    chunks, job_id, desk = (
        Chunks(shown(found.job), tells_usage=tells_usage),
        found.job.id,
        found.desk,
    )

    async def permitted() -> None:
        desk.turn(known.authenticator.authenticate(call.credentials), job_id, FRONT)

    def frames(record: Record) -> Iterator[bytes]:
        for chunk in chunks.take(record):
            yield b"data: %b\n\n" % one_line(chunk)
        if record.kind == JOB_END and chunks.is_whole:
            yield DONE

    left = partial(desk.leave, job_id) if awaited else None
    log = desk.log_of(job_id)
    return projected.streamed(known, call.caller, log, frames, permitted=permitted, left=left)
