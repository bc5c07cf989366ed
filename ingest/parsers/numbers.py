"""Numbers as a spreadsheet shows them: Excel's number formats, for values read from a file."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import lru_cache
from typing import NamedTuple

# The formats that files name by number only (ECMA-376, 18.8.30).
BUILT_IN = {
    0: "General", 1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 9: "0%", 10: "0.00%", 11: "0.00E+00", 12: "# ?/?",
    13: "# ??/??", 14: "yyyy-mm-dd", 15: "d-mmm-yy", 16: "d-mmm", 17: "mmm-yy", 18: "h:mm AM/PM", 19: "h:mm:ss AM/PM",
    20: "h:mm", 21: "h:mm:ss", 22: "yyyy-mm-dd h:mm", 37: "#,##0;(#,##0)", 38: "#,##0;(#,##0)", 39: "#,##0.00;(#,##0.00)",
    40: "#,##0.00;(#,##0.00)", 45: "mm:ss", 46: "[h]:mm:ss", 47: "mm:ss.0", 48: "##0.0E+0", 49: "@",
}  # fmt: skip
_MOST_DAYS = 2_958_465  # 9999-12-31
_DAYS_TO_1904 = 1_462
_EXACT = Context(prec=300)  # digits: a format has at most 255, before and behind the point
_TOKEN = re.compile(
    r'"(?P<quoted>[^"]*)"|\\(?P<escaped>.)|_(?P<space>.)|\*.|\[(?P<bracket>[^\]]*)\]|(?P<general>General)'
    r"|(?P<clock>AM/PM|A/P)|(?P<date>[ymdhs]+)|(?P<exponent>E[+-])|(?P<digits>[0#?][0#?,.]*|\.[0#?]+,*)|(?P<other>.)",
    re.IGNORECASE | re.DOTALL,
)
_CONDITION = re.compile(r"(<=|>=|<>|<|>|=)(-?\d+(?:\.\d+)?)$")
_CURRENCY = re.compile(r"\$([^-]*)")
_MONTHS = "January February March April May June July August September October November December".split()
_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()


class _Piece(NamedTuple):
    kind: str
    text: str


class _Section(NamedTuple):
    """One of the up to four parts of a format; `limit` is the condition under which it holds, where it names one."""

    pieces: tuple[_Piece, ...]
    limit: tuple[str, float] | None

    @property
    def is_date(self) -> bool:
        return any(piece.kind in ("date", "elapsed", "clock") for piece in self.pieces)


def shown(value: float, code: str, *, since_1904: bool = False) -> str:
    """The number as the format `code` has it; '' where that shows nothing."""
    if code == "General":
        return general(value)
    section, signed = _chosen(_sections(code), value)
    if not signed and value < 0:
        value = -value
    if not section.pieces:
        return ""
    if section.is_date:
        return _date(value, section, since_1904)
    if any(piece.kind == "general" for piece in section.pieces):
        return "".join(general(value) if piece.kind == "general" else _literal(piece) for piece in section.pieces).strip()
    return _number(value, section).strip()


def shown_text(text: str, code: str) -> str:
    """Words as the format `code` has them: a fourth section may add to them, or hide them."""
    if "@" not in code and code.count(";") < 3:
        return text
    sections = _sections(code)
    if len(sections) < 4 and not any(piece.kind == "other" and piece.text == "@" for piece in sections[-1].pieces):
        return text
    pieces = sections[min(3, len(sections) - 1)].pieces
    return "".join(text if piece == ("other", "@") else _literal(piece) for piece in pieces).strip()


def general(value: float) -> str:
    """A number without a format."""
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return format(value, ".10g")


@lru_cache(maxsize=1024)
def _sections(code: str) -> tuple[_Section, ...]:
    sections: list[_Section] = []
    pieces: list[_Piece] = []
    limit: tuple[str, float] | None = None
    for match in _TOKEN.finditer(code[:255]):
        kind, text = match.lastgroup or "fill", match[match.lastgroup] if match.lastgroup else ""
        if kind == "other" and text == ";":
            sections.append(_Section(tuple(pieces), limit))
            pieces, limit = [], None
        elif kind == "bracket":
            condition = _CONDITION.match(text)
            currency = _CURRENCY.match(text)
            if condition:
                limit = condition[1], float(condition[2])
            elif currency:
                pieces.append(_Piece("quoted", currency[1]))
            elif re.fullmatch(r"h+|m+|s+", text, re.IGNORECASE):
                pieces.append(_Piece("elapsed", text.lower()))
        else:
            pieces.append(_Piece(kind, text))
    return (*sections, _Section(tuple(pieces), limit))[:4]


def _chosen(sections: tuple[_Section, ...], value: float) -> tuple[_Section, bool]:
    """The section for a value, and whether its sign is to be written."""
    if any(section.limit for section in sections):
        for section in sections:
            if section.limit is None or _holds(value, *section.limit):
                return section, True
        return sections[-1], True
    if value < 0 and len(sections) > 1:
        return sections[1], False
    if value == 0 and len(sections) > 2:
        return sections[2], True
    return sections[0], True


def _holds(value: float, sign: str, limit: float) -> bool:
    return {
        "<": value < limit, "<=": value <= limit, ">": value > limit, ">=": value >= limit, "=": value == limit,
        "<>": value != limit,
    }[sign]  # fmt: skip


def _literal(piece: _Piece) -> str:
    if piece.kind == "space":
        return " "
    if piece.kind in ("quoted", "escaped", "exponent", "clock", "date", "digits"):
        return piece.text
    return "" if piece.kind in ("fill", "elapsed", "general") or piece.text == "@" else piece.text


def _number(value: float, section: _Section) -> str:
    """A number with its digits laid into the placeholders."""
    places = [index for index, piece in enumerate(section.pieces) if piece.kind == "digits"]
    if not places:
        sign = "-" if value < 0 else ""
        return sign + "".join(map(_literal, section.pieces))
    if any(piece.kind == "other" and piece.text == "/" for piece in section.pieces):
        return general(value)  # a fraction: the decimal number says the same
    layout = "".join(piece.text for piece in section.pieces if piece.kind in ("digits", "exponent")).upper()
    mantissa, exponent, _ = layout.partition("E+") if "E+" in layout else layout.partition("E-")
    whole, _, decimals = mantissa.partition(".")
    scale = mantissa[len(mantissa.rstrip(",")) :]
    whole, decimals = (whole, decimals.rstrip(",")) if decimals else (whole.rstrip(","), "")
    percent = sum(piece.kind == "other" and piece.text == "%" for piece in section.pieces)
    exact = Decimal(repr(value)) * Decimal(100) ** percent / Decimal(1000) ** len(scale)
    if exponent:
        digits, _, power = f"{exact:.{len(decimals)}E}".partition("E")
        text = f"{digits}E{power[0]}{power[1:].rjust(len(exponent), '0')}"
    else:
        text = _laid_out(exact, whole.replace(",", ""), decimals, grouped="," in whole)
    parts = []
    for index, piece in enumerate(section.pieces):
        if index == places[0]:
            parts.append(text)
        elif index not in places and piece.kind != "exponent":
            parts.append(_literal(piece))
    return "".join(parts)


def _laid_out(value: Decimal, whole: str, decimals: str, *, grouped: bool) -> str:
    rounded = (
        value.quantize(Decimal(1).scaleb(-len(decimals)), ROUND_HALF_UP, _EXACT) if abs(value) < Decimal(10) ** 20 else value
    )
    digits = f"{rounded.copy_abs():f}"
    units, _, fraction = digits.partition(".")
    units = units.lstrip("0").rjust(whole.count("0"), "0")
    optional = len(decimals) - len(decimals.rstrip("#?"))
    while optional and fraction.endswith("0"):
        fraction, optional = fraction[:-1], optional - 1
    if grouped and units.isdigit():
        units = f"{int(units):,}".rjust(len(units))
    sign = "-" if rounded < 0 else ""
    return f"{sign}{units}.{fraction}" if fraction else f"{sign}{units or ('0' if not decimals else '')}"


def _date(value: float, section: _Section, since_1904: bool) -> str:
    """A day or a time of day; what is out of the calendar stays a number."""
    if not 0 <= value <= _MOST_DAYS - (_DAYS_TO_1904 if since_1904 else 0):
        return general(value)
    # 1900 has a 29th of February in Excel, so days before March of that year are one off.
    start = datetime(1904, 1, 1) if since_1904 else datetime(1899, 12, 31) if value < 60 else datetime(1899, 12, 30)  # noqa: DTZ001
    seconds = round(value * 86_400 * 1000) / 1000
    if not any(piece.kind == "digits" and piece.text.startswith(".") for piece in section.pieces):
        seconds = float(round(seconds))
    moment = start + timedelta(seconds=seconds)
    noon = any(piece.kind == "clock" for piece in section.pieces)
    parts: list[str] = []
    last = ""  # the letter of the date part before: an m after hours or before seconds is minutes
    pieces = section.pieces
    for index, piece in enumerate(pieces):
        text = piece.text.lower()
        if piece.kind == "elapsed":
            whole = {"h": seconds // 3600, "m": seconds // 60, "s": seconds}[text[0]]
            parts.append(str(int(whole)).rjust(len(text), "0"))
            last = text[0]
        elif piece.kind == "digits":
            parts.append(f"{moment.microsecond / 1e6:.{len(text) - 1}f}"[1:] if text[0] == "." else "")
        elif piece.kind == "date":
            following = next((p.text[0].lower() for p in pieces[index + 1 :] if p.kind in ("date", "elapsed")), "")
            minutes = text[0] == "m" and len(text) < 3 and (last == "h" or following == "s")
            parts.append(_field(moment, "M" if minutes else text[0], len(text), noon=noon))
            last = text[0]
        elif piece.kind == "clock":
            word = "PM" if moment.hour >= 12 else "AM"
            parts.append(word if len(text) > 3 else word[0])
        else:
            parts.append(_literal(piece))
    return "".join(parts).strip()


def _field(moment: datetime, letter: str, length: int, *, noon: bool) -> str:
    if letter == "y":
        return f"{moment.year:04}" if length > 2 else f"{moment.year % 100:02}"
    if letter in "md" and length > 2:
        name = _MONTHS[moment.month - 1] if letter == "m" else _DAYS[moment.weekday()]
        return name if length == 4 else name[0] if length == 5 else name[:3]
    hour = (moment.hour % 12 or 12) if noon else moment.hour
    number = {"m": moment.month, "d": moment.day, "h": hour, "M": moment.minute, "s": moment.second}[letter]
    return f"{number:0{min(length, 2)}}"
