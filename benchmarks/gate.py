"""The gate on sentences that people wrote from passages, and on the same sentences made wrong: what is released, what cut."""

from __future__ import annotations

import json
import random
import re
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from benchmarks import data
from benchmarks.build import index_of
from benchmarks.judged import judged_by_hand
from benchmarks.metrics import percentile
from benchmarks.registry import Options
from benchmarks.results import Asked, Result, Table
from ingest.embedder import Vectors
from ingest.index import Index
from ingest.sentences import split
from ingest.types import Hit
from rag_bot.bot import text_reader
from rag_bot.support import Support, SupportFinder

KINDS = {
    "gold": "as a person wrote it",
    "number": "a figure changed",
    "name": "a name changed to one from another conversation",
    "negation": "a “not” put in or taken out",
    "unit or date": "a unit, month or day changed",
    "other answer": "a sentence from another conversation's answer",
    "name swapped": "a name changed to another one from the same passages",
}
ASKED = ("number", "name")
_HARDER = "name swapped"  # reported, and not counted in precision, recall and F1
_SAMPLE = 30

_FIGURE = re.compile(r"(?<![\w.,:/-])\d[\d,]*(?:\.\d+)?(?![\w:/]|[.,]\d)")
_MARKER = re.compile(r"\s*\d+[.)]\s")
_SPELT = re.compile(r"\b(?:two|three|four|five|six|seven|eight|nine|ten|twelve|twenty|thirty|fifty)\b", re.IGNORECASE)
_NAME = re.compile(r"(?<![\w'’.])[A-Z][\w’]+(?:[ -][A-Z][\w’]+)*")
_HELPING = re.compile(
    r"\b(?:is|are|was|were|can|will|would|should|must|could|may|might|does|do|did|has been|have been)\b(?! not| n't|n't)"
)
_DENYING = re.compile(r"(?: not\b(?! only)|(?<=[a-z])n't\b| n't\b| never\b)")
_MONTHS = "January February March April May June July August September October November December".split()
_MONTH = re.compile(rf"\b(?:{'|'.join(_MONTHS)})\b(?=,? \d)|(?<=\d ){'|(?<=[0-9] )'.join(_MONTHS)}")
_UNITS = {
    "days": "hours", "day": "hour", "hours": "days", "hour": "day", "weeks": "months", "months": "weeks", "years": "months",
    "year": "month", "minutes": "hours", "seconds": "minutes", "%": "kg", "percent": "dollars", "GB": "TB", "TB": "GB",
    "MB": "GB", "million": "billion", "billion": "million", "dollars": "euros", "USD": "EUR", "km": "m", "miles": "metres",
    "meters": "miles",
}  # fmt: skip
_UNIT = re.compile(rf"(?<=\d)(?: |-)?(?P<unit>{'|'.join(_UNITS)})(?![\w])")
_COMMON = re.compile(r"(?<![\w./@-])[a-z]+(?![\w/@-])")
_NO_NAMES = frozenset(
    "The This That These Those It In On At If When While Yes No And But For To A An I You He She They We".split()
)


Find = Callable[[str, Sequence[int], Sequence[Hit]], Support]


@dataclass(frozen=True, slots=True)
class Case:
    """A sentence and the passages that it is held against; `right` are the places of those that a person marked as relevant."""

    kind: str
    domain: str
    conversation: str
    task: str
    sentence: str
    hits: Sequence[Hit]
    right: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """A case with what the gate said of it, in how many milliseconds, and whether the sentence had to be embedded."""

    case: Case
    support: Support
    ms: float
    embedded: bool


def run(options: Options) -> dict[str, Any]:
    """Constants were chosen on one half of the conversations (`tuning`); the other half, held out, is the result."""
    rows = tasks()
    if options.quick:
        rows = rows[::8]
    with index_of(passages_of(rows), "gate") as index:
        cases = gold(rows, index)
        finder = _Finder(index)
        for case in cases[:20]:  # warm
            finder(case.sentence, case.right, case.hits)
        judged = [finder.judged(case) for case in (*cases, *wrong(cases))]
        marks = {half: _marks([c for c in cases if tuning(c) is (half == "tuning")], finder) for half in ("held out", "tuning")}
    halves = {half: [one for one in judged if tuning(one.case) is (half == "tuning")] for half in ("held out", "tuning")}
    figures = {half: {**_figures(some), "marks": marks[half]} for half, some in halves.items()}
    cut = [one for one in halves["held out"] if one.case.kind == "gold" and not one.support.supported]
    sample = sorted(cut, key=lambda one: zlib.crc32(one.case.sentence.encode()))[:_SAMPLE]  # by chance, and the same again
    listed = judged_by_hand(options.out / "gate_cut.json", [_row(one) for one in sample])
    return _result(figures, listed).as_dict()


def tuning(case: Case) -> bool:
    """Whether a case belongs to the half of the conversations on which constants were chosen."""
    return zlib.crc32(case.conversation.encode()) % 2 == 0


class _Finder:
    """The gate's own finder of support, with a count of the sentences that were embedded."""

    def __init__(self, index: Index) -> None:
        self._index, self._embedded = index, 0
        self._find = SupportFinder(self._embed, index.sentence_cosines, text_reader(index))

    def __call__(self, sentence: str, marks: Sequence[int], hits: Sequence[Hit]) -> Support:
        return self._find(sentence, marks, hits)

    def judged(self, case: Case) -> Judged:
        before, began = self._embedded, time.perf_counter()
        support = self._find(case.sentence, case.right, case.hits)
        return Judged(case, support, (time.perf_counter() - began) * 1000, self._embedded > before)

    def _embed(self, text: str) -> Vectors:
        self._embedded += 1
        return self._index.embed_query(text)


def _figures(judged: Sequence[Judged]) -> dict[str, Any]:
    """Shares released by kind; precision, recall and F1 of finding what is unsupported; milliseconds."""
    kinds = {kind: [one for one in judged if one.case.kind == kind] for kind in KINDS}
    released = {kind: sum(one.support.supported for one in some) / max(1, len(some)) for kind, some in kinds.items()}
    counted = [one for one in judged if one.case.kind not in ("gold", _HARDER)]
    found = sum(not one.support.supported for one in counted)
    cut = found + sum(not one.support.supported for one in kinds["gold"])
    precision, recall = found / max(1, cut), found / max(1, len(counted))
    times = [one.ms for one in judged]
    return {
        "sentences": {kind: len(some) for kind, some in kinds.items()},
        "released": released,
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / max(1e-9, precision + recall),
        "ms": {"mean": sum(times) / max(1, len(times)), "p50": percentile(times, 50), "p99": percentile(times, 99)},
        "embedded": sum(one.embedded for one in judged) / max(1, len(judged)),
    }


def _marks(cases: Sequence[Case], find: Find) -> dict[str, float]:
    """What becomes of gold sentences with right marks, none, and one to a passage that a person marked as beside the point.

    `mended`: of those released with a wrong mark, the share whose citations are all in passages marked as relevant.
    """
    marked = [case for case in cases if 0 < len(case.right) < len(case.hits)]
    wrong = [next(at for at in range(len(case.hits)) if at not in case.right) for case in marked]
    right = [find(case.sentence, case.right, case.hits) for case in marked]
    none = [find(case.sentence, (), case.hits) for case in marked]
    astray = [find(case.sentence, (at,), case.hits) for case, at in zip(marked, wrong, strict=True)]
    released = [(case, at, one) for case, at, one in zip(marked, wrong, astray, strict=True) if one.supported and one.spans]
    stayed = sum(all(place == at for place, _ in one.spans) for _, at, one in released)
    mended = sum(all(place in case.right for place, _ in one.spans) for case, _, one in released)
    return {
        "sentences": len(marked),
        "released_right": sum(one.supported for one in right) / max(1, len(marked)),
        "released_none": sum(one.supported for one in none) / max(1, len(marked)),
        "released_wrong": sum(one.supported for one in astray) / max(1, len(marked)),
        "mended": mended / max(1, len(released)),
        "carried_where_marked": stayed / max(1, len(released)),
    }


def _row(one: Judged) -> dict[str, object]:
    return {"sentence": one.case.sentence, "reason": one.support.reason, "nearest": quotes(one.support, one.case.hits)}


def quotes(support: Support, hits: Sequence[Hit]) -> list[str]:
    """The texts of the spans of a support that lie in their passages."""
    found = []
    for place, (start, end) in support.spans:
        chunk = hits[place].chunk
        found.append(chunk.text[max(0, start - chunk.start) : end - chunk.start])
    return found


def _result(figures: dict[str, Any], cut: Sequence[dict[str, object]]) -> Result:
    held, tuned = figures["held out"], figures["tuning"]
    rows: list[list[object]] = []
    for kind, what in KINDS.items():
        shares = [1 - half["released"][kind] if kind != "gold" else half["released"][kind] for half in (held, tuned)]
        meant = "released" if kind == "gold" else "cut"
        rows.append([f"{kind}: {what}", meant, shares[0], held["sentences"][kind], shares[1], tuned["sentences"][kind]])
    rows += [[f"unsupported sentences: {name}", "", held[name], "", tuned[name], ""] for name in ("precision", "recall", "f1")]
    rows += [[f"milliseconds a sentence, {name}", "", held["ms"][name], "", tuned["ms"][name], ""] for name in held["ms"]]
    rows.append(["share that had to be embedded", "", held["embedded"], "", tuned["embedded"], ""])
    note = (
        "The held-out half is the result; constants were chosen on the other (conversations by the checksum of their id). "
        f"“{_HARDER}” is not in precision, recall and F1. After the held-out half was first seen, four rules were added (a "
        "figure among other words, words of another subject, what a “not” denies, sentences that add nothing) and two slips "
        "mended: they were chosen on the other half, but with these sums in view."
    )
    says = {
        "released_right": "marks to the relevant passages: released",
        "released_none": "no mark: released",
        "released_wrong": "a mark to a passage beside the point: released",
        "mended": "of these, all citations in relevant passages",
        "carried_where_marked": "of these, carried by the marked passage after all",
    }
    marks = [[what, held["marks"][name], tuned["marks"][name]] for name, what in says.items()]
    judged = [row for row in cut if row["judged"]]
    right = sum(str(row["judged"]).startswith("right") for row in judged)
    listed = [[row["sentence"], row["reason"], row["judged"]] for row in cut]
    return Result(
        {**figures, "cut_sample": {"judged": len(judged), "rightly_cut": right}},
        [
            Table("What the gate does", ("sentences", "share that is", "held out", "n", "tuning", "n"), rows, note),
            Table("Marks, on sentences as people wrote them", ("what", "held out", "tuning"), marks),
            Table(
                "Sentences of people that were cut (a sample of the held-out half)",
                ("sentence", "why", "judged by hand"),
                listed,
                f"{right} of {len(judged)} were rightly cut: the passages don't say it.",
            ),
        ],
        [
            Asked("gold sentences released", held["released"]["gold"], at_least=0.85),
            *(Asked(f"recall of a changed {kind}", 1 - held["released"][kind], at_least=0.95) for kind in ASKED),
            Asked("milliseconds a sentence, mean", held["ms"]["mean"], at_most=15),
        ],
    )


def tasks() -> list[dict[str, Any]]:
    """MTRAG's turns that its passages answer, with the answers that people wrote or mended."""
    path = data.folder() / "mtrag" / "tasks.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [row for row in rows if row["user"]["enrichments"]["Answerability"] == ["ANSWERABLE"] and row["agent"]["contexts"]]


def passages_of(rows: Sequence[dict[str, Any]]) -> list[data.Passage]:
    """The passages that the turns come with, each once."""
    passages = {}
    for row in rows:
        for context in row["agent"]["contexts"]:
            title = context.get("title") or ""
            text = context["text"].removeprefix(f"{title}\n")
            passages[context["document_id"]] = data.Passage(context["document_id"], title, text)
    return list(passages.values())


def sentences_of(answer: str) -> list[str]:
    """The sentences of an answer; a line's end ends one."""
    lines = answer.splitlines()
    found = [line[start:end] for line in lines for start, end in split(line)]
    return [sentence for sentence in found if len(re.findall(r"[^\W\d_]{2,}", sentence)) >= 3]


def gold(rows: Sequence[dict[str, Any]], index: Index) -> list[Case]:
    """Every sentence of every answer with the passages of its turn."""
    by_source = {info.source: info for info in index.documents()}
    cases = []
    for row in rows:
        hits: list[Hit] = []
        right: list[int] = []
        for context in row["agent"]["contexts"]:
            info = by_source[context["document_id"]]
            marks = [mark["value"] for mark in context.get("feedback", {}).get("relevant", {}).values()]
            for chunk in index.chunks_of(info.document_id):
                right += [len(hits)] if "yes" in marks else []
                hits.append(Hit(info, chunk, 1.0))
        made = Case("gold", row["domain"], row["conversation_id"], row["task_id"], "", hits, tuple(right))
        cases += [replace(made, sentence=sentence) for sentence in sentences_of(row["agent"]["text"])]
    return cases


# --- sentences made wrong


def wrong(cases: Sequence[Case]) -> list[Case]:
    """Each sentence changed in each way that it can be; chance is seeded by the sentence, so that runs compare."""
    texts = {hit.chunk.text for case in cases for hit in case.hits}
    common = {word for text in texts for word in _COMMON.findall(text)}
    names: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for case in cases:
        names[case.domain] += [(name, case.conversation) for name in _names(case, common)]
    made = []
    for case in cases:
        chance = random.Random(zlib.crc32(f"{case.task} {case.sentence}".encode()))
        others = [name for name, conversation in names[case.domain] if conversation != case.conversation]
        inside = [name for hit in case.hits for name in _mid_names(hit.chunk.text, common)]
        strangers = [c for c in cases if c.domain == case.domain and c.conversation != case.conversation]
        for kind, sentence in (
            ("number", change_number(case.sentence, chance)),
            ("name", change_name(case, _names(case, common), others, chance)),
            ("name swapped", change_name(case, _names(case, common), inside, chance)),
            ("negation", change_negation(case.sentence, chance)),
            ("unit or date", change_unit(case.sentence, chance)),
            ("other answer", chance.choice(strangers).sentence),
        ):
            if sentence and sentence != case.sentence:
                made.append(replace(case, kind=kind, sentence=sentence))
    return made


def change_number(sentence: str, chance: random.Random) -> str:
    """One figure changed to another that might as well stand there; empty if there is none."""
    marker = _MARKER.match(sentence)
    begin = marker.end() if marker else 0  # the number of a step says nothing
    found = [*_FIGURE.finditer(sentence, begin), *_SPELT.finditer(sentence, begin)]
    if not found:
        return ""
    match = chance.choice(found)
    return sentence[: match.start()] + _another(match[0], chance) + sentence[match.end() :]


def _another(figure: str, chance: random.Random) -> str:
    if not figure[0].isdigit():
        words = [word for word in "two three four five six seven eight nine ten twelve".split() if word != figure.lower()]
        return chance.choice(words)
    value = float(figure.replace(",", ""))
    decimals = len(figure.partition(".")[2])
    other = value
    while other == value:
        if value.is_integer() and 1500 <= value <= 2100 and "," not in figure:
            other = value + chance.choice([-1, 1]) * chance.randint(1, 20)
        elif value < 13 and not decimals:
            other = float(chance.randint(1, 15))
        else:
            other = round(value * chance.choice([0.5, 0.7, 0.8, 0.9, 1.1, 1.2, 1.3, 1.5, 2.0]) + 10.0**-decimals, decimals)
    return f"{other:,.{decimals}f}" if "," in figure else f"{other:.{decimals}f}"


def change_name(case: Case, own: Sequence[str], names: Sequence[str], chance: random.Random) -> str:
    """One name changed to one of the names given, none of whose words stand in the sentence; empty if that can't be."""
    here = set(case.sentence.lower().split())
    fitting = [name for name in names if not here & set(name.lower().split()) and name.lower() not in case.sentence.lower()]
    if not own or not fitting:
        return ""
    old = chance.choice(own)
    alike = [name for name in fitting if len(name.split()) == len(old.split())] or fitting
    return re.sub(rf"(?<!\w){re.escape(old)}(?!\w)", lambda _: chance.choice(alike), case.sentence, count=1)


def _names(case: Case, common: Collection[str]) -> list[str]:
    """The names in a sentence; `common` are the words that the passages have in small letters: they make no name."""
    names = _mid_names(case.sentence, common)
    opening = _NAME.match(case.sentence)
    if opening and any(f" {opening[0]}" in hit.chunk.text for hit in case.hits) and _is_name(opening[0], common):
        names.append(opening[0])
    return names


def _mid_names(text: str, common: Collection[str]) -> list[str]:
    found = []
    for match in _NAME.finditer(text):
        before = text[: match.start()].rstrip()[-1:]
        if before and before not in ".:!?\"“*-•`'" and _is_name(match[0], common):
            found.append(match[0])
    return found


def _is_name(text: str, common: Collection[str]) -> bool:
    words = re.split("[ -]", text)
    return (
        words[0] not in _NO_NAMES and not any(word in _MONTHS for word in words) and any(w.lower() not in common for w in words)
    )


def change_negation(sentence: str, chance: random.Random) -> str:
    """A "not" taken out, or put in where there is none; empty if the sentence has no place for it."""
    denying = list(_DENYING.finditer(sentence))
    if denying:
        match = chance.choice(denying)
        return sentence[: match.start()] + sentence[match.end() :]
    helping = list(_HELPING.finditer(sentence))
    if not helping:
        return ""
    match = chance.choice(helping)
    return f"{sentence[: match.end()]} not{sentence[match.end() :]}"


def change_unit(sentence: str, chance: random.Random) -> str:
    """A unit beside a figure, or a date's month, changed to another; empty if there is none."""
    found: list[tuple[int, int, str]] = [(*m.span("unit"), _UNITS[m["unit"]]) for m in _UNIT.finditer(sentence)]
    found += [(*m.span(), chance.choice([month for month in _MONTHS if month != m[0]])) for m in _MONTH.finditer(sentence)]
    if not found:
        return ""
    start, end, other = chance.choice(found)
    return sentence[:start] + other + sentence[end:]
