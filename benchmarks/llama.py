"""The local LLM: what our chat model costs beside bare llama_cpp, and eight clients at once on one model."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.registry import Options
from benchmarks.results import Asked, Result, Table
from rag_bot.llm.llama_cpp import DEMO, default_threads, demo_model, load_llama
from rag_bot.llm.llm import Engine
from rag_bot.llm.spec import LLMSpec
from rag_bot.settings import Settings

_CONTEXT = 2048
_WRITTEN = 96  # tokens of a reply
_CLIENTS = 8
_EACH_ROUND = 2  # questions of a client
_FACTS = (
    "The library on Mill Street lends books for four weeks and films for one.",
    "A card costs twelve euros a year, and nothing for those under eighteen.",
    "The reading room opens at nine and closes at eight, on Saturdays at four.",
    "A book that is late costs ten cents a day, at most five euros.",
    "Rooms for groups are booked at the desk, two weeks ahead at most.",
    "The workshop has six printers, two of them for posters.",
    "Children hear stories on Wednesdays at three in the garden room.",
    "The old newspapers stand in the cellar and are read there only.",
)
_QUESTIONS = ("How long may I keep a film?", "What does a card cost?", "When are stories told?", "Where are old newspapers?")
Messages = list[tuple[str, str]]
Timed = tuple[float, float, int]
"""Seconds to the first text, tokens a second after it, tokens."""


def overhead(options: Options) -> dict[str, Any]:
    """Our chat model and `Llama` on the same prompts in turn, each with a model and a cache of its own."""
    engine, completing, generating = _engine(), _bare(), _bare()
    ways: dict[str, Callable[[Messages], Timed]] = {
        "ours": lambda messages: _ours(engine, messages),
        "create_chat_completion": lambda messages: _chat_completion(completing, messages),
        "generate": lambda messages: _generate(engine, generating, messages),
    }
    first: dict[str, list[Timed]] = {name: [] for name in ways}
    again: dict[str, list[Timed]] = {name: [] for name in ways}
    order = list(ways)
    for number in range(1 + (3 if options.quick else 24)):
        # A start that no prompt before it had, then another question with the same start.
        for times, shift in ((first, 0), (again, 1)):
            messages = _prompt(number, _QUESTIONS[(number + shift) % len(_QUESTIONS)])
            for name in order:
                timed = ways[name](messages)
                if number:  # the first prompt warms up
                    times[name].append(timed)
        order = [*order[1:], order[0]]  # each takes its turn to go first
    engine.close()
    completing.close()
    generating.close()
    return _overhead_result(first, again).as_dict()


def _overhead_result(first: dict[str, list[Timed]], again: dict[str, list[Timed]]) -> Result:
    def median(times: Sequence[Timed], place: int) -> float:
        return statistics.median(timed[place] for timed in times)

    def ratio(other: str, place: int) -> float:
        pairs = zip(first["ours"], first[other], strict=True)
        return statistics.median(ours[place] / theirs[place] for ours, theirs in pairs)

    speed, start = ratio("create_chat_completion", 1), ratio("create_chat_completion", 0)
    sooner = statistics.median(one[0] / two[0] for one, two in zip(first["ours"], again["ours"], strict=True))
    rows = [
        [name, 1000 * median(first[name], 0), 1000 * median(again[name], 0), median(first[name], 1), sum(t[2] for t in times)]
        for name, times in first.items()
    ]
    figures = {
        "prompts": len(first["ours"]),
        "tokens_per_second_ratio": {name: ratio(name, 1) for name in first},
        "first_token_ratio": {name: ratio(name, 0) for name in first},
        "second_question_sooner": sooner,
    }
    note = (
        f"SmolLM2-135M, {_threads()}; {len(first['ours'])} prompts of some 250 tokens, the three in turn on each. "
        "`generate` is llama_cpp's loop of tokens alone, without template and text. Ratios are medians of those on the same "
        "prompt."
    )
    columns = ("way", "ms to the first token", "the same start again", "tokens/s", "tokens")
    return Result(
        figures,
        [Table("Medians", columns, rows, note)],
        [
            Asked("tokens/s, ours to create_chat_completion", speed, at_least=0.95),
            Asked("ms to the first token, ours to create_chat_completion", start, at_most=1.05),
            Asked("second question with the same start: times sooner to its first token", sooner, at_least=3.0),
        ],
    )


def clients(options: Options) -> dict[str, Any]:
    """Each of eight clients asks as soon as it is answered; what it gets is compared with what it gets alone."""
    rounds = 2 if options.quick else 20
    engine = _engine()
    prompts = [_prompt(client, _QUESTIONS[client % len(_QUESTIONS)], facts=3) for client in range(_CLIENTS)]
    waits: list[list[float]] = [[] for _ in prompts]
    memory: list[float] = []

    async def ask(messages: Messages) -> tuple[str, float]:
        reply = await engine.chat.ainvoke(list(messages), max_tokens=24)
        return reply.text, reply.response_metadata["queue_seconds"]

    async def run() -> tuple[list[str], list[list[str]]]:
        alone = [(await ask(messages))[0] for messages in prompts]
        said: list[list[str]] = [[] for _ in prompts]
        barrier = asyncio.Barrier(_CLIENTS)

        async def client(number: int) -> None:
            for _ in range(rounds):
                for _ in range(_EACH_ROUND):
                    text, waited = await ask(prompts[number])
                    said[number].append(text)
                    waits[number].append(waited)
                if await barrier.wait() == 0:
                    memory.append(_resident_mb())

        await asyncio.gather(*(client(number) for number in range(_CLIENTS)))
        return alone, said

    began = time.perf_counter()
    alone, said = asyncio.run(run())
    seconds = time.perf_counter() - began
    engine.close()
    others = [{text for n, text in enumerate(alone) if n != number and text != alone[number]} for number in range(_CLIENTS)]
    mixed = sum(text in others[number] for number, texts in enumerate(said) for text in texts)
    equal = sum(text == alone[number] for number, texts in enumerate(said) for text in texts)
    asked = rounds * _EACH_ROUND * _CLIENTS
    means = [statistics.mean(each[1:]) for each in waits]  # the first wait is that of a queue that fills
    longest = max(itertools.chain.from_iterable(each[1:] for each in waits))
    growth = memory[-1] - memory[len(memory) // 3]
    figures = {
        "clients": _CLIENTS,
        "questions": asked,
        "seconds": seconds,
        "mean_wait_seconds": means,
        "longest_wait_to_mean": longest / statistics.mean(means),
        "equal_to_alone": equal / asked,
        "mixed": mixed,
        "memory_mb": memory,
    }
    rows = [[number + 1, len(each), mean, max(each)] for number, (each, mean) in enumerate(zip(waits, means, strict=True))]
    note = (
        f"SmolLM2-135M, {_threads()}; {asked} questions in {seconds:.0f} s. Of the replies {100 * equal / asked:.1f} % "
        f"are letter by letter those that the client gets alone, and {mixed} are another client's. Resident memory after each "
        f"round: {min(memory):.0f} to {max(memory):.0f} MB."
    )
    return Result(
        figures,
        [Table("Seconds that clients wait in the queue", ("client", "questions", "mean", "longest"), rows, note)],
        [
            Asked(
                "mean wait of the client that waits longest, to that of the one that waits shortest",
                max(means) / min(means),
                at_most=1.5,
            ),
            Asked("longest single wait, to the mean of all", longest / statistics.mean(means), at_most=4.0),
            Asked("replies that are another client's", mixed, at_most=0),
            Asked("share of replies as they are alone", equal / asked, at_least=1.0),
            Asked("MB grown from a third of the rounds to the last", growth, at_most=4.0),
        ],
    ).as_dict()


# --- the three ways


def _ours(engine: Engine, messages: Messages) -> Timed:
    async def ask() -> Timed:
        began = time.perf_counter()
        arrived = [
            time.perf_counter() async for chunk in engine.chat.astream(list(messages), max_tokens=_WRITTEN) if chunk.text
        ]
        return arrived[0] - began, _rate(arrived), len(arrived)

    return asyncio.run(ask())


def _chat_completion(bare: Any, messages: Messages) -> Timed:
    began = time.perf_counter()
    turns = [{"role": role, "content": text} for role, text in messages]
    chunks = bare.create_chat_completion(turns, temperature=0, max_tokens=_WRITTEN, stream=True)
    arrived = [time.perf_counter() for chunk in chunks if chunk["choices"][0]["delta"].get("content")]
    return arrived[0] - began, _rate(arrived), len(arrived)


def _generate(engine: Engine, bare: Any, messages: Messages) -> Timed:
    from langchain_core.messages import convert_to_messages

    tokens = engine.chat.template(convert_to_messages(messages))  # type: ignore[attr-defined]
    began = time.perf_counter()
    arrived = []
    for token in bare.generate(tokens, temp=0):
        arrived.append(time.perf_counter())
        if token == bare.token_eos() or len(arrived) == _WRITTEN:
            break
    return arrived[0] - began, _rate(arrived), len(arrived)


def _rate(arrived: Sequence[float]) -> float:
    """Tokens a second, from the first on; 0 for less than two."""
    return (len(arrived) - 1) / (arrived[-1] - arrived[0]) if len(arrived) > 1 else 0.0


# --- helpers


def _engine() -> Engine:
    return load_llama(LLMSpec("llama-cpp", DEMO, options={"n_ctx": str(_CONTEXT)}), Settings())


def _bare() -> Any:
    """`Llama` with the same model, context and threads, and with the same kernels: it would crash on AMX."""
    from llama_cpp import Llama

    class Bare(Llama):  # type: ignore[misc]
        @property
        def model_params(self) -> Any:
            return self._params

        @model_params.setter
        def model_params(self, params: Any) -> None:
            params.use_extra_bufts = False
            self._params = params

    writing, reading = default_threads()
    return Bare(str(demo_model()), n_ctx=_CONTEXT, n_threads=writing, n_threads_batch=reading, verbose=False)


def _threads() -> str:
    writing, reading = default_threads()
    return f"threads: {reading} to read, {writing} to write"


def _prompt(number: int, question: str, facts: int = len(_FACTS)) -> Messages:
    """A prompt as the bot's are: orders, passages, a question. Prompts of another number differ from the first words on."""
    passages = "\n\n".join(f"[{n + 1}] {_FACTS[(number + n) % len(_FACTS)]}" for n in range(facts))
    orders = f"Assistant {number}. You answer questions from the passages below, in whole sentences, and name the passage."
    return [("system", f"{orders}\n\n{passages}"), ("user", question)]


def _resident_mb() -> float:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
