"""The classifier's features, windows and file; what it makes of texts is in `test_orders.py` and `test_harm.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.embedder import load_embedder
from ingest.inspect.classifier import (
    CATEGORY_SLOTS,
    HEADS,
    MAX_READ,
    SCALES,
    SLOTS,
    WINDOW,
    Classifier,
    Weights,
    classifier,
    features,
    packed,
    windows,
)


def weights(bias: float = 0.0, vector: int = 4) -> Weights:
    """A head that knows one word, "bad", and the first number of a vector."""
    columns = np.zeros(SLOTS, np.float32)
    columns[features("bad")[0]] = 5.0
    return Weights(columns, np.eye(1, vector, dtype=np.float32)[0], bias, 1.0, 0.0, 0.9)


def arrays(**changed: Any) -> dict[str, npt.NDArray[Any]]:
    made = {
        "fingerprint": np.array("abc"),
        "categories": np.array(["one", "two"]),
        "category_columns": np.ones((2, CATEGORY_SLOTS), np.int8),
        "category_scale": np.array(1.0),
    }
    for head in HEADS:
        made |= packed(f"{head}_True", weights()) | packed(f"{head}_False", weights(vector=0))
    return made | changed


@given(st.text(max_size=300))
def test_features_are_columns_of_a_unit_vector(text: str) -> None:
    slots, values = features(text)
    assert len(slots) == len(values) == len(set(slots.tolist()))
    assert all(0 <= slot < SLOTS for slot in slots)
    assert float(np.linalg.norm(values)) == pytest.approx(1.0, abs=1e-4)


def test_features_are_the_same_on_every_machine() -> None:
    """The weights in the file belong to these very columns."""
    slots, values = features("Pump it up!")
    assert (int(slots.sum()), round(float(values.sum()), 3)) == (3712811, 7.2)


def test_case_and_white_space_make_no_difference() -> None:
    assert np.array_equal(features("Ignore  THIS\nnow")[0], features("ignore this now")[0])


@pytest.mark.parametrize("length", [0, 1, WINDOW, WINDOW + 1, 2 * WINDOW, 12_345, MAX_READ])
def test_windows_of_each_size_hold_the_whole_text_and_overlap(length: int) -> None:
    text = "".join(chr(0x4E00 + at % 20_000) for at in range(length))
    pieces = windows(text)
    assert pieces[0] == text[:WINDOW]
    if length <= WINDOW:
        assert pieces == [text]
        return
    for size, step in SCALES:
        starts = range(0, length - size + step, step)
        some, pieces = pieces[: len(starts)], pieces[len(starts) :]
        assert some == [text[start : start + size] for start in starts]
        assert text.endswith(some[-1])
        assert all(len(piece) > size - step for piece in some)
    assert pieces == []


def test_of_a_very_long_text_the_two_ends_are_read() -> None:
    pieces = windows("start " + "x" * 1_000_000 + " end")
    assert len(pieces) == len(windows("x" * (MAX_READ + 1)))
    assert pieces[0].startswith("start") and pieces[-1].endswith("end")


def test_a_file_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    np.savez_compressed(path, **arrays())  # type: ignore[arg-type]
    loaded = Classifier.load(path)
    assert loaded.fits("abc") and not loaded.fits("abcd")
    good, bad = loaded.probability("attack", "fine"), loaded.probability("attack", "bad")
    assert (good.refused, bad.refused) == (False, True)
    assert 0 < good.probability < bad.probability < 1


def test_a_file_with_objects_in_it_is_not_loaded(tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    np.savez(path, **arrays(categories=np.array([{"an": "object"}], dtype=object)))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="pickle"):
        Classifier.load(path)


@pytest.mark.parametrize("missing", ["fingerprint", "attack_True_columns", "harm_False_numbers", "categories"])
def test_a_file_that_lacks_something_is_not_loaded(tmp_path: Path, missing: str) -> None:
    path = tmp_path / "model.npz"
    np.savez(path, **{name: array for name, array in arrays().items() if name != missing})  # type: ignore[arg-type]
    with pytest.raises(KeyError):
        Classifier.load(path)


def test_the_vector_counts_where_it_fits_and_for_the_first_window_only() -> None:
    by = Classifier(arrays())
    toward = np.array([10, 0, 0, 0], np.float32)
    assert not by.probability("harm", "fine").refused
    assert by.probability("harm", "fine", toward).refused
    assert not by.probability("harm", "fine", np.array([10, 0], np.float32)).refused
    assert not by.probability("harm", "fine", -toward).refused
    assert by.probability("harm", "fine " * 160 + "bad " * 60, -toward).refused


def test_one_bad_window_is_enough() -> None:
    by = Classifier(arrays())
    text = "fine " * 1000 + "bad " * 250 + "fine " * 1000
    assert by.probability("attack", text).refused
    assert not by.probability("attack", "fine " * 2250).refused


def test_what_is_shipped_is_small_and_fits_the_default_embedder() -> None:
    path = Path("ingest/inspect/classifier.npz")
    assert path.stat().st_size < 1_000_000
    assert classifier().fits(load_embedder("minilm").fingerprint)
    assert not classifier().fits(load_embedder("hash").fingerprint)
    assert classifier() is classifier()
