"""A run's report: one HTML page with plots and the worst questions, and the same figures as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from html import escape
from typing import Any

from ingest.draw.page import page, plot, table, tile
from ingest.draw.svg import Bar, Line, bars, lines, spans
from rag_bot.eval.bootstrap import Estimate
from rag_bot.eval.metrics import CUTS, MEASURES, answer_wanted
from rag_bot.eval.store import Info
from rag_bot.eval.summary import PERCENTILES, Group, Summary
from rag_bot.eval.types import Record

OUTCOMES = {
    "right": "answered right",
    "wrong": "answered wrong",
    "refused": "refused, though the answer was there",
    "declined": "refused rightly",
    "failed": "failed",
    "unknown": "not known whether right",
}
_SHOWN = 5  # passages below a bad question


def as_dict(summary: Summary, info: Info) -> dict[str, Any]:
    """All figures for programs; the records stand beside it in `records.jsonl`."""
    data = asdict(summary)
    data["worst"] = [record.case.id for record in summary.worst]
    data["latency"] = {
        step: dict(zip((f"p{p}" for p in PERCENTILES), some, strict=True)) for step, some in summary.latency.items()
    }
    return {"run": asdict(info), **data}


def html(summary: Summary, info: Info) -> str:
    """The page. Nothing in it comes from elsewhere, and nothing of the documents is taken for markup."""
    return page(
        f"{info.dataset}: how good the answers are",
        [
            f"<h1>{escape(info.dataset)}</h1>",
            f'<p class="dim">{_told(summary, info)}</p>',
            f'<div class="tiles">{"".join(_tiles(summary))}</div>',
            f'<div class="plots">{"".join(_plots(summary))}</div>',
            "<h2>All figures</h2>",
            table(("Figure", "Value", "95 % interval", "Questions", "What it is"), _rows(summary.scores), (1, 2, 3)),
            f"<h2>The {len(summary.worst)} worst questions</h2>" if summary.worst else "<h2>No question went wrong</h2>",
            *(_bad(record) for record in summary.worst),
            "<h2>What was run</h2>",
            table(
                ("Setting", "Value"), [(name, str(value)) for name, value in info.settings.items() if value not in ("", None)]
            ),
        ],
    )


def shown(name: str, estimate: Estimate) -> str:
    """A figure with two digits, and its interval."""
    return f"{estimate.value:.2f} ({estimate.low:.2f}–{estimate.high:.2f})"


def milliseconds(value: float) -> str:
    return f"{value / 1000:,.2f} s" if value >= 1000 else f"{value:,.0f} ms" if value >= 10 else f"{value:.1f} ms"


def _told(summary: Summary, info: Info) -> str:
    embedder, chunks = info.index.get("embedder", "?"), info.index.get("chunks", 0)
    told = [
        f"{summary.count:,} questions on {info.began[:16].replace('T', ' ')} UTC, {info.settings.get('llm') or 'no LLM'}",
        f"embedder {embedder}, {chunks:,} passages of {info.index.get('documents', 0):,} documents",
        info.machine,
    ]
    if summary.fell_back:
        told.append(f"on {summary.fell_back:,} of the questions an LLM failed, and another or quotes took its place")
    if summary.lost:
        told.append(f"{summary.lost:,} wanted places are not in this index")
    return escape("; ".join(told) + ".")


def _tiles(summary: Summary) -> list[str]:
    tiles = []
    for name in ("handled", "right", "declined", "wrong_given", "R@5", "nDCG@10", "f1", "citation_recall", "judge_right"):
        if name in summary.scores:
            estimate = summary.scores[name]
            tiles.append(
                tile(
                    f"{estimate.value:.2f}",
                    MEASURES[name].title,
                    f"{estimate.low:.2f}–{estimate.high:.2f}, n = {estimate.count}",
                )
            )
    if summary.risk:
        area = summary.risk.area
        tiles.append(tile(f"{area.value:.3f}", "Risk-coverage area", f"{area.low:.3f}–{area.high:.3f}, less is better"))
    if "total" in summary.latency:
        median, high, _ = summary.latency["total"]
        tiles.append(tile(milliseconds(median), "to the whole answer, half of the time", f"{milliseconds(high)} for 95 %"))
    if summary.prompt_tokens:
        tokens = f"{summary.prompt_tokens:,} tokens in, {summary.completion_tokens:,} out"
        tiles.append(tile(f"${summary.cost:,.4f}", "LLMs, in all", tokens))
    return tiles


def _plots(summary: Summary) -> list[str]:
    total = max(1, summary.count)
    rows = [
        Bar(title, summary.outcomes[name] / total, 0, 0, str(summary.outcomes[name]))
        for name, title in OUTCOMES.items()
        if summary.outcomes.get(name)
    ]
    plots = [plot("What became of the questions", bars("Questions by outcome", rows))]
    recall = [(float(k), summary.scores[f"R@{k}"].value) for k in CUTS if f"R@{k}" in summary.scores]
    if recall:
        drawn = lines("Recall by k", [Line("recall", recall, dots=True)], "passages looked at (k)", "recall")
        plots.append(plot("Recall by k", drawn, "Share of the wanted places among the best k passages."))
    if summary.risk and summary.risk.points:
        points = [(coverage, risk) for coverage, risk, _ in summary.risk.points]
        drawn = lines(
            "Risk over coverage",
            [Line("risk", points, steps=True)],
            "share answered",
            "share wrong",
            marked=(*summary.risk.at, "as set now"),
        )
        note = f"The most confident first. Area {summary.risk.area.value:.3f}."
        note += "" if summary.risk.whole else " Refused questions were not answered for it: it ends where refusals begin."
        plots.append(plot("Risk over coverage", drawn, note))
    if summary.latency:
        drawn = spans(
            "Latency by step",
            [(step, some) for step, some in summary.latency.items() if max(some) >= 0.1],
            [f"p{p}" for p in PERCENTILES],
            "ms",
        )
        plots.append(
            plot("Latency by step", drawn, "Dots: half, 95 % and 99 % of the questions took less. One question at a time.")
        )
    for title, groups in (("Score by kind of question", summary.by_kind), ("Score by document", summary.by_document)):
        if groups:
            plots.append(
                plot(
                    title,
                    bars(title, [_bar(group) for group in groups if "handled" in group.scores]),
                    "Share handled right, with 95 % intervals.",
                )
            )
    return plots


def _bar(group: Group) -> Bar:
    estimate = group.scores["handled"]
    return Bar(group.name, estimate.value, estimate.low, estimate.high, f"{estimate.value:.2f} of {group.count}")


def _rows(scores: Mapping[str, Estimate]) -> list[tuple[str, ...]]:
    return [
        (
            MEASURES[name].title,
            f"{e.value:.3f}",
            f"{e.low:.3f}–{e.high:.3f}",
            str(e.count),
            MEASURES[name].says + ("" if MEASURES[name].higher else "; less is better"),
        )
        for name, e in scores.items()
    ]


def _bad(record: Record) -> str:
    """A question that went wrong: what was wanted, what was answered, what was found."""
    said = record.error or record.blocked or record.answer
    rows = [("Wanted", answer_wanted(record.case)), ("Answered", said)]
    if record.case.turns:
        rows.insert(0, ("Said before", " / ".join(turn.question for turn in record.case.turns)))
    if record.question.split() != record.case.question.split() and record.question:
        rows.insert(0, ("Understood as", record.question))
    if record.beyond:
        rows.append(("Would have said", f"{record.beyond.answer} ({'right' if record.beyond.right else 'wrong'})"))
    if record.opinion and record.opinion.right is not None:
        rows.append(("Judge", f"{record.opinion.model}: {'right' if record.opinion.right else 'wrong'}"))
    told = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in rows)
    found = "".join(_passage(rank, record) for rank in range(min(_SHOWN, len(record.retrieved)))) or "nothing"
    below = next((rank for rank, hit in enumerate(record.retrieved, 1) if hit.wanted and rank > _SHOWN), None)
    if below:
        found += f'<p class="dim">A wanted place came at rank {below}.</p>'
    head = f'<span class="bad">{escape(OUTCOMES[record.outcome or "unknown"])}</span>, confidence {record.confidence:.2f}'
    kind = f", {escape(record.case.kind)}" if record.case.kind else ""
    return (
        f"<details><summary><b>{escape(record.case.question)}</b><br>{head}{kind}</summary>"
        f"<dl>{told}<dt>Retrieved</dt><dd>{found}</dd></dl></details>"
    )


def _passage(rank: int, record: Record) -> str:
    hit = record.retrieved[rank]
    where = " › ".join(dict.fromkeys([hit.title, *hit.heading]))
    kind, wanted = (" class=hit", ", wanted") if hit.wanted else ("", "")
    head = f'<span class="dim">{rank + 1}. {escape(where)}{wanted}</span>'
    return f"<blockquote{kind}>{head}\n{escape(hit.text)}</blockquote>"


def rows_for_terminal(summary: Summary) -> Sequence[tuple[str, str, str, str]]:
    """(figure, value, interval, questions) of what matters most."""
    names = [n for n in summary.scores if n not in ("R@1", "R@3", "R@20", "P@1", "P@5", "P@10", "exact", "bleu")]
    rows = [
        (
            MEASURES[n].title,
            f"{summary.scores[n].value:.3f}",
            f"{summary.scores[n].low:.3f}–{summary.scores[n].high:.3f}",
            str(summary.scores[n].count),
        )
        for n in names
    ]
    if summary.risk:
        area = summary.risk.area
        rows.append(("Risk-coverage area", f"{area.value:.3f}", f"{area.low:.3f}–{area.high:.3f}", str(area.count)))
    return rows
