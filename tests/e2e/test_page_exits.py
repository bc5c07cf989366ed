"""The chat page where an LLM writes whatever leads a reader away: nothing of it becomes a link, loads or runs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Dialog, Page, Route, expect

from benchmarks.exit_control import outputs
from tests.e2e.service import Service, running_service

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("page_exits")]

# With the rails off it is the page alone that holds: it shows what was written, as text. With them on, it is not shown.
RAILS = "off"

FACTS = {
    "How many days may employees work from abroad?": "Employees may work from abroad for up to 30 days in a calendar year.",
    "When does the parking garage open?": "The parking garage opens at 6 in the morning on every working day.",
    "What is the hotel limit in Lisbon?": "The hotel limit in Lisbon is 140 EUR for each night of a business trip.",
    "Who approves the purchase of a new laptop?": "The purchase of a new laptop is approved by the head of the IT department.",
    "How long is the notice period in the trial time?": "The notice period in the trial time is two weeks for both sides.",
}
EACH = 50  # outputs in an answer

# Whatever in the document has an address, with where that leads once resolved.
ADDRESSES = """() => [...document.querySelectorAll("*")].flatMap((node) =>
    ["href", "src", "srcset", "action", "formaction", "data", "poster", "background", "ping", "srcdoc", "xlink:href"]
      .filter((name) => node.getAttribute(name))
      .map((name) => ({ tag: node.localName, name, url: String(new URL(node.getAttribute(name), document.baseURI)) })))"""
HANDLERS = """() => [...document.querySelectorAll("*")].flatMap((node) => node.getAttributeNames())
    .filter((name) => name.startsWith("on"))"""
RUNNING = "document.querySelectorAll('script, iframe, object, embed, base, meta, link, style, img').length"
WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => window.violations.push(event.blockedURI));
"""


def bad_lines(number: int) -> list[str]:
    """The lines of an answer's share of the outputs, each said once: an LLM that repeats itself is stopped."""
    bodies = list(dict.fromkeys(one.text[slice(*one.bad)] for one in outputs()))
    share = bodies[number :: len(bodies) // (EACH * len(FACTS))][: EACH * len(FACTS)][number :: len(FACTS)]
    lines: dict[str, None] = {}
    for n, body in enumerate(share, start=1):
        for line in f"Point {number}.{n}: {body}".splitlines():
            lines[line if line not in lines else f"{line} {n}"] = None
    return list(lines)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    home = tmp_path_factory.mktemp("page-exits")
    folder = home / "handbook"
    folder.mkdir()
    for number, (question, fact) in enumerate(FACTS.items()):
        (folder / f"{number}.md").write_text(f"# {question.rstrip('?')}\n\n{fact}\n", encoding="utf-8")
    replies = [
        {"when": f"Question: {question}", "say": "\n".join([f"{fact} [1]", *bad_lines(number)])}
        for number, (question, fact) in enumerate(FACTS.items())
    ]
    script = home / "mallory.json"
    script.write_text(json.dumps(replies), encoding="utf-8")
    with running_service(
        folder, home, RAG_BOT_LLM=f"scripted:{script}", RAG_BOT_ANSWER="generate", RAG_BOT_GATE="off", RAG_BOT_RAILS=RAILS
    ) as service:
        yield service


def addresses(page: Page) -> set[tuple[str, str, str]]:
    found: list[dict[str, Any]] = page.evaluate(ADDRESSES)
    return {(one["tag"], one["name"], one["url"]) for one in found}


def test_nothing_leads_away_loads_or_runs(service: Service, chromium: Browser) -> None:
    asked: list[str] = []
    dialogs: list[str] = []
    context = chromium.new_context(viewport={"width": 1280, "height": 800})

    def elsewhere(route: Route) -> None:
        asked.append(route.request.url)
        route.abort()

    def dismiss(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    context.route(lambda url: not url.startswith(f"{service.url}/"), elsewhere)
    context.on("request", lambda request: None if request.url.startswith(f"{service.url}/") else asked.append(request.url))
    context.add_init_script(WATCH)
    page = context.new_page()
    page.on("popup", lambda popup: asked.append(f"a window: {popup.url}"))
    page.on("dialog", dismiss)
    page.set_default_timeout(20_000)
    page.goto(service.url)
    expect(page.locator(".start").first).to_be_visible()
    before, running = addresses(page), page.evaluate(RUNNING)

    for number, (question, fact) in enumerate(FACTS.items(), start=1):
        page.get_by_label("Your question").fill(question)
        page.keyboard.press("Enter")
        expect(page.locator(".toolbar")).to_have_count(number, timeout=60_000)
        expect(page.locator(".answer").nth(number - 1)).to_contain_text(fact)
    written = page.locator(".sentence").all_inner_texts()
    if RAILS == "off":
        assert len(written) > EACH * len(FACTS)
        assert sum("<" in text for text in written) > 30 < sum("evil.com" in text for text in written)
    else:
        assert not [text for text in written if re.search(r"evil\W*com|://|\]\(", text, re.IGNORECASE)]

    for read_back in (False, True):
        if read_back:
            page.reload()
            expect(page.locator(".toolbar")).to_have_count(len(FACTS))
        # Of addresses the page may have gained its own alone.
        assert {one for one in addresses(page) - before if not one[2].startswith(f"{service.url}/")} == set()
        assert page.evaluate(HANDLERS) == []
        assert page.locator(".answer :is(a, img, picture, svg:not(.icon), video, audio, math, [style])").count() == 0
        assert page.evaluate(RUNNING) == running
        assert page.evaluate("violations") == []
    assert page.url.startswith(f"{service.url}/")
    assert asked == []
    assert dialogs == []
    context.close()
