"""Nothing missing, nothing twice: reloads, restarts, lost connections, many tabs, in mid-answer.

Every spec here ends with the same proof: the text on the page, the log, and the ids that the
browser was handed are one story.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, StorageState, expect

from specs.browser.conftest import NETWORK_NOISE, Launch, without_complaint
from specs.browser.gate import Gate
from specs.browser.on_page import (
    COMPLETE,
    INTERRUPTED,
    LONG_MS,
    STOPPED,
    WRITING,
    answer,
    ask,
    button,
    composer,
    connection,
    enter,
    expect_end,
    expect_one_story,
    question,
    wait_for_events,
)
from specs.browser.service import Service
from specs.requirements import requirement

NO_SHARED_WORKER = "delete window.SharedWorker"
NO_LOCKS = "delete Navigator.prototype.locks"
ONE_READER = """
async () => (await (await fetch("/metrics")).text()).includes("runchat_readers 1\\n")
"""
POST_MS = """() => performance.getEntriesByType("resource")
    .filter((each) => each.name.endsWith("/jobs")).map((each) => each.duration)"""
LOST = "Connection lost. Trying again. What you see is kept."


@requirement("page.reload")
def test_a_reload_in_mid_answer_loses_and_doubles_nothing(page: Page, service: Service) -> None:
    conversation = service.conversation()
    page.goto(f"/#{conversation}")
    job = service.slow(conversation)
    for events in (10, 40, 70):
        wait_for_events(page, job, events)
        page.reload()
    expect(composer(page)).to_be_focused()
    wait_for_events(page, job, 100)
    button(page, "Stop").click()
    expect_one_story(page, service, job, 1, STOPPED)


@requirement("page.server-restart")
def test_a_killed_service_that_comes_back_ends_the_story_honestly(
    browser: Browser, mortal: Service
) -> None:
    context = browser.new_context(base_url=mortal.url)
    with without_complaint(context, noise=NETWORK_NOISE):
        page = context.new_page()
        page.goto(mortal.link())
        conversation = mortal.conversation()
        page.goto(f"/#{conversation}")
        job = mortal.slow(conversation)
        wait_for_events(page, job, 20)
        mortal.kill()
        expect(connection(page)).to_have_text(LOST, timeout=LONG_MS)
        expect(answer(page, 1)).to_have_accessible_description(WRITING)
        mortal.start()
        expect(connection(page)).to_have_text("", timeout=LONG_MS)
        expect_one_story(page, mortal, job, 1, INTERRUPTED)
        ask(page, "Are you back?")
        expect(answer(page, 2)).to_have_text("Are you back?", timeout=LONG_MS)
    context.close()


def test_a_question_asked_while_the_service_is_away_is_answered_when_it_is_back(
    browser: Browser, mortal: Service
) -> None:
    context = browser.new_context(base_url=mortal.url)
    with without_complaint(context, noise=NETWORK_NOISE):
        page = context.new_page()
        page.goto(mortal.link())
        expect(page.get_by_role("combobox", name="Model", exact=True)).to_have_value("echo")
        mortal.kill()
        ask(page, "Is anybody there?")
        expect(question(page, 1)).to_have_text("Is anybody there?")
        mortal.start()
        expect(answer(page, 1)).to_have_text("Is anybody there?", timeout=LONG_MS)
    context.close()


def test_a_worker_that_could_not_be_loaded_is_started_again(
    browser: Browser, service: Service, session: StorageState
) -> None:
    context = browser.new_context(storage_state=session, base_url=service.url)
    context.route("**/shared_worker.js", lambda route: route.abort(), times=1)
    with without_complaint(context, noise=NETWORK_NOISE):
        page = context.new_page()
        page.goto("/")
        ask(page, "Does it arrive?")
        expect_end(page, 1, COMPLETE)
    context.close()


@pytest.fixture
def gate(service: Service) -> Iterator[Gate]:
    gate = Gate(service.port)
    yield gate
    gate.close()


@requirement("page.connection-loss")
@pytest.mark.parametrize("script", ["", NO_SHARED_WORKER, f"{NO_SHARED_WORKER}; {NO_LOCKS}"])
def test_a_lost_connection_shows_a_banner_and_resumes_by_itself(
    launch: Launch, gate: Gate, service: Service, script: str
) -> None:
    # The browser believes to speak to the service, and speaks through the gate.
    way = f"--host-resolver-rules=MAP 127.0.0.1:{service.port} 127.0.0.1:{gate.port}"
    browser = launch(way)
    context = browser.new_context(base_url=service.url)
    context.add_init_script(script)
    with without_complaint(context, noise=NETWORK_NOISE):
        page = context.new_page()
        page.goto(service.link())
        conversation = service.conversation()
        enter(page, conversation)
        job = service.slow(conversation, count=300)
        for events in (20, 120):
            wait_for_events(page, job, events)
            gate.shut()
            expect(connection(page)).to_have_text(LOST)
            gate.open()
            expect(connection(page)).to_have_text("", timeout=LONG_MS)
        expect_one_story(page, service, job, 1)
    browser.close()


def test_the_network_is_asked_at_once_when_the_machine_says_it_is_back(
    launch: Launch, gate: Gate, service: Service
) -> None:
    browser = launch(f"--host-resolver-rules=MAP 127.0.0.1:{service.port} 127.0.0.1:{gate.port}")
    context = browser.new_context(base_url=service.url)
    with without_complaint(context, noise=NETWORK_NOISE):
        page = context.new_page()
        page.goto(service.link())
        conversation = service.conversation()
        enter(page, conversation)
        job = service.slow(conversation, count=200)
        wait_for_events(page, job, 20)
        context.set_offline(True)
        gate.shut()
        expect(connection(page)).to_have_text(LOST)
        gate.open()
        context.set_offline(False)
        expect_one_story(page, service, job, 1)
    browser.close()


@requirement("page.tabs")
@pytest.mark.parametrize("script", ["", NO_SHARED_WORKER])
def test_two_tabs_tell_the_same_story_and_one_outlives_the_other(
    context: BrowserContext, service: Service, script: str
) -> None:
    context.add_init_script(script)
    conversation = service.conversation()
    first = context.new_page()
    first.goto(f"/#{conversation}")
    job = service.slow(conversation)
    wait_for_events(first, job, 20)
    second = context.new_page()
    second.goto(f"/#{conversation}")
    wait_for_events(second, job, 40)
    expect(answer(first, 1)).to_have_accessible_description(WRITING)
    first.close()
    wait_for_events(second, job, len(service.log(job)) + 20)
    button(second, "Stop").click()
    expect_one_story(second, service, job, 1, STOPPED)


@requirement("page.tabs")
def test_eight_tabs_are_live_on_one_connection_while_a_post_answers_in_a_second(
    context: BrowserContext, service: Service
) -> None:
    conversation = service.conversation()
    job = service.slow(conversation, interval_ms=40)
    tabs = [context.new_page() for _ in range(8)]
    for tab in tabs:
        tab.goto(f"/#{conversation}")
    for tab in tabs:
        wait_for_events(tab, job, 30)
    with tabs[7].expect_response("**/jobs", timeout=LONG_MS) as answered:
        ask(tabs[7], "Next, from the eighth.")
    assert answered.value.status == 202
    [took_ms] = tabs[7].evaluate(POST_MS)
    assert took_ms < 1_000
    tabs[7].wait_for_function(ONE_READER)  # once those of earlier pages are gone
    for tab in tabs:
        expect(answer(tab, 1)).to_have_accessible_description(WRITING)
    button(tabs[2], "Stop").click()
    for tab in tabs:
        expect_one_story(tab, service, job, 1, STOPPED)
        expect(answer(tab, 2)).to_have_text("Next, from the eighth.")


def test_what_one_tab_asks_another_shows(context: BrowserContext, service: Service) -> None:
    conversation = service.conversation()
    first, second = context.new_page(), context.new_page()
    for tab in (first, second):
        tab.goto(f"/#{conversation}")
        expect(tab.get_by_role("heading", level=1)).to_have_text("A conversation")
    ask(first, "Heard in both.")
    for tab in (first, second):
        expect(question(tab, 1)).to_have_text("Heard in both.")
        expect(answer(tab, 1)).to_have_text("Heard in both.")
    expect_end(second, 1, COMPLETE)


def test_a_tab_that_opens_on_a_long_answer_catches_up_from_the_log(
    context: BrowserContext, service: Service
) -> None:
    conversation = service.conversation()
    first = context.new_page()
    first.goto(f"/#{conversation}")
    job = service.slow(conversation, interval_ms=1)
    wait_for_events(first, job, 1_000)
    second = context.new_page()
    second.goto(f"/#{conversation}")
    wait_for_events(second, job, 1_000)
    button(second, "Stop").click()
    expect_one_story(first, service, job, 1, STOPPED)
    expect_one_story(second, service, job, 1, STOPPED)


def test_a_reader_who_scrolled_up_stays_there_and_can_jump_to_the_latest(
    page: Page, service: Service
) -> None:
    conversation = service.conversation()
    enter(page, conversation)
    job = service.slow(conversation, count=300, size=160)
    wait_for_events(page, job, 60)
    log = page.get_by_role("log", name="Messages", exact=True)
    log.evaluate("(log) => { log.scrollTop = 0 }")
    wait_for_events(page, job, 120)
    expect(log).to_have_js_property("scrollTop", 0)
    button(page, "Jump to latest").click()
    expect(button(page, "Jump to latest")).to_have_count(0)
    expect_one_story(page, service, job, 1)
