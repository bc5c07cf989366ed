"""The fake of Slack is as strict as it claims, seen through the real client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient

from tests.fakes.slack import APP_TOKEN, BOT_TOKEN, BOT_USER, TEAM, FakeSlack, Fault


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    async with FakeSlack(retries=(0.0, 0.1, 0.1), ack_seconds=0.3) as fake:
        fake.channel("C1", "UANN")
        yield fake


def client(slack: FakeSlack, token: str = BOT_TOKEN) -> AsyncWebClient:
    return AsyncWebClient(token=token, base_url=slack.api)


async def error_of(call: Any) -> str:
    with pytest.raises(SlackApiError) as raised:
        await call
    return str(raised.value.response["error"])


async def test_tokens_scopes_and_channels_are_checked(slack: FakeSlack) -> None:
    assert (await client(slack).auth_test())["user_id"] == BOT_USER
    assert await error_of(client(slack, "xoxb-wrong").auth_test()) == "invalid_auth"
    assert await error_of(client(slack).chat_postMessage(channel="C9", text="x")) == "channel_not_found"
    slack.scopes = frozenset()
    assert await error_of(client(slack).chat_postMessage(channel="C1", text="x")) == "missing_scope"


@pytest.mark.parametrize(
    "body",
    [
        {"text": "x" * 40_001},
        {"markdown_text": "x" * 12_001},
        {"markdown_text": "x", "text": "y"},
        {"text": "<!channel> hello"},
        {"text": "a < b"},
        {"text": "x", "blocks": [{"type": "section"}]},
        {"text": "x", "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "y" * 3001}}]},
        {"text": "x", "blocks": [{"type": "divider"}] * 51},
        {"text": "x", "blocks": [{"type": "markdown", "text": "y" * 6001}] * 2},
        {"text": "x", "blocks": [{"type": "actions", "elements": [{"type": "button", "action_id": "a"}]}]},
        {"text": "x", "blocks": [{"type": "divider", "surprise": 1}]},
        {"text": "x", "metadata": {"event_type": "a"}},
        {"text": "x", "thread_ts": "1.0"},
    ],
)
async def test_bodies_are_checked(slack: FakeSlack, body: dict[str, Any]) -> None:
    await error_of(client(slack).chat_postMessage(channel="C1", **body))
    assert slack.refused
    assert not slack.answers("C1", "")


async def test_streams_have_states(slack: FakeSlack) -> None:
    ts = slack.post("C1", "UANN", "question")
    web = client(slack)
    assert await error_of(web.chat_startStream(channel="C1", thread_ts=ts)) == "missing_recipient_user_id"
    who = {"recipient_user_id": "UANN", "recipient_team_id": TEAM}
    begun = (await web.chat_startStream(channel="C1", thread_ts=ts, markdown_text="One.", **who))["ts"]
    assert await error_of(web.chat_update(channel="C1", ts=begun, text="x")) == "streaming_state_conflict"
    await web.chat_appendStream(channel="C1", ts=begun, markdown_text=" Two.")
    assert await error_of(web.chat_appendStream(channel="C1", ts=begun, markdown_text="x" * 12_001)) == "msg_too_long"
    await web.chat_stopStream(channel="C1", ts=begun, markdown_text=" Three.")
    ended = "message_not_in_streaming_state"
    assert await error_of(web.chat_appendStream(channel="C1", ts=begun, markdown_text="x")) == ended
    assert slack.messages["C1"][begun].shown == "One. Two. Three."
    slack.stream_seconds = 0.0
    begun = (await web.chat_startStream(channel="C1", thread_ts=ts, markdown_text="One.", **who))["ts"]
    assert await error_of(web.chat_stopStream(channel="C1", ts=begun)) == ended
    await web.chat_update(channel="C1", ts=begun, markdown_text="All.")
    assert slack.messages["C1"][begun].shown == "All."


async def test_limits_are_told_and_watched(slack: FakeSlack) -> None:
    web = client(slack)
    slack.plan["chat.postMessage"].append(Fault("limited", seconds=2))
    with pytest.raises(SlackApiError) as raised:
        await web.chat_postMessage(channel="C1", text="x")
    assert raised.value.response.headers["Retry-After"] == "2"
    assert slack.violations == []
    slack._closed_until["chat.postMessage"] = (0.0, slack._closed_until["chat.postMessage"][1])
    assert await error_of(web.chat_postMessage(channel="C1", text="x")) == "ratelimited"
    assert len(slack.violations) == 1


async def test_events_come_over_the_socket_until_they_are_acknowledged(slack: FakeSlack) -> None:
    heard: list[tuple[str, int]] = []

    async def listen(socket: Any, request: SocketModeRequest) -> None:
        heard.append((request.payload["event"]["type"], request.retry_attempt or 0))
        if len(heard) > 1:
            await socket.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))

    socket = SocketModeClient(app_token=APP_TOKEN, web_client=client(slack), ping_interval=0.2)
    socket.socket_mode_request_listeners.append(listen)
    await socket.connect()
    try:
        await slack.connected()
        slack.open_home("UANN")
        await slack.settle()
        assert heard == [("app_home_opened", 0), ("app_home_opened", 1)]
        slack.drop_sockets()
        await slack.connected()
        slack.post("C1", "UANN", f"<@{BOT_USER}> hello")
        await slack.settle()
        assert sorted(name for name, _ in heard[2:]) == ["app_mention", "message"]
    finally:
        await socket.close()
    assert slack.lost == []
