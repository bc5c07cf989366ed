"""Which questions are refused: three sources of questions with and without an answer, each held out whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks import data
from benchmarks.build import index_of
from benchmarks.cache import embed_questions
from benchmarks.registry import Options
from benchmarks.results import Asked as Wanted
from benchmarks.results import Result, Table
from ingest.embedder import Embedder, load_embedder
from ingest.index import Index
from rag_bot.answer.quote import choose
from rag_bot.confidence import Calibration, features
from rag_bot.evidence import EvidenceFinder
from rag_bot.retrieve import QueryEmbedder, Retriever
from rag_bot.rewrite import rewrite
from rag_bot.types import Evidence, Passage, Standalone, Turn

PASSAGES = 8
SOURCES = ("xquad", "clapnq", "mtrag")
STRICTNESS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3)
_TARGETS = {"xquad": 0.85, "clapnq": 0.88, "mtrag": 0.75}
_SAME = 0.8  # of the words of the shorter of two sentences: the gold one's tokens are set apart by spaces
_BINS = 10

Numbers = npt.NDArray[np.float64]
Truths = npt.NDArray[np.bool_]
Right = Callable[[Evidence, Passage], bool]


@dataclass(frozen=True, slots=True)
class Asked:
    """One question asked once. `answerable` is None where a person could not say; `right`: a quoted sentence is right."""

    source: str
    group: str
    answerable: bool | None
    values: tuple[float, ...]
    right: bool


def run(options: Options) -> dict[str, Any]:
    """Probabilities for each source from a model of the other two; then that model refitted on half of the source."""
    from benchmarks.calibrate import fit, weights_of

    asked = ask_all(quick=options.quick)
    figures: dict[str, dict[str, Any]] = {}
    for source in SOURCES:
        others = [one for one in asked if one.source != source]
        held_out = [one for one in asked if one.source == source]
        model = fit(others, weights_of(others))
        figures[source] = _report(held_out, model) | {
            "refitted": _refitted(held_out, model),
            "by_max_wrong": _shipped(held_out),
        }
    return _result(figures).as_dict()


def ask_all(*, quick: bool = False) -> list[Asked]:
    """Every question of the three sources; `quick` takes every tenth."""
    embedder = load_embedder("minilm")
    step = 10 if quick else 1
    return [*_xquad(embedder, step), *_clapnq(embedder, step), *_mtrag(embedder, step)]


def _xquad(embedder: Embedder, step: int) -> Iterator[Asked]:
    """Each question twice: with its paragraph, and with that paragraph passed over. Right: the quote holds the answer."""
    passages, questions = data.xquad()
    questions = questions[::step]
    vectors = embed_questions([question.text for question in questions], embedder, "xquad")
    with index_of(passages, "xquad", embedder=embedder) as index:
        for question, vector in zip(questions, vectors, strict=True):

            def right(item: Evidence, passage: Passage, question: data.Question = question) -> bool:
                return passage.document.source in question.relevant and any(
                    answer.lower() in item.text.lower() for answer in question.answers
                )

            standalone = Standalone(question.text, question.text)
            for there in (True, False):
                without = () if there else tuple(question.relevant)
                yield from _ask(index, ("xquad", question.group, there), standalone, vector, right, without)


def _clapnq(embedder: Embedder, step: int) -> Iterator[Asked]:
    """Right: the quote is one of the sentences that a person chose."""
    passages, questions = data.clapnq_answerability()
    questions = questions[::step]
    vectors = embed_questions([question.text for question in questions], embedder, "clapnq-answerability")
    with index_of(passages, "clapnq-answerability", embedder=embedder) as index:
        for question, vector in zip(questions, vectors, strict=True):

            def right(item: Evidence, passage: Passage, question: data.Question = question) -> bool:
                return passage.document.source in question.relevant and any(_same(a, item.text) for a in question.answers)

            standalone = Standalone(question.text, question.text)
            yield from _ask(index, ("clapnq", question.group, bool(question.relevant)), standalone, vector, right)


def _mtrag(embedder: Embedder, step: int) -> Iterator[Asked]:
    """Turns with their conversation, asked of the passages that any turn was shown. Right: from a relevant passage."""
    shown, tasks = data.mtrag_tasks()
    for domain, passages in shown.items():
        with index_of(passages, f"shown-{domain}", embedder=embedder) as index:
            embed = QueryEmbedder(index)
            try:
                retrieve = Retriever(index, embed)
                for task in [task for task in tasks if task.domain == domain][::step]:

                    def right(item: Evidence, passage: Passage, task: data.Task = task) -> bool:
                        return passage.document.source in task.relevant

                    standalone = rewrite(task.text, [Turn(*turn) for turn in task.turns])
                    answerable = {"ANSWERABLE": True, "UNANSWERABLE": False}.get(task.kind)
                    about = ("mtrag", task.id.split(data.TURN)[0], answerable)
                    yield from _ask(index, about, standalone, retrieve.vector(standalone), right)
            finally:
                embed.close()


def _ask(
    index: Index,
    about: tuple[str, str, bool | None],
    question: Standalone,
    vector: Any,
    right: Right,
    without: Sequence[str] = (),
) -> Iterator[Asked]:
    """One answer as the bot would give it; none where there is nothing to go by, since that is refused anyway."""
    find = EvidenceFinder(index.terms, index.idf, index.sentence_cosines, index.text)
    hits = index.search(question.searched, PASSAGES * (2 if without else 1), vector=vector, earlier=question.earlier)
    hits = [hit for hit in hits if hit.document.source not in without][:PASSAGES]
    weights = find.weights(question)
    evidence = find(question, weights, hits, vector)
    if evidence and weights.terms:
        good = any(right(item, hits[item.passage]) for item in choose(evidence))
        yield Asked(*about, tuple(features(weights, hits, evidence)), good)


def _same(one: str, other: str) -> bool:
    words, others = set(one.lower().split()), set(other.lower().split())
    return len(words & others) > _SAME * max(1, min(len(words), len(others)))


# --- figures


def _report(asked: Sequence[Asked], model: Calibration) -> dict[str, Any]:
    p, right = _probabilities(asked, model)
    known = np.asarray([one.answerable is not None for one in asked])
    answerable = np.asarray([bool(one.answerable) for one in asked])
    return {
        "questions": len(asked),
        "answerable": int((known & answerable).sum()),
        "auroc_answerable": auroc(p[known], answerable[known]),
        "auroc_right": auroc(p, right),
        "ece": calibration_error(p, right),
        "risk_at_0.5": risk(p, right, 0.5),
        "risk_at_0.8": risk(p, right, 0.8),
        "right_if_never_refused": float(right.mean()),
    }


def _refitted(asked: Sequence[Asked], model: Calibration) -> dict[str, Any]:
    """What is reached on one half of a source after two numbers were fitted on the other half; both ways round."""
    given: dict[float, list[bool]] = {allowed: [] for allowed in STRICTNESS}
    errors, sizes = [], []
    for half in (0, 1):
        mine = [one for one in asked if half_of(one) == half]
        others = [one for one in asked if half_of(one) != half]
        own = model.refitted([one.values for one in mine], [one.right for one in mine])
        p, right = _probabilities(others, own)
        errors.append(calibration_error(p, right))
        sizes.append(len(mine))
        for allowed in STRICTNESS:
            within = [threshold for threshold, wrong in own.curve if wrong <= allowed]
            given[allowed] += [bool(good) for good in right[p >= min(within)]] if within else []
    rows = [{"max_wrong": a, **_share(good, len(asked))} for a, good in given.items()]
    return {"questions_fitted_on": sizes, "ece": float(np.mean(errors)), "by_max_wrong": rows}


def _shipped(asked: Sequence[Asked]) -> list[dict[str, float]]:
    """The calibration that ships, which has seen these questions: what a setting does on each source."""
    model = Calibration.load()
    p, right = _probabilities(asked, model)
    return [{"max_wrong": a, **_share([bool(good) for good in right[p >= model.threshold(a)]], len(asked))} for a in STRICTNESS]


def _share(good: Sequence[bool], asked: int) -> dict[str, float]:
    return {"answered": len(good) / asked, "wrong_among_given": 1 - sum(good) / len(good) if good else 0.0}


def half_of(one: Asked) -> int:
    """Of its group, as `data.half` of a question's."""
    return data.half(data.Question("", "", {}, group=one.group))


def _probabilities(asked: Sequence[Asked], model: Calibration) -> tuple[Numbers, Truths]:
    return np.asarray([model.probability(one.values) for one in asked]), np.asarray([one.right for one in asked])


def auroc(scores: Numbers, true: Truths) -> float:
    """The chance that a true one scores above a false one; equal scores count half."""
    order = np.sort(scores[~true])
    below = np.searchsorted(order, scores[true], "left") + np.searchsorted(order, scores[true], "right")
    return float(below.mean() / (2 * max(1, len(order)))) if true.any() else 0.0


def calibration_error(p: Numbers, right: Truths) -> float:
    """Expected calibration error: the gap between promised and reached in ten bins, weighted by their size."""
    bins = np.minimum((p * _BINS).astype(int), _BINS - 1)
    return float(sum(abs(p[bins == b].mean() - right[bins == b].mean()) * (bins == b).mean() for b in np.unique(bins)))


def risk(p: Numbers, right: Truths, coverage: float) -> float:
    """The share of wrong ones among the most confident `coverage` of the answers."""
    best = np.argsort(-p, kind="stable")[: max(1, int(len(p) * coverage))]
    return float(1 - right[best].mean())


def _result(figures: dict[str, dict[str, Any]]) -> Result:
    columns = ("auroc_answerable", "auroc_right", "ece", "risk_at_0.5", "risk_at_0.8", "right_if_never_refused")
    rows = [[source, f["questions"], f["answerable"], *(f[name] for name in columns)] for source, f in figures.items()]
    settings: list[list[object]] = []
    asked = [Wanted(f"{s}: AUROC, answerable or not", f["auroc_answerable"], _TARGETS[s]) for s, f in figures.items()]
    for source, f in figures.items():
        shipped = {row["max_wrong"]: row for row in f["by_max_wrong"]}
        for row in f["refitted"]["by_max_wrong"]:
            before = shipped.get(row["max_wrong"], {})
            settings.append(
                [source, row["max_wrong"], before.get("answered", "-"), before.get("wrong_among_given", "-"), row["answered"],
                 row["wrong_among_given"] if row["answered"] else "-"]
            )  # fmt: skip
            if row["max_wrong"] in (0.2, 0.25):
                off = abs(row["wrong_among_given"] - row["max_wrong"])
                what = f"{source}, refitted on its other half: wrong share off {row['max_wrong']:g} by"
                asked.append(Wanted(what, off, at_most=0.03))
    tables = [
        Table(
            "Each source with a model of the other two",
            ("source", "questions", "answerable", *(name.replace("_", " ") for name in columns)),
            rows,
            "xquad: each question with its paragraph and without; clapnq: CLAP NQ's answerable and unanswerable questions over "
            "300 passages; mtrag: turns of conversations over the passages that any turn was shown (30 of them unanswerable). "
            "Right: a quoted sentence holds the answer, is one a person chose, or stands in a relevant passage.",
        ),
        Table(
            "What a setting does",
            ("source", "max wrong", "shipped: answered", "wrong", "refitted: answered", "wrong of them"),
            settings,
            "Shipped: fitted on all three, so not held out. Refitted: `rag-bot calibrate`'s fit of two numbers on one half of "
            "the source, starting from the other two sources, measured on the other half.",
        ),
    ]
    return Result(figures, tables, asked)
