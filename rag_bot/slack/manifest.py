"""The app's manifest: what Slack needs to know to make the app, and what `rag-bot slack check` looks for."""

from __future__ import annotations

from typing import Any

SCOPES = {
    "app_mentions:read": "hear when it is mentioned",
    "assistant:write": "suggest questions and give threads titles",
    "channels:history": "follow threads in public channels",
    "channels:read": "know who is in a public channel",
    "chat:write": "answer",
    "commands": "take /ask and the shortcut",
    "files:read": "take in files from direct messages",
    "groups:history": "follow threads in private channels",
    "groups:read": "know who is in a private channel",
    "im:history": "take direct messages",
    "im:read": "know direct messages",
    "mpim:history": "follow group messages",
    "mpim:read": "know who is in a group message",
    "reactions:read": "count thumbs as feedback",
    "usergroups:read": "know who may save answers as documents",
    "users:read": "know who is a guest, and who is an admin",
    "users:read.email": "match people by e-mail address with the file of readers",
}
"""Each scope of the bot, and what it is for."""
EVENTS = (
    "app_home_opened",
    "app_mention",
    "message.channels",
    "message.groups",
    "message.im",
    "message.mpim",
    "reaction_added",
    "reaction_removed",
)
COMMAND, SHORTCUT = "/ask", "answer_this"
PATH = "/slack/events"


def manifest(name: str = "Ask your documents", url: str = "") -> dict[str, Any]:
    """The manifest. `url` is the service's public address, for HTTP; without it the app uses Socket Mode."""
    events: dict[str, Any] = {"bot_events": list(EVENTS)}
    interactivity: dict[str, Any] = {"is_enabled": True}
    command: dict[str, Any] = {"command": COMMAND, "description": "Ask your documents", "usage_hint": "[question] or config"}
    command["should_escape"] = True
    if url:
        address = url.rstrip("/") + PATH
        events["request_url"] = interactivity["request_url"] = command["url"] = address
    about = "Answers from your documents; every sentence is proved by a quote from a source."
    return {
        "_metadata": {"major_version": 2},
        "display_information": {"name": name[:35], "description": about},
        "features": {
            "agent_view": {"agent_description": about},
            "app_home": {"home_tab_enabled": True, "messages_tab_enabled": True, "messages_tab_read_only_enabled": False},
            "bot_user": {"display_name": name[:80], "always_online": True},
            "shortcuts": [
                {
                    "name": "Answer this",
                    "type": "message",
                    "callback_id": SHORTCUT,
                    "description": "Answer this message from the documents",
                }
            ],
            "slash_commands": [command],
        },
        "oauth_config": {"scopes": {"bot": sorted(SCOPES)}},
        "settings": {
            "event_subscriptions": events,
            "interactivity": interactivity,
            "org_deploy_enabled": False,
            "socket_mode_enabled": not url,
            "token_rotation_enabled": False,
        },
    }
