"""What the page's files carry, and that they are small and few."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from specs.browser.on_page import button, composer
from specs.browser.service import Service
from specs.requirements import requirement

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; worker-src 'self'; manifest-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
PAGE_BYTES_MAX = 120_000  # of everything the page fetches from its folder, unpacked


@requirement("page.headers")
@pytest.mark.parametrize(
    "path", ["/", "/index.html", "/signed-out.html", "/shared_worker.js", "/app.css", "/icon.svg"]
)
def test_a_file_of_the_page_has_the_strict_policy(service: Service, path: str) -> None:
    answer = service.api.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"


@requirement("page.headers")
def test_nothing_of_the_page_comes_from_elsewhere_or_is_inline(
    page: Page, service: Service
) -> None:
    sizes: dict[str, int] = {}
    page.on("response", lambda answer: sizes.update({answer.url: len(answer.body())}))
    page.on("requestfinished", lambda _: None)
    page.reload(wait_until="load")
    expect(composer(page)).to_be_focused()
    expect(button(page, "Send")).to_be_visible()
    names = [url.removeprefix(service.url) for url in sizes]
    assert [name for name in names if name.startswith("http")] == []
    files = {name: sizes[service.url + name] for name in names if not name.startswith("/api/")}
    assert sum(files.values()) < PAGE_BYTES_MAX


@requirement("page.headers")
def test_the_policy_keeps_out_what_a_script_would_add(browser: Browser, service: Service) -> None:
    page = browser.new_page()
    page.goto(f"{service.url}/signed-out.html")
    blocked = page.evaluate(
        """() => new Promise((done) => {
            addEventListener("securitypolicyviolation", (event) => done(event.effectiveDirective));
            const image = new Image();
            image.src = "data:image/gif;base64,R0lGODlhAQABAAAAACw=";
        })"""
    )
    assert blocked == "img-src"
    page.close()
