"""What somebody wrote in Slack as plain words, and whom it names."""

from __future__ import annotations

import html
import re

_MENTION = re.compile(r"<@([A-Z0-9]+)(?:\|[^<>]*)?>")
_GROUP = re.compile(r"<!(?:subteam\^[A-Z0-9]+|here|channel|everyone)(?:\|[^<>]*)?>")
_CHANNEL = re.compile(r"<#[A-Z0-9]+(?:\|([^<>]*))?>")
_DATE = re.compile(r"<!date\^[^<>|]*(?:\|([^<>]*))?>")
_LINK = re.compile(r"<((?:https?://|mailto:|tel:)[^<>|]*)(?:\|([^<>]*))?>")


def names(text: str, user: str) -> bool:
    """Whether somebody is mentioned."""
    return any(match[1] == user for match in _MENTION.finditer(text))


def names_others(text: str, user: str) -> bool:
    """Whether anybody else is mentioned, or a group of people."""
    return bool(_GROUP.search(text)) or any(match[1] != user for match in _MENTION.finditer(text))


def plain(text: str, user: str) -> str:
    """The words, without the mention of `user`; links, channels and dates by what is shown of them."""
    text = _MENTION.sub(lambda match: "" if match[1] == user else f"@{match[1]}", text)
    text = _CHANNEL.sub(lambda match: f"#{match[1] or 'channel'}", text)
    text = _DATE.sub(lambda match: match[1] or "", _GROUP.sub("", text))
    text = _LINK.sub(lambda match: match[2] or match[1], text)
    return html.unescape(text).strip()
