"""Short texts in several languages are told apart; what is in none is not called one."""

from __future__ import annotations

import errno
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from py3langid.langid import LanguageIdentifier

from ingest.curate.language import _loaded, find_language

SENTENCES = {
    "en": "Every employee may take the unused days over into the next calendar year.",
    "de": "Der Antrag auf Elternzeit muss spätestens sieben Wochen vorher eingereicht werden.",
    "fr": "Les frais de déplacement sont remboursés sur présentation des justificatifs.",
    "es": "Los empleados deben solicitar sus vacaciones con dos semanas de antelación.",
    "it": "Le spese di viaggio vengono rimborsate entro trenta giorni dalla richiesta.",
    "nl": "De aanvraag voor ouderschapsverlof moet schriftelijk worden ingediend.",
    "pl": "Wniosek o urlop należy złożyć na piśmie u bezpośredniego przełożonego.",
    "ru": "Заявление на отпуск подаётся не позднее чем за две недели до его начала.",
    "ja": "休暇の申請は二週間前までに上司に提出してください。よろしくお願いします。",
    "ar": "يجب تقديم طلب الإجازة قبل أسبوعين على الأقل من تاريخ بدايتها.",
}


@pytest.mark.parametrize(("language", "text"), SENTENCES.items())
def test_a_sentence_is_enough(language: str, text: str) -> None:
    assert find_language(text) == language


def test_the_main_language_of_a_long_text() -> None:
    assert find_language(SENTENCES["de"] * 200 + SENTENCES["en"]) == "de"


@pytest.mark.parametrize("text", ["", "a", "12 400 7", "…" * 5000, "\x00\ud800", "Acme GmbH"])
def test_what_is_too_short_is_called_nothing(text: str) -> None:
    assert find_language(text) == ""


def test_where_the_model_can_not_be_unpacked_nothing_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(LanguageIdentifier, "from_model_file", full)
    _loaded.cache_clear()
    try:
        assert [find_language(text) for text in SENTENCES.values()] == [""] * len(SENTENCES)
        assert caplog.text.count("No space left on device") == 1
    finally:
        _loaded.cache_clear()


def test_threads_that_ask_at_the_same_time_load_the_model_once(monkeypatch: pytest.MonkeyPatch) -> None:
    load, loads = LanguageIdentifier.from_model_file, []

    def slowly(*args: object, **kwargs: object) -> LanguageIdentifier:
        loads.append(1)
        time.sleep(0.1)
        return load(*args, **kwargs)

    monkeypatch.setattr(LanguageIdentifier, "from_model_file", slowly)
    _loaded.cache_clear()
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(find_language, [SENTENCES["de"]] * 4)) == ["de"] * 4
    assert len(loads) == 1


def test_a_text_of_figures_is_told_by_the_words_around_its_middle() -> None:
    words = SENTENCES["de"] * 6
    assert find_language("1 2 3 " * 2000 + "7 " * 100 + words + "7 " * 100 + "4 5 6 " * 2000) == "de"
