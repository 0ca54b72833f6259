"""Making a conversation short: a model sums it up, and the caller carries the sum on.

The model is asked in memory, so that nothing of it is kept here. It is given the conversation as
one text, since some models answer the last message alone. What comes back to us later is told to
the next model as what the system says. Source: Open Responses 2026-04-24, `CompactResource`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from actors import prompt, sealing
from runtime.problems import UpstreamSaid
from store.jobs import JobRow
from transports.egress.providers.asked import (
    Input,
    PromptCall,
    PromptMessage,
    PromptReasoning,
    PromptResult,
)
from transports.ingress.http.responses.resource import told_by, usage
from transports.ingress.http.responses.views import CompactionView

ASK: Final = (
    "Sum up the conversation below so that somebody who has not read it can go on with it: "
    "facts, decisions, names, numbers, open questions. Write nothing else.\n\n"
)


def request(told: Sequence[Input]) -> str:
    """Return what a model is asked, for a conversation."""
    return ASK + "\n".join(line for item in told if (line := _line(item)))


def _line(item: Input) -> str:
    match item:
        case PromptMessage():
            return f"{item.role}: {item.text}"
        case PromptCall():
            return f"assistant calls {item.name}: {item.arguments}"
        case PromptResult():
            return f"tool: {item.text}"
        case PromptReasoning():
            return ""
        case _:
            return ""


def compacted(row: JobRow, estimate: int) -> CompactionView:
    """Return the compaction that a job has made.

    Args:
        estimate: of the tokens it was asked with, where its provider counts none.

    Raises:
        UpstreamSaid: the model did not answer.
    """
    told, own = told_by(row), row.id.partition("_")[2]
    text = "".join(item.get("text") or "" for item in told.items if item["type"] == "message")
    if told.status != "completed" or not text:
        raise UpstreamSaid("The model made no summary of this conversation.")
    sealed = sealing.seal({"summary": text})
    counted = {"input": estimate, "output": prompt.framed_tokens(text)}
    used = usage(told.usage) or usage(counted)
    assert used is not None, "both sides are counted"
    return CompactionView(
        id=f"resp_{own}",
        object="response.compaction",
        created_at=row.created_at_ms // 1000,
        output=({"type": "compaction", "id": f"cmp_{own}", "encrypted_content": sealed},),
        usage=used,
    )
