"""The methods of Slack's Web API, strict about what they are given: states, limits, lengths, required ids."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from tests.fakes import slack_blocks
from tests.fakes.slack_world import (
    APP,
    BOT,
    BOT_USER,
    HISTORY,
    MARKDOWN_CHARS,
    MESSAGE_CHARS,
    OTHER_TEAM,
    TEAM,
    TITLE_CHARS,
    UPDATE_CHARS,
    Channel,
    Message,
    Refused,
    World,
)


class WebApi(World):
    """Each method as `_` and its name; what it gives is the answer without `ok`. Raises Refused, BadBlocks or KeyError."""

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
