"""Slack over real sockets: Web API, Socket Mode, signed HTTP events; strict about every payload, and failing as Slack fails."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Self
from urllib.parse import urlencode

import aiohttp
from aiohttp import web

from tests.fakes import slack_blocks
from tests.fakes.slack_api import WebApi
from tests.fakes.slack_blocks import BadBlocks
from tests.fakes.slack_world import (
    APP,
    APP_TOKEN,
    BOT_TOKEN,
    BOT_USER,
    CONFIG_TOKEN,
    EVENT_SCOPES,
    HISTORY,
    MESSAGE_CHARS,
    OTHER_TEAM,
    READ,
    SCOPES,
    SIGNING_SECRET,
    TEAM,
    Call,
    Fault,
    Faults,
    Message,
    Refused,
    User,
)

__all__ = [
    "APP_TOKEN",
    "BOT_TOKEN",
    "BOT_USER",
    "CONFIG_TOKEN",
    "EVENT_SCOPES",
    "HISTORY",
    "OTHER_TEAM",
    "READ",
    "SCOPES",
    "SIGNING_SECRET",
    "TEAM",
    "FakeSlack",
    "Fault",
    "Faults",
    "Message",
    "User",
    "signed",
]


NO_FAULTS = Faults()


class FakeSlack(WebApi):
    """One workspace with one app installed. Runs in the event loop of the test while the `async with` block lasts.

    `stream_seconds` is how long a stream lives, `retries` the waits before each delivery of an event, `ack_seconds` how
    long an acknowledgement may take. `hook` is called before and after each call takes effect.
    """

    def __init__(
        self,
        *,
        faults: Faults = NO_FAULTS,
        seed: int = 0,
        stream_seconds: float = 300.0,
        ack_seconds: float = 3.0,
        retries: tuple[float, ...] = (0.0, 0.0, 60.0, 300.0),
        scopes: frozenset[str] | None = None,
    ) -> None:
        super().__init__(faults, seed, stream_seconds, scopes)
        self.ack_seconds, self.retries = ack_seconds, retries
        self.responses: list[dict[str, Any]] = []
        self.calls: list[Call] = []
        self.lost: list[Mapping[str, Any]] = []
        self.plan: dict[str, deque[Fault]] = defaultdict(deque)
        self.rates: dict[str, tuple[int, float]] = {}
        self.http_target = ""
        self.hook: Callable[[str, bool], None] = lambda method, done: None
        self._closed_until: dict[str, tuple[float, float]] = {}
        self._recent: dict[str, deque[float]] = defaultdict(deque)
        self._sockets: list[web.WebSocketResponse] = []
        self._acks: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._connected = asyncio.Event()

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

    async def settle(self) -> None:
        """Wait until every event has been delivered or given up."""
        while pending := [task for task in self._tasks if not task.done()]:
            await asyncio.wait(pending)

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
