"""A sentence to a question about a figure, date or sum in it, without an LLM: "X have 26 days of Y" asks how many days.

Only sentences whose shape is known become questions; the others are left alone. Made for English.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

_LONGEST = 400  # characters of a sentence that is looked at
_SPELT = "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|forty|fifty|sixty|ninety"
_NUMBER = rf"(?:\d[\d,.]*|{_SPELT})"
_KIND = "working|calendar|full|normal|paid|consecutive|business|more"
_MONTH = "(?:January|February|March|April|May|June|July|August|September|October|November|December)"
# What is asked for, the first that fits at a place.
_TARGET = re.compile(
    rf"""(?P<date>\b\d{{1,2}}\ {_MONTH}(?:\ \d{{4}})?\b | \b{_MONTH}\ \d{{1,2}}(?:,\ \d{{4}})?\b)
      | (?P<time>\b\d{{1,2}}:\d{{2}}\b(?!:))
      | (?P<money>[€$£]\ ?\d[\d,.]*(?<=\d)(?:\ (?:million|billion))? | \b\d[\d,.]*\ (?:euros|dollars|pounds)\b)
      | (?P<percent>\b\d[\d,.]*\ ?(?:%|per\ cent\b|percent\b))
      | (?P<count>\b{_NUMBER})\ (?P<noun>(?:(?:{_KIND})\ )?[a-z]{{2,20}}s['’]?)(?![\w'’])""",
    re.VERBOSE,
)
_AUX = frozenset("is are was were can must may will should could shall might".split())
_VERBS = """get receive pay answer last take earn need keep run begin start end use work send offer include cover give provide
    contain hold make book expire close open require allow grant live weigh join return leave apply cost""".split()
_DO = {"have": "do", "has": "does", "had": "did", "applies": "does", **dict.fromkeys(_VERBS, "do")}
_PAST = frozenset("paid took gave got made kept held began ran sent left".split())  # verbs, where "and" goes on after them
_BASE = {"has": "have", "had": "have", "applies": "apply"}
_PREPOSITIONS = frozenset(
    "for after before within by from until at on in to of over under than least most up about only as".split()
)
_NO_SUBJECT = frozenset(
    "it they this that these those he she there his her its their if when where while after before in on at for from by "
    "during until unless although because since with without under over as to of then and or but both otherwise so such what "
    "which who whose whoever whatever how not no please here also only even".split()
)
_LINKS = frozenset("which that who whom whose if when where because although while unless not never no does do did".split())
_PEOPLE = frozenset("you we people staff employees".split())
# Before what is asked for, these belong to it, and no question can part them: "flights of more than seven hours".
_BOUND = frozenset(
    "more less fewer longer later between above below every each first next last another following same as".split()
)
_CUT = re.compile(r"[,;:()–—]|\s(?:and|or|but|if|when|unless|because|while|which|who|where|although|so)\s", re.IGNORECASE)
_WORD = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class Cloze:
    """A question and what stands in the sentence in its place."""

    question: str
    answer: str


def questions(sentence: str, names: Collection[str]) -> Iterator[Cloze]:
    """The questions that a sentence answers. `names` are the words that keep their capital wherever they stand."""
    sentence = " ".join(sentence.split()).rstrip()
    if len(sentence) > _LONGEST or not sentence.endswith("."):
        return
    sentence = sentence[:-1]
    for match in _TARGET.finditer(sentence):
        question = _asked(sentence, match, names)
        if question and 5 <= len(question.split()) <= 26:
            yield Cloze(question, match[0])


def _asked(sentence: str, match: re.Match[str], names: Collection[str]) -> str | None:
    head = _Head.of(sentence[: match.start()])
    if head is None:
        return None
    before, preposition = _parted(head.rest)
    if _torn(before, preposition, sentence[match.end() :]):
        return None
    after = _ending(sentence[match.end() :])
    attached, after = (after, "") if after.startswith("of ") else ("", after)
    if (match["noun"] or "").endswith(("'", "’")):  # "two weeks' notice"
        attached, _, after = after.partition(" ")
    parts = [*preposition, _wh(match), attached, head.aux, lowered(head.subject, names), head.verb, *before, after]
    text = " ".join(part for part in parts if part)
    return f"{text[0].upper()}{text[1:]}?"


@dataclass(frozen=True, slots=True)
class _Head:
    """A clause up to what is asked for: its subject, the verb that goes before it in a question, the other verb, the rest."""

    subject: str
    aux: str
    verb: str
    rest: list[str]

    @classmethod
    def of(cls, text: str) -> _Head | None:
        words = text.split()
        for at, word in enumerate(words[:9]):
            small = word.lower()
            base = small if small in _DO else small[:-1] if small.endswith("s") and small[:-1] in _DO else ""
            following = words[at + 1].lower() if at + 1 < len(words) else ""
            if not (small in _AUX or (base and _is_verb(small, words[:at], following))):
                torn = base != small and base and following not in _AUX  # a verb whose subject is farther off
                if word[-1] in ",;:()" or small in _LINKS or torn:
                    return None
                continue
            subject, rest = words[:at], words[at + 1 :]
            clauses = any(word.lower() == "and" for word in subject) and any(word.lower() in _PAST for word in subject)
            if (
                clauses
                or not subject
                or subject[0].lower().strip("'’") in _NO_SUBJECT
                or _CUT.search(" ".join(["", *rest, ""]))
            ):
                return None
            if small in _AUX:
                negated = bool(rest) and rest[0] in ("not", "n't")
                return None if negated else cls(" ".join(subject), small, "", rest)
            aux = _DO.get(small) or "does"
            return cls(" ".join(subject), aux, _BASE.get(small, base), rest)
        return None


def _parted(words: list[str]) -> tuple[list[str], list[str]]:
    """What stands before the prepositions that lead to what is asked for ("for up to"), and these."""
    at = len(words)
    while at and words[at - 1].lower() in _PREPOSITIONS:
        at -= 1
    return words[:at], words[at:]


def _is_verb(word: str, before: list[str], following: str) -> bool:
    """Whether a word that may be a noun as well ("leave", "costs") is the verb here, by its ending and its neighbours."""
    if not before or following in _AUX or word in ("have", "has", "had"):
        return bool(before) and following not in _AUX
    noun = before[-1].lower()
    plural = noun in _PEOPLE or (noun.endswith("s") and not noun.endswith(("ss", "'s", "’s")))
    return plural != word.endswith("s") and noun not in _PREPOSITIONS


def _torn(before: list[str], preposition: list[str], after: str) -> bool:
    """Whether what is asked for is a part of something that would be left behind: a range, a comparison."""
    small = [word.lower() for word in preposition]
    if small[:1] == ["of"] or {"than", "as"} & set(small) or (before and before[-1].lower() in _BOUND):
        return True
    return bool(re.match(r"\s*(?:to|and|or|-|–)\s*\d", after)) or (
        "to" in small and "from" in (word.lower() for word in before)
    )


def _ending(text: str) -> str:
    """What follows, up to where another thought begins."""
    cut = _CUT.search(text)
    return (text[: cut.start()] if cut else text).strip()


def _wh(match: re.Match[str]) -> str:
    if match["date"]:
        return "what date"
    if match["time"]:
        return "what time"
    if match["money"]:
        return "how much"
    if match["percent"]:
        return "what percentage"
    return f"how many {match['noun']}"


def lowered(text: str, names: Collection[str]) -> str:
    """A text as it stands in the middle of a sentence: its first letter small, unless that word is a name."""
    first = text.split()[0].strip("'’,:")
    return text if first in names or (not first[1:].islower() and len(first) > 1) else text[0].lower() + text[1:]
