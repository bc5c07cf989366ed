"""`rag-bot gaps`: what people asked and no document answers, and what else goes wrong in use."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from ingest import console
from rag_bot.eval_cli import IndexOption, JsonOption, show_table

_SHOWN = 15


def gaps(
    since: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="Begin with this day (UTC); else all.")
    ] = None,
    most: Annotated[int, typer.Option("--last", min=1, help="Look at so many of the last questions.")] = 5_000,
    recent: Annotated[int, typer.Option(min=1, help="Days that are held against the time before, for drift.")] = 7,
    old: Annotated[int, typer.Option(min=1, help="Days after which a document that is still cited is old.")] = 365,
    out: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a page.")] = None,
    index: IndexOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what people asked and no document answers: what someone should write. Also drift, thumbs, stale documents."""
    from datetime import UTC

    from ingest.index import Index
    from rag_bot.chat_state import history
    from rag_bot.eval.files import replace_text
    from rag_bot.eval.monitor import look
    from rag_bot.eval.monitor_report import drift_sentence, html, nearest
    from rag_bot.memory import Memory
    from rag_bot.settings import Settings

    settings = console.load_settings(Settings, index=index)
    with Index.open(settings.index, settings=settings) as opened:
        memory = Memory.of(settings)
        try:
            turns = history(memory, since.replace(tzinfo=UTC) if since else None, most)
        finally:
            memory.close()
        with console.console(stderr=True).status("Looking …"):
            report = look(opened, turns, recent_days=recent, old_days=old)
    if out:
        replace_text(out, html(report))
    if as_json:
        console.print_json(report.as_dict())
        return
    if not turns:
        console.plain("Nobody has asked anything yet.")
        return
    told = [console.count(report.questions, "question"), f"{report.refused:,} not answered", f"{report.cut:,} sentences cut"]
    console.plain(f"{', '.join(told)}, thumbs {report.up:,} up and {report.down:,} down, since {report.since}.")
    if report.drift:
        drift = report.drift
        console.plain(f"Nearness to the documents {drift.before:.3f}, lately {drift.recent:.3f}: {drift_sentence(drift)}.")
    several = [gap for gap in report.gaps if gap.count > 1]
    if several:
        console.plain("\nDocuments to write:\n")
        rows = [(f"{gap.count:,}", gap.name, gap.questions[0], nearest(gap)) for gap in several[:_SHOWN]]
        show_table(("Asked", "About", "Such as", "Nearest there is"), rows)
    once = sum(gap.count == 1 for gap in report.gaps)
    if once:
        console.plain(
            f"\n{console.count(once, 'more question')} that nobody else asked could not be answered (--json has all)."
        )
    if report.stale:
        console.plain("\nDocuments to look at:\n")
        show_table(("Document", "Why", "Cited"), [(one.title, one.reason, str(one.cited)) for one in report.stale[:_SHOWN]])
    if out:
        console.plain(console.safe(f"\nThe page: {out}", keep="\n"))
