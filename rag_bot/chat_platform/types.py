"""What passes between the desk and a chat platform: questions, what is to be shown, and the contract of a platform."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

from rag_bot.chat_state import Job
from rag_bot.readers import Person
from rag_bot.types import Citation

ChannelKind = Literal["direct", "group", "open"]
"""One person with the bot; a closed round; a channel that everybody in the workspace may look into."""


ALONE = "alone"
"""The thread of what is asked in no thread and answered to the asker alone."""


class Unreachable(Exception):
    """The platform will never take what is to be said there: the channel is gone, or the bot is not in it."""


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody asked, and where. `ts` is the message's time as the platform writes it: as text it sorts.

    `private`: only the asker sees the answer. `answer_to`: an address that takes the answer where the bot can't post.
    `followed`: the bot was not named; whether it is meant is to be judged.
    """

    platform: str
    team: str
    channel: str
    kind: ChannelKind
    ts: str
    thread_ts: str
    user: str
    text: str
    user_team: str = ""
    private: bool = False
    answer_to: str = ""
    followed: bool = False

    @classmethod
    def of(cls, payload: Mapping[str, Any]) -> Question:
        return cls(**payload)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def channel_key(self) -> str:
        return f"{self.platform}/{self.team}/{self.channel}"

    @property
    def person_key(self) -> str:
        return f"{self.platform}/{self.team}/{self.user}"

    @property
    def thread_key(self) -> str:
        """Private answers are a conversation of their own: nobody's follow-up leans on what others could not read."""
        thread = f"{self.channel_key}/{self.thread_ts}"
        return f"{thread}/{self.user}" if self.private else thread

    @property
    def owner(self) -> str:
        """Whose own documents may be read here: the asker's where only the asker sees the answer, else the channel's."""
        return self.person_key if self.private or self.kind == "direct" else self.channel_key


@dataclass(frozen=True, slots=True)
class Shown:
    """An answer as people are to see it. `text` is Markdown with marks like [1], which `sources` explain.

    `before` was said ahead of the answer (by a friendly channel), `notes` come after it. `short`: sources without their
    words. `offer_person`: nothing was found, and there are people who can be asked.
    """

    text: str
    answer_id: str
    before: str = ""
    sources: tuple[Citation, ...] = ()
    notes: tuple[str, ...] = ()
    nothing_found: bool = False
    offer_person: bool = False
    short: bool = False
    feedback: bool = True
    linked: frozenset[str] = frozenset()

    @property
    def whole(self) -> str:
        return self.before + self.text


Keep = Callable[[Mapping[str, Any]], Awaitable[None]]
"""Remembers how far a reply has come, so that another process can go on from there."""


class Reply(Protocol):
    """Shows one answer. What it has posted it tells `Keep` before and after, so that nothing is posted twice."""

    async def step(self, step: str, detail: str = "") -> None:
        """A step of the work has begun: `search`, `read` or `answer`."""

    async def add(self, text: str) -> None:
        """The next piece of the answer (Markdown), as it is released."""

    async def finish(self, shown: Shown) -> Sequence[str]:
        """The whole, in place of what was shown so far where that is something else. Gives the ids of the messages."""

    async def drop(self) -> None:
        """Nothing is to be said after all."""


class Platform(Protocol):
    """One chat platform. Everything may raise Unreachable; what else is raised is tried again later."""

    name: str

    async def people(self, question: Question) -> Sequence[Person]:
        """Everybody who will see the answer. Whoever can't be found out is a stranger: a Person nobody knows."""

    async def opening(self, question: Question) -> str:
        """What the thread of a question began with, in plain words; empty where nobody can tell."""

    def reply(self, question: Question, job: Job, keep: Keep) -> Reply:
        """A reply to a question, going on from the job's progress."""

    async def tell(self, question: Question, text: str) -> None:
        """Say something (Markdown) to the asker alone, or in the thread where that can't be done."""

    async def handle(self, job: Job, keep: Keep) -> None:
        """Do a job that is no question."""

    async def lasting(self, question: Question) -> None:
        """Something that may be done once the answer stands, such as giving the thread a title."""
