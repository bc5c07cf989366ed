"""What quotes hold: XQuAD's answers over all its paragraphs, and TAT-QA's cells, in the right document and among all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks import data
from benchmarks.build import index_of
from benchmarks.cache import embed_questions
from benchmarks.registry import Options
from benchmarks.results import Asked, Result, Table
from ingest.embedder import Embedder, Vectors, load_embedder
from ingest.index import Index
from rag_bot.answer.quote import QuoteAnswerer, choose
from rag_bot.evidence import EvidenceFinder
from rag_bot.types import Evidence, Passage, Standalone

_PASSAGES = 8
_IN_A_DOCUMENT = 300  # hits of which those of the right document are kept
_COLUMNS = ("best sentence", "best three", "first quote", "all quotes")
_WHICH = ("all", "tuning half", "held-out half")

Holds = Callable[[str], bool]
Row = tuple[bool, bool, bool, bool]


def run(options: Options) -> dict[str, Any]:
    """Shares of questions, and how much is quoted; nothing is refused here."""
    embedder = load_embedder("minilm")
    step = 10 if options.quick else 1
    figures: dict[str, dict[str, dict[str, float]]] = {}
    passages, questions = data.xquad()
    figures["xquad"] = _shares(passages, questions[::step], "xquad", embedder, table=False, known=False)
    passages, questions = data.tatqa()
    questions = questions[::step]
    figures["tatqa, among all"] = _shares(passages, questions, "tatqa", embedder, table=True, known=False)
    figures["tatqa, in the right document"] = _shares(passages, questions, "tatqa", embedder, table=True, known=True)
    return _result(figures).as_dict()


def _shares(
    passages: Sequence[data.Passage],
    questions: Sequence[data.Question],
    name: str,
    embedder: Embedder,
    *,
    table: bool,
    known: bool,
) -> dict[str, dict[str, float]]:
    """`known`: only what was found in the question's own document is quoted; `table`: a row must hold the answer's cell."""
    vectors = embed_questions([question.text for question in questions], embedder, name)
    with index_of(passages, name, embedder=embedder) as index:
        find = EvidenceFinder(index.terms, index.idf, index.sentence_cosines, index.text)
        quote = QuoteAnswerer(index.text)
        rows = [
            _one(index, find, quote, question, vector, table=table, known=known)
            for question, vector in zip(questions, vectors, strict=True)
        ]
    halves = np.asarray([data.half(question) for question in questions])
    values = np.asarray([row[0] for row in rows])
    figures = {
        which: dict(zip(_COLUMNS, map(float, values[mask].mean(axis=0)), strict=True))
        for which, mask in zip(_WHICH, (halves >= 0, halves == 0, halves == 1), strict=True)
        if mask.any()
    }
    figures["all"] |= {
        "quotes": float(np.mean([count for _, count, _ in rows])),
        "characters": float(np.mean([length for _, _, length in rows])),
    }
    return figures


def _one(
    index: Index,
    find: EvidenceFinder,
    quote: QuoteAnswerer,
    question: data.Question,
    vector: Vectors,
    *,
    table: bool,
    known: bool,
) -> tuple[Row, int, int]:
    hits = index.search(question.text, _IN_A_DOCUMENT if known else _PASSAGES, vector=vector)
    hits = [hit for hit in hits if not known or hit.document.source == question.group][:_PASSAGES]
    asked = Standalone(question.text, question.text)
    evidence = find(asked, find.weights(asked), hits, vector)
    holds = _cell(question) if table else _span(question)

    def right(item: Evidence) -> bool:
        passage: Passage = hits[item.passage]
        return passage.document.source in question.relevant and (passage.chunk.kind == "table") == table and holds(item.text)

    chosen = choose(evidence)
    claims = quote.claims(chosen, hits)
    sources = {info.document_id: info.source for info in (hit.document for hit in hits)}
    quoted = [
        holds(citation.quote) and sources[citation.document_id] in question.relevant
        for claim in claims
        for citation in claim.citations[-1:]  # of a row the last: the one before it is the table's header
    ]
    found = [right(item) for item in evidence[:3]]
    return (any(found[:1]), any(found), any(quoted[:1]), any(quoted)), len(claims), sum(len(claim.text) for claim in claims)


def _span(question: data.Question) -> Holds:
    return lambda text: any(answer.lower() in text.lower() for answer in question.answers)


def _cell(question: data.Question) -> Holds:
    """Whether one of the answer's cells is a cell of a row, whole."""
    wanted = {" ".join(answer.replace("|", "\\|").split()) for answer in question.answers}
    return lambda text: bool(wanted & {cell.strip() for line in text.splitlines() for cell in line.strip("| ").split(" | ")})


def _result(figures: dict[str, dict[str, dict[str, float]]]) -> Result:
    rows = [
        [name, which, *(values[column] for column in _COLUMNS)]
        for name, by_which in figures.items()
        for which, values in by_which.items()
    ]
    sizes = [[name, f["all"]["quotes"], f["all"]["characters"]] for name, f in figures.items()]
    held_out = figures["xquad"].get(_WHICH[2], figures["xquad"]["all"])
    return Result(
        figures,
        [
            Table(
                "Share of questions whose quote holds the answer",
                ("data", "questions", *_COLUMNS),
                rows,
                "xquad: the words of the answer, in the right paragraph; tatqa: a cell of the answer, in a row of the right "
                "table (questions that cells alone answer). Best sentence, best three: as scored; quotes: as shown, with what "
                "they lean on. Half of the articles or contexts set the weights.",
            ),
            Table("How much is quoted", ("data", "quotes", "characters"), sizes),
        ],
        [
            Asked("xquad, held out: the first quote holds the answer", held_out["first quote"], 0.82),
            Asked("xquad, held out: one of the best three sentences does", held_out["best three"], 0.93),
            Asked("xquad, all: the first quote holds the answer", figures["xquad"]["all"]["first quote"], 0.82),
            Asked("xquad, all: one of the best three sentences does", figures["xquad"]["all"]["best three"], 0.93),
        ],
    )
