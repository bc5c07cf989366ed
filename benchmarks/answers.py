"""XQuAD's questions asked with and without their paragraph in the index: answered right, answered wrong, refused."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.data import Question, xquad
from benchmarks.registry import Options
from ingest.build import open_pipeline
from ingest.embedder import Embedder, Vectors, load_embedder
from ingest.index import Index
from ingest.settings import IngestSettings
from rag_bot.answer.quote import choose
from rag_bot.confidence import Calibration, Confidence, features
from rag_bot.evidence import EvidenceFinder
from rag_bot.types import Standalone

PASSAGES = 8
FOLDS = 5  # the questions of a fifth of the paragraphs are asked of an index without that fifth
STRICTNESS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3)


@dataclass(frozen=True, slots=True)
class Asked:
    """One question asked once. `right`: a quoted sentence of the right paragraph holds the answer, word for word."""

    group: str
    there: bool
    values: tuple[float, ...]
    right: bool
    sentences: int


def run(options: Options) -> dict[str, Any]:
    """Score refusal at several settings with probabilities cross-fitted by article, as benchmarks/calibrate.py does."""
    from benchmarks.calibrate import cross_fitted

    asked = ask_all(quick=options.quick)
    probabilities = cross_fitted(asked)
    shipped = Calibration.load()
    rows = []
    for max_wrong in STRICTNESS:
        threshold = Confidence(shipped, max_wrong).threshold
        rows.append({"max_wrong": max_wrong, "threshold": threshold, **outcome(asked, probabilities, threshold)})
    there = [one for one in asked if one.there]
    return {
        "questions": len(there),
        "right_if_never_refused": _share([one.right for one in there]),
        "sentences_per_answer": round(sum(one.sentences for one in there) / len(there), 2),
        "by_max_wrong": rows,
    }


def outcome(asked: Sequence[Asked], probabilities: Sequence[float], threshold: float) -> dict[str, float]:
    """Shares of questions answered right, answered wrong and refused, with and without their paragraph."""
    given = [(one, p >= threshold) for one, p in zip(asked, probabilities, strict=True)]
    there = [(one.right, told) for one, told in given if one.there]
    absent = [told for one, told in given if not one.there]
    answers = [one.right for one, told in given if told]
    return {
        "with_right": _share([right and told for right, told in there]),
        "with_wrong": _share([told and not right for right, told in there]),
        "with_refused": _share([not told for _, told in there]),
        "without_refused": _share([not told for told in absent]),
        "wrong_among_given": _share([not right for right in answers]),
    }


def ask_all(*, quick: bool = False) -> list[Asked]:
    """Every question asked twice: of an index of all paragraphs, and of one without the paragraphs of its fold."""
    passages, questions = xquad()
    if quick:
        groups = sorted({question.group for question in questions})[:8]
        questions = [question for question in questions if question.group in groups]
        passages = [passage for passage in passages if passage.id.split("/")[0] in groups]
    embedder = load_embedder("minilm")
    fold = {passage.id: number % FOLDS for number, passage in enumerate(passages)}
    vectors = {question.id: embedder.embed_queries([question.text])[0] for question in questions}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "documents"
        folder.mkdir()
        names = {}
        for number, passage in enumerate(passages):
            names[passage.id] = folder / f"{number:04d}.md"
            names[passage.id].write_text(f"---\ntitle: {passage.title}\n---\n\n{passage.text}\n", encoding="utf-8")
        home = Path(temporary) / "index"
        _fill(home, folder, embedder)
        asked = list(_ask(home, embedder, questions, vectors, names, there=True))
        for one in range(FOLDS):
            part = Path(temporary) / f"without-{one}"
            shutil.copytree(home, part)
            _drop(part, embedder, {str(names[i]) for i, number in fold.items() if number == one})
            mine = [question for question in questions if fold[next(iter(question.relevant))] == one]
            asked += _ask(part, embedder, mine, vectors, names, there=False)
    return asked


def _fill(home: Path, folder: Path, embedder: Embedder) -> None:
    with open_pipeline(IngestSettings(), path=home, embedder=embedder) as pipeline:
        report = pipeline.add([folder])
    assert not report.failed


def _drop(home: Path, embedder: Embedder, sources: set[str]) -> None:
    with Index.open(home, write=True, embedder=embedder) as index:
        for info in index.documents():
            if info.source in sources:
                index.remove(info.document_id)
        index.publish(force=True)


def _ask(
    home: Path,
    embedder: Embedder,
    questions: Sequence[Question],
    vectors: dict[str, Vectors],
    names: dict[str, Path],
    *,
    there: bool,
) -> Iterator[Asked]:
    with Index.open(home, embedder=embedder) as index:
        find = EvidenceFinder(index.terms, index.idf, index.sentence_cosines, index.text)
        for question in questions:
            standalone = Standalone(question.text, question.text)
            hits = index.search(question.text, PASSAGES, vector=vectors[question.id])
            weights = find.weights(standalone)
            evidence = find(standalone, weights, hits, vectors[question.id])
            chosen = choose(evidence)
            gold = {str(names[i]) for i in question.relevant}
            right = any(
                hits[item.passage].document.source in gold and answer.lower() in item.text.lower()
                for item in chosen
                for answer in question.answers
            )
            if evidence and weights.terms:
                yield Asked(question.group, there, tuple(features(weights, hits, evidence)), there and right, len(chosen))


def _share(values: Sequence[bool]) -> float:
    return round(sum(values) / max(1, len(values)), 4)
