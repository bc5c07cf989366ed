"""Shows answers on a terminal: sentences as they are released, then the sources that prove them."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from ingest.console import console, indented, one_line, place, plain, safe
from rag_bot.types import Answer, BlockedEvent, Citation, DoneEvent, Event, Sentence, SentenceEvent, StatusEvent

if TYPE_CHECKING:
    import asyncio

    from rich.status import Status

    from rag_bot.bot import Bot


def tell(loop: asyncio.Runner, bot: Bot, question: str, conversation: str | None, *, quotes: bool) -> Answer | None:
    """Ask, and show the answer while it is made and then its sources."""

    async def watch() -> Answer | None:
        with Teller() as teller:
            async for event in bot.stream(question, conversation):
                teller(event)
        return teller.answer

    answer = loop.run(watch())
    if answer:
        show_remarks(question, answer)
        show_sources(answer.citations, quotes=quotes and not answer.abstained)
    return answer


_DOING = {"search": "Searching", "read": "Reading", "answer": "Answering"}


class Teller:
    """Takes the events of one question and shows them; `answer` is there after the last one."""

    def __init__(self, doing: str = "Looking") -> None:
        self.answer: Answer | None = None
        self._told = False
        self._blocked = False
        screen = console(stderr=True)
        self._spinner: Status | None = screen.status(f"{doing} …") if screen.is_terminal else None

    def __enter__(self) -> Teller:
        if self._spinner:
            self._spinner.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._quiet()

    def __call__(self, event: Event) -> None:
        match event:
            case StatusEvent(step=step) if self._spinner:
                self._spinner.update(f"{_DOING.get(step, step)} …")
            case SentenceEvent(sentence=sentence):
                self._quiet()
                show_sentence(sentence)
                self._told = True
            case BlockedEvent(verdict=verdict):
                self._quiet()
                show_refusal(
                    f"{verdict.message or verdict.reason} (Refused by the rail {verdict.rail}: {verdict.reason}.)", "red"
                )
                self._blocked = True
            case DoneEvent(answer=answer):
                self._quiet()
                self.answer = answer
                self._finish(answer)
            case _:
                pass

    def _finish(self, answer: Answer) -> None:
        """What no earlier event has shown: a refusal, or an answer that came whole."""
        if self._told or self._blocked:
            return
        if answer.abstained:
            show_refusal(answer.answer, "yellow")
        else:
            plain(safe(answer.answer, keep="\n"))

    def _quiet(self) -> None:
        if self._spinner:
            self._spinner.stop()


def show_sentence(sentence: Sentence) -> None:
    """A sentence with the marks of its sources behind it; below it, if it is a table."""
    from rich.text import Text

    text = safe(sentence.text, keep="\n\t")
    line = Text(text, "" if sentence.supported else "strike")
    if sentence.citations:
        line.append("\n" if "\n" in text else " ").append("".join(f"[{n}]" for n in sentence.citations), "cyan")
    if not sentence.supported:
        line.append(" (not proved)", "yellow")
    console().print(line)


def show_remarks(question: str, answer: Answer) -> None:
    """What is to be known beside the answer: how a follow-up was understood, and what went wrong."""
    from rich.text import Text

    remarks = list(answer.notes)
    if question.split() != answer.question.split():
        remarks.insert(0, f"Understood as: {answer.question}")
    for remark in remarks:
        console().print(Text(one_line(remark), "dim"))


def show_refusal(text: str, style: str) -> None:
    """What is said in an answer's place."""
    from rich.text import Text

    console().print(Text.assemble(("— ", f"bold {style}"), (safe(text, keep="\n"), style)))


def show_sources(citations: Sequence[Citation], *, quotes: bool) -> None:
    """Where each mark leads to, with the words quoted from there."""
    from rich.text import Text

    if not citations:
        return
    screen = console()
    screen.print()
    for cited in citations:
        where = place(cited.title, cited.heading, cited.page, cited.place)
        screen.print(Text.assemble((f"[{cited.n}] ", "cyan"), (where, "bold")))
        indented(safe(cited.source), 4, "dim")
        if quotes:
            indented(f"“{one_line(cited.quote)}”", 4)
