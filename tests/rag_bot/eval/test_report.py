"""The page: whole, self-contained, and safe whatever stands in documents and questions."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

from ingest.draw.svg import Bar, Dot, Line, bars, lines, scatter, spans
from rag_bot.eval import report
from rag_bot.eval.store import Info
from rag_bot.eval.summary import summarise
from rag_bot.eval.types import Beyond, Case, Opinion, Record, Wanted
from rag_bot.types import Turn
from tests.rag_bot.eval.support import cited, hit, record, said

EVIL = "<script>alert(1)</script>\"'&"
INFO = Info(
    EVIL, "f", 3, "2026-11-25T10:00:00+00:00", {"llm": EVIL, "passages": 8}, {"embedder": "hash", "chunks": 5, "documents": 2}
)


def records() -> list[Record]:
    case = Case("x", f"Question {EVIL}?", True, (EVIL,), (Wanted("leave.md", EVIL),), turns=(Turn(EVIL, ""),), kind=EVIL)
    times = {"embed": 10.0, "total": 20.0}
    return [
        record("a", sentences=(said(),), citations=(cited(0),), timings_ms=times, model="m"),
        record(
            "x",
            case=case,
            right=False,
            answer=EVIL,
            question=EVIL,
            opinion=Opinion(EVIL, False),
            retrieved=(hit(0), hit(1, (0,))),
        ),
        record("y", abstained=True, beyond=Beyond(EVIL, False), timings_ms=times, rank=4),
    ]


class Reader(HTMLParser):
    """Notes every tag with its attributes, and the text outside of styles."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_page_runs_nothing_and_loads_nothing() -> None:
    page = report.html(summarise(records()), INFO)
    reader = Reader()
    reader.feed(page)
    names = {tag for tag, _ in reader.tags}
    assert not names & {"script", "link", "img", "iframe", "object"}
    assert not [a for _, attributes in reader.tags for a in attributes if a.startswith("on") or a in ("src", "href")]
    assert "default-src 'none'" in page and "url(" not in page and "@import" not in page


def test_what_stands_in_documents_is_shown_as_it_is() -> None:
    page = report.html(summarise(records()), INFO)
    reader = Reader()
    reader.feed(page)
    text = "".join(reader.text)
    for part in (
        f"Question {EVIL}?",
        f"Understood as{EVIL}",
        f"Said before{EVIL}",
        f"Would have said{EVIL} (wrong)",
        f"Judge{EVIL}: wrong",
    ):
        assert part in text
    assert "answered wrong" in text and "2. d1, wanted" in text


def test_the_plots_are_well_formed() -> None:
    page = report.html(summarise(records()), INFO)
    found = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    labels = [ElementTree.fromstring(svg).get("aria-label") for svg in found]
    assert labels == [
        "Questions by outcome",
        "Recall by k",
        "Risk over coverage",
        "Latency by step",
        "Score by kind of question",
    ]


def test_plots_of_nothing_and_of_extremes() -> None:
    for svg in (
        lines("t", [Line("l", [])], "x", "y"),
        bars("t", []),
        bars("t", [Bar("b", 5.0, -1.0, 9.0, "much")]),
        spans("t", [], ["p50"], "ms"),
        spans("t", [("s", [0.0, 0.0])], ["p50", "p95"], "ms"),
        scatter("t", [], "x", "y"),
        scatter("t", [Dot("<d>", 0.0, 0.5, 0.4, 0.6), Dot("e", 1e9, 1.0, 1.0, 1.0, faint=True, chosen=True)], "x", "y"),
        scatter("t", [Dot("d", 0.0, 0.5, 0.4, 0.6)], "x", "y"),
    ):
        ElementTree.fromstring(svg)
        assert "nan" not in svg and "inf" not in svg


def test_the_json_has_every_figure() -> None:
    data = json.loads(json.dumps(report.as_dict(summarise(records()), INFO)))
    assert data["scores"]["R@5"] == {"value": data["scores"]["R@5"]["value"], "low": 1.0, "high": 1.0, "count": 3}
    assert data["latency"]["total"] == {"p50": 20.0, "p95": 20.0, "p99": 20.0}
    assert data["worst"] == ["x", "y"]
    assert data["run"]["questions"] == 3


def test_a_run_without_questions_has_a_page() -> None:
    assert "No question went wrong" in report.html(summarise([]), INFO)
