"""Records to figures, by known definitions: ir-measures for rankings, SQuAD's match and F1, ROUGE-L, BLEU, ALCE's citations.

`MEASURES` says of each what it is. A figure is there only for questions that it means something for.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from rag_bot.errors import ExtraMissing
from rag_bot.eval.types import Case, Record

if TYPE_CHECKING:
    from rouge_score.rouge_scorer import RougeScorer

CUTS = (1, 3, 5, 10, 20)
DEPTH = max(CUTS)
_RANKING = (*(f"R@{k}" for k in CUTS), "P@1", "P@5", "P@10", "RR@10", "nDCG@10")
_SHORT = 12  # words; a longer wanted answer is not looked for word for word
_ENOUGH = 0.5  # of a long wanted answer's words
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation + "‘’“”…–—")
_MARK = re.compile(r"\s*\[\d+\]")


@dataclass(frozen=True, slots=True)
class Measure:
    """What a figure is called, what it says, and whether a higher one is better. `guards`: a loss of it fails `eval diff`."""

    title: str
    says: str
    higher: bool = True
    guards: bool = True


MEASURES: dict[str, Measure] = {
    "handled": Measure("Handled right", "answered right where the answer is there, refused where it is not; of all questions"),
    "right": Measure("Answered right", "of the questions whose answer is there"),
    "refused": Measure("Refused wrongly", "of the questions whose answer is there", higher=False),
    "declined": Measure("Refused rightly", "of the questions whose answer is not there"),
    "wrong": Measure("Answered wrong", "of all questions", higher=False),
    "wrong_given": Measure("Wrong among given", "of the answers given, those that are not right", higher=False, guards=False),
    "R@1": Measure("Recall@1", "of the wanted places, the share among the best passage"),
    "R@3": Measure("Recall@3", "of the wanted places, the share among the best 3 passages"),
    "R@5": Measure("Recall@5", "of the wanted places, the share among the best 5 passages"),
    "R@10": Measure("Recall@10", "of the wanted places, the share among the best 10 passages"),
    "R@20": Measure("Recall@20", "of the wanted places, the share among the best 20 passages"),
    "P@1": Measure("Precision@1", "of the best passage, whether it holds a wanted place", guards=False),
    "P@5": Measure("Precision@5", "of the best 5 passages, the share that holds a wanted place", guards=False),
    "P@10": Measure("Precision@10", "of the best 10 passages, the share that holds a wanted place", guards=False),
    "RR@10": Measure("MRR@10", "one over the rank of the first passage that holds a wanted place, 0 past the tenth"),
    "nDCG@10": Measure("nDCG@10", "gain of the wanted places, discounted by rank, over the best possible"),
    "exact": Measure("Exact match", "the answer is a wanted one, but for case, articles and punctuation (SQuAD)"),
    "holds": Measure(
        "Holds the answer", "a wanted answer of up to 12 words stands in the answer, word for word; 0 for a refusal"
    ),
    "f1": Measure("F1", "harmonic mean of precision and recall over the answer's words (SQuAD); 0 for a refusal"),
    "rougeL": Measure("ROUGE-L", "F-measure of the longest common subsequence, stemmed (rouge-score); 0 for a refusal"),
    "bleu": Measure("BLEU", "sentence BLEU over 100 (sacrebleu, effective order); 0 for a refusal", guards=False),
    "citation_precision": Measure(
        "Citation precision", "of the citations, those that carry their sentence, or without which it is not carried"
    ),
    "citation_recall": Measure("Citation recall", "of the sentences, those that their citations together carry"),
    "citation_wanted": Measure("Cites a wanted place", "of the answers to questions with a wanted place"),
    "supported": Measure("Supported sentences", "of the sentences proposed, those that the gate did not refuse"),
    "judge_right": Measure("Right, says the judge", "an LLM's opinion, beside the others", guards=False),
    "judge_carried": Measure(
        "Carried, says the judge", "of the sentences, those whose quotes carry them: an LLM's opinion", guards=False
    ),
}


def figures(records: Sequence[Record]) -> list[dict[str, float]]:
    """For each record what can be said of it, by the names of `MEASURES`. Raises ExtraMissing."""
    rankings = _rankings(records)
    return [{**_outcome(r), **rankings.get(at, {}), **_texts(r), **_citations(r)} for at, r in enumerate(records)]


def is_right(record: Record) -> bool:
    """Whether what was answered is right, refused or not.

    Where answers are wanted, the text decides: it holds a short one word for word, or half of a long one's words. Else it is
    whether a citation touches a wanted place.
    """
    case = record.case
    if case.answerable is False:
        return False
    if case.answers:
        return any(_says(record.answer, answer) for answer in case.answers)
    return any(citation.wanted for citation in record.citations) and bool(record.sentences)


# --- outcomes and citations


def _outcome(record: Record) -> dict[str, float]:
    outcome = record.outcome
    if record.case.answerable is None:
        return {}
    found = {"handled": float(outcome in ("right", "declined")), "wrong": float(outcome == "wrong")}
    if record.case.answerable:
        found |= {"right": float(outcome == "right"), "refused": float(outcome == "refused")}
    else:
        found["declined"] = float(outcome == "declined")
    if outcome in ("right", "wrong"):
        found["wrong_given"] = float(outcome == "wrong")
    return found


def _citations(record: Record) -> dict[str, float]:
    """After ALCE (Gao et al. 2023), with the project's own check of support in the place of its NLI model."""
    found: dict[str, float] = {}
    if record.opinion:
        if record.opinion.right is not None:
            found["judge_right"] = float(record.opinion.right)
        if record.opinion.asked:
            found["judge_carried"] = record.opinion.carried / record.opinion.asked
    proposed = len(record.sentences) + record.cut
    if record.sentences or record.cut:
        kept = sum(sentence.supported for sentence in record.sentences)
        found["supported"] = kept / max(proposed, 1)
    if record.refused or not record.sentences or record.model == "":
        return found
    useful = [one for sentence in record.sentences for one in sentence.useful]
    found["citation_recall"] = sum(sentence.carried for sentence in record.sentences) / len(record.sentences)
    if useful:
        found["citation_precision"] = sum(useful) / len(useful)
    if record.case.wanted:
        found["citation_wanted"] = float(any(citation.wanted for citation in record.citations))
    return found


# --- rankings


def _rankings(records: Sequence[Record]) -> dict[int, dict[str, float]]:
    """By the record's place; only of questions that want a place."""
    ir = _extra("ir_measures")
    wanted: dict[str, dict[str, int]] = {}
    found: dict[str, dict[str, float]] = {}
    for at, record in enumerate(records):
        if record.case.wanted and not record.error:
            wanted[str(at)] = {f"w{n}": place.grade for n, place in enumerate(record.case.wanted)}
            found[str(at)] = {name: -float(rank) for rank, name in enumerate(_ranked(record))} or {"none": 0.0}
    if not wanted:
        return {}
    measures = {ir.parse_measure(name): name for name in _RANKING}
    values: dict[int, dict[str, float]] = {}
    for each in ir.iter_calc(list(measures), wanted, found):
        values.setdefault(int(each.query_id), {})[measures[each.measure]] = float(each.value)
    return values


def _ranked(record: Record) -> list[str]:
    """The passages as names of the wanted places in them, each once; others stand for themselves.

    Where whole documents are wanted, they are ranked, each by its best passage. Two places in one passage follow on.
    """
    names: list[str] = []
    documents = not any(place.quote for place in record.case.wanted)
    for rank, hit in enumerate(record.retrieved):
        names += [f"w{n}" for n in hit.wanted] or [f"x{hit.document_id if documents else rank}"]
    return list(dict.fromkeys(names))


# --- texts


def _texts(record: Record) -> dict[str, float]:
    answers = record.case.answers
    if not answers or not record.case.answerable:
        return {}
    short = [answer for answer in answers if len(_normal(answer).split()) <= _SHORT]
    if record.refused or record.error:
        names = ("exact", "f1", "rougeL", "bleu", *(("holds",) if short else ()))
        return dict.fromkeys(names, 0.0)
    said = plain(record.answer)
    held = {"holds": max(float(_stands(_normal(answer), _normal(said))) for answer in short)} if short else {}
    return {
        **held,
        "exact": max(float(_normal(said) == _normal(answer)) for answer in answers),
        "f1": max(_f1(said, answer) for answer in answers),
        "rougeL": max(_rouge().score(answer, said)["rougeL"].fmeasure for answer in answers),
        "bleu": _bleu(said, answers),
    }


def plain(answer: str) -> str:
    """An answer's text without its marks."""
    return _MARK.sub("", answer)


def _normal(text: str) -> str:
    """SQuAD's normal form: lower case, without punctuation and articles, single spaces."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def _stands(wanted: str, text: str) -> bool:
    return f" {wanted} " in f" {text} "


def _says(answer: str, wanted: str) -> bool:
    said, want = _normal(plain(answer)), _normal(wanted)
    if len(want.split()) <= _SHORT:
        return _stands(want, said)
    words = Counter(want.split())
    return sum((words & Counter(said.split())).values()) >= _ENOUGH * sum(words.values())


def _f1(said: str, wanted: str) -> float:
    mine, gold = Counter(_normal(said).split()), Counter(_normal(wanted).split())
    common = sum((mine & gold).values())
    if not common:
        return float(not mine and not gold)
    precision, recall = common / sum(mine.values()), common / sum(gold.values())
    return 2 * precision * recall / (precision + recall)


@lru_cache(maxsize=1)
def _rouge() -> RougeScorer:
    _extra("rouge_score")
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], use_stemmer=True)


def _bleu(said: str, answers: Sequence[str]) -> float:
    return float(_extra("sacrebleu").sentence_bleu(said, list(answers)).score) / 100


def _extra(module: str) -> Any:
    """A module of the extra `eval`. Raises ExtraMissing."""
    import importlib

    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ExtraMissing(f"The package {module} is not installed: figures need it.", "pip install 'rag-bot[eval]'") from error


def check() -> None:
    """Raises ExtraMissing before anything is asked, where a figure could not be made afterwards."""
    for module in ("ir_measures", "rouge_score", "sacrebleu"):
        _extra(module)


def answer_wanted(case: Case) -> str:
    """What was wanted, for a person."""
    if case.answerable is False:
        return "a refusal: the documents don't hold it"
    return " / ".join(case.answers) or "; ".join(
        f"{place.document}: {place.quote}" if place.quote else place.document for place in case.wanted
    )
