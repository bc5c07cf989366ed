"""How it goes in use, as a page that loads and runs nothing."""

from __future__ import annotations

from html import escape

from ingest.draw.page import page, plot, table, tile
from ingest.draw.svg import Bar, Line, bars, lines
from rag_bot.eval.gaps import Gap
from rag_bot.eval.monitor import Drift, Report

_SHOWN = 25  # gaps in the plot


def html(report: Report) -> str:
    """The page; nothing that people asked is taken for markup."""
    tiles = [
        tile(f"{report.questions:,}", "questions", f"since {report.since}" if report.since else ""),
        tile(f"{report.refused:,}", "could not be answered", _share(report.refused, report.questions)),
        tile(f"{report.cut:,}", "sentences cut", "an LLM wrote them, the sources don't carry them"),
        tile(f"{report.up:,} / {report.down:,}", "thumbs up / down"),
    ]
    if report.drift:
        tiles.append(tile(f"{report.drift.change.value:+.3f}", "nearness of questions", drift_sentence(report.drift)))
    several = [gap for gap in report.gaps if gap.count > 1]
    once = [gap for gap in report.gaps if gap.count == 1]
    return page(
        "What people ask and nobody wrote",
        [
            "<h1>What people ask and nobody wrote</h1>",
            f'<div class="tiles">{"".join(tiles)}</div>',
            f'<div class="plots">{"".join(_plots(report))}</div>',
            "<h2>Documents to write</h2>" if several else "<h2>No subject was asked about twice in vain</h2>",
            *(_gap(gap) for gap in several),
            *([f"<h2>Asked once</h2><p>{'<br>'.join(escape(gap.questions[0]) for gap in once)}</p>"] if once else []),
            "<h2>Documents to look at</h2>" if report.stale else "<h2>No document looks stale</h2>",
            *(
                [table(("Document", "Why", "Cited"), [(s.title, s.reason, str(s.cited)) for s in report.stale], (2,))]
                if report.stale
                else []
            ),
            "<h2>Over time</h2>",
            table(
                ("From", "Questions", "Refused", "Sentences cut", "Thumbs up", "Thumbs down", "Nearness"),
                [
                    (p.start, f"{p.questions:,}", f"{p.refused:,}", f"{p.cut:,}", str(p.up), str(p.down), f"{p.nearness:.3f}")
                    for p in report.periods
                ],
                (1, 2, 3, 4, 5, 6),
            ),
        ],
    )


def drift_sentence(drift: Drift) -> str:
    """What the change of nearness means."""
    if drift.away:
        return "people ask about other things than the documents tell of, more than before"
    return "closer to the documents than before" if drift.change.low > 0 else "no change beyond noise"


def nearest(gap: Gap) -> str:
    """The nearest documents there are, for a person."""
    return ", ".join(f"{title} ({cosine:.2f})" for title, cosine in gap.nearest) or "nothing"


def _plots(report: Report) -> list[str]:
    plots = []
    shown = [gap for gap in report.gaps if gap.count > 1][:_SHOWN]
    if shown:
        most = float(shown[0].count)
        drawn = bars(
            "Unanswered questions by subject", [Bar(gap.name, gap.count, 0, 0, f"{gap.count:,}") for gap in shown], most
        )
        plots.append(plot("Unanswered questions by subject", drawn))
    if len(report.periods) > 1:
        refused = [(float(n), p.refused / p.questions) for n, p in enumerate(report.periods)]
        near = [(float(n), max(0.0, p.nearness)) for n, p in enumerate(report.periods)]
        first, last = report.periods[0].start, report.periods[-1].start
        drawn = lines(
            "Over time",
            [Line("share refused", refused, dots=True), Line("nearness to the documents", near, dots=True)],
            f"{first} to {last}",
            "share, cosine",
        )
        plots.append(plot("Over time", drawn, "Nearness: the mean over the questions of the best passage's cosine."))
    return plots


def _gap(gap: Gap) -> str:
    asked = "".join(f"<li>{escape(question)}</li>" for question in gap.questions)
    days = gap.first if gap.first == gap.last else f"{gap.first} to {gap.last}"
    return (
        f"<details open><summary><b>{escape(gap.name)}</b>: asked {gap.count:,} times, {escape(days)}</summary><ul>{asked}</ul>"
        f'<p class="dim">Nearest there is: {escape(nearest(gap))}</p></details>'
    )


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%} of them" if whole else ""
