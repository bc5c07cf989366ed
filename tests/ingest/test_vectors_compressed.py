"""Compressed vectors find what exact search finds: all of them, among some, without some, saved and loaded."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.choice import Only
from ingest.embedder import Vectors
from ingest.vectors import VectorIndex
from ingest.vectors.compressed import Compressed, lists_for
from ingest.vectors.library import Ids
from ingest.vectors.spool import Spool

DIMENSION, COUNT = 128, 8_000


def unit_vectors(count: int, seed: int) -> tuple[Vectors, Ids]:
    """Around 60 centres, and which of them each is of."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(99).standard_normal((60, DIMENSION))
    owner = random.integers(0, 60, count)
    vectors = (centres[owner] + 0.5 * random.standard_normal((count, DIMENSION))).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), owner


VECTORS, OWNERS = unit_vectors(COUNT, 0)
ASKED, _ = unit_vectors(60, 1)
IDS: Ids = np.arange(COUNT, dtype=np.int64) * 3 + 5


def batches(size: int = 7_000) -> Iterator[tuple[list[int], Vectors]]:
    for at in range(0, COUNT, size):
        yield IDS[at : at + size].tolist(), VECTORS[at : at + size]


@pytest.fixture(scope="module")
def exact() -> VectorIndex:
    return VectorIndex.build(DIMENSION, batches())


@pytest.fixture(scope="module")
def compressed(tmp_path_factory: pytest.TempPathFactory) -> VectorIndex:
    folder = tmp_path_factory.mktemp("spool")
    index = VectorIndex.build(DIMENSION, batches(), count=COUNT, spool=folder / "spool", exact_up_to=1_000)
    assert list(folder.iterdir()) == []  # what was kept meanwhile is gone
    return index


def ids(found: list[tuple[int, float]]) -> list[int]:
    return [i for i, _ in found]


def recall(one: VectorIndex, other: VectorIndex, without: frozenset[int] = frozenset(), only: Ids | None = None) -> float:
    shares, some = [], None if only is None else Only.of(only)
    for query in ASKED:
        found, expected = ids(one.search(query, 10, without, some)), ids(other.search(query, 10, without, some))
        assert len(found) == len(expected)
        shares.append(len(set(found) & set(expected)) / max(1, len(expected)))
    return float(np.mean(shares))


def test_what_was_chosen_is_said_and_holds(exact: VectorIndex, compressed: VectorIndex) -> None:
    assert (compressed.kind, compressed.device, len(compressed)) == ("ivf", "cpu", COUNT)
    chosen = compressed.settings
    assert chosen["nlist"] == lists_for(COUNT) and 1 <= chosen["nprobe"] < chosen["nlist"] and chosen["recall"] >= 0.95
    assert recall(compressed, exact) >= 0.94
    found = compressed.search(ASKED[0], 10)
    cosines = dict(zip(IDS.tolist(), (VECTORS @ ASKED[0]).tolist(), strict=True))
    assert [score for _, score in found] == pytest.approx([cosines[i] for i, _ in found], abs=5e-3)
    assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)


@pytest.mark.parametrize("count", [0, 1, 9, 300, 3_000, COUNT // 4, COUNT // 2, COUNT - 1])
def test_among_some_strewn_everywhere(exact: VectorIndex, compressed: VectorIndex, count: int) -> None:
    only = np.sort(np.random.default_rng(count).choice(IDS, count, replace=False))
    assert set(ids(compressed.search(ASKED[0], 50, only=Only.of(only)))) <= set(only.tolist())
    assert count == 0 or recall(compressed, exact, only=only) >= 0.94


def looks_into_lists(index: VectorIndex, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let it look into lists even where few may be found, and say into how many of them."""
    monkeypatch.setattr("ingest.vectors.compressed._FEW_ROWS", 0)
    assert isinstance(index._rows, Compressed)
    probes: list[int] = []
    search = index._rows._search

    def noted(vectors: Vectors, k: int, probe: int, among: object) -> object:
        probes.append(probe)
        return search(vectors, k, probe, among)  # type: ignore[arg-type]

    monkeypatch.setattr(index._rows, "_search", noted)
    return probes


@pytest.mark.parametrize("share", [0.9, 0.5, 0.2, 0.1])
def test_lists_among_some_strewn_everywhere(
    exact: VectorIndex, compressed: VectorIndex, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    probes = looks_into_lists(compressed, monkeypatch)
    only = IDS[np.random.default_rng(7).random(COUNT) < share]
    assert recall(compressed, exact, only=only) >= 0.94
    assert len(probes) == len(ASKED) and np.mean(probes) > compressed.settings["nprobe"]


@pytest.mark.parametrize("centres", [30, 8])
def test_lists_among_some_that_lie_together(
    exact: VectorIndex, compressed: VectorIndex, centres: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of some centres may be found, most questions are near others: as when a reader asks of what is not for him."""
    probes = looks_into_lists(compressed, monkeypatch)
    only = IDS[centres > OWNERS]
    assert recall(compressed, exact, only=only) >= 0.94
    assert len(probes) == len(ASKED)


def test_without_few_and_without_many(exact: VectorIndex, compressed: VectorIndex) -> None:
    for share in (0.0005, 0.05, 0.5, 0.99):
        gone = frozenset(IDS[np.random.default_rng(3).random(COUNT) < share].tolist())
        assert not gone & set(ids(compressed.search(ASKED[0], 100, gone)))
        assert recall(compressed, exact, gone) >= 0.94
    assert compressed.search(ASKED[0], 10, frozenset(IDS.tolist())) == []


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_what_may_not_be_found_never_is(exact: VectorIndex, compressed: VectorIndex, data: st.DataObject) -> None:
    seed = data.draw(st.integers(0, 2**32 - 1))
    share, k = data.draw(st.floats(0, 1)), data.draw(st.integers(1, 200))
    random = np.random.default_rng(seed)
    only = np.sort(np.concatenate([IDS[random.random(COUNT) < share], [-1, 4, 10**9]]))  # and some that are not there
    gone = frozenset(IDS[random.random(COUNT) < data.draw(st.floats(0, 1))].tolist())
    query = VECTORS[random.integers(COUNT)]
    found, expected = compressed.search(query, k, gone, Only.of(only)), exact.search(query, k, gone, Only.of(only))
    may = set(only.tolist()) & set(IDS.tolist()) - gone
    assert set(ids(found)) <= may
    assert len(found) == len(set(ids(found))) == len(expected) == min(k, len(may))
    if expected:
        assert found[0][1] == pytest.approx(expected[0][1], abs=0.02)


def test_more_than_the_lists_hold_are_all_found(compressed: VectorIndex) -> None:
    assert len(compressed.search(ASKED[0], COUNT)) == COUNT


def test_saved_and_loaded_it_finds_the_same(compressed: VectorIndex, tmp_path: Path) -> None:
    compressed.save(tmp_path / "vectors")
    for chosen in (compressed.settings, None):  # the file knows how many lists to look into, too
        loaded = VectorIndex.load(tmp_path / "vectors", chosen)
        assert (loaded.kind, len(loaded)) == ("ivf", COUNT)
        assert all(loaded.settings[name] == compressed.settings[name] for name in ("nlist", "nprobe", "refined"))
        only = Only.of(IDS[::2])
        for query in ASKED[:20]:
            assert loaded.search(query, 10) == compressed.search(query, 10)
            assert loaded.search(query, 10, only=only) == compressed.search(query, 10, only=only)
    loaded.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "vectors").read_bytes()


def test_a_loaded_index_outlives_its_file(compressed: VectorIndex, tmp_path: Path) -> None:
    compressed.save(tmp_path / "vectors")
    loaded = VectorIndex.load(tmp_path / "vectors", compressed.settings)
    (tmp_path / "vectors").unlink()
    assert loaded.search(ASKED[0], 10) == compressed.search(ASKED[0], 10)


def test_the_same_vectors_give_the_same_index(compressed: VectorIndex, tmp_path: Path) -> None:
    again = VectorIndex.build(DIMENSION, batches(5_000), count=COUNT, spool=tmp_path / "spool", exact_up_to=0)
    assert again.settings == compressed.settings
    for query in ASKED[:20]:
        assert again.search(query, 10) == compressed.search(query, 10)


def test_threads_share_it(compressed: VectorIndex) -> None:
    alone = [compressed.search(query, 10) for query in ASKED]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda query: compressed.search(query, 10), ASKED)) == alone


def test_nothing_is_added_to_a_compressed_index(compressed: VectorIndex) -> None:
    with pytest.raises(TypeError, match="built whole"):
        compressed.add([1], ASKED[:1])


def test_a_choice_is_forgotten_when_an_index_grows(exact: VectorIndex) -> None:
    growing, only = VectorIndex(DIMENSION), Only.of(IDS[:20])
    growing.add(IDS[:10].tolist(), VECTORS[:10])
    assert len(growing.search(ASKED[0], 100, only=only)) == 10
    growing.add(IDS[10:20].tolist(), VECTORS[10:20])
    assert len(growing.search(ASKED[0], 100, only=only)) == 20


def test_the_spool_gives_back_what_it_got(tmp_path: Path) -> None:
    with Spool(tmp_path / "spool", DIMENSION) as spool:
        spool.fill(batches())
        assert len(spool) == COUNT and spool.ids.tolist() == IDS.tolist()
        assert np.allclose(np.concatenate(list(spool.batches(999))), VECTORS, atol=1e-3)
        rows, sample = spool.sample(500, seed=1)
        assert len(set(rows.tolist())) == 500 and (np.diff(rows) > 0).all()
        assert np.allclose(sample, VECTORS[rows], atol=1e-3)
        assert len(spool.sample(10**9, seed=1)[0]) == COUNT
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("dimension", [7, 10])
def test_few_vectors_of_odd_dimensions(dimension: int, tmp_path: Path) -> None:
    """Also many that are the same, and fewer than there is to learn from."""
    vectors = np.random.default_rng(0).standard_normal((600, dimension)).astype(np.float32)
    vectors[100:300] = vectors[0]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    for count in (0, 1, 256, 257, 600):
        some = [(list(range(count)), vectors[:count])] if count else []
        index = VectorIndex.build(dimension, some, count=count, spool=tmp_path / "spool", exact_up_to=0)
        assert index.kind == ("ivf" if count > 256 else "flat")
        assert len(index.search(vectors[5], 10)) == min(10, count)
