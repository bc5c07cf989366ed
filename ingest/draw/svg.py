"""Small plots as SVG text, to stand in a page that loads nothing: lines, bars with intervals, points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 640
COLOURS = 8
"""How many the page has for groups: the classes `c0`, `c1` and so on."""

_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 16, 12, 40
_ROW = 24  # height of a bar's row
_NAME = 220  # width for the names of bars
_LONGEST = 30  # characters of a name

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a plot; `steps` draws it as stairs, `dots` marks its points."""

    name: str
    points: Sequence[Point]
    steps: bool = False
    dots: bool = False


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar with what stands behind it; `low` and `high` draw its interval where they differ."""

    name: str
    value: float
    low: float
    high: float
    shown: str


@dataclass(frozen=True, slots=True)
class Dot:
    """A point of a scatter with its name; `low` and `high` are its interval along y. `faint` ones are not to be chosen, the
    `chosen` one is ringed."""

    name: str
    x: float
    y: float
    low: float
    high: float
    faint: bool = False
    chosen: bool = False


def lines(
    title: str, series: Sequence[Line], x_name: str, y_name: str, *, marked: tuple[float, float, str] | None = None
) -> str:
    """Lines over x from 0 (or the smallest) to the largest, y from 0 to 1; `marked` is a point with a name."""
    xs = [x for line in series for x, _ in line.points] or [0.0, 1.0]
    frame = _Frame(min(0.0, *xs) if len(xs) > 1 else 0.0, max(*xs, 1e-9) if len(xs) > 1 else 1.0, 0.0, 1.0, 300)
    parts = [frame.axes(x_name, y_name, frame.x_ticks(), [0, 0.25, 0.5, 0.75, 1.0])]
    for number, line in enumerate(series):
        parts.append(f'<path class="line c{number}" d="{_path(frame, line)}"><title>{escape(line.name)}</title></path>')
        if line.dots:
            parts += [_dot(frame, x, y, f"c{number}", f"{line.name}: {y:.3f} at {x:g}") for x, y in line.points]
    if marked:
        x, y, name = marked
        parts.append(_dot(frame, x, y, "mark", name))
        at = frame.x(x)
        parts.append(_text(at + (8 if at < WIDTH / 2 else -8), frame.y(y) - 8, name, "start" if at < WIDTH / 2 else "end"))
    if len(series) > 1:
        parts.append(_legend(frame, [line.name for line in series]))
    return _svg(title, frame.height, parts)


def bars(title: str, rows: Sequence[Bar], most: float = 1.0) -> str:
    """Bars from 0 to `most`, one below the other."""
    height = len(rows) * _ROW + 8
    room = WIDTH - _NAME - 110
    parts = []
    for number, bar in enumerate(rows):
        y = 4 + number * _ROW
        at = [_NAME + room * min(1.0, max(0.0, value / (most or 1.0))) for value in (bar.value, bar.low, bar.high)]
        parts.append(_text(_NAME - 8, y + 15, _short(bar.name), "end", bar.name))
        parts.append(f'<rect class="room" x="{_NAME}" y="{y + 4}" width="{room}" height="14"/>')
        parts.append(f'<rect class="bar" x="{_NAME}" y="{y + 4}" width="{at[0] - _NAME:.1f}" height="14"/>')
        if bar.high > bar.low:
            parts.append(
                f'<path class="whisker" d="M{at[1]:.1f} {y + 11}H{at[2]:.1f}M{at[1]:.1f} {y + 7}v8M{at[2]:.1f} {y + 7}v8"/>'
            )
        parts.append(_text(_NAME + room + 8, y + 15, bar.shown, "start"))
    return _svg(title, height, parts)


def spans(title: str, rows: Sequence[tuple[str, Sequence[float]]], names: Sequence[str], unit: str) -> str:
    """For each row a line from its first to its last value with a dot for each, on a logarithmic scale."""
    values = [value for _, some in rows for value in some if value > 0]
    low, high = (min(values), max(values)) if values else (1.0, 10.0)
    low, high = 10 ** math.floor(math.log10(low)), 10 ** math.ceil(math.log10(high) + 1e-9)
    high = high if high > low else low * 10
    room, height = WIDTH - _NAME - 24, len(rows) * _ROW + 34

    def at(value: float) -> float:
        return _NAME + room * (math.log10(max(value, low)) - math.log10(low)) / (math.log10(high) - math.log10(low))

    parts = []
    for power in range(round(math.log10(low)), round(math.log10(high)) + 1):
        x = at(10.0**power)
        parts.append(f'<path class="grid" d="M{x:.1f} 4V{height - 28}"/>')
        parts.append(_text(x, height - 12, f"{10.0**power:g} {unit}", "middle"))
    for number, (name, some) in enumerate(rows):
        y = 4 + number * _ROW + 11
        told = ", ".join(f"{label} {value:,.1f} {unit}" for label, value in zip(names, some, strict=True))
        parts.append(_text(_NAME - 8, y + 4, _short(name), "end", f"{name}: {told}"))
        parts.append(f'<path class="whisker" d="M{at(some[0]):.1f} {y}H{at(some[-1]):.1f}"/>')
        for place, (label, value) in enumerate(zip(names, some, strict=True)):
            said = escape(f"{name}, {label}: {value:,.1f} {unit}")
            parts.append(f'<circle class="dot c{place}" cx="{at(value):.1f}" cy="{y}" r="5"><title>{said}</title></circle>')
    return _svg(title, height, parts)


def scatter(title: str, dots: Sequence[Dot], x_name: str, y_name: str, *, log: bool = True) -> str:
    """Named points; x is logarithmic where `log` (a value of 0 stands at the left edge), y from 0 to 1."""
    positive = [dot.x for dot in dots if dot.x > 0]
    if log and positive:
        low, high = math.floor(math.log10(min(positive))), math.ceil(math.log10(max(positive)) + 1e-9)
        frame = _Frame(low - (0.5 if len(positive) < len(dots) else 0), max(high, low + 1), 0.0, 1.0, 340)
        ticks = [(float(power), f"{10.0**power:g}") for power in range(low, max(high, low + 1) + 1)]
        places = [(math.log10(dot.x) if dot.x > 0 else frame.left) for dot in dots]
    else:
        frame = _Frame(0.0, max([dot.x for dot in dots] or [1.0]) * 1.1 or 1.0, 0.0, 1.0, 340)
        ticks, places = frame.x_ticks(), [dot.x for dot in dots]
    parts = [frame.axes(x_name, y_name, ticks, [0, 0.25, 0.5, 0.75, 1.0])]
    taken: list[Point] = []
    for dot, place in zip(dots, places, strict=True):
        x, y = frame.x(place), frame.y(dot.y)
        kind = "faint" if dot.faint else "c0"
        parts.append(f'<path class="whisker" d="M{x:.1f} {frame.y(dot.low):.1f}V{frame.y(dot.high):.1f}"/>')
        parts.append(_dot(frame, place, dot.y, kind, dot.name))
        if dot.chosen:
            parts.append(f'<circle class="ring" cx="{x:.1f}" cy="{y:.1f}" r="9"/>')
        while any(abs(y - other) < 14 and abs(x - beside) < 180 for beside, other in taken):
            y += 14
        taken.append((x, y))
        end = x > WIDTH * 0.6
        parts.append(_text(x + (-12 if end else 12), y + 4, _short(dot.name), "end" if end else "start", dot.name))
    return _svg(title, frame.height, parts)


def cloud(title: str, groups: Sequence[tuple[str, Sequence[tuple[float, float, str]]]]) -> str:
    """Points (x and y in 0..1, and what is said of each) in groups of a colour each; the axes mean nothing."""
    height, edge = 440, 12
    parts = []
    for number, (_, points) in enumerate(groups):
        for x, y, told in points:
            place = f'cx="{edge + (WIDTH - 2 * edge) * x:.1f}" cy="{edge + (height - 2 * edge) * (1 - y):.1f}"'
            told = escape(told)
            parts.append(f'<circle class="dot c{number % COLOURS}" {place} r="4"><title>{told}</title></circle>')
    for number, (name, points) in enumerate(groups):
        y = height + 16 + 18 * number
        parts.append(f'<circle class="dot c{number % COLOURS}" cx="{edge}" cy="{y - 4}" r="5"/>')
        parts.append(_text(edge + 12, y, f"{name} ({len(points)})", "start"))
    return _svg(title, height + 16 + 18 * len(groups), parts)


@dataclass(frozen=True, slots=True)
class _Frame:
    """The ranges of a plot, and where a value of them stands."""

    left: float
    right: float
    bottom: float
    top: float
    height: int

    def x(self, value: float) -> float:
        span = (self.right - self.left) or 1.0
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * (value - self.left) / span

    def y(self, value: float) -> float:
        span = (self.top - self.bottom) or 1.0
        return self.height - _BOTTOM - (self.height - _BOTTOM - _TOP) * (value - self.bottom) / span

    def x_ticks(self) -> list[tuple[float, str]]:
        step = (self.right - self.left) / 5 or 1.0
        return [(self.left + step * n, f"{self.left + step * n:.3g}") for n in range(6)]

    def axes(self, x_name: str, y_name: str, xs: Sequence[tuple[float, str]], ys: Sequence[float]) -> str:
        parts = []
        for value in ys:
            y = self.y(value)
            parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{WIDTH - _RIGHT}"/>')
            parts.append(_text(_LEFT - 6, y + 4, f"{value:g}", "end"))
        for value, shown in xs:
            parts.append(_text(self.x(value), self.height - _BOTTOM + 16, shown, "middle"))
        parts.append(_text((_LEFT + WIDTH - _RIGHT) / 2, self.height - 6, x_name, "middle"))
        turned = f"translate(12 {self.height / 2 - 10:.0f}) rotate(-90)"
        parts.append(f'<text transform="{turned}" text-anchor="middle">{escape(y_name)}</text>')
        return "".join(parts)


def _path(frame: _Frame, line: Line) -> str:
    parts = []
    before = 0.0
    for number, (x, y) in enumerate(line.points):
        if number and line.steps:
            parts.append(f"L{frame.x(x):.1f} {frame.y(before):.1f}")
        parts.append(f"{'L' if number else 'M'}{frame.x(x):.1f} {frame.y(y):.1f}")
        before = y
    return "".join(parts)


def _dot(frame: _Frame, x: float, y: float, kind: str, name: str) -> str:
    return (
        f'<circle class="dot {kind}" cx="{frame.x(x):.1f}" cy="{frame.y(y):.1f}" r="5"><title>{escape(name)}</title></circle>'
    )


def _legend(frame: _Frame, names: Sequence[str]) -> str:
    parts, x = [], _LEFT + 8.0
    for number, name in enumerate(names):
        parts.append(f'<circle class="dot c{number}" cx="{x:.0f}" cy="{_TOP + 4}" r="5"/>')
        parts.append(_text(x + 10, _TOP + 8, name, "start"))
        x += 30 + 7 * len(name)
    return "".join(parts)


def _text(x: float, y: float, text: str, anchor: str, whole: str = "") -> str:
    told = f"<title>{escape(whole)}</title>" if whole else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{told}{escape(text)}</text>'


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"


def _svg(title: str, height: float, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )
