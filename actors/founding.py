"""A new conversation as a value: its row, its stream, and the first event of its log.

Whoever begins one commits this together with what else the first transaction holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from actors.spine import Spine
from runtime.caller import Caller
from runtime.events import ConversationCreated, Data, records
from store import conversations, event_log
from store.conversations import ConversationRow, Kind
from store.database import Database
from store.writer import Append


@dataclass(frozen=True, slots=True, kw_only=True)
class Founding:
    """What is written when a conversation begins."""

    row: ConversationRow

    @classmethod
    def of(cls, spine: Spine, caller: Caller, *, title: str = "", kind: Kind = "talk") -> Founding:
        """Return a conversation of the caller's that begins now."""
        row = ConversationRow(
            id=spine.ids.new("conv_"),
            tenant=caller.tenant,
            user=caller.user,
            title=title,
            created_at_ms=spine.clock.now_ms(),
            kind=kind,
        )
        return cls(row=row)

    def append(self, more: Sequence[Data] = ()) -> Append:
        """Return the beginning of its log, and `more` of what happened at once."""
        events = (ConversationCreated(title=self.row.title), *more)
        stream = f"conversations/{self.row.id}"
        return Append(stream=stream, after=0, records=records(0, events, self.row.created_at_ms))

    def write(self, db: Database) -> None:
        """Make the stream and insert the row."""
        event_log.create_stream(db, f"conversations/{self.row.id}", self.row.tenant, self.row.user)
        conversations.insert(db, self.row)
