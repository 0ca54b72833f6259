"""What a caller is shown of a job: as its actor has it, or as its row says once it has ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from actors.job_state import JobState
from actors.views import JobView
from runtime.clock import rfc3339
from runtime.events import Status
from store.jobs import JobRow


def view(row: JobRow, state: JobState) -> JobView:
    """Return what a caller is shown of a job in `state`."""
    ended = state.ended
    error = ended.get("error") if ended else None
    status: Status = ended["status"] if ended else row.status
    shown = _view(row, status, state.head, state.item_list(), state.usage, error)
    return replace(shown, approvals=tuple(state.open_approvals()))


def view_of_ended(row: JobRow, head: int) -> JobView:
    """Return what a caller is shown of a job that waits or has ended, from its row alone."""
    result: Mapping[str, Any] = orjson.loads(row.result) if row.result else {}
    items, usage, error = (result.get(name) for name in ("items", "usage", "error"))
    return _view(row, row.status, head, tuple(items or ()), usage, error)


def _view(
    row: JobRow,
    status: Status,
    head: int,
    items: tuple[Mapping[str, Any], ...],
    usage: Mapping[str, Any] | None,
    error: Mapping[str, Any] | None,
) -> JobView:
    return JobView(
        id=row.id,
        conversation_id=row.conversation_id,
        message_id=row.message_id,
        status=status,
        reason=row.reason,
        model=row.model,
        head=head,
        items=items,
        usage=usage,
        error=error,
        superseded_by=row.superseded_by,
        created_at=rfc3339(row.created_at_ms),
        started_at=None if row.started_at_ms is None else rfc3339(row.started_at_ms),
        ended_at=None if row.ended_at_ms is None else rfc3339(row.ended_at_ms),
    )
