"""What every index promises those who read and write it; a test class of each implementation inherits this one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ingest.errors import DocumentNotFound, IndexReadOnly
from ingest.index import Index, document_id
from ingest.types import DocumentInfo, LedgerEntry, Mode
from tests.ingest.support import TEXTS, assert_whole, fill, found, made, names, put

Open = Callable[[bool], Index]

LEAVE, PETS = document_id("/docs/leave.md"), document_id("/docs/pets.txt")
ODD_QUESTIONS = ["", " ", '"', "AND OR NOT (", "🦊", "\x00", "a\ud800b", "!?" * 100, "leave " * 2_000, "x" * 10_000]


class IndexContract:
    @pytest.fixture
    def opened(self) -> Open:
        """Opens the one index of this test, for reading or (True) for writing; makes it at first."""
        raise NotImplementedError

    def test_what_is_added_is_there_whole(self, opened: Open) -> None:
        with opened(True) as index:
            entry = put(index, "/docs/pets.txt", TEXTS["/docs/pets.txt"])
            assert entry == LedgerEntry("/docs/pets.txt", PETS, "added", None, 1)
            info = index.document(PETS)
            assert (info.source, info.title, info.media_type, info.chunks) == ("/docs/pets.txt", "pets", "text/plain", 1)
            assert index.find("/docs/pets.txt") == info
            assert index.text(PETS) == made("/docs/pets.txt", TEXTS["/docs/pets.txt"]).text
            assert index.text(PETS, 0, 4) == "Dogs"
            assert index.ledger()[0] == entry
            fill(index)
            assert_whole(index)
            assert index.counts() == (3, 4)

    def test_it_is_found_at_once_by_meaning_and_by_words(self, opened: Open) -> None:
        with opened(True) as index:
            fill(index)
            put(index, "/docs/cars.txt", "Cars are parked behind the house.")
            for mode in ("hybrid", "dense", "keyword"):
                hits = index.search("Where are cars parked?", 2, mode)
                assert found(hits)[0] == ("cars.txt", "Cars are parked behind the house.")
                assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)

    def test_hits_have_exact_places_and_the_scores_of_both_searches(self, opened: Open) -> None:
        with opened(True) as index:
            fill(index)
            for hit in index.search("parental leave of contractors", 10):
                chunk = hit.chunk
                assert index.text(hit.document.document_id, chunk.start, chunk.end) == chunk.text
                assert hit.dense is None or -1.001 <= hit.dense <= 1.001
                assert hit.keyword is None or hit.keyword > 0
            best, second, *_ = index.search("parental leave of contractors", 10)
            assert best.chunk.heading == ("Parental leave", "Contractors")
            assert (best.dense or 0) > (second.dense or 0) > 0
            rate = index.search("night rate in Lisbon", 1)[0]
            assert (rate.chunk.kind, rate.document.title) == ("table", "rates")

    def test_k_is_how_many_come(self, opened: Open) -> None:
        with opened(True) as index:
            fill(index)
            for mode in ("hybrid", "dense"):
                assert [len(index.search("leave in the office", k, mode)) for k in (1, 3, 100)] == [1, 3, 4]

    @pytest.mark.parametrize("mode", ["hybrid", "dense", "keyword"])
    def test_any_question_may_be_asked(self, opened: Open, mode: Mode) -> None:
        with opened(True) as index:
            assert index.search("leave", 5, mode) == []
            fill(index)
            for question in ODD_QUESTIONS:
                assert len(index.search(question, 5, mode)) <= 5

    def test_what_is_replaced_is_found_no_more(self, opened: Open) -> None:
        with opened(True) as index:
            fill(index)
            for published in (False, True):
                text = f"Horses may come to the office, {'always' if published else 'sometimes'}."
                entry = put(index, "/docs/pets.txt", text)
                assert (entry.status, entry.document_id) == ("replaced", PETS)
                if published:
                    index.publish()
                assert text in [hit for _, hit in found(index.search("Who may come to the office?", 10))]
                assert not any("Dogs" in text for _, text in found(index.search("Dogs on Fridays", 10)))
            assert len(index.documents()) == 3
            assert_whole(index)

    def test_what_is_removed_is_found_no_more(self, opened: Open) -> None:
        with opened(True) as index:
            fill(index)
            assert index.remove(PETS) == LedgerEntry("/docs/pets.txt", PETS, "removed")
            for _ in range(2):
                assert "pets.txt" not in [name for name, _ in found(index.search("Dogs may come to the office", 10))]
                assert names(index) == ["leave.md", "rates.csv"]
                index.publish()
            assert_whole(index)

    @pytest.mark.parametrize("mode", ["hybrid", "dense", "keyword"])
    def test_what_may_not_be_read_takes_no_place_among_the_best(self, opened: Open, mode: Mode) -> None:
        def public(info: DocumentInfo) -> bool:
            return not info.source.startswith("/secret/")

        with opened(True) as index:
            fill(index)
            for published in (False, True):
                for number in range(60):  # in all more than each search gives to the fusion, and every one fits better
                    put(index, f"/secret/{published}{number}.txt", f"Dogs on Fridays in the office: dogs {published}{number}")
                if published:
                    index.publish(force=True, whole=True)
                    best = found(index.search("dogs on Fridays in the office", 100, mode))
                    assert "pets.txt" not in [name for name, _ in best]
                hits = index.search("dogs on Fridays in the office", 5, mode, allowed=public)
                assert found(hits)[0][0] == "pets.txt"
                assert all(public(hit.document) for hit in hits)
                assert index.search("dogs", 5, mode, allowed=lambda _: False) == []
            index.remove(PETS)
            assert "pets.txt" not in [name for name, _ in found(index.search("dogs", 5, mode, allowed=public))]

    def test_a_search_among_few_is_as_one_of_an_index_of_these_alone(self, opened: Open) -> None:
        with opened(True) as index:
            fill(index)
            alone = index.search("night rate", 9, "dense")
            for number in range(30):
                put(index, f"/secret/{number}.txt", f"The night rate is {number} euros.")
            index.publish(force=True)
            among = index.search("night rate", 9, "dense", allowed=lambda info: info.source.startswith("/docs/"))
            assert [hit.chunk.id for hit in among] == [hit.chunk.id for hit in alone]
            assert [hit.dense for hit in among] == pytest.approx([hit.dense for hit in alone])

    def test_what_is_not_there_is_named(self, opened: Open) -> None:
        with opened(True) as index:
            fill(index)
            for ask in (index.document, index.text, index.remove, index.original, index.parsed):
                with pytest.raises(DocumentNotFound, match="'nowhere'"):
                    ask("nowhere")
            assert index.find("/docs/nowhere") is None

    def test_it_keeps_documents_as_they_were_parsed(self, opened: Open) -> None:
        with opened(True) as index:
            fill(index)
            for source, text in TEXTS.items():
                assert index.parsed(document_id(source)) == made(source, text)

    def test_a_reader_sees_what_was_written_since(self, opened: Open) -> None:
        with opened(True) as writer, opened(False) as reader:
            assert not reader.refresh()
            before = reader.version
            put(writer, "/docs/pets.txt", TEXTS["/docs/pets.txt"])
            assert found(reader.search("dogs", 1)) == [("pets.txt", TEXTS["/docs/pets.txt"].strip())]
            assert reader.version > before
            assert not reader.refresh()
            writer.publish()
            fill(writer)
            assert reader.refresh()
            assert names(reader) == ["leave.md", "pets.txt", "rates.csv"]
            assert found(reader.search("Lisbon", 1))[0][0] == "rates.csv"
            writer.remove(LEAVE)
            assert "leave.md" not in [name for name, _ in found(reader.search("parental leave", 10))]

    def test_a_reader_writes_nothing(self, opened: Open) -> None:
        with opened(True) as writer:
            fill(writer)
        with opened(False) as reader:
            for write in (lambda: put(reader, "/docs/a.txt", "Text."), lambda: reader.remove(PETS), reader.publish):
                with pytest.raises(IndexReadOnly, match="open for reading only"):
                    write()
            assert names(reader) == ["leave.md", "pets.txt", "rates.csv"]

    def test_it_is_all_there_when_it_is_opened_again(self, opened: Open) -> None:
        with opened(True) as writer:
            fill(writer)
            put(writer, "/docs/late.txt", "This came late and was not published.")
            asked = {question: found(writer.search(question)) for question in ("dogs", "Oslo", "late", "leave")}
        with opened(False) as reader:
            assert {question: found(reader.search(question)) for question in asked} == asked
            assert reader.notes == []
            assert_whole(reader)

    def test_rebuilt_it_answers_the_same(self, opened: Open) -> None:
        with opened(True) as index:
            fill(index)
            index.remove(LEAVE)
            put(index, "/docs/late.txt", "Dogs that come late wait outside.")
            before = found(index.search("When do dogs come?"))
            index.rebuild()
            assert found(index.search("When do dogs come?")) == before
            assert_whole(index)
