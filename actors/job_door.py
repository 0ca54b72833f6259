"""How a conversation's actor speaks with the actors of its jobs, and what it does where none lives.

It asks for an ending, commits it, and tells how that went; in between the job stands still. Every
wait is bounded, so that a job which waits for a full disk does not hold up its conversation.
"""

from __future__ import annotations

from contextlib import suppress

import structlog
import trio
from pykka import ActorDeadError

from actors import ending
from actors.ending import Ending, stream_of
from actors.job import PrepareEnd, Report, Settle
from actors.job_view import view_of_ended
from actors.provider import Hush
from actors.spine import Spine
from actors.views import JobView
from runtime import limits
from runtime.caller import Caller
from runtime.events import JobEnded
from runtime.problems import Busy, LogCorrupt, MailboxFull, NotFound, Problem
from runtime.problems import JobEnded as JobHasEnded
from store import change, jobs
from store.jobs import JobRow

log = structlog.get_logger(__name__)


async def wake(spine: Spine, row: JobRow) -> bool:
    """Bring the job's actor to life, and have it tell an end that may have been missed.

    Args:
        row: as it is kept.

    False: it cannot live, and its log needs an end from elsewhere.
    """
    spine.rows[row.id] = row
    try:
        await spine.jobs.tell(row.id, Report())
    except (Problem, ActorDeadError):
        log.exception("job_cannot_live", job_id=row.id)
        return False
    finally:
        spine.rows.pop(row.id, None)
    return True


async def prepare_end(spine: Spine, job_id: str, verdict: JobEnded) -> Ending | None:
    """Ask the job to stop and say how its log ends; where no actor lives, read the log.

    Args:
        verdict: the provider's own end wins over it if it came first.

    Raises:
        Busy: it does not answer now, since the store takes no writes; it goes on.
    """
    with trio.move_on_after(limits.JOB_ANSWER_S):
        try:
            close = await _told_to_end(spine, job_id, verdict)
        except (ActorDeadError, LogCorrupt, NotFound):
            close = await from_log(spine, job_id, verdict)
        return close
    await settle(spine, job_id, committed=False)
    raise Busy("The job cannot be stopped now, since the store takes no writes.")


async def _told_to_end(spine: Spine, job_id: str, verdict: JobEnded) -> Ending | None:
    """Ask the job, and have its provider's connection closed now: it may wait for a commit first.

    In this order: a job without its call that nobody asks for an end would wait for ever.
    """
    message = PrepareEnd(verdict=verdict)
    if (job := spine.jobs.alive(job_id)) is None:
        asked: Ending | None = await spine.jobs.ask(job_id, message)
        return asked
    reply = job.ask(message, block=False)
    _hush(spine, job_id)
    close: Ending | None = await reply
    return close


def _hush(spine: Spine, job_id: str) -> None:
    row = jobs.get_any(spine.reader, job_id)
    provider = spine.providers.alive(row.endpoint) if row else None
    if provider is not None:
        with suppress(ActorDeadError, MailboxFull):
            provider.tell(Hush(job_id=job_id))


def aborted(spine: Spine, job_id: str) -> JobView:
    """Return what is shown of a job that was to be aborted.

    Raises:
        runtime.problems.JobEnded: it had come to another end.
    """
    row = jobs.get_any(spine.reader, job_id)
    if row is None:
        raise NotFound("No such job.")
    if row.status != "aborted":
        raise JobHasEnded(f"The job has ended as {row.status}.", job_status=row.status)
    head = spine.log.head(stream_of(job_id))
    return view_of_ended(row, head.sequence if head else 0)


async def from_log(spine: Spine, job_id: str, verdict: JobEnded) -> Ending:
    """Return the ending of a job that no actor owns."""
    return await ending.from_log(spine.log, job_id, verdict, spine.clock.now_ms())


async def rehearse(spine: Spine, caller: Caller, job_id: str, request_id: str) -> None:
    """See that an end could be audited, before the provider's connection is closed for it.

    Raises:
        AuditUnavailable, StoreUnavailable: it could not; nothing has happened.
    """
    await spine.writer.write(
        change.rehearsal(
            caller,
            action="job.end",
            object_id=job_id,
            at_ms=spine.clock.now_ms(),
            request_id=request_id,
        )
    )


async def settle(spine: Spine, job_id: str, *, committed: bool) -> None:
    """Tell the job whether its ending is kept."""
    try:
        await spine.jobs.tell(job_id, Settle(committed=committed))
    except (ActorDeadError, LogCorrupt, NotFound):
        log.info("job_gone", job_id=job_id)
