"""Which language a text is written in; found without any network, by a model that a package carries."""

from __future__ import annotations

import logging
import threading
from functools import cache
from itertools import accumulate
from tempfile import gettempdir
from typing import Any

_log = logging.getLogger(__name__)
_loading = threading.Lock()

# Characters from each of three places. More make it no surer, and cost what all the rest together does; where the first are
# sure, the second are not read.
_READ = (150, 400)
_PLACES = 3
_FEWEST = 12  # letters; a shorter text is called nothing
_DENSE = "\u2e80"  # from here on a letter says as much as three others: Chinese, Japanese, Korean
_SURE = 0.99
_LEAST = 0.2  # probability below which a text is called nothing (benchmarks/results/curation.json)


def find_language(text: str) -> str:
    """ISO 639-1 code of the text's main language, `zxx` for what is in none, empty where it can't be told."""
    language, probability = "", 0.0
    for size in _READ:
        sample = _sample(text, size)
        if probability >= _SURE or not _has_letters(sample):
            continue
        identifier = _identifier()
        if identifier is None:
            return ""
        language, probability = identifier.classify(sample.encode("utf-8", "replace"))
    return str(language) if probability >= _LEAST else ""


def _has_letters(sample: str) -> bool:
    letters = (3 if letter >= _DENSE else 1 for letter in sample if letter.isalpha())
    return any(seen >= _FEWEST for seen in accumulate(letters))


def _sample(text: str, size: int) -> str:
    """The beginning, the middle and the end of a text, `size` characters each, or all of a short one."""
    if len(text) <= size * _PLACES:
        return text
    starts = ((len(text) - size) * place // (_PLACES - 1) for place in range(_PLACES))
    return " ".join(text[start : start + size] for start in starts)


def _identifier() -> Any:
    with _loading:  # without it threads that ask at the same time would each load it
        return _loaded()


@cache
def _loaded() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    # 4.6 MB in its package; loading takes some .6 s and 70 MB, once a process, and unpacks it to a temporary file.
    try:
        return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    except OSError as error:  # a document is no worse for it
        _log.warning(
            "The languages of documents can't be told: %s has no room for the model (%s).", gettempdir(), error.strerror
        )
        return None
