"""A Chromium for the whole run, a service for most specs, and a signed-in page for each.

Playwright drives a program of the machine. It needs a loop of its own, so this folder is a pytest
run of its own: `pytest -o trio_mode=false specs/browser`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, StorageState, sync_playwright

from harness import chromium
from specs.browser.service import Service

FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
NETWORK_NOISE = "Failed to load resource: net::ERR_"  # what Chromium itself says of a lost network

Launch = Callable[..., Browser]


@pytest.fixture(scope="session")
def launch() -> Iterator[Launch]:
    """Starts a Chromium, with flags of one's own beside the usual."""
    path = chromium.find()
    if path is None:
        pytest.skip("Chromium is not installed")
    with sync_playwright() as playwright:

        def start(*flags: str) -> Browser:
            return playwright.chromium.launch(executable_path=path, args=[*FLAGS, *flags])

        yield start


@pytest.fixture(scope="session")
def browser(launch: Launch) -> Iterator[Browser]:
    browser = launch()
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service that specs share; who kills one takes `mortal`."""
    with running(tmp_path_factory.mktemp("service") / "data") as service:
        yield service


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Service]:
    """A service of the spec's own."""
    with running(tmp_path / "data") as service:
        yield service


@contextmanager
def running(data: Path, *flags: str) -> Iterator[Service]:
    service = Service(data, *flags)
    service.start()
    try:
        yield service
    finally:
        if service.process is not None:
            service.kill()


@pytest.fixture(scope="session")
def session(browser: Browser, service: Service) -> StorageState:
    """The cookie that a sign-in link leaves behind."""
    context = browser.new_context()
    context.new_page().goto(service.link())
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def context(browser: Browser, service: Service, session: StorageState) -> Iterator[BrowserContext]:
    """A browser that is signed in; whatever its console or a script of it complains of fails."""
    context = browser.new_context(storage_state=session, base_url=service.url)
    with without_complaint(context):
        yield context
    context.close()


@contextmanager
def without_complaint(context: BrowserContext, *, noise: str | None = None) -> Iterator[None]:
    """Fails on any complaint of the browser, but for one kind of noise."""
    complaints: list[str] = []
    context.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    yield
    assert [each for each in complaints if noise is None or noise not in each] == []


@pytest.fixture
def page(context: BrowserContext) -> Page:
    """An empty page of the shared service, signed in."""
    page = context.new_page()
    page.goto("/")
    return page
