"""What the first and the last transaction of a job write: rows, messages and events, as values.

Pure until `write` runs inside the transaction, on the writer's thread. The conversation's actor
makes these and commits them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import orjson

from actors.ending import Ending, stream_of
from actors.job_view import view_of_ended
from actors.views import JobView
from runtime.events import (
    ConversationJobEnded,
    Data,
    JobCurrent,
    JobQueued,
    JobStarted,
    JobSuperseded,
    MessageAdded,
    TextPart,
    records,
)
from runtime.log import Record
from store import event_log, jobs, messages, turns
from store.database import Database
from store.jobs import JobRow
from store.messages import MessageRow
from store.turns import TurnRow
from store.writer import Append


def first_records(row: JobRow, at_ms: int, more: Sequence[Data] = ()) -> tuple[Record, ...]:
    """Return the beginning of a job's log: `job.started`, and `more` that happened at once."""
    started = JobStarted(
        model=row.model,
        endpoint=row.endpoint,
        conversation_id=row.conversation_id,
        message_id=row.message_id,
    )
    return records(0, [started, *more], at_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Birth:
    """A new job: its row, the user's message, its log (empty while it waits)."""

    row: JobRow
    message: MessageRow
    events: Sequence[Data]  # of the conversation
    appends: Sequence[Append]  # of the job
    turn: TurnRow | None  # what a front asked, in place of the message's words

    @classmethod
    def of(
        cls,
        row: JobRow,
        said: Sequence[TextPart],
        at_ms: int,
        turn: TurnRow | None = None,
        more: Sequence[Data] = (),
    ) -> Birth:
        """Return what is written for `row`, which is running or queued.

        Args:
            more: what happened in a running job at once.
        """
        runs = row.status == "running"
        message = MessageRow(
            id=row.message_id,
            conversation_id=row.conversation_id,
            job_id=row.id,
            role="user",
            parts=orjson.dumps([asdict(part) for part in said]),
            created_at_ms=at_ms,
            status="completed",
            position=2 * row.ordinal,
        )
        added = MessageAdded(message_id=message.id, role="user", job_id=row.id)
        place: Data = JobCurrent(job_id=row.id) if runs else JobQueued(job_id=row.id)
        appends: tuple[Append, ...] = ()
        if runs:
            first = first_records(row, at_ms, more)
            appends = (Append(stream=stream_of(row.id), after=0, records=first),)
        return cls(
            row=row,
            message=message,
            events=(added, place),
            appends=appends,
            turn=turn,
        )

    @property
    def view(self) -> JobView:
        """What a caller is shown of it."""
        return view_of_ended(self.row, sum(len(each.records) for each in self.appends))

    def write(self, db: Database) -> None:
        """Insert the stream, the row, the message and the turn."""
        event_log.create_stream(db, stream_of(self.row.id), self.row.tenant, self.row.user)
        jobs.insert(db, self.row)
        messages.insert(db, self.message)
        if self.turn:
            turns.insert(db, self.turn)


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """A job's end: its closing events, its row's last state, the message that it made."""

    row: JobRow
    close: Ending
    answer: MessageRow | None  # None where the job never ran
    events: Sequence[Data]  # of the conversation

    @classmethod
    def of(cls, row: JobRow, close: Ending, message_id: str) -> Death:
        """Return what is written when the job of `row` ends."""
        verdict = close.verdict
        events: list[Data] = []
        answer = None
        if row.status == "running":
            parts = [{"type": "text", "text": close.text}] if close.text else []
            answer = MessageRow(
                id=message_id,
                conversation_id=row.conversation_id,
                job_id=row.id,
                role="assistant",
                parts=orjson.dumps(parts),
                created_at_ms=close.at_ms,
                status=verdict.status,
                position=2 * row.ordinal + 1,
            )
            events.append(MessageAdded(message_id=message_id, role="assistant", job_id=row.id))
        if verdict.superseded_by and verdict.status == "superseded":
            events.append(JobSuperseded(job_id=row.id, superseded_by=verdict.superseded_by))
        events.append(ConversationJobEnded(job_id=row.id, status=verdict.status))
        return cls(row=row, close=close, answer=answer, events=events)

    @property
    def appends(self) -> tuple[Append, ...]:
        """The closing events of the job's log."""
        return (self.close.append,)

    def write(self, db: Database) -> None:
        """Bring the row to its last state and insert the answer."""
        verdict = self.close.verdict
        jobs.set_ended(
            db,
            self.row.id,
            status=verdict.status,
            reason=verdict.reason,
            superseded_by=verdict.superseded_by,
            ended_at_ms=self.close.at_ms,
            result=self.close.result,
        )
        if self.answer:
            messages.insert(db, self.answer)
        if self.close.rows:
            self.close.rows(db)
