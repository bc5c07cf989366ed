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
_MOST = 10_000  # accounts that are kept
STRANGER = Person("", outside=True)


@dataclass(frozen=True, slots=True)
class Account:
    """What Slack says of somebody. `reads`: a person, not an app and not somebody who has left."""

    person: Person
    reads: bool
    guest: bool
    admin: bool
    zone: str


class People:
    """Slack's directory, read as needed."""

    def __init__(self, slack: SlackClient, team: str) -> None:
        self._slack, self._team = slack, team
        self._accounts: dict[str, tuple[float, Account]] = {}
        self._private: dict[str, tuple[float, bool]] = {}
        self._listed = 0.0

    async def account(self, user: str) -> Account:
        """Raises Refused, Limited or Unsure."""
        known = self._accounts.get(user)
        if known and known[0] > time.monotonic():
            return known[1]
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
        if not readers.rules.documents:  # nothing is withheld from anybody
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
        found: list[Person] = []
        rules = readers.rules
        async for user in self._slack.pages("conversations.members", "members", channel=question.channel):
            account = await self.account(str(user))
            if account.reads:
                found.append(account.person)
                if not rules.groups_of(account.person):  # one who may read only what is public decides for all
                    return found
        if question.kind == "open" and not await self.is_private(question.channel):
            # Whoever belongs to the workspace may look into a public channel, and search it.
            found += [account.person for account in await self._everybody() if account.reads and not account.guest]
        return found

    async def is_private(self, channel: str) -> bool:
        """Whether only its members see a channel. Raises Refused, Limited or Unsure."""
        known = self._private.get(channel)
        if known and known[0] > time.monotonic():
            return known[1]
        answer = await self._slack.read("conversations.info", channel=channel)
        private = bool(answer["channel"].get("is_private"))
        if len(self._private) > _MOST:
            self._private.clear()
        self._private[channel] = (time.monotonic() + KEPT_SECONDS, private)
        return private

    async def _everybody(self) -> list[Account]:
        if self._listed < time.monotonic():
            async for user in self._slack.pages("users.list", "members"):
                self._keep(user)
            self._listed = time.monotonic() + KEPT_SECONDS
        return [account for _, account in self._accounts.values() if not account.person.outside]

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
        if len(self._accounts) > _MOST and self._listed < time.monotonic():
            self._accounts.clear()
        self._accounts[account.person.id] = (time.monotonic() + KEPT_SECONDS, account)
        return account
