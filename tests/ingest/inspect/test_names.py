"""Names and addresses by Presidio and a spaCy model, where they are installed; a clear word where they aren't."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from importlib.util import find_spec

import pytest

from ingest.errors import DependencyMissing
from ingest.inspect import names
from ingest.inspect.names import KINDS, find_names
from tests.ingest.inspect.support import holds, values


@pytest.fixture
def extra() -> None:
    """Skips where the extra or a model is absent."""
    try:
        find_names("")
    except DependencyMissing as missing:
        pytest.skip(f"needs the extra `names` and a spaCy model: {missing}")


@pytest.mark.usefixtures("extra")
def test_people_places_and_addresses() -> None:
    text = "Jane Miller moved from Berlin to 12 Baker Street in London, and met Peter Schmidt of Kenosha there."
    findings = find_names(text)
    holds(text, findings)
    found = values(text, findings)
    assert ("person", "Jane Miller") in found
    assert ("person", "Peter Schmidt") in found
    assert ("place", "Berlin") in found
    assert ("address", "12 Baker Street") in found
    assert {kind for kind, _ in found} <= set(KINDS)


@pytest.mark.usefixtures("extra")
@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("Hauptstraße 5, 10115 Berlin", "Hauptstraße 5"),
        ("au 10 rue de la Paix à Paris", "10 rue de la Paix"),
        ("Via Roma 12, Torino", "Via Roma 12"),
        ("Write to PO Box 123.", "PO Box 123"),
        ("She lives at 6750 Long Lane Road, Apt. 864.", "6750 Long Lane Road, Apt. 864"),
    ],
)
def test_addresses_are_known_by_how_they_are_written(text: str, address: str) -> None:
    assert ("address", address) in values(text, find_names(text))


@pytest.mark.usefixtures("extra")
def test_a_long_text_is_taken_in_pieces_and_offsets_stay_right() -> None:
    text = "Nothing happens here today. " * 1500 + "Later Jane Miller came."
    assert ("person", "Jane Miller") in values(text, find_names(text))


@pytest.mark.usefixtures("extra")
def test_nothing_is_kept_of_what_was_read() -> None:
    find_names("Jane Miller came.")
    words = names._analyzer().nlp_engine.nlp["en"].vocab.strings
    before = len(words)
    find_names(" ".join(f"Qwz{at}xy came." for at in range(300)))
    assert len(words) == before


@pytest.mark.usefixtures("extra")
@pytest.mark.parametrize("text", ["", " ", "\u200b\u200b", "\x00", "数" * 50, "\ud800", "A" * 25_000])
def test_odd_texts_end_well(text: str) -> None:
    holds(text, find_names(text))


@pytest.mark.parametrize("unit", ["1 ", "1 A ", "1 Aa Bb ", "Aa", "Via A ", "1 rue de ", "P O Box ", "ul. A "])
def test_the_patterns_of_streets_take_time_with_the_length_alone(unit: str) -> None:
    def cost(length: int) -> float:
        began = time.thread_time()
        for pattern in names._STREETS:
            for _ in re.finditer(pattern, unit * (length // len(unit))):
                pass
        return time.thread_time() - began

    assert min(cost(240_000) for _ in range(3)) / max(min(cost(30_000) for _ in range(3)), 1e-4) < 20


def test_pieces_hold_the_whole_text() -> None:
    for text in ("", "a", "word " * 9_000, "a" * 45_000, "line\n" * 9_000):
        pieces = list(names._pieces(text))
        assert "".join(text[start:end] for start, end in pieces) == text
        assert all(0 < end - start <= names._PIECE for start, end in pieces)


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "find_spec", lambda name: None)
    names._analyzer.cache_clear()
    with pytest.raises(DependencyMissing) as error:
        find_names("Jane Miller")
    assert "pip install" in error.value.hint
    names._analyzer.cache_clear()


@pytest.mark.skipif(find_spec("spacy") is None, reason="needs the extra `names`")
def test_without_a_model_nothing_is_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    import spacy.util  # type: ignore[import-not-found,unused-ignore]

    monkeypatch.setattr(spacy.util, "get_installed_models", list)
    names._analyzer.cache_clear()
    with pytest.raises(DependencyMissing) as error:
        find_names("Jane Miller")
    assert "spacy download" in error.value.hint
    names._analyzer.cache_clear()


def test_the_module_itself_imports_nothing_heavy() -> None:
    code = "import sys, ingest.inspect.names; assert not {'presidio_analyzer', 'spacy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
