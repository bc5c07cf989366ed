"""Slack over HTTP: the same bot, fed at /slack/events of the service; what is not signed by Slack is refused."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlencode

import httpx
import pytest

from rag_bot.api.serve import listen, server_of
from rag_bot.bot import Bot
from rag_bot.settings import Settings
from tests.fakes.slack import APP_TOKEN, BOT_TOKEN, SIGNING_SECRET, FakeSlack, Message, signed
from tests.rag_bot.slack.support import ASKED, slack_settings, until
from tests.rag_bot.support import LEAVE, LEAVE_SENTENCE, parts_of


@asynccontextmanager
async def served(settings: Settings) -> AsyncIterator[tuple[Bot, str]]:
    bot = Bot(settings, lambda: parts_of(settings))
    with listen("127.0.0.1", 0) as sock:
        server = server_of(bot)
        running = asyncio.create_task(server.serve(sockets=[sock]))
        try:
            await until(lambda: server.started)
            yield bot, f"http://127.0.0.1:{sock.getsockname()[1]}"
        finally:
            server.should_exit = True
            await running


@pytest.fixture
def settings(home: Settings, slack: FakeSlack) -> Settings:
    return slack_settings(home, slack)


def event(text: str = ASKED, ts: str = "1.000001") -> str:
    inner = {"type": "app_mention", "channel": "C1", "user": "UANN", "text": text, "ts": ts, "event_ts": ts}
    return json.dumps(
        {"type": "event_callback", "team_id": "T0TEAM", "api_app_id": "A0APP", "event_id": f"Ev{ts}", "event": inner}
    )


async def test_questions_and_commands_are_answered(settings: Settings, slack: FakeSlack) -> None:
    async with served(settings) as (_, url):
        slack.http_target = f"{url}/slack/events"
        ts = slack.post("C1", "UANN", ASKED)  # delivered again until the bot is ready
        await until(lambda: [one.state for one in slack.answers("C1", ts)] == ["done"])
        await slack.command("UANN", "C1", LEAVE)
        await until(lambda: slack.ephemeral)
        await slack.press("UANN", slack.answers("C1", ts)[0], "feedback")
        await slack.settle()
        async with httpx.AsyncClient() as client:
            numbers = (await client.get(f"{url}/metrics")).text
    assert [one.shown for one in slack.answers("C1", ts)] == [f"{LEAVE_SENTENCE} [1]"]
    assert LEAVE_SENTENCE in slack.ephemeral[0].shown
    assert 'rag_bot_questions_total{outcome="answered"} 2.0' in numbers
    assert 'rag_bot_step_seconds_count{step="search"} 2.0' in numbers
    assert slack.lost == []


async def test_what_is_not_slacks_is_refused(settings: Settings, slack: FakeSlack) -> None:
    async with served(settings) as (bot, url), httpx.AsyncClient(base_url=url) as client:
        await until(lambda: bot.ready() is None)

        async def status(body: str | bytes, headers: dict[str, str]) -> int:
            return (await client.post("/slack/events", content=body, headers=headers)).status_code

        good = event()
        slack.messages["C1"]["1.000001"] = Message("C1", "1.000001", "UANN", ASKED)
        while await status(good, signed(good)) == 503:
            await asyncio.sleep(0.1)
        assert await status(good, signed(good)) == 200
        assert await status(good, {}) == 401
        assert await status(good, signed(good, secret="x" * 32)) == 401
        assert await status(good + " ", signed(good)) == 401
        assert await status(good, signed(good, at=time.time() - 301)) == 401
        assert await status(good, signed(good, at=time.time() + 400)) == 401
        assert await status(good, {**signed(good), "X-Slack-Request-Timestamp": "soon"}) == 401
        assert await status(good, {**signed(good), "X-Slack-Signature": "v0="}) == 401
        assert await status(b"\xff\xfe", signed("x")) == 400
        assert await status("{", signed("{")) == 400
        assert (await client.get("/slack/events")).status_code == 405
        challenge = json.dumps({"type": "url_verification", "challenge": "abc", "token": "t"})
        answer = await client.post("/slack/events", content=challenge, headers=signed(challenge))
        assert answer.json() == {"challenge": "abc"}
        check = urlencode({"ssl_check": "1", "token": "t"})
        form = {"Content-Type": "application/x-www-form-urlencoded", **signed(check)}
        assert await status(check, form) == 200


async def test_without_a_signing_secret_there_is_no_such_route(home: Settings, slack: FakeSlack) -> None:
    async with served(slack_settings(home, slack, slack_signing_secret=None)) as (_, url), httpx.AsyncClient() as client:
        assert (await client.post(f"{url}/slack/events", content=event(), headers=signed(event()))).status_code == 404


async def test_no_token_is_ever_logged(
    settings: Settings, slack: FakeSlack, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level("DEBUG")
    for name in ("rag_bot.slack.library", "slack_bolt", "slack_sdk", "aiohttp"):
        caplog.set_level("DEBUG", logger=name)
    async with served(settings) as (_, url):
        slack.http_target = f"{url}/slack/events"
        slack.plan["chat.startStream"].clear()
        ts = slack.post("C1", "UANN", ASKED)
        await until(lambda: [one.state for one in slack.answers("C1", ts)] == ["done"])
    said = caplog.text + "".join(capsys.readouterr())
    assert "chat.startStream" in said  # the libraries did speak
    for secret in (BOT_TOKEN, APP_TOKEN, SIGNING_SECRET):
        assert secret not in said
    assert BOT_TOKEN not in repr(settings) and SIGNING_SECRET not in str(settings.model_dump())
