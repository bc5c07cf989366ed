"""Exact nearest neighbours by number."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from ingest.choice import Only
from ingest.embedder import Vectors
from ingest.vectors import VectorIndex, device, load_faiss

DIMENSION = 32


def unit_vectors(count: int, seed: int = 0) -> Vectors:
    vectors = np.random.default_rng(seed).standard_normal((count, DIMENSION)).astype(np.float32)
    unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def built(vectors: Vectors) -> VectorIndex:
    """Ids 10, 12, 14, …, in two batches."""
    ids = [10 + 2 * n for n in range(len(vectors))]
    half = len(ids) // 2
    return VectorIndex.build(DIMENSION, [(ids[:half], vectors[:half]), (ids[half:], vectors[half:])])


def test_the_nearest_come_first_with_their_cosines() -> None:
    vectors = unit_vectors(200)
    found = built(vectors).search(vectors[7], 5)
    cosines = vectors @ vectors[7]
    assert [i for i, _ in found] == [10 + 2 * int(n) for n in np.argsort(-cosines)[:5]]
    assert found[0][1] == pytest.approx(1.0)
    assert all(before[1] >= after[1] for before, after in pairwise(found))


def test_what_is_passed_over_leaves_room_for_others() -> None:
    vectors = unit_vectors(50)
    index = built(vectors)
    all_five = [i for i, _ in index.search(vectors[0], 5)]
    gone = {*all_five[:2], 999_999}
    assert [i for i, _ in index.search(vectors[0], 3, gone)] == all_five[2:]


def test_fewer_than_asked_for() -> None:
    vectors = unit_vectors(3)
    assert len(built(vectors).search(vectors[0], 100)) == 3
    assert VectorIndex(DIMENSION).search(vectors[0], 5) == []


@pytest.mark.parametrize("count", [0, 1, 100])
def test_what_is_written_batch_by_batch_is_what_faiss_would_write(tmp_path: Path, count: int) -> None:
    vectors = unit_vectors(count)
    ids = [10 + 2 * n for n in range(count)]
    batches = [(ids[:30], vectors[:30]), (ids[30:], vectors[30:])] if count else []
    written, settings = VectorIndex.write(tmp_path / "written", DIMENSION, batches, count=count, spool=tmp_path / "spool")
    VectorIndex.build(DIMENSION, batches).save(tmp_path / "saved")
    assert (written, settings) == (count, {})
    assert (tmp_path / "written").read_bytes() == (tmp_path / "saved").read_bytes()


def test_a_faiss_that_reads_its_files_otherwise_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faiss = load_faiss()
    monkeypatch.setattr(faiss, "read_index", lambda *_: faiss.IndexIDMap(faiss.IndexFlatIP(DIMENSION)))
    with pytest.raises(RuntimeError, match="does not read what was written"):
        VectorIndex.write(tmp_path / "v", DIMENSION, [([3], unit_vectors(1))], count=1, spool=tmp_path / "spool")


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    vectors = unit_vectors(100)
    index = built(vectors)
    index.save(tmp_path / "vectors")
    loaded = VectorIndex.load(tmp_path / "vectors")
    assert len(loaded) == 100
    assert loaded.search(vectors[5], 10) == index.search(vectors[5], 10)


def test_the_same_vectors_give_the_same_file(tmp_path: Path) -> None:
    for name in "ab":
        built(unit_vectors(100)).save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_an_empty_index_is_saved_and_loaded(tmp_path: Path) -> None:
    VectorIndex(DIMENSION).save(tmp_path / "vectors")
    assert len(VectorIndex.load(tmp_path / "vectors")) == 0


@pytest.mark.parametrize("content", [b"", b"not an index", b"IxM2" + bytes(100)], ids=["empty", "other", "cut"])
def test_what_is_no_index_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "vectors").write_bytes(content)
    with pytest.raises(RuntimeError):
        VectorIndex.load(tmp_path / "vectors")


def test_an_index_without_ids_is_refused(tmp_path: Path) -> None:
    faiss = load_faiss()
    faiss.write_index(faiss.IndexFlatIP(DIMENSION), str(tmp_path / "vectors"))
    with pytest.raises(RuntimeError, match="not an index with ids"):
        VectorIndex.load(tmp_path / "vectors")


def test_a_search_among_few_is_as_one_of_those_alone() -> None:
    vectors = unit_vectors(500)
    index = built(vectors)
    for size in (0, 1, 37, 500):
        only = np.sort(np.random.default_rng(size).choice(index._ids, size, replace=False))
        chosen = np.isin(index._ids, only)
        alone = VectorIndex.build(DIMENSION, [(only.tolist(), vectors[chosen])])
        for query in unit_vectors(5, seed=1):
            gone = {i for i, _ in alone.search(query, 3)}
            for without in (set[int](), gone):
                expected, found = alone.search(query, 10, without), index.search(query, 10, without, Only.of(only))
                assert [i for i, _ in found] == [i for i, _ in expected]
                assert [score for _, score in found] == pytest.approx([score for _, score in expected], abs=1e-6)


def gpus() -> int:
    faiss = load_faiss()
    return int(faiss.get_num_gpus()) if hasattr(faiss, "get_num_gpus") else 0


def test_the_device_is_what_this_faiss_can_use() -> None:
    assert device() == ("cuda" if gpus() else "cpu")


@pytest.mark.gpu
@pytest.mark.skipif("not gpus()", reason="FAISS sees no GPU here")
def test_the_gpu_answers_as_the_cpu_does(tmp_path: Path) -> None:
    vectors = unit_vectors(5_000)
    cpu = built(vectors)
    gpu = cpu.to_device(at_least=0)
    assert gpu is not cpu
    gone = {i for i, _ in cpu.search(vectors[1], 3_000)[::2]}  # more than a GPU gives at once
    for query in unit_vectors(20, seed=1):
        some = Only.of(np.sort(cpu._ids[::7]))
        among = gpu.search(query, 10, gone, some)
        assert [i for i, _ in among] == [i for i, _ in cpu.search(query, 10, gone, some)]
        for k, without in ((10, set()), (10, gone)):
            expected, found = cpu.search(query, k, without), gpu.search(query, k, without)
            assert len({i for i, _ in found} ^ {i for i, _ in expected}) <= 2  # float16 may change the last place
            assert [score for _, score in found] == pytest.approx([score for _, score in expected], abs=2e-3)
    gpu.save(tmp_path / "gpu")
    cpu.save(tmp_path / "cpu")
    assert (tmp_path / "gpu").read_bytes() == (tmp_path / "cpu").read_bytes()
