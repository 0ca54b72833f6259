"""Search in a caller's conversations: titles and messages, newest conversation first.

A plain look for the words as they were given, whatever their case: no index is kept, so that one
search looks through so many bytes and then says where the next goes on. The loop is let go between
two bursts. What a superseded job said is found as well, since it can be read.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import trio

from actors.views import Page
from runtime import limits
from runtime.caller import Caller
from runtime.clock import rfc3339
from store import conversations, messages
from store.conversations import ConversationRow
from store.database import Database
from store.messages import MessageRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A place where the words are; `message_id` is null where it is the title."""

    conversation_id: str
    title: str
    message_id: str | None
    role: str | None
    excerpt: str
    created_at: str


async def search(
    db: Database, caller: Caller, words: str, *, limit: int, before: str | None = None
) -> Page[Hit]:
    """Return where the words are in the caller's conversations.

    Args:
        limit: of hits; a conversation that has begun is looked through to its end all the same,
            but for what is beyond the limit.
        before: the cursor: the conversation that was looked through last.
    """
    wanted, hits = words.casefold(), list[Hit]()
    left_bytes, seen = limits.SEARCH_BYTES, before
    while True:
        rows = conversations.list_page(db, caller, limit=limits.LIST_LIMIT_MAX, before_id=seen)
        if not rows:
            return Page(items=tuple(hits), next_cursor=None)
        for row in rows:
            if (excerpt := excerpt_of(row.title, wanted)) is not None:
                hits.append(_hit(row, None, excerpt))
            async for message in _messages(db, row):
                text = message.text
                left_bytes -= len(message.parts)
                if (excerpt := excerpt_of(text, wanted)) is not None:
                    hits.append(_hit(row, message, excerpt))
                if len(hits) >= limit:
                    break
            seen = row.id
            if len(hits) >= limit or left_bytes <= 0:
                return Page(items=tuple(hits[:limit]), next_cursor=seen)


def excerpt_of(text: str, wanted: str) -> str | None:
    """Return the text round the first place of the words, already casefolded; None without one."""
    folded = text.casefold()
    place = folded.find(wanted)
    if place < 0:
        return None
    if len(folded) != len(text):  # some letters fold to two: the place is about there
        place = min(place, len(text))
    begin = max(0, place - (limits.SEARCH_EXCERPT_CHARS - len(wanted)) // 2)
    end = min(len(text), begin + max(limits.SEARCH_EXCERPT_CHARS, len(wanted)))
    return ("…" if begin else "") + text[begin:end] + ("…" if end < len(text) else "")


async def _messages(db: Database, row: ConversationRow) -> AsyncIterator[MessageRow]:
    after, burst = 0, limits.SEARCH_BURST_MESSAGES
    while True:
        found = messages.list_page(db, row.id, limit=burst, after_position=after)
        for message in found:
            yield message
        await trio.lowlevel.checkpoint()
        if len(found) < burst:
            return
        after = found[-1].position


def _hit(row: ConversationRow, message: MessageRow | None, excerpt: str) -> Hit:
    return Hit(
        conversation_id=row.id,
        title=row.title,
        message_id=message.id if message else None,
        role=message.role if message else None,
        excerpt=excerpt,
        created_at=rfc3339(message.created_at_ms if message else row.created_at_ms),
    )
