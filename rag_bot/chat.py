"""A conversation in the terminal: a prompt, an answer, and the next prompt."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ingest.console import complain, decoded, note, plain
from ingest.errors import IngestError
from rag_bot.errors import BotError
from rag_bot.terminal import show_sources, tell

if TYPE_CHECKING:
    import asyncio

    from rag_bot.bot import Bot
    from rag_bot.types import Answer

HELP = "/sources shows the last answer's quotes, /new begins a new conversation, /quit or Ctrl-D ends."


def converse(loop: asyncio.Runner, bot: Bot, conversation: str | None) -> None:
    """Read a line, do it, until the end of input."""
    if sys.stdin.isatty():
        _edit_lines()
        note(f"Ask your documents. {HELP}")
    last: Answer | None = None
    while (line := _read_line()) is not None:
        if line in ("/quit", "/exit"):
            return
        if line == "/new":
            conversation = last = None
            note("A new conversation.")
        elif line == "/sources":
            show_sources(last.citations if last else (), quotes=True)
            if not (last and last.citations):
                note("There is no answer with sources yet.")
        elif line.startswith("/"):
            note(HELP)
        elif line and (answer := _turn(loop, bot, line, conversation)):
            last, conversation = answer, answer.conversation_id


def _turn(loop: asyncio.Runner, bot: Bot, question: str, conversation: str | None) -> Answer | None:
    """One question; what goes wrong with it, and Ctrl-C, end the turn and not the conversation."""
    try:
        answer = tell(loop, bot, decoded(question), conversation, quotes=False)
        plain("")
        return answer
    except (BotError, IngestError) as error:
        complain(str(error), error.hint)
    except UnicodeError:
        complain("The question is not UTF-8 text.", "Set the terminal to UTF-8.")
    except KeyboardInterrupt:
        note("Stopped.")
    return None


def _read_line() -> str | None:
    """The next line without its outer blanks; None at the end of input. Ctrl-C drops what was typed."""
    terminal = sys.stdin.isatty()
    while True:
        try:
            return input("> " if terminal else "").strip()
        except EOFError:
            if terminal:
                print()
            return None
        except KeyboardInterrupt:
            print()


def _edit_lines() -> None:
    try:
        import readline
    except ImportError:
        return  # not every Python has it; then a line is typed without the arrow keys
    readline.set_history_length(1000)
