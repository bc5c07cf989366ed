"""What is read of what Slack sends when a button is pressed or a form sent off."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def thread_of(body: Mapping[str, Any]) -> str:
    message, container = body.get("message") or {}, body.get("container") or {}
    return str(message.get("thread_ts") or container.get("thread_ts") or message.get("ts") or container["message_ts"])


def kept(body: Mapping[str, Any]) -> dict[str, Any]:
    return dict(json.loads(body["view"]["private_metadata"]))


def values_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """What a form was filled with, by the names of its inputs."""
    found: dict[str, Any] = {}
    for block in body["view"]["state"]["values"].values():
        for name, state in block.items():
            if "selected_options" in state:
                found[name] = [one["value"] for one in state["selected_options"] or []]
            elif "selected_option" in state:
                found[name] = (state["selected_option"] or {}).get("value")
            else:
                found[name] = state.get("value") or state.get("selected_time")
    return found
