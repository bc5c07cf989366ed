"""Results as JSON with the machine they came from, as tables on a terminal, and as one page of Markdown."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.registry import BENCHMARKS

PACKAGES = (
    "faiss-cpu",
    "faiss-gpu",
    "ir-measures",
    "langchain",
    "langchain-community",
    "langchain-huggingface",
    "linkify-it-py",
    "markdown-it-py",
    "nemoguardrails",
    "numpy",
    "onnxruntime",
    "phonenumbers",
    "presidio-analyzer",
    "publicsuffixlist",
    "pypdfium2",
    "python-stdnum",
    "rag-bot",
    "sentence-transformers",
    "spacy",
    "tantivy",
    "torch",
)


@dataclass(frozen=True, slots=True)
class Table:
    """Figures to be read: a title, a row of column names, rows, and a sentence on how to read them."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """A figure that was asked for: `at_least` or `at_most`."""

    what: str
    measured: float
    at_least: float | None = None
    at_most: float | None = None

    @property
    def met(self) -> bool:
        low, high = self.at_least, self.at_most
        return (low is None or self.measured >= low) and (high is None or self.measured <= high)

    def row(self) -> list[object]:
        wanted = f">= {self.at_least:g}" if self.at_least is not None else f"<= {self.at_most:g}"
        return [self.what, self.measured, wanted, "yes" if self.met else "no"]


@dataclass(frozen=True, slots=True)
class Result:
    """What a benchmark hands back: figures for programs, tables for people, and how it stands to what was asked."""

    figures: Mapping[str, Any]
    tables: Sequence[Table]
    asked: Sequence[Asked] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        asked = Table("Asked for", ("what", "measured", "asked", "met"), [one.row() for one in self.asked])
        tables = [*self.tables, asked] if self.asked else self.tables
        return {"figures": dict(self.figures), "tables": [asdict(table) for table in tables]}


def machine() -> dict[str, object]:
    """What figures depend on: processor, memory, Python and package versions."""
    facts = _proc("/proc/cpuinfo")
    memory = _proc("/proc/meminfo").get("MemTotal", "0 kB").split()[0]
    return {
        "cpu": facts.get("model name", platform.machine()),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "amx": has_amx(),
        "memory_gb": round(int(memory) / 1e6, 1),
        "system": platform.system(),
        "python": platform.python_version(),
        "packages": dict(_versions()),
    }


def has_amx() -> bool:
    """Whether the processor multiplies bf16 matrices in hardware, which is what makes bf16 fast on a CPU."""
    return "amx_bf16" in _proc("/proc/cpuinfo").get("flags", "").split()


def _proc(path: str) -> dict[str, str]:
    """The first value of each key in a file of `key: value` lines; nothing where there is no such file."""
    found: dict[str, str] = {}
    if Path(path).is_file():
        for line in Path(path).read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            found.setdefault(key.strip(), value.strip())
    return found


def _versions() -> Iterator[tuple[str, str]]:
    for name in PACKAGES:
        try:
            yield name, metadata.version(name)
        except metadata.PackageNotFoundError:
            continue


def save(name: str, result: Mapping[str, Any], out: Path, *, quick: bool, seconds: float) -> dict[str, Any]:
    """Write `NAME.json` with the figures (four digits that count) and the machine they came from; returns what it holds."""
    whole = {
        "benchmark": name,
        "what": BENCHMARKS[name].what,
        "date": datetime.now(UTC).date().isoformat(),
        "quick": quick,
        "seconds": round(seconds),
        "machine": machine(),
        **rounded(result),
    }
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(whole, indent=1, ensure_ascii=False, default=str)
    (out / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    return whole


def rounded(value: Any) -> Any:
    """The value with every float in it cut to four digits that count."""
    if isinstance(value, float):
        return float(f"{value:.4g}") if abs(value) < 1000 else float(round(value))
    if isinstance(value, Mapping):
        return {str(key): rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(each) for each in value]
    return value


def tables(result: Mapping[str, Any]) -> list[Table]:
    """The tables of a result; of one that has none, its figures by name, and its lists of figures as they stand."""
    if result.get("tables"):
        return [Table(**table) for table in result["tables"]]
    about = {"benchmark", "what", "date", "quick", "seconds", "machine"}
    figures = {name: value for name, value in result.items() if name not in about}
    rows = {name: value for name, value in figures.items() if isinstance(value, list) and value and isinstance(value[0], dict)}
    lists = [Table(name, list(value[0]), [list(row.values()) for row in value]) for name, value in rows.items()]
    return [Table("", ("figure", "value"), list(_flat(figures))), *lists]


def _flat(value: object, name: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _flat(each, f"{name}, {key}" if name else str(key))
    elif not isinstance(value, list | tuple):
        yield name, value


def markdown(table: Table) -> str:
    """The table in Markdown, with columns aligned so that it can be read on a terminal as well."""
    rows = [[_cell(cell) for cell in row] for row in (table.columns, *table.rows)]
    widths = [max(3, *(len(row[column]) for row in rows)) for column in range(len(table.columns))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows]
    lines.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
    title = [f"**{table.title}**", ""] if table.title else []
    return "\n".join([*title, *lines, *(["", table.note] if table.note else [])])


def _cell(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{rounded(value):g}"


def page(out: Path) -> str:
    """All results in the folder as one page of Markdown, in the order of the registry."""
    parts = [
        "# Results\n\nWritten by `python -m benchmarks report` from `results/*.json`. What each benchmark measures, and how: "
        "[README.md](README.md). Seconds depend on the machine: only what was measured in one run can be compared."
    ]
    for name in BENCHMARKS:
        path = out / f"{name}.json"
        if path.is_file():
            parts.append(_section(json.loads(path.read_text(encoding="utf-8"))))
    return "\n\n".join(parts) + "\n"


def _section(result: Mapping[str, Any]) -> str:
    facts = result["machine"]
    about = (
        f"{result['date']}; {facts['cpu']}, {facts['cores']} cores, AMX: {'yes' if facts['amx'] else 'no'}; "
        f"Python {facts['python']}; took {result['seconds']:,} s"
        + ("; **quick run on a part of the data: no figures to quote**" if result["quick"] else "")
    )
    shown = [markdown(table) for table in tables(result)]
    return "\n\n".join([f"## {result['benchmark']}: {result['what'][0].lower()}{result['what'][1:]}", f"{about}.", *shown])
