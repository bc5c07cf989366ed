"""The chat page with accounts, in real Chromium: signing in and out, a session that ends in the middle, what is not offered."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.service import REPOSITORY, Service, running_service

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("page-accounts")]

WORDS = "correct horse battery"
ASKED = "When may dogs come to the office?"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    home = tmp_path_factory.mktemp("accounts")
    folder = home / "handbook"
    folder.mkdir()
    (folder / "pets.md").write_text("# Pets\n\nDogs may come to the office on Fridays.\n", encoding="utf-8")
    with running_service(folder, home, RAG_BOT_AUTH="on", RAG_BOT_ADMIN_PASSWORD=WORDS) as service:
        command = [
            sys.executable,
            "-m",
            "rag_bot.cli",
            "users",
            "add",
            "ada",
            "--password-stdin",
            "--index",
            str(service.index),
        ]
        subprocess.run(command, input=WORDS, text=True, check=True, cwd=REPOSITORY)
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


def sign_in(page: Page, name: str, password: str = WORDS) -> None:
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in").click()


def test_the_page_is_used_after_signing_in(page: Page, tmp_path: Path) -> None:
    dialog = page.get_by_role("dialog", name="Sign in to rag-bot")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_visible()
    sign_in(page, "admin", "not the password")
    expect(dialog).to_contain_text("The name or the password is wrong.")
    sign_in(page, "admin")
    expect(dialog).to_be_hidden()

    page.get_by_label("Your question").fill(ASKED)
    page.keyboard.press("Enter")
    expect(page.locator(".exchange")).to_contain_text("on Fridays")
    file = tmp_path / "cats.txt"
    file.write_text("Cats stay at home at all times.")
    page.locator("#files").set_input_files(str(file))
    expect(page.locator(".upload").first).to_contain_text("Added", timeout=20_000)
    page.get_by_role("button", name="Close").first.click()
    page.reload()
    expect(page.locator(".exchange")).to_contain_text("on Fridays")

    page.get_by_role("button", name="admin").click()
    page.get_by_role("button", name="Sign out", exact=True).click()
    expect(dialog).to_be_visible()
    expect(page.locator(".exchange")).to_have_count(0)


def test_who_only_reads_is_not_offered_more(page: Page) -> None:
    sign_in(page, "ada")
    expect(page.get_by_role("button", name="ada")).to_be_visible()
    expect(page.get_by_role("button", name="Add documents")).to_be_hidden()
    page.locator("#documents-open").click()
    expect(page.locator(".document").first).to_be_visible()
    expect(page.get_by_role("button", name="Delete Pets")).to_be_hidden()
    expect(page.locator("#conversations li")).to_have_count(0)  # those of others are theirs


def test_a_session_that_ends_in_the_middle_loses_nothing_typed(page: Page) -> None:
    sign_in(page, "ada")
    expect(page.get_by_role("button", name="ada")).to_be_visible()
    question = page.get_by_label("Your question")
    question.fill(ASKED)
    page.context.clear_cookies(name="rag_bot_session")
    page.locator("#documents-open").click()
    dialog = page.get_by_role("dialog", name="Sign in to rag-bot")
    expect(dialog).to_contain_text("Your session is over.")
    sign_in(page, "ada")
    expect(dialog).to_be_hidden()
    expect(question).to_have_value(ASKED)
    question.press("Enter")
    expect(page.locator(".exchange")).to_contain_text("on Fridays")


def test_a_password_is_changed(page: Page, service: Service) -> None:
    command = [sys.executable, "-m", "rag_bot.cli", "users", "add", "bob", "--password-stdin", "--index", str(service.index)]
    subprocess.run(command, input=WORDS, text=True, check=True, cwd=REPOSITORY)
    sign_in(page, "bob")
    page.get_by_role("button", name="bob").click()
    page.get_by_label("Password now").fill("not the password")
    page.get_by_label("New password").fill("another long password")
    page.get_by_role("button", name="Change password").click()
    expect(page.locator("#account")).to_contain_text("The name or the password is wrong.")
    page.get_by_label("Password now").fill(WORDS)
    page.get_by_label("New password").fill("another long password")
    page.get_by_role("button", name="Change password").click()
    expect(page.locator("#account")).to_be_hidden()
    page.get_by_role("button", name="bob").click()
    page.get_by_role("button", name="Sign out", exact=True).click()
    sign_in(page, "bob", "another long password")
    expect(page.get_by_role("button", name="bob")).to_be_visible()
