"""Slack's Web API with patience: limits are waited for, what broke is tried again where that can do no harm."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from rag_bot.chat_platform.types import Unreachable

PATIENCE = 90.0  # seconds that a call may wait and be tried again in all
CALL_SECONDS = 20.0
_FIRST_WAIT = 0.25
_LONGEST_WAIT = 10.0
_PAGE = 500
_GONE = {
    "account_inactive",
    "cannot_reply_to_message",
    "channel_is_limited_access",
    "channel_not_found",
    "invalid_auth",
    "is_archived",
    "is_inactive",
    "message_not_found",
    "missing_scope",
    "not_authed",
    "not_in_channel",
    "restricted_action",
    "restricted_action_read_only_channel",
    "restricted_action_thread_locked",
    "thread_not_found",
    "token_revoked",
    "user_is_restricted",
    "user_not_found",
    "user_not_in_channel",
}
_PASSING = {"fatal_error", "internal_error", "ratelimited", "request_timeout", "service_unavailable", "team_added_to_org"}
_SECRET = re.compile(r"xox[a-z.]{0,12}-[\w.-]+|xapp-[\w.-]+|(?<=ticket=)[\w%.-]+|(?<=hooks\.slack\.com/)[\w/%.-]+")


class Refused(Exception):
    """Slack does not take the call; `error` is its word for the reason."""

    def __init__(self, method: str, error: str, detail: str = "") -> None:
        super().__init__(f"Slack refuses {method}: {error}{detail and f' ({detail})'}")
        self.error = error


class Gone(Refused, Unreachable):
    """It never will, there."""


class Limited(Exception):
    """Slack asks to wait so many seconds."""

    def __init__(self, method: str, seconds: float) -> None:
        super().__init__(f"Slack asks to wait {seconds:.0f} s with {method}")
        self.seconds = seconds


class Unsure(Exception):
    """The call broke off: it may have been done or not."""


class Redact(logging.Filter):
    """Takes tokens out of what libraries log."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if _SECRET.search(message):
            record.msg, record.args = _SECRET.sub("…", message), ()
        if record.exc_info and record.exc_info[1] and _SECRET.search(str(record.exc_info[1])):
            record.exc_info = None
        return True


def library_log() -> logging.Logger:
    """The logger that Slack's libraries get: nothing below warnings, and no token."""
    log = logging.getLogger("rag_bot.slack.library")
    if not any(isinstance(one, Redact) for one in log.filters):
        log.addFilter(Redact())
    if log.level == logging.NOTSET:
        log.setLevel(logging.WARNING)
    return log


class SlackClient:
    """One workspace's Web API. `call` waits and tries again as long as `patience` (seconds) lasts."""

    def __init__(self, token: str, url: str, *, patience: float = PATIENCE) -> None:
        self._token, self._url, self._patience = token, url, patience
        self._closed_until: dict[str, float] = {}
        self._session: aiohttp.ClientSession | None = None
        self._web: AsyncWebClient | None = None

    @property
    def web(self) -> AsyncWebClient:
        """The library's client, without its own second tries: it would post twice what was posted before the line broke."""
        if self._web is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=CALL_SECONDS))
            self._web = AsyncWebClient(
                token=self._token, base_url=self._url, session=self._session, retry_handlers=[], logger=library_log()
            )
        return self._web

    async def close(self) -> None:
        if self._session:
            await self._session.close()
        self._session = self._web = None

    async def call(self, method: str, *, once: bool = False, hurry: bool = False, **data: Any) -> Mapping[str, Any]:
        """What Slack answers to a method that does something.

        `once`: must not be done twice, so that a call that broke off is Unsure. `hurry`: is not worth waiting for, so
        that a limit is Limited. Raises Refused, or Gone where it is refused for good.
        """
        given = {name: value for name, value in data.items() if value is not None}
        return await self._ask(method, {"json": given}, once=once, hurry=hurry)

    async def read(self, method: str, *, hurry: bool = False, **data: Any) -> Mapping[str, Any]:
        """What Slack answers to a method that reads: those take no JSON. `hurry` as in `call`."""
        pairs = {k: str(v).lower() if isinstance(v, bool) else v for k, v in data.items() if v is not None}
        return await self._ask(method, {"http_verb": "GET", "params": pairs}, once=False, hurry=hurry)

    async def pages(self, method: str, name: str, **data: Any) -> AsyncIterator[Any]:
        """Everything in the lists `name` of a method that answers in pages."""
        cursor = ""
        while True:
            answer = await self.read(method, limit=_PAGE, cursor=cursor or None, **data)
            for one in answer.get(name) or []:
                yield one
            cursor = (answer.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor:
                return

    async def _ask(self, method: str, how: Mapping[str, Any], *, once: bool, hurry: bool) -> Mapping[str, Any]:
        ends, wait = time.monotonic() + self._patience, _FIRST_WAIT
        while True:
            await self._gate(method, hurry, ends)
            try:
                response = await self.web.api_call(method, **how)
                return dict(response.data)
            except SlackApiError as error:
                broken = self._read(method, error)
            except (SlackClientError, aiohttp.ClientError, TimeoutError, OSError) as error:
                broken = Unsure(f"{method}: {type(error).__name__}")
            if isinstance(broken, Unsure):
                if once or hurry or time.monotonic() + wait > ends:
                    raise broken
                await asyncio.sleep(wait)
                wait = min(2 * wait, _LONGEST_WAIT)

    async def _gate(self, method: str, hurry: bool, ends: float) -> None:
        """Wait until Slack takes calls of this method again."""
        while (seconds := self._closed_until.get(method, 0.0) - time.monotonic()) > 0:
            if hurry or time.monotonic() + seconds > ends:
                raise Limited(method, seconds)
            await asyncio.sleep(seconds)

    def _read(self, method: str, error: SlackApiError) -> Exception:
        """What an error of Slack's means. Raises what is final; what a limit closed is noted."""
        response = error.response
        status = getattr(response, "status_code", 0)
        data = getattr(response, "data", None)
        word = data.get("error", "") if isinstance(data, dict) else ""
        if status == 429 or word == "ratelimited":
            headers = {name.lower(): value for name, value in (getattr(response, "headers", None) or {}).items()}
            after = str(headers.get("retry-after", ""))
            seconds = float(after) if after.isdigit() else 1.0
            self._closed_until[method] = max(self._closed_until.get(method, 0.0), time.monotonic() + seconds)
            return Limited(method, seconds)
        if status >= 500 or not word or word in _PASSING:
            return Unsure(f"{method}: {word or status}")
        detail = "; ".join(map(str, data.get("response_metadata", {}).get("messages", []))) if isinstance(data, dict) else ""
        needed = data.get("needed", "") if isinstance(data, dict) else ""
        raise (Gone if word in _GONE else Refused)(method, word, detail or needed)

    async def respond(self, url: str, data: Mapping[str, Any]) -> None:
        """Send something to the address that came with a command or a button. Raises Unsure or Unreachable."""
        _ = self.web
        assert self._session
        for _attempt in range(5):
            try:
                async with self._session.post(url, json=dict(data), allow_redirects=False) as response:
                    if response.status == 200:
                        return
                    if response.status != 429:
                        if response.status >= 500:
                            raise Unsure(f"response_url: {response.status}")
                        raise Unreachable(f"response_url: {response.status} {(await response.text())[:80]}")
                    after = response.headers.get("Retry-After", "1")
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise Unsure(f"response_url: {type(error).__name__}") from error
            await asyncio.sleep(float(after) if after.isdigit() else 1.0)
        raise Unsure("response_url: too many requests")

    async def download(self, url: str, most: int) -> bytes:
        """A file that somebody sent. The token goes to Slack alone. Raises ValueError with a reason for people."""
        if not self._is_slacks(url):
            raise ValueError("it lies elsewhere than in Slack")
        _ = self.web
        assert self._session
        data = bytearray()
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CALL_SECONDS, sock_read=CALL_SECONDS)
        headers = {"Authorization": f"Bearer {self._token}"}
        async with self._session.get(url, headers=headers, timeout=timeout, allow_redirects=False) as response:
            if response.status >= 500 or response.status == 429:
                raise Unsure(f"download: {response.status}")
            if response.status != 200 or (response.content_type == "text/html" and not url.lower().endswith((".html", ".htm"))):
                raise ValueError("Slack does not hand it out (the scope files:read may be missing)")
            async for chunk in response.content.iter_chunked(1 << 16):
                data += chunk
                if len(data) > most:
                    raise ValueError(f"it is larger than the limit ({most:,} bytes)")
        return bytes(data)

    def _is_slacks(self, url: str) -> bool:
        asked, own = urlsplit(url), urlsplit(self._url)
        if (asked.scheme, asked.netloc) == (own.scheme, own.netloc):
            return True
        host = asked.hostname or ""
        return asked.scheme == "https" and (host == "slack.com" or host.endswith((".slack.com", ".slack-files.com")))
