"""The pages that are made from the code are fresh, and what the README tells people to type exists."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.parsers import SUPPORTED
from rag_bot.settings import Settings
from scripts import make_docs

ROOT = Path(__file__).resolve().parent.parent
# Variables that are no settings of the program.
OTHER_VARIABLES = {"RAG_BOT_SOAK"}


def commands(text: str) -> Iterator[list[str]]:
    """The lines of shell in a Markdown page's code blocks, in words, without prompts and without `.venv/bin/`."""
    for block in re.findall(r"^```(?:sh|bash|console|shell)\n(.*?)^```", text, re.M | re.S):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                words = words[1:]
            if words:
                yield [words[0].rpartition("/")[2], *words[1:]]


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))


def unknown(words: list[str]) -> list[str]:
    """What of a command line does not exist: a target, a subcommand, an option."""
    program, arguments = words[0], words[1:]
    if program == "make":
        return [word for word in arguments if "=" not in word and word not in make_targets()]
    helps = make_docs.helps()
    if program not in {"ingest", "rag-bot"} or not arguments:
        return []
    command = f"{program} {arguments[0]}"
    if " ".join([command, *arguments[1:2]]) in helps:
        command = " ".join([command, *arguments[1:2]])
    text = helps.get(program if arguments[0].startswith("-") else command)
    if text is None:
        return [command]
    options = [word.partition("=")[0] for word in arguments if re.match(r"--?[a-z]", word)]
    return [f"{command} {option}" for option in options if not re.search(rf"(?<!\S){option}\b", text)]


@pytest.mark.parametrize("path", make_docs.pages(), ids=lambda path: path.name)
def test_made_pages_are_fresh(path: Path) -> None:
    assert path not in make_docs.stale(), "run `make docs`"


def test_what_the_owasp_page_points_to_is_there() -> None:
    from benchmarks.registry import BENCHMARKS

    text = (ROOT / "docs" / "owasp.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| **")]
    assert len(rows) == 11  # ten items, the first in two rows
    for row in rows:
        shown, folder = row.rpartition("|")[0].rpartition("|")[2], Path()
        for name in re.findall(r"`([^`]+)`", shown):
            if name.endswith(".py"):
                path = Path(name) if "/" in name else folder / name
                folder = path.parent
                assert (ROOT / path).is_file(), path
            else:
                assert name in BENCHMARKS, name


def test_a_changed_page_is_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make_docs, "DOCS", tmp_path)
    assert {path.name for path in make_docs.stale()} == {"configuration.md", "cli.md"}
    assert make_docs.main([]) == 0
    assert make_docs.main(["--check"]) == 0
    with (tmp_path / "cli.md").open("a", encoding="utf-8") as page:
        page.write("changed by hand\n")
    assert [path.name for path in make_docs.stale()] == ["cli.md"]
    assert make_docs.main(["--check"]) == 1


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_described(name: str) -> None:
    description = Settings.model_fields[name].description or ""
    assert description.endswith("."), f"the setting {name} needs a description: a sentence"
    assert f"`RAG_BOT_{name.upper()}`" in make_docs.configuration()


def test_every_command_is_on_the_page() -> None:
    page = make_docs.command_lines()
    for command in ("ingest add", "ingest verify", "rag-bot ask", "rag-bot serve"):
        assert f"### {command}\n" in page


@pytest.mark.parametrize("page", ["README.md", "docs/slack.md", "docs/deployment.md"])
def test_pages_name_only_what_exists(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    typed = list(commands(text))
    assert typed, "the page has an example that can be typed"
    assert [fault for words in typed for fault in unknown(words)] == []
    settings = {f"RAG_BOT_{name.upper()}" for name in Settings.model_fields} | OTHER_VARIABLES
    assert set(re.findall(r"RAG_BOT_[A-Z_]*[A-Z]", text)) - settings == set()


def test_the_reader_of_commands_finds_what_does_not_exist() -> None:
    page = (
        "```sh\n$ make demo PORT=9000  # starts\nRAG_BOT_INDEX=x .venv/bin/ingest add . --indx x\nmake tea\nrag-bot fly\n```\n"
    )
    typed = list(commands(page))
    assert typed[1] == ["ingest", "add", ".", "--indx", "x"]
    assert [fault for words in typed for fault in unknown(words)] == ["ingest add --indx", "tea", "rag-bot fly"]


def test_the_page_of_the_rails_names_every_category_of_harm() -> None:
    from rag_bot.rails.harm import CATEGORIES

    text = (ROOT / "docs" / "rails.md").read_text(encoding="utf-8")
    listed = text.partition("The categories: ")[2].partition(".\n")[0]
    assert re.findall(r"`([a-z-]+)`", listed) == sorted(CATEGORIES)


def test_every_format_is_on_its_page() -> None:
    page = (ROOT / "docs/formats.md").read_text(encoding="utf-8")
    assert [suffix for suffix in SUPPORTED if f"`{suffix}`" not in page] == []
