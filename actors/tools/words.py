"""The words between a job, the calls of tools that it wants, and the human who is asked of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from actors.tools.result import ToolResult
from actors.tools.toolbox import Offer
from runtime.actor import TrioRef
from runtime.caller import Caller
from store.database import Database

Settle: TypeAlias = Callable[[Database], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolOrder:
    """A call that is wanted.

    Args:
        tool: its id; "" where the model named none that there is.
        name: as the model knows it.
        version: of the tool when the call was decided.
        arguments: JSON as the model wrote it.
        made_by: who decided it: a model's id, or the caller's name.
        offer: the tool as it is now; None: there is none such.
        beyond: the model has called too many tools at once.
    """

    id: str
    job_id: str
    item_id: str
    caller: Caller
    made_by: str
    tool: str
    name: str
    version: str
    arguments: str
    offer: Offer | None
    beyond: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin:
    """Make the call and tell `job` of it; one that has ended is told of again."""

    job: TrioRef
    order: ToolOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """Stop the call. Answered with an event that is set once it has stopped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEnded:
    """Told to the job: what came of a call, and what settles its evidence."""

    item_id: str
    result: ToolResult
    settle: Settle


@dataclass(frozen=True, slots=True, kw_only=True)
class Progressed:
    """Told to the job: how far a call is."""

    item_id: str
    done: float
    of: float | None
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AskHuman:
    """Asked of the job: put a question to the user. Answered with a Reply of the Word.

    Args:
        schema: of the answer; None: it is a yes or no to the call itself.
    """

    item_id: str
    tool: str
    question: str
    schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """What a human said."""

    approval_id: str
    outcome: Literal["approved", "denied", "expired"]
    content: Mapping[str, Any] | None = None
