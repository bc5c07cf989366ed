"""What is derived from the store and can be thrown away: vectors and keywords, published whole and checked at opening."""

from __future__ import annotations

import os
import re
import shutil
import threading
import time
from collections.abc import Collection, Iterator
from dataclasses import replace
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


class Derived:
    """The published vectors and keywords, and small ones beside them for what the store got since.

    `notes` says, in sentences, what was found damaged or behind and what was done about it.
    """

    def __init__(self, folder: Path, store: Store, dimension: int, *, writable: bool) -> None:
        self._folder, self._store, self._dimension = folder, store, dimension
        self._lock = threading.Lock()
        while True:
            self.notes: list[str] = []
            self._version, self._stamp = store.version, _stamp(folder / NAME)
            self._epoch = store.meta("epoch") or ""
            self.manifest = self._read_manifest(writable)
            self._vectors = self._load_vectors(writable)
            self._keywords = self._load_keywords(writable)
            if writable or not self.notes or _stamp(folder / NAME) == self._stamp:
                break  # else these files were not damaged: a writer has put newer ones in their place meanwhile
        self._recent_vectors = VectorIndex(dimension)
        self._recent_keywords = KeywordIndex()
        self._recent_until = [self.manifest.vectors.last_chunk, self.manifest.keywords.last_chunk]
        self._removed: frozenset[int] = frozenset()
        self._catch_up()

    # --- searching

    def dense(self, vector: Vectors, k: int, only: Only | None = None) -> list[tuple[int, float]]:
        """The `k` nearest chunks to a unit vector as (chunk id, cosine), best first; `only` among those."""
        with self._lock:
            removed, recent = self._removed, self._recent_vectors.search(vector, k, self._removed, only)
        return _best(self._vectors.search(vector, k, removed, only) + recent, k)

    def keyword(self, query: str, k: int, earlier: str = "", only: Only | None = None) -> list[tuple[int, float]]:
        """The `k` best chunks by BM25 as (chunk id, score), best first; words of `earlier` turns count little; `only` among
        those."""
        with self._lock:
            removed, recent = self._removed, []
            if len(self._recent_keywords):
                idf = self.idf(self._keywords.weights(query, earlier).keys())
                recent = self._recent_keywords.search(query, k, removed, idf, only, earlier=earlier)
        return _best(self._keywords.search(query, k, removed, only=only, earlier=earlier) + recent, k)

    def terms(self, text: str) -> list[str]:
        """The terms that BM25 knows a text by."""
        return self._keywords.terms(text)

    def idf(self, terms: Collection[str]) -> dict[str, float]:
        """BM25's inverse document frequency of each term."""
        total = len(self._keywords) + len(self._recent_keywords)
        counts = {t: self._keywords.document_frequency(t) + self._recent_keywords.document_frequency(t) for t in terms}
        return {term: inverse_frequency(total, n) for term, n in counts.items()}

    @property
    def kind(self) -> str:
        """How the vectors are searched."""
        return self._vectors.kind

    @property
    def device(self) -> str:
        """Where the vectors are searched: `cpu` or `cuda`."""
        return self._vectors.device

    def stale(self) -> bool:
        """Whether the store has changed since this looked, or something has been published."""
        return self._store.version != self._version or _stamp(self._folder / NAME) != self._stamp

    def refresh(self) -> None:
        """Take in what the store got since."""
        with self._lock:
            version, stamp = self._store.version, _stamp(self._folder / NAME)
            self._catch_up()
            self._version, self._stamp = version, stamp

    def outdated(self) -> bool:
        """Whether something newer has been published, or everything embedded anew: then this must be loaded again."""
        if self._store.meta("epoch") != self._epoch:
            return True
        try:
            manifest = Manifest.read(self._folder)
        except ValueError:
            return False
        return manifest is not None and manifest.generation > self.manifest.generation

    def _catch_up(self) -> None:
        for ids, vectors in self._store.vectors(self._recent_until[0], self._dimension):
            self._recent_vectors.add(ids, vectors)
            self._recent_until[0] = ids[-1]
        with self._store.snapshot():
            rows = list(keyword_texts(self._store, self._recent_until[1]))
        if rows:
            self._recent_keywords.update(rows)
            self._recent_until[1] = rows[-1][0]
        self._removed |= self._store.removed()

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
        if found and max(found.vectors.last_chunk, found.keywords.last_chunk) > self._store.counts()[2]:
            # A store put back from an older copy would give the numbers of lost chunks to new ones.
            self._set_aside(NAME, "it is ahead of the store", writable)
            found = None
        if found and found.epoch == self._epoch:
            return found
        return Manifest(0, self._epoch, "", "", self._dimension, _NO_ARTIFACT, _NO_ARTIFACT)

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
        return VectorIndex(self._dimension)

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
                self._dimension,
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
        return Derived(self._folder, self._store, self._dimension, writable=True)

    def _next_generation(self) -> int:
        """Above the manifest's and that of any file, also of one left by a process that died before its manifest."""
        numbers = (_GENERATION.search(path.name) for path in self._folder.iterdir())
        return max([self.manifest.generation, *(int(number[1]) for number in numbers if number)]) + 1

    def _write_vectors(self, name: str, exact_up_to: int) -> Artifact:
        path = self._folder / name
        index = VectorIndex.build(
            self._dimension,
            self._store.vectors(0, self._dimension),
            count=self._store.counts()[1],
            spool=path.with_suffix(".spool"),
            exact_up_to=exact_up_to,
        )
        index.save(path)
        _sync_file(path)
        return Artifact(name, {name: hash_file(path)}, self._store.counts()[2], len(index), index.settings)

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
