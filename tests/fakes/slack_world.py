"""What the fake of Slack holds: people, channels, messages, and what is to go wrong."""

from __future__ import annotations

import random
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

BOT_TOKEN = "xoxb-fake-0123456789-abcdef"
APP_TOKEN = "xapp-1-A0APP-fake-0123456789"
CONFIG_TOKEN = "xoxe.xoxp-fake-0123456789"
SIGNING_SECRET = "5f2b8c9d0e1f2a3b4c5d6e7f80912a3b"
TEAM, OTHER_TEAM, APP, BOT_USER, BOT = "T0TEAM", "T0OTHER", "A0APP", "U0BOT", "B0BOT"

SCOPES = {
    "chat.postMessage": "chat:write",
    "chat.update": "chat:write",
    "chat.delete": "chat:write",
    "chat.postEphemeral": "chat:write",
    "chat.startStream": "chat:write",
    "chat.appendStream": "chat:write",
    "chat.stopStream": "chat:write",
    "assistant.threads.setStatus": "chat:write",
    "assistant.threads.setTitle": "assistant:write",
    "assistant.threads.setSuggestedPrompts": "assistant:write",
    "users.info": "users:read",
    "users.list": "users:read",
    "bots.info": "users:read",
    "usergroups.users.list": "usergroups:read",
    "files.info": "files:read",
}
EVENT_SCOPES = {"app_mention": "app_mentions:read", "reaction_added": "reactions:read", "reaction_removed": "reactions:read"}
HISTORY = {"channel": "channels:history", "group": "groups:history", "im": "im:history", "mpim": "mpim:history"}
READ = {"channel": "channels:read", "group": "groups:read", "im": "im:read", "mpim": "mpim:read"}
MESSAGE_CHARS, UPDATE_CHARS, MARKDOWN_CHARS = 40_000, 4_000, 12_000
TITLE_CHARS = 256  # of a task card


@dataclass
class User:
    """A person (or another app) as users.info knows them."""

    id: str
    email: str = ""
    admin: bool = False
    guest: bool = False
    bot: bool = False
    deleted: bool = False
    team: str = TEAM
    tz: str = "Europe/Brussels"

    def as_dict(self, *, emails: bool) -> dict[str, Any]:
        profile = {"real_name": self.id.title(), "display_name": ""}
        if emails and self.email and self.team == TEAM:
            profile["email"] = self.email
        return {
            "id": self.id,
            "team_id": self.team,
            "name": self.id.lower(),
            "deleted": self.deleted,
            "is_admin": self.admin,
            "is_owner": False,
            "is_bot": self.bot,
            "is_restricted": self.guest,
            "is_ultra_restricted": False,
            "is_stranger": self.team != TEAM,
            "tz": self.tz,
            "profile": profile,
        }


@dataclass
class Channel:
    """A conversation; `kind` as Slack's channel_type."""

    id: str
    members: set[str]
    kind: Literal["channel", "group", "im", "mpim"] = "channel"
    shared: bool = False
    archived: bool = False


@dataclass
class Message:
    """A message as the channel shows it now. `texts` is what was streamed or set as Markdown, in order."""

    channel: str
    ts: str
    user: str
    text: str = ""
    thread_ts: str = ""
    texts: list[str] = field(default_factory=list)
    blocks: list[dict[str, Any]] = field(default_factory=list)
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)
    state: Literal["plain", "streaming", "done", "dead"] = "plain"
    ends: float = 0.0
    metadata: dict[str, Any] | None = None
    only_for: str = ""
    updates: int = 0
    files: list[dict[str, Any]] = field(default_factory=list)

    @property
    def shown(self) -> str:
        """The Markdown that a reader sees as the body of the message."""
        body = [block["text"] for block in self.blocks if block["type"] == "markdown"]
        return "".join(self.texts) or "\n\n".join(body) or self.text

    def find(self, kind: str) -> list[dict[str, Any]]:
        """All blocks and elements of a type."""
        found = [block for block in self.blocks if block["type"] == kind]
        for block in self.blocks:
            found += [one for one in block.get("elements", []) if one.get("type") == kind]
        return found

    @property
    def small_print(self) -> str:
        """The texts of all context and section blocks."""
        lines = [one["text"] for block in self.blocks if block["type"] == "context" for one in block["elements"]]
        return "\n".join([*lines, *(block["text"]["text"] for block in self.blocks if block["type"] == "section")])


@dataclass(frozen=True)
class Faults:
    """Shares of API calls that fail: refused with 429, answered 500 (half of them after the deed was done), cut off (the
    same), answered late; and of events that come twice, late, or over a socket that is then dropped."""

    limited: float = 0.0
    broken: float = 0.0
    cut: float = 0.0
    slow: float = 0.0
    slow_seconds: float = 0.3
    retry_after: int = 1
    twice: float = 0.0
    late: float = 0.0
    late_seconds: float = 0.3
    dropped: float = 0.0


@dataclass(frozen=True)
class Fault:
    """What becomes of one planned call. `done`: it takes effect all the same."""

    kind: Literal["limited", "broken", "cut", "slow", "error"]
    done: bool = False
    seconds: float = 1.0
    error: str = ""


class Refused(Exception):
    """An API call that Slack answers with ok: false."""

    def __init__(self, error: str, detail: str = "", **more: Any) -> None:
        super().__init__(error)
        self.error, self.detail, self.more = error, detail, more


@dataclass(frozen=True)
class Call:
    """One API call as it came."""

    method: str
    data: Mapping[str, Any]
    at: float


class World(ABC):
    """One workspace with one app installed, and what came of it.

    `refused` holds what was turned down as wrong (not what faults did), `violations` what a well-behaved client does not do.
    """

    def __init__(self, faults: Faults, seed: int, stream_seconds: float, scopes: frozenset[str] | None) -> None:
        self.faults, self.chance, self.stream_seconds = faults, random.Random(seed), stream_seconds
        every = {*SCOPES.values(), *EVENT_SCOPES.values(), *HISTORY.values(), *READ.values(), "users:read.email", "commands"}
        self.scopes = frozenset(every if scopes is None else scopes)
        self.users: dict[str, User] = {BOT_USER: User(BOT_USER, bot=True)}
        self.channels: dict[str, Channel] = {}
        self.groups: dict[str, list[str]] = {}
        self.messages: dict[str, dict[str, Message]] = defaultdict(dict)
        self.ephemeral: list[Message] = []
        self.statuses: list[tuple[str, str, str]] = []
        self.titles: dict[tuple[str, str], str] = {}
        self.prompts: dict[str, list[dict[str, str]]] = {}
        self.views: list[tuple[str, dict[str, Any]]] = []
        self.homes: dict[str, dict[str, Any]] = {}
        self.files: dict[str, tuple[str, bytes]] = {}
        self.manifest: dict[str, Any] = {}
        self.refused: list[tuple[str, str, str, Mapping[str, Any]]] = []
        self.violations: list[str] = []
        self.triggers_live_seconds, self.hooks_live_seconds = 3.0, 1800.0
        self._sequence = 0
        self._triggers: dict[str, float] = {}
        self._hooks: dict[str, tuple[str, str, int, float, str]] = {}
        self.port = 0

    def next_ts(self) -> str:
        self._sequence += 1
        return f"{int(time.time())}.{self._sequence:06d}"

    @abstractmethod
    def send_event(self, event: Mapping[str, Any], event_id: str = "") -> None:
        """Deliver an event, with all that may go wrong with it."""

    def user(self, id: str, email: str = "", **more: Any) -> User:
        self.users[id] = User(id, email or f"{id.lower()}@example.com", **more)
        return self.users[id]

    def channel(self, id: str, *members: str, **more: Any) -> Channel:
        self.channels[id] = Channel(id, {*members, BOT_USER}, **more)
        for member in members:
            if member not in self.users:
                self.user(member)
        return self.channels[id]

    def im(self, user: str) -> Channel:
        return self.channels.get(f"D{user}") or self.channel(f"D{user}", user, kind="im")

    def thread(self, channel: str, ts: str) -> list[Message]:
        """A thread's messages, its first one included, in order."""
        found = [m for m in self.messages[channel].values() if ts in (m.ts, m.thread_ts)]
        return sorted(found, key=lambda message: message.ts)

    def answers(self, channel: str, ts: str) -> list[Message]:
        """What the bot said in a thread."""
        return [message for message in self.thread(channel, ts) if message.user == BOT_USER]
