"""A response as the API shows it: the request's own words, and the fold of its job's log. Pure.

The terminal event of a stream carries the same object, made of the same facts by the same function,
so that GET equals it byte for byte.

| the job                              | the response                                          |
|--------------------------------------|-------------------------------------------------------|
| queued, running                      | `queued`, `in_progress`                               |
| completed                            | `completed`                                           |
| incomplete by length, by a filter    | `incomplete`: `max_output_tokens`, `content_filter`   |
| incomplete: the connection ended     | `failed`: a client would take it for a whole answer   |
| failed, interrupted                  | `failed` with an `error`                              |
| aborted, superseded                  | `cancelled`                                           |

Source: Open Responses 2026-04-24, `ResponseResource`; OpenAI's API reference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from actors import items_out
from actors.items_in import Item
from actors.job_state import JobState
from store.jobs import JobRow
from store.turns import TurnRow

SEALED: Final = "sealed"  # kept with what is shown, not shown: reasoning carries its state
STATUSES: Final = {
    "queued": "queued",
    "running": "in_progress",
    "completed": "completed",
    "incomplete": "failed",
    "failed": "failed",
    "interrupted": "failed",
    "aborted": "cancelled",
    "superseded": "cancelled",
}
REASONS: Final = {"length": "max_output_tokens", "filter": "content_filter"}
CODES: Final = {  # classes of our errors -> OpenAI's codes of a failed response
    "rate_limit": "rate_limit_exceeded",
    "quota": "rate_limit_exceeded",
    "invalid_request": "invalid_prompt",
    "context_length": "invalid_prompt",
    "content_policy": "invalid_prompt",
}
SENTENCES: Final = {
    "process-died": "The service stopped before the answer was whole.",
    "shutdown": "The service stopped before the answer was whole.",
    "crashed": "The answer could not be made.",
}
BROKEN_OFF: Final = "The provider's answer broke off before its end."


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a job's log tells, or its row, which says the same."""

    status: str
    items: Sequence[Mapping[str, Any]] = ()
    reason: str | None = None
    usage: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None
    ended_at_ms: int | None = None


def told_by(row: JobRow) -> Told:
    """Return what the row of a job tells: all of it once the job has ended."""
    result = orjson.loads(row.result) if row.result else {}
    return Told(
        status=row.status,
        items=result.get("items") or (),
        reason=row.reason,
        usage=result.get("usage"),
        error=result.get("error"),
        ended_at_ms=row.ended_at_ms,
    )


def told_of(state: JobState, ended_at_ms: int | None = None) -> Told:
    """Return what the fold of a log tells."""
    ended: Mapping[str, Any] = state.ended or {"status": "running"}
    return Told(
        status=ended["status"],
        items=state.item_list(),
        reason=ended.get("reason"),
        usage=state.usage,
        error=ended.get("error"),
        ended_at_ms=ended_at_ms,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What of a response never changes."""

    job_id: str
    created_at_ms: int
    words: Mapping[str, Any]  # of the request, as the API shows them
    sealed: bool

    @classmethod
    def of(cls, turn: TurnRow, job: JobRow) -> Shown:
        """Return it from the rows."""
        words = orjson.loads(turn.shown)
        sealed = bool(words.pop(SEALED, False))
        created_at_ms = job.created_at_ms
        return cls(job_id=job.id, created_at_ms=created_at_ms, words=words, sealed=sealed)

    @property
    def id(self) -> str:
        """The id under which callers know the response."""
        return response_id(self.job_id)


def response_id(job_id: str) -> str:
    """Return the id of the response that a job makes."""
    return f"resp_{job_id.partition('_')[2]}"


def job_id_of(response: str) -> str:
    """Return the id of the job that makes a response; of nonsense, one that is no job's."""
    prefix, _, own = response.partition("_")
    return f"job_{own}" if prefix == "resp" else ""


def resource(shown: Shown, told: Told) -> Item:
    """Return the response."""
    status = STATUSES[told.status]
    details = None
    if told.status == "incomplete" and told.reason in REASONS:
        status, details = "incomplete", {"reason": REASONS[told.reason]}
    done = told.ended_at_ms is not None and status == "completed"
    output = (items_out.shown(shown.job_id, item, sealed=shown.sealed) for item in told.items)
    return {
        "id": shown.id,
        "object": "response",
        "created_at": shown.created_at_ms // 1000,
        "status": status,
        "completed_at": (told.ended_at_ms or 0) // 1000 if done else None,
        "error": _error(told) if status == "failed" else None,
        "incomplete_details": details,
        **shown.words,
        "output": [item for item in output if item is not None],
        "usage": usage(told.usage),
    }


def _error(told: Told) -> Item:
    error = told.error or {}
    message = error.get("message") or SENTENCES.get(told.reason or "", BROKEN_OFF)
    return {"code": CODES.get(error.get("class", ""), "server_error"), "message": message}


def usage(said: Mapping[str, Any] | None) -> Item | None:
    """Return the usage; None where the provider did not say both sides of it."""
    if said is None or said.get("input") is None or said.get("output") is None:
        return None
    return {
        "input_tokens": said["input"],
        "input_tokens_details": {
            "cached_tokens": said.get("cached") or 0,
            "cache_write_tokens": said.get("cache_write") or 0,
        },
        "output_tokens": said["output"],
        "output_tokens_details": {"reasoning_tokens": said.get("reasoning") or 0},
        "total_tokens": said["input"] + said["output"],
    }
