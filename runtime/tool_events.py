"""The part of the grammar of a job's log (`runtime.events`) that is about tools and approvals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from runtime.event_data import Data


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolsCalled(Data):
    """The model waits for tools: what it has said so far stays, and each call gets a result.

    Args:
        calls: `{item_id, tool_call_id, tool, version}` each: the item that calls, the id of the
            call's evidence, the tool's own id and version; no `tool` where there is none such.
    """

    kind: ClassVar[str] = "tools.called"
    calls: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolProgressed(Data):
    """A call under way tells how far it is; `of` is None where it does not know the whole."""

    kind: ClassVar[str] = "tool.progressed"
    item_id: str
    done: float
    of: float | None = None
    words: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRequested(Data):
    """A human is asked: whether a tool may be called, or for what the tool wants to know.

    Args:
        item_id: the call that it is about.
        schema: of the answer that a tool wants; None: it is a yes or no to the call itself.
        expires_at: from then on silence is a no.
    """

    kind: ClassVar[str] = "approval.requested"
    approval_id: str
    item_id: str
    question: str
    tool: str | None = None
    schema: Mapping[str, Any] | None = None
    expires_at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalResolved(Data):
    """The human has answered, or the question has expired; what they wrote is not kept here."""

    kind: ClassVar[str] = "approval.resolved"
    approval_id: str
    outcome: Literal["approved", "denied", "expired"]
    by: str | None = None
