"""What a sentence says held against what a source says: which of its facts stand there, and whether one denies the other."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from rag_bot.facts import Date, Facts, Name, Quantity, stem
from rag_bot.lexicon import OPPOSITES

_NEAR, _REACH = 2, 4  # content words on each side of a fact that tell its place, in the claim and in the source
_PLACED = 2  # as many of them make it the same place; all three looked at on one half of benchmarks/gate.py's conversations

_Placed = Sequence[tuple[str, frozenset[str]]]
"""Figures or names of a source, each with the words around it."""


def hits(claim: Facts, source: Facts, above: Facts) -> frozenset[str]:
    """The facts of a claim (as `labels` names them) that stand in a source sentence or in its title, headings and header."""
    found = []
    for i, quantity in enumerate(claim.numbers):
        if quantity.weak or _counted(quantity, source, above) or _counted(quantity, above, source):
            found.append(f"n{i}")
    for i, date in enumerate(claim.dates):
        if _dated(date, source, above):
            found.append(f"d{i}")
    for i, name in enumerate(claim.names):
        if _named(name, claim, source) or _named(name, claim, above):
            found.append(f"w{i}")
    found += [f"a{address}" for address in claim.addresses & (source.addresses | above.addresses)]
    return frozenset(found)


def labels(claim: Facts) -> dict[str, str]:
    """Each fact of a claim by a label, as one would name it; the gravest first."""
    named = {f"n{i}": f"The number “{number.text}”" for i, number in enumerate(claim.numbers)}
    named |= {f"d{i}": f"The date “{date.text}”" for i, date in enumerate(claim.dates)}
    named |= {f"a{address}": f"The address “{address}”" for address in sorted(claim.addresses)}
    return named | {f"w{i}": f"The name “{name.text}”" for i, name in enumerate(claim.names)}


def _counted(quantity: Quantity, source: Facts, above: Facts) -> bool:
    """Whether a figure stands in the source, with its unit, or without one where the unit is named in it or above it."""
    for other in source.numbers:
        if other.value == quantity.value:
            if quantity.unit in ("", other.unit):
                return True
            if not other.unit and quantity.unit in source.units | above.units:
                return True
            if quantity.unit == "clock" and not other.unit:
                return True
        elif {quantity.unit, other.unit} == {"clock", ""} and _hour(quantity) == _hour(other):
            return True
    # Years stand in dates as well.
    return not quantity.unit and any(quantity.value in (str(date.year), str(date.day)) for date in source.dates)


def _hour(quantity: Quantity) -> str:
    return quantity.value.removesuffix(":00")


def _dated(date: Date, source: Facts, above: Facts) -> bool:
    for other in (*source.dates, *above.dates):
        if _same_day(date, other):
            years = {str(d.year) for d in (*source.dates, *above.dates)} | {n.value for n in (*source.numbers, *above.numbers)}
            if not date.year or date.year == other.year or (not other.year and str(date.year) in years):
                return True
    # "from 3 to 5 July": the first day stands apart from its month.
    months = any(date.month == other.month and date.year in (0, other.year) for other in source.dates)
    return bool(date.day) and months and any(number.value == str(date.day) for number in source.numbers)


def _same_day(date: Date, other: Date) -> bool:
    ways = [(date.month, date.day)] + ([(date.day, date.month)] if date.either else [])
    others = [(other.month, other.day)] + ([(other.day, other.month)] if other.either else [])
    return any(m == om and d in (0, od) for m, d in ways for om, od in others)


def _named(name: Name, claim: Facts, source: Facts) -> bool:
    key = name.key
    if key in source.known or stem(key) in source.known or key in source.initials:
        return True
    if any(base in source.known for base in _bases(key)) or any(key in _bases(word) for word in _derived(key, source)):
        return True
    initials = claim.runs[name.run].initials
    return len(initials) > 1 and initials in source.capitals


def _bases(word: str) -> Iterator[str]:
    """The country or place that a word may be made from: German(y), Italian, Japanese."""
    for ending in ("n", "an", "ian", "ese", "ish", "ic"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            base = word.removesuffix(ending)
            yield from (base, base + "y", base + "a")


def _derived(key: str, source: Facts) -> Iterator[str]:
    return (word for word in source.known if len(word) > len(key) >= 4 and word.startswith(key[:4]))


def contradicted(claim: Facts, sources: Sequence[Facts]) -> bool:
    """Whether one says "not" of what the other says without it; `sources` come in the order of how much they share with the
    claim."""
    for group in claim.negated:
        head = next((word for word in group if any(word in source.words for source in sources)), None)
        if head is None:
            if group and not any(claim.words & set(other) for source in sources for other in source.negated):
                return True
        else:
            speaking = [source for source in sources if head in source.words]
            nearest = max(speaking, key=lambda source: len(source.words & set(group)))
            if head not in _denied(nearest):
                return True
    denied = _denied(claim)
    heads = ((source, {word for group in source.negated for word in group[:2]}) for source in sources)
    return any((words & claim.plain) - source.plain - denied for source, words in heads)


def turned_round(claim: Facts, sources: Sequence[Facts]) -> str:
    """The word of the claim, such as "before", for which the sources have its opposite alone; else nothing."""
    known = frozenset[str]().union(*(source.known for source in sources))
    return next((word for word in sorted(claim.known & OPPOSITES.keys()) if word not in known and OPPOSITES[word] & known), "")


def _denied(facts: Facts) -> set[str]:
    return {word for group in facts.negated for word in group}


def displaced(claim: Facts, sources: Sequence[Facts]) -> str:
    """The figure or name of the claim in whose place, between the same words, the sources have another; else nothing."""
    values = {number.value for number in claim.numbers} | {str(date.year) for date in claim.dates}
    figures = [_figures(source) for source in sources]
    for number in claim.numbers:
        around = _around(claim, number.at, number.at, _NEAR)
        if number.weak or len(around) < _PLACED:
            continue
        hosts = [source for source, placed in zip(sources, figures, strict=True) if number.value in dict(placed)]
        # The same figure in a sentence that has none of the words around it counts something else.
        stray = bool(hosts) and not any(around & source.words for source in hosts)
        if stray or _outdone(number.value, values, around, figures):
            return number.text
    keys = {stem(name.key) for name in claim.names} | claim.words
    stood = [list(_stood(source)) for source in sources]
    for name in claim.names:
        run = claim.runs[name.run]
        if _outdone(stem(name.key), keys, _around(claim, run.start, run.end, _NEAR), stood):
            return name.text
    return ""


def _outdone(fact: str, others: Collection[str], around: frozenset[str], sources: Sequence[_Placed]) -> bool:
    """Whether another fact than those of the claim (`others`) stands among more of the words around than this one does."""
    host = rival = 0
    for placed in sources:
        own = max((len(around & near) for each, near in placed if each == fact), default=-1)
        host = max(host, own)
        if own < 0:
            rival = max(rival, max((len(around & near) for each, near in placed if each not in others), default=0))
    return rival >= _PLACED and rival > host


def _figures(source: Facts) -> list[tuple[str, frozenset[str]]]:
    placed = [(number.value, number.at) for number in source.numbers] + [(str(date.year), date.at) for date in source.dates]
    return [(value, _around(source, at, at, _REACH)) for value, at in placed]


def _stood(source: Facts) -> Iterator[tuple[str, frozenset[str]]]:
    for name in source.names:
        run = source.runs[name.run]
        yield stem(name.key), _around(source, run.start, run.end, _REACH)


def _around(facts: Facts, start: int, end: int, reach: int) -> frozenset[str]:
    return frozenset(facts.line[max(0, start - reach) : start] + facts.line[end : end + reach])
