"""The chat page with accounts, in real Chromium: signing in and out, a session that ends in the middle, what is not offered."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.service import REPOSITORY, Service, running_service
from tests.fakes.oidc import OidcProvider, oidc_provider

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("page-accounts")]

WORDS = "correct horse battery"
ASKED = "When may dogs come to the office?"


@pytest.fixture(scope="module")
def provider() -> Iterator[OidcProvider]:
    with oidc_provider() as provider:
        yield provider


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, provider: OidcProvider) -> Iterator[Service]:
    home = tmp_path_factory.mktemp("accounts")
    folder = home / "handbook"
    folder.mkdir()
    (folder / "pets.md").write_text("# Pets\n\nDogs may come to the office on Fridays.\n", encoding="utf-8")
    (folder / "cars.md").write_text("# Cars\n\nCars may come to the office on Mondays.\n", encoding="utf-8")
    readers = home / "readers.toml"
    readers.write_text(f'[collections]\nanimals = ["{folder}/pets.md"]\nvehicles = ["{folder}/cars.md"]\n', encoding="utf-8")
    settings = {
        "RAG_BOT_AUTH": "on",
        "RAG_BOT_ADMIN_PASSWORD": WORDS,
        "RAG_BOT_READERS": str(readers),
        "RAG_BOT_OIDC_ISSUER": provider.issuer,
        "RAG_BOT_OIDC_CLIENT_ID": provider.client_id,
        "RAG_BOT_OIDC_CLIENT_SECRET": provider.client_secret,
        "RAG_BOT_OIDC_NAME": "Example Inc.",
    }
    with running_service(folder, home, **settings) as service:
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
    form = page.locator("#sign-in-form")
    form.get_by_label("Name", exact=True).fill(name)
    form.get_by_label("Password", exact=True).fill(password)
    form.get_by_role("button", name="Sign in", exact=True).click()


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
    expect(page.get_by_role("button", name="People and keys")).to_be_hidden()
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


def test_signing_in_through_a_provider_brings_back_what_was_typed(page: Page, provider: OidcProvider) -> None:
    provider.user("u1", preferred_username="mia", groups=["sales"])
    sign_in(page, "ada")
    question = page.get_by_label("Your question")
    expect(page.get_by_role("button", name="ada")).to_be_visible()
    question.fill(ASKED)
    page.context.clear_cookies(name="rag_bot_session")
    page.locator("#documents-open").click()
    page.get_by_role("button", name="Sign in with Example Inc.").click()
    page.get_by_role("button", name="Deny").click()
    expect(page.get_by_role("dialog", name="Sign in to rag-bot")).to_contain_text("You did not sign in there.")
    assert "sign-in" not in page.url
    page.get_by_role("button", name="Sign in with Example Inc.").click()
    page.get_by_placeholder("sub").fill("u1")
    page.get_by_role("button", name="Authorize").click()
    expect(page.get_by_role("button", name="mia")).to_be_visible()
    expect(question).to_have_value(ASKED)
    question.press("Enter")
    expect(page.locator(".exchange")).to_contain_text("on Fridays")


def test_one_collection_is_asked_alone(page: Page) -> None:
    sign_in(page, "ada")
    page.get_by_label("Ask", exact=True).select_option("vehicles")
    page.get_by_label("Your question").fill("When may dogs or cars come to the office?")
    page.get_by_label("Your question").press("Enter")
    expect(page.locator(".exchange")).to_contain_text("on Mondays")
    expect(page.locator(".exchange")).not_to_contain_text("on Fridays")


def test_an_admin_manages_people_and_keys(page: Page, service: Service) -> None:
    sign_in(page, "admin")
    page.get_by_role("button", name="People and keys").click()
    dialog = page.get_by_role("dialog", name="People and keys")
    dialog.get_by_text("Add somebody").click()
    adding = page.locator("#people-add")
    adding.get_by_label("Name").fill("cleo")
    adding.get_by_label("Password").fill("another long password")
    adding.get_by_label("Groups").fill("hr, sales")
    adding.get_by_role("button", name="Add").click()
    cleo = page.locator("#people-list li", has_text="cleo")
    expect(cleo).to_contain_text("reader, in hr, sales")
    cleo.get_by_label("Role of cleo").select_option("editor")
    expect(cleo).to_contain_text("editor, in hr, sales")
    cleo.get_by_role("button", name="Groups of cleo").click()
    page.get_by_label("Groups of cleo").fill("it")
    page.get_by_role("button", name="Save").click()
    expect(cleo).to_contain_text("editor, in it")
    cleo.get_by_role("button", name="Keep out").click()
    expect(cleo).to_contain_text("may not come in")
    page.get_by_label("Role of admin", exact=True).select_option("reader")
    expect(dialog).to_contain_text("admin is the only admin.")
    cleo.get_by_role("button", name="Remove cleo").click()
    page.get_by_role("button", name="Remove", exact=True).click()
    expect(cleo).to_have_count(0)

    dialog.get_by_text("Make a key").click()
    making = page.locator("#keys-add")
    making.get_by_label("What it is for").fill("wiki")
    making.get_by_role("button", name="Make").click()
    expect(page.locator("#key-text")).to_contain_text("rb_")
    key = page.locator("#key-text").inner_text()
    headers = {"Authorization": f"Bearer {key}"}
    asker = page.context.browser.new_context()  # type: ignore[union-attr]
    assert asker.request.get(f"{service.url}/v1/documents", headers=headers).ok
    page.get_by_role("button", name="Revoke wiki").click()
    page.get_by_role("button", name="Revoke", exact=True).click()
    expect(page.locator("#keys-none")).to_be_visible()
    assert asker.request.get(f"{service.url}/v1/documents", headers=headers).status == 401
    asker.close()
    dialog.get_by_role("button", name="Close").click()
    expect(page.locator("#key-text")).to_be_empty()
