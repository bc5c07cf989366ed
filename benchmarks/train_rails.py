"""Trains the rails' classifier and writes its weights: logistic regression over n-grams and the embedder's vector."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix, hstack
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from benchmarks import cache
from benchmarks.rails_texts import Labelled, half, own, passages, planted
from benchmarks.registry import Options
from benchmarks.results import Result, Table
from ingest.embedder import load_embedder
from ingest.inspect import classifier as rails_classifier
from ingest.inspect.classifier import CATEGORY_SLOTS, HEADS, SLOTS, Floats, Head, Weights, features, packed, windows
from ingest.inspect.normalise import plain

Matrix: TypeAlias = Any  # scipy's sparse matrices have no types

KEEP: dict[tuple[Head, bool], float] = {
    ("attack", True): 0.995,
    ("attack", False): 0.995,
    ("harm", True): 0.97,
    ("harm", False): 0.95,
}
"""The share of our harmless texts that a head, with vectors or without, has to let pass, each judged by a model that hasn't
seen its group: that is how the threshold is chosen. They are written to be hard: ordinary questions fare far better. `rails`
shows other shares for harm."""

_KEEP_PASSAGES = 0.995  # the threshold is the higher one of the two
_STRENGTH = 10.0  # inverse of the regularisation; 3 and 30 were no better on groups of ours held out
_WINDOWS = 4  # of a long text, for the weights without a vector
_FOLDS = 4
_HALVED = ("mtrag", "clapnq")  # half of these measures, so the other half alone trains


@dataclass(frozen=True, slots=True)
class Prepared:
    """Texts as the classifier reads them: each one's first window with its vector, and its windows without.

    `owners` names, for each row of `windows`, the text it belongs to.
    """

    texts: Sequence[Labelled]
    first: Matrix
    vectors: Floats
    windows: Matrix
    owners: npt.NDArray[np.int64]


def run(options: Options) -> dict[str, Any]:
    """Train on the texts that we wrote and on pieces of passages, and write the file that is shipped; with `--quick`, a file
    among the results.

    With the data sets' prompts added, sources held out lose more ordinary requests for as many attacks (`rails`), so none is.
    """
    embedder = load_embedder("minilm")
    ours, pieces = own(), passages()
    texts = [*ours, *pieces, *planted(ours, pieces)][:: 4 if options.quick else 1]
    prepared = prepare(training(texts))
    heads = {(head, seen): fit(prepared, head, seen) for head in HEADS for seen in (True, False)}
    path = options.out / "classifier.npz" if options.quick else Path(rails_classifier.__file__).with_name("classifier.npz")
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **packed_model(embedder.fingerprint, heads, categories(prepared)))  # type: ignore[arg-type]
    counts = {
        "attacks": sum(text.attack is True and text.source == "own" for text in prepared.texts),
        "requests for harm": sum(bool(text.harm) and text.source == "own" for text in prepared.texts),
        "harmless": sum(text.attack is False and text.source == "own" for text in prepared.texts),
        "pieces of passages": sum(text.source == "passages" for text in prepared.texts),
        "of these with an attack or a request in them": sum(text.source == "planted" for text in prepared.texts),
    }
    rows = [
        [head, "n-grams and vector" if seen else "n-grams", weights.threshold, KEEP[head, seen]]
        for (head, seen), weights in heads.items()
    ]
    return Result(
        {"texts": counts, "bytes": path.stat().st_size},
        [
            Table("Texts trained on", ("kind", "texts"), list(counts.items())),
            Table("Heads", ("head", "sees", "refuses from the probability", "harmless training texts kept, held out"), rows),
        ],
    ).as_dict()


def training(*sources: Iterable[Labelled]) -> list[Labelled]:
    """The texts of the sources that may be trained on, each text once."""
    kept = [text for source in sources for text in source if text.source not in _HALVED or half(text)]
    return list({text.text: text for text in kept}.values())


def prepare(texts: Sequence[Labelled]) -> Prepared:
    """Features of the texts, and their vectors from the cache."""
    read = [plain(text.text) for text in texts]
    pieces = [windows(text)[:_WINDOWS] for text in read]
    firsts = [some[0] for some in pieces]
    vectors = vectors_of([first if text.source != "planted" else "" for first, text in zip(firsts, texts, strict=True)])
    owners = np.array([at for at, some in enumerate(pieces) for _ in some], dtype=np.int64)
    return Prepared(texts, _matrix(firsts), vectors, _matrix([piece for some in pieces for piece in some]), owners)


def vectors_of(texts: Sequence[str]) -> Floats:
    """The unit vectors of plain texts, from the cache."""
    vectors: Floats = cache.embed(texts, [() for _ in texts], load_embedder("minilm"), "rails").passages
    return vectors


def _matrix(texts: Sequence[str]) -> Matrix:
    rows = [features(text) for text in texts]
    ends = np.cumsum([0, *(len(slots) for slots, _ in rows)])
    shape = (len(texts), SLOTS)
    return csr_matrix((np.concatenate([w for _, w in rows]), np.concatenate([s for s, _ in rows]), ends), shape=shape)


def select(prepared: Prepared, wanted: npt.NDArray[np.bool_]) -> Prepared:
    """Those of the texts that are wanted."""
    rows = wanted[prepared.owners]
    places = np.cumsum(wanted) - 1
    texts = [text for text, kept in zip(prepared.texts, wanted, strict=True) if kept]
    return Prepared(
        texts, prepared.first[wanted], prepared.vectors[wanted], prepared.windows[rows], places[prepared.owners[rows]]
    )


def fit(prepared: Prepared, head: Head, seen: bool, keep: float | None = None) -> Weights:
    """A head's weights, with the texts' vectors (`seen`) or without; calibrated, and its threshold chosen, out of fold.

    `keep` as in `KEEP`, which holds otherwise.
    """
    marks = [text.attack if head == "attack" else None if text.harm is None else bool(text.harm) for text in prepared.texts]
    # What is planted in a passage is for windows, which are read without a vector.
    wanted = [mark is not None and not (seen and t.source == "planted") for mark, t in zip(marks, prepared.texts, strict=True)]
    prepared = select(prepared, np.array(wanted))
    bad = np.array([mark for mark, kept in zip(marks, wanted, strict=True) if kept])
    rows: Matrix = hstack([prepared.first, csr_matrix(prepared.vectors)]).tocsr() if seen else prepared.windows
    owners = np.arange(len(bad)) if seen else prepared.owners
    shares = 1 / np.bincount(owners)[owners]  # a long text counts as much as a short one
    groups = np.array([text.group for text in prepared.texts])[owners]
    values = np.zeros(len(owners))
    for train, test in GroupKFold(_FOLDS).split(rows, groups=groups):
        values[test] = _regression().fit(rows[train], bad[owners][train], shares[train]).decision_function(rows[test])
    model = _regression().fit(rows, bad[owners], shares)
    platt = LogisticRegression(C=1e6).fit(values[:, None], bad[owners], shares)
    slope, offset = float(platt.coef_[0, 0]), float(platt.intercept_[0])
    worst = np.full(len(bad), -np.inf)
    np.maximum.at(worst, owners, values)
    pasted = np.array([text.source == "passages" for text in prepared.texts])
    limit = float(np.quantile(worst[~bad & ~pasted], KEEP[head, seen] if keep is None else keep))
    if pasted.any():
        limit = max(limit, float(np.quantile(worst[pasted], _KEEP_PASSAGES)))
    columns = model.coef_[0].astype(np.float32)
    weights = Weights(columns[:SLOTS], columns[SLOTS:], float(model.intercept_[0]), slope, offset, 1.0)
    return Weights(weights.columns, weights.vector, weights.bias, slope, offset, weights.probability(limit))


def _regression() -> LogisticRegression:
    return LogisticRegression(C=_STRENGTH, class_weight="balanced", max_iter=300, solver="liblinear", random_state=0)


def categories(prepared: Prepared) -> tuple[list[str], Floats]:
    """The names of the categories of harm, and for each its weights of the folded columns."""
    wanted = np.array([text.harm not in (None, "", "any") and text.source == "own" for text in prepared.texts])
    chosen = select(prepared, wanted)
    labels = [text.harm for text in chosen.texts]
    model = LogisticRegression(C=_STRENGTH, class_weight="balanced", max_iter=500).fit(_folded(chosen.first), labels)
    return [str(name) for name in model.classes_], model.coef_.astype(np.float32)


def _folded(rows: Matrix) -> Matrix:
    return csr_matrix((rows.data, rows.indices % CATEGORY_SLOTS, rows.indptr), shape=(rows.shape[0], CATEGORY_SLOTS))


def packed_model(
    fingerprint: str, heads: Mapping[tuple[Head, bool], Weights], named: tuple[list[str], Floats]
) -> dict[str, npt.NDArray[Any]]:
    """The arrays that a `Classifier` is made of; none of them holds objects."""
    arrays: dict[str, npt.NDArray[Any]] = {"fingerprint": np.array(fingerprint)}
    for (head, seen), weights in heads.items():
        arrays |= packed(f"{head}_{seen}", weights)
    names, columns = named
    scale = float(np.abs(columns).max()) / 127
    return arrays | {
        "categories": np.array(names),
        "category_columns": np.round(columns / scale).astype(np.int8),
        "category_scale": np.array(scale),
    }
