"""Which language a text is written in; found without any network, by a model that a package carries."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import cache
from tempfile import gettempdir
from typing import Any

_log = logging.getLogger(__name__)

_READ = 400  # characters from each of three places: more make it no surer, and cost what all the rest together does
_PLACES = 3
_FEWEST = 12  # letters; a shorter text is called nothing
_DENSE = 0x2E80  # from here on a letter says as much as three others: Chinese, Japanese, Korean
_LEAST = 0.2  # probability below which a text is called nothing (benchmarks/results/curation.json)


def find_language(text: str) -> str:
    """ISO 639-1 code of the text's main language, `zxx` for what is in none, empty where it can't be told."""
    sample = " ".join(_samples(text))
    if sum(3 if ord(letter) >= _DENSE else 1 for letter in sample if letter.isalpha()) < _FEWEST:
        return ""
    identifier = _identifier()
    if identifier is None:
        return ""
    language, probability = identifier.classify(sample.encode("utf-8", "replace"))
    return str(language) if probability >= _LEAST else ""


def _samples(text: str) -> Iterator[str]:
    """The beginning, the middle and the end of a text, or all of a short one."""
    if len(text) <= _READ * _PLACES:
        yield text
        return
    for place in range(_PLACES):
        start = (len(text) - _READ) * place // (_PLACES - 1)
        yield text[start : start + _READ]


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    # 4.6 MB in its package; loading takes some .6 s and 70 MB, once a process, and unpacks it to a temporary file.
    try:
        return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    except OSError as error:  # a document is no worse for it
        _log.warning(
            "The languages of documents can't be told: %s has no room for the model (%s).", gettempdir(), error.strerror
        )
        return None
