"""An answer that is faster than the page: it ends before the page follows it, or knows whose it is.

What a browser is told depends on which of its requests the service answers first. Here the answers
are held until the job has ended, or given as they would have been a moment earlier.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import APIResponse, Page, Route, expect

from specs.browser.on_page import COMPLETE, announcements, answer, ask, expect_end, expect_one_story
from specs.browser.service import Service
from specs.requirements import requirement

QUESTION = "The first sentence. The second one! A tail"
LISTEN = """(region) => {
    window.spoken = [];
    const hear = new MutationObserver(() => window.spoken.push(region.textContent));
    hear.observe(region, { childList: true });
}"""
CONVERSATION = "**/api/conversations/conv_*"
EVERY_ORDER = """async ({ firsts, rest, log, whole }) => {
    const dialogue = await import("/dialogue.js");
    const failures = new Set();
    let orders = 0;
    const apply = (state, [name, ...args]) => dialogue[name](state, ...args);
    const hear = (state, at, told) => {
        // A log is told only to who follows it, so it has its own place among the rest.
        const live = dialogue.liveTurns(state).length > 0;
        return live && at < log.length ? [apply(state, log[at]), at + 1, [...told, "log"]] : null;
    };
    const check = (before, after, told) => {
        const [was, is] = [before.turns[0], after.turns[0]];
        const words = dialogue.saidIn(is);
        const bad = [];
        if (after.turns.length !== 1) bad.push("two turns");
        if (dialogue.isOver(is.status) && words !== whole) bad.push(`over with ${words}`);
        if (!whole.startsWith(words)) bad.push(`says ${words}`);
        if (was && !words.startsWith(dialogue.saidIn(was))) bad.push("said less");
        if (was && dialogue.isOver(was.status) && !dialogue.isOver(is.status)) bad.push("unended");
        for (const each of bad) failures.add(`${told.join(" ")}: ${each}`);
    };
    const walk = (state, left, at, told) => {
        const heard = hear(state, at, told);
        if (heard !== null) {
            check(state, heard[0], heard[2]);
            walk(heard[0], left, heard[1], heard[2]);
        } else if (left.every((steps) => steps.length === 0)) {
            orders += 1;
            const [turn] = state.turns;
            const live = dialogue.liveTurns(state).length;
            const end = [turn.status, dialogue.saidIn(turn), live, state.current];
            const wanted = ["completed", whole, 0, null];
            if (`${end}` !== `${wanted}`) failures.add(`${told.join(" ")}: ends as ${end}`);
            return;
        }
        left.forEach(([step, ...later], source) => {
            if (step === undefined) return;
            const next = apply(state, step);
            const now = [...told, step[0]];
            check(state, next, now);
            walk(next, left.with(source, later), at, now);
        });
    };
    for (const first of firsts) {
        walk(apply(dialogue.EMPTY, first), rest, 0, [`${first[0]} (${first[1].length})`]);
    }
    return { orders, failures: [...failures].slice(0, 5) };
}"""


@pytest.fixture
def heard(page: Page) -> Callable[[], list[str]]:
    """All that the polite region has said since the page was opened."""
    announcements(page).evaluate(LISTEN)
    return lambda: [str(words) for words in page.evaluate("() => window.spoken")]


def a_moment_earlier(page: Page, service: Service, *, current: bool) -> None:
    """Let the page read a conversation as it was while the answer ran; the job's row is of now."""

    def conversation(route: Route) -> None:
        found = route.fetch().json()
        [job] = told(service, found["id"])
        route.fulfill(json=found | {"current_job": job if current else None})

    def messages(route: Route) -> None:
        found = route.fetch().json()
        items = [each for each in found["items"] if each["role"] == "user"]
        route.fulfill(json=found | {"items": items})

    page.route(CONVERSATION, conversation)
    page.route(f"{CONVERSATION}/messages?*", messages)


def told(service: Service, conversation: str) -> list[str]:
    """The ids of a conversation's jobs, once one of them has ended."""
    path = f"/api/conversations/{conversation}/events"
    events: list[dict[str, Any]] = []
    while not events or events[-1]["kind"] != "job.ended":
        events += service.call("GET", f"{path}?after={len(events)}&limit=100&wait=10")["events"]
    return [job["id"] for job in service.jobs(conversation)]


@requirement("page.accessible")
@pytest.mark.parametrize("current", [True, False], ids=["running", "not-begun"])
def test_an_answer_that_ends_while_its_conversation_is_read_is_spoken(
    page: Page, service: Service, heard: Callable[[], list[str]], *, current: bool
) -> None:
    a_moment_earlier(page, service, current=current)
    ask(page, QUESTION)
    expect_end(page, 1, COMPLETE)
    expect(announcements(page)).to_have_text(f"{QUESTION} {COMPLETE}")
    assert heard() == [f"{QUESTION} {COMPLETE}"]
    [job] = service.jobs(page.url.partition("#")[2])
    expect_one_story(page, service, job["id"], 1)


@requirement("page.accessible")
@pytest.mark.parametrize("earlier", [True, False], ids=["from-its-log", "from-history"])
def test_an_answer_that_is_there_before_the_page_knows_it_asked_is_spoken(
    page: Page, service: Service, heard: Callable[[], list[str]], *, earlier: bool
) -> None:
    late: list[tuple[Route, APIResponse]] = []
    page.route("**/jobs", lambda route: late.append((route, route.fetch())))
    if earlier:
        a_moment_earlier(page, service, current=True)
    else:
        page.route(CONVERSATION, read_late(service))
    ask(page, QUESTION)
    expect(answer(page, 1)).to_have_text(QUESTION)
    expect_end(page, 1, COMPLETE)
    assert heard() == []
    [(route, accepted)] = late
    route.fulfill(response=accepted)
    expect(announcements(page)).to_have_text(f"{QUESTION} {COMPLETE}")
    assert heard() == [f"{QUESTION} {COMPLETE}"]


def read_late(service: Service) -> Callable[[Route], None]:
    """Hold the conversation until its first job has ended."""

    def hold(route: Route) -> None:
        told(service, route.request.url.rpartition("/")[2])
        route.continue_()

    return hold


def message(role: str, text: str) -> dict[str, Any]:
    parts = [{"type": "text", "text": text}]
    return {
        "id": f"msg_{role}",
        "role": role,
        "job_id": "job_1",
        "parts": parts,
        "status": "completed",
    }


def event(sequence: int, kind: str, **data: Any) -> dict[str, Any]:
    return {"sequence": sequence, "kind": kind, "at": "2026-01-02T03:04:05.006Z", "data": data}


@requirement("page.streams")
def test_whatever_comes_first_an_end_comes_with_its_words_and_both_stay(
    page: Page, service: Service
) -> None:
    page.goto(f"{service.url}/signed-out.html")  # the same origin, and a page that runs nothing
    whole = "One. Two."
    item = {"item_id": "item_a", "type": "message", "role": "assistant", "index": 0}
    shown = {"id": "item_a", "type": "message", "role": "assistant", "index": 0, "text": whole}
    log = [
        event(1, "job.started", model="echo"),
        event(2, "item.started", **item),
        event(3, "item.delta", item_id="item_a", text="One. "),
        event(4, "item.delta", item_id="item_a", text="Two."),
        event(5, "job.ended", status="completed"),
    ]
    conversation = [
        event(2, "message.added", message_id="msg_user", role="user", job_id="job_1"),
        event(3, "job.current", job_id="job_1"),
        event(5, "job.ended", job_id="job_1", status="completed"),
    ]
    asked, answered = message("user", "Q"), message("assistant", whole)
    row = {"id": "job_1", "status": "running", "items": []}
    found = page.evaluate(
        EVERY_ORDER,
        {
            "firsts": [["withMessages", each] for each in ([asked], [asked, answered])],
            "rest": [
                [["withJob", row]],
                [["withJob", row | {"status": "completed", "items": [shown]}]],
                [["withMessages", [asked, answered]]],
                [["withConversationEvent", each] for each in conversation],
            ],
            "log": [["withJobEvents", "job_1", part] for part in (log[:1], log[1:3], log[3:])],
            "whole": whole,
        },
    )
    assert found["failures"] == []
    assert found["orders"] > 240
