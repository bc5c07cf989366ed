"""`rag-bot slack check`: which token, scope or event is missing, and what mends it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from slack_sdk.errors import SlackApiError, SlackClientError

from rag_bot.doctor import Check
from rag_bot.settings import Settings
from rag_bot.slack.client import SlackClient
from rag_bot.slack.manifest import COMMAND, EVENTS, SCOPES, SHORTCUT

_REINSTALL = "Paste what `rag-bot slack manifest` prints under App Manifest, then install the app anew."
_BROKEN = (SlackClientError, OSError, TimeoutError)


async def check(settings: Settings) -> list[Check]:
    """Every check, in the order in which things are needed."""
    found: list[Check] = []
    bot = _Token(settings.slack_bot_token, "xoxb-", settings.slack_url)
    try:
        who = await bot.ask("auth.test")
        found.append(Check("bot token", "ok", f"{who.data['user']} in {who.data['team']}"))
        granted = {scope.strip() for scope in who.headers.get("x-oauth-scopes", "").split(",")}
        found += list(_scopes(granted))
        app_id = (await bot.ask("bots.info", bot=who.data["bot_id"])).data["bot"]["app_id"] if "users:read" in granted else ""
    except _Wrong as wrong:
        found.append(Check("bot token", "missing", str(wrong), "Set RAG_BOT_SLACK_BOT_TOKEN to the Bot User OAuth Token."))
        app_id = ""
    finally:
        await bot.close()
    found += await _transport(settings)
    found += await _events(settings, app_id)
    return found


def _scopes(granted: set[str]) -> Iterator[Check]:
    missing = [scope for scope in SCOPES if scope not in granted]
    for scope in missing:
        yield Check(f"scope {scope}", "missing", f"without it the bot can't {SCOPES[scope]}", _REINSTALL)
    if not missing:
        yield Check("scopes", "ok", f"all {len(SCOPES)} are granted")


async def _transport(settings: Settings) -> list[Check]:
    secret = settings.slack_signing_secret
    if settings.slack_app_token is None and secret is not None:
        return [Check("signing secret", "ok", "is set; requests come to /slack/events of `rag-bot serve`")]
    app = _Token(settings.slack_app_token, "xapp-", settings.slack_url)
    try:
        await app.ask("apps.connections.open")
        return [Check("app token", "ok", "Socket Mode can be used")]
    except _Wrong as wrong:
        mend = "Set RAG_BOT_SLACK_APP_TOKEN to an app-level token with the scope connections:write."
        return [Check("app token", "missing", str(wrong), mend)]
    finally:
        await app.close()


async def _events(settings: Settings, app_id: str) -> list[Check]:
    if settings.slack_config_token is None:
        mend = "Set RAG_BOT_SLACK_CONFIG_TOKEN to a configuration token of the app."
        return [Check("events", "warn", "can't be seen without a configuration token", mend)]
    config = _Token(settings.slack_config_token, "xoxe", settings.slack_url)
    try:
        exported = (await config.ask("apps.manifest.export", app_id=app_id)).data["manifest"]
    except _Wrong as wrong:
        return [Check("events", "warn", f"can't be seen: {wrong}", "Make a new configuration token: they last twelve hours.")]
    finally:
        await config.close()
    faults = list(_faults(exported, socket=settings.slack_app_token is not None))
    return faults or [Check("events", "ok", f"all {len(EVENTS)} are subscribed to")]


def _faults(exported: Mapping[str, Any], *, socket: bool) -> Iterator[Check]:
    """What an exported manifest lacks."""
    settings, features = exported.get("settings") or {}, exported.get("features") or {}
    subscribed = (settings.get("event_subscriptions") or {}).get("bot_events") or []
    for event in EVENTS:
        if event not in subscribed:
            yield Check(f"event {event}", "missing", "the app is not subscribed to it", _REINSTALL)
    if not (settings.get("interactivity") or {}).get("is_enabled"):
        yield Check("interactivity", "missing", "buttons and forms do nothing", _REINSTALL)
    if socket and not settings.get("socket_mode_enabled"):
        yield Check("Socket Mode", "missing", "is switched off", _REINSTALL)
    if COMMAND not in [one.get("command") for one in features.get("slash_commands") or []]:
        yield Check(f"command {COMMAND}", "missing", "the app does not have it", _REINSTALL)
    if SHORTCUT not in [one.get("callback_id") for one in features.get("shortcuts") or []]:
        yield Check("shortcut", "missing", "the app has no “Answer this”", _REINSTALL)
    if not (features.get("app_home") or {}).get("messages_tab_enabled"):
        yield Check("Messages tab", "missing", "nobody can write to the bot", _REINSTALL)
    if "agent_view" not in features:
        yield Check("agent view", "missing", "the app has none (assistant_view is the former one)", _REINSTALL)


class _Wrong(Exception):
    """Why something can't be used."""


class _Token:
    def __init__(self, secret: Any, begins: str, url: str) -> None:
        self._token = secret.get_secret_value() if secret else ""
        self._begins, self._client = begins, SlackClient(self._token, url)

    async def ask(self, method: str, **params: str) -> Any:
        """Slack's answer. Raises _Wrong with a reason for people."""
        if not self._token:
            raise _Wrong("is not set")
        if not self._token.startswith(self._begins):
            raise _Wrong(f"does not begin with {self._begins}")
        try:
            return await self._client.web.api_call(method, params=params)
        except SlackApiError as error:
            data = error.response.data if isinstance(error.response.data, dict) else {}
            needed = f" (needs {data['needed']})" if data.get("needed") else ""
            raise _Wrong(f"Slack says {data.get('error') or error.response.status_code}{needed}") from error
        except _BROKEN as error:
            raise _Wrong(f"Slack can't be reached: {type(error).__name__}") from error

    async def close(self) -> None:
        await self._client.close()
