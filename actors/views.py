"""What a caller is shown of conversations, messages and jobs, and how it becomes JSON.

A view is made by the actor or function that owns the truth behind it; the front sends it as it is.
Times are RFC 3339 in UTC with milliseconds; None is null.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

import orjson

from runtime.events import Status

V = TypeVar("V")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationView:
    """A conversation; `current_job` is the id of the running job, or null."""

    id: str
    title: str
    created_at: str
    current_job: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageView:
    """A message; an answer carries the status of the job that made it."""

    id: str
    role: str
    parts: tuple[Mapping[str, Any], ...]
    job_id: str
    created_at: str
    status: Status


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """A job as its log tells it: the fold of its events beside what was asked.

    Args:
        approvals: what a human is asked and has not answered, as in `approval.requested`.
    """

    id: str
    conversation_id: str
    message_id: str
    status: Status
    reason: str | None
    model: str
    head: int
    items: tuple[Mapping[str, Any], ...]
    usage: Mapping[str, Any] | None
    error: Mapping[str, Any] | None
    superseded_by: str | None
    created_at: str
    started_at: str | None
    ended_at: str | None
    approvals: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalView:
    """A question to a human that has its answer."""

    id: str
    job_id: str
    outcome: Literal["approved", "denied"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[V]):
    """A page of a list; `next_cursor` is null on the last one."""

    items: tuple[V, ...]
    next_cursor: str | None


def to_bytes(view: Any) -> bytes:
    """Return a view as JSON."""
    return orjson.dumps(view)
