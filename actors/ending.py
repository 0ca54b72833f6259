"""The end of a job as one value: the last events, and what its row will say of them.

A job's actor makes it from its state. Where no actor lives (it gave up, or the process died) it is
made from the log, which says the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import orjson
import trio

from actors import job_state
from actors.job_state import JobState
from runtime.events import Fact, JobEnded, decode, encode, facts
from runtime.log import EventLog
from runtime.problems import LogCorrupt
from store.database import Database
from store.jobs import JobRow
from store.writer import Append

Rows: TypeAlias = Callable[[Database], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a job ends, before it is committed."""

    verdict: JobEnded
    append: Append
    result: bytes  # JSON of items, usage and error, as GET shows them for ever after
    text: str  # what the answer says; "" where it says nothing
    at_ms: int  # when it ended: the time of its events
    rows: Rows | None = None  # written in the same transaction


def stream_of(job_id: str) -> str:
    """Return the name of a job's stream."""
    return f"jobs/{job_id}"


def make(
    job_id: str,
    state: JobState,
    verdict: JobEnded,
    at_ms: int,
    before: Sequence[Fact] = (),
    rows: Rows | None = None,
) -> Ending:
    """Return the ending of a job in `state`, which then counts as ended.

    The state is folded forward: it is of no use for another ending.

    Args:
        before: what was said last and is not in the log yet.
        rows: written in the transaction of the end.
    """
    head = state.head
    _fold(state, before)
    said = facts(job_state.ending(state, verdict))
    _fold(state, said)
    kept = encode(head, [*before, *said], at_ms)
    append = Append(stream=stream_of(job_id), after=head, records=kept, ends=True)
    return Ending(
        verdict=verdict,
        append=append,
        result=result_of(state),
        text=state.text(),
        at_ms=at_ms,
        rows=rows,
    )


def _fold(state: JobState, said: Sequence[Fact]) -> None:
    for sequence, (kind, data) in enumerate(said, state.head + 1):
        job_state.fold(state, sequence, kind, data)


def result_of(state: JobState) -> bytes:
    """Return what the log says beside its status, as JSON: items, usage, error."""
    error = state.ended.get("error") if state.ended else None
    return orjson.dumps({"items": state.item_list(), "usage": state.usage, "error": error})


def ended_row(row: JobRow, close: Ending) -> JobRow:
    """Return a job's row as it is once its end is committed."""
    return replace(
        row,
        status=close.verdict.status,
        reason=close.verdict.reason,
        superseded_by=close.verdict.superseded_by,
        ended_at_ms=close.at_ms,
        result=close.result,
    )


async def fold_log(log: EventLog, job_id: str) -> JobState:
    """Return the fold of a job's log as it stands, letting others run between pages."""
    state = JobState()
    while segments := log.read(stream_of(job_id), after=state.head):
        if state.head:
            await trio.lowlevel.checkpoint()
        for segment in segments:
            for each in segment.records:
                job_state.fold(state, each.sequence, each.kind, decode(each.body)["data"])
    return state


async def from_log(log: EventLog, job_id: str, verdict: JobEnded, at_ms: int) -> Ending:
    """Return the ending of a job that no actor owns; on a damaged log, the bare end."""
    try:
        state = await fold_log(log, job_id)
    except LogCorrupt:
        head = log.head(stream_of(job_id))
        state = JobState(head=head.sequence if head else 0)
    return make(job_id, state, verdict, at_ms)
