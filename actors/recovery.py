"""At the start, before the port opens: whatever a dead process left running gets its honest end.

Ids go on after those that are kept, since the clock may have been set back in between.

A job that had `job.started` and no end gets `job.ended` with status `interrupted`, and its items as
far as they got. Queued jobs are left queued; their conversations go on with them afterwards. A job
that waits for a human's yes to a call holds no connection that could have been lost: it is left as
it is, and goes on from its log. Calls of tools that the process was making are unknown.
"""

from __future__ import annotations

import structlog

from actors import ending
from actors.job_rows import Death
from actors.job_state import verdict_for
from actors.spine import Spine
from runtime.events import records
from runtime.problems import LogCorrupt
from store import jobs, tool_calls
from store.jobs import JobRow
from store.recovery import newest_ids
from store.writer import Append, Write

log = structlog.get_logger(__name__)


async def close_interrupted(spine: Spine) -> int:
    """End every job that no process answers any more; return how many there were."""
    for newest in newest_ids(spine.reader):
        spine.ids.follow(newest)
    if tool_calls.are_open(spine.reader):
        at_ms = spine.clock.now_ms()
        lost = await spine.writer.write(Write(rows=lambda db: tool_calls.settle_lost(db, at_ms)))
        log.warning("tool_calls_unknown", count=lost)
    unfinished = [row for row in jobs.unfinished(spine.reader) if not await _waits(spine, row)]
    for row in unfinished:
        now_ms = spine.clock.now_ms()
        verdict = verdict_for("process-died")
        close = await ending.from_log(spine.log, row.id, verdict, now_ms)
        death = Death.of(row, close, spine.ids.new("msg_"))
        stream = f"conversations/{row.conversation_id}"
        head = spine.log.head(stream)
        after = head.sequence if head else 0
        told = Append(stream=stream, after=after, records=records(after, death.events, now_ms))
        await spine.writer.write(Write(rows=death.write, appends=(*death.appends, told)))
        spine.metrics.job_ended(verdict.status)
    if unfinished:
        log.warning("jobs_interrupted", count=len(unfinished))
    return len(unfinished)


async def _waits(spine: Spine, row: JobRow) -> bool:
    """Say whether a job only waits for a human, by its log."""
    if row.tools is None:
        return False
    try:
        state = await ending.fold_log(spine.log, row.id)
    except LogCorrupt:
        return False
    return state.waits_for_human()
