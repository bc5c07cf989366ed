"""The chat page where an LLM writes: what is unproved is struck, what went wrong is said, and sources open all the same."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.service import Service, running_service

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("page_llm")]

LEAVE = """# Leave

## Paid leave

Everyone gets 26 days of paid leave a year. Leave is asked for in writing, two weeks ahead.

## Working from abroad

Employees may work from abroad for up to 30 days in a calendar year. Longer stays need the approval of the tax team.
"""
ABROAD = "How many days may employees work from abroad?"
LONGER = "And who approves longer ones?"
REPLIES = [
    {"when": f"Last question: {LONGER}", "say": "Which approval do longer stays abroad need?"},
    {
        "when": f"Question: {ABROAD}",
        "say": "Employees may work from abroad for up to 30 days a year [1]. They may also stay for 90 days [1].",
    },
    {"when": f"Question: {LONGER}", "fail": "The LLM marvin is down."},
]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    home = tmp_path_factory.mktemp("page-llm")
    folder = home / "handbook"
    folder.mkdir()
    (folder / "leave.md").write_text(LEAVE, encoding="utf-8")
    script = home / "marvin.json"
    script.write_text(json.dumps(REPLIES), encoding="utf-8")
    settings = {"RAG_BOT_LLM": f"scripted:{script}", "RAG_BOT_GATE": "flag", "RAG_BOT_MAX_WRONG": "0.6"}
    with running_service(folder, home, **settings) as service:
        yield service


@pytest.fixture
def page(service: Service, chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.set_default_timeout(20_000)
    page.goto(service.url)
    yield page
    context.close()


def ask(page: Page, question: str, nth: int) -> None:
    page.get_by_label("Your question").fill(question)
    page.keyboard.press("Enter")
    expect(page.locator(".toolbar")).to_have_count(nth, timeout=60_000)


def test_what_an_llm_writes_is_marked_struck_or_replaced(page: Page) -> None:
    ask(page, ABROAD, 1)
    proved, struck = page.locator(".sentence").nth(0), page.locator(".sentence").nth(1)
    expect(proved).to_have_text("Employees may work from abroad for up to 30 days a year.")
    expect(struck).to_have_text("They may also stay for 90 days.")
    assert struck.evaluate("node => getComputedStyle(node).textDecorationLine") == "line-through"
    assert proved.evaluate("node => getComputedStyle(node).textDecorationLine") == "none"
    expect(page.locator(".unproved")).to_have_count(1)

    page.get_by_role("button", name="Source 1:").first.click()
    highlighted = page.locator("#source mark")
    expect(highlighted).to_have_text("Employees may work from abroad for up to 30 days in a calendar year.")
    page.keyboard.press("Escape")

    ask(page, LONGER, 2)
    expect(page.locator(".understood").last).to_have_text("Understood as: Which approval do longer stays abroad need?")
    expect(page.locator(".sentences").last).to_contain_text("Longer stays need the approval of the tax team.")
    expect(page.get_by_label("Notes")).to_contain_text("The LLM marvin is down.")
    page.reload()
    expect(page.get_by_label("Notes")).to_contain_text("The LLM marvin is down.")
    expect(page.locator(".understood").last).to_be_visible()
