"""What follow-ups find: the last turn alone, our rewriting from the conversation, and a person's rewriting (MTRAG)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks import data
from benchmarks.build import index_of
from benchmarks.metrics import by_best_chunk, score
from benchmarks.registry import Options
from benchmarks.results import Asked, Result, Table
from ingest.embedder import load_embedder
from ingest.index import Index
from rag_bot.retrieve import QueryEmbedder, Retriever
from rag_bot.rewrite import rewrite
from rag_bot.types import Standalone, Turn

_DEPTH = 60  # chunks, enough for ten documents
_MEASURE = "nDCG@10"
_WHICH = ("all", "tuning half", "held-out half")

Ask = Callable[[data.Question], Standalone]


def run(options: Options) -> dict[str, Any]:
    """Both domains; `--quick` takes one, and every tenth question."""
    embedder = load_embedder("minilm")
    figures: dict[str, dict[str, dict[str, float]]] = {}
    for domain in ("clapnq",) if options.quick else ("clapnq", "cloud"):
        passages, questions = data.mtrag(domain, "lastturn")
        if options.quick:
            questions = questions[::10]
            passages, questions = data.around(passages, questions, 300)
        with index_of(passages, f"{domain}-quick" if options.quick else domain, embedder=embedder) as index:
            figures[domain] = _domain(index, domain, questions)
    return _result(figures).as_dict()


def _domain(index: Index, domain: str, questions: Sequence[data.Question]) -> dict[str, dict[str, float]]:
    by_person = {question.id: question.text for question in data.mtrag(domain, "rewrite")[1]}
    turns = {i: [Turn(*turn) for turn in some] for i, some in data.mtrag_turns(domain).items()}
    foreign = _foreign(questions, turns)

    def by_words(question: data.Question) -> Standalone:
        text = rewrite(question.text, turns[question.id]).text
        return Standalone(text, text)

    ways: dict[str, Ask] = {
        "last turn alone": lambda question: Standalone(question.text, question.text),
        "with the words of earlier turns": by_words,
        "ours, with the turn before": lambda question: rewrite(question.text, turns[question.id]),
        "a person's rewriting": lambda question: Standalone(by_person[question.id], by_person[question.id]),
        "ours, the turn before from another conversation": lambda question: rewrite(question.text, foreign[question.id]),
    }
    embed = QueryEmbedder(index)
    try:
        return {name: _scores(Retriever(index, embed), questions, ask) for name, ask in ways.items()}
    finally:
        embed.close()


def _foreign(questions: Sequence[data.Question], turns: Mapping[str, Sequence[Turn]]) -> dict[str, list[Turn]]:
    """For each question the last turn before a question of another conversation: a change of subject."""
    lasts = [(q.id.split(data.TURN)[0], turns[q.id][-1]) for q in questions if turns[q.id]]
    found = {}
    for number, question in enumerate(questions):
        others = [turn for conversation, turn in lasts if conversation != question.id.split(data.TURN)[0]]
        found[question.id] = [others[number * 7 % len(others)]]
    return found


def _scores(retrieve: Retriever, questions: Sequence[data.Question], ask: Ask) -> dict[str, float]:
    found: dict[str, list[str]] = {}
    for question in questions:
        asked = ask(question)
        hits = retrieve(asked.searched, _DEPTH, vector=retrieve.vector(asked), earlier=asked.earlier)
        found[question.id] = by_best_chunk(hit.document.source for hit in hits)
    halves = [questions, *([q for q in questions if data.half(q) == half] for half in (0, 1))]
    return {name: score(some, found, [_MEASURE])[_MEASURE] for name, some in zip(_WHICH, halves, strict=True) if some}


def _result(figures: dict[str, dict[str, dict[str, float]]]) -> Result:
    rows = [
        [domain, way, *(values.get(which, 0.0) for which in _WHICH)]
        for domain, ways in figures.items()
        for way, values in ways.items()
    ]
    asked = []
    for domain, ways in figures.items():
        alone, ours, person = (
            ways[way].get(_WHICH[2], 0.0) for way in ("last turn alone", "ours, with the turn before", "a person's rewriting")
        )
        asked.append(
            Asked(
                f"{domain}, held out: ours less the last turn alone and half of what a person gains",
                ours - (alone + person) / 2,
                0,
            )
        )
    table = Table(
        f"Follow-ups, {_MEASURE}",
        ("data", "question as", *_WHICH),
        rows,
        "Turns of MTRAG's conversations; earlier answers are those that people corrected. The first turns of conversations, "
        "which have nothing before them, are among the questions.",
    )
    return Result(figures, [table], asked)
