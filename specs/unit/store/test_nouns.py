"""The rows behind what callers see: whose they are, their order, and when they are over."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from runtime import limits
from runtime.caller import Caller
from specs.requirements import requirement
from specs.unit.store.kit import NOW_MS, ids
from store import (
    audit,
    conversations,
    idempotency,
    jobs,
    messages,
    sessions,
    tokens,
    users,
)
from store.audit import AuditEntry
from store.conversations import ConversationRow
from store.database import Database
from store.idempotency import IdempotencyRow
from store.jobs import JobRow
from store.messages import MessageRow
from store.opening import open_memory

CALLER = Caller(tenant="t", user="u")
SECRET = "5ec4e7" * 10


@pytest.fixture
def db() -> Iterator[Database]:
    with open_memory(ids()) as store:
        yield store.writer


def conversation(id: str, **other: Any) -> ConversationRow:
    row = ConversationRow(id=id, tenant="t", user="u", title="T", created_at_ms=NOW_MS)
    return dataclasses.replace(row, **other)


def job(id: str, ordinal: int, **other: Any) -> JobRow:
    row = JobRow(
        id=id,
        conversation_id="conv_1",
        tenant="t",
        user="u",
        ordinal=ordinal,
        message_id=f"msg_{id}",
        status="queued",
        reason=None,
        model="echo",
        endpoint="echo",
        options=b"{}",
        superseded_by=None,
        created_at_ms=NOW_MS,
        started_at_ms=None,
        ended_at_ms=None,
        result=None,
    )
    return dataclasses.replace(row, **other)


def message(job_id: str, position: int, text: str, **other: Any) -> MessageRow:
    row = MessageRow(
        id=f"msg_{position}",
        conversation_id="conv_1",
        job_id=job_id,
        role="assistant" if position % 2 else "user",
        parts=orjson.dumps([{"type": "text", "text": text}]),
        created_at_ms=NOW_MS,
        status="completed",
        position=position,
    )
    return dataclasses.replace(row, **other)


@requirement("http.foreign-is-absent")
@pytest.mark.parametrize(
    "other", [Caller(tenant="x", user="u"), Caller(tenant="t", user="x", admin=True)]
)
def test_what_belongs_to_others_is_absent(db: Database, other: Caller) -> None:
    conversations.insert(db, conversation("conv_1"))
    jobs.insert(db, job("job_1", 1))

    assert conversations.get(db, CALLER, "conv_1") == conversation("conv_1")
    assert jobs.get(db, CALLER, "job_1") == job("job_1", 1)
    assert conversations.get(db, other, "conv_1") is None
    assert conversations.list_page(db, other, limit=10) == []
    assert jobs.get(db, other, "job_1") is None
    assert [jobs.has(db, each, "job_1") for each in (CALLER, other)] == [True, False]
    assert jobs.has(db, CALLER, "job_2") is False
    assert jobs.list_page(db, other, limit=10) == []
    assert conversations.get_any(db, "conv_1") == conversation("conv_1")


def test_conversations_are_listed_newest_first_in_pages(db: Database) -> None:
    for place in range(5):
        conversations.insert(db, conversation(f"conv_{place}"))

    first = conversations.list_page(db, CALLER, limit=3)
    rest = conversations.list_page(db, CALLER, limit=3, before_id=first[-1].id)

    assert [row.id for row in first + rest] == ["conv_4", "conv_3", "conv_2", "conv_1", "conv_0"]


def test_a_job_goes_from_queued_to_running_to_its_end(db: Database) -> None:
    conversations.insert(db, conversation("conv_1"))
    assert jobs.next_ordinal(db, "conv_1") == 1
    for ordinal in (1, 2, 3):
        jobs.insert(db, job(f"job_{ordinal}", ordinal))
    assert jobs.next_ordinal(db, "conv_1") == 4
    assert jobs.current(db, "conv_1") is None

    jobs.set_running(db, "job_1", NOW_MS + 1)
    current = jobs.current(db, "conv_1")
    assert current == job("job_1", 1, status="running", started_at_ms=NOW_MS + 1)
    assert [row.id for row in jobs.queued(db, "conv_1")] == ["job_2", "job_3"]
    assert [row.id for row in jobs.unfinished(db)] == ["job_1"]
    assert jobs.conversations_waiting(db) == ["conv_1"]

    end(db, "job_1", "completed")
    end(db, "job_1", "aborted")
    assert jobs.current(db, "conv_1") is None
    ended = jobs.get_any(db, "job_1")
    assert ended is not None
    assert (ended.status, ended.result, ended.ended_at_ms) == ("completed", b"{}", NOW_MS + 2)
    jobs.set_running(db, "job_1", NOW_MS + 3)
    assert jobs.get_any(db, "job_1") == ended


def end(db: Database, id: str, status: Any) -> None:
    jobs.set_ended(
        db,
        id,
        status=status,
        reason="stop",
        superseded_by=None,
        ended_at_ms=NOW_MS + 2,
        result=b"{}",
    )


@requirement("jobs.list")
def test_jobs_are_listed_by_status_and_conversation(db: Database) -> None:
    for place in (1, 2):
        conversations.insert(db, conversation(f"conv_{place}"))
    jobs.insert(db, job("job_1", 1))
    jobs.insert(db, job("job_2", 2, status="running"))
    jobs.insert(db, job("job_3", 3))
    jobs.insert(db, job("job_4", 1, conversation_id="conv_2"))
    end(db, "job_1", "failed")

    def listed(**wanted: Any) -> list[str]:
        return [row.id for row in jobs.list_page(db, CALLER, limit=10, **wanted)]

    assert listed() == ["job_4", "job_3", "job_2", "job_1"]
    assert listed(status="active") == ["job_4", "job_3", "job_2"]
    assert listed(status="failed") == ["job_1"]
    assert listed(status="active", conversation_id="conv_1") == ["job_3", "job_2"]
    assert listed(conversation_id="conv_1", before_id="job_3") == ["job_2", "job_1"]
    assert listed(conversation_id="conv_9") == []


def test_messages_stand_in_the_order_in_which_they_are_read(db: Database) -> None:
    talk(db)
    everything = messages.list_page(db, "conv_1", limit=10)
    assert [row.text for row in everything] == ["q1", "a1", "q2", "a2", "q3"]

    rest = messages.list_page(db, "conv_1", limit=2, after_position=3)
    assert [row.text for row in rest] == ["q2", "a2"]


@requirement("jobs.prompt")
def test_a_prompt_is_newest_first_without_superseded_answers(db: Database) -> None:
    talk(db)

    def told(size_bytes: int, before: int = 7) -> list[str]:
        rows = messages.for_prompt(db, "conv_1", before_position=before, size_bytes=size_bytes)
        return [row.text for row in rows]

    assert told(10_000) == ["q3", "q2", "a1", "q1"]
    assert told(10_000, before=5) == ["q2", "a1", "q1"]
    one = len(message("job_1", 2, "q1").parts)
    assert told(2 * one) == ["q3", "q2"]
    assert told(1) == ["q3"]


def talk(db: Database) -> None:
    """Three questions, all asked before the first answer; the second answer was superseded."""
    conversations.insert(db, conversation("conv_1"))
    for ordinal in (1, 2, 3):
        jobs.insert(db, job(f"job_{ordinal}", ordinal))
        messages.insert(db, message(f"job_{ordinal}", 2 * ordinal, f"q{ordinal}"))
    messages.insert(db, message("job_1", 3, "a1"))
    messages.insert(db, message("job_2", 5, "a2", status="superseded"))


def token(db: Database, id: str = "tok_1", **other: Any) -> None:
    wanted: dict[str, Any] = {"secret": SECRET, "tenant": "t", "user": "u", "now_ms": NOW_MS}
    tokens.create(db, id=id, **(wanted | other))


@requirement("tokens.create")
def test_a_token_stands_for_its_user(db: Database) -> None:
    token(db)
    token(db, "tok_2", secret="other", user="boss", admin=True, name="N")

    known = Caller(tenant="t", user="u", credential="tok_1")
    assert tokens.by_secret(db, SECRET, NOW_MS) == known
    assert tokens.valid(db, "tok_1", NOW_MS) == known
    assert tokens.by_secret(db, "unknown", NOW_MS) is None
    boss = tokens.by_secret(db, "other", NOW_MS)
    assert boss == Caller(tenant="t", user="boss", admin=True, credential="tok_2")
    assert [(row.id, row.user, row.admin, row.name) for row in tokens.list_all(db)] == [
        ("tok_1", "u", False, ""),
        ("tok_2", "boss", True, "N"),
    ]


@requirement("tokens.expire", "tokens.revoke")
def test_a_token_ends_by_its_date_and_by_revocation(db: Database) -> None:
    token(db, expires_at_ms=NOW_MS + 10)
    assert tokens.valid(db, "tok_1", NOW_MS + 9) is not None
    assert tokens.valid(db, "tok_1", NOW_MS + 10) is None
    assert tokens.by_secret(db, SECRET, NOW_MS + 10) is None

    assert tokens.revoke(db, "tok_1", NOW_MS + 1) is True
    assert tokens.revoke(db, "tok_1", NOW_MS + 2) is False
    assert tokens.revoke(db, "tok_9", NOW_MS + 2) is False
    assert tokens.by_secret(db, SECRET, NOW_MS + 2) is None
    assert tokens.list_all(db)[0].revoked_at_ms == NOW_MS + 1


@requirement("tokens.hashed", "signin.session-hashed")
def test_no_secret_is_kept(db: Database) -> None:
    token(db)
    sessions.create(db, id="ses_1", secret=SECRET, tenant="t", user="u", now_ms=NOW_MS)
    sessions.create_code(db, secret=SECRET, tenant="t", user="u", now_ms=NOW_MS)

    assert [line for line in db.conn.iterdump() if SECRET in line] == []


def test_the_last_use_is_noted_once_a_minute(db: Database) -> None:
    token(db)
    uses = []
    for later_ms in (0, limits.TOUCH_MS - 1, limits.TOUCH_MS):
        tokens.touch(db, "tok_1", NOW_MS + later_ms)
        uses.append(tokens.list_all(db)[0].last_used_at_ms)
    assert uses == [NOW_MS, NOW_MS, NOW_MS + limits.TOUCH_MS]


@requirement("signin.session-slides", "signin.sign-out")
def test_a_session_slides_and_ends(db: Database) -> None:
    users.ensure(db, "t", "u", admin=True, now_ms=NOW_MS)
    sessions.create(db, id="ses_1", secret=SECRET, tenant="t", user="u", now_ms=NOW_MS)
    known = Caller(tenant="t", user="u", admin=True, credential="ses_1")
    last_ms = NOW_MS + limits.SESSION_MS - 1

    assert sessions.by_secret(db, SECRET, last_ms) == known
    assert sessions.by_secret(db, SECRET, last_ms + 1) is None
    sessions.touch(db, "ses_1", last_ms)
    assert sessions.valid(db, "ses_1", last_ms + limits.SESSION_MS - 1) == known
    assert sessions.valid(db, "ses_1", last_ms + limits.SESSION_MS) is None

    sessions.end(db, "ses_1")
    assert sessions.by_secret(db, SECRET, NOW_MS) is None


@requirement("signin.single-use", "signin.code-expires")
def test_a_code_works_once_and_not_for_long(db: Database) -> None:
    users.ensure(db, "t", "u", now_ms=NOW_MS)
    for secret in ("one", "two"):
        sessions.create_code(db, secret=secret, tenant="t", user="u", now_ms=NOW_MS)
    last_ms = NOW_MS + limits.SIGNIN_CODE_MS - 1

    assert sessions.redeem_code(db, "one", last_ms) == ("t", "u")
    assert sessions.redeem_code(db, "one", last_ms) is None
    assert sessions.redeem_code(db, "two", last_ms + 1) is None
    assert sessions.redeem_code(db, "never", NOW_MS) is None


def test_a_user_is_raised_and_never_lowered(db: Database) -> None:
    assert users.ensure(db, "t", "u", now_ms=1).admin is False
    assert users.ensure(db, "t", "u", admin=True, now_ms=2).admin is True
    user = users.ensure(db, "t", "u", now_ms=3)
    assert (user.admin, user.created_at_ms) == (True, 1)
    assert users.get(db, "x", "u") is None


@requirement("idempotency.scope", "idempotency.expiry")
def test_an_answer_is_kept_under_its_scope_until_it_expires(db: Database) -> None:
    row = IdempotencyRow(
        tenant="t",
        user="u",
        method="POST",
        path="/p",
        key="k",
        body_sha256="00",
        body=b"\0answer",
        created_at_ms=NOW_MS,
    )
    idempotency.insert(db, row)

    assert idempotency.find(db, "t", "u", "POST", "/p", "k") == row
    assert idempotency.find(db, "t", "x", "POST", "/p", "k") is None
    assert idempotency.find(db, "t", "u", "POST", "/q", "k") is None
    with pytest.raises(sqlite3.IntegrityError):
        idempotency.insert(db, row)
    assert idempotency.expire(db, NOW_MS) == 0
    assert idempotency.expire(db, NOW_MS + 1) == 1
    assert idempotency.find(db, "t", "u", "POST", "/p", "k") is None


def test_audit_entries_are_numbered_and_listed_by_tenant(db: Database) -> None:
    def entry(tenant: str, action: str) -> AuditEntry:
        return AuditEntry(
            at_ms=NOW_MS,
            tenant=tenant,
            actor="t/u",
            action=action,
            object_id="o",
            outcome="done",
            request_id="r",
        )

    for tenant, action in (("t", "a"), ("x", "b"), ("t", "c")):
        audit.insert(db, entry(tenant, action))

    rows = audit.list_page(db, "t", limit=10)
    assert [(row.sequence, row.entry.action) for row in rows] == [(3, "c"), (1, "a")]
    assert audit.list_page(db, "t", limit=10, before=3) == rows[1:]
    assert audit.list_page(db, "t", limit=1) == rows[:1]
