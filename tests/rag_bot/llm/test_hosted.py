"""Hosted LLMs over real sockets, each against a strict server that speaks its provider's wire form."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from rag_bot.budget import Budget
from rag_bot.errors import LLMError, LLMTimeout, LLMUnavailable
from rag_bot.llm.hosted import PROVIDERS, load_hosted
from rag_bot.llm.llm import LLM
from rag_bot.llm.spec import parse_llms
from rag_bot.observe import TraceContext, begin, current
from rag_bot.types import Usage
from tests.fakes import gemini
from tests.fakes.server import Behaviour, Fail, FakeServer, Garbage, Hang, Say
from tests.rag_bot.llm.providers import CASES, FORMS, MESSAGES, asked, llm_of, needed

WHOLE = list(Say().pieces)


class Connect(Protocol):
    def __call__(self, name: str, more: str = "") -> tuple[FakeServer, LLM]: ...


@pytest.fixture
def connect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connect]:
    """Starts a case's server and loads its LLM."""
    servers: list[FakeServer] = []

    def start(name: str, more: str = "") -> tuple[FakeServer, LLM]:
        needed(name)
        servers.append(CASES[name].server())
        return servers[-1].__enter__(), llm_of(name, servers[-1], tmp_path, monkeypatch, more)

    yield start
    for server in servers:
        server.stop()


# --- answers


def test_every_provider_has_a_server_here() -> None:
    assert {case.provider for case in CASES.values()} == set(PROVIDERS)


@pytest.mark.parametrize("name", CASES)
async def test_a_reply_comes_in_its_pieces_and_is_counted(connect: Connect, name: str) -> None:
    server, llm = connect(name)
    pieces, budget, error = await asked(llm)
    assert error is None, (error, [seen.refused for seen in server.seen])
    assert pieces == WHOLE
    assert budget.spent == Usage(1101, 307)


@pytest.mark.parametrize("name", FORMS)
async def test_each_piece_comes_before_the_next_is_written(connect: Connect, name: str) -> None:
    server, llm = connect(name)
    server.plan.append(Say(pause=0.2))
    stream = llm.stream([("system", "Be short."), ("user", "How many days?")], Budget(), max_tokens=50)
    assert await anext(stream) == WHOLE[0]
    assert server.seen[-1].sent < len(WHOLE)
    assert [piece async for piece in stream] == WHOLE[1:]


@pytest.mark.parametrize("name", FORMS)
async def test_many_at_once_get_their_own_replies(connect: Connect, name: str) -> None:
    server, llm = connect(name)
    server.plan.extend(Say((f"{n} ", "it is.")) for n in range(8))
    replies = await asyncio.gather(*(asked(llm) for _ in range(8)))
    assert sorted("".join(pieces) for pieces, _, _ in replies) == [f"{n} it is." for n in range(8)]


@pytest.mark.parametrize("name", FORMS)
def test_an_llm_that_is_loaded_again_answers_in_another_event_loop(connect: Connect, name: str) -> None:
    """As in a notebook, or where a service is started twice in one process: connections of the first loop are dead."""
    server, llm = connect(name)
    server.plan.append(Fail(404))  # after which the connection is kept, for a next question
    assert asyncio.run(asked(llm))[2]
    again = LLM(llm.name, load_hosted(parse_llms(CASES[name].setting.format(url=server.url))[0]))
    assert asyncio.run(asked(again))[0] == WHOLE


async def test_a_token_of_a_service_account_is_fetched_once(connect: Connect) -> None:
    server, llm = connect("vertex")
    assert isinstance(server, gemini.GeminiServer)
    for _ in range(2):
        assert (await asked(llm))[0] == WHOLE
    assert server.tokens == 1


# --- faults


FAULTS: dict[str, tuple[Behaviour, type[LLMError], str]] = {
    "wrong key": (Fail(401), LLMUnavailable, "was refused by"),
    "no access": (Fail(403), LLMUnavailable, "was refused by"),
    "no such model": (Fail(404), LLMUnavailable, "is not known to"),
    "bad request": (Fail(400), LLMError, "did not take the request"),
    "too many": (Fail(429, "30"), LLMUnavailable, "takes no more for now"),
    "server error": (Fail(500), LLMUnavailable, "has a fault of its own"),
    "overloaded": (Fail(503), LLMUnavailable, "has a fault of its own"),
    "hang": (Hang(), LLMTimeout, "took too long"),
    "slow drip": (Say(pause=0.3), LLMTimeout, "took too long"),
    "page of a proxy": (Garbage("html"), LLMError, "can't be read"),
    "frames of nonsense": (Garbage("frames"), LLMError, "can't be read"),
    "nothing said": (Say(()), LLMError, "said nothing"),
    "torn off": (Say(cut=1), LLMError, "broke off"),
    "ended too soon": (Say(cut=1, how="end"), LLMError, "broke off"),
    "filtered": (Say(reason="refusal"), LLMError, "broke off"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", FORMS)
async def test_each_fault_is_a_sentence_without_secrets(connect: Connect, name: str, fault: str) -> None:
    behaviour, kind, words = FAULTS[fault]
    server, llm = connect(name)
    server.default = behaviour
    pieces, _, error = await asked(llm, first=0.4, whole=0.8) if kind is LLMTimeout else await asked(llm)
    assert isinstance(error, kind), error
    assert words in str(error) and llm.name in str(error)
    assert server.secret not in f"{error} {error.hint}"
    assert error.__cause__ is None or server.secret not in str(error.__cause__)
    assert pieces == WHOLE[: len(pieces)]
    if fault in ("torn off", "ended too soon"):
        assert pieces == WHOLE[:1]  # what came before is there


@pytest.mark.parametrize("name", FORMS)
async def test_leaving_a_busy_process_ends_the_connection(connect: Connect, name: str) -> None:
    server, llm = connect(name)
    server.default = Say(["Everyone gets"] + [" more and"] * 400, pause=0.01)
    for _ in range(10):
        stream = llm.stream(MESSAGES, Budget(), max_tokens=40)
        await anext(stream)
        time.sleep(0.03)  # meanwhile the next pieces have come
        await asyncio.sleep(0)
        await stream.aclose()
        assert await asyncio.to_thread(server.seen[-1].gone.wait, 10)


@pytest.mark.parametrize("name", FORMS)
async def test_a_call_says_which_trace_it_is_part_of(connect: Connect, name: str) -> None:
    server, llm = connect(name)
    with begin("work", below=TraceContext.new()).inside():
        assert (await asked(llm))[0] == WHOLE
        header = server.seen[-1].request.headers.get("traceparent", "")
        assert TraceContext.parse(header) == current()


@pytest.mark.parametrize("name", FORMS)
async def test_a_server_that_is_not_there_is_said_to_be_out_of_reach(connect: Connect, name: str) -> None:
    server, llm = connect(name)
    if name == "vertex":
        await asked(llm)  # a token must be had first
    server.stop()
    _, _, error = await asked(llm)
    assert isinstance(error, LLMUnavailable), error
    assert "can't be reached" in str(error)


@pytest.mark.parametrize("name", FORMS)
async def test_silence_on_the_connection_ends_it(connect: Connect, name: str) -> None:
    server, llm = connect(name, "timeout=0.4")
    server.default = Hang()
    _, _, error = await asked(llm)
    assert isinstance(error, LLMTimeout), error
    while not server.seen:  # on a busy machine the server may come to it later
        await asyncio.sleep(0.01)
    assert server.seen[-1].gone.wait(5)


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("behaviour", [Fail(503), Fail(500), Fail(429), Fail(503, "0.1")])
async def test_what_may_be_over_in_a_moment_is_tried_once_more(connect: Connect, name: str, behaviour: Fail) -> None:
    server, llm = connect(name)
    server.plan.append(behaviour)
    assert (await asked(llm))[0] == WHOLE
    server.plan.extend([behaviour, behaviour])
    assert isinstance((await asked(llm))[2], LLMUnavailable)


@pytest.mark.parametrize("name", FORMS)
async def test_a_server_that_wants_to_be_left_alone_is_not_asked_again(connect: Connect, name: str) -> None:
    server, llm = connect(name)
    server.plan.append(Fail(429, "30"))
    pieces, _, error = await asked(llm, first=2.0)
    assert pieces == [] and isinstance(error, LLMUnavailable)


# --- hanging up


@pytest.mark.parametrize("name", FORMS)
async def test_closing_the_stream_ends_the_connection(connect: Connect, name: str) -> None:
    server, llm = connect(name)
    server.plan.append(Say(("word ",) * 1000, pause=0.02))
    stream = llm.stream([("system", "Be short."), ("user", "How many days?")], Budget(), max_tokens=50)
    await anext(stream)
    await stream.aclose()
    assert await asyncio.to_thread(server.seen[-1].gone.wait, 5)
    assert server.seen[-1].sent < 1000


@pytest.mark.parametrize("name", [name for name in FORMS if name not in ("bedrock", "sagemaker")])
async def test_giving_up_on_a_silent_server_ends_the_connection(connect: Connect, name: str) -> None:
    """Amazon's client can't be stopped before the first byte: there, its read timeout does it."""
    server, llm = connect(name)
    server.plan.append(Hang())
    task = asyncio.create_task(asked(llm))
    await asyncio.to_thread(_until_asked, server)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(server.seen[-1].gone.wait, 5)


@pytest.mark.parametrize("name", ["bedrock", "sagemaker"])
async def test_silent_servers_of_a_client_that_blocks_hold_up_nobody_else(connect: Connect, name: str) -> None:
    server, llm = connect(name, "timeout=3")
    server.plan.extend([Hang()] * 40)  # more than there are threads for everybody
    silent = [asyncio.create_task(asked(llm)) for _ in range(40)]
    for _ in silent:
        await asyncio.to_thread(server.arrived.acquire)
    assert (await asked(llm))[0] == WHOLE
    for task in silent:
        task.cancel()


def _until_asked(server: FakeServer) -> None:
    server.arrived.acquire()
    while not server.seen[-1].request.path.endswith(("completions", "messages", "GenerateContent")):  # first a token
        server.arrived.acquire()
