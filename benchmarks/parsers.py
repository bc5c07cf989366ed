"""What each library finds in real files: words, their order, rows of tables; how fast it is, and on what it fails."""

from __future__ import annotations

import html
import json
import os
import queue
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.data import folder
from benchmarks.registry import Options
from benchmarks.results import Result, Table

SECONDS = 120.0  # by the clock: a file that takes longer has failed
STARTING_SECONDS = 180.0
CHILD = Path(__file__).with_name("parsers_child.py")
ROOT = Path(__file__).resolve().parent.parent

ALL = ("markitdown", "unstructured", "docling")
# Which libraries are tried on which format; ours on all of them.
CANDIDATES: dict[str, tuple[str, ...]] = {
    "pdf": ("pypdfium2", "langchain", *ALL),
    "html": ("trafilatura", "langchain", *ALL),
    "docx": ("langchain", *ALL),
    "csv": ("langchain", *ALL),
    "md": ("langchain", *ALL),
    "pptx": ALL,
    "xlsx": ALL,
    "epub": ALL,
    "odt": ALL,
    "odp": ALL,
    "ods": ALL,
    "scan": (),
}
OTHERS = ("eml", "msg", "rtf", "rst", "org", "json", "ndjson", "yaml", "xml", "ipynb", "txt", "tsv", "zip", "doc", "ppt", "xls")

_MARKS = re.compile(r"<!--.*?-->|\]\([^)]*\)|!\[|</?[a-zA-Z][^>]*>", re.DOTALL)
_WORD = re.compile(r"[぀-ヿ一-鿿]|[^\W_]+")
_RULE = re.compile(r"[\s|:=+-]*$")


@dataclass(frozen=True, slots=True)
class Case:
    """A file, and what is to be found in it: the reference's text in Markdown, None where there is none."""

    path: Path
    format: str
    expected: str | None
    pages: int = 1


@dataclass(slots=True)
class Score:
    """What a library did with the files of one format; sums, so that a share is over all of them together."""

    files: int = 0
    failed: int = 0
    words: list[int] = field(default_factory=lambda: [0, 0])  # found, expected
    neighbours: list[int] = field(default_factory=lambda: [0, 0])
    rows: list[int] = field(default_factory=lambda: [0, 0])
    tables: list[int] = field(default_factory=lambda: [0, 0])
    seconds: float = 0.0
    pages: int = 0
    reasons: list[str] = field(default_factory=list)

    def shares(self) -> dict[str, float | None]:
        pairs = {"words": self.words, "neighbours": self.neighbours, "tables": self.tables, "rows": self.rows}
        return {name: found / expected if expected else None for name, (found, expected) in pairs.items()}


def words_of(text: str) -> list[str]:
    """Lower-case words and numbers, without what is Markdown's own; each sign of Chinese and Japanese is a word."""
    return _WORD.findall(html.unescape(_MARKS.sub(" ", text)).lower())


def tables_of(markdown: str) -> list[list[list[str]]]:
    """The tables of a Markdown text as rows of cells, without the line below the header."""
    tables: list[list[list[str]]] = []
    inside = False
    for line in markdown.splitlines():
        if not line.lstrip().startswith("|"):
            inside = False
            continue
        if not inside:
            tables.append([])
        inside = True
        if not _RULE.match(line):
            tables[-1].append([" ".join(words_of(cell)) for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))])
    return [table for table in tables if len(table) > 1 and any(len(row) > 1 for row in table)]


def rows_found(table: Sequence[Sequence[str]], lines: Sequence[str]) -> int:
    """How many rows stand in the text as one line that holds the words of all their cells, in order and with none between."""
    return sum(any(_holds(line, row) for line in lines) for row in table)


def _holds(line: str, row: Sequence[str]) -> bool:
    wanted = " ".join(cell for cell in row if cell)
    return f" {wanted} " in f" {line} "


def overlap(expected: Iterable[Any], found: Iterable[Any]) -> list[int]:
    """How many of the expected are found, each as often as it is there, and how many are expected."""
    wanted = Counter(expected)
    return [sum((wanted & Counter(found)).values()), sum(wanted.values())]


def score_text(score: Score, expected: str, text: str) -> None:
    """Add what `text` holds of what is expected."""
    wanted, found = words_of(expected), words_of(text)
    lines = [" ".join(words_of(line)) for line in text.splitlines()]
    tables = [(len(table), rows_found(table, lines)) for table in tables_of(expected)]
    _add(score.words, overlap(wanted, found))
    _add(score.neighbours, overlap(pairwise(wanted), pairwise(found)))
    _add(score.rows, [sum(rows for _, rows in tables), sum(count for count, _ in tables)])
    _add(score.tables, [sum(rows >= 0.9 * count for count, rows in tables), len(tables)])


def _add(total: list[int], more: Sequence[int]) -> None:
    total[0] += more[0]
    total[1] += more[1]


def with_reference(root: Path) -> Iterator[Case]:
    """docling's test files with the Markdown that is expected of them, and markitdown's PDFs with theirs."""
    for found in sorted(root.glob("docling/*/groundtruth/*.md")):
        name = found.name.removesuffix(".md")
        for path in (found.parent.parent / "sources" / name, found.parent.parent / "sources" / f"{name}.pdf"):
            if path.is_file() and _format(path) in CANDIDATES:
                yield _case(path, found.read_text(encoding="utf-8"))
    for found in sorted(root.glob("markitdown/**/expected_outputs/*.md")):
        path = found.parent.parent / f"{found.stem}.pdf"
        if path.is_file():
            yield _case(path, found.read_text(encoding="utf-8"))


def scans(root: Path) -> Iterator[Case]:
    """Pictures of pages that there is a PDF with text of, and docling's scans with what is written on them."""
    for path in sorted(root.glob("unstructured/img/*")):
        twin = root / "unstructured/pdf" / f"{path.stem}.pdf"
        if twin.is_file() and path.suffix in (".png", ".jpg", ".tiff"):
            yield Case(path, "scan", _plain(twin))
    for found in sorted(root.glob("docling/ocr/groundtruth/tesseract/full_page/*.md")):
        name = found.name.partition(".")[0]
        for path in sorted(root.glob(f"docling/ocr/sources/{name}*.pdf")):
            yield Case(path, "scan", found.read_text(encoding="utf-8"))


def _plain(path: Path) -> str:
    """The text of a PDF as pdfium gives it; of pages after the first, nothing: the picture shows one."""
    import pypdfium2

    with pypdfium2.PdfDocument(path) as document:
        return str(document[0].get_textpage().get_text_range())


def without_reference(root: Path, known: set[Path]) -> Iterator[Case]:
    """All other files of a format that somebody reads: told is only what fails, and how long it takes."""
    for path in sorted(root.rglob("*")):
        wanted = _format(path) in (*CANDIDATES, *OTHERS)
        if path.is_file() and path not in known and wanted and "groundtruth" not in path.parts:
            yield _case(path, None)


def _format(path: Path) -> str:
    suffix = path.suffix.lower().removeprefix(".")
    return {"htm": "html", "markdown": "md", "xlsm": "xlsx"}.get(suffix, suffix)


def _case(path: Path, expected: str | None) -> Case:
    return Case(path, _format(path), expected, _pages(path) if path.suffix == ".pdf" else 1)


def _pages(path: Path) -> int:
    import pypdfium2

    try:
        with pypdfium2.PdfDocument(path) as document:
            return max(1, len(document))
    except pypdfium2.PdfiumError:
        return 1


class Child:
    """A library in a process of its own, started again where a file was the end of it. `missing` says why it can't run."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.missing = ""
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[str] = queue.Queue()

    def read(self, path: Path) -> dict[str, Any]:
        """What came of it: `text` or `error`, and `seconds`."""
        if self._process is None:
            self._start()
        if self.missing or self._process is None or self._process.stdin is None:
            return {"error": self.missing, "seconds": 0.0}
        try:
            self._process.stdin.write(json.dumps(str(path)) + "\n")
            self._process.stdin.flush()
            answer: dict[str, Any] = self._answer(SECONDS)
        except (OSError, EOFError):
            answer = {"error": "the process ended", "seconds": 0.0}
            self.close()
        except queue.Empty:
            answer = {"error": f"more than {SECONDS:g} s", "seconds": SECONDS}
            self.close()
        return answer

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _start(self) -> None:
        # Others may stand in an environment of their own: their dependencies need not fit ours.
        python = sys.executable if self.name == "ours" else os.environ.get("RAG_BOT_BENCH_PYTHON", sys.executable)
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"}
        if self.name == "ours":
            environment["PYTHONPATH"] = str(ROOT)
        self._lines = queue.Queue()
        self._process = subprocess.Popen(
            [python, "-P", str(CHILD), self.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            env=environment,
        )
        threading.Thread(target=self._pump, args=(self._process, self._lines), daemon=True).start()
        try:
            self.missing = str(self._answer(STARTING_SECONDS).get("missing", ""))
        except (EOFError, queue.Empty):
            self.missing = "it did not start"

    @staticmethod
    def _pump(process: subprocess.Popen[str], lines: queue.Queue[str]) -> None:
        for line in process.stdout or ():
            lines.put(line)
        lines.put("")

    def _answer(self, seconds: float) -> dict[str, Any]:
        line = self._lines.get(timeout=seconds)
        if not line:
            raise EOFError
        answer: dict[str, Any] = json.loads(line)
        return answer


def measured(name: str, cases: Sequence[Case]) -> tuple[dict[str, Score], str]:
    """The library's scores by format, and why there are none. The first file of a format is read once before the clock."""
    child = Child(name)
    scores: dict[str, Score] = {}
    warmed: set[str] = set()
    try:
        for case in cases:
            score = scores.setdefault(case.format, Score())
            if case.format not in warmed:
                child.read(case.path)
                warmed.add(case.format)
                if child.missing:
                    return {}, child.missing
            answer = child.read(case.path)
            text = answer.get("text", "")
            score.files += 1
            score.seconds += answer["seconds"]
            score.pages += case.pages
            wordless = case.expected is not None and not words_of(case.expected)
            if "error" in answer or not (wordless or text.strip()):
                score.failed += 1
                score.reasons.append(f"{case.path.name}: {answer.get('error', 'no text')}")
            if case.expected is not None:
                score_text(score, case.expected, text)
    finally:
        child.close()
    return scores, ""


def run(options: Options) -> dict[str, Any]:
    """Every library on every format that it is tried on."""
    root = folder() / "documents"
    cases = [*with_reference(root), *scans(root)]
    rest = list(without_reference(root, {case.path for case in cases}))
    if options.quick:
        cases, rest = cases[::8], rest[::40]
    names = ["ours", *dict.fromkeys(name for others in CANDIDATES.values() for name in others)]
    found: dict[str, dict[str, Score]] = {}
    others: dict[str, dict[str, Score]] = {}
    missing: dict[str, str] = {}
    for name in names:
        print(f"{name} …", flush=True)
        mine = [case for case in cases if name == "ours" or name in CANDIDATES[case.format]]
        found[name], reason = measured(name, mine)
        if reason:
            missing[name] = reason
            print(f"{name} is left out: {reason}", flush=True)
            continue
        if name in ("ours", "markitdown"):
            others[name], _ = measured(name, rest)
    tables = [_quality(kind, found) for kind in CANDIDATES if any(kind in scores for scores in found.values())]
    return Result(
        {"with_reference": _figures(found), "without_reference": _figures(others), "missing": missing},
        [*(table for table in tables if table.rows), _failures(others), _left_out(missing)],
    ).as_dict()


def _quality(kind: str, found: Mapping[str, Mapping[str, Score]]) -> Table:
    rows = []
    for name, scores in found.items():
        if score := scores.get(kind):
            shares = [f"{share:.3f}" if share is not None else "" for share in score.shares().values()]
            unit = score.pages if kind == "pdf" else score.files
            rows.append([name, *shares, 1000 * score.seconds / max(1, unit), score.failed])
    ours = found["ours"].get(kind)
    count = f"{ours.files} files" + (f", {ours.pages} pages" if kind == "pdf" else "") if ours else ""
    each = "CPU ms a page" if kind == "pdf" else "CPU ms a file"
    tables = f"; {ours.tables[1]} tables of {ours.rows[1]} rows" if ours and ours.tables[1] else ""
    return Table(f"{kind}: {count}{tables}", ("library", "words", "neighbours", "tables", "rows", each, "failed"), rows)


def _failures(others: Mapping[str, Mapping[str, Score]]) -> Table:
    formats = sorted({kind for scores in others.values() for kind in scores})
    rows = [
        [kind, next(iter(others.values()))[kind].files if others else 0]
        + [scores[kind].files - scores[kind].failed if kind in scores else 0 for scores in others.values()]
        for kind in formats
    ]
    return Table(
        "Files without a reference: how many were read",
        ("format", "files", *others),
        rows,
        "Some of them are broken, encrypted or empty and can't be read by anybody.",
    )


def _left_out(missing: Mapping[str, str]) -> Table:
    return Table("Left out", ("library", "why"), list(missing.items()), "Shares are over all files of a format together.")


def _figures(scores: Mapping[str, Mapping[str, Score]]) -> dict[str, Any]:
    return {
        name: {
            kind: {
                "files": score.files,
                "pages": score.pages,
                **score.shares(),
                "seconds": score.seconds,
                "failed": score.failed,
                "reasons": score.reasons,
            }
            for kind, score in formats.items()
        }
        for name, formats in scores.items()
    }
