"""What one who asks may find: the same however the index has changed since he asked before, and held in bits."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest import choice
from ingest.choice import KEPT, Choices, Only
from ingest.index import STORE, Index
from ingest.store import Store
from ingest.types import DocumentInfo
from tests.ingest.support import HASH, as_fourth_schema, fill, put


@dataclass(frozen=True)
class Asker:
    """May read what has one of the words in its source; counts what it is asked about."""

    words: frozenset[str]
    asked: list[str] = field(default_factory=list, compare=False)

    def __call__(self, info: DocumentInfo) -> bool:
        self.asked.append(info.source)
        return any(word in info.source for word in self.words)


def asker(*words: str) -> Asker:
    return Asker(frozenset(words))


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    with Index.open(tmp_path / "index", settings=HASH, write=True, create=True) as index:
        yield index


def chunks_of(index: Index, *words: str) -> set[int]:
    """The chunks that may be found, by asking about each document anew."""
    return {
        chunk.id
        for info in index.documents()
        if any(word in info.source for word in words)
        for chunk in index.chunks_of(info.document_id)
    }


def test_documents_are_asked_about_once_and_again_when_they_change(index: Index) -> None:
    fill(index)
    pets = asker("pets")
    choices = Choices(index._store, newest=False)
    found = choices.of(pets)
    assert found.only and set(found.only.ids.tolist()) == chunks_of(index, "pets")
    assert sorted(pets.asked) == sorted(info.source for info in index.documents())
    again = asker("pets")
    assert choices.of(again) is found and again.asked == []
    index.publish(force=True)  # another version, and nothing changed
    assert choices.of(again) is found and again.asked == []
    put(index, "/docs/new-pets.txt", "Cats stay at home.")
    more = choices.of(again)
    assert more.only and set(more.only.ids.tolist()) >= chunks_of(index, "pets") and again.asked == ["/docs/new-pets.txt"]
    index.remove(index.find("/docs/new-pets.txt").document_id)  # type: ignore[union-attr]
    assert choices.of(again).any() and again.asked == ["/docs/new-pets.txt"]
    index.remove(index.find("/docs/pets.txt").document_id)  # type: ignore[union-attr]
    assert not choices.of(again).any()
    put(index, "/docs/pets.txt", "Dogs only.")
    assert choices.of(again).any() and again.asked[1:] == ["/docs/pets.txt"]


def test_who_may_read_all_is_not_narrowed(index: Index) -> None:
    fill(index)
    choices = Choices(index._store, newest=False)
    assert choices.of(asker("/")).only is None
    for info in index.documents():
        index.remove(info.document_id)
    assert choices.of(asker("/")).only is None and not choices.of(asker("/")).any()


def test_the_rights_of_a_document_follow_its_labels(index: Index) -> None:
    @dataclass(frozen=True)
    class Labelled:
        label: str

        def __call__(self, info: DocumentInfo) -> bool:
            return self.label in info.labels

    put(index, "/a.md", "---\nlabels: hr\n---\nSalaries are paid monthly.\n")
    assert index.search("salaries", allowed=Labelled("hr")) and not index.search("salaries", allowed=Labelled("all"))
    put(index, "/a.md", "---\nlabels: all\n---\nSalaries are paid monthly.\n")
    assert index.search("salaries", allowed=Labelled("all")) and not index.search("salaries", allowed=Labelled("hr"))
    index.put_labels(index.documents()[0].document_id, ["hr"])
    assert index.search("salaries", allowed=Labelled("hr")) and not index.search("salaries", allowed=Labelled("all"))
    assert index.holds(Labelled("hr")) and not index.holds(Labelled("all"))


WORDS = ("ant", "bee", "cow")
NAMES = [f"/{one}/{two}.txt" for one in WORDS for two in WORDS]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(st.tuples(st.sampled_from(["put", "remove", "ask", "publish"]), st.sampled_from(NAMES)), max_size=15),
    kept=st.integers(1, 3),
)
def test_it_is_the_same_as_asked_anew(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str]], kept: int
) -> None:
    with (
        pytest.MonkeyPatch.context() as patch,
        Index.open(tmp_path_factory.mktemp("index"), settings=HASH, write=True, create=True) as index,
    ):
        patch.setattr(choice, "KEPT", kept)
        patch.setattr(choice, "_SPARE", 3)  # so that all is read anew now and then
        choices = Choices(index._store, newest=False)
        for number, (step, name) in enumerate([*steps, ("ask", NAMES[0])]):
            known = index.find(name)
            if step == "put":
                put(index, name, f"The text number {number} of {name}, about something.")
            elif step == "remove" and known:
                index.remove(known.document_id)
            elif step == "publish":
                index.publish(force=True)
            for word in WORDS if step == "ask" else name.split("/")[1:2]:
                found = choices.of(asker(word))
                there = chunks_of(index, "")
                chosen = there if found.only is None else {i for i in there if i in found.only}
                assert chosen == chunks_of(index, word)
                assert set(found.readable([*there, 10**9])) == chunks_of(index, word)
                assert found.any() == bool(chunks_of(index, word))
        assert len(choices._known) <= kept


def test_a_store_of_an_older_schema_is_asked_all_about(tmp_path: Path) -> None:
    with Index.open(tmp_path / "index", settings=HASH, write=True, create=True) as index:
        fill(index)
    as_fourth_schema(tmp_path / "index" / STORE)
    store = Store(tmp_path / "index" / STORE)
    choices = Choices(store, newest=False)
    assert choices.of(asker("pets")).any()
    with Index.open(tmp_path / "index", write=True) as writer:  # brings it up to date
        put(writer, "/docs/new-pets.txt", "Cats stay at home.")
        found = choices.of(asker("pets"))
        assert found.only and chunks_of(writer, "pets") <= set(found.only.ids.tolist())
        put(writer, "/docs/old-pets.txt", "Birds, too.")
        found = choices.of(asker("pets"))
        assert found.only and chunks_of(writer, "pets") <= set(found.only.ids.tolist())
    store.close()


def test_all_embedded_anew_is_another_table(index: Index, tmp_path: Path) -> None:
    fill(index)
    choices = Choices(index._store, newest=False)
    before = choices.of(asker("pets"))
    with Index.open(tmp_path / "other", settings=HASH, write=True, create=True) as other:
        put(other, "/docs/pets.txt", "Dogs may come.")
    index.replace_store(tmp_path / "other")
    after = choices.of(asker("pets"))
    assert after.table.slots is not before.table.slots
    assert after.only is None and after.any() and len(index.documents()) == 1


def test_only_bits_are_kept_of_each_and_nothing_of_an_index_that_has_changed(index: Index) -> None:
    fill(index)
    choices = Choices(index._store, newest=False)
    for number in range(KEPT + 20):
        choices.of(asker("pets", str(number)))
    assert len(choices._known) == KEPT
    table = weakref.ref(choices.of(asker("pets")).table.chunks)
    put(index, "/docs/new-pets.txt", "Cats stay at home.")
    choices.of(asker("pets"))
    gc.collect()
    assert table() is None


def test_many_ask_at_once_while_it_changes(index: Index) -> None:
    fill(index)
    choices = Choices(index._store, newest=False)

    def ask(number: int) -> bool:
        word = WORDS[number % 3]
        if number % 10 == 0:
            put(index, f"/{word}/{number}.txt", f"Note {number} about the {word}.")
        found = choices.of(asker(word))
        return all(word in (info.source if info else "") for info in _readable(found))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(200)))
    for word in WORDS:
        found = choices.of(asker(word))
        assert set(found.readable(sorted(chunks_of(index, "")))) == chunks_of(index, word)


def _readable(found: choice.Choice) -> list[DocumentInfo | None]:
    may = np.unpackbits(found.may, count=len(found.table.documents))
    return [info for info, bit in zip(found.table.documents, may, strict=True) if bit]


def test_what_one_may_not_read_is_as_what_there_is_not(index: Index) -> None:
    fill(index)
    pets, rates = (info for info in index.documents() if "leave" not in info.source)
    assert index.reads(pets.document_id, asker("pets"))
    assert not index.reads(rates.document_id, asker("pets"))
    assert not index.reads("0" * 16, asker("pets"))
    index.remove(pets.document_id)
    assert not index.reads(pets.document_id, asker("pets"))


def test_how_rare_a_word_is_tells_nothing_of_what_one_may_not_read(index: Index, tmp_path: Path) -> None:
    put(index, "/pets/dogs.txt", "Dogs may come to the office on Fridays.")
    put(index, "/pets/cats.txt", "Cats may not come to the office.")
    pets, words = asker("pets"), ["dog", "offic", "secret"]
    scores = [hit.keyword for hit in index.search("dogs office secret", 5, "keyword")]
    alone = index.idf(words)
    for published in (False, True):
        for n in range(30):
            put(index, f"/other/{published}{n}.txt", "The secret dogs of the office may come, and may not come, on Fridays.")
        if published:
            index.publish()
        hits = index.search("dogs office secret", 5, "keyword", allowed=pets)
        assert index.idf(words, pets) == pytest.approx(alone)
        assert index.idf(words) != pytest.approx(alone)
        # What is left is the mean length of all texts.
        assert [hit.keyword for hit in hits] == pytest.approx(scores, rel=0.5)


@given(st.sets(st.integers(0, 60)), st.sets(st.integers(0, 60)))
def test_bits_say_which_ids(every: set[int], some: set[int]) -> None:
    ids = np.array(sorted(every), np.int64)
    only = Only.of(ids, np.isin(ids, sorted(some)))
    assert only.ids.tolist() == sorted(every & some)
    assert [i for i in range(-1, 62) if i in only] == sorted(every & some)
    assert len(only) == len(every & some)
    asked = np.arange(-1, 62)
    assert only.holding(asked) == len(every & some)
    assert only.holding(asked[::2]) == len(every & some & set(asked[::2].tolist()))
    assert Only.of(ids).ids.tolist() == ids.tolist()
    assert Only.of(ids).number != Only.of(ids).number
