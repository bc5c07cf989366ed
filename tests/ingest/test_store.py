"""The store: what goes in comes out to the character, and a change is made whole or not at all."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.embedder import Embedded, HashEmbedder
from ingest.errors import DocumentNotFound, IndexDamaged, IndexReadOnly
from ingest.inspect import Finding
from ingest.store import PIECE, Store
from ingest.types import Block, Chunk, Document, LedgerEntry


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "store.sqlite3", write=True)
    yield store
    store.close()


def document(text: str, name: str = "leave") -> Document:
    blocks = (
        Block("heading", 0, 1, 1),
        Block("table", 2, len(text), 2, ("Leave", "Größe “A”"), (2, 3)),
    )
    return Document(f"id-{name}", f"/docs/{name}", "Leave 🦊", "text/plain", "0" * 64, text, blocks)


def chunks(text: str, size: int) -> list[Chunk]:
    return [Chunk(at, min(at + size, len(text)), text[at : at + size]) for at in range(0, len(text), size)]


def embedded(chunks: list[Chunk]) -> Embedded:
    return HashEmbedder().embed_passages([c.text for c in chunks], [[(0, len(c.text))] for c in chunks])


def put(store: Store, text: str, name: str = "leave", size: int = 1_000) -> LedgerEntry:
    return store.add(document(text, name), chunks(text, size), embedded(chunks(text, size)))


def test_what_stands_beside_a_chunk_is_of_its_own_document(store: Store) -> None:
    put(store, "The first thing. " * 3, "before", size=17)
    put(store, "The other thing. " * 3, "after", size=17)
    put(store, "Alone.", "alone")
    first, middle, last = (chunk.id for chunk in store.chunks_of("id-before"))
    (alone,) = (chunk.id for chunk in store.chunks_of("id-alone"))
    found = store.beside([first, middle, last, alone])
    assert {i: len(vectors) for i, vectors in found.items()} == {first: 1, middle: 2, last: 1}
    own = store.looked_at([middle], 256)[middle][0]
    assert np.array_equal(found[first][0], own)


# --- texts and places


def test_a_long_text_is_read_from_anywhere(store: Store) -> None:
    text = "".join(chr(0x100 + n % 5_000) + "🦊" for n in range(PIECE))  # two pieces, no character of one byte
    assert put(store, text, size=10_000).status == "added"
    assert store.text("id-leave") == text
    edges = [0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE - 1, 2 * PIECE, 2 * PIECE + 99]
    for start in edges:
        for end in edges:
            assert store.text("id-leave", start, end) == text[start:end]
    assert all(text[c.start : c.end] == c.text for c in store.chunks_of("id-leave"))


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1), size=st.integers(1, 50))
def test_any_text_comes_out_as_it_went_in(store: Store, text: str, size: int) -> None:
    put(store, text, size=size)
    assert store.parsed("id-leave") == document(text)
    assert [c.text for c in store.chunks_of("id-leave")] == [c.text for c in chunks(text, size)]
    assert store.check() == []


def test_a_chunk_keeps_all_its_places(store: Store) -> None:
    text = "| a |\n| b |"
    table = Chunk(6, 11, "| b |", ("Rates", "Größe"), 3, ((8, 4), (9, 7)), "table", (0, 5))
    store.add(document(text), [table], embedded([table]))
    (found,) = store.chunks_of("id-leave")
    assert found == Chunk(6, 11, "| b |", ("Rates", "Größe"), 3, ((8, 4), (9, 7)), "table", (0, 5), id=found.id)
    assert store.chunks([found.id, 999]) == {found.id: ("id-leave", found)}


def test_findings_are_kept_with_their_chunks_and_what_stands_in_none_with_the_document(store: Store) -> None:
    text = "lee@x.org wrote, and mo@x.org too"
    first, second = Finding("personal", "email", 0, 9, 0.98765, "größer"), Finding("personal", "email", 21, 29)
    beside = Finding("hidden", "comment", 0, 0, 0.9, "gives orders")
    parts = [replace(chunk, findings=(finding,)) for chunk, finding in zip(chunks(text, 17), (first, second), strict=True)]
    whole = replace(document(text), findings=(beside, first, second), masked=True)
    store.add(whole, parts, embedded(parts))
    first = replace(first, score=0.988)
    assert store.findings("id-leave") == (beside, first, second)
    assert store.parsed("id-leave") == replace(whole, findings=(beside, first, second))
    assert [chunk.findings for chunk in store.chunks_of("id-leave")] == [(first,), (second,)]
    assert store.document("id-leave").masked and store.find("/docs/leave") == store.documents()[0]
    assert store.findings("nowhere") == ()
    assert store.check() == []


def test_vectors_come_out_as_unit_vectors_in_order_of_id(store: Store) -> None:
    text = "".join(f"word{n:05}" for n in range(300))
    put(store, text, size=9)
    ids: list[int] = []
    for some, vectors in store.vectors(0, 256, batch=64):
        ids += some
        assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(len(some)), abs=1e-6)
        expected = HashEmbedder().embed_documents([c.text for _, c in store.chunks(some).values()])
        assert np.abs(vectors - expected).max() < 1e-3
    assert ids == [c.id for c in store.chunks_of("id-leave")] == sorted(ids)
    assert [i for i, *_ in store.keyword_rows(batch=7)] == ids
    assert [i for i, *_ in store.keyword_rows(after=ids[100])] == ids[101:]
    sentences = store.sentence_vectors(ids[:3], 256)
    assert [v.shape for v in sentences.values()] == [(1, 256)] * 3
    assert np.linalg.norm(sentences[ids[0]]) == pytest.approx(1.0, abs=0.02)


# --- changes


def test_what_is_replaced_is_gone_whole_and_its_numbers_are_not_used_again(store: Store) -> None:
    put(store, "old " * 1_000)
    old = {c.id for c in store.chunks_of("id-leave")}
    assert put(store, "new " * 500).status == "replaced"
    new = {c.id for c in store.chunks_of("id-leave")}
    assert (len(old), len(new), old & new) == (4, 2, set())
    assert store.removed() == old
    assert store.text("id-leave") == "new " * 500
    assert store.counts() == (1, 2, max(new))
    store.forget_removed(old)
    assert store.removed() == set()
    assert store.check() == []


@pytest.mark.parametrize("fault", ["too few vectors", "a chunk that can't be stored"])
def test_a_change_that_fails_changes_nothing(store: Store, fault: str) -> None:
    put(store, "old " * 1_000)
    before = (store.version, store.documents(), store.chunks_of("id-leave"), store.ledger(), store.removed())
    parts = chunks("new " * 1_000, 1_000)
    vectors = embedded(parts)
    if fault == "too few vectors":
        vectors = vectors[:3]
    else:
        parts[2] = Chunk(0, 10**30, "")
    with pytest.raises((ValueError, OverflowError)):
        store.add(document("new " * 1_000), parts, vectors)
    assert (store.version, store.documents(), store.chunks_of("id-leave"), store.ledger(), store.removed()) == before
    assert store.check() == []
    assert put(store, "new").status == "replaced"


def test_the_version_grows_with_each_change_of_a_document(store: Store) -> None:
    versions = [store.version]
    for text in ("a", "b"):
        put(store, text)
        versions.append(store.version)
    store.remove("id-leave")
    versions.append(store.version)
    assert versions == sorted(set(versions))
    store.record([LedgerEntry("/docs/x", None, "failed", "is empty")])
    assert store.version == versions[-1]


def test_the_ledger_tells_the_latest_first(store: Store) -> None:
    put(store, "a")
    put(store, "b")
    store.record([LedgerEntry("/docs/x", None, "failed", "is empty")])
    store.remove("id-leave")
    lines = [(entry.status, entry.reason, entry.chunks) for entry in store.ledger()]
    assert lines == [("removed", None, 0), ("failed", "is empty", 0), ("replaced", None, 1), ("added", None, 1)]
    assert len(store.ledger(2)) == 2


def test_a_store_takes_over_another(store: Store, tmp_path: Path) -> None:
    put(store, "old", "leave")
    put(store, "old too", "pets")
    before, version = store.document("id-leave"), store.version
    other = Store(tmp_path / "other.sqlite3", write=True)
    other.set_meta(embedder="another")
    put(other, "The same text, in chunks of another size.", "leave", size=5)
    other.close()
    reader = Store(store.path)
    store.replace_with(tmp_path / "other.sqlite3")
    for there in (store, reader):
        assert [info.source for info in there.documents()] == ["/docs/leave"]
        assert (there.meta("embedder"), there.version > version) == ("another", True)
        assert len(there.chunks_of("id-leave")) == 9
    assert store.document("id-leave").added_at == before.added_at
    assert [entry.source for entry in store.ledger()] == ["/docs/pets", "/docs/leave"]
    reader.close()


# --- threads and readers


def test_threads_may_share_it(store: Store) -> None:
    text = "word " * 5_000
    put(store, text)

    def read(n: int) -> bool:
        return store.text("id-leave", n, n + 100) == text[n : n + 100] and len(store.chunks_of("id-leave")) == 25

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(read, range(100)))
        assert [e.status for e in threads.map(lambda n: put(store, f"text {n}", f"doc{n}"), range(20))] == ["added"] * 20
    assert store.counts()[0] == 21


def test_a_snapshot_is_of_one_moment(store: Store) -> None:
    put(store, "before")
    reader = Store(store.path)
    with reader.snapshot():
        assert reader.text("id-leave") == "before"
        put(store, "after")
        assert reader.text("id-leave") == "before"
        with reader.snapshot():
            assert reader.document("id-leave").characters == len("before")
    assert reader.text("id-leave") == "after"
    reader.close()


# --- what is wrong


def test_what_is_not_there(store: Store) -> None:
    for ask in (store.document, store.text, store.parsed, store.remove):
        with pytest.raises(DocumentNotFound, match="'nowhere'"):
            ask("nowhere")
    assert store.chunks_of("nowhere") == []
    assert store.chunks([]) == {}
    assert store.find("/docs/nowhere") is None


def test_a_reader_can_not_write(store: Store) -> None:
    put(store, "text")
    reader = Store(store.path)
    with pytest.raises(IndexReadOnly, match=str(store.path)):
        put(reader, "other")
    reader.close()


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        ("DELETE FROM chunks WHERE id = 2", "Document id-leave has 3 chunks of 4."),
        ("DELETE FROM pieces", "Document id-leave has 0 characters of 4000."),
        ('UPDATE chunks SET "end" = 5000 WHERE id = 4', "Document id-leave has 4000 characters of 4000."),
        ("DELETE FROM documents", "The store: a row of chunks belongs to no documents."),
        ("UPDATE chunks SET findings = 'no json' WHERE id = 2", "Document id-leave has findings that are damaged."),
        ("UPDATE documents SET findings = '[[1,2]]'", "Document id-leave has findings that are damaged."),
        (
            """UPDATE chunks SET findings = '[["secret","x",3990,4001,1,""]]' WHERE id = 4""",
            "Document id-leave has findings that are damaged.",
        ),
        ("INSERT INTO quarantine VALUES ('/docs/x', '0', 'x', 'x', '', 'lost', '')", "The quarantine is damaged."),
        ("INSERT INTO quarantine VALUES ('/docs/x', '0', 'x', 'x', '{', 'held', '')", "The quarantine is damaged."),
    ],
)
def test_faults_are_found(store: Store, damage: str, fault: str) -> None:
    put(store, "old " * 1_000)
    assert store.check() == []
    with sqlite3.connect(store.path) as db:
        db.execute(damage)
    assert fault in store.check()


def test_a_file_that_is_no_store_is_named(tmp_path: Path) -> None:
    (tmp_path / "store.sqlite3").write_bytes(b"not SQLite" * 1_000)
    for write in (False, True):
        with pytest.raises(IndexDamaged, match=str(tmp_path / "store.sqlite3")):
            Store(tmp_path / "store.sqlite3", write=write)
