"""tantivy: BM25 with English stemming over title, headings and text; survives any text a person may type."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Container, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import tantivy

from ingest.choice import Only
from ingest.words import STOPWORDS

TEXT = "text"
ID = "id"
_TOKENIZER = "words"
# A question of 10,000 characters has some 2,000 words; the first ones carry its sense, and time grows with each.
_MAX_TERMS = 128
# What a word of earlier turns counts beside one of the question (benchmarks/results/followups.json).
_EARLIER = 0.15
# Time grows with the texts that hold a question's words. In a large index the words that most of them hold, which tell the
# least, are left out as soon as the rarer ones occur so often together (benchmarks/results/keywords.json).
_MOST_OCCURRENCES = 3_000_000
# How many texts may hold a word for it to be counted in how many of some it is: a commoner one is as common there as anywhere.
_COUNTED = 2_000
_HEAP = 64_000_000  # bytes the writer may hold before it flushes a segment


def _analyzer() -> tantivy.TextAnalyzer:
    filters = [
        tantivy.Filter.remove_long(64),
        tantivy.Filter.lowercase(),
        tantivy.Filter.ascii_fold(),
        tantivy.Filter.stemmer("english"),
    ]
    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    for one in filters:
        builder = builder.filter(one)
    return builder.build()


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_unsigned_field(ID, stored=False, indexed=True, fast=True)
    builder.add_text_field(TEXT, stored=False, tokenizer_name=_TOKENIZER, index_option="freq")
    return builder.build()


def inverse_frequency(texts: int, holding: int) -> float:
    """How rare a term is that so many of the texts hold, as BM25 weighs it."""
    return math.log(1 + (max(texts - holding, 0) + 0.5) / (holding + 0.5))


def _lockable(folder: Path) -> bool:
    return all(os.access(path, os.W_OK) for path in (folder, *folder.glob(".tantivy-*.lock")))


def _linked(folder: Path, place: Path) -> Path:
    """The same index at a place where tantivy can make the lock file that it wants even for reading."""
    for path in folder.iterdir():
        if path.suffix != ".lock":
            (place / path.name).symlink_to(path.absolute())
    return place


class KeywordIndex:
    """Texts by number, in a folder or (without one) in memory. One writer; a search sees what was last committed."""

    def __init__(self, folder: Path | None = None) -> None:
        self._schema = _schema()
        self._links: TemporaryDirectory[str] | None = None
        if folder and not _lockable(folder):
            self._links = TemporaryDirectory(prefix="rag-bot-")
            folder = _linked(folder, Path(self._links.name))
        self._index = tantivy.Index(self._schema, path=str(folder) if folder else None)
        self._analyzer = _analyzer()
        self._index.register_tokenizer(_TOKENIZER, self._analyzer)
        self._index.config_reader("manual")
        self._index.reload()
        self._searcher = self._index.searcher()
        self.most_occurrences = _MOST_OCCURRENCES

    def __len__(self) -> int:
        return self._searcher.num_docs

    def update(self, add: Iterable[tuple[int, str]], remove: Iterable[int] = ()) -> None:
        """Add texts, take others away, and commit both at once."""
        # One thread makes one segment: the same texts give the same files and the same scores.
        writer = self._index.writer(heap_size=_HEAP, num_threads=1)
        for chunk_id in remove:
            # (Deleting by term finds nothing in a field of unsigned numbers.)
            writer.delete_documents_by_query(tantivy.Query.term_query(self._schema, ID, chunk_id))
        for chunk_id, text in add:
            document = tantivy.Document()
            document.add_unsigned(ID, chunk_id)
            document.add_text(TEXT, text)
            writer.add_document(document)
        writer.commit()
        writer.wait_merging_threads()
        self._index.reload()
        self._searcher = self._index.searcher()

    def terms(self, text: str) -> list[str]:
        """The terms that a text is searched by: its words in lower case, without accents, stemmed."""
        return list(self._analyzer.analyze(text.encode("utf-8", "replace").decode()))  # a lone surrogate is no word

    def frequencies(self, terms: Iterable[str], only: Only | None = None) -> dict[str, int]:
        """In how many texts each term occurs."""
        return {term: self.document_frequency(term, only) for term in terms}

    def document_frequency(self, term: str, only: Only | None = None) -> int:
        """In how many texts a term occurs; with `only`, in how many of those."""
        every = int(self._searcher.doc_freq(TEXT, term))
        if only is None or not every:
            return every
        if every > _COUNTED:
            return round(every * min(1.0, len(only) / len(self)))
        query = tantivy.Query.term_query(self._schema, TEXT, term, "freq")
        addresses = [address for _, address in self._searcher.search(query, every, count=False).hits]
        return only.holding(np.asarray(self._searcher.fast_field_values(ID, addresses), np.int64))

    def weights(self, query: str, earlier: str = "") -> dict[str, float]:
        """The terms to search for and what each counts: those of the query 1, those that only `earlier` has less.

        Function words are left out, unless there is nothing else: BM25 still gives them something, and they stand everywhere.
        So are the commonest words where all together occur in too many texts.
        """
        terms = list(dict.fromkeys(self.terms(query)))
        content = [term for term in terms if term not in self._stopterms] or terms
        before = [term for term in dict.fromkeys(self.terms(earlier)) if term not in self._stopterms and term not in content]
        weights = dict.fromkeys(content, 1.0) | dict.fromkeys(before, _EARLIER)
        return self._affordable(dict(list(weights.items())[:_MAX_TERMS]))

    def search(
        self,
        query: str,
        k: int,
        without: Collection[int] = (),
        idf: Mapping[str, float] | None = None,
        only: Container[int] | None = None,
        *,
        earlier: str = "",
    ) -> list[tuple[int, float]]:
        """The `k` best as (id, BM25 score), best first, passing over `without`. A query without words finds nothing.

        `idf`, of each term, takes the place of this index's own, so that its scores compare with those of a larger one; terms
        that it lacks are not searched for.
        `earlier` is what was asked before: its words count a little. `only` are the ids among which the `k` best are looked
        for; None: all.
        """
        weights = {term: weight for term, weight in self.weights(query, earlier).items() if idf is None or term in idf}
        wanted = min(len(self), k + len(without))
        if not weights or not wanted:
            return []
        clauses = [(tantivy.Occur.Should, self._clause(term, weight, idf)) for term, weight in weights.items()]
        boolean = tantivy.Query.boolean_query(clauses)
        searcher = self._searcher
        while True:
            found = searcher.search(boolean, wanted, count=False).hits
            ids = searcher.fast_field_values(ID, [address for _, address in found])
            pairs = [(int(i), float(score)) for i, (score, _) in zip(ids, found, strict=True) if i is not None]
            best = [(i, score) for i, score in pairs if i not in without and (only is None or i in only)][:k]
            # tantivy can't be told where to look: more are asked for until there are enough, or no more.
            if only is None or len(best) == k or len(found) < wanted or wanted == len(self):
                return best
            wanted = min(len(self), 4 * wanted)

    def _affordable(self, weights: dict[str, float]) -> dict[str, float]:
        """The rarest of the terms, as many as may be looked up together, and at least one that occurs."""
        left, kept = self.most_occurrences, set()
        for count, term in sorted((self.document_frequency(term), term) for term in weights):
            if count > left and left < self.most_occurrences:
                break
            left -= count
            kept.add(term)
        return {term: weight for term, weight in weights.items() if term in kept}

    @cached_property
    def _stopterms(self) -> frozenset[str]:
        return frozenset(self.terms(" ".join(STOPWORDS))) | STOPWORDS

    def _clause(self, term: str, weight: float, idf: Mapping[str, float] | None) -> tantivy.Query:
        query = tantivy.Query.term_query(self._schema, TEXT, term, "freq")
        if idf is not None:
            weight *= idf[term] / inverse_frequency(len(self), self.document_frequency(term))
        return query if weight == 1.0 else tantivy.Query.boost_query(query, weight)
