"""Vectors on the GPU: the same neighbours as on the CPU, many threads at once, and the CPU where memory is not there."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from ingest.choice import Only
from ingest.embedder import Vectors
from ingest.vectors import VectorIndex
from ingest.vectors import gpu as gpu_module
from ingest.vectors.gpu import MOST_FOUND, OnGpu
from ingest.vectors.library import gpus, load_faiss

pytestmark = [pytest.mark.gpu, pytest.mark.skipif("not gpus()", reason="FAISS sees no GPU here")]

DIMENSION, COUNT = 64, 30_000


def unit_vectors(count: int, seed: int = 0) -> Vectors:
    """Around 100 centres, so that lists and compression have something to hold on to."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(99).standard_normal((100, DIMENSION))
    vectors = (centres[random.integers(0, 100, count)] + 0.7 * random.standard_normal((count, DIMENSION))).astype(np.float32)
    unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


VECTORS, ASKED = unit_vectors(COUNT), unit_vectors(200, seed=1)
IDS = np.arange(COUNT, dtype=np.int64) * 2 + 10


def batches() -> Iterator[tuple[list[int], Vectors]]:
    for at in range(0, COUNT, 7_000):
        yield IDS[at : at + 7_000].tolist(), VECTORS[at : at + 7_000]


@pytest.fixture(scope="module")
def exact() -> VectorIndex:
    return VectorIndex.build(DIMENSION, batches())


@pytest.fixture(scope="module")
def moved(exact: VectorIndex) -> VectorIndex:
    return exact.to_device(at_least=0)


@pytest.fixture(scope="module")
def compressed(tmp_path_factory: pytest.TempPathFactory) -> VectorIndex:
    spool = tmp_path_factory.mktemp("spool") / "spool"
    return VectorIndex.build(DIMENSION, batches(), count=COUNT, spool=spool, exact_up_to=1000)


def ids(found: list[tuple[int, float]]) -> list[int]:
    return [i for i, _ in found]


def recall(found: list[list[int]], expected: list[list[int]]) -> float:
    return float(np.mean([len(set(f) & set(e)) / len(e) for f, e in zip(found, expected, strict=True)]))


def test_free_memory_is_what_cuda_says() -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("torch sees no GPU here")
    assert gpu_module._free_memory() == pytest.approx(torch.cuda.mem_get_info()[0], rel=0.02)


def test_a_small_index_stays_on_the_cpu() -> None:
    small = VectorIndex.build(DIMENSION, [(IDS[:50].tolist(), VECTORS[:50])])
    assert small.to_device() is small and small.device == "cpu"


def test_the_gpu_finds_what_the_cpu_finds(exact: VectorIndex, moved: VectorIndex) -> None:
    assert (moved.device, moved.kind, exact.device) == ("cuda", "flat", "cpu")
    for query in ASKED[:50]:
        expected, found = exact.search(query, 20), moved.search(query, 20)
        # Two that are as near but for float16's fourth digit may change places.
        assert [score for _, score in found] == pytest.approx([score for _, score in expected], abs=2e-3)
        assert len(set(ids(found)) & set(ids(expected))) >= 18
        cosines = dict(zip(IDS.tolist(), (VECTORS @ query).tolist(), strict=True))
        assert all(score == pytest.approx(cosines[i], abs=2e-3) for i, score in found)


def test_what_is_passed_over_is_not_found_and_leaves_room(exact: VectorIndex, moved: VectorIndex) -> None:
    for query in ASKED[:10]:
        gone = set(ids(exact.search(query, 300))[::2])
        found = ids(moved.search(query, 10, gone))
        assert len(found) == 10 and not gone & set(found)
        assert recall([found], [ids(exact.search(query, 10, gone))]) >= 0.9


def test_more_passed_over_than_a_gpu_gives_at_once(exact: VectorIndex, moved: VectorIndex) -> None:
    gone = set(ids(exact.search(ASKED[0], 2 * MOST_FOUND)))
    assert ids(moved.search(ASKED[0], 10, gone)) == ids(exact.search(ASKED[0], 10, gone))


def test_a_search_among_some_finds_only_those(exact: VectorIndex, moved: VectorIndex) -> None:
    for size in (0, 1, 100, COUNT // 2):
        only = np.sort(np.random.default_rng(size).choice(IDS, size, replace=False))
        for query in ASKED[:5]:
            found = ids(moved.search(query, 10, only=Only.of(only)))
            assert found == ids(exact.search(query, 10, only=Only.of(only))) and set(found) <= set(only.tolist())


def held_bytes(rows: Vectors, build: Callable[[list[Vectors]], OnGpu]) -> int:
    """Bytes of the GPU's memory that an index takes, but for its scratch space."""
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("torch sees no GPU here, and measures the memory")
    OnGpu.flat(DIMENSION, [rows[:10]])  # what FAISS takes once
    before = torch.cuda.mem_get_info()[0]
    held = build([rows])
    assert len(held) == len(rows)
    return int(before - torch.cuda.mem_get_info()[0] - gpu_module.SCRATCH)


def test_what_the_gpu_holds_is_two_bytes_a_number() -> None:
    rows = np.repeat(unit_vectors(100_000), 20, axis=0)
    taken = held_bytes(rows, lambda some: OnGpu.flat(DIMENSION, some))
    assert 0.9 <= taken / (len(rows) * DIMENSION * 2) <= 1.9  # float32 would be 2


def test_lists_on_the_gpu_find_what_exact_search_finds(exact: VectorIndex, compressed: VectorIndex) -> None:
    by_lists = compressed.to_device(at_least=0)
    assert (by_lists.device, by_lists.kind) == ("cuda", "ivf")
    expected = [ids(exact.search(query, 10)) for query in ASKED]
    assert recall([ids(by_lists.search(query, 10)) for query in ASKED], expected) >= 0.9


def test_many_threads_are_answered_together(moved: VectorIndex) -> None:
    assert moved._gpu is not None
    calls: list[int] = []
    search_all = moved._gpu.search_all

    def counted(vectors: Vectors, k: int) -> object:
        calls.append(len(vectors))
        return search_all(vectors, k)

    alone = [moved.search(query, 10) for query in ASKED]
    moved._gpu._together._search = counted  # type: ignore[assignment]
    try:
        with ThreadPoolExecutor(32) as pool:
            together = list(pool.map(lambda query: moved.search(query, 10), np.concatenate([ASKED] * 5)))
    finally:
        moved._gpu._together._search = search_all
    assert sum(calls) == 5 * len(ASKED) and max(calls) > 1
    for found, expected in zip(together, alone * 5, strict=True):
        assert [score for _, score in found] == pytest.approx([score for _, score in expected], abs=1e-3)


def test_a_saved_index_is_the_same_from_both(exact: VectorIndex, moved: VectorIndex, tmp_path: Path) -> None:
    exact.save(tmp_path / "cpu")
    moved.save(tmp_path / "gpu")
    assert (tmp_path / "cpu").read_bytes() == (tmp_path / "gpu").read_bytes()


def test_memory_that_is_not_there_is_noticed_and_the_cpu_answers(exact: VectorIndex, caplog: pytest.LogCaptureFixture) -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("torch sees no GPU here, and takes the memory")
    free = torch.cuda.mem_get_info()[0]
    taken = torch.empty(free - 700 * 1024 * 1024, dtype=torch.uint8, device="cuda")
    try:
        with caplog.at_level(logging.WARNING):
            stayed = exact.to_device(at_least=0)
        assert stayed.device == "cpu"
        assert "don't fit the GPU: they are searched on the CPU" in caplog.text and "GB are free" in caplog.text
        assert stayed.search(ASKED[0], 10) == exact.search(ASKED[0], 10)
    finally:
        del taken
        torch.cuda.empty_cache()
    assert exact.to_device(at_least=0).device == "cuda"  # nothing was spoilt by it


def test_a_search_that_fails_on_the_gpu_is_answered_by_the_cpu(exact: VectorIndex, caplog: pytest.LogCaptureFixture) -> None:
    broken = exact.to_device(at_least=0)
    assert broken._gpu is not None

    def fails(vectors: Vectors, k: int) -> object:
        raise RuntimeError("cudaMalloc error out of memory")

    broken._gpu._together._search = fails  # type: ignore[assignment]
    with caplog.at_level(logging.WARNING):
        assert broken.search(ASKED[0], 10) == exact.search(ASKED[0], 10)
    assert "out of memory" in caplog.text and broken.device == "cpu"


def test_faiss_is_the_one_for_gpus() -> None:
    assert load_faiss().get_num_gpus() == gpus() > 0
