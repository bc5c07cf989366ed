"""The index: store, vectors, keywords and embedder behind one door; open, add, remove, search, verify, rebuild."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import threading
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np

from ingest.choice import Choice, Choices
from ingest.curate import Facts
from ingest.curate.tables import Curation, Member
from ingest.curate.versions import superseded
from ingest.derived import Derived, Sought
from ingest.embedder import Embedded, Embedder, Vectors, light_embedder, writers_embedder
from ingest.errors import EmbedderMismatch, IndexDamaged, IndexMissing, IndexReadOnly, SourceError, StorageFull, StoreError
from ingest.fuse import Looked, Ranking, fuse, weigh
from ingest.inspect import Finding
from ingest.lock import WriteLock
from ingest.manifest import NAME as MANIFEST
from ingest.manifest import Manifest, check, hash_file, sync_folder
from ingest.originals import FILES, UPLOAD, held_name, kept_name, owner_of
from ingest.settings import IngestSettings
from ingest.sources.archives import MARK
from ingest.store import Store
from ingest.types import (
    Allowed,
    Chunk,
    Document,
    DocumentInfo,
    DocumentState,
    Hit,
    LedgerEntry,
    Mode,
    Quarantined,
    RunKind,
    Standing,
    Twin,
)

STORE = "store.sqlite3"
# What the two searches give to the fusion. Keyword search goes deeper, which costs it little, so that what the other has
# found hardly ever lacks its BM25 score.
_DENSE_DEPTH, _KEYWORD_DEPTH = 100, 1000
_FOLDED_AT_ONCE = 100
_DEEPEST = 100  # times the usual depth, where copies of the same text fill it
_MOST_PLACES = 100  # of the same text, named in a hit
_COPIES_AT_ONCE, _COPIES_LOOKED_AT = 1_000, 100_000  # to find those of them that may be read
_LOOKED_AT = 40  # of the fused ranking: more of them find no more
_TRIES = 3  # searches beside a writer; if what was found is gone each time, the next one sees nothing of what it writes
# Below this size the published files are written anew after each run (a second or two); above it, when a twentieth
# has changed: until then what is new is searched from small indexes beside them.
_ALWAYS_PUBLISH = 50_000


def document_id(source: str) -> str:
    """The id of the document that comes from `source`: the same source keeps its id when its text changes."""
    return hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True, slots=True, eq=False)
class _Wanted:
    """A search as it was asked for."""

    query: str
    k: int
    mode: Mode
    vector: Vectors | None
    earlier: str
    allowed: Allowed | None


@dataclass(frozen=True, slots=True, eq=False)
class _Moment:
    """What is derived from the store at one version, and what may be found then (None: all)."""

    derived: Derived
    version: int
    choice: Choice | None


class Index:
    """An open index. Many may read it while one writes; a reader calls `refresh` to see what was written since.

    `notes` says, in sentences, what was found damaged at opening and what was done. Safe to share between threads.
    """

    def __init__(
        self,
        path: Path,
        store: Store,
        derived: Derived,
        *,
        embedder: Embedder | None,
        settings: IngestSettings,
        lock: WriteLock | None,
    ) -> None:
        self.path = path
        self.notes: list[str] = list(derived.notes)
        self._store, self._derived, self._lock = store, derived, lock
        self._embedder, self._settings = embedder, settings
        self._newest = settings.documents_versions == "newest"
        self._loading = threading.Lock()
        self._refreshing = threading.RLock()  # taken before the store's own lock, where both are
        self._choices = Choices(store, newest=self._newest)
        self._filing = threading.Lock()
        self._filed: dict[str, tuple[str, ...]] | None = None

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        settings: IngestSettings | None = None,
        write: bool = False,
        create: bool = False,
        repair: bool = True,
        embedder: Embedder | None = None,
    ) -> Index:
        """Open the index in the folder `path`, for reading or (`write`) as its only writer.

        `create` makes a new one where there is none. `repair` sets damaged files aside and builds them again; without
        it they are only noted. `embedder` shares one that is loaded already.
        Raises IndexMissing, IndexBusy, IndexReadOnly, IndexDamaged, EmbedderMismatch, StorageFull or DependencyMissing.
        """
        settings = settings or IngestSettings()
        path = Path(os.path.abspath(path))
        if not (path / STORE).is_file():
            if not (write and create):
                raise IndexMissing(f"There is no index in {path}.", f"Make one with: ingest add PATH --index {path}")
            _make_folder(path)
        lock = WriteLock(path) if write else None
        store: Store | None = None
        try:
            _check_not_emptied(path)
            store = Store(path / STORE, write=write)
            embedder = _matching_embedder(store, settings, embedder)
            derived = Derived(path, store, writable=write and repair)
            index = cls(path, store, derived, embedder=embedder, settings=settings, lock=lock)
            if repair and derived.notes:
                index._repair(settings)
            elif lock and not derived.manifest.generation and not store.counts()[2]:
                index.publish(force=True)  # empty, so that from here on a manifest that is missing is damage
            if not write:
                index.refresh()  # so that the first search need not wait for it
        except BaseException:
            if store:
                store.close()
            if lock:
                lock.close()
            raise
        return index

    def _repair(self, settings: IngestSettings) -> None:
        """Publish what was found damaged anew; a reader asks a writer to, and reads on from memory if there can be none."""
        if self._lock:
            self.publish(force=True)
            return
        try:
            with Index.open(self.path, settings=settings, write=True, embedder=self._embedder) as writer:
                self.notes = writer.notes or self.notes
        except StoreError:
            return
        self._derived = Derived(self.path, self._store, writable=False)

    def close(self) -> None:
        self._store.close()
        if self._lock:
            self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- reading

    @property
    def embedder(self) -> Embedder:
        """The embedder that the index was made with, loaded at first use."""
        with self._loading:
            if self._embedder is None:
                with self._store.snapshot():
                    name, expected = self.embedder_name, self._store.meta("fingerprint")
                loaded = _load_embedder(name, self._settings, write=self._lock is not None)
                if loaded.fingerprint != expected:
                    raise EmbedderMismatch(
                        f"The index {self.path} was made with other weights of the embedder {name!r} than those installed.",
                        "Install the former ones, or embed everything anew: "
                        f"ingest rebuild --embedder {name} --index {self.path}",
                    )
                self._embedder = loaded
            return self._embedder

    @property
    def embedder_name(self) -> str:
        return self._store.meta("embedder") or ""

    @property
    def dimension(self) -> int:
        return int(self._store.meta("dimension") or 0)

    @property
    def version(self) -> int:
        """Grows with every change of the documents."""
        return self._store.version

    def refresh(self) -> bool:
        """Notice what another process wrote; True if something changed."""
        changed = False
        while True:
            with self._refreshing:  # one thread loads what is new, the others wait for it
                with self._store.snapshot():
                    if self._derived.version == self._store.version:
                        return changed
                    changed = True
                    if not self._derived.outdated():
                        self._derived.catch_up()
                        return True
                self._derived = Derived(self.path, self._store, writable=False)
                with self._loading:
                    if self._embedder and self._embedder.fingerprint != self._store.meta("fingerprint"):
                        self._embedder = None

    def embed_query(self, query: str) -> Vectors:
        """The unit vector of a question, shape (dimension,)."""
        vector: Vectors = self.embedder.embed_queries([query])[0]
        return vector

    def search(
        self,
        query: str,
        k: int = 5,
        mode: Mode = "hybrid",
        *,
        vector: Vectors | None = None,
        earlier: str = "",
        allowed: Allowed | None = None,
    ) -> list[Hit]:
        """The `k` chunks that fit a question best. `vector` is the question's, if it is embedded already; words of `earlier`,
        what was asked before, count a little in keyword search.

        Only documents that are `allowed` are searched (None: all): the others take no place among the best.
        """
        wanted = _Wanted(query, k, mode, vector, earlier, allowed)
        for _ in range(_TRIES):
            if (hits := self._search(wanted, self._vector(wanted))) is not None:
                return hits
            self.refresh()
        with self._refreshing:
            while True:
                self.refresh()
                vector = self._vector(wanted)
                with self._store.snapshot():  # nothing changes in it: only files published just now are a reason to begin anew
                    if (hits := self._search(wanted, vector, alone=True)) is not None:
                        return hits

    def _vector(self, wanted: _Wanted) -> Vectors | None:
        """The question's vector, where one is needed."""
        if wanted.mode == "keyword" or not wanted.query.strip():
            return None
        if wanted.vector is None or wanted.vector.shape[-1] != self._derived.dimension:  # embedded before all was embedded anew
            return self.embed_query(wanted.query)
        return wanted.vector

    def _search(self, wanted: _Wanted, vector: Vectors | None, deeper: int = 1, *, alone: bool = False) -> list[Hit] | None:
        """The hits; None if the index has changed so much meanwhile that they would not be those of one moment.

        `alone`, in a snapshot of the store, a chunk that is not there is none that was replaced meanwhile: it is passed over.
        """
        k, hybrid = wanted.k, wanted.mode == "hybrid"
        moment = self._moment(wanted.allowed)
        if moment is None or (vector is not None and vector.shape[-1] != moment.derived.dimension and not alone):
            return None
        only = moment.choice.only if moment.choice else None
        keyword_k = 0 if wanted.mode == "dense" else deeper * max(_KEYWORD_DEPTH if hybrid else 0, k)
        sought = Sought(vector, deeper * max(_DENSE_DEPTH, k), wanted.query, keyword_k, wanted.earlier, only)
        found = moment.derived.search(moment.version, sought)
        if found is None:
            return None
        dense, keyword = found
        with self._store.snapshot():
            if moment.derived.replaced() and not alone:
                return None  # all was embedded anew: the same numbers are other chunks now
            fused = fuse(dense, keyword) if hybrid and vector is not None else [*dense, *keyword]
            ranked, passed_over = self._distinct(fused, max(_LOOKED_AT, k))
            if not (passed_over and len(ranked) < k and deeper < _DEEPEST):
                cosines = dict(dense)
                if hybrid and vector is not None:
                    ranked, cosines = self._look_closer(vector, ranked, dict(keyword))
                hits, gone = self._hits(ranked, cosines, dict(keyword), k, wanted.allowed)
                return None if gone and not alone else self._with_places(hits, moment.choice, wanted.allowed)
        return self._search(wanted, vector, deeper * 10, alone=alone)  # what else there is stands below the copies

    def _moment(self, allowed: Allowed | None) -> _Moment | None:
        """The store and what is derived from it, at one version; None if other files have been published meanwhile."""
        with self._refreshing, self._store.snapshot():
            derived, version = self._derived, self._store.version
            if derived.version != version:
                if derived.outdated():
                    return None
                derived.catch_up()
            choice = self._choices.of(allowed or _everything) if allowed or self._newest else None
            return _Moment(derived, version, choice)

    def holds(self, allowed: Allowed) -> bool:
        """Whether there is any document that is allowed."""
        return self._choices.of(allowed).any()

    def _distinct(self, ranked: Ranking, most: int) -> tuple[Ranking, bool]:
        """The first `most` of a ranking of which no two say the same, and whether others were passed over for that."""
        kept: list[tuple[int, float]] = []
        groups: set[int] = set()
        passed_over = False
        for at in range(0, len(ranked), _FOLDED_AT_ONCE):
            some = ranked[at : at + _FOLDED_AT_ONCE]
            folds = self._store.curation.folds([i for i, _ in some])
            for i, score in some:
                group = folds.get(i)
                if group in groups:
                    passed_over = True
                    continue
                if group is not None:
                    groups.add(group)
                kept.append((i, score))
            if len(kept) >= most:
                break
        return kept[:most], passed_over

    def _look_closer(self, vector: Vectors, ranked: Ranking, keyword: dict[int, float]) -> tuple[Ranking, dict[int, float]]:
        """The ranking put in better order by what stands in the store, and each chunk's cosine."""
        ids = [i for i, _ in ranked]
        found, beside = self._store.looked_at(ids, vector.shape[-1]), self._store.beside(ids)
        cosines = {i: float(own @ vector) for i, (own, _, _) in found.items()}
        looked = []
        for i, (own, sentences, characters) in found.items():
            nearest = float((sentences @ vector).max()) if len(sentences) else cosines[i]
            around = max((float(other @ vector) for other in beside.get(i, ())), default=None)
            looked.append(Looked(i, own, keyword.get(i, 0.0), nearest, around, characters))
        gone = [pair for pair in ranked if pair[0] not in found]  # whoever reads the hits will notice
        return [*gone, *weigh(looked, vector)], cosines

    def _hits(
        self,
        ranked: Sequence[tuple[int, float]],
        dense: dict[int, float],
        keyword: dict[int, float],
        k: int,
        allowed: Allowed | None,
    ) -> tuple[list[Hit], bool]:
        """The best `k`, with their text, and whether one of those looked at is not there any more."""
        hits: list[Hit] = []
        documents: dict[str, DocumentInfo] = {}
        gone = False
        for at in range(0, len(ranked), k):
            some = ranked[at : at + k]
            found = self._store.chunks([i for i, _ in some])
            for owner in {owner for owner, _ in found.values()} - documents.keys():
                documents[owner] = self._store.document(owner)
            gone = gone or len(found) < len(some)
            for i, score in some:
                if i in found and len(hits) < k:
                    owner, chunk = found[i]
                    if allowed and not allowed(documents[owner]):  # it has changed hands since the chunks were chosen
                        continue
                    hits.append(Hit(documents[owner], chunk, score, dense.get(i), keyword.get(i)))
            if len(hits) == k:
                break
        return hits, gone

    def _with_places(self, hits: list[Hit], choice: Choice | None, allowed: Allowed | None) -> list[Hit]:
        """The hits, each with the other places where the same is said, of those that may be read."""
        folds = self._store.curation.folds([hit.chunk.id for hit in hits])
        members = {i: self._copies(i, fold, choice) for i, fold in folds.items()}
        owners = {member.document_id for some in members.values() for member in some}
        documents = {owner: self._store.document(owner) for owner in owners}
        return [
            replace(
                hit,
                also=tuple(
                    Twin(member.document_id, documents[member.document_id].source, member.start, member.end)
                    for member in members[hit.chunk.id]
                    if not allowed or allowed(documents[member.document_id])  # it may have changed hands since
                ),
            )
            if hit.chunk.id in members
            else hit
            for hit in hits
        ]

    def _copies(self, chunk_id: int, fold: int, choice: Choice | None) -> list[Member]:
        """The first of the other chunks of a group that may be read: there may be a thousand before them that may not."""
        found: list[int] = []
        after = 0
        for _ in range(_COPIES_LOOKED_AT // _COPIES_AT_ONCE):
            some = self._store.curation.copies(fold, after, _COPIES_AT_ONCE)
            found += [one for one in (choice.readable(some) if choice else some) if one != chunk_id]
            if len(found) >= _MOST_PLACES or len(some) < _COPIES_AT_ONCE:
                break
            after = some[-1]
        return self._store.curation.places(found[:_MOST_PLACES])

    def sentence_cosines(self, vector: Vectors, chunk_ids: Sequence[int]) -> dict[int, list[float]]:
        """For each chunk the cosines of a question's vector to its sentences (those of `sentences.units`, in order)."""
        found = self._store.sentence_vectors(chunk_ids, self.dimension)
        return {i: (sentences @ vector).tolist() for i, sentences in found.items()}

    def terms(self, text: str) -> list[str]:
        """The terms that keyword search knows a text by: words in lower case, without accents, stemmed."""
        return self._derived.terms(text)

    def idf(self, terms: Collection[str], allowed: Allowed | None = None) -> dict[str, float]:
        """How rare each term is among the chunks of documents that are allowed (BM25's inverse document frequency)."""
        return self._derived.idf(terms, self._choices.of(allowed).only if allowed else None)

    def reads(self, document_id: str, allowed: Allowed) -> bool:
        """Whether a document is there and is allowed; for one that is not allowed it takes no longer than for none."""
        return self._choices.of(allowed).reads(document_id)

    def documents(self) -> list[DocumentInfo]:
        return self._store.documents()

    def document(self, document_id: str) -> DocumentInfo:
        """Raises DocumentNotFound."""
        return self._store.document(document_id)

    def find(self, source: str) -> DocumentInfo | None:
        return self._store.find(source)

    def text(self, document_id: str, start: int = 0, end: int | None = None) -> str:
        """The document's text from character `start` to `end`. Raises DocumentNotFound."""
        return self._store.text(document_id, start, end)

    def chunks_of(self, document_id: str) -> list[Chunk]:
        """All chunks of a document in reading order."""
        return self._store.chunks_of(document_id)

    def chunks(self, ids: Sequence[int]) -> dict[int, tuple[str, Chunk]]:
        """Document id and chunk of those of `ids` that are there."""
        return self._store.chunks(ids)

    def parsed(self, document_id: str) -> Document:
        """The document as it was parsed. Raises DocumentNotFound."""
        return self._store.parsed(document_id)

    def original(self, document_id: str) -> Path:
        """The file that a document was made from. Raises DocumentNotFound, or SourceError if it is gone, has changed, or
        holds what was masked in the text."""
        info = self._store.document(document_id)
        if info.masked:
            raise SourceError(
                f"The file {info.source} is not given out: parts of its text are masked.", "Its text is here, without those."
            )
        kept = self.path / FILES / kept_name(document_id, info.sha256)
        if kept.is_file():
            return kept
        source = Path(info.source)
        if source.is_file() and hash_file(source) == info.sha256:
            return source
        raise SourceError(f"The file {info.source} is gone or has changed since it was ingested.", "Its text is still here.")

    @property
    def curation(self) -> Curation:
        """What is known about documents and chunks beside what they say."""
        return self._store.curation

    def superseded(self) -> dict[str, str]:
        """Each document that a newer version of it replaces, with that one, whatever the policy."""
        return superseded(self._store.curation.editions())

    def document_vectors(self, document_ids: Collection[str]) -> tuple[list[str], Vectors]:
        """The documents among these that have chunks, and the mean of each one's vectors, shape (documents, dimension)."""
        wanted = set(document_ids)
        with self._store.snapshot():
            owner = {i: own for i, own in self._store.owners() if own in wanted}
            rows = {own: at for at, own in enumerate(dict.fromkeys(owner.values()))}
            sums = np.zeros((len(rows), self.dimension), np.float32)
            for ids, vectors in self._store.vectors(dimension=self.dimension):
                places = np.fromiter((rows[owner[i]] if i in owner else -1 for i in ids), np.int64, len(ids))
                np.add.at(sums, places[places >= 0], vectors[places >= 0])
        return list(rows), sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)

    def without_labels(self) -> set[str]:
        """The documents that came in before labels were read, whose files may name some: they are read again when they are
        added again."""
        return self._store.without_labels()

    def findings(self, document_id: str) -> tuple[Finding, ...]:
        """All that inspection found in a document, in order of place; those of its title stand at 0..0."""
        return self._store.findings(document_id)

    def quarantine(self, source: str | None = None) -> list[Quarantined]:
        """What was ever held back (from one source), whatever became of it."""
        return self._store.quarantine(source)

    def is_released(self, sha256: str) -> bool:
        """Whether a person has said of this very content that it may come in."""
        return self._store.is_released(sha256)

    def held_file(self, held: Quarantined) -> Path:
        """Where the bytes of a version that is held back are: kept here (an upload), or on this machine."""
        kept = self.path / FILES / held_name(held)
        return kept if kept.is_file() else Path(held.source)

    def ledger(self, limit: int = 1000) -> list[LedgerEntry]:
        """The latest ledger lines, newest first."""
        return self._store.ledger(limit)

    def standings(self, *chosen: DocumentState) -> list[Standing]:
        """Where each document stands, in order of source; only those in one of the states, where some are `chosen`."""
        return self._store.standings(*chosen)

    def counts(self) -> tuple[int, int]:
        """How many documents and chunks there are."""
        documents, chunks, _ = self._store.counts()
        return documents, chunks

    def status(self) -> dict[str, object]:
        """The state of the index, as `ingest status --json` prints it."""
        documents, chunks = self.counts()
        return {
            "documents": documents,
            "chunks": chunks,
            "quarantined": sum(held.state == "held" for held in self.quarantine()),
            "states": self._store.state_counts(),
            "embedder": self.embedder_name,
            "dimension": self.dimension,
            "vector_index": self._derived.kind,
            "device": self._derived.device,
            "bytes": _size(self.path),
            "version": self.version,
        }

    def verify(self) -> list[str]:
        """Every fault that can be found, as sentences; an empty list when the index is whole."""
        faults = self._store.check()
        faults += self._lost_files() if not faults else []
        try:
            manifest = Manifest.read(self.path)
        except (ValueError, TypeError, KeyError) as error:
            return [*faults, f"The manifest is damaged: {error}."]
        if manifest is None:
            return [*faults, "The manifest is missing."] if self._store.counts()[2] else faults
        for artifact in (manifest.vectors, manifest.keywords):
            fault = check(self.path, artifact)
            faults += [f"{fault}."] if fault else []
        if (manifest.embedder, manifest.fingerprint) != (self.embedder_name, self._store.meta("fingerprint")):
            faults.append("The manifest names another embedder than the store.")
        return faults

    def _lost_files(self) -> list[str]:
        held = [held for held in self.quarantine() if held.state == "held" and not self.held_file(held).is_file()]
        lost = [one for one in held if one.source.startswith(UPLOAD) or MARK in one.source]
        return [f"The file of {one.source}, which is in quarantine, is missing." for one in lost]

    # --- writing

    def begin_run(self, kind: RunKind, sources: Sequence[str]) -> None:
        """A run begins: all these sources wait to be taken in."""
        self._writable().begin_run(kind, sources)

    def grow_run(self, files: int) -> None:
        """The run is over so many files: archives among them hold others."""
        self._writable().grow_run(files)

    def note(self, state: DocumentState, *sources: tuple[str, int, int]) -> None:
        """These sources are in this state now, each with how many of how many chunks are done."""
        self._writable().note(state, *sources)

    def end_run(self, outcome: str) -> None:
        """The run is over; what it has not done waits."""
        self._writable().end_run(outcome)

    def forget_standing(self, sources: Sequence[str]) -> None:
        """These sources are gone: of those that the index holds nothing of, nothing is to be done any more."""
        self._writable().forget_standing(sources)

    def stage(self, document: Document, chunks: Sequence[Chunk], embedded: Embedded, *, first: bool) -> None:
        """Put chunks of a large document aside until `add` takes the document in; `first` are the first ones."""
        self._writable().stage(document, chunks, embedded, first=first)

    def add(
        self,
        document: Document,
        chunks: Sequence[Chunk],
        embedded: Embedded,
        released: Quarantined | None = None,
        *,
        staged: int = 0,
        facts: Facts | None = None,
    ) -> LedgerEntry:
        """Put a document in place of what its source had before; durable when this returns, found at once.

        `staged` of its chunks were put aside and come first. `released` is what was held back until now and may come in
        from here on.
        """
        entry = self._writable().add(document, chunks, embedded, released, staged=staged, facts=facts)
        self._drop_files(document.id, keep=() if document.masked else (kept_name(document.id, document.sha256),))
        return entry

    def put_facts(self, document_id: str, facts: Facts) -> None:
        """Give a document that came in without them its facts."""
        self._writable().put_facts(document_id, facts)

    def put_labels(self, document_id: str, labels: Sequence[str]) -> None:
        """Give a document that came in before labels were read those of its file."""
        self._writable().put_labels(document_id, labels)

    def remove(self, document_id: str) -> LedgerEntry:
        """Take a document out. Raises DocumentNotFound."""
        entry = self._writable().remove(document_id)
        self._drop_files(document_id, keep=tuple(map(held_name, self.quarantine(entry.source))))
        return entry

    def hold(self, held: Quarantined, entry: LedgerEntry, data: bytes | None = None) -> None:
        """Hold a version of a document back; `data` are its bytes, if it has no place of its own on this machine."""
        store = self._writable()
        if data is not None:
            self._keep(held_name(held), data)
        store.hold(held, entry)
        kept = kept_name(held.document_id, info.sha256) if (info := store.find(held.source)) else ""
        self._drop_files(held.document_id, keep=(kept, held_name(held)))

    def forget_held(self, held: Quarantined, entry: LedgerEntry | None, *, drop: bool) -> None:
        """What was held waits no longer; with `drop`, its source is left out as long as it holds this very content."""
        self._writable().forget_held(held, entry, drop=drop)
        with self._filing:
            self._unlink(held.document_id, [held_name(held)])

    def keep_original(self, document: Document, data: bytes) -> None:
        """Keep the file of a document that has no place of its own on this machine (an upload), beside the one of its
        former version: `add` takes that away."""
        self._keep(kept_name(document.id, document.sha256), data)

    def _keep(self, name: str, data: bytes) -> None:
        folder = self.path / FILES
        _make_folder(folder)
        temporary = folder / f"{name}.new"
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            with self._filing:
                temporary.replace(folder / name)
                names, own = self._names(), owner_of(name)
                names[own] = (*(other for other in names.get(own, ()) if other != name), name)
            sync_folder(folder)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise StorageFull(
                f"The file can't be kept in {folder}: {error.strerror}.", "Free some space and try again."
            ) from error

    def _drop_files(self, document_id: str, *, keep: Collection[str]) -> None:
        """Take away what is kept of a document's other versions, also by a process that died."""
        with self._filing:
            self._unlink(document_id, [name for name in self._names().get(document_id, ()) if name not in keep])

    def _unlink(self, document_id: str, gone: Collection[str]) -> None:
        for name in gone:
            (self.path / FILES / name).unlink(missing_ok=True)
        left = tuple(name for name in self._names().pop(document_id, ()) if name not in gone)
        if left:
            self._names()[document_id] = left

    def _names(self) -> dict[str, tuple[str, ...]]:
        """The names of the files that are kept, by document. Listed once: there is one for each member of every archive."""
        if self._filed is None:
            self._filed = {}
            for path in (self.path / FILES).glob("*"):
                own = owner_of(path.name)
                self._filed[own] = (*self._filed.get(own, ()), path.name)
        return self._filed

    def record(self, entry: LedgerEntry) -> None:
        """A ledger line for a file that changed nothing."""
        self._writable().record([entry])

    def publish(self, *, force: bool = False, whole: bool = False) -> None:
        """Bring the published files up to the store, when they are far enough behind (or at once, by `force`)."""
        store = self._writable()
        behind, chunks = self._derived.behind(), store.counts()[1]
        missing = not self._derived.manifest.vectors.name
        if not (force or (missing and chunks) or (behind and (chunks <= _ALWAYS_PUBLISH or behind > chunks // 20))):
            return
        try:
            self._derived = self._derived.publish(
                self.embedder_name, store.meta("fingerprint") or "", whole=whole, exact_up_to=self._settings.exact_vectors
            )
        except Exception as error:
            # FAISS and tantivy say it in words only.
            if getattr(error, "errno", None) == errno.ENOSPC or "No space left" in str(error):
                raise StorageFull(
                    f"The disk is full: the index files in {self.path} could not be written; the documents are stored.",
                    f"Free some space, then: ingest rebuild --index {self.path}",
                ) from error
            raise

    def rebuild(self) -> None:
        """Make vectors and keywords anew from the store; nothing is embedded."""
        self.publish(force=True, whole=True)

    def replace_store(self, other: Path) -> None:
        """Put the store of another index in place of this one's, in one transaction, and publish it."""
        self._writable().replace_with(other / STORE)
        self._derived = Derived(self.path, self._store, writable=True)
        self._embedder = None
        self.publish(force=True, whole=True)

    def _writable(self) -> Store:
        if self._lock is None:
            raise IndexReadOnly(f"The index {self.path} is open for reading only.", "Open it with write=True.")
        return self._store


def _load_embedder(name: str, settings: IngestSettings, *, write: bool) -> Embedder:
    load = writers_embedder if write else light_embedder
    return load(name, settings.precision, settings.exports)


def _matching_embedder(store: Store, settings: IngestSettings, embedder: Embedder | None) -> Embedder | None:
    """Check the embedder asked for against the one the index was made with; give a new index its own."""
    made_with = store.meta("embedder")
    if made_with is None:
        if not store.writable:
            raise IndexMissing(f"The index {store.path.parent} is empty.", "Fill it with: ingest add PATH")
        embedder = embedder or _load_embedder(settings.embedder, settings, write=True)
        store.set_meta(
            embedder=embedder.name,
            fingerprint=embedder.fingerprint,
            dimension=str(embedder.dimension),
            epoch=secrets.token_hex(8),
        )
        return embedder
    if "embedder" in settings.model_fields_set and settings.embedder != made_with:
        raise EmbedderMismatch(
            f"The index {store.path.parent} was made with the embedder {made_with!r}, not {settings.embedder!r}.",
            f"Leave RAG_BOT_EMBEDDER out, or embed everything anew: "
            f"ingest rebuild --embedder {settings.embedder} --index {store.path.parent}",
        )
    if embedder and embedder.fingerprint != store.meta("fingerprint"):
        raise EmbedderMismatch(
            f"The index {store.path.parent} was made with the embedder {made_with!r}, not with the {embedder.name!r} given.",
            "Leave the embedder out: the index picks its own.",
        )
    return embedder


def _check_not_emptied(path: Path) -> None:
    """An empty file is a new store to SQLite; where something was published from it, it is one that was lost."""
    store = path / STORE
    if store.exists() and store.stat().st_size == 0 and (path / MANIFEST).exists():
        raise IndexDamaged(
            f"The store {store} is empty, but it had documents.",
            "Restore it from a copy, or ingest the documents again into a new folder.",
        )


def _everything(info: DocumentInfo) -> bool:
    return True


def _size(folder: Path) -> int:
    """Bytes of all files in a folder; a writer may take some away meanwhile."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            if path.is_file() and not path.is_symlink():
                total += path.stat().st_size
    return total


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise StorageFull(f"The disk is full: {path} can't be made.", "Free some space and try again.") from error
        raise IndexReadOnly(f"The folder {path} can't be made: {error.strerror}.", "Choose another with --index.") from error
