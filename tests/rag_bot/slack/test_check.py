"""`rag-bot slack manifest` and `check`: what Slack needs, and what of it is missing."""

from __future__ import annotations

import json

import pytest
from pydantic import SecretStr

from rag_bot.cli import main
from rag_bot.settings import Settings
from rag_bot.slack.check import check
from rag_bot.slack.manifest import EVENTS, SCOPES, manifest
from tests.commands import outcome_of
from tests.fakes.slack import CONFIG_TOKEN, EVENT_SCOPES, HISTORY, READ, FakeSlack
from tests.fakes.slack import SCOPES as NEEDED
from tests.rag_bot.slack.support import slack_settings


async def faults(settings: Settings) -> dict[str, str]:
    return {one.name: f"{one.state}: {one.detail}" for one in await check(settings) if one.state != "ok"}


@pytest.fixture
def settings(home: Settings, slack: FakeSlack) -> Settings:
    slack.scopes = frozenset(SCOPES)
    slack.manifest = manifest()
    return slack_settings(home, slack, slack_config_token=SecretStr(CONFIG_TOKEN))


async def test_nothing_is_missing_of_an_app_made_from_the_manifest(settings: Settings) -> None:
    assert await faults(settings) == {}
    http = settings.model_copy(update={"slack_app_token": None})
    assert await faults(http) == {}


def test_the_manifest_asks_for_every_scope_that_is_used() -> None:
    used = {*NEEDED.values(), *EVENT_SCOPES.values(), *HISTORY.values(), *READ.values()}
    assert used <= SCOPES.keys()


async def test_each_thing_that_is_missing_is_named(settings: Settings, slack: FakeSlack) -> None:
    slack.scopes = frozenset(set(SCOPES) - {"im:history", "files:read"})
    lacking = manifest()
    lacking["settings"]["event_subscriptions"]["bot_events"] = [event for event in EVENTS if event != "message.im"]
    lacking["settings"]["interactivity"]["is_enabled"] = lacking["settings"]["socket_mode_enabled"] = False
    lacking["features"] = {"assistant_view": {"assistant_description": "x"}, "app_home": {"messages_tab_enabled": False}}
    slack.manifest = lacking
    found = await faults(settings)
    assert found.keys() == {
        "scope im:history",
        "scope files:read",
        "event message.im",
        "interactivity",
        "Socket Mode",
        "command /ask",
        "shortcut",
        "Messages tab",
        "agent view",
    }
    assert found["scope files:read"] == "missing: without it the bot can't take in files from direct messages"


@pytest.mark.parametrize(
    ("changed", "name", "detail"),
    [
        ({"slack_bot_token": None}, "bot token", "missing: is not set"),
        ({"slack_bot_token": SecretStr("xoxp-1")}, "bot token", "missing: does not begin with xoxb-"),
        ({"slack_bot_token": SecretStr("xoxb-1")}, "bot token", "missing: Slack says invalid_auth"),
        ({"slack_app_token": SecretStr("xapp-1")}, "app token", "missing: Slack says invalid_auth"),
        ({"slack_config_token": None}, "events", "warn: can't be seen without a configuration token"),
        ({"slack_config_token": SecretStr("xoxe-1")}, "events", "warn: can't be seen: Slack says invalid_auth"),
        ({"slack_url": "http://127.0.0.1:1/api/"}, "bot token", "missing: Slack can't be reached: ClientConnectorError"),
    ],
)
async def test_what_is_wrong_with_a_token(
    settings: Settings, slack: FakeSlack, changed: dict[str, object], name: str, detail: str
) -> None:
    assert (await faults(settings.model_copy(update=changed)))[name] == detail
    slack.refused.clear()


def test_the_manifest_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    printed = outcome_of(main, ["slack", "manifest", "--name", "Handbook"], capsys)
    assert printed.code == 0
    assert printed.json == manifest("Handbook")
    http = outcome_of(main, ["slack", "manifest", "--url", "https://bot.example.com/"], capsys).json
    address = "https://bot.example.com/slack/events"
    assert http["settings"]["event_subscriptions"]["request_url"] == address
    assert http["features"]["slash_commands"][0]["url"] == address
    assert http["settings"]["socket_mode_enabled"] is False


def test_the_command_says_what_is_missing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAG_BOT_SLACK_BOT_TOKEN", "RAG_BOT_SLACK_APP_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    checked = outcome_of(main, ["slack", "check", "--json"], capsys)
    assert checked.code == 1
    assert [one["name"] for one in json.loads(checked.out)["checks"] if one["state"] == "missing"] == ["bot token", "app token"]


def test_running_without_a_token_is_one_sentence(
    capsys: pytest.CaptureFixture[str], home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAG_BOT_SLACK_BOT_TOKEN", raising=False)
    ran = outcome_of(main, ["slack", "--index", str(home.index)], capsys)
    assert ran.code in (1, 2)
    assert "RAG_BOT_SLACK_BOT_TOKEN is not set." in ran.err
