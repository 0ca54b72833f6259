"""What a tool may tell and ask while it is called: its progress, and questions to the user."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any

import structlog
import trio
from pykka import ActorDeadError

from actors.tools.tooling import Calling
from actors.tools.words import AskHuman, Progressed, ToolOrder, Word
from runtime import limits
from runtime.actor import TrioRef
from runtime.problems import MailboxFull
from runtime.reply import Reply

log = structlog.get_logger(__name__)


async def ask(job: TrioRef, question: AskHuman) -> Word:
    """Have the job put a question to the user; return what they said in the end."""
    waiting: Reply = await job.request(question)
    word: Word = await waiting
    return word


class Asking:
    """What one call may tell and ask while it is under way."""

    def __init__(self, job: TrioRef, order: ToolOrder, scope: trio.CancelScope) -> None:
        """Take the job that is told, and the scope whose deadline is the call's."""
        self._job, self._order, self._scope = job, order, scope
        self._told, self._asked = 0, 0
        self._next_at = -inf

    def calling(self) -> Calling:
        """Return it as the tool's source takes it."""
        return Calling(id=self._order.id, on_progress=self._progress, ask=self._question)

    def _progress(self, done: float, of: float | None, words: str) -> None:
        """Tell the job, now and then: what a server says too often is left out."""
        now = trio.current_time()
        if now < self._next_at or self._told >= limits.TOOL_PROGRESS_MAX:
            return
        self._told, self._next_at = self._told + 1, now + limits.TOOL_PROGRESS_S
        said = words[: limits.TOOL_PROGRESS_CHARS]
        told = Progressed(item_id=self._order.item_id, done=done, of=of, words=said)
        try:
            self._job.tell(told)
        except (ActorDeadError, MailboxFull):
            log.debug("progress_unheard", call_id=self._order.id)

    async def _question(self, question: str, schema: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Ask the user; the call's own time stands still meanwhile."""
        self._asked += 1
        if self._asked > limits.TOOL_QUESTIONS_MAX:
            return None
        left_s = self._scope.deadline - trio.current_time()
        self._scope.deadline = inf
        try:
            asked = AskHuman(
                item_id=self._order.item_id,
                tool=self._order.tool,
                question=question[: limits.TOOL_QUESTION_CHARS],
                schema=schema,
            )
            word = await ask(self._job, asked)
        finally:
            self._scope.deadline = trio.current_time() + left_s
        return (word.content or {}) if word.outcome == "approved" else None
