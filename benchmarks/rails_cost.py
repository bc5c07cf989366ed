"""What the default rails cost: all of them together on a question and on a sentence, and NeMo's own share of that."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import data
from benchmarks.metrics import percentile
from benchmarks.registry import Options
from benchmarks.results import Asked, Result, Table
from ingest.embedder import load_embedder
from ingest.sentences import split
from rag_bot.budget import Budget
from rag_bot.prompt import CANARY, PROMPTS
from rag_bot.rails.local import PASS, LocalRail, Subject, local_rails
from rag_bot.rails.nemo import NemoRails
from rag_bot.types import Citation, Claim, Verdict

_COUNT, _QUICK = 500, 40
_WARM = 20
_ROOT = Path(__file__).parent.parent


def run(options: Options) -> dict[str, Any]:
    """500 questions of MTRAG and the handbook's tests with their vectors, and 500 sentences of passages, one after another."""
    count = _QUICK if options.quick else _COUNT
    embedder = load_embedder("minilm")
    questions = _questions()[:count]
    vectors = list(embedder.embed_queries(questions))
    claims = _claims(count)
    local = local_rails(prompts=PROMPTS, canary=CANARY, embedder=embedder.fingerprint)
    rails = {
        "all default rails": NemoRails(local),
        "the same through NeMo's interpreter": NemoRails(local, interpreted=True),
        "NeMo's interpreter with rails that say yes": NemoRails(dict.fromkeys(local, _yes), interpreted=True),
    }
    rows: list[list[object]] = []
    p99: dict[str, float] = {}
    for name, one in rails.items():
        for on, checks in _checks(one, questions, vectors, claims).items():
            milliseconds = asyncio.run(_timed(checks))
            p99.setdefault(on, percentile(milliseconds, 99))
            rows.append([name, on, *(percentile(milliseconds, share) for share in (50, 95, 99))])
    for on, subjects in _subjects(questions, vectors, claims).items():
        for rail in ("injection", "harm") if on == "a question" else ("links", "leaks", "harm"):
            milliseconds = [_one(local[rail], subject) for subject in subjects]
            rows.append([f"`{rail}` alone, without NeMo", on, *(percentile(milliseconds, share) for share in (50, 95, 99))])
    return Result(
        {"p99_ms": p99},
        [
            Table(
                "Milliseconds of the rails",
                ("rails", "on", "p50", "p95", "p99"),
                rows,
                f"{len(questions)} questions with their vectors, which the search needs anyway, and {len(claims)} sentences, "
                "one after another.",
            )
        ],
        [Asked(f"milliseconds of all default rails on {on}, p99", value, at_most=20) for on, value in p99.items()],
    ).as_dict()


Check = Callable[[], Awaitable[object]]


def _yes(subject: Subject) -> Verdict:
    return PASS


def _questions() -> list[str]:
    rows = (_ROOT / "tests/e2e/handbook.jsonl").read_text(encoding="utf-8").splitlines()
    asked = [json.loads(row)["question"] for row in rows]
    for domain in ("clapnq", "cloud"):
        asked += [question.text for question in data.mtrag(domain, "lastturn")[1]]
        asked += [question.text for question in data.mtrag(domain, "rewrite")[1]]
    return asked


def _claims(count: int) -> list[Claim]:
    passages, _ = data.mtrag("cloud", "lastturn")
    claims: list[Claim] = []
    for passage in passages:
        spans = list(split(passage.text))
        if spans:
            start, end = spans[len(claims) % len(spans)]
            quote = passage.text[start:end]
            cited = Citation(1, "d", passage.id, passage.title, None, (), start, end, quote)
            claims.append(Claim(quote, (cited,)))
        if len(claims) == count:
            break
    return claims


def _checks(
    rails: NemoRails, questions: Sequence[str], vectors: Sequence[Any], claims: Sequence[Claim]
) -> dict[str, list[Check]]:
    def question(text: str, vector: Any) -> Check:
        return lambda: rails.check_question(text, vector, Budget())

    def sentence(claim: Claim) -> Check:
        return lambda: rails.check_sentence(claim, "What is it?", "It is as follows.", Budget())

    return {
        "a question": [question(text, vector) for text, vector in zip(questions, vectors, strict=True)],
        "a sentence": [sentence(claim) for claim in claims],
    }


def _subjects(questions: Sequence[str], vectors: Sequence[Any], claims: Sequence[Claim]) -> dict[str, list[Subject]]:
    return {
        "a question": [Subject("question", text, Budget(), vector) for text, vector in zip(questions, vectors, strict=True)],
        "a sentence": [
            Subject("sentence", claim.text, Budget(), sources=[citation.quote for citation in claim.citations])
            for claim in claims
        ],
    }


async def _timed(checks: Sequence[Check]) -> list[float]:
    for check in checks[:_WARM]:
        await check()
    milliseconds = []
    for check in checks:
        began = time.perf_counter()
        await check()
        milliseconds.append((time.perf_counter() - began) * 1000)
    return milliseconds


def _one(rail: LocalRail, subject: Subject) -> float:
    began = time.perf_counter()
    rail(subject)
    return (time.perf_counter() - began) * 1000
