"""Documents to a map: near each other stand those that are about the same, in topics that their own words name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ingest.curate.tokens import NUMBER, read

MOST = 1000
"""Documents on a map; of more, that many are taken by lot."""

_FEWEST = 3
_SEED = 0
_TOPICS = 8
_NEIGHBOURS = 30  # t-SNE's perplexity, where there are documents enough
_NAMED_BY = 3  # words
_SHORTEST = 4  # letters of such a word


@dataclass(frozen=True, slots=True)
class Map:
    """`points` has a row (x, y in 0..1) for each document, `topic` the number of its topic, `names` the topics' words."""

    points: npt.NDArray[np.float64]
    topic: tuple[int, ...]
    names: tuple[str, ...]


def chosen(document_ids: Sequence[str]) -> list[str]:
    """The documents that are on the map; the same ones each time."""
    if len(document_ids) <= MOST:
        return list(document_ids)
    places = np.random.default_rng(_SEED).choice(len(document_ids), MOST, replace=False)
    return [document_ids[at] for at in sorted(places)]


def find_topics(vectors: npt.NDArray[np.float32], texts: Sequence[str]) -> Map | None:
    """The map of documents by their vectors, shape (documents, dimension); None for fewer than three. `texts` name the
    topics: title, headings, beginning."""
    if len(vectors) < _FEWEST:
        return None
    points = _flat(vectors)
    span = np.maximum(points.max(axis=0) - points.min(axis=0), 1e-9)
    topic = _clusters(vectors)
    return Map((points - points.min(axis=0)) / span, tuple(topic), tuple(_names(topic, texts)))


def _flat(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Two numbers for each document: by t-SNE (L. van der Maaten and G. Hinton, 2008), by the two main axes for a few."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    if len(np.unique(vectors, axis=0)) < 10:
        few: npt.NDArray[np.float64] = PCA(2, random_state=_SEED).fit_transform(vectors).astype(np.float64)
        return few
    perplexity = min(_NEIGHBOURS, (len(vectors) - 1) / 3)
    many: npt.NDArray[np.float64] = (
        TSNE(2, perplexity=perplexity, init="pca", random_state=_SEED).fit_transform(vectors).astype(np.float64)
    )
    return many


def _clusters(vectors: npt.NDArray[np.float32]) -> list[int]:
    """The topic of each document, numbered from the largest."""
    from sklearn.cluster import KMeans

    distinct = len(np.unique(vectors, axis=0))
    count = max(1, min(_TOPICS, round((len(vectors) / 2) ** 0.5), distinct))
    labels = KMeans(count, n_init=4, random_state=_SEED).fit_predict(vectors).tolist()
    order = {label: number for number, (label, _) in enumerate(Counter(labels).most_common())}
    return [order[label] for label in labels]


def _names(topic: Sequence[int], texts: Sequence[str]) -> list[str]:
    """The words that are more frequent in the documents of a topic than in all of them."""
    words = [{w for w in read(text).words if len(w) >= _SHORTEST and w != NUMBER} for text in texts]
    everywhere = Counter(word for some in words for word in some)
    names = []
    for number in range(max(topic) + 1):
        here = [some for some, own in zip(words, topic, strict=True) if own == number]
        counted = Counter(word for some in here for word in some)
        rest = len(words) - len(here)

        def weight(word: str, counted: Counter[str] = counted, size: int = len(here), rest: int = rest) -> float:
            others = (everywhere[word] - counted[word]) / rest if rest else 0.0
            return counted[word] / size - others

        best = sorted(counted, key=lambda word: (-weight(word), word))[:_NAMED_BY]
        names.append(", ".join(best) or f"topic {number + 1}")
    return names
