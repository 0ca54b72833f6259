"""The parts of the page as a person finds them, and the one proof every stream spec ends with."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Locator, Page, expect

from specs.browser.service import Service, text_of

COMPLETE = "Complete."
WRITING = "Writing…"
REPLACED = "Replaced by a newer question."
STOPPED = "Stopped."
INTERRUPTED = "Interrupted: the service stopped before the answer was finished."
LONG_MS = 20_000  # an answer of a slow model, on a busy machine


def answer(page: Page, number: int) -> Locator:
    return page.get_by_role("article", name=f"Answer {number}", exact=True)


def question(page: Page, number: int) -> Locator:
    return page.get_by_role("article", name=f"Question {number}", exact=True)


def composer(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Message", exact=True)


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def announcements(page: Page) -> Locator:
    return page.get_by_role("status", name="Announcements", exact=True)


def connection(page: Page) -> Locator:
    return page.get_by_role("status", name="Connection", exact=True)


def enter(page: Page, conversation: str) -> None:
    """Open a conversation; what is asked in it after this comes to the page as news."""
    with page.expect_response("**/messages?*", timeout=LONG_MS):
        page.goto(f"/#{conversation}")


def choose_model(page: Page, model: str) -> None:
    page.get_by_role("combobox", name="Model", exact=True).select_option(model)


def ask(page: Page, text: str) -> None:
    """Type a question and press Enter."""
    composer(page).fill(text)
    composer(page).press("Enter")


def seen(page: Page) -> dict[str, Any]:
    """The ids of events that the page was handed, as ranges a stream."""
    found: dict[str, Any] = page.evaluate("() => window.runchatSeen")
    return found


def wait_for_events(page: Page, job: str, count: int) -> None:
    """Wait until the page has been handed so many events of a job."""
    page.wait_for_function(
        "([stream, count]) => (window.runchatSeen[stream]?.at(-1)?.[1] ?? 0) >= count",
        arg=[f"jobs/{job}", count],
        timeout=LONG_MS,
    )


def expect_end(page: Page, number: int, words: str) -> None:
    expect(answer(page, number)).to_have_accessible_description(words, timeout=LONG_MS)


def expect_one_story(
    page: Page, service: Service, job: str, number: int, words: str = COMPLETE
) -> None:
    """Text on the page == the log == the ids the browser saw, none missing and none twice."""
    expect_end(page, number, words)
    log = service.log(job)
    expect(answer(page, number)).to_have_js_property("textContent", text_of(log))
    assert [event["sequence"] for event in log] == list(range(1, len(log) + 1))
    assert [event["kind"] for event in log][-1] == "job.ended"
    assert seen(page)[f"jobs/{job}"] == [[1, len(log)]]
