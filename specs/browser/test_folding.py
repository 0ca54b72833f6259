"""The page's pure parts, run where they live: logs folded, frames read, dialogues put together.

The golden property: the fold of a job's log is what GET shows of the job.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from specs.browser.service import Service
from specs.requirements import requirement

FOLD = """async (log) => {
    const { fold, WAITING } = await import("/fold.js");
    return log.reduce(fold, WAITING);
}"""
FRAMES = """async ([text, size]) => {
    const { FrameReader } = await import("/sse.js");
    const bytes = new TextEncoder().encode(text);
    const reader = new FrameReader();
    const frames = [];
    for (let at = 0; at < bytes.length; at += size) {
        frames.push(...reader.read(bytes.slice(at, at + size)));
    }
    return { frames, retry_ms: reader.retry_ms };
}"""
DIALOGUE = """async ({ messages, events, logs }) => {
    const dialogue = await import("/dialogue.js");
    let state = dialogue.EMPTY;
    state = dialogue.withMessages(state, messages);
    state = events.reduce(dialogue.withConversationEvent, state);
    for (const [job, log] of Object.entries(logs)) state = dialogue.withJobEvents(state, job, log);
    return { current: state.current, turns: state.turns, live: dialogue.liveTurns(state).length };
}"""
SHOWN = ("status", "reason", "head", "items", "usage", "error", "superseded_by", "model")


@pytest.fixture(scope="module")
def page(browser: Browser, service: Service) -> Iterator[Page]:
    """A page of the same origin that runs nothing of its own."""
    page = browser.new_page()
    page.goto(f"{service.url}/signed-out.html")
    yield page
    page.close()


@pytest.mark.parametrize(
    "options",
    [
        {"count": 0},
        {"count": 7, "seed": 3},
        {"count": 9, "fail_after": 4, "end": "truncate"},
        {"count": 9, "fail_after": 4, "end": "error"},
    ],
    ids=["empty", "finished", "truncated", "failed"],
)
@requirement("page.streams")
def test_the_fold_of_a_log_is_what_get_shows(
    page: Page, service: Service, options: dict[str, Any]
) -> None:
    conversation = service.conversation()
    job = service.ask(conversation, input="Go.", model="synthetic/tokens", options=options)
    log = service.whole_log(job)
    folded = page.evaluate(FOLD, log)
    shown = service.job(job)
    assert {name: folded[name] for name in SHOWN} == {name: shown[name] for name in SHOWN}
    assert (folded["started_at"], folded["ended_at"]) == (shown["started_at"], shown["ended_at"])


def event(sequence: int, kind: str, **data: Any) -> dict[str, Any]:
    return {"sequence": sequence, "kind": kind, "at": "2026-01-02T03:04:05.006Z", "data": data}


def started(sequence: int, item: str, **rest: Any) -> dict[str, Any]:
    data = {"item_id": item, "type": "message", "role": "assistant", "index": 0, **rest}
    return event(sequence, "item.started", **data)


def test_a_retracted_item_is_forgotten(page: Page) -> None:
    log = [
        started(1, "item_a"),
        event(2, "item.delta", item_id="item_a", text="wrong"),
        event(3, "item.retracted", item_id="item_a"),
        started(4, "item_b"),
        event(5, "item.delta", item_id="item_b", text="ri"),
        event(6, "item.delta", item_id="item_b", text="ght"),
    ]
    folded = page.evaluate(FOLD, log)
    assert [(item["id"], item["text"]) for item in folded["items"]] == [("item_b", "right")]
    assert folded["head"] == 6


def test_a_kind_of_a_later_version_moves_the_head_and_nothing_else(page: Page) -> None:
    log = [started(1, "item_a"), event(2, "item.painted", item_id="item_a", colour="red")]
    before, after = page.evaluate(FOLD, log[:1]), page.evaluate(FOLD, log)
    assert after == before | {"head": 2}


def test_bytes_and_arguments_of_an_item_are_joined(page: Page) -> None:
    log = [
        started(1, "item_a", type="image"),
        event(2, "item.delta", item_id="item_a", bytes="YQ=="),
        event(3, "item.delta", item_id="item_a", bytes="YmM="),
        started(4, "item_b", type="tool_call", index=1),
        event(5, "item.delta", item_id="item_b", arguments='{"a":'),
        event(6, "item.delta", item_id="item_b", arguments="1}"),
    ]
    [image, call] = page.evaluate(FOLD, log)["items"]
    assert image["bytes"] == "YWJj"
    assert call["arguments"] == '{"a":1}'


STREAM = (
    "retry: 700\r\n\r\n: a comment\n\nevent: one\ndata: {\n"
    "data:}\n\nid: 3\n\ndata: caf\u00e9\r\rdata\n\ndata: line\nsep: x\n\nevent: cut\ndata: never"
)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1_000])
def test_frames_are_the_same_however_the_bytes_are_cut(page: Page, size: int) -> None:
    read = page.evaluate(FRAMES, [STREAM, size])
    assert read["retry_ms"] == 700
    assert read["frames"] == [
        {"event": "one", "data": "{\n}"},
        {"event": "message", "data": "caf\u00e9"},
        {"event": "message", "data": ""},
        {"event": "message", "data": "line"},
    ]


def message(id: str, role: str, job: str, text: str, status: str) -> dict[str, Any]:
    parts = [{"type": "text", "text": text}]
    return {"id": id, "role": role, "job_id": job, "parts": parts, "status": status}


def test_what_three_sources_tell_is_there_once(page: Page) -> None:
    asked = message("msg_1", "user", "job_1", "Q1", "completed")
    answered = message("msg_2", "assistant", "job_1", "A1", "completed")
    events = [
        event(2, "message.added", message_id="msg_1", role="user", job_id="job_1"),
        event(3, "job.current", job_id="job_1"),
        event(4, "message.added", message_id="msg_3", role="user", job_id="job_2"),
        event(5, "job.queued", job_id="job_2"),
        event(6, "job.ended", job_id="job_1", status="completed"),
        event(7, "job.current", job_id="job_2"),
    ]
    log = [event(1, "job.started", model="echo"), started(2, "item_a")]
    later = message("msg_3", "user", "job_2", "Q2", "completed")
    found = page.evaluate(
        DIALOGUE, {"messages": [asked, answered, later], "events": events, "logs": {"job_2": log}}
    )
    told = [(turn["job_id"], turn["question"], turn["status"]) for turn in found["turns"]]
    assert told == [("job_1", "Q1", "completed"), ("job_2", "Q2", "running")]
    assert found["turns"][0]["answer"] == "A1"
    assert (found["current"], found["live"]) == ("job_2", 1)


def test_an_answer_is_not_over_before_its_own_words_are_there(page: Page) -> None:
    asked = message("msg_1", "user", "job_1", "Q1", "completed")
    events = [
        event(2, "job.current", job_id="job_1"),
        event(3, "job.ended", job_id="job_1", status="completed"),
    ]
    log = [event(1, "job.started", model="echo")]
    found = page.evaluate(DIALOGUE, {"messages": [asked], "events": events, "logs": {"job_1": log}})
    assert (found["turns"][0]["status"], found["live"], found["current"]) == ("running", 1, None)
