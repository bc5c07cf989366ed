"""Finds this service's own instructions in a sentence: the canary that stands in every prompt, or words of the prompt."""

from __future__ import annotations

import base64
import codecs
import re
from collections.abc import Sequence

_WORDS = re.compile(r"[^\W_]+")
_SHINGLE = 7  # words in a row: two texts seldom share as many by chance


class Leaks:
    """Says whether a sentence, with what was released before it, gives away the canary or words of the prompts."""

    def __init__(self, prompts: Sequence[str], canary: str) -> None:
        self._shingles = {shingle for prompt in prompts for shingle in _shingles(prompt)}
        self._canaries = _disguises(canary) if canary else ()

    def __call__(self, text: str, before: str, sources: Sequence[str]) -> bool:
        # Split over sentences it is found by the end of what came before.
        seen = f"{before[-400:]} {text}"
        squeezed = _squeezed(seen)
        if any(canary in squeezed for canary in self._canaries):
            return True
        known = {shingle for source in sources for shingle in _shingles(source)}
        return any(shingle in self._shingles and shingle not in known for shingle in _shingles(seen))


def _shingles(text: str) -> list[tuple[str, ...]]:
    words = [word.lower() for word in _WORDS.findall(text)]
    return [tuple(words[at : at + _SHINGLE]) for at in range(len(words) - _SHINGLE + 1)]


def _disguises(canary: str) -> tuple[str, ...]:
    """The canary as it is, backwards, in rot13, base64 and hex, each without what may be put between its characters."""
    data = canary.encode()
    forms = (canary, canary[::-1], codecs.encode(canary, "rot13"), base64.b64encode(data).decode().rstrip("="), data.hex())
    return tuple(_squeezed(form) for form in forms)


def _squeezed(text: str) -> str:
    return "".join(character for character in text.lower() if character.isalnum())
