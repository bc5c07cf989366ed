"""Kill -9 at any moment, under every fault that Slack has: each question gets exactly one answer, whole."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from rag_bot.settings import Settings
from tests import postgres
from tests.fakes.slack import APP_TOKEN, BOT_TOKEN, FakeSlack, Fault, Faults
from tests.faults.support import REPOSITORY, SOAK, environment
from tests.rag_bot.slack.support import ASKED, AT, until
from tests.rag_bot.support import LEAVE, LEAVE_SENTENCE

QUESTIONS, KILLS, CHANNELS = (500, 20, 20) if SOAK else (60, 5, 6)
REPLICAS = 2
SENTENCES = 8
ALLOWED = {"message_not_in_streaming_state", "streaming_state_conflict"}  # asked to find out what is the case
FAULTS = Faults(limited=0.02, broken=0.03, cut=0.03, slow=0.05, twice=0.1, late=0.3, dropped=0.002)

# The bot with all its imports done, forked for each life.
PREPARED = """
import asyncio, json, os, sys
import rag_bot.slack.run
from ingest.vectors import load_faiss
from rag_bot.bot import Bot
from rag_bot.settings import Settings
from tests import postgres
from tests.rag_bot.slack.support import SlowAnswerer
from tests.rag_bot.support import parts_of
load_faiss()
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        log = os.open(json.loads(line), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        settings = Settings()
        bot = Bot(settings, lambda: parts_of(settings, answerer=SlowAnswerer(8, 0.02)))
        asyncio.run(rag_bot.slack.run.live(bot, ping_seconds=1.0))
        os._exit(0)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@dataclass
class Replica:
    """One process that is started again whenever it ends."""

    process: asyncio.subprocess.Process
    log: Path
    pid: int = 0
    codes: list[int] = field(default_factory=list)
    ending: bool = False

    async def live(self) -> None:
        assert self.process.stdin and self.process.stdout
        while not self.ending:
            self.process.stdin.write(f"{json.dumps(str(self.log))}\n".encode())
            self.pid = int(await self.process.stdout.readline())
            self.codes.append(int(await self.process.stdout.readline()))

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)


@asynccontextmanager
async def replicas(
    home: Settings, slack: FakeSlack, folder: Path, count: int = REPLICAS, state: str = ""
) -> AsyncIterator[list[Replica]]:
    known = {"RAG_BOT_INDEX": str(home.index), "RAG_BOT_SLACK_BOT_TOKEN": BOT_TOKEN, "RAG_BOT_SLACK_APP_TOKEN": APP_TOKEN}
    known |= {"RAG_BOT_SLACK_URL": slack.api, "RAG_BOT_SLACK_LEASE_SECONDS": "1.5", "RAG_BOT_SHUTDOWN_SECONDS": "2"}
    known |= {"RAG_BOT_STATE": state} if state else {}
    env = {**environment(**known), "OMP_NUM_THREADS": "1", "RAG_BOT_RAILS": "off"}
    lives = []
    for number in range(count):
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", PREPARED, cwd=REPOSITORY, env=env, stdin=pipe, stdout=pipe
        )
        lives.append(Replica(process, folder / f"replica{number}.log"))
    tasks = [asyncio.create_task(one.live()) for one in lives]
    try:
        yield lives
    finally:
        for one in lives:
            one.ending = True
            one.kill(signal.SIGTERM)
        await asyncio.wait(tasks, timeout=15)
        for one in lives:
            one.kill()
            assert one.process.stdin
            one.process.stdin.close()
            await one.process.wait()
        await asyncio.gather(*tasks)


@pytest.mark.soak
async def test_every_question_is_answered_exactly_once(home: Settings, tmp_path: Path) -> None:
    await ask_and_kill(home, tmp_path, QUESTIONS, KILLS, CHANNELS)


@pytest.mark.soak
async def test_so_it_is_with_a_database_that_replicas_share_over_a_network(
    home: Settings, tmp_path: Path, databases: postgres.Databases
) -> None:
    await ask_and_kill(home, tmp_path, QUESTIONS // 2, KILLS // 2, CHANNELS, databases.fresh())


async def ask_and_kill(home: Settings, folder: Path, questions: int, kills: int, channels: int, state: str = "") -> None:
    chance = random.Random(20261122)
    expected = " ".join([f"{LEAVE_SENTENCE} [1]"] * SENTENCES)
    asked: dict[tuple[str, str], int] = {}
    async with FakeSlack(faults=FAULTS, seed=5, ack_seconds=3.0, retries=(0.0, 0.5, 2.0, 5.0, 10.0)) as slack:
        for number in range(channels):
            slack.channel(f"C{number}", "UANN", "UBOB")
            slack.user(f"U{number}")
            slack.im(f"U{number}")
        async with replicas(home, slack, folder, state=state) as lives:
            await slack.connected()
            moments = chance.sample(range(questions // 12, questions), kills)
            for number in range(questions):
                ask(slack, chance, asked, channels)
                await asyncio.sleep(chance.uniform(0.0, 0.2))
                if number in moments:
                    chance.choice(lives).kill()
                if chance.random() < 0.02:
                    slack.drop_sockets()
            began = time.monotonic()
            while unanswered(slack, asked, expected) and time.monotonic() - began < 90:
                await asyncio.sleep(0.25)
            await slack.settle()
            await asyncio.sleep(1.0)
        killed = sum(code == -signal.SIGKILL for one in lives for code in one.codes)
        assert [one.codes[-1] for one in lives] == [0] * REPLICAS, lives[0].log.read_text()[-3000:]
    assert slack.lost == []
    assert unanswered(slack, asked, expected) == {}
    for (channel, thread), times in asked.items():
        assert len(slack.answers(channel, thread)) == times
    assert [one for one in slack.refused if one[1] not in ALLOWED] == []
    # (One process does not know of the limits that another was told: `violations` are looked at where there is one alone.)
    assert killed >= kills // 2  # some hit a process that was just starting
    answers = [one for (channel, thread) in asked for one in slack.answers(channel, thread)]
    again = sum("I was interrupted" in one.small_print for one in answers)
    print(
        f"{sum(asked.values())} questions, {killed} kills, {again} answers taken up after one, {len(slack.calls)} calls, "
        f"{sum(one.updates > 0 for one in answers)} answers written anew"
    )


async def test_killed_at_each_call_the_answer_stands_once(home: Settings, slack: FakeSlack, tmp_path: Path) -> None:
    expected = " ".join([f"{LEAVE_SENTENCE} [1]"] * SENTENCES)
    async with replicas(home, slack, tmp_path, count=1) as [life]:
        await slack.connected()
        for method, done, streams in (
            ("chat.startStream", False, True),
            ("chat.startStream", True, True),
            ("chat.appendStream", True, True),
            ("chat.stopStream", False, True),
            ("chat.stopStream", True, True),
            ("chat.postMessage", False, False),
            ("chat.postMessage", True, False),
        ):
            killed: list[str] = []

            def kill(called: str, after: bool, method: str = method, done: bool = done, killed: list[str] = killed) -> None:
                if (called, after) == (method, done) and not killed:
                    killed.append(called)
                    life.kill()

            slack.hook = kill
            slack.plan["chat.startStream"].extend([] if streams else [Fault("error", error="feature_not_enabled")])
            ts = slack.post("C1", "UANN", ASKED)
            asked = {("C1", ts): 1}
            await until(lambda asked=asked: not unanswered(slack, asked, expected), 30)  # type: ignore[misc]
            await asyncio.sleep(0.3)
            assert killed == [method]
            [answer] = slack.answers("C1", ts)
            assert answer.shown == expected
            slack.hook = lambda method, done: None


def ask(slack: FakeSlack, chance: random.Random, asked: dict[tuple[str, str], int], channels: int) -> None:
    """A mention, a direct message, or a follow-up in a thread."""
    follow = chance.random() < 0.2 and asked
    if follow:
        channel, thread = chance.choice(list(asked))
        direct = channel.startswith("D")
        slack.post(channel, channel[1:] if direct else "UANN", LEAVE if direct else ASKED, thread)
    elif chance.random() < 0.3:
        user = f"U{chance.randrange(channels)}"
        channel, thread = f"D{user}", slack.post(f"D{user}", user, LEAVE)
    else:
        channel = f"C{chance.randrange(channels)}"
        thread = slack.post(channel, "UANN", f"{AT} {LEAVE}")
    asked[channel, thread] = asked.get((channel, thread), 0) + 1


def unanswered(slack: FakeSlack, asked: dict[tuple[str, str], int], expected: str) -> dict[tuple[str, str], list[str]]:
    """The threads that lack an answer, or have one that is not whole or not finished."""
    wrong = {}
    for (channel, thread), times in asked.items():
        answers = slack.answers(channel, thread)
        shown = [
            one.shown if one.find("feedback_buttons") and one.state != "streaming" else f"… {one.shown}" for one in answers
        ]
        if shown != [expected] * times:
            wrong[channel, thread] = shown
    return wrong


async def test_the_command_runs_until_it_is_told_to_stop(home: Settings, slack: FakeSlack) -> None:
    known = {"RAG_BOT_SLACK_BOT_TOKEN": BOT_TOKEN, "RAG_BOT_SLACK_APP_TOKEN": APP_TOKEN, "RAG_BOT_SLACK_URL": slack.api}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "rag_bot.cli", "slack", "--index", str(home.index), "--metrics-port", str(port)]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *command, cwd=REPOSITORY, env=environment(**known), stdout=pipe, stderr=asyncio.subprocess.STDOUT
    )
    assert process.stdout
    assert await asyncio.wait_for(process.stdout.readline(), 60) == b"rag-bot is in Slack. Stop it with Ctrl-C.\n"
    ts = slack.post("C1", "UANN", f"{AT} hello")
    await until(lambda: slack.answers("C1", ts))
    await slack.settle()
    async with httpx.AsyncClient() as client:
        numbers = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
    assert 'rag_bot_questions_total{outcome="answered"} 1.0' in numbers and "rag_bot_documents 4.0" in numbers
    process.send_signal(signal.SIGTERM)
    said = (await asyncio.wait_for(process.communicate(), 30))[0].decode()
    assert (process.returncode, said) == (0, "")
    assert slack.answers("C1", ts)[0].shown.startswith("Hello.")
