"""Adding several files in the chat page, in real Chromium: each shows how it goes, may be cancelled, and outlives a reload."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, FilePayload, Page, expect

from ingest.lock import WriteLock
from tests.e2e.service import Service, running_service

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("page-uploads")]

LONG = "\n\n".join(f"Rule {n}: form {n * 3} is handed in at desk {n % 17}, before noon." * 4 for n in range(3_000))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    home = tmp_path_factory.mktemp("uploads")
    folder = home / "handbook"
    folder.mkdir()
    (folder / "pets.md").write_text("# Pets\n\nDogs may come to the office on Fridays.\n", encoding="utf-8")
    with running_service(folder, home, RAG_BOT_EMBEDDER="hash") as service:
        yield service


@pytest.fixture
def page(service: Service, chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(service.url)
    yield page
    context.close()
    assert faults == []


def payload(name: str, text: str) -> FilePayload:
    return {"name": name, "mimeType": "text/plain", "buffer": text.encode()}


def test_each_of_several_files_shows_how_it_goes(page: Page, service: Service, tmp_path: Path) -> None:
    rows = page.locator(".upload")
    with WriteLock(service.index):  # as if another process were filling the index
        files = [
            payload("badges.txt", "A lost badge is reported to the front desk."),
            payload("draft.txt", "This one was chosen by mistake."),
            payload("picture.txt", "\x89PNG and then nothing"),
            payload("rules.txt", LONG),
        ]
        page.locator("#files").set_input_files(files)
        expect(rows).to_have_count(4)
        expect(rows.nth(0)).to_contain_text("Waiting", timeout=20_000)
        expect(rows.nth(3)).to_contain_text("Waiting for its turn", timeout=20_000)
        page.get_by_role("button", name="Cancel draft.txt").click()
        expect(rows.nth(1)).to_contain_text("Cancelled")
        page.screenshot(path=str(tmp_path / "waiting.png"))
        # What was sent is on the service's disk: the page may be closed meanwhile.
        page.reload()
        page.locator("#documents-open").click()
        expect(rows).to_have_count(4)
    # Each word of a row is seen as it changes; the long file is seen being read or indexed on the way.
    expect(rows.filter(has_text="badges.txt")).to_contain_text("Added, 1 passage", timeout=60_000)
    expect(rows.filter(has_text="draft.txt")).to_contain_text("Cancelled", timeout=20_000)
    expect(rows.filter(has_text="picture.txt")).to_contain_text(re.compile(r"Added|Failed: .{5,}"), timeout=60_000)
    expect(rows.filter(has_text="rules.txt")).to_contain_text(re.compile(r"Reading|Indexing|Added"), timeout=60_000)
    page.screenshot(path=str(tmp_path / "working.png"))
    expect(rows.filter(has_text="rules.txt")).to_contain_text(re.compile(r"Added, [\d,]+ passages"), timeout=120_000)
    expect(page.locator(".document-title", has_text="badges")).to_have_count(1)
    expect(page.locator(".document-title", has_text="draft")).to_have_count(0)
    page.screenshot(path=str(tmp_path / "done.png"))
    page.reload()
    page.locator("#documents-open").click()
    expect(rows).to_have_count(0)


def test_a_failure_has_its_reason(page: Page) -> None:
    rows = page.locator(".upload")
    page.locator("#files").set_input_files([payload("broken.pdf", "%PDF-1.7\nbroken"), payload("empty.txt", "")])
    expect(rows.nth(0)).to_contain_text(re.compile(r"Failed: .{10,}"), timeout=60_000)
    expect(rows.nth(1)).to_contain_text("Failed: is empty", timeout=60_000)
    expect(rows.nth(0).get_by_role("button")).to_have_count(0)
