"""Evidence of tool calls: kept before, settled once, and then the same for ever."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Iterator

import pytest

from runtime.caller import Caller
from specs.requirements import requirement
from specs.unit.store.kit import NOW_MS, ids
from specs.unit.store.test_nouns import conversation, job
from store import conversations, jobs, tool_calls
from store.database import Database
from store.opening import open_memory
from store.tool_calls import Settlement, ToolCallRow

CALLER = Caller(tenant="t", user="u")
DONE = Settlement(
    outcome="done",
    settled_at_ms=NOW_MS + 5,
    dialled="shelf:443",
    result_sha256="beef",
    result_bytes=7,
)


def call(id: str) -> ToolCallRow:
    return ToolCallRow(
        id=id,
        tenant="t",
        user="u",
        job_id="job_1",
        item_id="item_1",
        made_by="echo",
        tool="mcp/files/search",
        version="1",
        arguments_sha256="cafe",
        approval="auto",
        approval_id=None,
        intended_at_ms=NOW_MS,
    )


@pytest.fixture
def db() -> Iterator[Database]:
    with open_memory(ids()) as store:
        conversations.insert(store.writer, conversation("conv_1"))
        jobs.insert(store.writer, job("job_1", 1))
        tool_calls.insert(store.writer, call("tcall_1"))
        yield store.writer


@requirement("tools.evidence")
def test_a_call_is_settled_once(db: Database) -> None:
    tool_calls.settle(db, "tcall_1", DONE)
    settled = dataclasses.replace(call("tcall_1"), **dataclasses.asdict(DONE))

    with pytest.raises(sqlite3.IntegrityError, match="settled once"):
        tool_calls.settle(db, "tcall_1", dataclasses.replace(DONE, outcome="failed"))
    assert tool_calls.get_any(db, "tcall_1") == settled


@requirement("tools.evidence")
@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE tool_call SET outcome = 'done', settled_at_ms = 1, tool = 'another'",
        "UPDATE tool_call SET outcome = 'done', settled_at_ms = 1, arguments_sha256 = ''",
        "UPDATE tool_call SET outcome = 'done', settled_at_ms = 1, user = 'x'",
        "UPDATE tool_call SET settled_at_ms = 1",
        "UPDATE tool_call SET outcome = 'done'",
        "INSERT OR REPLACE INTO tool_call SELECT * FROM tool_call",
    ],
)
def test_nothing_else_of_it_changes(db: Database, sql: str) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        db.execute(sql)
    assert tool_calls.get_any(db, "tcall_1") == call("tcall_1")


@requirement("tools.evidence")
def test_it_never_leaves(db: Database) -> None:
    with pytest.raises(sqlite3.DatabaseError):
        db.execute("DELETE FROM tool_call")
    assert tool_calls.get_any(db, "tcall_1") == call("tcall_1")


@requirement("tools.unknown")
def test_what_a_dead_process_was_doing_is_unknown_and_listed(db: Database) -> None:
    tool_calls.insert(db, call("tcall_2"))
    tool_calls.settle(db, "tcall_2", DONE)

    assert tool_calls.settle_lost(db, NOW_MS + 9) == 1
    assert tool_calls.settle_lost(db, NOW_MS + 9) == 0
    listed = tool_calls.list_page(db, CALLER, outcome="unknown", limit=10)
    assert [(row.id, row.reason, row.settled_at_ms) for row in listed] == [
        ("tcall_1", "process-died", NOW_MS + 9)
    ]
    assert [row.id for row in tool_calls.list_page(db, CALLER, limit=10)] == ["tcall_2", "tcall_1"]
    assert tool_calls.list_page(db, Caller(tenant="x", user="u"), limit=10) == []
