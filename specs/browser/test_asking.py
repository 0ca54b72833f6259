"""What a person does at the page: sign in, ask, stop, ask over, ask next, go back."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, Route, StorageState, expect

from specs.browser.conftest import NETWORK_NOISE, without_complaint
from specs.browser.on_page import (
    COMPLETE,
    REPLACED,
    STOPPED,
    WRITING,
    answer,
    ask,
    button,
    choose_model,
    composer,
    enter,
    expect_end,
    expect_one_story,
    question,
    wait_for_events,
)
from specs.browser.service import Service, text_of
from specs.requirements import requirement

UNAUTHORISED = "status of 401"  # what Chromium itself says of a request without a session


@requirement("page.signed-in-by-link")
def test_the_sign_in_link_opens_the_page_signed_in(browser: Browser, service: Service) -> None:
    context = browser.new_context()
    with without_complaint(context):
        page = context.new_page()
        page.goto(service.link())
        expect(page).to_have_url(f"{service.url}/")
        expect(page.get_by_role("combobox", name="Model", exact=True)).to_have_value("echo")
        expect(composer(page)).to_be_focused()
    context.close()


def test_without_a_session_the_page_says_how_to_get_a_link(
    browser: Browser, service: Service
) -> None:
    context = browser.new_context()
    with without_complaint(context, noise=UNAUTHORISED):
        page = context.new_page()
        page.goto(service.url)
        expect(page.get_by_role("heading", name="Sign in with a link", exact=True)).to_be_visible()
        expect(page.get_by_label("Command", exact=True)).to_have_text("runchat link")
    context.close()


def test_signing_out_ends_the_session(browser: Browser, service: Service) -> None:
    context = browser.new_context()
    with without_complaint(context, noise=UNAUTHORISED):
        page = context.new_page()
        page.goto(service.link())
        expect(page.get_by_role("combobox", name="Model", exact=True)).to_have_value("echo")
        button(page, "Sign out").click()
        expect(page.get_by_role("heading", name="Sign in with a link", exact=True)).to_be_visible()
        page.goto(service.url)
        expect(page.get_by_role("heading", name="Sign in with a link", exact=True)).to_be_visible()
    context.close()


@requirement("page.streams")
def test_a_typed_question_is_answered_and_makes_its_conversation(page: Page) -> None:
    ask(page, "Say this back, please.")
    expect(question(page, 1)).to_have_text("Say this back, please.")
    expect_end(page, 1, COMPLETE)
    expect(answer(page, 1)).to_have_js_property("textContent", "Say this back, please.")
    expect(page.get_by_role("heading", level=1)).to_have_text("Say this back, please.")
    expect(page).to_have_title("Say this back, please. · Runchat")
    expect(page).to_have_url(re.compile(r"/#conv_[0-9a-z]+$"))
    links = page.get_by_role("link", name="Say this back, please.", exact=True)
    expect(links).to_have_attribute("aria-current", "page")


@requirement("page.streams")
def test_an_answer_is_shown_as_it_comes(page: Page, service: Service) -> None:
    conversation = service.conversation("As it comes")
    page.goto(f"/#{conversation}")
    expect(page.get_by_role("heading", level=1)).to_have_text("As it comes")
    job = service.slow(conversation)
    wait_for_events(page, job, 10)
    expect(answer(page, 1)).to_have_accessible_description(WRITING)
    expect(answer(page, 1)).to_have_text(re.compile("^[0-9a-f]{15} [0-9a-f]{15}"))
    button(page, "Stop").click()
    expect_one_story(page, service, job, 1, STOPPED)


def test_the_chosen_model_answers_and_stays_chosen(page: Page) -> None:
    choose_model(page, "synthetic/tokens")
    ask(page, "Anything.")
    expect_end(page, 1, COMPLETE)
    expect(answer(page, 1)).to_have_text(re.compile("^([0-9a-f]{15} ?){100}$"))
    page.reload()
    model = page.get_by_role("combobox", name="Model", exact=True)
    expect(model).to_have_value("synthetic/tokens")
    choose_model(page, "echo")


@requirement("page.abort")
def test_stop_ends_the_answer_and_keeps_what_was_said(page: Page, service: Service) -> None:
    conversation = service.conversation()
    page.goto(f"/#{conversation}")
    job = service.slow(conversation)
    wait_for_events(page, job, 10)
    button(page, "Stop").click()
    expect(composer(page)).to_be_focused()
    expect_one_story(page, service, job, 1, STOPPED)
    expect(button(page, "Stop")).to_have_count(0)
    assert service.job(job)["status"] == "aborted"
    page.reload()
    expect_end(page, 1, STOPPED)
    expect(answer(page, 1)).to_have_js_property("textContent", text_of(service.log(job)))


@requirement("page.replace")
def test_ask_instead_replaces_the_running_answer(page: Page, service: Service) -> None:
    conversation = service.conversation()
    page.goto(f"/#{conversation}")
    old = service.slow(conversation)
    wait_for_events(page, old, 10)
    composer(page).fill("Rather this.")
    button(page, "Ask instead").click()
    expect(composer(page)).to_be_focused()
    expect_one_story(page, service, old, 1, REPLACED)
    [_, new] = service.jobs(conversation)
    expect_one_story(page, service, new["id"], 2)
    expect(answer(page, 2)).to_have_text("Rather this.")
    assert service.job(old)["superseded_by"] == new["id"]


@requirement("page.queue")
def test_ask_next_waits_for_the_running_answer(page: Page, service: Service) -> None:
    conversation = service.conversation()
    enter(page, conversation)
    first = service.slow(conversation, count=200)
    wait_for_events(page, first, 5)
    ask(page, "Then this.")
    ask(page, "And then that.")
    expect(page.get_by_role("log")).to_have_accessible_name("Messages")
    expect(question(page, 3)).to_have_text("And then that.")
    expect_one_story(page, service, first, 1)
    [_, second, third] = service.jobs(conversation)
    expect_one_story(page, service, second["id"], 2)
    expect_one_story(page, service, third["id"], 3)
    expect(answer(page, 2)).to_have_text("Then this.")
    expect(answer(page, 3)).to_have_text("And then that.")


@pytest.mark.parametrize(
    ("end", "words"),
    [
        ("truncate", "Unfinished: the model's answer broke off."),
        ("error", "Failed: "),
    ],
)
def test_an_answer_that_is_not_whole_says_so_live_and_later(
    page: Page, service: Service, end: str, words: str
) -> None:
    conversation = service.conversation()
    enter(page, conversation)
    job = service.slow(conversation, count=20, fail_after=10, end=end)
    wait_for_events(page, job, 10)
    service.whole_log(job)
    error = service.job(job)["error"] if end == "error" else None
    said = words + (error["message"] if error else "")
    expect_one_story(page, service, job, 1, said)
    page.reload()
    expect_end(page, 1, said)


def test_conversations_are_on_the_left_and_the_address_names_one(
    page: Page, service: Service
) -> None:
    ask(page, "The first of two.")
    expect_end(page, 1, COMPLETE)
    first = page.url
    button(page, "New conversation").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("New conversation")
    expect(answer(page, 1)).to_have_count(0)
    ask(page, "The second of two.")
    expect_end(page, 1, COMPLETE)
    page.get_by_role("link", name="The first of two.", exact=True).click()
    expect(page).to_have_url(first)
    expect(answer(page, 1)).to_have_text("The first of two.")
    expect(composer(page)).to_be_focused()
    page.go_back()
    expect(answer(page, 1)).to_have_text("The second of two.")


def test_a_conversation_that_is_not_there_is_said_to_be_absent(
    browser: Browser, service: Service
) -> None:
    context = browser.new_context()
    with without_complaint(context, noise="status of 404"):
        page = context.new_page()
        page.goto(service.link())
        page.goto(f"{service.url}/#conv_00000000000000000000000000")
        expect(page.get_by_role("alert")).to_have_text("This conversation is not here.")
        expect(page.get_by_role("heading", level=1)).to_have_text("New conversation")
    context.close()


def test_a_question_whose_answer_got_lost_is_asked_once(
    browser: Browser, service: Service, session: StorageState
) -> None:
    context = browser.new_context(storage_state=session, base_url=service.url)
    with without_complaint(context, noise=NETWORK_NOISE):
        lose_an_answer(context.new_page(), service)
    context.close()


def lose_an_answer(page: Page, service: Service) -> None:
    conversation = service.conversation()
    page.goto(f"/#{conversation}")
    expect(page.get_by_role("heading", level=1)).to_have_text("A conversation")
    answers: list[int] = []

    def lose_the_first(route: Route) -> None:
        answer = route.fetch()
        answers.append(answer.status)
        if len(answers) == 1:
            route.abort()  # the service took it, and its answer got lost
        else:
            route.fulfill(response=answer)

    page.route("**/jobs", lose_the_first)
    ask(page, "Only once.")
    expect_end(page, 1, COMPLETE)
    expect(question(page, 1)).to_have_text("Only once.")
    expect(composer(page)).to_have_value("")
    expect(button(page, "Send")).to_be_visible()
    expect(question(page, 2)).to_have_count(0)
    assert answers == [202, 202]
    assert [job["status"] for job in service.jobs(conversation)] == ["completed"]
