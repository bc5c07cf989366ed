"""A text to words that may vary and facts that may not: numbers, dates, negations and names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

NUMBER = "#"
"""What stands among the words for a number, a month or a weekday."""

# A number with its separators; a word with its apostrophes; scripts without spaces are taken character by character.
_TOKEN = re.compile(
    r"\d+(?:[.,:/\-–]\d+)*"
    r"|[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]"
    r"|[^\W\d_\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]+(?:['’][^\W\d_]+)*"
)
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_OPENING = " \t\r\"'“”„«»‘’([*_"
_SENTENCE_ENDS = frozenset(".!?:;…|•-–—#>")

# English, German, French, Spanish, Italian, Portuguese, Dutch. Elsewhere digits and names alone are compared.
_NEGATIONS = frozenset(
    "not no never none neither nor without except unless "
    "nicht nie niemals ohne weder ausser außer "
    "pas jamais sans aucun aucune non sauf "
    "nunca jamás sin ningún ninguna excepto salvo "
    "mai senza nessun nessuna "
    "não sem nenhum nenhuma "
    "niet nooit geen zonder behalve".split()
)
_KEIN = re.compile(r"k(eine?[mnrs]?)\Z")
_COUNTED = frozenset(
    "one two three four five six seven eight nine ten eleven twelve fifteen twenty thirty forty fifty sixty ninety hundred "
    "thousand million billion half twice once daily weekly monthly quarterly yearly annually "
    "must may shall should can could might all any every each only always sometimes at least most "
    "zwei drei vier fünf sechs sieben acht neun zehn elf zwölf zwanzig dreißig hundert tausend halb "
    "täglich wöchentlich monatlich jährlich muss darf soll kann alle jeder nur immer "
    "deux trois quatre cinq sept huit neuf dix onze douze vingt trente cent mille doit peut tous chaque seulement toujours "
    "dos tres cuatro cinco seis siete ocho nueve diez once doce veinte treinta cien mil debe puede todos cada siempre "
    "due tre quattro cinque sei sette otto nove dieci dodici venti trenta deve può tutti ogni sempre "
    "dois três quatro sete oito nove dez doze vinte trinta pode sempre "
    "twee drie vijf zes zeven negen tien twaalf moet mag alle elke alleen altijd "
    "january february march april june july august september october november december "
    "januar februar märz mai juni juli oktober dezember "
    "janvier février mars avril juin juillet août septembre octobre novembre décembre "
    "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre "
    "gennaio febbraio aprile maggio giugno luglio settembre ottobre dicembre "
    "monday tuesday wednesday thursday friday saturday sunday "
    "montag dienstag mittwoch donnerstag freitag samstag sonntag "
    "lundi mardi mercredi jeudi vendredi samedi dimanche lunes martes miércoles jueves viernes sábado domingo".split()
) - {"at", "least", "most"}


@dataclass(frozen=True, slots=True)
class Read:
    """A text's words, with `NUMBER` for what counts; the facts, in their order; the names, each once."""

    words: tuple[str, ...]
    facts: tuple[str, ...]
    names: frozenset[str]


def read(text: str) -> Read:
    """Take a text apart. Case, punctuation and white space make no difference, but that a capital inside a sentence is a
    name's."""
    words: list[str] = []
    facts: list[str] = []
    names: set[str] = set()
    for match in _TOKEN.finditer(text):
        token = match.group()
        word, told, is_name = _known(token) if len(token) <= _LONGEST_KNOWN else _taken(token)
        facts += told
        if word:
            words.append(word)
        if is_name and not _begins(text, match.start()):
            names.add(word)
    return Read(tuple(words), tuple(facts), frozenset(names))


def _taken(token: str) -> tuple[str, tuple[str, ...], bool]:
    """The word that stands for a token (empty: none), the facts that it tells, and whether it is a name where it begins no
    sentence."""
    if token[0].isdigit():
        return NUMBER, (_THOUSANDS.sub("", token),), False
    word = token.casefold().replace("’", "'")
    if word in _NEGATIONS:
        return "", ("not",), False
    base = _base(word)
    facts = ("not",) if base else ()
    word = base or word
    if word in _COUNTED:
        return NUMBER, (*facts, word), False
    return word, facts, token[0].isupper()


_known = lru_cache(maxsize=1 << 14)(_taken)  # texts say the same words over and over
_LONGEST_KNOWN = 40  # characters; of longer tokens, which are no words, so many would take up too much


def joined(words: Sequence[str]) -> str:
    """The words of a sentence as one text, so that sentences that differ only in facts are equal."""
    return " ".join(words)


def _base(word: str) -> str:
    """What a word that holds a negation is without it (`can't`, `kein`); empty if it holds none."""
    if word == "cannot":
        return "can"
    if word.endswith("n't"):
        return {"ca": "can", "wo": "will", "sha": "shall"}.get(word[:-3], word[:-3])
    return match.group(1) if (match := _KEIN.match(word)) else ""


def _begins(text: str, at: int) -> bool:
    """Whether a sentence, a paragraph or a table's cell begins at `at`; a line may end anywhere."""
    before, lines = at - 1, 0
    while before >= 0 and (text[before] in _OPENING or text[before] == "\n"):
        lines += text[before] == "\n"
        before -= 1
    return before < 0 or lines > 1 or text[before] in _SENTENCE_ENDS
