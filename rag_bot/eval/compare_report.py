"""A comparison as a page, as a table for the terminal, and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from html import escape
from typing import Any

from ingest.draw.page import page, plot, table
from ingest.draw.svg import Bar, Dot, bars, scatter
from rag_bot.eval.candidates import Tried
from rag_bot.privacy import LEVELS

HEAD = ("", "Candidate", "Handled right", "p95", "First sentence p95", "1,000 answers", "Memory", "Disk", "Privacy", "Score")


def rows(tried: Sequence[Tried]) -> list[tuple[str, ...]]:
    """The table: the recommended one is marked, as is what is dominated or failed."""
    best = recommended(tried)
    return [_row(one, one is best) for one in tried]


def recommended(tried: Sequence[Tried]) -> Tried | None:
    """The first that was tried and is not dominated, as `compare` orders them."""
    return next((one for one in tried if not one.failed), None)


def as_dict(tried: Sequence[Tried], weights: Mapping[str, float]) -> dict[str, Any]:
    best = recommended(tried)
    return {
        "recommended": best.candidate.name if best else None,
        "weights": dict(weights),
        "candidates": [{**asdict(one), "privacy": one.privacy} for one in tried],
    }


def html(name: str, tried: Sequence[Tried], weights: Mapping[str, float], questions: int) -> str:
    """The page; it loads and runs nothing."""
    best, fine = recommended(tried), [one for one in tried if not one.failed]
    told = f"{questions:,} questions asked of {len(tried)} candidates, one question at a time."
    asked = ", ".join(f"{axis} {weight:g}" for axis, weight in weights.items())
    advice = (
        f"<p><b>Recommended: {escape(best.candidate.name)}</b>, by the weights {escape(asked)}.</p>"
        if best
        else "<p>Nothing could be tried.</p>"
    )
    return page(
        f"{name}: which settings?",
        [
            f"<h1>{escape(name)}: which settings?</h1>",
            f'<p class="dim">{escape(told)}</p>{advice}',
            f'<div class="plots">{"".join(_plots(fine, best))}</div>',
            "<h2>All candidates</h2>",
            table(HEAD, rows(tried), (3, 4, 5, 6, 7, 9)),
            '<p class="dim">Dominated: another is as good in everything and better in something (a tenth of seconds, money or '
            "bytes, or half a percent of quality, is no difference). Disk: the index, and the file of a local LLM. Memory: the "
            "most that the process held.</p>",
            *_failures(tried),
            "<h2>What leaves the machine</h2>",
            _privacy(tried),
        ],
    )


def _row(one: Tried, best: bool) -> tuple[str, ...]:
    if one.failed:
        return ("failed", one.candidate.name, *[""] * 6, one.privacy, "")
    name = one.candidate.name
    if one.fell_back:
        name += f" (failed on {one.fell_back} of {one.quality.count}: quoted)"
    mark = "→" if best else f"dominated by {one.dominated}" if one.dominated else ""
    quality = one.quality
    return (
        mark,
        name,
        f"{quality.value:.2f} ({quality.low:.2f}–{quality.high:.2f})",
        f"{one.seconds:.2f} s",
        f"{one.first:.2f} s",
        money(one.cost),
        size(one.memory),
        size(one.disk),
        one.privacy,
        f"{one.score:.3f}",
    )


def size(gigabytes: float) -> str:
    return (
        f"{gigabytes:,.1f} GB"
        if gigabytes >= 1
        else f"{gigabytes * 1000:,.0f} MB"
        if gigabytes >= 0.01
        else f"{gigabytes * 1000:.1f} MB"
    )


def money(cost: float | None) -> str:
    return "price not known" if cost is None else f"${cost:,.2f}"


def _plots(fine: Sequence[Tried], best: Tried | None) -> list[str]:
    def dots(values: Sequence[float]) -> list[Dot]:
        return [
            Dot(
                one.candidate.name,
                value,
                one.quality.value,
                one.quality.low,
                one.quality.high,
                bool(one.dominated),
                one is best,
            )
            for one, value in zip(fine, values, strict=True)
        ]

    note = "Grey: dominated. Ringed: recommended. Whiskers: 95 % intervals."
    drawn = scatter(
        "Quality over latency", dots([one.seconds for one in fine]), "seconds to the whole answer (p95)", "handled right"
    )
    plots = [plot("Quality over latency", drawn, note)]
    if any(one.cost for one in fine):
        drawn = scatter(
            "Quality over cost", dots([one.cost or 0.0 for one in fine]), "dollars for 1,000 answers", "handled right"
        )
        plots.append(plot("Quality over cost", drawn, note + " No cost stands at the left edge."))
    for title, values in (("Memory", [one.memory for one in fine]), ("Disk", [one.disk for one in fine])):
        drawn = bars(
            title,
            [Bar(o.candidate.name, v, 0, 0, size(v)) for o, v in zip(fine, values, strict=True)],
            max([*values, 1e-9]),
        )
        plots.append(plot(title, drawn))
    return plots


def _failures(tried: Sequence[Tried]) -> list[str]:
    failed = [(one.candidate.name, one.failed) for one in tried if one.failed]
    return ["<h2>What could not be tried</h2>", table(("Candidate", "Why"), failed)] if failed else []


def _privacy(tried: Sequence[Tried]) -> str:
    lines = []
    for one in tried:
        lines += [(one.candidate.name, f.setting, f.what, f.to, f.when) for f in one.flows] or [
            (one.candidate.name, "", f"nothing: it {LEVELS[0]}", "", "")
        ]
    return table(("Candidate", "Setting", "What", "To whom", "When"), lines)
