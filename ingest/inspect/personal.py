"""Finds personal data that can be known by its form, its checksum or a word beside it: e-mail, phone, card, IBAN, tax number.

What carries a checksum counts only if that holds, and bare digits only beside a word that says what they are. Names and
addresses need a model: see `names.py`. Every step takes time in proportion to the text's length.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import Any

from ingest.inspect import Finding
from ingest.inspect.reading import read, settled

KINDS = ("email", "phone", "card", "iban", "national_id", "ip", "passport", "driver_licence", "birth_date")
"""The kinds of findings. `national_id` is a tax, social security or identity number; its note says whose."""

REGIONS = ("GB", "DE", "FR", "IT", "NL", "BE", "CH", "AT", "SE", "IE", "AU", "NZ", "IN", "ZA", "JP")
"""Where a phone number that begins with 0 may come from. North America's are known by their groups, others by a `+` or a
word such as "phone" before them: eight or nine digits in groups are as often something else."""

_FAR = 60  # a word this many characters before a number still says what it is
_AFTER = 20


def find_personal(text: str, kinds: Collection[str] | None = None) -> list[Finding]:
    """Personal data of these kinds, all by default, in the order of the text and none over another.

    Invisible characters inside a value don't hide it. Private, loopback and reserved IP addresses are nobody's, and left out.
    A score of 0.5 says that the kind is likely and the value proves nothing, or that an e-mail address is an office's.
    Raises ValueError for a kind that is not in KINDS.
    """
    if kinds is not None and (unknown := set(kinds) - set(KINDS)):
        raise ValueError(f"There is no kind of personal data {sorted(unknown)[0]!r}; there are: {', '.join(KINDS)}.")
    reading = read(text)
    seen = reading.text
    # All are looked for even if few are wanted: what is a card's number is no phone number.
    found = [Finding("personal", one.kind, one.start, one.end, one.score, one.note) for one in _all(seen)]
    findings = settled(found)
    if reading.at is not None:
        findings = [Finding("personal", one.kind, *reading.span(one.start, one.end), one.score, one.note) for one in findings]
    return findings if kinds is None else [one for one in findings if one.kind in kinds]


@dataclass(frozen=True, slots=True)
class _Value:
    """A value in the text as it is read."""

    kind: str
    start: int
    end: int
    score: float
    note: str


def _all(text: str) -> Iterator[_Value]:
    yield from _emails(text)
    if _DIGIT.search(text) is None:
        return
    runs = list(_runs(text))
    if runs:
        yield from _cards(text, runs)
        yield from _numbers(text, runs)
        yield from _phones(text)
        yield from _documents(text)
    yield from _ibans(text)
    yield from _lettered(text)
    yield from _ips(text)
    yield from _births(text)


_DIGIT = re.compile(r"[0-9]")


# --- e-mail ------------------------------------------------------------------------------------------------------------

# A local part starts where no such character stands before it, so that a long run is tried once.
_LOCAL = r"(?<![\w.+%-])(?!')(?P<local>[\w+%'-]{1,64}+(?:\.[\w+%'-]{1,64}+){0,20}+)"
_LABEL = r"[^\W_](?:[\w-]{0,62})"
_EMAIL = re.compile(
    rf"{_LOCAL}@(?:{_LABEL}\.){{1,8}}(?P<top>[^\W\d_]{{2,24}}|xn--[a-z0-9-]{{2,59}})(?![\w@]|-\w|\.\w)", re.ASCII | re.I
)
_EMAIL_ANY = re.compile(_EMAIL.pattern, re.IGNORECASE)
_AT_WORD = r"\s{0,2}(?:[\[({<]\s?(?:at|@|ät|arroba)\s?[\])}>])\s{0,2}"
_DOT_WORD = r"\s{0,2}(?:[\[({<]\s?(?:dot|\.|punkt|point|punto)\s?[\])}>]|(?<=\s)dot(?=\s))\s{0,2}"
_HIDDEN_EMAIL = re.compile(
    rf"{_LOCAL}(?:{_AT_WORD}(?:{_LABEL}(?:\.|{_DOT_WORD})){{1,5}}|(?:\sat\s|@)(?:{_LABEL}{_DOT_WORD}){{1,5}})"
    r"(?P<top>[^\W\d_]{2,24})(?![\w@]|-\w|\.\w)",
    re.IGNORECASE,
)
_HIDING = re.compile(r"[\[({<] ?(?:at|@|ät|arroba|dot|\.|punkt|point|punto) ?[\])}>]|\bdot\b", re.IGNORECASE)
_TOPS = frozenset(
    "com org net edu gov io info biz eu uk us de fr es it nl be ch at pl se no dk fi pt ie au nz in br jp ca".split()
)
# `icon@2x.png` is a file, `user@module.py` a place in a program.
_FILES = frozenset(
    "png jpg jpeg gif svg webp ico css js ts py rb json yaml yml md txt html htm xml csv log conf sh so zip gz".split()
)
_OFFICES = frozenset(
    "abuse accounts admin billing careers contact customercare customerservice enquiries feedback hello help helpdesk hr info "
    "inquiries jobs legal mail marketing media news newsletter noreply no-reply office orders postmaster press privacy "
    "reception reservations sales security service services support team webmaster".split()
)


def _emails(text: str) -> Iterator[_Value]:
    if "@" in text:
        pattern = _EMAIL if text.isascii() else _EMAIL_ANY
        for match in pattern.finditer(text):
            if match["top"].lower() not in _FILES and not _of_a_link(text, match):
                yield _email(match, "an e-mail address")
    if _HIDING.search(text):
        for match in _HIDDEN_EMAIL.finditer(text):
            spelt = "at" in match[0][len(match["local"]) :].lower()
            if (
                match["top"].lower() in _TOPS
                or (not spelt and match["top"].lower() not in _FILES)
                or "[" in match[0]
                or "(" in match[0]
            ):
                yield _email(match, "an e-mail address written so that programs don't see it")


def _email(match: re.Match[str], note: str) -> _Value:
    if match["local"].lower() in _OFFICES:
        return _Value("email", match.start(), match.end(), 0.5, f"{note}, of an office")
    return _Value("email", match.start(), match.end(), 1.0, note)


def _of_a_link(text: str, match: re.Match[str]) -> bool:
    """Whether what looks like an address is the end of a link's user and password, or a repository's place."""
    if match["local"].lower() == "git" and text[match.end() : match.end() + 1] in (":", "/"):
        return True
    return _LINK_USER.search(text, max(0, match.start() - 100), match.start()) is not None


_LINK_USER = re.compile(r"://[^\s/@]{0,90}\Z")


# --- numbers with a checksum -------------------------------------------------------------------------------------------

# Groups of digits, one or two characters apart: what all longer numbers are made of.
_RUN = re.compile(r"[0-9](?:[ ./()+-]{0,2}[0-9]){5,}+")
_CARD = re.compile(r"(?<![\w-])(?<![0-9][.,])[0-9](?:[ -]?[0-9]){11,18}+(?!\w|[.,][0-9]|-\w| [0-9])")
_CARD_WORD = re.compile(
    r"\b(?:cards?|visa|mastercard|maestro|amex|credit|debit|cc|kreditkarte|karte|carte|tarjeta|carta)\b", re.I
)
_CARD_GROUPS = frozenset([(4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (4, 4, 4, 4, 3), (4, 4, 4), (4, 4, 4, 1)])
# Issuer, first digits, lengths (ISO/IEC 7812; JCB's and Maestro's older ones too).
_ISSUERS = tuple(
    (name, re.compile(first), frozenset(lengths))
    for name, first, lengths in (
        ("Visa", "4", (13, 16, 19)),
        ("Mastercard", "5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720", (16,)),
        ("American Express", "3[47]", (15,)),
        ("Discover", "6011|64[4-9]|65", (16, 19)),
        ("JCB", "35(?:2[89]|[3-8])", (16, 17, 18, 19)),
        ("JCB", "2131|1800", (15,)),
        ("Diners Club", "30[0-5]|3095|36|3[89]", (14, 16)),
        ("UnionPay", "62|81", (16, 17, 18, 19)),
        ("Maestro", "50|5[6-9]|6", (12, 13, 14, 15, 16, 17, 18, 19)),
    )
)
# Their bare digits are met in ordinary numbers too, such as bar codes and moments in time.
_SURE_LENGTHS = {"Visa": 16, "Mastercard": 16, "American Express": 15, "Discover": 16, "JCB": 16, "UnionPay": 16}


def _runs(text: str) -> Iterator[tuple[int, int]]:
    for match in _RUN.finditer(text):
        yield match.span()


def _cards(text: str, runs: Sequence[tuple[int, int]]) -> Iterator[_Value]:
    for start, end in runs:
        if end - start < 12:
            continue
        for match in _CARD.finditer(text, start, min(len(text), end + 2)):
            digits = re.sub("[ -]", "", match[0])
            issuer = next((name for name, first, lengths in _ISSUERS if len(digits) in lengths and first.match(digits)), None)
            told = _near(text, match.start(), match.end(), _CARD_WORD)
            if (issuer is None and not (told and len(digits) > 14)) or len(set(digits)) == 1 or not _valid("luhn", digits):
                continue
            groups = tuple(len(group) for group in re.split("[ -]", match[0]))
            if told or groups in _CARD_GROUPS or (len(groups) == 1 and _SURE_LENGTHS.get(issuer or "") == len(digits)):
                yield _Value(
                    "card", *match.span(), 1.0 if told else 0.9, f"{issuer or 'a card'}'s digits, and the check digit holds"
                )


# Lengths by country: ISO 13616's registry.
_IBAN_LENGTHS = {
    entry[:2]: int(entry[2:])
    for entry in (
        "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 ES24 "
        "FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 "
        "LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 "
        "RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30"
    ).split()
}
_IBAN = re.compile(r"(?<![^\W_])[A-Za-z]{2}[0-9]{2}(?=[ -]?[A-Za-z0-9]{2})")


def _ibans(text: str) -> Iterator[_Value]:
    for match in _IBAN.finditer(text):
        length = _IBAN_LENGTHS.get(match[0][:2].upper())
        if length is None:
            continue
        rest = re.compile(rf"(?:[ -]?[A-Za-z0-9]){{{length - 4}}}(?![^\W_])").match(text, match.end())
        if rest and _valid("iban", match[0] + rest[0]):
            yield _Value("iban", match.start(), rest.end(), 1.0, "an IBAN whose checksum holds")


@dataclass(frozen=True, slots=True)
class _Rule:
    """A country's number. `check` is python-stdnum's module, `word` what must stand near; without one the form is enough."""

    note: str
    form: re.Pattern[str]
    check: str
    word: re.Pattern[str] | None


def _rule(note: str, form: str, check: str = "", word: str = "") -> _Rule:
    pattern = re.compile(rf"(?<![^\W_])(?<![0-9][.,/-])(?:{form})(?![^\W_]|[.,/-][0-9])", re.IGNORECASE)
    return _Rule(note, pattern, check, re.compile(rf"(?<![^\W_])(?:{word})(?![^\W_])", re.IGNORECASE) if word else None)


def _digits(count: int) -> str:
    return rf"[0-9](?:[ .-]?[0-9]){{{count - 1}}}"


_TAX = "|tax (?:id|file|identification)(?: (?:no|number))?|tin"
_RULES = (
    _rule("a US social security number", r"[0-9]{3}-[0-9]{2}-[0-9]{4}", "us.ssn"),
    _rule("a US social security number", r"[0-9]{3} ?[0-9]{2} ?[0-9]{4}", "us.ssn", "ssns?|social security|soc sec"),
    _rule("a US taxpayer's number", r"9[0-9]{2}-?[0-9]{2}-?[0-9]{4}", "us.itin", "itin" + _TAX),
    _rule("a Canadian social insurance number", _digits(9), "ca.sin", "sin|social insurance|nas"),
    _rule(
        "a British National Insurance number",
        r"(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]"
        r"(?P<gap> ?)[0-9]{2}(?P=gap)[0-9]{2}(?P=gap)[0-9]{2}(?P=gap)[A-D]",
    ),
    _rule("a British NHS number", _digits(10), "gb.nhs", r"nhs(?: (?:no|number))?"),
    _rule("an Irish PPS number", r"[0-9]{7}[A-W][A-IW]?", "ie.pps", "ppsn?|personal public service"),
    _rule(
        "a German tax number",
        _digits(11),
        "de.idnr",
        r"steuer-?id(?:entifikations)?(?:-?(?:nr|nummer))?|idnr|identifikationsnummer|steuernummer" + _TAX,
    ),
    _rule(
        "an Austrian social security number",
        r"[0-9]{4} ?[0-9]{6}",
        "at.vnr",
        "svnr|sv-nummer|sozialversicherungsnummer|versicherungsnummer",
    ),
    _rule("a Swiss social security number", r"756[. ]?[0-9]{4}[. ]?[0-9]{4}[. ]?[0-9]{2}", "ch.ssn"),
    _rule(
        "a French social security number",
        r"[12] ?[0-9]{2} ?(?:0[1-9]|1[0-2]|[2-9][0-9]) ?(?:[0-9]{2}|2[AB]) ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}",
        "fr.nir",
    ),
    _rule("a French tax number", _digits(13), "fr.nif", "num[ée]ro fiscal|spi|nif"),
    _rule("a Dutch BSN", _digits(9), "nl.bsn", "bsn(?:-nummer)?|burgerservicenummer|sofi-?nummer"),
    _rule("a Belgian national number", r"[0-9]{2}\.[0-9]{2}\.[0-9]{2}-[0-9]{3}\.[0-9]{2}", "be.nn"),
    _rule(
        "a Belgian national number",
        _digits(11),
        "be.nn",
        "rijksregister(?:nummer)?|registre national|niss|insz|national number|nn",
    ),
    _rule("a Spanish DNI", r"[0-9]{8}-?[A-HJ-NP-TV-Z]", "es.dni"),
    _rule("a Spanish NIE", r"[XYZ]-?[0-9]{7}-?[A-HJ-NP-TV-Z]", "es.nie"),
    _rule("a Portuguese NIF", _digits(9), "pt.nif", "nif|contribuinte"),
    _rule("a Polish PESEL", _digits(11), "pl.pesel", "pesel"),
    _rule("a Czech or Slovak birth number", r"[0-9]{6}/[0-9]{3,4}", "cz.rc"),
    _rule("a Romanian CNP", _digits(13), "ro.cnp", "cnp|cod numeric personal"),
    _rule("a Bulgarian EGN", _digits(10), "bg.egn", "egn|егн"),
    _rule("a Croatian OIB", _digits(11), "hr.oib", "oib"),
    _rule("a Greek AMKA", _digits(11), "gr.amka", "amka|αμκα"),
    _rule("an Estonian personal code", _digits(11), "ee.ik", "isikukood|ik|personal code"),
    _rule("a Lithuanian personal code", _digits(11), "lt.asmens", "asmens kodas|personal code"),
    _rule("a Swedish personal number", r"(?:19|20)[0-9]{6}[-+][0-9]{4}", "se.personnummer"),
    _rule(
        "a Swedish personal number",
        r"[0-9]{6}(?:[0-9]{2})?[-+]?[0-9]{4}",
        "se.personnummer",
        "personnummer|pnr|personal number",
    ),
    _rule("a Norwegian birth number", _digits(11), "no.fodselsnummer", "fødselsnummer|fodselsnummer|personnummer|fnr"),
    _rule("a Danish CPR number", r"[0-9]{6}[- ]?[0-9]{4}", "dk.cpr", r"cpr(?:-?(?:nr|nummer|number))?|personnummer"),
    _rule("a Finnish identity code", r"[0-9]{6}[-+A-FYXWVU][0-9]{3}[0-9A-FHJ-NPR-Y]", "fi.hetu"),
    _rule("a Turkish identity number", _digits(11), "tr.tckimlik", r"t\.?c\.?|kimlik(?: (?:no|numarası))?|tckn"),
    _rule("a Brazilian CPF", r"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}", "br.cpf"),
    _rule("a Brazilian CPF", r"[0-9]{9}-?[0-9]{2}", "br.cpf", "cpf"),
    _rule("a Mexican CURP", r"[A-Z][AEIOUX][A-Z]{2}[0-9]{6}[HMX][A-Z]{5}[0-9A-Z][0-9]", "mx.curp"),
    _rule("an Argentine CUIT", r"[0-9]{2}-?[0-9]{8}-?[0-9]", "ar.cuit", "cui[tl]"),
    _rule("a Chilean RUT", r"[0-9]{1,2}\.[0-9]{3}\.[0-9]{3}-[0-9K]", "cl.rut"),
    _rule("an Australian tax file number", _digits(9), "au.tfn", "tfn" + _TAX),
    _rule("an Indian Aadhaar number", _digits(12), "in_.aadhaar", "aadhaar|aadhar|uidai|uid"),
    _rule("a Chinese identity number", r"[1-9][0-9]{16}[0-9X]", "cn.ric"),
    _rule("a Korean resident number", r"[0-9]{6}-[0-9]{7}", "kr.rrn"),
    _rule("a South African identity number", _digits(13), "za.idnr", "(?:sa )?id(?: (?:no|number))?|identity number"),
    _rule("an Israeli identity number", _digits(9), "il.idnr", "teudat zehut|israeli id|ת\"ז|תעודת זהות"),
)  # fmt: skip


def _numbers(text: str, runs: Sequence[tuple[int, int]]) -> Iterator[_Value]:
    for start, end in runs:
        start, end = max(0, start - 6), min(len(text), end + 10)  # letters before and after belong to some
        for rule in _RULES:
            for match in rule.form.finditer(text, start, end):
                if rule.word is not None and not _near(text, match.start(), match.end(), rule.word):
                    continue
                if not rule.check or _valid(rule.check, match[0]):
                    score = 0.9 if rule.check and rule.word is None else 0.8
                    yield _Value("national_id", *match.span(), score, rule.note)


# Letters and digits in turn: these hold no long run of digits, and their middle is looked for first.
_CODICE = re.compile(r"[0-9LMNP-V]{2}[A-EHLMPRST][0-9LMNP-V]{2}[A-Z][0-9LMNP-V]{3}[A-Z](?![^\W_])", re.IGNORECASE)
_CODICE_NAME = re.compile(r"(?<![^\W_])[A-Z]{6}\Z", re.IGNORECASE)
_PAN = re.compile(r"(?<![^\W_])[A-Z]{3}[ABCFGHLJPT][A-Z][0-9]{4}[A-Z](?![^\W_])")
_PAN_WORD = re.compile(r"\b(?:pan|permanent account)\b", re.IGNORECASE)


def _lettered(text: str) -> Iterator[_Value]:
    for match in _CODICE.finditer(text):
        start = match.start() - 6
        if (
            start >= 0
            and _CODICE_NAME.search(text, start, match.start())
            and _valid("it.codicefiscale", text[start : match.end()])
        ):
            yield _Value("national_id", start, match.end(), 1.0, "an Italian codice fiscale")
    for match in _PAN.finditer(text):
        if _near(text, match.start(), match.end(), _PAN_WORD):
            yield _Value("national_id", *match.span(), 0.8, "an Indian PAN")


def _near(text: str, start: int, end: int, word: re.Pattern[str]) -> bool:
    """Whether a word stands shortly before a value, or right after it."""
    return bool(word.search(text[max(0, start - _FAR) : start]) or word.search(text[end : end + _AFTER]))


@lru_cache(maxsize=128)
def _checker(module: str) -> Callable[[str], bool]:
    check: Callable[[str], bool] = import_module(f"stdnum.{module}").is_valid
    return check


def _valid(module: str, number: str) -> bool:
    return _checker(module)(number.replace(" ", "").upper())


# --- phone -------------------------------------------------------------------------------------------------------------

# No condition on what follows: where it failed, a long run of digits would be tried again from each of them.
_PHONE = re.compile(r"(?<![\w=&?#%@])(?<![0-9][.,:/-])(?<!\w[/-])(?:\+ ?)?\(?[0-9](?:[ ./()-]{0,2}[0-9]){6,}+")
_EXTENSION = re.compile(r"[ ,]{0,2}(?:x|ext)\.? ?[0-9]{1,6}(?!\w)", re.IGNORECASE)
_GOES_ON = re.compile(r"[^\W_]|[:,.%°/-][0-9]")
_PHONE_WORD = re.compile(
    r"(?<![^\W_])(?:(?:tele)?phones?|tel|mobile|cell(?:ular|phone|(?=:| phone| no| number| is))|fax|telefax|"
    r"call(?:ed| me| us)?|dial|ring|text(?: me| us)|sms|whatsapp|hotline|helpline|telefon(?:nummer)?|"
    r"handy(?:nummer)?|mobil(?:nummer)?|rufnummer|durchwahl|t[ée]l[ée]phone|portable|tel[ée]fono|m[óo]vil|telefone|celular|cellulare|telefoon(?:nummer)?|desk|"
    r"reach (?:me|us|him|her|them))(?![^\W_])[^0-9\n]{0,30}\n{0,2}[ \t(]{0,4}\Z",
    re.IGNORECASE,
)
_PHONE_AFTER = re.compile(
    r"[ \-,(]{1,3}(?:office|fax|mobile|cell|home|work|tel|phone|desk)\)?(?=\s*(?:[\n,;.)\\]|\Z))", re.IGNORECASE
)
_NORTH_AMERICA = re.compile(
    r"(?:1[ .-])?(?:\([2-9][0-9]{2}\)[ .-]?|[2-9][0-9]{2}(?P<gap>[ .-]))[2-9][0-9]{2}(?(gap)(?P=gap)|[ .-])[0-9]{4}"
)
_DATE = re.compile(
    r"(?:[0-9]{4}[./-][0-9]{1,2}[./-][0-9]{1,2}|[0-9]{1,2}[./-][0-9]{1,2}[./-](?:19|20)[0-9]{2})(?![0-9])|[0-9]{4}-[0-9]{4}\Z"
)
_YEARS = re.compile(r"(?:19|20)[0-9]{2}(?:[ ./()-]{1,2}(?:19|20)[0-9]{2})+")
_THOUSANDS = re.compile(r"[0-9]{1,3}(?:(?P<gap>[ .])[0-9]{3})(?:(?P=gap)[0-9]{3})*")


def _phones(text: str) -> Iterator[_Value]:
    for match in _PHONE.finditer(text):
        start, end = match.span()
        more = _EXTENSION.match(text, end)
        end = more.end() if more else end
        number = match[0]
        if not 7 <= sum(map(str.isdigit, number)) <= 17 or _GOES_ON.match(text, end):
            continue
        if _DATE.match(number) or _YEARS.fullmatch(number):
            continue
        score = _phone_score(text, start, end, number)
        if score:
            start += number[0] == "(" and ")" not in number
            yield _Value("phone", start, end, score, "a phone number" if score > 0.6 else "said to be a phone number")


def _phone_score(text: str, start: int, end: int, number: str) -> float:
    """How surely a group of digits is a phone number; 0: it is not taken for one."""
    told = _PHONE_WORD.search(text, max(0, start - _FAR), start) is not None or (
        _PHONE_AFTER.match(text, end) is not None and not _THOUSANDS.fullmatch(number)
    )
    plus = "+" + number[2:] if number.startswith("00") else number
    if plus.startswith("+"):
        parsed = _parsed(plus, None)
        if parsed == "valid":
            return 1.0
        return 0.6 if parsed == "possible" and (told or number[0] == "+") else 0.0
    if not told and _checker("isbn")(number):
        return 0.0
    if _NORTH_AMERICA.fullmatch(number) and _parsed(number, "US") == "valid":
        return 1.0 if told else 0.9
    if number.lstrip("(").startswith("0") and re.search("[^0-9]", number[2:]):
        for region in REGIONS:
            if _parsed(number, region) == "valid" and (told or _grouped(number, region)):
                return 1.0 if told else 0.8
    return 0.5 if told and len(re.sub("[^0-9]", "", number)) <= 13 else 0.0


def _parsed(number: str, region: str | None) -> str:
    """`valid`, `possible` or nothing: what a number is in a region, or by its country's code."""
    library = _phonenumbers()
    try:
        parsed = library.parse(number, region)
    except library.NumberParseException:
        return ""
    if library.is_valid_number(parsed):
        return "valid"
    return "possible" if library.is_possible_number(parsed) else ""


def _grouped(number: str, region: str) -> bool:
    """Whether the digits stand in the groups that the region writes."""
    library = _phonenumbers()
    return bool(library.PhoneNumberMatcher(number, region, leniency=library.Leniency.STRICT_GROUPING).has_next())


@lru_cache(maxsize=1)
def _phonenumbers() -> Any:
    return import_module("phonenumbers")


# --- IP ----------------------------------------------------------------------------------------------------------------

_IPV4 = re.compile(r"(?<![\w.-])(?<!\w/)[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![\w-]|\.[0-9]|/[0-9])")
_IPV6 = re.compile(r"(?<![\w:.])[23][0-9a-f]{3}:(?:[0-9a-f]{0,4}:){1,7}[0-9a-f]{0,4}(?![\w:])", re.IGNORECASE)
_IP_WORD = re.compile(
    r"(?<![^\W_])(?:(?:\w{1,20}_)?ip_?(?:s|v4|addr\w{0,6})?|address(?:es)?|adresse|ping)(?![^\W_])", re.IGNORECASE
)
_VERSION_WORD = re.compile(
    r"(?:\bv|\b(?:versions?|ver|releases?|build|firmware|packages?|section|chapter|clause|update|patch|driver)\b)[^\n]{0,20}\Z",
    re.IGNORECASE,
)
_VERSION_AFTER = re.compile(r"[ \t]{1,2}(?:version|release|build|update|patch)\b", re.IGNORECASE)


def _ips(text: str) -> Iterator[_Value]:
    for match in _IPV4.finditer(text):
        start = match.start()
        if _VERSION_WORD.search(text[max(0, start - 40) : start]) or _VERSION_AFTER.match(text, match.end()):
            continue
        if match[0].endswith(".0") or not _public(match[0]):  # what ends with 0 names a network
            continue
        # Four small numbers are more often a version or a section's number than an address.
        if max(int(part) for part in match[0].split(".")) >= 100 or _near(text, start, match.end(), _IP_WORD):
            yield _Value("ip", *match.span(), 0.9, "a public IPv4 address")
    if "::" in text or text.count(":") > 3:
        for match in _IPV6.finditer(text):
            if _public(match[0]):
                yield _Value("ip", *match.span(), 1.0, "a public IPv6 address")


def _public(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_global
    except ValueError:
        return False


# --- beside a word -----------------------------------------------------------------------------------------------------

_SAID = (
    r"(?:[ \t]{0,2}(?:card|no|nr|num(?:ber|mer|éro|ero)|id|n°|#)){0,2}[.:#]?[ \t]{0,3}"
    r"(?:(?:is|was|ist|est|es|è)[ \t]|[:=#][ \t]{0,3})?(?:\n[ \t]{0,4})?"
)
_PASSPORT = re.compile(
    rf"(?<![^\W_])(?:passport|reisepass(?:nummer)?|passeport|pasaporte|passaporto|paspoort(?:nummer)?){_SAID}"
    r"(?P<value>(?=[A-Z0-9]*[0-9]{5})[A-Z0-9]{6,10})(?![^\W_])",
    re.IGNORECASE,
)
_LICENCE = re.compile(
    r"(?<![^\W_])(?:(?:driver['’]?s?['’]?|driving) licen[cs]e|führerschein(?:nummer)?|permis de conduire|"
    rf"(?:licencia|carnet|permiso) de conduc\w{{1,5}}|patente di guida|rijbewijs(?:nummer)?){_SAID}"
    r"(?P<value>(?=[^0-9\s]*(?:[0-9][^0-9\s]*){5})[A-Z0-9](?:-?[A-Z0-9]){4,18})(?![^\W_])",
    re.IGNORECASE,
)
_DOCUMENT_WORDS = ("pass", "licen", "führer", "permis", "carnet", "patente", "rijbe", "paspoort", "pasaporte")

# "He was born on …" is left out: biographies are full of it.
_BIRTH = re.compile(
    r"(?<![^\W_])(?:date of birth|birth ?date|d\.?o\.?b\.?|birth ?day|i was born|born(?: on)?:|geburtsdatum|geburtstag|"
    r"date de naissance|fecha de nacimiento|data di nascita|geboortedatum|data urodzenia|data de nascimento|fødselsdato|"
    r"födelsedatum|生年月日|出生日期)[^0-9\n]{0,24}\n?[ \t]{0,8}\Z",
    re.IGNORECASE,
)
_DAY = re.compile(
    r"(?<![\w./-])(?:[0-9]{1,4}(?P<gap>[./-] ?)[0-9]{1,2}(?P=gap)[0-9]{2,4}"
    r"|(?P<worded>[0-9]{1,2}(?:st|nd|rd|th|er|\.)?,? (?:(?:of|de) )?(?:[^\W\d_]{3,10}\.?,? (?:(?:of|de) )?)?(?:19|20)[0-9]{2})"
    r"|(?:19|20)[0-9]{2}年[0-9]{1,2}月[0-9]{1,2}日)(?!\w)"
)
_MONTH_BEFORE = re.compile(r"[^\W\d_]{3,10}\.? \Z")


def _documents(text: str) -> Iterator[_Value]:
    lowered = text.lower()
    if not any(word in lowered for word in _DOCUMENT_WORDS):
        return
    for match in _PASSPORT.finditer(text):
        yield _Value("passport", *match.span("value"), 0.8, "said to be a passport's number")
    for match in _LICENCE.finditer(text):
        if not _DATE.match(match["value"]):
            yield _Value("driver_licence", *match.span("value"), 0.8, "said to be a driving licence's number")


def _births(text: str) -> Iterator[_Value]:
    for match in _DAY.finditer(text):
        start = match.start()
        if match["worded"] and (month := _MONTH_BEFORE.search(text, max(0, start - 12), start)):
            start = month.start()
        if _BIRTH.search(text, max(0, start - _FAR), start):
            yield _Value("birth_date", start, match.end(), 0.8, "said to be a date of birth")
