"""How `ingest` shows reports, documents and passages to a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from ingest.console import console, count, entry_line, indented, one_line, place, plain, safe
from ingest.inspect import Finding
from ingest.types import DocumentInfo, Hit, LedgerEntry, Quarantined, Report, Standing, Status

STATUSES: tuple[Status, ...] = ("added", "unchanged", "replaced", "removed", "failed", "quarantined")
_FAILED_SHOWN = 20
_PLACES = 3  # of the same text, that are named below it


def show_plan(report: Report) -> None:
    """A line for each file that would not stay as it is."""
    for entry in report.documents:
        if entry.status not in ("unchanged", "failed", "quarantined"):  # these stand below the summary
            console().print(entry_line(entry))


def show_report(report: Report, noun: str, *, dry_run: bool = False) -> None:
    """How many files (or documents) there were, and those that failed with the reason."""
    counts = [f"{report.count(status):,} {status}" for status in STATUSES if report.count(status)]
    sentence = f"{count(len(report.documents), noun)}: {', '.join(counts) or 'nothing to do'}"
    if dry_run:
        sentence = f"Dry run, nothing was changed. {sentence}"
    elif report.seconds:
        sentence += f"; {count(report.chunks, 'chunk')} in {report.seconds:,.1f} s"
    plain(sentence + ".")
    for entry in report.documents:
        if entry.status in ("failed", "quarantined"):
            console().print(entry_line(entry))
    if report.count("quarantined"):
        plain("`ingest quarantine` releases or drops what is held back.")


def show_documents(documents: Sequence[DocumentInfo]) -> None:
    """A table on a terminal; elsewhere id, source, title and number of chunks with tabs between, a line each."""
    screen = console()
    if not screen.is_terminal:
        for info in documents:
            plain("\t".join([info.document_id, safe(info.source), safe(info.title), str(info.chunks)]))
        return
    from rich.table import Table
    from rich.text import Text

    table = Table("Id", box=None, header_style="dim", pad_edge=False)
    table.columns[0].no_wrap = True
    table.add_column("Title and source", overflow="fold", ratio=1)
    table.add_column("Chunks", justify="right")
    table.add_column("Added", no_wrap=True)
    for info in documents:
        name = Text.assemble(safe(info.title), "\n", (safe(info.source), "dim"))
        table.add_row(info.document_id, name, f"{info.chunks:,}", info.added_at[:10])
    if documents:
        screen.print(table)
    plain(size(len(documents), sum(info.chunks for info in documents)) + ".")


def show_quarantine(held: Sequence[Quarantined]) -> None:
    """A line for each: id, what became of it, source and reason, with tabs between where no terminal is."""
    screen = console()
    if not screen.is_terminal:
        for one in held:
            plain("\t".join([one.document_id, one.state, safe(one.source), safe(one.reason)]))
        return
    for one in held:
        plain(f"{one.document_id}  {one.state}  {safe(one.source)}")
        indented(safe(one.reason), 3, "dim")
    plain(f"{count(len(held), 'document')} in quarantine.")


def show_document(info: DocumentInfo, findings: Sequence[Finding], beginning: str) -> None:
    """What is known of a document, what was found in it, and how its text begins."""
    pairs = {
        "title": info.title,
        "id": info.document_id,
        "source": info.source,
        "type": info.media_type,
        "size": f"{count(info.characters, 'character')} in {count(info.chunks, 'chunk')}",
        "sha256": info.sha256,
        "added": info.added_at,
        "language": info.language or "not known",
        "quality": "not known" if info.quality is None else f"{info.quality:.2f}",
        "version": " of ".join(filter(None, (info.version, info.dated))) or "none said",
        "labels": ", ".join(info.labels) or "none",
        "found": _counted(findings) + ("; parts of the text are masked" if info.masked else ""),
    }
    _show_pairs(pairs)
    more = " …" if info.characters > len(beginning) else ""
    plain("\n" + safe(beginning, keep="\n\t").strip() + more)


def show_hits(hits: Sequence[Hit]) -> None:
    """Passages, best first, each with where it stands."""
    from rich.text import Text

    if not hits:
        plain("Nothing found.")
    for n, hit in enumerate(hits, 1):
        head = Text.assemble(
            (f"{n}  ", "dim"), (place(hit.document.title, hit.chunk.heading, hit.chunk.page, hit.chunk.place), "bold")
        )
        console().print(head)
        indented(f"{safe(hit.document.source)} · score {hit.score:.3f}", 3, "dim")
        indented(one_line(hit.chunk.text), 3)
        if hit.also:
            others = list(dict.fromkeys(place.source for place in hit.also))
            more = f" and {len(others) - _PLACES:,} more" if len(others) > _PLACES else ""
            indented(f"also in {safe(', '.join(others[:_PLACES]))}{more}", 3, "dim")
        plain("")


def show_status(path: Path, status: Mapping[str, object], failed: Sequence[Standing]) -> None:
    """How much is in the index, how it was made, and which files failed."""
    pairs = {"index": str(path)}
    for name, value in status.items():
        if isinstance(value, dict):
            pairs[name] = ", ".join(f"{n:,} {key}" for key, n in sorted(value.items())) or "none"
            continue
        shown = f"{value:,}" if isinstance(value, int) and name != "version" else str(value)
        pairs[name.replace("_", " ")] = shown
    _show_pairs(pairs)
    for one in failed[:_FAILED_SHOWN]:
        console().print(entry_line(LedgerEntry(one.source, None, "failed", one.reason)))
    if failed:
        more = f"… and {len(failed) - _FAILED_SHOWN:,} more. " if len(failed) > _FAILED_SHOWN else ""
        plain(f"{more}`ingest retry` takes in again what failed.")


def size(documents: int, chunks: int) -> str:
    """`12 documents, 140 chunks`."""
    return f"{count(documents, 'document')}, {count(chunks, 'chunk')}"


def _counted(findings: Sequence[Finding]) -> str:
    """`2 personal (email), 1 secret (AWS key)`."""
    groups = Counter(finding.group for finding in findings)
    kinds = {group: sorted({f.kind for f in findings if f.group == group}) for group in groups}
    return ", ".join(f"{groups[group]:,} {group} ({', '.join(kinds[group])})" for group in sorted(groups)) or "nothing"


def _show_pairs(pairs: Mapping[str, str]) -> None:
    from rich.text import Text

    width = max(map(len, pairs)) + 2
    for name, value in pairs.items():
        console().print(Text.assemble((f"{name:<{width}}", "dim"), safe(value)))
