"""Slack over real sockets: Web API, Socket Mode, signed HTTP events; strict about every payload, and failing as Slack fails."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import random
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, Self
from urllib.parse import urlencode

import aiohttp
from aiohttp import web

from tests.fakes import slack_blocks
from tests.fakes.slack_blocks import BadBlocks

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


class FakeSlack:
    """One workspace with one app installed. Runs in the event loop of the test while the `async with` block lasts.

    `stream_seconds` is how long a stream lives, `retries` the waits before each delivery of an event, `ack_seconds` how
    long an acknowledgement may take. `hook` is called before and after each call takes effect.
    `refused` holds what was turned down as wrong (not what faults did), `violations`
    what a well-behaved client does not do.
    """

    def __init__(
        self,
        *,
        faults: Faults = Faults(),
        seed: int = 0,
        stream_seconds: float = 300.0,
        ack_seconds: float = 3.0,
        retries: tuple[float, ...] = (0.0, 0.0, 60.0, 300.0),
        scopes: frozenset[str] | None = None,
    ) -> None:
        self.faults, self.chance = faults, random.Random(seed)
        self.stream_seconds, self.ack_seconds, self.retries = stream_seconds, ack_seconds, retries
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
        self.responses: list[dict[str, Any]] = []
        self.files: dict[str, tuple[str, bytes]] = {}
        self.manifest: dict[str, Any] = {}
        self.calls: list[Call] = []
        self.refused: list[tuple[str, str, str, Mapping[str, Any]]] = []
        self.violations: list[str] = []
        self.lost: list[Mapping[str, Any]] = []
        self.plan: dict[str, deque[Fault]] = defaultdict(deque)
        self.rates: dict[str, tuple[int, float]] = {}
        self.http_target = ""
        self.triggers_live_seconds, self.hooks_live_seconds = 3.0, 1800.0
        self.hook: Callable[[str, bool], None] = lambda method, done: None
        self._sequence = 0
        self._closed_until: dict[str, tuple[float, float]] = {}
        self._recent: dict[str, deque[float]] = defaultdict(deque)
        self._triggers: dict[str, float] = {}
        self._hooks: dict[str, tuple[str, str, int, float, str]] = {}
        self._sockets: list[web.WebSocketResponse] = []
        self._acks: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._connected = asyncio.Event()
        self.port = 0

    # --- the server

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def api(self) -> str:
        return f"{self.url}/api/"

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/api/{method}", self._call)
        app.router.add_get("/api/{method}", self._call)
        app.router.add_get("/link", self._link)
        app.router.add_post("/response/{id}", self._respond)
        app.router.add_get("/files/{id}/{name}", self._file)
        self._runner = web.AppRunner(app, shutdown_timeout=0.2, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self._http = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for socket in self._sockets:
            with suppress(Exception):
                await socket.close()
        await self._http.close()
        await self._runner.cleanup()

    def _start(self, work: Awaitable[Any]) -> asyncio.Task[Any]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def next_ts(self) -> str:
        self._sequence += 1
        return f"{int(time.time())}.{self._sequence:06d}"

    async def settle(self) -> None:
        """Wait until every event has been delivered or given up."""
        while pending := [task for task in self._tasks if not task.done()]:
            await asyncio.wait(pending)

    # --- the world

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

    # --- what people do

    def post(
        self,
        channel: str,
        user: str,
        text: str,
        thread_ts: str = "",
        *,
        files: list[dict[str, Any]] | None = None,
        twins: bool = True,
    ) -> str:
        """A person writes; the app hears of it, of a mention in both of its forms. Gives the message's ts."""
        place = self.channels[channel]
        ts = self.next_ts()
        self.messages[channel][ts] = Message(channel, ts, user, text, thread_ts, files=files or [])
        event: dict[str, Any] = {"type": "message", "channel": channel, "channel_type": place.kind, "user": user, "text": text}
        event |= {"ts": ts, "event_ts": ts, "team": self.users[user].team, "client_msg_id": f"{ts}-client"}
        if thread_ts:
            event |= {"thread_ts": thread_ts, "parent_user_id": self.messages[channel][thread_ts].user}
        if files:
            event |= {"subtype": "file_share", "files": files}
        if BOT_USER in place.members and HISTORY[place.kind] in self.scopes and (twins or f"<@{BOT_USER}>" not in text):
            self.send_event(event)
        if f"<@{BOT_USER}>" in text and place.kind != "im" and EVENT_SCOPES["app_mention"] in self.scopes:
            mention = {key: value for key, value in event.items() if key not in ("channel_type", "files", "subtype")}
            self.send_event({**mention, "type": "app_mention"})
        return ts

    def file(self, name: str, data: bytes, **more: Any) -> dict[str, Any]:
        """A file as a message carries it."""
        file_id = f"F{len(self.files):04d}"
        self.files[file_id] = (name, data)
        url = f"{self.url}/files/{file_id}/{name}"
        return {"id": file_id, "name": name, "size": len(data), "mode": "hosted", "url_private_download": url, **more}

    def react(self, user: str, channel: str, ts: str, reaction: str = "+1", *, removed: bool = False) -> None:
        item = {"type": "message", "channel": channel, "ts": ts}
        kind = "reaction_removed" if removed else "reaction_added"
        self.send_event({"type": kind, "user": user, "reaction": reaction, "item": item, "event_ts": self.next_ts()})

    def open_home(self, user: str, tab: str = "home") -> None:
        event = {"type": "app_home_opened", "user": user, "channel": self.im(user).id, "tab": tab}
        self.send_event({**event, "event_ts": self.next_ts()})

    def join(self, user: str, channel: str) -> None:
        """Somebody comes into a channel; the app has not asked to hear of it."""
        self.channels[channel].members.add(user)

    async def command(self, user: str, channel: str, text: str, command: str = "/ask") -> Any:
        payload = {"command": command, "text": text, "user_id": user, "channel_id": channel, "team_id": TEAM}
        payload |= {"api_app_id": APP, "trigger_id": self._trigger(), "response_url": self._hook(channel, user)}
        return await self._interact("slash_commands", payload)

    async def press(self, user: str, message: Message, action_id: str, value: str | None = None) -> Any:
        """Press a button of a message (of feedback buttons, the one with `value`)."""
        found = [one for block in message.blocks for one in _pressable(block) if one["action_id"] == action_id]
        assert found, f"there is no {action_id} to press"
        action = {"type": found[0]["type"], "action_id": action_id, "action_ts": self.next_ts(), "block_id": "b"}
        action["value"] = found[0].get("value", "") if value is None else value
        container: dict[str, Any] = {"type": "message", "message_ts": message.ts, "channel_id": message.channel}
        container |= {"is_ephemeral": bool(message.only_for)}
        shown = {"type": "message", "user": BOT_USER, "ts": message.ts, "text": message.text, "blocks": message.blocks}
        shown |= {"thread_ts": message.thread_ts} if message.thread_ts else {}
        return await self._interact("interactive", self._actions(user, action, container, message.channel, shown))

    async def press_home(self, user: str, action_id: str, value: str) -> Any:
        found = [one for block in self.homes[user]["blocks"] for one in _pressable(block)]
        assert any(one["action_id"] == action_id and one.get("value") == value for one in found), f"no {action_id} {value}"
        action = {"type": "button", "action_id": action_id, "value": value, "action_ts": self.next_ts(), "block_id": "b"}
        return await self._interact("interactive", self._actions(user, action, {"type": "view", "view_id": "V1"}, "", None))

    def _actions(
        self, user: str, action: dict[str, Any], container: dict[str, Any], channel: str, message: dict[str, Any] | None
    ) -> dict[str, Any]:
        payload: dict[str, Any] = {"type": "block_actions", "user": {"id": user, "team_id": TEAM}, "api_app_id": APP}
        payload |= {"team": {"id": TEAM}, "actions": [action], "container": container, "trigger_id": self._trigger()}
        if channel:
            hook = self._hook(channel, user, message["ts"] if message else "")
            payload |= {"channel": {"id": channel}, "message": message, "response_url": hook}
        return payload

    async def shortcut(self, user: str, callback_id: str, channel: str, ts: str) -> Any:
        found = self.messages[channel][ts]
        message = {"type": "message", "user": found.user, "ts": ts, "text": found.text}
        message |= {"thread_ts": found.thread_ts} if found.thread_ts else {}
        payload = {"type": "message_action", "callback_id": callback_id, "user": {"id": user, "team_id": TEAM}}
        payload |= {"team": {"id": TEAM}, "channel": {"id": channel}, "message": message, "api_app_id": APP}
        payload |= {"trigger_id": self._trigger(), "response_url": self._hook(channel, user), "message_ts": ts}
        return await self._interact("interactive", payload)

    async def submit(self, user: str, **values: Any) -> Any:
        """Fill the last modal that was opened for somebody, by action_id, and send it off."""
        view = next(view for owner, view in reversed(self.views) if owner == user)
        state: dict[str, dict[str, Any]] = {}
        for number, block in enumerate(view["blocks"]):
            if block["type"] == "input":
                one = block["element"]
                key = block.get("block_id", f"block{number}")
                state[key] = {one["action_id"]: _filled(one, values.pop(one["action_id"], None))}
        assert not values, f"the form has no {sorted(values)}"
        sent = {**view, "id": "V1", "state": {"values": state}, "app_installed_team_id": TEAM}
        payload = {"type": "view_submission", "user": {"id": user, "team_id": TEAM}, "team": {"id": TEAM}, "view": sent}
        return await self._interact("interactive", {**payload, "api_app_id": APP, "response_urls": []})

    def _trigger(self) -> str:
        trigger = f"trigger.{self.next_ts()}"
        self._triggers[trigger] = time.monotonic() + self.triggers_live_seconds
        return trigger

    def _hook(self, channel: str, user: str, message_ts: str = "") -> str:
        hook = f"hook{len(self._hooks)}"
        self._hooks[hook] = (channel, user, 5, time.monotonic() + self.hooks_live_seconds, message_ts)
        return f"{self.url}/response/{hook}"

    # --- delivery

    def send_event(self, event: Mapping[str, Any], event_id: str = "") -> None:
        """Deliver an event, with all that may go wrong with it."""
        event_id = event_id or f"Ev{self.next_ts().replace('.', '')}"
        body: dict[str, Any] = {"type": "event_callback", "token": "gone", "team_id": TEAM, "api_app_id": APP}
        body |= {"event": dict(event), "event_id": event_id, "event_time": int(time.time())}
        place = self.channels.get(str(event.get("channel", "")))
        body |= {"is_ext_shared_channel": bool(place and place.shared)}
        body |= {"authorizations": [{"enterprise_id": None, "team_id": TEAM, "user_id": BOT_USER, "is_bot": True}]}
        self._start(self._deliver(body))

    async def _deliver(self, body: Mapping[str, Any]) -> None:
        if self.chance.random() < self.faults.late:
            await asyncio.sleep(self.chance.uniform(0, self.faults.late_seconds))
        again = self.chance.random() < self.faults.twice
        for attempt, wait in enumerate(self.retries):
            await asyncio.sleep(wait)
            if await self._attempt("events_api", body, attempt) is not None:
                if again:  # an acknowledgement that got lost on Slack's side
                    await self._attempt("events_api", body, attempt + 1)
                return
        self.lost.append(body)

    async def _attempt(self, kind: str, body: Mapping[str, Any], attempt: int) -> Any:
        """What the acknowledgement held, {} if nothing, None where there was none in time."""
        if self.http_target:
            return await self._attempt_http(kind, body, attempt)
        sockets = [one for one in self._sockets if not one.closed]
        if not sockets:
            return None
        socket, envelope = self.chance.choice(sockets), f"{self.next_ts()}-envelope"
        frame: dict[str, Any] = {"type": kind, "envelope_id": envelope, "payload": body}
        frame |= {"accepts_response_payload": kind != "events_api"}
        if attempt:
            frame |= {"retry_attempt": attempt, "retry_reason": "timeout"}
        future = self._acks[envelope] = asyncio.get_running_loop().create_future()
        try:
            await socket.send_json(frame)
            if self.chance.random() < self.faults.dropped:
                self._drop(socket)
            return await asyncio.wait_for(future, self.ack_seconds)
        except (TimeoutError, ConnectionError, RuntimeError):
            return None
        finally:
            self._acks.pop(envelope, None)

    async def _attempt_http(self, kind: str, body: Mapping[str, Any], attempt: int) -> Any:
        if kind == "events_api":
            data, content = json.dumps(body), "application/json"
        else:
            pairs = dict(body) if kind == "slash_commands" else {"payload": json.dumps(body)}
            data, content = urlencode(pairs), "application/x-www-form-urlencoded"
        headers = {"Content-Type": content, **signed(data)}
        if attempt:
            headers |= {"X-Slack-Retry-Num": str(attempt), "X-Slack-Retry-Reason": "http_timeout"}
        try:
            timeout = aiohttp.ClientTimeout(total=self.ack_seconds)
            async with self._http.post(self.http_target, data=data, headers=headers, timeout=timeout) as response:
                said = await response.text()
                if response.status != 200:
                    return None
                return json.loads(said) if said.startswith("{") else {"text": said} if said else {}
        except (TimeoutError, aiohttp.ClientError):
            return None

    async def _interact(self, kind: str, payload: Mapping[str, Any]) -> Any:
        """A person waits for it: it is sent once."""
        ack = await self._attempt(kind, payload, 0)
        if ack is None:
            self.violations.append(f"{kind} was not acknowledged")
        if isinstance(ack, dict) and ack.get("blocks"):
            slack_blocks.check(ack["blocks"])
        if isinstance(ack, dict) and ack.get("view"):
            slack_blocks.view(ack["view"])
        return ack

    async def _link(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(heartbeat=30)
        await socket.prepare(request)
        if request.query.get("ticket") != "good":
            await socket.close()
            return socket
        self._sockets.append(socket)
        await socket.send_json({"type": "hello", "num_connections": len(self._sockets), "connection_info": {"app_id": APP}})
        self._connected.set()
        async for message in socket:
            if message.type == aiohttp.WSMsgType.TEXT:
                said = json.loads(message.data)
                future = self._acks.get(said.get("envelope_id", ""))
                if future and not future.done():
                    future.set_result(said.get("payload") or {})
        if socket in self._sockets:
            self._sockets.remove(socket)
        return socket

    async def connected(self) -> None:
        """Wait for a Socket Mode client."""
        while not any(not one.closed for one in self._sockets):
            self._connected.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._connected.wait(), 0.2)

    def _drop(self, socket: web.WebSocketResponse) -> None:
        transport = socket._req.transport if socket._req else None
        if socket in self._sockets:
            self._sockets.remove(socket)
        if transport:
            transport.abort()

    def drop_sockets(self) -> None:
        """Cut every Socket Mode connection off without a word."""
        for socket in list(self._sockets):
            self._drop(socket)

    async def refresh_sockets(self) -> None:
        """Ask every client to connect anew, as Slack does every few hours."""
        for socket in list(self._sockets):
            await socket.send_json({"type": "disconnect", "reason": "refresh_requested", "debug_info": {}})

    # --- the Web API

    async def _call(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        data = await _data(request)
        self.calls.append(Call(method, data, time.monotonic()))
        headers = {"x-oauth-scopes": ",".join(sorted(self.scopes))}
        wait = self._limited(method)
        if wait:
            return web.json_response({"ok": False, "error": "ratelimited"}, status=429, headers={"Retry-After": str(wait)})
        fault = self.plan[method].popleft() if self.plan[method] else self._fault(method)
        if fault and fault.kind == "limited":
            self._closed_until[method] = (time.monotonic() + 0.15, time.monotonic() + fault.seconds)
            limit = {"Retry-After": str(int(fault.seconds) or 1)}
            return web.json_response({"ok": False, "error": "ratelimited"}, status=429, headers=limit)
        if fault and fault.kind == "error":
            return web.json_response({"ok": False, "error": fault.error}, headers=headers)
        answer: dict[str, Any] = {}
        self.hook(method, False)
        if fault is None or fault.done or fault.kind == "slow":
            answer = self._answer(method, data, request)
        self.hook(method, True)
        if fault and fault.kind == "broken":
            return web.Response(text="<html>Internal Server Error</html>", status=500, content_type="text/html")
        if fault and fault.kind == "cut":
            assert request.transport
            request.transport.abort()
        if fault and fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
        return web.json_response(answer, headers=headers)

    def _answer(self, method: str, data: dict[str, Any], request: web.Request) -> dict[str, Any]:
        try:
            self._allowed(method, data, request)
            handler: Callable[[dict[str, Any]], dict[str, Any]] | None
            handler = getattr(self, "_" + method.replace(".", "_"), None)
            if handler is None:
                raise Refused("unknown_method")
            return {"ok": True, **handler(data)}
        except BadBlocks as bad:
            self.refused.append((method, "invalid_blocks", str(bad), data))
            return {"ok": False, "error": "invalid_blocks", "response_metadata": {"messages": [str(bad)]}}
        except Refused as refused:
            self.refused.append((method, refused.error, refused.detail, data))
            return {"ok": False, "error": refused.error, **refused.more}
        except KeyError as missing:
            self.refused.append((method, "invalid_arguments", str(missing), data))
            return {"ok": False, "error": "invalid_arguments"}

    def _limited(self, method: str) -> int:
        now = time.monotonic()
        from_, until = self._closed_until.get(method, (0.0, 0.0))
        if from_ < now < until - 0.05:  # (what was on its way when the limit was told is no offence)
            self.violations.append(f"{method} {until - now:.2f} s before Retry-After")
        if now < until:
            return max(1, round(until - now))
        if method in self.rates:
            most, seconds = self.rates[method]
            times = self._recent[method]
            while times and times[0] <= now - seconds:
                times.popleft()
            if len(times) >= most:
                wait = max(1.0, times[0] + seconds - now)
                self._closed_until[method] = (now + 0.15, now + wait)
                return max(1, int(wait + 0.999))
            times.append(now)
        return 0

    def _fault(self, method: str) -> Fault | None:
        if method in ("apps.connections.open", "auth.test"):
            return None
        at, faults = self.chance.random(), self.faults
        for share, kind in (
            (faults.limited, "limited"),
            (faults.broken, "broken"),
            (faults.cut, "cut"),
            (faults.slow, "slow"),
        ):
            if at < share:
                seconds = faults.retry_after if kind == "limited" else faults.slow_seconds
                return Fault(kind, self.chance.random() < 0.5, seconds)  # type: ignore[arg-type]
            at -= share
        return None

    def _allowed(self, method: str, data: dict[str, Any], request: web.Request) -> None:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ") or data.pop("token", "")
        wanted = {"apps.connections.open": APP_TOKEN, "apps.manifest.export": CONFIG_TOKEN}.get(method, BOT_TOKEN)
        if token != wanted:
            raise Refused("not_authed" if not token else "invalid_auth")
        needed = SCOPES.get(method)
        if method.startswith("conversations."):
            place = self.channels.get(data.get("channel", ""))
            kinds = HISTORY if method in ("conversations.replies", "conversations.history") else READ
            needed = kinds[place.kind] if place else None
        if needed and needed not in self.scopes:
            raise Refused("missing_scope", needed, needed=needed, provided=",".join(sorted(self.scopes)))

    # methods

    def _auth_test(self, data: dict[str, Any]) -> dict[str, Any]:
        return {
            "url": "https://team.slack.com/",
            "team": "Team",
            "team_id": TEAM,
            "user": "bot",
            "user_id": BOT_USER,
            "bot_id": BOT,
        }

    def _apps_connections_open(self, data: dict[str, Any]) -> dict[str, Any]:
        return {"url": f"ws://127.0.0.1:{self.port}/link?ticket=good"}

    def _apps_manifest_export(self, data: dict[str, Any]) -> dict[str, Any]:
        if data["app_id"] != APP:
            raise Refused("invalid_app_id")
        return {"manifest": self.manifest}

    def _bots_info(self, data: dict[str, Any]) -> dict[str, Any]:
        return {"bot": {"id": BOT, "app_id": APP, "user_id": BOT_USER, "name": "bot"}}

    def _users_info(self, data: dict[str, Any]) -> dict[str, Any]:
        if data["user"] not in self.users:
            raise Refused("user_not_found")
        return {"user": self.users[data["user"]].as_dict(emails="users:read.email" in self.scopes)}

    def _users_list(self, data: dict[str, Any]) -> dict[str, Any]:
        emails = "users:read.email" in self.scopes
        found = [user.as_dict(emails=emails) for user in self.users.values() if user.team == TEAM]
        return self._page("members", found, data)

    def _page(self, name: str, found: list[Any], data: Mapping[str, Any]) -> dict[str, Any]:
        size, start = min(int(data.get("limit") or 100), 1000), int(data.get("cursor") or 0)
        following = str(start + size) if start + size < len(found) else ""
        return {name: found[start : start + size], "response_metadata": {"next_cursor": following}}

    def _usergroups_users_list(self, data: dict[str, Any]) -> dict[str, Any]:
        if data["usergroup"] not in self.groups:
            raise Refused("no_such_subteam")
        return {"users": self.groups[data["usergroup"]]}

    def _conversations_info(self, data: dict[str, Any]) -> dict[str, Any]:
        place = self._place(data, member=False)
        shown = {"id": place.id, "is_im": place.kind == "im", "is_mpim": place.kind == "mpim", "is_archived": place.archived}
        shown |= {
            "is_private": place.kind != "channel",
            "is_ext_shared": place.shared,
            "is_shared": place.shared,
            "name": place.id.lower(),
        }
        return {"channel": shown}

    def _conversations_members(self, data: dict[str, Any]) -> dict[str, Any]:
        return self._page("members", sorted(self._place(data).members), data)

    def _conversations_replies(self, data: dict[str, Any]) -> dict[str, Any]:
        self._place(data)
        thread = self.thread(data["channel"], data["ts"])
        if not thread:
            raise Refused("thread_not_found")
        return self._listed(thread, data)

    def _conversations_history(self, data: dict[str, Any]) -> dict[str, Any]:
        self._place(data)
        found = [message for message in self.messages[data["channel"]].values() if not message.thread_ts]
        return self._listed(sorted(found, key=lambda message: message.ts, reverse=True), data)

    def _listed(self, messages: list[Message], data: dict[str, Any]) -> dict[str, Any]:
        oldest = data.get("oldest", "0")
        shown = []
        for message in messages:
            if message.ts <= oldest and message.ts != data.get("ts"):
                continue
            one: dict[str, Any] = {"type": "message", "user": message.user, "ts": message.ts, "text": message.text}
            one |= {"thread_ts": message.thread_ts} if message.thread_ts else {}
            one |= {"bot_id": BOT} if message.user == BOT_USER else {}
            if message.metadata and data.get("include_all_metadata") in (True, "true", "1", 1):
                one["metadata"] = message.metadata
            shown.append(one)
        answer = self._page("messages", shown, data)
        return {**answer, "has_more": bool(answer["response_metadata"]["next_cursor"])}

    def _chat_postMessage(self, data: dict[str, Any]) -> dict[str, Any]:
        if data["channel"] in self.users:  # a person's id is the direct message with the app
            data = {**data, "channel": self.im(data["channel"]).id}
        place = self._place(data)
        message = Message(place.id, self.next_ts(), BOT_USER)
        self._thread_of(message, data)
        self._body(message, data, MESSAGE_CHARS)
        self.messages[place.id][message.ts] = message
        self._said(message)
        return {"channel": place.id, "ts": message.ts}

    def _chat_update(self, data: dict[str, Any]) -> dict[str, Any]:
        message = self._own(data)
        self._expire(message)
        if message.state == "streaming":
            raise Refused("streaming_state_conflict")
        self._body(message, data, UPDATE_CHARS)
        message.updates += 1
        return {"channel": message.channel, "ts": message.ts}

    def _chat_delete(self, data: dict[str, Any]) -> dict[str, Any]:
        message = self._own(data)
        del self.messages[message.channel][message.ts]
        return {"channel": message.channel, "ts": message.ts}

    def _chat_postEphemeral(self, data: dict[str, Any]) -> dict[str, Any]:
        place = self._place(data)
        if data["user"] not in place.members:
            raise Refused("user_not_in_channel")
        message = Message(place.id, self.next_ts(), BOT_USER, only_for=data["user"])
        self._thread_of(message, data)
        self._body(message, data, MESSAGE_CHARS)
        self.ephemeral.append(message)
        return {"message_ts": message.ts}

    def _chat_startStream(self, data: dict[str, Any]) -> dict[str, Any]:
        place = self._place(data)
        if place.kind != "im":
            for name, known in (("recipient_user_id", self.users), ("recipient_team_id", {TEAM, OTHER_TEAM})):
                if data.get(name) not in known:
                    raise Refused(f"missing_{name}")
        if data.get("task_display_mode", "timeline") not in ("timeline", "plan"):
            raise Refused("invalid_arguments", "task_display_mode")
        message = Message(place.id, self.next_ts(), BOT_USER, state="streaming", ends=time.monotonic() + self.stream_seconds)
        if not data.get("thread_ts"):
            raise Refused("invalid_thread_ts")
        self._thread_of(message, data)
        self._chunks(message, data)
        self.messages[place.id][message.ts] = message
        return {"channel": place.id, "ts": message.ts}

    def _chat_appendStream(self, data: dict[str, Any]) -> dict[str, Any]:
        message = self._streaming(data)
        if not data.get("markdown_text") and not data.get("chunks"):
            raise Refused("no_text")
        self._chunks(message, data)
        return {"channel": message.channel, "ts": message.ts}

    def _chat_stopStream(self, data: dict[str, Any]) -> dict[str, Any]:
        message = self._streaming(data)
        slack_blocks.check(data.get("blocks", []))
        self._metadata(message, data)
        self._chunks(message, data)
        message.blocks, message.state = list(data.get("blocks", [])), "done"
        self._said(message)
        return {"channel": message.channel, "ts": message.ts}

    def _assistant_threads_setStatus(self, data: dict[str, Any]) -> dict[str, Any]:
        place = self._place({"channel": data["channel_id"]})
        self.statuses.append((place.id, data["thread_ts"], data["status"]))
        return {}

    def _assistant_threads_setTitle(self, data: dict[str, Any]) -> dict[str, Any]:
        place = self._place({"channel": data["channel_id"]})
        if place.kind != "im":
            raise Refused("channel_type_not_supported")
        self.titles[place.id, data["thread_ts"]] = data["title"]
        return {}

    def _assistant_threads_setSuggestedPrompts(self, data: dict[str, Any]) -> dict[str, Any]:
        place = self._place({"channel": data["channel_id"]})
        prompts = data["prompts"]
        if not 1 <= len(prompts) <= 4 or any(set(one) != {"title", "message"} or not all(one.values()) for one in prompts):
            raise Refused("invalid_arguments", "prompts: 1 to 4, each with title and message")
        self.prompts[place.id] = prompts
        return {}

    def _views_open(self, data: dict[str, Any]) -> dict[str, Any]:
        ends = self._triggers.pop(data["trigger_id"], None)
        if ends is None or ends < time.monotonic():
            raise Refused("expired_trigger_id")
        if data["view"].get("type") != "modal":
            raise Refused("invalid_arguments", "no modal")
        slack_blocks.view(data["view"])
        # The trigger does not say whose it is; the tests open one modal at a time.
        self.views.append((self._last_actor(), data["view"]))
        return {"view": {"id": "V1"}}

    def _last_actor(self) -> str:
        return next(reversed(self._hooks.values()))[1] if self._hooks else ""

    def _views_publish(self, data: dict[str, Any]) -> dict[str, Any]:
        if data["user_id"] not in self.users:
            raise Refused("user_not_found")
        if data["view"].get("type") != "home":
            raise Refused("invalid_arguments", "no home tab")
        slack_blocks.view(data["view"])
        self.homes[data["user_id"]] = data["view"]
        return {"view": {"id": "V1"}}

    # what the methods share

    def _place(self, data: Mapping[str, Any], *, member: bool = True) -> Channel:
        place = self.channels.get(data["channel"])
        if place is None:
            raise Refused("channel_not_found")
        if place.archived:
            raise Refused("is_archived")
        if member and BOT_USER not in place.members:
            raise Refused("not_in_channel" if place.kind == "channel" else "channel_not_found")
        return place

    def _own(self, data: Mapping[str, Any]) -> Message:
        self._place(data)
        message = self.messages[data["channel"]].get(data["ts"])
        if message is None:
            raise Refused("message_not_found")
        if message.user != BOT_USER:
            raise Refused("cant_update_message")
        return message

    def _expire(self, message: Message) -> None:
        if message.state == "streaming" and message.ends < time.monotonic():
            message.state = "dead"

    def _streaming(self, data: Mapping[str, Any]) -> Message:
        message = self._own(data)
        self._expire(message)
        if message.state != "streaming":
            raise Refused("message_not_in_streaming_state")
        return message

    def _thread_of(self, message: Message, data: Mapping[str, Any]) -> None:
        thread_ts = data.get("thread_ts", "")
        if thread_ts and thread_ts not in self.messages[message.channel]:
            raise Refused("thread_not_found")
        message.thread_ts = thread_ts

    def _body(self, message: Message, data: Mapping[str, Any], most: int) -> None:
        text, markdown, blocks = data.get("text", ""), data.get("markdown_text", ""), data.get("blocks", [])
        if markdown and (text or blocks):
            raise Refused("markdown_text_conflict")
        if not (text or markdown or blocks):
            raise Refused("no_text")
        if len(text) > most or len(markdown) > MARKDOWN_CHARS:
            raise Refused("msg_too_long", f"{len(text)} and {len(markdown)} characters")
        slack_blocks.check(blocks)
        slack_blocks.mrkdwn(text, "text")
        self._metadata(message, data)
        message.text, message.texts, message.blocks = text, [markdown] if markdown else [], list(blocks)

    def _chunks(self, message: Message, data: Mapping[str, Any]) -> None:
        chunks = list(data.get("chunks", []))
        if data.get("markdown_text"):
            chunks.insert(0, {"type": "markdown_text", "text": data["markdown_text"]})
        for chunk in chunks:
            _check_chunk(chunk)
        for chunk in chunks:
            if chunk["type"] == "markdown_text":
                message.texts.append(chunk["text"])
            else:
                message.tasks[chunk["id"]] = message.tasks.get(chunk["id"], {}) | chunk

    def _metadata(self, message: Message, data: Mapping[str, Any]) -> None:
        metadata = data.get("metadata")
        if metadata is None:
            return
        if not isinstance(metadata, dict) or set(metadata) != {"event_type", "event_payload"}:
            raise Refused("invalid_metadata_format")
        if not isinstance(metadata["event_payload"], dict):
            raise Refused("invalid_metadata_schema")
        message.metadata = metadata

    def _said(self, message: Message) -> None:
        """The app hears of its own messages, too."""
        place = self.channels[message.channel]
        if HISTORY[place.kind] in self.scopes:
            event: dict[str, Any] = {"type": "message", "channel": place.id, "channel_type": place.kind, "user": BOT_USER}
            event |= {
                "bot_id": BOT,
                "app_id": APP,
                "text": message.text,
                "ts": message.ts,
                "event_ts": message.ts,
                "team": TEAM,
            }
            event |= {"thread_ts": message.thread_ts} if message.thread_ts else {}
            self.send_event(event)

    # --- response URLs and files

    async def _respond(self, request: web.Request) -> web.Response:
        hook = self._hooks.get(request.match_info["id"])
        data = await request.json()
        self.calls.append(Call("response_url", data, time.monotonic()))
        if hook is None or hook[2] < 1 or hook[3] < time.monotonic():
            return web.Response(status=404, text="used_url" if hook else "no_such_url")
        channel, user, left, ends, message_ts = hook
        self._hooks[request.match_info["id"]] = (channel, user, left - 1, ends, message_ts)
        fault = self.plan["response_url"].popleft() if self.plan["response_url"] else None
        if fault and fault.kind == "limited":
            return web.Response(status=429, headers={"Retry-After": "1"})
        if fault and fault.kind == "broken":
            return web.Response(status=500)
        try:
            slack_blocks.fields(
                data,
                "response",
                (),
                ("text", "blocks", "response_type", "replace_original", "delete_original", "thread_ts", "metadata"),
            )
            message = Message(channel, self.next_ts(), BOT_USER, only_for=user)
            message.thread_ts = data.get("thread_ts", "")
            if not data.get("delete_original"):
                self._body(message, data, MESSAGE_CHARS)
        except (BadBlocks, Refused) as refused:
            self.refused.append(("response_url", "invalid_blocks", str(refused), data))
            return web.Response(status=400, text="invalid_blocks")
        self.responses.append(data)
        if data.get("delete_original"):
            self.ephemeral = [one for one in self.ephemeral if one.ts != message_ts]
        elif data.get("replace_original") and (found := [one for one in self.ephemeral if one.ts == message_ts]):
            found[0].text, found[0].texts, found[0].blocks = message.text, message.texts, message.blocks
        elif data.get("response_type") == "in_channel":
            message.only_for = ""
            self.messages[channel][message.ts] = message
        else:
            self.ephemeral.append(message)
        return web.Response(text="ok")

    async def _file(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {BOT_TOKEN}" or "files:read" not in self.scopes:
            return web.Response(text="<html>Sign in</html>", content_type="text/html")  # as Slack does, with 200
        _, data = self.files[request.match_info["id"]]
        return web.Response(body=data, content_type="application/octet-stream")


def _check_chunk(chunk: Mapping[str, Any]) -> None:
    if chunk.get("type") == "markdown_text":
        text = chunk.get("text")
        if not isinstance(text, str) or not text:
            raise Refused("invalid_chunks", "markdown_text without text")
        if len(text) > MARKDOWN_CHARS:
            raise Refused("msg_too_long", f"{len(text)} characters in one chunk")
        if any(mark in text for mark in ("<!channel", "<!here", "<!everyone")):
            raise Refused("invalid_chunks", "alerts everybody")
    elif chunk.get("type") == "task_update":
        known = {"type", "id", "title", "status", "details", "output", "sources"}
        if not {"id", "title", "status"} <= chunk.keys() <= known or not 1 <= len(chunk["title"]) <= TITLE_CHARS:
            raise Refused("invalid_chunks", str(sorted(chunk)))
        if chunk["status"] not in ("pending", "in_progress", "complete", "error"):
            raise Refused("invalid_chunks", str(chunk["status"]))
    else:
        raise Refused("invalid_chunks", str(chunk.get("type")))


def signed(body: str, *, secret: str = SIGNING_SECRET, at: float | None = None) -> dict[str, str]:
    """The headers that prove that a request is Slack's."""
    stamp = str(int(time.time() if at is None else at))
    digest = hmac.new(secret.encode(), f"v0:{stamp}:{body}".encode(), hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={digest}"}


async def _data(request: web.Request) -> dict[str, Any]:
    data: dict[str, Any] = dict(request.query)
    if request.content_type == "application/json":
        data |= await request.json()
    elif request.method == "POST":
        data |= {key: value for key, value in (await request.post()).items() if isinstance(value, str)}
    for name in ("blocks", "view", "metadata", "chunks", "prompts"):
        if isinstance(data.get(name), str):
            data[name] = json.loads(data[name])
    return data


def _pressable(block: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = [*block.get("elements", []), *([block["accessory"]] if "accessory" in block else [])]
    return [one for one in found if "action_id" in one]


def _filled(element: Mapping[str, Any], value: Any) -> dict[str, Any]:
    """An element's part of `view.state`, as Slack sends it."""
    kind = element["type"]
    if kind == "checkboxes":
        chosen = element.get("initial_options", []) if value is None else [{"value": one} for one in value]
        return {"type": kind, "selected_options": chosen}
    if kind in ("static_select", "radio_buttons"):
        option = element.get("initial_option") if value is None else {"value": value}
        if value is not None:
            assert value in [one["value"] for one in element["options"]], f"there is no option {value}"
        return {"type": kind, "selected_option": option}
    if kind == "timepicker":
        return {"type": kind, "selected_time": element.get("initial_time") if value is None else value}
    if kind == "conversations_select":
        return {"type": kind, "selected_conversation": element.get("initial_conversation") if value is None else value}
    return {"type": kind, "value": element.get("initial_value") if value is None else value}
