"""What is read from the store: documents, text, chunks, vectors, findings, the quarantine, the ledger."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import numpy as np

from ingest.curate import tables
from ingest.embedder import Vectors
from ingest.errors import DocumentNotFound
from ingest.inspect import Finding
from ingest.places import read_places
from ingest.store.connection import Connection
from ingest.store.rows import HELD, INFO, PIECE, SCALE, STANDING, info_of, quarantined_of, read_findings, unpacked
from ingest.types import Chunk, Document, DocumentInfo, DocumentState, LedgerEntry, Quarantined, Run, Standing

_FAR = 1 << 62  # beyond the end of any text


class Reader(Connection):
    """Reads what the tables hold; a store of an older schema as if it had what it lacks, empty."""

    @property
    def _findings(self) -> str:
        """The column of the findings; a store of the first schema has none."""
        return "findings" if self.schema > 1 else "''"

    @property
    def _infos(self) -> str:
        """What gives the rows of `info_of`, of a store of any schema."""
        masked = "masked" if self.schema > 1 else "0"
        labels = "labels" if self.schema > 4 else "NULL"
        if self.schema < 4:
            return f"SELECT {INFO}, {masked}, '', NULL, '', '', {labels} FROM documents"
        return f"SELECT {INFO}, {masked}, {tables.COLUMNS}, {labels} FROM documents LEFT JOIN curation ON document_id = id"

    @property
    def curation(self) -> tables.Curation:
        """What is known about documents and chunks beside what they say."""
        return tables.Curation(self.rows, self.schema > 3)

    def documents(self) -> list[DocumentInfo]:
        return [info_of(row) for row in self.rows(f"{self._infos} ORDER BY source")]

    def documents_since(self, version: int) -> list[DocumentInfo]:
        """The documents that have come or changed since a version of the store; of an older store, all."""
        if self.schema < 5 or version < 0:
            return self.documents()
        return [info_of(row) for row in self.rows(f"{self._infos} WHERE changed > ? ORDER BY source", version)]

    def document_ids(self) -> set[str]:
        return {str(row[0]) for row in self.rows("SELECT id FROM documents")}

    def document(self, document_id: str) -> DocumentInfo:
        row = self.row(f"{self._infos} WHERE id = ?", document_id)
        if row is None:
            raise _unknown(document_id)
        return info_of(row)

    def find(self, source: str) -> DocumentInfo | None:
        row = self.row(f"{self._infos} WHERE source = ?", source)
        return info_of(row) if row else None

    def without_labels(self) -> set[str]:
        """The documents that came in before labels were read, whose files may name some."""
        if self.schema < 5:
            return self.document_ids()
        return {str(row[0]) for row in self.rows("SELECT id FROM documents WHERE labels IS NULL")}

    def findings(self, document_id: str) -> tuple[Finding, ...]:
        """All that inspection found in a document, in order of place."""
        own = self.rows(f"SELECT {self._findings} FROM documents WHERE id = ?", document_id)
        shared = self.rows(f"SELECT {self._findings} FROM chunks WHERE document_id = ?", document_id)
        found = {finding for row in (*own, *shared) for finding in read_findings(str(row[0]))}
        return tuple(sorted(found, key=lambda f: (f.start, f.end, f.group, f.kind)))

    def quarantine(self, source: str | None = None) -> list[Quarantined]:
        """What was ever held back (from one source), whatever became of it, in order of source."""
        if self.schema < 2:
            return []
        where, values = ("WHERE source = ?", (source,)) if source is not None else ("", ())
        return [quarantined_of(row) for row in self.rows(f"SELECT {HELD} FROM quarantine {where} ORDER BY source, at", *values)]

    def is_released(self, sha256: str) -> bool:
        """Whether a person has said of this very content, under any source, that it may come in."""
        if self.schema < 2:
            return False
        return self.row("SELECT 1 FROM quarantine WHERE sha256 = ? AND state = 'released'", sha256) is not None

    def text(self, document_id: str, start: int = 0, end: int | None = None) -> str:
        """The characters from `start` to `end` of a document's text."""
        end = _FAR if end is None else max(start, end)
        first, last = start // PIECE, (end - 1) // PIECE
        rows = self.rows(  # a document without such a piece has one row all the same
            "SELECT coalesce(p.text, '') FROM documents d "
            "LEFT JOIN pieces p ON p.document_id = d.id AND p.ordinal BETWEEN ? AND ? WHERE d.id = ? ORDER BY p.ordinal",
            first, last, document_id,
        )  # fmt: skip
        if not rows:
            raise _unknown(document_id)
        return "".join(str(row[0]) for row in rows)[start - first * PIECE : end - first * PIECE]

    def chunks(self, ids: Sequence[int]) -> dict[int, tuple[str, Chunk]]:
        """Document id and chunk (with its text) of those of `ids` that are there."""
        found: dict[int, tuple[str, Chunk]] = {}
        for at in range(0, len(ids), 500):
            some = ids[at : at + 500]
            marks = ",".join("?" * len(some))
            for row in self.rows(
                f'SELECT id, document_id, start, "end", page, place, {self._findings} FROM chunks WHERE id IN ({marks})', *some
            ):
                found[int(row[0])] = str(row[1]), self._chunk(row)
        return found

    def owners(self, after: int = 0) -> list[tuple[int, str]]:
        """(chunk id, document id) of every chunk whose id is above `after`, in order of chunk id."""
        return [
            (int(row[0]), str(row[1]))
            for row in self.rows("SELECT id, document_id FROM chunks WHERE id > ? ORDER BY id", after)
        ]

    def chunks_of(self, document_id: str) -> list[Chunk]:
        """All chunks of a document, in reading order."""
        rows = self.rows(
            f'SELECT id, document_id, start, "end", page, place, {self._findings} FROM chunks '
            "WHERE document_id = ? ORDER BY id",  # as they came, which is how facts are told of them, too
            document_id,
        )
        return [self._chunk(row) for row in rows]

    def parsed(self, document_id: str) -> Document:
        """The document as it was parsed, to be chunked and embedded anew."""
        info = self.document(document_id)
        row = self.row("SELECT data FROM blocks WHERE document_id = ?", document_id)
        blocks = unpacked(bytes(row[0])) if row else ()
        text = self.text(document_id)
        findings = self.findings(document_id)
        return Document(
            info.document_id,
            info.source,
            info.title,
            info.media_type,
            info.sha256,
            text,
            blocks,
            findings,
            info.masked,
            labels=info.labels,
        )

    def counts(self) -> tuple[int, int, int]:
        """How many documents and chunks there are, and the largest id a chunk ever had."""
        documents = self.row("SELECT count(*) FROM documents")
        chunks = self.row("SELECT count(*) FROM chunks")
        last = self.row("SELECT seq FROM sqlite_sequence WHERE name = 'chunks'")
        return int(documents[0]) if documents else 0, int(chunks[0]) if chunks else 0, int(last[0]) if last else 0

    def removed(self) -> set[int]:
        """Ids of chunks that are gone but may still stand in a published file."""
        return {int(row[0]) for row in self.rows("SELECT chunk_id FROM removed")}

    def vectors(self, after: int = 0, dimension: int = 0, batch: int = 2_048) -> Iterator[tuple[list[int], Vectors]]:
        """Ids and vectors of the chunks whose id is above `after`, in order of id, by batches."""
        while True:
            rows = self.rows("SELECT id, vector FROM chunks WHERE id > ? ORDER BY id LIMIT ?", after, batch)
            if not rows:
                return
            ids = [int(row[0]) for row in rows]
            flat = np.frombuffer(b"".join(row[1] for row in rows), dtype="<f2").astype(np.float32)
            vectors = flat.reshape(len(ids), dimension or -1)
            yield ids, vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
            after = ids[-1]

    def sentence_vectors(self, ids: Sequence[int], dimension: int) -> dict[int, Vectors]:
        """The unit vectors of the sentences of some chunks, shape (sentences, dimension) each; to two digits."""
        marks = ",".join("?" * len(ids))
        rows = self.rows(f"SELECT id, sentences FROM chunks WHERE id IN ({marks})", *ids)
        return {
            int(row[0]): np.frombuffer(row[1], dtype=np.int8).astype(np.float32).reshape(-1, dimension) / SCALE for row in rows
        }

    def looked_at(self, ids: Sequence[int], dimension: int) -> dict[int, tuple[Vectors, Vectors, int]]:
        """Of each chunk that is there: its vector, those of its sentences (to two digits), and its characters."""
        found: dict[int, tuple[Vectors, Vectors, int]] = {}
        for at in range(0, len(ids), 500):
            some = ids[at : at + 500]
            marks = ",".join("?" * len(some))
            for i, vector, sentences, characters in self.rows(
                f'SELECT id, vector, sentences, "end" - start FROM chunks WHERE id IN ({marks})', *some
            ):
                rows = np.frombuffer(sentences, dtype=np.int8).astype(np.float32).reshape(-1, dimension) / SCALE
                found[int(i)] = np.frombuffer(vector, dtype="<f2").astype(np.float32), rows, int(characters)
        return found

    def beside(self, ids: Sequence[int]) -> dict[int, list[Vectors]]:
        """The vectors of what stands right before and right after some chunks in their documents, where there is anything."""
        found: dict[int, list[Vectors]] = {}
        for at in range(0, len(ids), 500):
            some = ids[at : at + 500]
            marks = ",".join("?" * len(some))
            for i, vector in self.rows(
                # A document's chunks are written one after the other, in reading order.
                "SELECT c.id, n.vector FROM chunks c JOIN chunks n ON n.id IN (c.id - 1, c.id + 1) "
                f"AND n.document_id = c.document_id WHERE c.id IN ({marks})",
                *some,
            ):
                found.setdefault(int(i), []).append(np.frombuffer(vector, dtype="<f2").astype(np.float32))
        return found

    def keyword_rows(self, after: int = 0, batch: int = 2_000) -> Iterator[tuple[int, str, str, Chunk]]:
        """Id, document title, document id and chunk of the chunks whose id is above `after`, in order of id."""
        while True:
            rows = self.rows(
                'SELECT c.id, c.document_id, c.start, c."end", c.page, c.place, \'\', d.title FROM chunks c '
                "JOIN documents d ON d.id = c.document_id WHERE c.id > ? ORDER BY c.id LIMIT ?",
                after, batch,
            )  # fmt: skip
            if not rows:
                return
            for row in rows:
                yield int(row[0]), str(row[7]), str(row[1]), self._chunk(row)
            after = int(rows[-1][0])

    def ledger(self, limit: int = 1000) -> list[LedgerEntry]:
        """The latest ledger lines, newest first."""
        rows = self.rows("SELECT source, document_id, status, reason, chunks FROM ledger ORDER BY id DESC LIMIT ?", limit)
        return [LedgerEntry(*row) for row in rows]

    # --- where documents stand

    def standings(self, *chosen: DocumentState) -> list[Standing]:
        """Where each document stands, in order of source; only those in one of the states, where some are `chosen`."""
        if self.schema < 3:
            return []
        where = f"WHERE state IN ({','.join('?' * len(chosen))})" if chosen else ""
        return [Standing(*row) for row in self.rows(f"SELECT {STANDING} FROM states {where} ORDER BY source", *chosen)]

    def state_counts(self, run: int | None = None) -> dict[str, int]:
        """How many documents are in each state (of those that one run has named last)."""
        if self.schema < 3:
            return {}
        where, values = ("WHERE run = ?", (run,)) if run is not None else ("", ())
        return {
            str(state): int(n) for state, n in self.rows(f"SELECT state, count(*) FROM states {where} GROUP BY state", *values)
        }

    def last_run(self) -> Run | None:
        """The run that began last."""
        if self.schema < 3:
            return None
        row = self.row("SELECT id, kind, began, files, ended, outcome FROM runs ORDER BY id DESC LIMIT 1")
        return Run(*row) if row else None

    def ledger_after(self, line: int) -> list[tuple[int, LedgerEntry]]:
        """The ledger lines above number `line`, oldest first, each with its number."""
        rows = self.rows(
            "SELECT id, source, document_id, status, reason, chunks FROM ledger WHERE id > ? ORDER BY id LIMIT 10000", line
        )
        return [(int(row[0]), LedgerEntry(*row[1:])) for row in rows]

    def last_line(self) -> int:
        """The number of the newest ledger line, 0 where there is none."""
        row = self.row("SELECT max(id) FROM ledger")
        return int(row[0] or 0) if row else 0

    def _chunk(self, row: Sequence[object]) -> Chunk:
        chunk_id, document_id, start, end, page, place, findings = row[:7]
        heading, pages, header, *places = json.loads(str(place))  # one without places is as it was before there were any
        return Chunk(
            start=int(str(start)),
            end=int(str(end)),
            text=self.text(str(document_id), int(str(start)), int(str(end))),
            heading=tuple(heading),
            page=None if page is None else int(str(page)),
            pages=tuple((offset, number) for offset, number in pages),
            kind="table" if header else "text",
            header=(header[0], header[1]) if header else None,
            id=int(str(chunk_id)),
            findings=read_findings(str(findings)),
            places=read_places(places[0]) if places else (),
        )


def _unknown(document_id: str) -> DocumentNotFound:
    return DocumentNotFound(f"There is no document {document_id!r} in the index.", "`ingest list` shows what there is.")
