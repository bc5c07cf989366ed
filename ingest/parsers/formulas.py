"""Formulas and charts of Office files: formulas as a line that reads like one, charts as the table of their figures."""

from __future__ import annotations

from typing import Any

from ingest.parsers.builder import TextBuilder
from ingest.parsers.tree import local, words_in

_DEEPEST = 40
_MOST_VALUES = 1000  # of a chart's series
_INTEGRAL = "∫"  # what a sum without a sign is


def formula(element: Any, depth: int = 0) -> str:
    """A formula of Word as a line: `a^2+b^2`, `(n πx)/(L)`, `√(x)`."""
    if depth > _DEEPEST:
        return "".join(element.itertext())
    name = local(element)
    if name == "t" or name.endswith("Pr"):
        return (element.text or "") if name == "t" else ""
    below = [(local(child), formula(child, depth + 1)) for child in element if local(child)]
    parts = dict(below)
    if name == "f":
        return f"({parts.get('num', '')})/({parts.get('den', '')})"
    if name in ("sSup", "sSub", "sSubSup", "sPre"):
        return parts.get("e", "") + _raised(parts)
    if name == "rad":
        return f"{parts.get('deg', '')}√({parts.get('e', '')})"
    if name == "nary":
        sign = element.find("{*}naryPr/{*}chr")
        said = next(iter(sign.attrib.values()), "") if sign is not None else ""
        return f"{said or _INTEGRAL}{_raised(parts)} {parts.get('e', '')}"
    if name == "d":
        return f"({', '.join(text for child, text in below if child == 'e')})"
    return "".join(text for _, text in below)


def _raised(parts: dict[str, str]) -> str:
    """What stands below and above a sign, in braces where it is longer than one."""
    shown = ""
    for name, sign in (("sub", "_"), ("sup", "^")):
        if text := parts.get(name, ""):
            shown += f"{sign}{text}" if len(text) == 1 else f"{sign}{{{text}}}"
    return shown


def add_chart(builder: TextBuilder, chart: Any) -> None:
    """A chart's title, and its figures as a table."""
    title = chart.find(".//{*}title")
    if title is not None:
        builder.text(words_in(title))
    series = list(chart.iter("{*}ser"))
    names = [_values(one.find("{*}tx")) for one in series]
    columns = [_values(one.find("{*}val")) or _values(one.find("{*}yVal")) for one in series]
    categories = next((found for one in series if (found := _values(one.find("{*}cat")) or _values(one.find("{*}xVal")))), [])
    if any(columns):
        height = max(map(len, [categories, *columns]))
        rows = [["", *(" ".join(name) for name in names)]]
        rows += [[column[at] if at < len(column) else "" for column in (categories, *columns)] for at in range(height)]
        builder.table(rows)


def _values(element: Any) -> list[str]:
    """The words or numbers that a chart keeps of its data."""
    return [v.text or "" for v in element.iter("{*}v")][:_MOST_VALUES] if element is not None else []
