"""What is derived from the store and can be thrown away: vectors and keywords, published whole and checked at opening."""

from __future__ import annotations

import os
import re
import shutil
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ingest.choice import Only
from ingest.embedder import Vectors
from ingest.keywords import KeywordIndex, inverse_frequency
from ingest.manifest import NAME, Artifact, Manifest, check, hash_file, sync_folder
from ingest.store import Store
from ingest.types import Chunk
from ingest.vectors import EXACT_UP_TO, VectorIndex

_GENERATION = re.compile(r"(?:vectors|keywords)-(\d{6,})")
_LONGEST_HEADER = 2_000  # characters
_NO_ARTIFACT = Artifact("", {}, 0, 0)


@dataclass(frozen=True, slots=True, eq=False)
class Sought:
    """What is searched for: the `dense_k` nearest to a unit vector (None: none are), and the `keyword_k` best by BM25 for a
    query, to which words of `earlier` turns count little. `only` among some chunks; None: among all."""

    vector: Vectors | None = None
    dense_k: int = 0
    query: str = ""
    keyword_k: int = 0
    earlier: str = ""
    only: Only | None = None


class Derived:
    """The published vectors and keywords, and small ones beside them for what the store got since.

    It shows the store at one `version`, that of the last `catch_up`. `notes` says, in sentences, what was found damaged or
    behind and what was done about it.
    """

    def __init__(self, folder: Path, store: Store, *, writable: bool) -> None:
        self._folder, self._store = folder, store
        self._lock = threading.Lock()
        while True:
            self.notes: list[str] = []
            stamp = _stamp(folder / NAME)
            with store.snapshot():
                self._epoch, self.dimension = store.meta("epoch") or "", int(store.meta("dimension") or 0)
            self._generation = 0  # of the manifest on the disk, whether it can be used or not
            self.manifest = self._read_manifest(writable)
            self._vectors = self._load_vectors(writable)
            self._keywords = self._load_keywords(writable)
            if writable or not self.notes or _stamp(folder / NAME) == stamp:
                break  # else these files were not damaged: a writer has put newer ones in their place meanwhile
        self.version = -1
        self._recent_vectors = VectorIndex(self.dimension)
        self._recent_keywords = KeywordIndex()
        self._recent_until = [self.manifest.vectors.last_chunk, self.manifest.keywords.last_chunk]
        self._removed: frozenset[int] = frozenset()

    # --- searching

    def search(self, version: int, sought: Sought) -> tuple[list[tuple[int, float]], list[tuple[int, float]]] | None:
        """The chunks nearest in meaning as (chunk id, cosine), and those best by BM25 as (chunk id, score), each best first.

        Both are of the store at one version; None if that is not `version` (any more).
        """
        dense: list[tuple[int, float]] = []
        keyword: list[tuple[int, float]] = []
        vector, query, only, earlier = sought.vector, sought.query, sought.only, sought.earlier
        terms = self._keywords.weights(query, earlier).keys() if sought.keyword_k else ()
        counts, idf = self._keywords.frequencies(terms, only), None
        with self._lock:  # what is published stays as it is; what came since and what is gone must be of the same moment
            if self.version != version:
                return None
            removed = self._removed
            if vector is not None:
                dense = self._recent_vectors.search(vector, sought.dense_k, removed, only)
            if sought.keyword_k and (only is not None or len(self._recent_keywords)):
                idf = self._rarity(counts, only)
                keyword = self._recent_keywords.search(query, sought.keyword_k, removed, idf, only, earlier=earlier)
        if vector is not None:
            dense = _best(self._vectors.search(vector, sought.dense_k, removed, only) + dense, sought.dense_k)
        if sought.keyword_k:
            published = self._keywords.search(
                query, sought.keyword_k, removed, idf if only is not None else None, only, earlier=earlier
            )
            keyword = _best(published + keyword, sought.keyword_k)
        return dense, keyword

    def terms(self, text: str) -> list[str]:
        """The terms that BM25 knows a text by."""
        return self._keywords.terms(text)

    def idf(self, terms: Collection[str], only: Only | None = None) -> dict[str, float]:
        """BM25's inverse document frequency of each term, among all chunks or some: what one can't read tells nobody how
        rare a word is."""
        return self._rarity(self._keywords.frequencies(terms, only), only)

    def _rarity(self, published: Mapping[str, int], only: Only | None) -> dict[str, float]:
        """The same, from how many of the published chunks hold each term."""
        total = len(self._keywords) + len(self._recent_keywords) if only is None else len(only)
        recent = self._recent_keywords.frequencies(published, only)
        return {term: inverse_frequency(total, n + recent[term]) for term, n in published.items()}

    @property
    def kind(self) -> str:
        """How the vectors are searched."""
        return self._vectors.kind

    @property
    def device(self) -> str:
        """Where the vectors are searched: `cpu` or `cuda`."""
        return self._vectors.device

    def replaced(self) -> bool:
        """Whether everything has been embedded anew: then the same numbers are other chunks."""
        return (self._store.meta("epoch") or "") != self._epoch

    def outdated(self) -> bool:
        """Whether something newer has been published, or everything embedded anew: then this must be loaded again."""
        if self.replaced():
            return True
        try:
            manifest = Manifest.read(self._folder)
        except (ValueError, TypeError, KeyError):
            return False
        return manifest is not None and manifest.generation > self._generation

    def catch_up(self) -> None:
        """Take in what the store got since. To be called in a snapshot of the store in which this was not `outdated`.

        A writer says what is gone until it has published files without that, and only then forgets it: in a snapshot from
        before that, the store still tells everything that these files lack or hold too many.
        """
        with self._lock:
            for ids, vectors in self._store.vectors(self._recent_until[0], self.dimension):
                self._recent_vectors.add(ids, vectors)
                self._recent_until[0] = ids[-1]
            rows = list(keyword_texts(self._store, self._recent_until[1]))
            if rows:
                self._recent_keywords.update(rows)
                self._recent_until[1] = rows[-1][0]
            self._removed |= self._store.removed()
            self.version = self._store.version

    # --- loading and repairing

    def _read_manifest(self, writable: bool) -> Manifest:
        try:
            found = Manifest.read(self._folder)
        except (ValueError, TypeError, KeyError) as error:
            self._set_aside(NAME, str(error), writable)
            found = None
        else:
            if not found and self._store.counts()[2]:
                self._set_aside(NAME, "it is missing", writable)
        self._generation = found.generation if found else 0
        if found and max(found.vectors.last_chunk, found.keywords.last_chunk) > self._store.counts()[2]:
            # A store put back from an older copy would give the numbers of lost chunks to new ones.
            self._set_aside(NAME, "it is ahead of the store", writable)
            found = None
        if found and found.epoch == self._epoch:
            return found
        return Manifest(0, self._epoch, "", "", self.dimension, _NO_ARTIFACT, _NO_ARTIFACT)

    def _load_vectors(self, writable: bool) -> VectorIndex:
        artifact = self.manifest.vectors
        if artifact.name:
            fault = check(self._folder, artifact)
            if fault is None:
                try:
                    loaded = VectorIndex.load(self._folder / artifact.name, artifact.settings)
                    if len(loaded) == artifact.count:
                        return loaded.to_device()
                    fault = f"{artifact.name} holds {len(loaded)} vectors, not {artifact.count}"
                except RuntimeError as error:
                    fault = f"FAISS can't read {artifact.name}: {error}"
            self._set_aside(artifact.name, fault, writable)
        self.manifest = replace(self.manifest, vectors=_NO_ARTIFACT)
        return VectorIndex(self.dimension)

    def _load_keywords(self, writable: bool) -> KeywordIndex:
        artifact = self.manifest.keywords
        if artifact.name:
            fault = check(self._folder, artifact)
            if fault is None:
                try:
                    return KeywordIndex(self._folder / artifact.name)
                except (ValueError, OSError) as error:
                    fault = f"tantivy can't read {artifact.name}: {error}"
            self._set_aside(artifact.name, fault, writable)
        self.manifest = replace(self.manifest, keywords=_NO_ARTIFACT)
        return KeywordIndex()

    def _set_aside(self, name: str, fault: str, writable: bool) -> None:
        """Keep a damaged file under another name, so that nothing is lost, and say so."""
        path, done = self._folder / name, "what it held is read from the store instead"
        if writable:
            done = "it is built again from the store"
            if path.exists():
                kept = f"damaged-{time.strftime('%Y%m%d-%H%M%S')}-{time.monotonic_ns() % 10**6}-{name}"
                path.rename(self._folder / kept)
                done = f"it is kept as {kept} and built again from the store"
        self.notes.append(f"{name} is damaged ({fault}): {done}.")

    # --- publishing (the caller holds the writer's lock)

    def behind(self) -> int:
        """How many chunks the published files lack or hold too many."""
        last = self._store.counts()[2]
        covered = min(self.manifest.vectors.last_chunk, self.manifest.keywords.last_chunk)
        return max(last - covered, len(self._store.removed()))

    def publish(self, embedder: str, fingerprint: str, *, whole: bool = False, exact_up_to: int = EXACT_UP_TO) -> Derived:
        """Write vectors and keywords of all the store holds beside the old files, name them in a new manifest, and
        return them loaded. `whole` builds the keywords anew instead of adding to them; more vectors than `exact_up_to` are
        compressed."""
        removed = self._store.removed()
        generation = self._next_generation()
        vectors, keywords = f"vectors-{generation:06d}.faiss", f"keywords-{generation:06d}"
        self._clean(self.manifest)  # what a process that died left behind
        try:
            manifest = Manifest(
                generation,
                self._epoch,
                embedder,
                fingerprint,
                self.dimension,
                self._write_vectors(vectors, exact_up_to),
                self._write_keywords(keywords, removed, whole=whole),
            )
            sync_folder(self._folder)
            manifest.write(self._folder)
        except BaseException:
            (self._folder / vectors).unlink(missing_ok=True)
            (self._folder / f"{NAME}.new").unlink(missing_ok=True)
            shutil.rmtree(self._folder / keywords, ignore_errors=True)
            raise
        self._store.forget_removed(removed)
        self._clean(manifest)
        return Derived(self._folder, self._store, writable=True)

    def _next_generation(self) -> int:
        """Above the manifest's and that of any file, also of one left by a process that died before its manifest."""
        numbers = (_GENERATION.search(path.name) for path in self._folder.iterdir())
        return max([self.manifest.generation, *(int(number[1]) for number in numbers if number)]) + 1

    def _write_vectors(self, name: str, exact_up_to: int) -> Artifact:
        path = self._folder / name
        count, settings = VectorIndex.write(
            path,
            self.dimension,
            self._store.vectors(0, self.dimension),
            count=self._store.counts()[1],
            spool=path.with_suffix(".spool"),
            exact_up_to=exact_up_to,
        )
        _sync_file(path)
        return Artifact(name, {name: hash_file(path)}, self._store.counts()[2], count, settings)

    def _write_keywords(self, name: str, removed: set[int], *, whole: bool) -> Artifact:
        folder, old = self._folder / name, self.manifest.keywords
        folder.mkdir()
        after = 0
        if old.name and not whole and check(self._folder, old) is None:
            _copy_keywords(self._folder / old.name, folder)
            after = old.last_chunk
        index = KeywordIndex(folder)
        index.update(keyword_texts(self._store, after), removed if after else ())
        # tantivy's own `.managed.json` and locks may change without a change of content: they need no hash.
        hashes = {f"{name}/{p.name}": hash_file(p) for p in sorted(folder.iterdir()) if not p.name.startswith(".")}
        sync_folder(folder)
        return Artifact(name, hashes, self._store.counts()[2], len(index))

    def _clean(self, manifest: Manifest) -> None:
        """Delete what neither this manifest nor the one before names; a reader may still be opening the latter."""
        keep = {manifest.vectors.name, manifest.keywords.name, self.manifest.vectors.name, self.manifest.keywords.name}
        for pattern in ("vectors-*.faiss", "vectors-*.spool", "keywords-*"):
            for path in self._folder.glob(pattern):
                if path.name in keep:
                    continue
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)


def keyword_texts(store: Store, after: int) -> Iterator[tuple[int, str]]:
    """What BM25 searches of each chunk: title, headings, the header of its table, its text, and that of its neighbours.

    The words of a question are often spread over more than a chunk holds (benchmarks/results/retrieval.json).
    """
    rows = store.keyword_rows(after)  # a document's chunks have numbers in a row, and come whole
    before, row = None, next(rows, None)
    while row is not None:
        behind = next(rows, None)
        chunk_id, title, document_id, chunk = row
        beside = [other[3].text for other in (before, behind) if other and other[2] == document_id]
        yield chunk_id, "\n".join([title, *chunk.heading, _header(store, document_id, chunk), chunk.text, *beside])
        before, row = row, behind


def _header(store: Store, document_id: str, chunk: Chunk) -> str:
    """The header of the table that a chunk is a later part of; of a very wide one the beginning, since each chunk has it."""
    if not chunk.header or chunk.header[0] >= chunk.start:
        return ""
    start, end = chunk.header
    return store.text(document_id, start, min(end, start + _LONGEST_HEADER))


def _stamp(path: Path) -> tuple[int, int] | None:
    """What differs once a file was replaced."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns


def _best(found: list[tuple[int, float]], k: int) -> list[tuple[int, float]]:
    return sorted(found, key=lambda pair: (-pair[1], pair[0]))[:k]


def _copy_keywords(old: Path, new: Path) -> None:
    """A second folder with the same index: its segments never change, so links will do; what changes is copied."""
    for path in old.iterdir():
        if path.suffix == ".lock":
            continue
        if path.suffix == ".json":
            shutil.copy2(path, new / path.name)
            continue
        try:
            os.link(path, new / path.name)
        except OSError:  # a file system without links
            shutil.copy2(path, new / path.name)


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
