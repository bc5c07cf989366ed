"""A sentence to what can be checked in it: figures with their units, dates, names, addresses, words, and what it negates."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from functools import lru_cache

from rag_bot import lexicon
from rag_bot.lexicon import CONNECTIVES, FLIPPED, MONTHS, NEGATORS, ORDINALS, SCALES, SHORT_SCALES, SMALL, UNITS
from rag_bot.words import STOPWORDS

_TOKEN = re.compile(
    r"""(?P<number>\d++(?:[.,:]\d++)*+)
      | (?P<short>(?:[^\W\d_]\.){2,}+)
      | (?P<code>[^\W\d_]+\d\w*+)
      | (?P<word>[^\W\d_]++(?:['’][^\W\d_]++)*+)
      | (?P<mark>[^\s\w]|_)""",
    re.VERBOSE,
)
_GROUPED = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
# Scripts that put no space between words: their words are known by pairs of characters.
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
_BRACKETS = re.compile(r"[\s()\[\]<>{}\"]+")
_CLOSING = "'’”»“«.,;:!?*"
_CURRENCIES = {"€": "EUR", "$": "USD", "£": "pound", "¥": "JPY", "₹": "INR"}
_CONNECTORS = frozenset("- – — to or and until through".split())
_CLAUSE_ENDS = frozenset(", ; : . ! ? ( ) — – and but however although though while whereas because so".split())
_SCOPE = 4  # content words after a "not" that it may deny
_LONGEST = 24  # digits of a figure that is computed with; a longer one is compared as it is written
_RUN = 8  # words of a name that an abbreviation may stand for


@dataclass(frozen=True, slots=True)
class Quantity:
    """A figure: `value` as plain digits, `unit` in one form for all its spellings (`%`, `EUR`, `day`, `ordinal`), or nothing.

    `weak` ones prove a figure ("a year" is one year) but claim none. `at` is how many of the sentence's words stand before.
    """

    value: str
    unit: str
    text: str
    weak: bool = False
    at: int = 0


@dataclass(frozen=True, slots=True)
class Date:
    """A date; 0 stands for what it doesn't say. `either`: day and month may be the other way round (03/07/2024)."""

    year: int
    month: int
    day: int
    text: str
    either: bool = False
    at: int = 0


@dataclass(frozen=True, slots=True)
class Name:
    """A word of a name in lower case. `first`: it opens the sentence, where any word has a capital letter. `run` is the whole
    name's place in the sentence's `runs`."""

    key: str
    text: str
    first: bool
    run: int


@dataclass(frozen=True, slots=True)
class Run:
    """A whole name: where it begins and ends among the sentence's content words, and its initials."""

    start: int
    end: int
    initials: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What a sentence says.

    `line` are the stems of its content words in order; `words` the same, each once; `plain` those that no "not" denies, and
    `negated`, for each "not", those that it denies. `known` is every word as it stands, and its stem. `initials` are what its
    names may be abbreviated to, `capitals` the abbreviations in it.
    """

    line: tuple[str, ...]
    words: frozenset[str]
    plain: frozenset[str]
    known: frozenset[str]
    numbers: tuple[Quantity, ...]
    dates: tuple[Date, ...]
    names: tuple[Name, ...]
    runs: tuple[Run, ...]
    addresses: frozenset[str]
    units: frozenset[str]
    negated: tuple[tuple[str, ...], ...]
    initials: frozenset[str]
    capitals: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    lower: str
    kind: str
    glued: bool  # no space before it


_BEFORE_MONTH = frozenset(
    "in by since until till from of to before after during each every and last next early late mid".split()
)
_NO_NAMES = NEGATORS | CONNECTIVES | ORDINALS.keys()
_LIST_MARK = re.compile(r"\s*(?:[-*•‣▪◦–]|\(?\d{1,3}[.)]|\(?[a-zA-Z][.)])\s+")


def bare(sentence: str) -> str:
    """A sentence without a list marker before it and without marks of emphasis."""
    marker = _LIST_MARK.match(sentence)
    rest = sentence[marker.end() :] if marker else sentence
    return rest.replace("**", "").replace("__", "").replace("`", "").strip()


@lru_cache(maxsize=4096)
def read(text: str) -> Facts:
    """The facts of a sentence, a table row or a heading. Takes time in proportion to its length, whatever it holds."""
    addresses, text = _addresses(text)
    tokens = _tokens(text)
    dates = _dates(tokens)
    used = {place for start, end, _ in dates for place in range(start, end)}
    numbers = _numbers(tokens, used)
    used |= {place for start, end, number in numbers for place in range(start, end) if not number.weak or end - start > 1}
    said = _said(tokens, used)
    names, runs = _names(tokens, used, said.before)
    return Facts(
        line=tuple(said.line),
        words=frozenset(said.line),
        plain=frozenset(said.plain),
        known=frozenset(said.known),
        numbers=tuple(replace(number, at=said.before[start]) for start, _, number in numbers),
        dates=tuple(replace(date, at=said.before[start]) for start, _, date in dates),
        names=names,
        runs=runs,
        addresses=addresses,
        units=frozenset(UNITS[token.lower] for token in tokens if token.lower in UNITS)
        | frozenset(_CURRENCIES[token.text] for token in tokens if token.text in _CURRENCIES)
        | frozenset(token.text for token in tokens if token.text == "%"),
        negated=tuple(said.negated),
        initials=frozenset(_initials(tokens)),
        capitals=frozenset(token.lower.replace(".", "") for token in tokens if len(token.text) > 1 and token.text.isupper()),
    )


# --- tokens


def _tokens(text: str) -> list[_Token]:
    tokens, end = [], -1
    for match in _TOKEN.finditer(text):
        word = match[0]
        lower = word.lower().replace("’", "'") if match.lastgroup == "word" else word.lower()
        kind = match.lastgroup or "mark"
        tokens.append(_Token(word, lower, kind, match.start() == end))
        end = match.end()
    return tokens


def _addresses(text: str) -> tuple[frozenset[str], str]:
    """Web and mail addresses, and the text without them."""
    if "://" not in text and "@" not in text:
        return frozenset(), text
    found, rest = set(), []
    for piece in _BRACKETS.split(text):  # [a.b@example.org](mailto:a.b@example.org)
        if "://" in piece or ("@" in piece[1:-1] and "." in piece.partition("@")[2][:-1]):
            found.add(piece.removeprefix("mailto:").strip(_CLOSING + "/").lower())
        else:
            rest.append(piece)
    return frozenset(found), " ".join(rest)


# --- words


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """A word's stem, roughly: endings of number, tense and manner are taken off, and a final e."""
    for ending in ("'s", "s'"):
        word = word.removesuffix(ending)
    if len(word) > 4 and word.endswith("ies"):
        word = word[:-3] + "y"
    elif len(word) > 4 and word.endswith(("sses", "shes", "ches", "xes")):
        word = word[:-2]
    elif len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for ending in ("ingly", "edly", "ing", "ed", "ly", "ion"):
        left = word.removesuffix(ending)
        if left != word and len(left) >= 3 and any(vowel in left for vowel in "aeiouy"):
            word = left[:-1] if len(left) > 3 and left[-1] == left[-2] and left[-1] not in "lsz" else left
            break
    word = word.removesuffix("e") if len(word) > 3 else word
    return word[:-1] + "i" if len(word) > 3 and word.endswith("y") else word


def _terms(token: _Token) -> list[str]:
    if token.kind == "word" and _UNSPACED.search(token.text):
        return [token.text[at : at + 2] for at in range(max(1, len(token.text) - 1))]
    return [stem(token.lower)]


@dataclass(slots=True)
class _Said:
    """The content words of a sentence in order, all its words, what each negation denies, and how many content words stand
    before each token."""

    line: list[str] = field(default_factory=list)
    plain: set[str] = field(default_factory=set)
    known: set[str] = field(default_factory=set)
    negated: list[tuple[str, ...]] = field(default_factory=list)
    before: list[int] = field(default_factory=list)


def _said(tokens: Sequence[_Token], used: set[int]) -> _Said:
    """`used` are the places of tokens that are figures and dates."""
    said = _Said()
    scope: list[str] | None = None
    for at, token in enumerate(tokens):
        said.before.append(len(said.line))
        word = token.lower.removesuffix("'s")
        if scope is not None and (len(scope) == _SCOPE or word in _CLAUSE_ENDS):
            said.negated.append(tuple(scope))
            scope = None
        if token.kind == "mark":
            continue
        if _negates(tokens, at):
            said.negated += [tuple(scope)] if scope else []
            scope = []
            # "The limit is not 40": what is denied stands before.
            if at + 1 == len(tokens) or at + 1 in used or tokens[at + 1].kind in ("mark", "number"):
                scope = said.line[-1:]
        elif word in FLIPPED:
            if scope is None:
                said.negated.append((FLIPPED[word],))
            else:  # "not forbidden": allowed
                said.plain.add(FLIPPED[word])
            scope = None
            said.line.append(FLIPPED[word])
        elif not (word in STOPWORDS or word in CONNECTIVES or at in used or token.kind in ("number", "short") or len(word) < 2):
            terms = _terms(token)
            said.line += terms
            said.known.update(terms)
            if scope is None:
                said.plain.update(terms)
            else:
                scope.append(terms[0])
        said.known.update((word, stem(word)))
    if scope is not None:
        said.negated.append(tuple(scope))
    said.known.update(said.line)
    return said


def _negates(tokens: Sequence[_Token], at: int) -> bool:
    word = tokens[at].lower
    if not (word in NEGATORS or word.endswith("n't")):
        return False
    after = tokens[at + 1].lower if at + 1 < len(tokens) else ""
    if word == "no" and (after in ("", ",", ".") or (after.startswith(("more", "less", "later", "fewer", "earlier")))):
        return False  # "No, …" answers a question; "no more than" is a limit
    if word == "not" and after in ("only", "just", "until", "least", "more", "less", "later"):
        return False
    return not (word == "no" and after == "matter") and not (at and tokens[at - 1].lower == "or")


# --- figures


def _numbers(tokens: Sequence[_Token], used: set[int]) -> list[tuple[int, int, Quantity]]:
    """The figures outside dates, each with where the tokens that it is made of begin and end."""
    found: list[tuple[int, int, Quantity]] = []
    at = 0
    while at < len(tokens):
        token = tokens[at]
        if at in used or token.kind not in ("number", "word"):
            at += 1
            continue
        if token.kind == "number":
            value, end = plain_digits(token.text), at + 1
        elif token.lower in ORDINALS and not (at and tokens[at - 1].kind == "number"):
            opens = at + 1 < len(tokens) and tokens[at + 1].text == ","
            weak = opens or token.lower == "first"
            found.append((at, at + 1, Quantity(str(ORDINALS[token.lower]), "ordinal", token.text, weak)))
            at += 1
            continue
        else:
            value, end = _spelt(tokens, at)
        if not value:
            if token.lower in ("a", "an") and at + 1 < len(tokens) and tokens[at + 1].lower in UNITS:
                found.append((at, at + 1, Quantity("1", UNITS[tokens[at + 1].lower], token.text, True)))
            at += 1
            continue
        quantity, last = _measured(tokens, at, end, value)
        found.append((at, last, quantity))
        at = last
    return _ranged(tokens, found)


def plain_digits(text: str) -> str:
    """A figure in one form: 1,000 and 1000.0 are 1000; 9:05 and versions such as 1.2.3 stay as they are."""
    if len(text) > _LONGEST or ":" in text or text.count(".") > 1:
        return text
    if _GROUPED.fullmatch(text):
        text = text.replace(",", "")
    elif text.count(",") == 1 and "." not in text:
        text = text.replace(",", ".")
    try:
        return _shown(Decimal(text))
    except InvalidOperation:
        return text


def _shown(value: Decimal) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _spelt(tokens: Sequence[_Token], at: int) -> tuple[str, int]:
    """The value of number words that begin here, and where they end; nothing if there are none."""
    total = part = 0
    scaled, end, begun = False, at, False
    while end < len(tokens):
        word = tokens[end].lower
        following = tokens[end + 1].lower if end + 1 < len(tokens) else ""
        if word in SMALL:
            fits = part == 0 or scaled or (part % 100 >= 20 and part % 10 == 0 and 0 < SMALL[word] < 10)
            if begun and not fits:
                break
            part, scaled = part + SMALL[word], False
        elif word in SCALES and (begun or (at and tokens[at - 1].lower in ("a", "an"))):
            if word == "hundred":
                part = max(part, 1) * 100
            else:
                total, part = total + max(part, 1) * SCALES[word], 0
            scaled = True
        elif begun and following in SMALL and ((word == "and" and scaled) or (word == "-" and part % 10 == 0 and part % 100)):
            end += 1
            continue
        else:
            break
        begun, end = True, end + 1
    return (str(total + part), end) if begun else ("", at)


def _measured(tokens: Sequence[_Token], at: int, end: int, value: str) -> tuple[Quantity, int]:
    """The figure at `at` (its digits or words end at `end`) with scale, sign and unit, and where it ends without its unit."""
    before = tokens[at - 1] if at else None
    currency = ""
    if before:
        currency = _CURRENCIES.get(before.text) or lexicon.CODES.get(before.lower, "")
        spaced = at < 2 or not before.glued
        if before.lower == "minus" or (before.text in "-−" and tokens[at].glued and spaced):
            value = f"-{value}"
    glued = tokens[end].lower if end < len(tokens) and tokens[end].glued and tokens[end].kind == "word" else ""
    following = tokens[end].lower if end < len(tokens) else ""
    unit = ""
    if tokens[at].kind == "number" and glued in ("st", "nd", "rd", "th"):
        return Quantity(value, "ordinal", f"{tokens[at].text}{glued}"), end + 1
    if glued == "s" and len(value) == 4:
        return Quantity(value, "decade", f"{tokens[at].text}s"), end + 1
    if following in SCALES or (glued in SHORT_SCALES and (currency or glued != "m")):
        value, end = _times(value, SCALES.get(following) or SHORT_SCALES[glued]), end + 1
    clock = _clock(tokens, end, value)
    if clock:
        return Quantity(clock, "clock", _joined(tokens[at : end + (":" not in tokens[at].text)])), end
    unit, last = (currency, end) if currency else _unit(tokens, end, yearlike=_yearlike(value))
    weak = value == "1" and not unit and tokens[at].kind == "word"
    return Quantity(value, unit, _joined(tokens[at - bool(currency) : last]), weak), end


def _joined(tokens: Sequence[_Token]) -> str:
    """Tokens as they stood in the text, but for the width of what parted them."""
    return "".join(("" if token.glued else " ") + token.text for token in tokens).strip()


def _times(value: str, scale: int) -> str:
    try:
        return _shown(Decimal(value) * scale)
    except InvalidOperation:
        return value


def _clock(tokens: Sequence[_Token], end: int, value: str) -> str:
    """The time of day as hours and minutes, 24 hours; nothing if the figure is none."""
    hours, _, minutes = value.partition(":")
    half = next((t.lower.replace(".", "") for t in tokens[end : end + 1] if t.lower in ("am", "pm", "a.m.", "p.m.")), "")
    if not half and not (len(minutes) == 2 and len(hours) <= 2 and minutes.isdecimal()):
        return ""
    if not hours.isdecimal() or len(hours) > 2 or len(minutes) > 2 or (minutes and not minutes.isdecimal()):
        return ""
    hour = int(hours) % 12 + 12 * (half == "pm") if half else int(hours)
    return f"{hour}:{minutes or '00'}"


def _unit(tokens: Sequence[_Token], end: int, *, yearlike: bool) -> tuple[str, int]:
    """The unit after a figure and where it ends: right after the figure, or (not after a year) with up to two words
    between, as in 26 paid leave days; nothing, and the figure's end, if there is none."""
    for at in range(end, min(len(tokens), end + (1 if yearlike else 4))):
        token = tokens[at]
        following = tokens[at + 1].lower if at + 1 < len(tokens) else ""
        if at == end and (unit := "%" if token.text == "%" else _CURRENCIES.get(token.text, "")):
            return unit, at + 1
        if at == end and token.lower == "per" and following == "cent":
            return "%", at + 2
        if at == end and token.text == "°":
            return {"c": "celsius", "f": "fahrenheit"}.get(following, "degree"), at + 1 + (following in ("c", "f"))
        if token.lower in UNITS and (len(token.text) > 1 or at == end):
            return UNITS[token.lower], at + 1
        if not (at == end and token.text in "-–") and (
            token.kind != "word" or token.lower in STOPWORDS or token.lower == "per"
        ):
            break
    return "", end


def _yearlike(value: str) -> bool:
    return len(value) == 4 and value.isdecimal() and value[0] in "12"


def _ranged(tokens: Sequence[_Token], found: Sequence[tuple[int, int, Quantity]]) -> list[tuple[int, int, Quantity]]:
    """The figures of a range share the unit that stands with one of them: 3 to 5 days, €10-20."""
    quantities = [quantity for *_, quantity in found]
    for i in range(len(found) - 2, -1, -1):
        one, other = quantities[i], quantities[i + 1]
        between = [token.lower for token in tokens[found[i][1] : found[i + 1][0]] if token.text not in _CURRENCIES]
        if len(between) != 1 or between[0] not in _CONNECTORS or _yearlike(one.value) or one.weak or other.weak:
            continue
        if not one.unit and other.unit:
            quantities[i] = Quantity(one.value, other.unit, one.text)
        elif one.unit and not other.unit and not _yearlike(other.value):
            quantities[i + 1] = Quantity(other.value, one.unit, other.text)
    return [(start, end, quantity) for (start, end, _), quantity in zip(found, quantities, strict=True)]


# --- dates


def _dates(tokens: Sequence[_Token]) -> list[tuple[int, int, Date]]:
    """The dates, each with where the tokens that it is made of begin and end."""
    found: list[tuple[int, int, Date]] = []
    used: set[int] = set()
    for at, token in enumerate(tokens):
        if at in used:
            continue
        made = _in_digits(tokens, at) if token.kind == "number" else _with_month(tokens, at, used)
        if made:
            date, start, end = made
            found.append((start, end, date))
            used.update(range(start, end))
    return found


def _in_digits(tokens: Sequence[_Token], at: int) -> tuple[Date, int, int] | None:
    """2024-07-03, 03/07/2024, 3.7.2024."""
    text = tokens[at].text
    parts, end = text.split("."), at + 1
    if len(text) > 10 or (len(parts) != 3 and not text.isdecimal()):
        return None
    if len(parts) != 3:
        some = tokens[at : at + 5]
        if len(some) < 5 or some[1].text not in ("-", "/", "‑") or some[3].text != some[1].text:
            return None
        if not all(token.glued for token in some[1:]) or not (some[2].text.isdecimal() and some[4].text.isdecimal()):
            return None
        parts, end = [text, some[2].text, some[4].text], at + 5
    if any(len(part) > 4 or not part.isdecimal() for part in parts):
        return None
    first, second, third = (int(part) for part in parts)
    shown = "".join(token.text for token in tokens[at:end])
    if len(parts[0]) == 4 and 1 <= second <= 12 and 1 <= third <= 31:
        return Date(first, second, third, shown), at, end
    if len(parts[2]) == 4 and 1 <= first <= 31 and 1 <= second <= 31 and min(first, second) <= 12:
        day, month = (first, second) if second <= 12 else (second, first)
        return Date(third, month, day, shown, first <= 12 and second <= 12 and end > at + 1), at, end
    return None


def _with_month(tokens: Sequence[_Token], at: int, used: set[int]) -> tuple[Date, int, int] | None:
    """3 July 2024, 3rd of July, July 3, 2024, July 2024, July."""
    token = tokens[at]
    month = MONTHS.get(token.lower, 0)
    if not month or not token.text[0].isupper():
        return None
    start, end, day, year = at, at + 1, 0, 0
    back = at - 1
    if back >= 1 and tokens[back].lower == "of":
        back -= 1
    if back >= 1 and tokens[back].lower in ("st", "nd", "rd", "th"):
        back -= 1
    if back >= 0 and back not in used and (day := _day(tokens[back])):
        start = back
    ahead = end + (end < len(tokens) and tokens[end].text == ".")
    if not day and ahead < len(tokens) and (day := _day(tokens[ahead])):
        end = ahead + 1
        if end < len(tokens) and tokens[end].lower in ("st", "nd", "rd", "th"):
            end += 1
    ahead = end
    while ahead < min(len(tokens), end + 2) and tokens[ahead].text in (",", "."):
        ahead += 1
    if ahead < len(tokens) and _yearlike(tokens[ahead].text):
        year, end = int(tokens[ahead].text), ahead + 1
    # "May" and "March" are words as well: alone they are months only after "in", "since" and the like.
    doubtful = token.lower in ("may", "march", "mar", "sun", "jan", "dec", "sep")
    if not day and not year and doubtful and (at == 0 or tokens[at - 1].lower not in _BEFORE_MONTH):
        return None
    return Date(year, month, day, _joined(tokens[start:end])), start, end


def _day(token: _Token) -> int:
    return int(token.text) if token.kind == "number" and len(token.text) <= 2 and 1 <= int(token.text) <= 31 else 0


# --- names


def _names(tokens: Sequence[_Token], used: set[int], before: Sequence[int]) -> tuple[tuple[Name, ...], tuple[Run, ...]]:
    """The words of names (with a capital letter where no sentence begins, or with capitals or digits inside), and the names
    that they make."""
    names: list[Name] = []
    runs: list[Run] = []
    first, last = True, -3
    for at, token in enumerate(tokens):
        if token.kind == "mark":
            first = first or token.text in ":.!?"
            continue
        opens, first = first, False
        if at in used or not _named(token) or (opens and _common(token)):
            continue
        joined = at - last == 1 or (at - last == 2 and tokens[at - 1].text in ("-", "&"))
        begun = runs.pop() if joined else Run(before[at], before[at], "")
        runs.append(Run(begun.start, before[at] + 1, begun.initials + token.lower[0]))
        last = at
        text = token.text.removesuffix("'s").removesuffix("’s")
        names.append(Name(token.lower.removesuffix("'s"), text, opens and token.text[1:].islower(), len(runs) - 1))
    return tuple(names), tuple(runs)


def _named(token: _Token) -> bool:
    if token.kind == "code":
        return True
    word = token.lower.removesuffix("'s")
    if token.kind != "word" or len(word) < 2 or word in STOPWORDS or word in _NO_NAMES:
        return False
    return word not in lexicon.CODES and any(letter.isupper() for letter in token.text)


def _common(token: _Token) -> bool:
    return token.text[1:].islower() and (token.lower in lexicon.OPENINGS or token.lower.endswith(lexicon.COMMON_ENDINGS))


def _initials(tokens: Sequence[_Token]) -> Iterator[str]:
    """What runs of words with a capital letter may be abbreviated to."""
    run = ""
    for token in tokens:
        if token.kind == "word" and token.text[0].isupper():
            run = (run + token.lower[0])[-_RUN:]
            yield from (run[at:] for at in range(len(run) - 1))
        elif token.lower not in ("of", "for", "and", "the", "-"):
            run = ""
