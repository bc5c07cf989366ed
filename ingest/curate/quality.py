"""How good a document's text is: a score in 0..1 and what lowered it.

The score is the product of five parts, each 1 where all is well. The first three follow the filters for training texts of
Gopher (J. Rae et al. 2021, arXiv:2112.11446, table A1) and C4 (C. Raffel et al. 2020, arXiv:1910.10683, section 2.2), taken as
grades instead of as limits: where a limit there throws a text away, the part here has fallen to one half.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from ingest.inspect import MASK

_LONGEST = 200_000  # characters that are looked at: the beginning of a huge text tells enough
_WORDS = 0.2  # Gopher: at most that share of the words has no letter in it
_LINES = 0.3  # Gopher: at most that share of the lines stood there before
_BRACES = 0.1  # C4 throws a page away for one `{`; here, for that share of lines with one
_WRONG = 0.01  # share of characters that are mojibake at which the part is one half
_BROKEN = 0.2  # share of words broken by OCR at which the part is one half
_FEWEST = 5  # words or lines below which a share says nothing

_WORD = re.compile(r"\S+")
_LETTER = re.compile(rf"[^\W\d_]|{MASK}")
# UTF-8 read as Windows-1252 or Latin-1 (`Ã©`, `â€™`), what can't be decoded, and what fonts put in the private area.
_MOJIBAKE = re.compile(
    r"[ÂÃ][\x80-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]|â€[\x80-\xbf™œ\x9d“”˜¦¢]|ï»¿|ï¿½|[\ufffd\ue000-\uf8ff]|\(cid:\d+\)"
)
# `m0ney`, `l|ne`, `th~`: signs or digits within a word; letters that stand alone are counted apart.
_IN_WORD = re.compile(r"[^\W\d_]+[|~^¬§¦\\<>=*0-9]+[^\W\d_]{2,}")
_ALONE = re.compile(r"(?<!\S)[b-hj-np-xz](?!\S)", re.IGNORECASE)


def quality(text: str, prose: str) -> tuple[float, Mapping[str, float]]:
    """The score, and the parts below 1: `few words` (numbers and signs instead), `repeated lines`, `code`, `broken words`,
    all of the `prose`, which leaves out tables; and `mojibake`, of the whole text."""
    text, prose = text[:_LONGEST], prose[:_LONGEST]
    words = _WORD.findall(prose)
    lines = [line.strip() for line in prose.split("\n") if line.strip()]
    parts = {
        "few words": _worded(words),
        "repeated lines": _fresh(lines),
        "code": _graded(_share(sum("{" in line or "}" in line for line in lines), len(lines)), _BRACES, 0.5),
        "mojibake": _graded(sum(map(len, _MOJIBAKE.findall(text))) / max(1, len(text)), _WRONG),
        "broken words": _graded(_share(len(_IN_WORD.findall(prose)) + _stray(prose, words), len(words)), _BROKEN),
    }
    score = 1.0
    for part in parts.values():
        score *= part
    return round(score, 3), {name: round(part, 3) for name, part in parts.items() if part < 0.995}


def _worded(words: list[str]) -> float:
    """By the share of words without a letter."""
    return _graded(_share(sum(_LETTER.search(word) is None for word in words), len(words)), _WORDS)


def _fresh(lines: list[str]) -> float:
    """By the share of lines that stood there before."""
    again = sum(count - 1 for count in Counter(lines).values())
    return _graded(_share(again, len(lines)), _LINES)


def _stray(text: str, words: list[str]) -> int:
    """Letters that stand alone (`t h i s`), but for one in twenty words, which lists and formulas have."""
    return max(0, len(_ALONE.findall(text)) - len(words) // 20)


def _share(count: int, of: int) -> float:
    return count / of if of >= _FEWEST else 0.0


def _graded(share: float, limit: float, least: float = 0.0) -> float:
    """1 at a share of 0, one half at the limit, down to `least`."""
    return max(least, 1 / (1 + (share / limit) ** 2))
