"""The command line `rag-bot eval`: make questions of one's own documents, review them, run them, compare two runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from ingest import console

if TYPE_CHECKING:
    from ingest.index import Index
    from ingest.types import Allowed
    from rag_bot.eval.diff import Diff
    from rag_bot.eval.exam import Exam
    from rag_bot.eval.types import Case, Record
    from rag_bot.settings import Settings

app = typer.Typer(
    help="Measure how good the answers are: make questions, review them, run them, compare runs.",
    rich_markup_mode=None,
    no_args_is_help=True,
    context_settings=console.HELP,
)


class Bar(Protocol):
    """Moves a bar of progress."""

    def __call__(self, done: int, of: int, now: str = ..., /) -> None: ...


SetArgument = Annotated[Path, typer.Argument(metavar="QUESTIONS", help="A .jsonl file, or a file or folder of a known set.")]
IndexOption = Annotated[
    Path | None,
    typer.Option("--index", metavar="DIR", help="Folder of the index; else RAG_BOT_INDEX, else `index` here."),
]
FolderOption = Annotated[Path, typer.Option("--folder", metavar="DIR", help="Where runs are kept.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@app.command()
def make(
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The file to write.")] = Path("questions.jsonl"),
    count: Annotated[int, typer.Option(min=1, help="How many questions.")] = 60,
    unanswerable: Annotated[
        float, typer.Option(min=0, max=0.9, help="The share to be asked with the place that answers them taken out.")
    ] = 0.25,
    llm: Annotated[
        bool, typer.Option("--llm", help="Have the LLM of RAG_BOT_LLM write what it can; rules make the rest.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Another number, other questions.")] = 1,
    index: IndexOption = None,
) -> None:
    """Make questions of the documents in the index, without an LLM or with one. Review them before you trust them."""
    from ingest.index import Index
    from rag_bot.errors import BadDataset
    from rag_bot.eval.files import write
    from rag_bot.eval.make import Share
    from rag_bot.eval.make import make as make_of
    from rag_bot.readers import Readers
    from rag_bot.settings import Settings

    settings = console.load_settings(Settings, index=index)
    if out.exists():
        raise BadDataset(f"{out} is there already, and may have been reviewed.", "Name another file with --out.")
    allowed = Readers(settings.readers).everyone()  # as the questions will be asked; and an LLM may sit somewhere else
    with Index.open(settings.index, settings=settings) as opened:
        share = Share(count, unanswerable)
        wanted = count - share.without
        more = _written(settings, opened, allowed, wanted, seed) if llm else []
        if llm and len(more) < wanted:
            console.note(f"The LLM wrote {len(more)} of {wanted} questions that can be used; rules made the rest.")
        cases = make_of(opened, allowed, share, seed, more)
    if not cases:
        raise BadDataset(
            f"Nothing in {settings.index} could be made a question of.", "Write some by hand: see docs/evaluation.md."
        )
    write(out, cases)
    kinds = {kind: sum(case.kind == kind for case in cases) for kind in dict.fromkeys(case.kind for case in cases)}
    told = ", ".join(f"{number} {kind}" for kind, number in kinds.items())
    console.plain(console.safe(f"{console.count(len(cases), 'question')} in {out}: {told}."))
    console.plain(console.safe(f"Look through them: rag-bot eval review {out}"))


@app.command()
def review(
    questions: Annotated[Path, typer.Argument(metavar="QUESTIONS", help="A .jsonl file that `rag-bot eval make` has written.")],
    to_csv: Annotated[
        Path | None, typer.Option("--to-csv", metavar="FILE", help="Write a table for a spreadsheet instead.")
    ] = None,
    from_csv: Annotated[
        Path | None, typer.Option("--from-csv", metavar="FILE", help="Take what was changed in that table.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Also those that were looked at before.")] = False,
) -> None:
    """Go through questions and keep, edit or drop each, here or in a spreadsheet."""
    from rag_bot.eval import files
    from rag_bot.eval.review import review as go_through

    if to_csv:
        files.replace_text(to_csv, files.to_csv(files.read(questions)))
        console.plain(console.safe(f"{to_csv} written. Change it, then: rag-bot eval review {questions} --from-csv {to_csv}"))
    elif from_csv:
        before = files.read(questions)
        after = files.from_csv(_text_of(from_csv), before)
        files.write(questions, after)
        edited = sum(case.review == "edited" for case in after)
        console.plain(f"{console.count(len(after), 'question')} left of {len(before)}, {edited} edited.")
    else:
        tally = go_through(questions, lambda text: console.plain(console.safe(text, keep="\n")), _ask, again=again)
        console.plain(f"\n{tally.kept} kept, {tally.edited} edited, {tally.dropped} dropped, {tally.left} left for later.")


@app.command()
def run(
    questions: SetArgument,
    name: Annotated[str | None, typer.Option(help="Name of the run; else that of the set, with a number.")] = None,
    most: Annotated[int | None, typer.Option("--questions", min=1, help="Ask so many, spread over the set; else all.")] = None,
    texts: Annotated[
        int | None, typer.Option(min=1, help="Take about so many of the documents that the set brings; else all.")
    ] = None,
    hidden: Annotated[
        float, typer.Option(min=0, max=1, help="Ask this share once more with what answers it hidden: it should be refused.")
    ] = 0.0,
    refused_too: Annotated[
        bool | None,
        typer.Option(help="Answer what is refused as well, for the risk-coverage curve; else only where no LLM is set."),
    ] = None,
    judge: Annotated[bool, typer.Option("--judge", help="Ask the LLM of RAG_BOT_JUDGE for its opinion, too.")] = False,
    folder: FolderOption = Path("eval"),
    index: IndexOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask every question, and report how good the answers are. Stopped, the same command goes on."""
    from rag_bot.eval import datasets
    from rag_bot.eval.exam import examine, prepared
    from rag_bot.eval.report import as_dict
    from rag_bot.eval.store import Info, RunFolder, choose
    from rag_bot.settings import Settings

    settings = console.load_settings(Settings, index=index)
    dataset = datasets.with_hidden(datasets.sample(datasets.load(questions), most, texts), hidden)
    if dataset.texts and index:
        console.note(f"{questions} brings its own documents: --index is not used.")

    def place(info: Info) -> RunFolder:
        return RunFolder(folder / name) if name else choose(folder, dataset.name, info)

    with progress("Making the index") as tell:
        settings = prepared(settings, dataset, folder, tell)
    beyond = refused_too if refused_too is not None else not settings.llm or settings.answer == "quote"
    with console.stoppable("Stopped. The same command goes on from here."), progress("Asking") as tell:
        exam = examine(settings, dataset, place, beyond=beyond, judge=judge, tell=lambda done, of, record: tell(done, of))
    if as_json:
        console.print_json(as_dict(exam.summary, exam.info))
    else:
        _show(exam)


@app.command()
def diff(
    before: Annotated[Path, typer.Argument(metavar="BEFORE", help="A run's folder, or its name.")],
    after: Annotated[Path, typer.Argument(metavar="AFTER", help="Another run of the same questions.")],
    folder: FolderOption = Path("eval"),
    as_json: JsonOption = False,
) -> None:
    """Show what got better and what worse between two runs; exit 1 on a loss beyond noise."""
    from rag_bot.eval.diff import compare

    found = compare(*(_run(path, folder) for path in (before, after)))
    if as_json:
        console.print_json(found.as_dict())
    else:
        _show_diff(found)
    raise typer.Exit(bool(found.lost))


# --- helpers


def _written(settings: Settings, index: Index, allowed: Allowed, count: int, seed: int) -> list[Case]:
    """What the LLM of the settings writes. Raises BotError."""
    import asyncio

    from rag_bot.errors import BadSetting
    from rag_bot.eval.write import write
    from rag_bot.llm.load import load_llms

    llms = load_llms(settings.llm, settings)
    if not llms:
        raise BadSetting("No LLM is set.", "Set RAG_BOT_LLM, or leave --llm out: rules make questions, too.")

    async def collect() -> list[Case]:
        return [
            case async for case in write(llms[0], index, allowed, count, seed=seed, seconds=settings.llm_seconds, tell=tell)
        ]

    try:
        with progress("Writing") as tell:
            return asyncio.run(collect())
    finally:
        for llm in llms:
            llm.close()


def _ask(prompt: str) -> str | None:
    try:
        return input(prompt)
    except EOFError:
        return None


def _text_of(path: Path) -> str:
    from rag_bot.errors import BadDataset

    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadDataset(f"{path} is not UTF-8 text.", "Save the table as CSV in UTF-8.") from error


def _run(path: Path, folder: Path) -> Sequence[Record]:
    from rag_bot.eval.store import RUN, RunFolder

    found = RunFolder(path if (path / RUN).is_file() else folder / path)
    info = found.info
    if not info.done:
        console.note(f"The run {found.path} was stopped before its end: {len(found.records())} of {info.questions} questions.")
    return found.records()


@contextmanager
def progress(doing: str) -> Iterator[Bar]:
    """A bar on stderr, where that is a terminal; told how many of how many are done, and what is being done now."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    screen = console.console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(compact=True))
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task(doing, total=None)

        def advance(done: int, of: int, now: str = doing) -> None:
            bar.update(task, completed=done, total=of, description=console.safe(now))

        yield advance


def _show(exam: Exam) -> None:
    from rag_bot.eval.report import OUTCOMES, milliseconds, rows_for_terminal
    from rag_bot.eval.store import PAGE

    summary = exam.summary
    told = [f"{number} {OUTCOMES[name]}" for name, number in summary.outcomes.items()]
    console.plain(f"{console.count(summary.count, 'question')}: {', '.join(told)}.\n")
    show_table(("Figure", "Value", "95 % interval", "n"), rows_for_terminal(summary))
    if "total" in summary.latency:
        half, most, nearly = summary.latency["total"]
        console.plain(f"\nWhole answer: p50 {milliseconds(half)}, p95 {milliseconds(most)}, p99 {milliseconds(nearly)}.")
    if summary.prompt_tokens:
        tokens = f"{summary.prompt_tokens:,} tokens in, {summary.completion_tokens:,} out"
        console.plain(f"LLMs: {tokens}, ${summary.cost:,.4f}.")
    if summary.fell_back:
        console.note(f"An LLM failed on {console.count(summary.fell_back, 'question')}: another, or quotes, took its place.")
    if summary.lost:
        console.note(f"{console.count(summary.lost, 'wanted place')} not in this index.")
    console.plain(console.safe(f"The report: {exam.folder.path / PAGE}"))


def _show_diff(found: Diff) -> None:
    rows = []
    for change in found.changes:
        verdict = "" if not change.sure else "better" if change.better else "WORSE" if change.lost else "worse"
        interval = f"{change.change.low:+.3f} to {change.change.high:+.3f}"
        rows.append(
            (
                change.measure.title,
                f"{change.before:.3f}",
                f"{change.after:.3f}",
                f"{change.change.value:+.3f}",
                interval,
                verdict,
            )
        )
    show_table(("Figure", "Before", "After", "Change", "95 % interval", "Beyond noise"), rows)
    for title, pairs in (("Better", found.better), ("Worse", found.worse)):
        if pairs:
            console.plain(f"\n{title}: {console.count(len(pairs), 'question')}")
            for before, after in pairs[:10]:
                console.plain(console.safe(f"  {before.case.question}  ({before.outcome} → {after.outcome})"))
            if len(pairs) > 10:
                console.plain(f"  and {len(pairs) - 10} more (--json has all)")
    left = f" {console.count(found.left_out, 'question')} in one of the runs only." if found.left_out else ""
    lost = ", ".join(change.measure.title for change in found.lost)
    console.plain(
        f"\n{console.count(found.count, 'question')} compared.{left} "
        + (f"Lost beyond noise: {lost}." if lost else "No loss beyond noise.")
    )


def show_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on a terminal; elsewhere a line for each row, with tabs."""
    from rich.table import Table

    screen = console.console()
    if not screen.is_terminal:
        for cells in (head, *rows):
            console.plain(console.safe("\t".join(cells), keep="\t"))
        return
    table = Table(box=None, pad_edge=False)
    for at, name in enumerate(head):
        table.add_column(name, justify="left" if at == 0 else "right")
    for row in rows:
        table.add_row(*(console.safe(cell) for cell in row))
    screen.print(table)
