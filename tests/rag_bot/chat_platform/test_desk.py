"""The desk with a platform that is no Slack: leases, order, second tries, giving up, stopping, several at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest

from rag_bot.bot import Bot
from rag_bot.chat_platform import Desk, Question, Reply, Shown, Unreachable
from rag_bot.chat_platform import desk as module
from rag_bot.chat_platform.types import Keep
from rag_bot.chat_state import ChatState, Job
from rag_bot.errors import Busy
from rag_bot.readers import Person
from rag_bot.settings import Settings
from tests.rag_bot.slack.support import SlowAnswerer, until
from tests.rag_bot.support import LEAVE, LEAVE_SENTENCE, running


@dataclass
class Board:
    """A platform on which an answer is a line; `failures` are raised, one after another, when one is to be shown."""

    lines: list[tuple[str, str]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)
    handled: list[str] = field(default_factory=list)
    dropped: int = 0
    name: str = "board"

    async def people(self, question: Question) -> Sequence[Person]:
        return [Person(question.user)]

    async def opening(self, question: Question) -> str:
        return ""

    def reply(self, question: Question, job: Job, keep: Keep) -> Reply:
        return Line(self, question, keep)

    async def tell(self, question: Question, text: str) -> None:
        self.told.append(text)

    async def handle(self, job: Job, keep: Keep) -> None:
        self.handled.append(job.kind)

    async def lasting(self, question: Question) -> None:
        return None


@dataclass
class Line:
    board: Board
    question: Question
    keep: Keep

    async def step(self, step: str, detail: str = "") -> None:
        await self.keep({"begun": True})

    async def add(self, text: str) -> None:
        return None

    async def finish(self, shown: Shown) -> Sequence[str]:
        if self.board.failures:
            raise self.board.failures.pop(0)
        self.board.lines.append((self.question.ts, "\n".join([shown.whole, *shown.notes])))
        return [f"{self.question.ts}b"]

    async def drop(self) -> None:
        self.board.dropped += 1


def question(ts: str = "1", thread: str = "1", text: str = LEAVE) -> Question:
    return Question("board", "T", "C", "group", ts, thread, "ann", text)


def ask(state: ChatState, asked: Question) -> None:
    assert state.accept([f"m{asked.ts}"], "question", asked.thread_key, asked.ts, asked.as_dict())


@asynccontextmanager
async def at_work(bot: Bot, board: Board, seconds: float = 5.0, concurrent: int = 4) -> AsyncIterator[Desk]:
    desk = Desk(bot, ChatState(bot.memory), board, concurrent=concurrent, seconds=seconds)
    task = asyncio.create_task(desk.run())
    try:
        yield desk
    finally:
        await desk.stop(2.0)
        await asyncio.wait_for(task, 5)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_SECONDS", 0.05)


async def test_questions_of_a_thread_are_answered_in_order(asked: Bot) -> None:
    board, state = Board(), ChatState(asked.memory)
    for ts, text in (("3", "And for contractors?"), ("1", LEAVE), ("2", "Who is called when somebody is ill?")):
        ask(state, question(ts, text=text))
    async with at_work(asked, board):
        await until(lambda: len(board.lines) == 3)
    assert [ts for ts, _ in board.lines] == ["1", "2", "3"]
    assert LEAVE_SENTENCE in board.lines[0][1]


async def test_what_fails_is_tried_again_and_at_last_given_up(asked: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TRIES", 3)
    monkeypatch.setattr(ChatState, "later", lambda self, job, seconds, later=ChatState.later: later(self, job, 0.0))
    state = ChatState(asked.memory)
    board = Board(failures=[OSError("x"), OSError("x")])
    ask(state, question("1"))
    async with at_work(asked, board):
        await until(lambda: board.lines)
        assert board.lines[0][1].startswith(LEAVE_SENTENCE)
        assert board.lines[0][1].endswith(module.INTERRUPTED)
        board.failures = [OSError("x")] * 3
        ask(state, question("2"))
        await until(lambda: len(board.lines) == 2)
        assert board.lines[1][1].startswith("Sorry: I could not answer this.")
        board.failures = [Unreachable("gone")]
        ask(state, question("3"))
        await until(lambda: not board.failures and state.waiting() == 0)
    assert len(board.lines) == 2


async def test_a_question_that_ends_every_process_is_given_up(asked: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LIVES", 2)
    state, board = ChatState(asked.memory), Board()
    ask(state, question())
    for _ in range(2):
        assert state.take(-1.0)  # leased, and never heard of again
    async with at_work(asked, board):
        await until(lambda: board.lines)
    assert "broke down" in board.lines[0][1]


async def test_a_busy_bot_is_asked_again_later(asked: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    stream, calls = asked.stream, [0]

    def busy(*arguments: object, **named: object) -> object:
        calls[0] += 1
        if calls[0] == 1:
            raise Busy("Too much.", retry_after=0)
        return stream(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(asked, "stream", busy)
    state, board = ChatState(asked.memory), Board()
    ask(state, question())
    async with at_work(asked, board):
        await until(lambda: board.lines)
    assert calls == [2]


async def test_stopping_hands_back_what_is_not_done(home: Settings) -> None:
    async with running(home, answerer=SlowAnswerer(100, 0.1)) as bot:
        state, board = ChatState(bot.memory), Board()
        ask(state, question())
        async with at_work(bot, board) as desk:
            await until(lambda: desk._working)
            await asyncio.sleep(0.3)
        assert board.lines == []
        job = state.take(5)
        assert job and job.attempts == 2  # at once, without waiting for a lease to end


async def test_a_lease_that_is_lost_stops_the_work(home: Settings) -> None:
    async with running(home, answerer=SlowAnswerer(40, 0.1)) as bot:
        state, board = ChatState(bot.memory), Board()
        ask(state, question())
        async with at_work(bot, board, seconds=0.8) as desk:
            await until(lambda: desk._working)
            with bot.memory.transaction() as connection:
                connection.exec_driver_sql("UPDATE chat_threads SET holder = 'other', until = 99999999999")
            await until(lambda: not desk._working)
        assert board.lines == []


async def test_two_desks_share_the_work(asked: Bot) -> None:
    state, boards = ChatState(asked.memory), [Board(), Board()]
    for number in range(24):
        ask(state, question(f"{number:02}", f"{number % 12}"))
    async with at_work(asked, boards[0], concurrent=2), at_work(asked, boards[1], concurrent=2):
        await until(lambda: state.waiting() == 0)
    done = [ts for board in boards for ts, _ in board.lines]
    assert sorted(done) == [f"{number:02}" for number in range(24)]
    assert all(board.lines for board in boards)


async def test_other_jobs_are_the_platforms(asked: Bot) -> None:
    state, board = ChatState(asked.memory), Board()
    state.accept(["k"], "something", "t", "1", {})
    async with at_work(asked, board):
        await until(lambda: state.waiting() == 0)
    assert board.handled == ["something"]


async def test_private_questions_have_a_thread_and_an_owner_of_their_own() -> None:
    private = replace(question(), private=True)
    assert private.thread_key == "board/T/C/1/ann" and private.owner == "board/T/ann"
    assert question().owner == "board/T/C" and replace(question(), kind="direct").owner == "board/T/ann"
