"""Looks at the start at what the last process wrote last: whether it is sound, and its newest ids.

A torn or flipped tail is found before the port opens, and said aloud; a damaged event is never read
as data anyway (`store.event_log`). Only the newest streams and those of running jobs are looked at,
one page each, so that the start takes the same time on any log. All of it is checked by
`store.backup.verify`.
"""

from __future__ import annotations

import sqlite3

from runtime import limits
from runtime.problems import LogCorrupt
from store.database import Database
from store.event_log import read_page
from store.streams import find_stream

LISTED = ("conversation", "job")
PAGE_EVENTS = 64  # of a stream's tail; a batch that was torn ends there


def damaged_tails(db: Database) -> tuple[str, ...]:
    """Return the names of the streams whose newest events are damaged or missing."""
    names = db.execute(
        "SELECT 'jobs/' || id FROM job WHERE status = 'running' UNION"
        " SELECT name FROM (SELECT name FROM stream ORDER BY id DESC LIMIT ?)",
        (limits.RECOVERY_STREAMS_MAX,),
    ).fetchall()
    return tuple(name for (name,) in names if not _is_sound(db, name))


def newest_ids(db: Database) -> tuple[str, ...]:
    """Return the greatest id of each kind of thing that is listed by its id."""
    found = (db.execute(f"SELECT max(id) FROM {table}").fetchone() for table in LISTED)  # noqa: S608
    return tuple(newest for (newest,) in found if newest)


def _is_sound(db: Database, name: str) -> bool:
    row = find_stream(db, name)
    if row is None or (row.ended and not row.head):
        return False
    after = max(0, row.head - PAGE_EVENTS)
    try:
        while after < row.head:
            page = read_page(db, row.id, after, PAGE_EVENTS, limits.PAGE_BYTES)
            if not page:
                return False  # the tree that holds the events has lost some
            after = page[-1].sequence
    except (LogCorrupt, sqlite3.DatabaseError):
        return False
    return True
