"""A person's word at the page: what a tool would do is shown, and Approve or Deny decides."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from specs.browser.conftest import running, without_complaint
from specs.browser.on_page import COMPLETE, LONG_MS, answer, button, enter, expect_end
from specs.browser.service import Service
from specs.requirements import requirement

PROGRAM = Path(__file__).parents[1] / "support" / "mcp_program.py"
ECHO = "mcp/small/echo"
WAITING = "Waiting for you."


@pytest.fixture
def tooled(tmp_path: Path) -> Iterator[Service]:
    """A service with a tool, of an MCP server that is a program, which asks before each call."""
    config = tmp_path / "runchat.toml"
    config.write_text(
        f'[mcp.servers.small]\ncommand = ["{sys.executable}", "{PROGRAM}"]\npolicy = "ask"\n'
    )
    with running(tmp_path / "data", "--config", str(config)) as service:
        yield service


@pytest.fixture
def page(browser: Browser, tooled: Service) -> Iterator[Page]:
    context = browser.new_context(base_url=tooled.url)
    with without_complaint(context):
        page = context.new_page()
        page.goto(tooled.link())
        yield page
    context.close()


def asking(page: Page) -> Locator:
    return page.get_by_role("form", name="The answer waits for you", exact=True)


@requirement("page.approvals")
def test_a_person_approves_a_call_and_denies_another(page: Page, tooled: Service) -> None:
    conversation = tooled.conversation()
    enter(page, conversation)
    expect(page.get_by_role("checkbox", name="Tools", exact=True)).not_to_be_checked()
    tooled.ask(conversation, input="Hello", model="echo", tools=[ECHO])
    question = asking(page).get_by_role("alert").first
    expect(question).to_have_text(
        f"May echo ({ECHO}) be called with these arguments?", timeout=LONG_MS
    )
    expect(answer(page, 1)).to_have_accessible_description(WAITING)
    button(page, "Approve").press("Enter")
    expect_end(page, 1, COMPLETE)
    expect(asking(page)).to_have_count(0)

    job = tooled.ask(conversation, input="Again", model="echo", tools=[ECHO])
    button(page, "Deny").click(timeout=LONG_MS)
    expect_end(page, 2, COMPLETE)
    expect(asking(page)).to_have_count(0)
    outcomes = [each["data"] for each in tooled.log(job) if each["kind"] == "approval.resolved"]
    assert [(each["outcome"], each["by"]) for each in outcomes] == [("denied", "local/owner")]
    failed = [each for each in tooled.job(job)["items"] if each.get("is_error")]
    assert [each["text"] for each in failed] == ["The user said no. The tool was not called."]
