"""The command line `ingest`: put documents into an index, look at what is there, search it, keep it whole."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeVar

import typer

from ingest import console, display
from ingest.errors import DocumentNotFound, IndexDamaged, IngestError, SourceError
from ingest.types import DocumentInfo, LedgerEntry, Mode, Quarantined, Report

if TYPE_CHECKING:
    from ingest.index import Index
    from ingest.pipeline import Pipeline
    from ingest.settings import IngestSettings

Named = TypeVar("Named", DocumentInfo, Quarantined)
STOPPED = "Stopped; what was added stays."

app = typer.Typer(
    help="Turn documents into an index that answers can be proved from.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings=console.HELP,
)

quarantine_app = typer.Typer(
    help="Look at documents that were held back, and take them in or leave them out.",
    no_args_is_help=True,
    context_settings=console.HELP,
)
app.add_typer(quarantine_app, name="quarantine")

IndexOption = Annotated[
    Path | None,
    typer.Option("--index", metavar="DIR", help="Folder of the index; else RAG_BOT_INDEX, else `index` here."),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
DocumentArgument = Annotated[
    str, typer.Argument(metavar="DOC", help="The document's id (its beginning will do) or its source.")
]
DocumentsArgument = Annotated[list[str], typer.Argument(metavar="DOC", help="Ids (their beginnings will do) or sources.")]


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point of `ingest`."""
    console.run(app, "ingest", arguments, (IngestError,))


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(console.version("ingest"))
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    pass


@app.command()
def add(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH", help="Files, and folders with everything in them.")],
    dry_run: DryRunOption = False,
    index: IndexOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add files and folders, or what changed in them."""
    if dry_run:
        _plan(paths, index, as_json, sync=False)
    _ingest(index, as_json, lambda pipeline, watch: pipeline.add(paths, watch))


@app.command()
def sync(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder that the index is to mirror.")],
    dry_run: DryRunOption = False,
    index: IndexOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add a folder, and remove what is gone from it."""
    if dry_run:
        _plan([folder], index, as_json, sync=True)
    _ingest(index, as_json, lambda pipeline, watch: pipeline.sync(folder, watch))


@app.command()
def retry(index: IndexOption = None, as_json: JsonOption = False) -> None:
    """Take in again what failed, and what was still to do when a run was stopped."""
    _ingest(index, as_json, lambda pipeline, watch: pipeline.retry(watch), create=False)


@app.command("list")
def list_(index: IndexOption = None, as_json: JsonOption = False) -> None:
    """List the documents."""
    with _open(index) as store:
        documents = store.documents()
        superseded = store.superseded()
    if as_json:
        listed = [asdict(document) for document in documents]
        console.print_json([one | {"superseded_by": superseded.get(one["document_id"])} for one in listed])
    else:
        display.show_documents(documents)


@app.command()
def show(
    document: DocumentArgument,
    text: Annotated[bool, typer.Option("--text", help="Print the whole text.")] = False,
    index: IndexOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one document."""
    with _open(index) as store:
        info = _find(store, document)
        content = store.text(info.document_id, 0, None if text else 600)
        findings = store.findings(info.document_id)
        newer = store.superseded().get(info.document_id)
    if as_json:
        found = {"superseded_by": newer, "findings": [asdict(finding) for finding in findings]}
        console.print_json(asdict(info) | found | ({"text": content} if text else {}))
    elif text:
        # A terminal gets what is safe for it, a file or a program the text to the character.
        print(console.safe(content, keep="\n\t") if sys.stdout.isatty() else content, flush=True)
    else:
        display.show_document(info, findings, content)


@app.command()
def remove(
    documents: DocumentsArgument,
    index: IndexOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take documents out of the index (not off the disk)."""
    entries = []
    with _open(index, write=True) as store:
        for wanted in documents:
            try:
                entries += [store.remove(info.document_id) for info in _find_all(store, wanted)]
            except DocumentNotFound as error:
                entries.append(LedgerEntry(wanted, None, "failed", str(error)))
        store.publish()
    _finish(Report(tuple(entries)), as_json, "document")


@app.command()
def search(
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="What to look for.")],
    k: Annotated[int, typer.Option("-k", min=1, max=1000, help="How many passages.")] = 5,
    mode: Annotated[Mode, typer.Option(help="By meaning and by words, or one of them.")] = "hybrid",
    language: Annotated[
        str | None, typer.Option(metavar="CODE", help="Only documents in this language (`en`, as `list --json` shows it).")
    ] = None,
    index: IndexOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find the passages nearest to a question."""
    try:
        question = console.decoded(question)
    except UnicodeError as error:
        raise typer.BadParameter("it is not UTF-8 text.", param_hint="QUESTION") from error
    with _open(index) as store:
        hits = store.search(question, k, mode, allowed=(lambda info: info.language == language) if language else None)
    if as_json:
        console.print_json([hit.as_dict() for hit in hits])
    else:
        display.show_hits(hits)


@app.command()
def status(
    follow: Annotated[bool, typer.Option("--follow", help="Show how a run goes that is going on, until it ends.")] = False,
    index: IndexOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what is in the index and how it was made."""
    if follow:
        _follow(index, as_json)
    with _open(index) as store:
        state = store.status()
        path, failed = store.path, store.standings("failed")
    if as_json:
        console.print_json(state)
    else:
        display.show_status(path, state, failed)


@app.command()
def report(
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Where the HTML page goes (`report.html`; with --json, nowhere)."),
    ] = None,
    index: IndexOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what is in the index and what is wrong with it, as one HTML page."""
    with _open(index) as store:
        from ingest.report import report as look
        from ingest.report_page import html

        found = look(store)
    target = out or (None if as_json else Path("report.html"))
    if target:
        try:
            target.write_text(html(found), encoding="utf-8", errors="replace")
        except OSError as error:
            raise SourceError(f"{target} can't be written: {error.strerror}.", "Choose another file with --out.") from error
    if as_json:
        console.print_json(found.as_dict())
    else:
        console.plain(f"{console.safe(str(target))}: {_size(dict(found.status))}.")


@app.command()
def verify(index: IndexOption = None, as_json: JsonOption = False) -> None:
    """Check that the index is whole."""
    advice = f"ingest rebuild --index {shlex.quote(str(_settings(index).index))}"
    try:
        with _open(index, repair=False) as store:
            faults = store.verify()
            size = _size(store.status())
    except IndexDamaged as error:
        faults, advice = [str(error)], error.hint
    if as_json:
        console.print_json({"whole": not faults, "faults": faults})
    elif faults:
        for fault in faults:
            console.plain(console.safe(fault))
        console.complain(f"The index has {console.count(len(faults), 'fault')}.", advice)
    else:
        console.plain(f"Whole: {size}.")
    raise typer.Exit(bool(faults))


@app.command()
def rebuild(
    embedder: Annotated[str | None, typer.Option(metavar="NAME", help="Embed the stored text anew with this embedder.")] = None,
    index: IndexOption = None,
    as_json: JsonOption = False,
) -> None:
    """Build the search indexes anew from what is stored."""
    if embedder:
        _reembed(_settings(index), embedder)
    with _open(index, write=not embedder, embedder=embedder) as store:
        if not embedder:
            store.rebuild()
        status = store.status()
    if as_json:
        console.print_json(status)
    else:
        console.plain(f"Rebuilt: {_size(status)}.")


@quarantine_app.command("list")
def quarantine_list(
    everything: Annotated[bool, typer.Option("--all", help="Also what was released or dropped before.")] = False,
    index: IndexOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the documents that were held back, each with the reason."""
    with _open(index) as store:
        held = [one for one in store.quarantine() if everything or one.state == "held"]
    if as_json:
        console.print_json([asdict(one) for one in held])
    else:
        display.show_quarantine(held)


@quarantine_app.command()
def release(documents: DocumentsArgument, index: IndexOption = None, as_json: JsonOption = False) -> None:
    """Take documents in although something was found in them. The same content is not held back again."""
    _decide(documents, index, as_json, lambda pipeline, ids: pipeline.release(ids), ("held", "dropped"))


@quarantine_app.command()
def drop(documents: DocumentsArgument, index: IndexOption = None, as_json: JsonOption = False) -> None:
    """Leave documents out until they change (files stay on the disk)."""
    _decide(documents, index, as_json, lambda pipeline, ids: pipeline.drop(ids), ("held",))


# --- helpers


def _decide(
    documents: Sequence[str],
    index: Path | None,
    as_json: bool,
    act: Callable[[Pipeline, list[str]], list[LedgerEntry]],
    states: Sequence[str],
) -> None:
    """Do with what is held back what was decided; one that is not there stops no other."""
    settings = _settings(index)
    from ingest.build import open_pipeline

    entries, ids = [], []
    with open_pipeline(settings, create=False) as pipeline:
        _tell(pipeline.index.notes)
        held = [one for one in pipeline.index.quarantine() if one.state in states]
        for wanted in documents:
            try:
                ids.append(_choose(held, wanted, "in the quarantine of", "ingest quarantine list", pipeline.index).document_id)
            except DocumentNotFound as error:
                entries.append(LedgerEntry(wanted, None, "failed", str(error)))
        entries += act(pipeline, ids)
    _finish(Report(tuple(entries)), as_json, "document")


def _ingest(
    index: Path | None, as_json: bool, work: Callable[[Pipeline, console.Watch], Report], *, create: bool = True
) -> None:
    settings = _settings(index)
    with console.stoppable(STOPPED), console.Watch() as watch:
        from ingest.build import open_pipeline

        with open_pipeline(settings, create=create) as pipeline:
            notes = list(pipeline.index.notes)
            _tell(notes)
            report = work(pipeline, watch)
    _tell([note for note in report.notes if note not in notes])
    _finish(report, as_json, "file")


def _plan(paths: Sequence[Path], index: Path | None, as_json: bool, *, sync: bool) -> NoReturn:
    """What a run would do. Exit 1 where something would fail."""
    settings = _settings(index)
    with console.stoppable("Stopped."), console.Watch(lines=False) as watch:
        from ingest.plan import plan

        report = plan(settings, paths, sync=sync, progress=watch)
    if not as_json:
        display.show_plan(report)
    _finish(report, as_json, "file", dry_run=True)


def _follow(index: Path | None, as_json: bool) -> NoReturn:
    """Show a run until it ends. Exit 1 where something failed meanwhile, or the run was stopped."""
    settings = _settings(index)
    with console.stoppable("Stopped following; the run goes on."):
        from ingest.following import follow

        raise typer.Exit(follow(settings.index, as_json))


def _reembed(settings: IngestSettings, embedder: str) -> None:
    with console.stoppable("Stopped; the index is as it was."), console.Watch() as watch:
        from ingest.build import reembed

        reembed(settings, embedder, watch)


def _settings(index: Path | None, embedder: str | None = None) -> IngestSettings:
    from ingest.settings import IngestSettings

    return console.load_settings(IngestSettings, index=index, embedder=embedder)


def _open(index: Path | None, *, write: bool = False, repair: bool = True, embedder: str | None = None) -> Index:
    settings = _settings(index, embedder)
    from ingest.index import Index

    store = Index.open(settings.index, settings=settings, write=write, repair=repair)
    if repair:
        _tell(store.notes)
    return store


def _find(store: Index, wanted: str) -> DocumentInfo:
    """The document that a person means."""
    return _choose(store.documents(), wanted, "in", "ingest list", store)


def _find_all(store: Index, wanted: str) -> list[DocumentInfo]:
    """The documents that a person means: one, with what is attached to it, or all that came out of an archive."""
    from ingest.sources.archives import is_member

    documents = store.documents()
    members = [info for info in documents if is_member(info.source, wanted) or is_member(info.source, os.path.abspath(wanted))]
    if members and not any(info.source in (wanted, os.path.abspath(wanted)) for info in documents):
        return members
    own = _find(store, wanted)
    return [own, *(info for info in documents if is_member(info.source, own.source))]


def _choose(documents: Sequence[Named], wanted: str, where: str, command: str, store: Index) -> Named:
    """The one of the documents that a person means: by its id, its source, its file's path, or the beginning of its id."""
    path = os.path.abspath(wanted)
    for info in documents:
        if wanted in (info.document_id, info.source) or path == info.source:
            return info
    begun = [info for info in documents if len(wanted) >= 4 and info.document_id.startswith(wanted)]
    if len(begun) == 1:
        return begun[0]
    problem = f"{len(begun)} documents have an id that begins with" if begun else "There is no document"
    raise DocumentNotFound(f"{problem} {wanted!r} {where} the index {store.path}.", f"`{command}` shows ids and sources.")


def _tell(notes: Sequence[str]) -> None:
    for note in notes:
        console.note(note)


def _finish(report: Report, as_json: bool, noun: str, *, dry_run: bool = False) -> NoReturn:
    """Print what became of everything; exit 1 where something failed."""
    if as_json:
        counts: dict[str, object] = {status: report.count(status) for status in display.STATUSES}
        documents = [asdict(entry) for entry in report.documents]
        counts |= {"chunks": report.chunks, "seconds": round(report.seconds, 3), "documents": documents}
        console.print_json(counts | ({"dry_run": True} if dry_run else {}))
    else:
        display.show_report(report, noun, dry_run=dry_run)
    raise typer.Exit(report.failed)


def _size(status: dict[str, object]) -> str:
    return display.size(int(str(status["documents"])), int(str(status["chunks"])))


if __name__ == "__main__":
    main()
