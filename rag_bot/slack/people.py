"""Who will see an answer: the members of a channel as people that the rules of reading know, or as strangers."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rag_bot.chat_platform.types import Question, Unreachable
from rag_bot.readers import Person, Readers
from rag_bot.slack.client import Limited, Refused, SlackClient, Unsure

_log = logging.getLogger(__name__)

KEPT_SECONDS = 600.0
"""How long it is held to be known who an account belongs to. Who is in a channel is asked anew each time."""
_MOST = 100_000  # accounts, and channels, that are kept
_FEW = 20  # accounts that are asked for one by one
STRANGER = Person("", outside=True)


@dataclass(frozen=True, slots=True)
class Account:
    """What Slack says of somebody. `reads`: a person, not an app and not somebody who has left."""

    person: Person
    reads: bool
    guest: bool
    admin: bool
    zone: str


@dataclass(frozen=True, slots=True)
class Room:
    """What Slack says of a channel. `private`: only its members see it. `shared`: with another organisation, or workspace."""

    private: bool
    shared: bool


class People:
    """Slack's directory, read as needed."""

    def __init__(self, slack: SlackClient, team: str) -> None:
        self._slack, self._team = slack, team
        self._accounts: dict[str, tuple[float, Account]] = {}
        self._rooms: dict[str, tuple[float, Room]] = {}
        self._everybody: tuple[float, list[Account]] = (0.0, [])

    async def account(self, user: str) -> Account:
        """Raises Refused, Limited or Unsure."""
        if known := self._known(user):
            return known
        answer = await self._slack.read("users.info", user=user)
        return self._keep(answer["user"])

    async def is_admin(self, user: str, others: str) -> bool:
        """Whether somebody may change settings: one of `others` (ids, parted by commas), or an admin of the workspace."""
        if user in {one.strip() for one in others.split(",")}:
            return True
        try:
            account = await self.account(user)
        except (Refused, Limited, Unsure):
            return False
        return account.admin and not account.person.outside

    async def who_sees(self, question: Question, readers: Readers) -> Sequence[Person]:
        """Everybody who will see the answer; a stranger among them where that can't be found out."""
        if not readers.rules.withhold:  # nothing is withheld from anybody
            return [Person(question.user)]
        try:
            if question.private or question.kind == "direct":
                account = await self.account(question.user)
                return [account.person]
            return await self._members(question, readers)
        except (Refused, Limited, Unsure, Unreachable) as error:
            _log.warning("Who reads %s is not known, so that only what is public is answered: %s", question.channel_key, error)
            return [STRANGER]

    async def _members(self, question: Question, readers: Readers) -> list[Person]:
        room = await self.room(question.channel)
        if room.shared:  # there it may be public, and then everybody of that organisation may look in
            return [STRANGER]
        found: list[Person] = []
        rules = readers.rules
        members = [str(user) async for user in self._slack.pages("conversations.members", "members", channel=question.channel)]
        if sum(not self._known(user) for user in members) > _FEW:  # a page of the directory tells of hundreds at once
            await self._full_members()
        for user in members:
            account = await self.account(user)
            if account.reads:
                found.append(account.person)
                if not rules.groups_of(account.person):  # one who may read only what is public decides for all
                    return found
        if not room.private:
            # Whoever belongs to the workspace may look into a public channel, and search it.
            found += [account.person for account in await self._full_members()]
        return found

    async def room(self, channel: str) -> Room:
        """What kind of channel it is. Raises Refused, Limited or Unsure."""
        known = self._rooms.get(channel)
        if known and known[0] > time.monotonic():
            return known[1]
        info = (await self._slack.read("conversations.info", channel=channel))["channel"]
        shared = any(info.get(name) for name in ("is_shared", "is_ext_shared", "is_org_shared", "is_pending_ext_shared"))
        room = Room(bool(info.get("is_private") or info.get("is_mpim")), shared)
        if len(self._rooms) >= _MOST:
            self._rooms.clear()
        self._rooms[channel] = (time.monotonic() + KEPT_SECONDS, room)
        return room

    async def closed(self, channel: str) -> bool:
        """Whether what is said there is for those there alone; true where it can't be found out."""
        try:
            room = await self.room(channel)
        except (Refused, Limited, Unsure):
            return True
        return room.private or room.shared

    async def _full_members(self) -> list[Account]:
        """Everybody of the workspace who reads, without guests."""
        until, found = self._everybody
        if until < time.monotonic():
            accounts = [self._keep(user) async for user in self._slack.pages("users.list", "members")]
            found = [account for account in accounts if account.reads and not account.guest and not account.person.outside]
            self._everybody = (time.monotonic() + KEPT_SECONDS, found)
        return found

    def _known(self, user: str) -> Account | None:
        kept = self._accounts.get(user)
        return kept[1] if kept and kept[0] > time.monotonic() else None

    def _keep(self, user: Mapping[str, Any]) -> Account:
        outside = bool(user.get("is_stranger")) or user.get("team_id", self._team) != self._team
        email = str((user.get("profile") or {}).get("email") or "")
        account = Account(
            Person(str(user["id"]), email, outside),
            reads=not user.get("is_bot") and not user.get("deleted") and user["id"] != "USLACKBOT",
            guest=bool(user.get("is_restricted") or user.get("is_ultra_restricted")),
            admin=bool(user.get("is_admin") or user.get("is_owner")),
            zone=str(user.get("tz") or "UTC"),
        )
        if len(self._accounts) >= _MOST:
            self._accounts.clear()
        self._accounts[account.person.id] = (time.monotonic() + KEPT_SECONDS, account)
        return account
