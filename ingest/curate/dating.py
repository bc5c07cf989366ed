"""Which version of a document this is, and from when: by its name, its title, and what it says of itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date

_HEAD = 3000  # characters of a document in which it says what version it is

_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan januar jänner janvier enero gennaio janeiro januari",
            "february feb februar février febrero febbraio fevereiro februari",
            "march mar märz mars marzo março maart",
            "april apr avril abril aprile",
            "may mai mayo maggio maio mei",
            "june jun juni juin junio giugno junho",
            "july jul juli juillet julio luglio julho",
            "august aug août agosto augustus",
            "september sep sept septembre septiembre settembre setembro",
            "october oct oktober okt octobre octubre ottobre outubro",
            "november nov novembre noviembre novembro",
            "december dec dezember dez décembre diciembre dicembre dezembro",
        ),
        1,
    )
    for name in names.split()
}
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_DATE = (
    rf"(?:(?P<y>(?:19|20)\d\d)[-/.](?P<m>\d\d?)(?:[-/.](?P<d>\d\d?))?"
    rf"|(?P<d2>\d\d?)(?:st|nd|rd|th|er|º)?\.?\s*(?:of\s|de\s)?(?P<mon>{_MONTH})\.?,?\s*(?:de\s)?(?P<y2>(?:19|20)\d\d)"
    rf"|(?P<mon3>{_MONTH})\.?\s(?:(?P<d3>\d\d?)(?:st|nd|rd|th)?,?\s)?(?P<y3>(?:19|20)\d\d)"
    rf"|(?P<d4>\d\d?)\.(?P<m4>\d\d?)\.(?P<y4>(?:19|20)\d\d))(?!\d)"
)
# What a date has to be called by, anywhere or at the beginning of a line: a text names many others.
_CALLED = (
    r"\b(?:effective(?:\s(?:date|from|as of))?|valid from|in force (?:from|since)|last (?:updated|modified|reviewed|revised)"
    r"|gültig ab|in kraft seit|en vigueur (?:depuis le|le)|mis à jour le|vigente desde(?: el)?)"
)
_BEGUN = (
    r"(?:^|[\n(,;|.]|[-–—]\s)[\s*_#>]*(?:as of|(?:updated|revised|issued|published)(?: on)?|(?:revision |version )?date"
    r"|date of issue|stand|datum|fassung vom|fecha)"
)
_DATED_LINE = re.compile(rf"(?:{_CALLED}|{_BEGUN})\**\s*[:|]?\**[\s|]*{_DATE}", re.IGNORECASE)
_NUMBER = r"(?P<v>\d{1,3}(?:\.\d{1,4}){0,3})(?![\d.]*[\d%])"
_VERSION_LINE = re.compile(
    rf"(?:^|[\n(,;|]|[-–—]\s)[*_#>\s]*(?:version|ver\.|revision|rev\.|issue|edition|fassung)\**\s*(?:no\.?\s*|nr\.?\s*)?[:|]?\**[\s|]*{_NUMBER}"
    rf"|(?:^|[\n(,;|]|[-–—]\s)[*_#>\s]*v\.?\s?(?P<v2>\d{{1,3}}(?:\.\d{{1,4}}){{0,3}})(?=[\s,);]|$)",
    re.IGNORECASE,
)  # fmt: skip
_VERSION_NAME = re.compile(
    r"(?:^|[\s_.\-(])(?:v|ver|version|rev|revision|r)[\s_.\-]?(?P<v>\d{1,3}(?:[._]\d{1,4}){0,3})(?=$|[\s_.\-)])", re.IGNORECASE
)
_DATE_NAME = re.compile(
    rf"(?<!\d)(?P<y>(?:19|20)\d\d)(?:[-_.]?(?P<m>0[1-9]|1[0-2])(?:[-_.]?(?P<d>0[1-9]|[12]\d|3[01]))?)?(?!\d)"
    rf"|(?P<mon>{_MONTH})[\s_.-]+(?P<y2>(?:19|20)\d\d)(?!\d)",
    re.IGNORECASE,
)
_COPY = re.compile(r"\(\d{1,2}\)|\b(?:copy|copy of|kopie|final|draft|entwurf|latest|old|new|neu|alt)\b", re.IGNORECASE)
_FOLDER = re.compile(r"(?:v\d{1,3}(?:\.\d{1,4}){0,3}|(?:19|20)\d\d(?:[-_]\d\d){0,2})\Z", re.IGNORECASE)
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,5}\Z")
_EDGES = re.compile(r"[\W_]+")
_FEWEST = 3  # letters of a name that says something


def find_version(source: str, title: str, text: str) -> tuple[str, str]:
    """The version and the date of a document, each empty if it says none: its file's name first, then its title, then what
    its beginning says of itself."""
    head = text[:_HEAD]
    names = [_stem(source), title[:300], _folder(source)]
    version = next((_dotted(match.group("v")) for name in names if (match := _VERSION_NAME.search(name))), "")
    if not version and (match := _VERSION_LINE.search(head)):
        version = match.group("v") or match.group("v2")
    dated = next((found for match in _DATED_LINE.finditer(head) if (found := _iso(match.groupdict()))), "")
    dated = dated or next(
        (found for name in names for match in _DATE_NAME.finditer(name) if (found := _iso(match.groupdict()))), ""
    )
    return version, dated


def family_keys(source: str, title: str) -> tuple[str, str]:
    """What versions of a document have in common: its file's name and its title, without versions and dates."""
    return _family(_stem(source)), _family(title[:300])


def _dotted(version: str) -> str:
    return version.replace("_", ".")


def _stem(source: str) -> str:
    name = re.split(r"[/\\:]", source)[-1]
    return _SUFFIX.sub("", name)


def _folder(source: str) -> str:
    parts = re.split(r"[/\\]", source)
    return parts[-2] if len(parts) > 1 and _FOLDER.match(parts[-2]) else ""


def _family(name: str) -> str:
    for pattern in (_VERSION_NAME, _DATE_NAME, _COPY):
        name = pattern.sub(" ", name)
    name = re.sub(r"\b(?:version|revision|edition|of|from|as)\s*$", " ", name.strip(), flags=re.IGNORECASE)
    key = " ".join(_EDGES.sub(" ", name.casefold()).split())
    return key if sum(map(str.isalpha, key)) >= _FEWEST else ""


def _iso(groups: Mapping[str, str | None]) -> str:
    """The date in a match's groups as ISO 8601, to the precision it has; empty if there is no such day."""

    def first(*names: str) -> str | None:
        return next((value for name in names if (value := groups.get(name))), None)

    year, day = first("y", "y2", "y3", "y4"), first("d", "d2", "d3", "d4")
    name = first("mon", "mon3")
    month = _MONTHS[name.casefold()] if name else int(first("m", "m4") or 0)
    if not year:
        return ""
    if not month:
        return year
    try:
        found = date(int(year), month, int(day or 1)).isoformat()
    except ValueError:
        return ""
    return found if day else found[:7]
