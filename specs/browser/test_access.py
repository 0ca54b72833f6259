"""The page for everybody: by keyboard, by ear, enlarged, narrow, dark, without motion."""

from __future__ import annotations

import re
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, BrowserContext, Locator, Page, StorageState, expect

from specs.browser.conftest import without_complaint
from specs.browser.on_page import (
    COMPLETE,
    STOPPED,
    announcements,
    answer,
    ask,
    button,
    composer,
    expect_end,
    question,
    wait_for_events,
)
from specs.browser.service import Service, text_of
from specs.requirements import requirement

LISTEN = """(region) => {
    window.spoken = [];
    const hear = new MutationObserver(() => window.spoken.push(region.textContent));
    hear.observe(region, { childList: true });
}"""
SPEECH = """async () => {
    const { Speech } = await import("/speech.js");
    const spoken = [];
    const region = { set textContent(words) { spoken.push(words) } };
    const item = (text) => ({ id: "item_a", type: "message", role: "assistant", index: 0, text });
    const view = (text, status) => ({ items: [item(text)], status });
    const turn = (text, status) => ({ job_id: "job_1", status, view: view(text, status) });
    const speech = new Speech(region);
    window.spoken = spoken;
    speech.follow({ job_id: "job_1", status: "running", view: null }, 0);
    window.say = (text, status) => speech.update(turn(text, status));
}"""


@requirement("page.accessible")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 320])
def test_axe_finds_nothing(
    browser: Browser,
    service: Service,
    session: StorageState,
    scheme: Literal["light", "dark"],
    width: int,
) -> None:
    context = browser.new_context(
        storage_state=session,
        base_url=service.url,
        color_scheme=scheme,
        reduced_motion="reduce",
        viewport={"width": width, "height": 720},
    )
    page = context.new_page()
    page.goto("/")
    expect(page.get_by_role("combobox", name="Model", exact=True)).to_have_value("echo")
    assert violations(page) == []
    conversation = service.conversation("Seen by axe")
    service.ask(conversation, input="One.", model="echo")
    failing = {"count": 5, "end": "error"}
    service.ask(
        conversation, input="Two.", model="synthetic/tokens", options=failing, on_active="queue"
    )
    page.goto(f"/#{conversation}")
    job = service.slow(conversation, interval_ms=40, on_active="queue")
    wait_for_events(page, job, 10)
    ask(page, "Four.")
    expect(question(page, 4)).to_have_text("Four.")
    assert violations(page) == []
    button(page, "Stop").click()
    expect_end(page, 3, STOPPED)
    expect_end(page, 4, COMPLETE)
    assert violations(page) == []
    page.goto("/signed-out.html")
    assert violations(page) == []
    context.close()


def violations(page: Page) -> list[Any]:
    found: list[Any] = Axe().run(page).response["violations"]
    return [(each["id"], [node["html"] for node in each["nodes"]]) for each in found]


@requirement("page.accessible")
def test_the_transcript_is_a_log_that_does_not_speak_and_a_region_speaks_the_answer(
    page: Page,
) -> None:
    log = page.get_by_role("log", name="Messages", exact=True)
    expect(log).to_have_attribute("aria-live", "off")
    expect(announcements(page)).to_have_attribute("aria-live", "polite")
    announcements(page).evaluate(LISTEN)
    ask(page, "The first sentence. The second one! A tail")
    expect(announcements(page)).to_have_text("The first sentence. The second one! A tail Complete.")
    assert page.evaluate("() => window.spoken") == [
        "The first sentence. The second one! A tail Complete."
    ]


@requirement("page.accessible")
def test_sentences_are_spoken_whole_and_together_never_tokens(page: Page) -> None:
    page.clock.install()
    page.evaluate(SPEECH)
    text = "One is here. Two is here. Three is coming."
    for length in range(1, len("One is here. Two is here. Thr") + 1):
        page.evaluate("(text) => window.say(text, 'running')", text[:length])
    assert page.evaluate("() => window.spoken") == []
    page.clock.run_for(2_500)
    assert page.evaluate("() => window.spoken") == ["One is here. Two is here."]
    page.evaluate("(text) => window.say(text, 'running')", text[:-3])
    page.clock.run_for(2_500)
    page.evaluate("(text) => window.say(text, 'aborted')", text[:-3])
    assert page.evaluate("() => window.spoken") == [
        "One is here. Two is here.",
        "Three is comi Stopped.",
    ]


def test_what_was_said_before_a_reload_is_not_read_out_again(page: Page, service: Service) -> None:
    conversation = service.conversation()
    page.goto(f"/#{conversation}")
    job = service.slow(conversation)
    wait_for_events(page, job, 50)
    page.reload()
    expect(announcements(page)).to_have_text("")
    wait_for_events(page, job, len(service.log(job)) + 20)
    button(page, "Stop").click()
    expect_end(page, 1, STOPPED)
    ended = re.compile(r"^[0-9a-f ]+ Stopped\.$")
    expect(announcements(page)).to_have_text(ended, timeout=20_000)  # it speaks in turns
    said = str(announcements(page).evaluate("(region) => region.textContent"))
    text = text_of(service.log(job))
    assert text.strip().endswith(said.removesuffix("Stopped.").strip())
    assert len(said) < len(text)


@requirement("page.keyboard")
def test_everything_is_reached_by_keyboard(page: Page, service: Service) -> None:
    conversation = service.conversation("By keyboard")
    page.goto(f"/#{conversation}")
    expect(page.get_by_role("heading", level=1)).to_have_text("By keyboard")
    expect(composer(page)).to_be_focused()
    job = service.slow(conversation)
    wait_for_events(page, job, 5)
    walk(
        page,
        "Tab",
        page.get_by_role("combobox", name="Model", exact=True),
        button(page, "Stop"),
        button(page, "Ask instead"),
        button(page, "Ask next"),
    )
    composer(page).focus()
    walk(page, "Shift+Tab", page.get_by_role("log", name="Messages", exact=True))
    page.keyboard.press("Tab")
    expect(composer(page)).to_be_focused()
    page.keyboard.type("Typed.")
    for _ in range(3):
        page.keyboard.press("Tab")
    expect(button(page, "Ask instead")).to_be_focused()
    page.keyboard.press("Enter")
    expect(composer(page)).to_be_focused()
    expect_end(page, 2, COMPLETE)
    expect(answer(page, 2)).to_have_text("Typed.")
    expect(composer(page)).to_be_focused()


def walk(page: Page, key: str, *stops: Locator) -> None:
    """Press a key again and again, and find the focus on each stop."""
    for stop in stops:
        page.keyboard.press(key)
        expect(stop).to_be_focused()


@requirement("page.keyboard")
def test_enter_sends_and_shift_enter_begins_a_line(page: Page) -> None:
    composer(page).press_sequentially("One")
    composer(page).press("Shift+Enter")
    composer(page).press_sequentially("Two")
    expect(composer(page)).to_have_value("One\nTwo")
    composer(page).press("Enter")
    expect(composer(page)).to_have_value("")
    expect(composer(page)).to_be_focused()
    expect(question(page, 1)).to_have_js_property("textContent", "One\nTwo")


@requirement("page.keyboard")
def test_control_enter_asks_instead(page: Page, service: Service) -> None:
    conversation = service.conversation()
    page.goto(f"/#{conversation}")
    job = service.slow(conversation)
    wait_for_events(page, job, 5)
    composer(page).fill("At once.")
    composer(page).press("Control+Enter")
    expect_end(page, 2, COMPLETE)
    assert service.job(job)["status"] == "superseded"


@requirement("page.keyboard")
def test_focus_stays_in_the_composer_when_the_pressed_button_goes(
    page: Page, service: Service
) -> None:
    conversation = service.conversation()
    page.goto(f"/#{conversation}")
    job = service.slow(conversation)
    wait_for_events(page, job, 5)
    button(page, "Stop").focus()
    service.call("POST", f"/api/jobs/{job}/abort")
    expect_end(page, 1, STOPPED)
    expect(button(page, "Stop")).to_have_count(0)
    expect(composer(page)).to_be_focused()


@pytest.mark.parametrize(
    ("width", "height", "scale"), [(320, 640, 1), (640, 480, 2)], ids=["320px", "200-percent"]
)
def test_a_narrow_or_enlarged_page_needs_no_sideways_scroll(
    browser: Browser, service: Service, session: StorageState, width: int, height: int, scale: int
) -> None:
    context = browser.new_context(
        storage_state=session,
        base_url=service.url,
        viewport={"width": width, "height": height},
        device_scale_factor=scale,
    )
    with without_complaint(context):
        page = context.new_page()
        conversation = service.conversation("A title that is a good deal longer than a narrow page")
        page.goto(f"/#{conversation}")
        job = service.slow(conversation)
        wait_for_events(page, job, 5)
        ask(page, "a/very/long/path/without/any/space" * 30)
        expect(page.get_by_role("article", name="Question 2", exact=True)).to_be_visible()
        assert sideways(page) == [0, 0]
        for name in ("Conversations", "Stop", "Ask instead", "Ask next"):
            expect(button(page, name)).to_be_in_viewport(ratio=1)
        unfold(page, conversation)
        button(page, "Stop").click()
        expect_end(page, 1, STOPPED)
    context.close()


def sideways(page: Page) -> list[int]:
    """How far the page and its transcript could be scrolled sideways."""
    excess = "(element) => element.scrollWidth - element.clientWidth"
    log = page.get_by_role("log", name="Messages", exact=True)
    whole = page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
    return [int(whole), int(log.evaluate(excess))]


def unfold(page: Page, conversation: str) -> None:
    """Open the list of conversations by keyboard, leave it by Escape, and choose from it."""
    toggle = button(page, "Conversations")
    toggle.focus()
    page.keyboard.press("Enter")
    expect(toggle).to_have_attribute("aria-expanded", "true")
    expect(button(page, "New conversation")).to_be_focused()
    page.keyboard.press("Escape")
    expect(toggle).to_be_focused()
    expect(toggle).to_have_attribute("aria-expanded", "false")
    page.keyboard.press("Enter")
    links = page.get_by_role(
        "link", name="A title that is a good deal longer than a narrow page", exact=True
    )
    expect(links.first).to_be_in_viewport(ratio=1)
    links.first.press("Enter")
    expect(toggle).to_have_attribute("aria-expanded", "false")
    expect(composer(page)).to_be_visible()


def test_every_target_is_at_least_24_pixels(page: Page, service: Service) -> None:
    conversation = service.conversation()
    page.goto(f"/#{conversation}")
    job = service.slow(conversation)
    wait_for_events(page, job, 5)
    small: list[str] = []
    for role in ("button", "link", "combobox", "textbox"):
        for target in page.get_by_role(role).all():
            box = target.bounding_box()
            if box is not None and min(box["width"], box["height"]) < 24:
                small.append(target.inner_text())
    assert small == []
    button(page, "Stop").click()


def test_nothing_moves_for_who_wants_no_motion(context: BrowserContext, service: Service) -> None:
    page = context.new_page()
    page.emulate_media(reduced_motion="no-preference")
    conversation = service.conversation()
    page.goto(f"/#{conversation}")
    job = service.slow(conversation)
    wait_for_events(page, job, 5)
    moving = "() => document.getAnimations().filter((each) => each.playState === 'running').length"
    assert page.evaluate(moving) == 1
    page.emulate_media(reduced_motion="reduce")
    assert page.evaluate(moving) == 0
    button(page, "Stop").click()
