"""Questions that could not be answered, grouped by what they are about: each group is a document that someone should write."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rag_bot.words import STOPWORDS

if TYPE_CHECKING:
    from ingest.embedder import Vectors

# The mean cosine distance up to which groups are joined (average linkage): of .4 to .75, by a trial of 27 questions on eight
# subjects with the default embedder, .65 to .7 put them together best.
_APART = 0.65
_MOST = 3_000  # questions that are grouped; the distances of all to all are held at once
_EXAMPLES = 5
_TWO = 1.5  # how much more a pair of words says than one
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that could not be answered, as often as it was asked in these words; `first` and `last` are days."""

    text: str
    count: int
    first: str
    last: str


@dataclass(frozen=True, slots=True)
class Gap:
    """A subject that questions were about and no document answers: its name, how often it was asked, some of the questions (the
    most typical first), the days between which they came, and the nearest documents there are, as (title, cosine)."""

    name: str
    count: int
    questions: tuple[str, ...]
    first: str
    last: str
    nearest: tuple[tuple[str, float], ...] = ()


def gaps(asked: Sequence[Asked], vectors: Vectors, background: Sequence[str]) -> list[Gap]:
    """The groups, the most asked first. `vectors` are the unit vectors of the questions; `background` are all questions that
    were asked: what is said in many of them names nothing."""
    asked, vectors = asked[-_MOST:], vectors[-_MOST:]
    if not len(asked):
        return []
    members: dict[int, list[int]] = {}
    for at, group in enumerate(_grouped(vectors)):
        members.setdefault(group, []).append(at)
    common = Counter(term for text in background for term in set(_terms(text)))
    found = [_gap([asked[at] for at in places], vectors[places], common, len(background)) for places in members.values()]
    return sorted(found, key=lambda gap: (-gap.count, gap.name))


def _grouped(vectors: Vectors) -> Sequence[int]:
    """The number of each question's group."""
    if len(vectors) < 2:
        return [0] * len(vectors)
    from sklearn.cluster import AgglomerativeClustering

    clustering = AgglomerativeClustering(n_clusters=None, metric="cosine", linkage="average", distance_threshold=_APART)
    labels: Sequence[int] = clustering.fit_predict(vectors).tolist()
    return labels


def _gap(asked: Sequence[Asked], vectors: Vectors, common: Counter[str], total: int) -> Gap:
    typical = np.argsort(-(vectors @ vectors.mean(axis=0)), kind="stable")
    texts = [asked[at].text for at in typical]
    return Gap(
        name_of(texts, common, total),
        sum(one.count for one in asked),
        tuple(texts[:_EXAMPLES]),
        min(one.first for one in asked),
        max(one.last for one in asked),
    )


def name_of(texts: Sequence[str], common: Counter[str], total: int) -> str:
    """The words that are in most of the texts and in few other questions: a pair of neighbours, or the best one or two."""
    own = Counter(term for text in texts for term in set(_terms(text)))
    if not own:
        return texts[0][:60]

    def weight(term: str) -> float:
        others = max(0, common[term] - own[term])
        rare = math.log((1 + total) / (1 + others)) + 1
        return own[term] / len(texts) * rare * (_TWO if " " in term else 1.0)

    best = sorted(own, key=lambda term: (-weight(term), term))
    words = [term for term in best if " " not in term]
    if " " in best[0]:
        return best[0]
    if len(words) < 2 or own[words[0]] == len(texts):  # one word is in all of them: it says it all
        return words[0]
    pairs = (f"{words[0]} {words[1]}", f"{words[1]} {words[0]}")
    return next((pair for pair in pairs if pair in own), ", ".join(words[:2]))


def _terms(text: str) -> list[str]:
    """The words of a question that say something, and the pairs of them that stand side by side."""
    found, before = [], ""
    for word in _WORD.findall(text.lower()):
        if word in STOPWORDS or len(word) < 2:
            before = ""
            continue
        found.append(word)
        if before:
            found.append(f"{before} {word}")
        before = word
    return found
