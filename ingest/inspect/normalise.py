"""What a text says once its disguises are off: invisible characters, look-alike letters, encodings. For inspection only.

Nothing made here is shown, stored or embedded. Every step takes time in proportion to the text's length.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
import unicodedata
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from urllib.parse import unquote

MAX_DECODED = 20_000
"""How many characters of a text are tried as rot13, reversed, leetspeak or spaced letters: half from each end."""

MAX_DEPTH = 2
"""How many encodings inside one another are undone."""

_MAX_TOKENS = 64  # encoded pieces looked at in one text
_MAX_VIEWS = 12

# Letters of other scripts that look like a Latin one; NFKC already folds full-width, mathematical and circled letters.
_LOOKALIKES = str.maketrans(
    "аеорсухіјѕԁԛԝһӏвкмнтгпАВЕКМНОРСТУХІЈЅԌԚԜҺӀ"  # Cyrillic
    "αβγεηικνορτυχωΑΒΕΖΗΙΚΜΝΟΡΤΥΧ"  # Greek
    "աոսցօզհեւ",  # Armenian
    "aeopcyxijsdqwhlbkmhtrnABEKMHOPCTYXIJSGQWHlaByenikvoptuxwABEZHIKMNOPTYXunugoqhlw",
)
# Latin all the same, but no plain letter even after NFKC.
_FANCY = dict(zip("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘǫʀꜱᴛᴜᴠᴡʏᴢıɡɑøłđ", "abcdefghijklmnopqrstuvwyzigaold", strict=True)) | {
    chr(first + at): chr(ord("a") + at) for first in (0x1F150, 0x1F170, 0x1F1E6) for at in range(26)
}
_MARKS = re.compile("[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]")
_TAGS = re.compile("[\U000e0020-\U000e007e]+")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_SPACE = re.compile(r"[^\S\n]*+\n\s*+|[^\S\n]++")
_WORD = re.compile(r"\w+")
_OTHER_SCRIPT = re.compile("[\u0370-\u058f]")
_LATIN = re.compile("[A-Za-z]")


@dataclass(frozen=True, slots=True)
class View:
    """One reading of a text. `how` is `plain`, or what was undone to get it, such as `base64` or `base64, rot13`."""

    how: str
    text: str


@dataclass(frozen=True, slots=True)
class Mapped:
    """A plain text with, for each of its characters, the place in the original that it came from; and the original's end."""

    text: str
    places: Sequence[int]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The span of the original that `text[start:end]` came from."""
        if start >= end:
            return self.places[start], self.places[start]
        return self.places[start], self.places[end - 1] + 1


def plain(text: str) -> str:
    """The text as a reader would take it.

    Compatibility forms (NFKC), accents and look-alike letters are folded, invisible, tag and bidirectional characters are
    gone, and white space is one blank or one line break.
    """
    if not text.isascii():
        text = _unlike(text.translate(_folds()))
    elif _CONTROL.search(text):
        text = text.translate(_folds())
    return _SPACE.sub(_blank, text).strip()


def plain_mapped(text: str) -> Mapped:
    """As `plain`, with the way back to the original."""
    folds = _folds()
    pieces: list[str] = []
    places = array("l")
    for at, character in enumerate(text):
        piece = folds[ord(character)]
        if piece:
            pieces.append(piece)
            places.extend([at] * len(piece))
    folded = _unlike("".join(pieces))
    kept: list[str] = []
    kept_places = array("l")
    done = 0
    for match in _SPACE.finditer(folded):
        kept += [folded[done : match.start()], _blank(match)]
        kept_places.extend(places[done : match.start() + 1])
        done = match.end()
    kept.append(folded[done:])
    kept_places.extend(places[done:])
    whole = "".join(kept)
    left = len(whole) - len(whole.lstrip())
    right = len(whole.rstrip())
    kept_places.append(len(text))
    return Mapped(whole[left:right], [*kept_places[left:right], len(text)] if right > left else [len(text)])


def views(text: str) -> list[View]:
    """The plain text, then each reading of it that an encoding hides and that makes words, at most twelve in all."""
    found = [View("plain", plain(text))]
    hidden = "".join(chr(ord(c) - 0xE0000) for match in _TAGS.finditer(text[: 50 * MAX_DECODED]) for c in match[0])
    if _reads(hidden):
        found.append(View("tag characters", plain(hidden)))
    if joined := _unspaced(_part(text)):
        found.append(View("spaced letters", plain(joined)))
    seen = {view.text for view in found}
    for depth in range(MAX_DEPTH):
        for view in list(found):
            if view.how.count(",") + (view.how != "plain") < depth:  # its readings are here already
                continue
            for how, decoded in _decodings(view.text):
                if len(found) >= _MAX_VIEWS:
                    return found
                decoded = plain(decoded)
                if decoded not in seen:
                    seen.add(decoded)
                    found.append(View(how if view.how == "plain" else f"{view.how}, {how}", decoded))
    return found


def maybe_encoded(text: str) -> bool:
    """Whether `views` might find more than the plain text; quick, and not sure."""
    return (
        bool(_SIGNS.search(text)) or (len(text) > 24 and not _COMMON.intersection(_ENGLISH.findall(text[:MAX_DECODED].lower())))
    )  # fmt: skip


class _Folds(dict[int, str]):
    """What each character becomes, worked out when it is first met."""

    def __missing__(self, code: int) -> str:
        folded = _folded(chr(code))
        if len(self) < 100_000:  # all of Unicode would be some 100 MB
            self[code] = folded
        return folded


@cache
def _folds() -> _Folds:
    return _Folds()


def _folded(character: str) -> str:
    if character in _FANCY:
        return _FANCY[character]
    if character.isspace():
        return "\n" if character in "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029" else " "
    # Controls, format characters (zero width, bidirectional, tags, soft hyphen), lone surrogates, variation selectors.
    if unicodedata.category(character) in ("Cc", "Cf", "Cs") or "\ufe00" <= character <= "\ufe0f" or character >= "\U000e0000":
        return ""
    parts = unicodedata.normalize("NFKD", character)
    bare = _MARKS.sub("", parts)
    return unicodedata.normalize("NFKC", character if bare == parts else bare)


def _unlike(text: str) -> str:
    """Look-alike letters as Latin ones, in words that mix scripts; in all words if no letter gives the other script away."""
    if not _OTHER_SCRIPT.search(text) or not _LATIN.search(text):
        return text
    genuine = any(ord(c) not in _LOOKALIKES for c in set(_OTHER_SCRIPT.findall(text)))

    def fold(match: re.Match[str]) -> str:
        word = match[0]
        if word.isascii() or not _OTHER_SCRIPT.search(word) or (genuine and not _LATIN.search(word)):
            return word
        return word.translate(_LOOKALIKES)

    return _WORD.sub(fold, text)


def _blank(match: re.Match[str]) -> str:
    return "\n" if "\n" in match[0] else " "


# --- encodings ---------------------------------------------------------------------------------------------------------

_BASE64 = re.compile(r"(?<![A-Za-z0-9+/_=-])[A-Za-z0-9+/_-]{16,}+={0,2}")
_BASE32 = re.compile(r"(?<![A-Z2-7])[A-Z2-7]{24,}+={0,6}")
_HEX = re.compile(r"(?<![0-9A-Fa-f])(?:(?:0x|\\x)?[0-9A-Fa-f]{2}[ ,:]?){8,}+")
_PERCENT = re.compile(r"(?:%[0-9A-Fa-f]{2}[^%\s]{0,40}+){3}")
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z]{2,8});")
_ESCAPE = re.compile(r"\\u([0-9A-Fa-f]{4})")
# Each letter stands alone, so that a run that is broken off is never tried again from its second letter.
_SPACED = re.compile(r"(?<![^\W_])[^\W_](?![^\W_])(?:[\s._*|-]{1,5}[^\W_](?![^\W_])){7,}+")
_BETWEEN = re.compile(r"[\s._*|-]+")
_DIGIT_IN_WORD = re.compile(r"[A-Za-z][013457@$!|][A-Za-z]|[013457@$][A-Za-z]{2}")
_LEET = str.maketrans("013457@$!|", "oieastasil")
_ROT13 = str.maketrans(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", "NOPQRSTUVWXYZABCDEFGHIJKLMnopqrstuvwxyzabcdefghijklm"
)
_ENGLISH = re.compile(r"[a-z]{2,16}")
# The commonest words, and those that orders and requests are made of: what makes a decoding readable.
_COMMON = frozenset(
    """the of and to in is it you that he was for on are with as his they at be this have from or had by but what some we can
    out other were all there when up use your how said an each she which do their time if will way about many then them write
    would like so these her long make thing see him two has look more day could go come did number sound no most people my
    over know than call first who may down been now find any new work part take get place made where after back only me our
    under name very through just form say help low line before turn cause much mean differ move right old too same tell does
    set three want air well also play small end put home read hand port large spell add even land here must big high such
    follow act why ask men change went light kind off need house picture try us again animal point mother world near build
    ignore previous prior instructions instruction above system prompt reveal print show repeat output forget rules rule
    disregard override pretend respond response answer reply secret password key instead without restrictions unrestricted
    never always mode developer user assistant explain give list step bomb kill hack steal hate person someone into should
    not let not every message text word words say exactly password send email address following question them code""".split()
)


_SIGNS = re.compile(
    r"[A-Za-z0-9+/_-]{24}|(?:[0-9A-Fa-f]{2}[ ,:]?){8}|%[0-9A-Fa-f]{2}|&#?\w{2,8};|\\[ux]|[A-Za-z][013457@$!|][A-Za-z]|"
    r"(?<![^\W_])[^\W_](?:[\s._*|-]{1,5}[^\W_](?![^\W_])){5}|[\U000e0020-\U000e007e]"
)


def _decodings(text: str) -> Iterator[tuple[str, str]]:
    for how, pattern, decode in _TOKENS:
        pieces = [piece for piece in map(decode, _some(pattern, text)) if piece]
        if pieces:
            yield how, " ".join(pieces)
    if _PERCENT.search(text):
        yield "percent encoding", unquote(text, errors="replace")
    if _ENTITY.search(text):
        yield "character references", html.unescape(text)
    if _ESCAPE.search(text):
        yield "escapes", _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)
    part = _part(text)
    now = _words(part)
    for how, change in _WHOLE:
        decoded = change(part)
        # As many common words again as the text has now, and at least three: "on" and "no" alone are no sign.
        if decoded and _words(decoded) >= max(3, now + 2):
            yield how, decoded


def _part(text: str) -> str:
    return text if len(text) <= MAX_DECODED else text[: MAX_DECODED // 2] + "\n" + text[-MAX_DECODED // 2 :]


def _some(pattern: re.Pattern[str], text: str) -> Iterator[str]:
    for count, match in enumerate(pattern.finditer(text)):
        if count == _MAX_TOKENS:
            return
        yield match[0]


def _base64(token: str) -> str:
    token = token.rstrip("=").replace("-", "+").replace("_", "/")[:MAX_DECODED]
    return _read(lambda: base64.b64decode(token[: len(token) - (len(token) % 4 == 1)] + "=" * (-len(token) % 4)))


def _base32(token: str) -> str:
    token = token.rstrip("=")[:MAX_DECODED]
    return _read(lambda: base64.b32decode(token + "=" * (-len(token) % 8)))


def _hex(token: str) -> str:
    digits = re.sub(r"0x|\\x|[ ,:]", "", token[: 4 * MAX_DECODED])
    return _read(lambda: bytes.fromhex(digits[: len(digits) // 2 * 2]))


_TOKENS: tuple[tuple[str, re.Pattern[str], Callable[[str], str]], ...] = (
    ("base64", _BASE64, _base64),
    ("hex", _HEX, _hex),
    ("base32", _BASE32, _base32),
)


def _read(decode: Callable[[], bytes]) -> str:
    try:
        decoded = decode().decode()
    except (binascii.Error, ValueError):
        return ""
    return decoded if _reads(decoded) else ""


def _reads(text: str) -> bool:
    """Whether it is words: next to nothing but letters, digits, blanks and the usual marks, and mostly letters."""
    if len(text) < 6:
        return False
    letters = sum(c.isalpha() for c in text)
    usual = letters + sum(c.isspace() or c.isdigit() or c in ".,;:!?'\"()[]{}<>/\\-_=#@&%*+|`$~^" for c in text)
    return letters >= 0.6 * len(text) and usual >= 0.97 * len(text)


def _words(text: str) -> int:
    """How many different common words the text has."""
    return len(_COMMON.intersection(_ENGLISH.findall(text.lower())))


def _unleet(text: str) -> str:
    return text.translate(_LEET) if _DIGIT_IN_WORD.search(text) else ""


def _reversed(text: str) -> str:
    return text[::-1]


def _words_reversed(text: str) -> str:
    return _WORD.sub(lambda match: match[0][::-1], text)


def _unspaced(text: str) -> str:
    """The text with runs such as "i g n o r e" or "i-g-n-o-r-e" as words; empty if there is none."""
    return _SPACED.sub(_joined, text) if _SPACED.search(text) else ""


def _joined(match: re.Match[str]) -> str:
    """One run's words: parted where the gap is wider than the commonest one, else by the words that it can be made of."""
    gaps = [gap.expandtabs(2) for gap in _BETWEEN.findall(match[0])]
    usual = min(len(gap) for gap in gaps)
    wide = [len(gap) > usual for gap in gaps]
    letters = _BETWEEN.split(match[0])
    if any(wide):
        return letters[0] + "".join(f" {c}" if gap else c for c, gap in zip(letters[1:], wide, strict=True))
    return _parted("".join(letters))


def _parted(run: str) -> str:
    """A run of letters parted into common words, so that as few letters as can be are left over."""
    lower = run.lower()
    best = [(0, 0)]  # for each length: letters left over, and where its last piece begins
    for end in range(1, len(run) + 1):
        left, begin = best[end - 1][0] + 1, end - 1
        for start in range(max(0, end - 12), end - 1):
            if best[start][0] < left and lower[start:end] in _COMMON:
                left, begin = best[start][0], start
        best.append((left, begin))
    pieces: list[str] = []
    end = len(run)
    while end:
        begin = best[end][1]
        pieces.append(run[begin:end])
        end = begin
    return " ".join(reversed(pieces))


_WHOLE: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("rot13", lambda text: text.translate(_ROT13)),
    ("leetspeak", _unleet),
    ("reversed", _reversed),
    ("words reversed", _words_reversed),
)
