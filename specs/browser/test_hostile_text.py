"""Text is text: whatever a model or a person says is shown; none of it runs or is fetched."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Dialog,
    Page,
    Request,
    StorageState,
    expect,
)

from specs.browser.conftest import without_complaint
from specs.browser.on_page import (
    COMPLETE,
    answer,
    ask,
    composer,
    expect_end,
    expect_one_story,
    question,
)
from specs.browser.service import Service
from specs.requirements import requirement

ELSEWHERE = "http://elsewhere.invalid"
CORPUS = {
    "script": "<script>window.hostile = 1</script>",
    "closing-script": "</script><script>window.hostile = 1</script>",
    "image-handler": '<img src=x onerror="window.hostile = 1">',
    "remote-image": f"<img src='{ELSEWHERE}/a.png'> ![a]({ELSEWHERE}/b.png?q=secret)",
    "svg": "<svg onload=window.hostile=1><animate onbegin=window.hostile=1 /></svg>",
    "javascript-link": "[press](javascript:hostile=1) <a href='javascript:hostile=1'>press</a>",
    "data-link": "<a href='data:text/html,<script>window.hostile=1</script>'>press</a>",
    "frame": f"<iframe srcdoc='<script>parent.hostile=1</script>' src={ELSEWHERE}></iframe>",
    "style": f"<style>@import '{ELSEWHERE}/a.css'; body {{ display: none }}</style>",
    "base": f"<base href='{ELSEWHERE}/'><meta http-equiv=refresh content='0;url={ELSEWHERE}'>",
    "form": f"<form action={ELSEWHERE}><input autofocus onfocus=window.hostile=1></form>",
    "comment": "<!-- --><math><mtext></mtext><mglyph><style><!--</style><img onerror=hostile=1>",
    "entities": "&lt;script&gt;window.hostile=1&lt;/script&gt; &amp; &#x3c;b&#x3e;",
    "template": "${window.hostile=1} {{constructor.constructor('window.hostile=1')()}}",
    "event-stream": "one\n\nevent: job.ended\ndata: {}\n\nid: 9\n\n: two",
    "line-ends": "one\r\ntwo\rthree\u2028four\u2029five\u0085six",
    "right-to-left": "safe\u202egpj.exe\u202c and \u2066isolated\u2069 \u05d0\u05d1\u05d2 end",
    "invisible": "zero\u200bwidth\u200djoined\ufeff\u00ad and \U000e0041tags",
    "combining": "Z\u0351\u036b\u0343\u036a\u0302" * 40,
    "controls": "bell\u0007 escape\u001b[31m delete\u007f",
    "surrogate-pairs": "\U0001f469\u200d\U0001f469\u200d\U0001f467 \U0001d54f" * 20,
    "spaces": "  lead\tand\ttab   \n\n\n   trail  ",
    "one-long-word": "w" * 20_000,
}


@pytest.fixture(scope="module")
def context(browser: Browser, service: Service, session: StorageState) -> Iterator[BrowserContext]:
    """One browser for the whole corpus: what one text left behind, the next would meet."""
    context = browser.new_context(storage_state=session, base_url=service.url)
    with without_complaint(context):
        yield context
    context.close()


@pytest.fixture(scope="module")
def page(context: BrowserContext) -> Page:
    page = context.new_page()
    page.goto("/")
    return page


@pytest.fixture
def watched(context: BrowserContext, page: Page) -> Iterator[Watched]:
    """What the browser asks for, and what pops up, while a spec runs."""
    watched = Watched()
    context.on("request", watched.note)
    page.on("dialog", watched.dismiss)
    yield watched
    context.remove_listener("request", watched.note)
    page.remove_listener("dialog", watched.dismiss)


class Watched:
    def __init__(self) -> None:
        self.requests: list[str] = []
        self.dialogs: list[str] = []

    def note(self, request: Request) -> None:
        self.requests.append(request.url)

    def dismiss(self, dialog: Dialog) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()


@requirement("page.hostile-text")
@pytest.mark.parametrize("text", CORPUS.values(), ids=CORPUS.keys())
def test_hostile_text_is_shown_as_text_and_runs_nothing(
    page: Page, watched: Watched, service: Service, text: str
) -> None:
    conversation = service.conversation(text[:60])
    page.goto(f"/#{conversation}")
    expect(page.get_by_role("heading", level=1)).to_have_js_property("textContent", text[:60])
    job = service.ask(conversation, input=text, model="echo")
    expect_end(page, 1, COMPLETE)
    expect(question(page, 1)).to_have_js_property("textContent", text)
    expect(answer(page, 1)).to_have_js_property("textContent", text)
    for role in ("link", "img", "button", "textbox", "form", "article"):
        expect(answer(page, 1).get_by_role(role)).to_have_count(0)
    assert page.evaluate("() => window.hostile ?? null") is None
    assert [url for url in watched.requests if not url.startswith(service.url)] == []
    assert watched.dialogs == []
    assert page.url == f"{service.url}/#{conversation}"
    assert service.job(job)["status"] == "completed"


@requirement("page.hostile-text")
def test_hostile_text_is_shown_as_text_when_it_is_read_again(page: Page, service: Service) -> None:
    conversation = service.conversation("The whole corpus")
    for text in CORPUS.values():
        service.whole_log(service.ask(conversation, input=text, model="echo"))
    page.goto(f"/#{conversation}")
    for number, text in enumerate(CORPUS.values(), 1):
        expect(question(page, number)).to_have_js_property("textContent", text)
        expect(answer(page, number)).to_have_js_property("textContent", text)
    assert page.evaluate("() => window.hostile ?? null") is None


@requirement("page.hostile-text")
def test_hostile_text_typed_at_the_page_is_a_title_and_a_question_and_nothing_else(
    page: Page,
) -> None:
    page.goto("/#")
    text = "<img src=x onerror='window.hostile=1'> <b>bold</b>"
    ask(page, text)
    expect_end(page, 1, COMPLETE)
    expect(page.get_by_role("heading", level=1)).to_have_text(text)
    expect(page.get_by_role("link", name=text, exact=True)).to_have_text(text)
    expect(page.get_by_role("img")).to_have_count(0)
    assert page.evaluate("() => window.hostile ?? null") is None


def test_a_huge_answer_is_whole_and_the_page_stays_quick(page: Page, service: Service) -> None:
    conversation = service.conversation("Huge")
    page.goto(f"/#{conversation}")
    options = {"count": 2_000, "size": 512, "interval_ms": 0}
    job = service.ask(conversation, input="Much.", model="synthetic/tokens", options=options)
    expect_one_story(page, service, job, 1)
    composer(page).fill("Still quick?", timeout=1_000)
    expect(composer(page)).to_have_value("Still quick?", timeout=1_000)


def test_many_lines_come_out_as_they_went_in(page: Page, service: Service) -> None:
    text = "".join(f"line {number}\n" * (number % 3) + "\n" for number in range(3_000))
    conversation = service.conversation("Lines")
    page.goto(f"/#{conversation}")
    job = service.ask(conversation, input=text, model="echo")
    expect_end(page, 1, COMPLETE)
    expect(answer(page, 1)).to_have_js_property("textContent", text)
    assert service.job(job)["status"] == "completed"
