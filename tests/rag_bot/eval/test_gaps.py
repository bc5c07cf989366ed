"""What people asked in vain, by subject; drift; stale documents; in the terminal, as a page and in /metrics."""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from zipfile import ZipFile

import pytest

from ingest.build import open_pipeline
from ingest.embedder import load_embedder
from ingest.index import Index
from rag_bot.api.monitor import Monitor
from rag_bot.bot import Bot
from rag_bot.chat_state import ChatState
from rag_bot.cli import main
from rag_bot.eval.gaps import Asked, gaps, name_of
from rag_bot.eval.monitor import Report, look
from rag_bot.eval.monitor_report import html
from rag_bot.memory import Memory
from rag_bot.settings import Settings
from rag_bot.types import Answer, Citation
from tests.commands import Outcome, outcome_of
from tests.rag_bot.api.conftest import client_of, wait_until
from tests.rag_bot.support import parts_of

_NUMBERS = count()
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
SUBJECTS = {
    "dental": (
        "Does the company pay for dental insurance?",
        "Is dental care covered?",
        "Who pays the dentist?",
        "Can I add my family to the dental plan?",
    ),
    "parking": ("Is there a car park at the Ghent site?", "Where can I park my car in Ghent?", "How much does parking cost?"),
    "gym": ("Is there a gym membership discount?", "Does the company pay for my gym?", "Are fitness classes subsidised?"),
    "bread": ("How do I bake bread?",),
    "cup": ("Who won the world cup?",),
}


def asked(text: str, count: int = 1) -> Asked:
    return Asked(text, count, "2026-11-01", "2026-11-20")


def test_questions_are_grouped_by_what_they_are_about_with_the_real_embedder() -> None:
    texts = [text for some in SUBJECTS.values() for text in some]
    found = gaps([asked(text) for text in texts], load_embedder("minilm").embed_queries(texts), texts)
    groups = {frozenset(gap.questions) for gap in found}
    assert groups == {frozenset(some) for some in SUBJECTS.values()}
    assert [gap.count for gap in found] == [4, 3, 3, 1, 1]
    assert "dental" in found[0].name
    assert {gap.name.split()[0].strip(",") for gap in found[1:3]} <= {"gym", "park", "car", "parking"}


def test_how_often_counts_and_not_in_how_many_words() -> None:
    texts = ["Is there a gym?", "How do I bake bread?"]
    vectors = load_embedder("hash").embed_queries(texts)
    found = gaps([asked(texts[0]), Asked(texts[1], 7, "2026-10-01", "2026-10-02")], vectors, texts)
    assert [(gap.name, gap.count, gap.first, gap.last) for gap in found] == [
        ("bake bread", 7, "2026-10-01", "2026-10-02"),
        ("gym", 1, "2026-11-01", "2026-11-20"),
    ]
    assert gaps([], vectors[:0], []) == []


def test_names() -> None:
    def name(*texts: str, background: tuple[str, ...] = ()) -> str:
        every = [*texts, *background]
        common = Counter(word for text in every for word in set(text.lower().strip("?").split()))
        return name_of(texts, common, len(every))

    assert name("What is the guest wifi password?", "Guest wifi?") == "guest wifi"
    assert (
        name("company gym?", "a gym for the company?", background=("company car?", "company pay?", "company leave?")) == "gym"
    )
    assert name("What?", "Why?") == "What?"  # nothing in it says anything
    assert name("dental insurance cover?", "the care, dental or not?", "teeth insurance") == "dental insurance"


# --- over a database and an index


@pytest.fixture
def memory(home: Settings) -> Iterator[Memory]:
    memory = Memory(home.state_url)
    yield memory
    memory.close()


def save(
    memory: Memory, question: str, *, days: float = 0, document: str = "", thumb: int = 0, cut: int = 0, abstained: bool = True
) -> None:
    """A question asked so many days before NOW; with a document it was answered from there."""
    number = next(_NUMBERS)
    citation = Citation(1, document, "s", "T", None, (), 0, 1, "x")
    answer = Answer(
        "text", abstained and not document, question, "quote", f"c{number}", f"a{number}",
        citations=(citation,) if document else (), counts={"sentences_cut": cut},
    )  # fmt: skip
    memory.save(question, answer)
    if thumb:
        memory.feedback(answer.answer_id, thumb)
    at = (NOW - timedelta(days=days)).isoformat(timespec="microseconds")
    with sqlite3.connect(str(memory.database._engine.url.database)) as database:
        database.execute("UPDATE turns SET at = ? WHERE answer_id = ?", (at, answer.answer_id))
    database.close()


def report(home: Settings, memory: Memory) -> Report:
    with Index.open(home.index) as index:
        return look(index, memory.history(), now=NOW)


def id_of(home: Settings, name: str) -> str:
    with Index.open(home.index) as index:
        return next(info.document_id for info in index.documents() if info.source.endswith(name))


def test_history_is_every_turn_in_order(memory: Memory) -> None:
    save(memory, "Second?", days=1, thumb=-1)
    save(memory, "First?", days=2)
    save(memory, "Third?", days=0, thumb=1)
    turns = memory.history()
    assert [(turn.question, turn.thumb) for turn in turns] == [("First?", None), ("Second?", -1), ("Third?", 1)]
    assert [turn.question for turn in memory.history(NOW - timedelta(days=1.5))] == ["Second?", "Third?"]
    assert [turn.question for turn in memory.history(limit=1)] == ["Third?"]


def test_what_is_counted(home: Settings, memory: Memory) -> None:
    leave = id_of(home, "leave.md")
    save(memory, "Is there a gym?", days=3)
    save(memory, "Is  there a GYM?", days=2)
    save(memory, "How many days of paid leave?", days=1, document=leave, cut=2, thumb=1)
    found = report(home, memory)
    assert (found.questions, found.refused, found.cut, found.up, found.down) == (3, 2, 2, 1, 0)
    [gap] = found.gaps
    assert (gap.name, gap.count, gap.first, gap.last) == ("gym", 2, "2026-11-22", "2026-11-23")
    assert len(gap.nearest) == 2 and gap.nearest[0][1] >= gap.nearest[1][1]
    assert [(p.start, p.questions, p.refused) for p in found.periods] == [
        ("2026-11-22", 1, 1),
        ("2026-11-23", 1, 1),
        ("2026-11-24", 1, 0),
    ]
    assert found.periods[2].nearness > found.periods[0].nearness > -1


def test_a_long_time_is_shown_by_weeks(home: Settings, memory: Memory) -> None:
    for days in (0, 1, 30):
        save(memory, "Is there a gym?", days=days)
    assert [(p.start, p.questions) for p in report(home, memory).periods] == [("2026-10-26", 1), ("2026-11-23", 2)]


def test_questions_that_move_away_from_the_documents_are_noticed(home: Settings, memory: Memory) -> None:
    near = (
        "How many days of paid leave does everyone get?",
        "Who is ill calls whom before nine?",
        "Is the summer party in Ghent?",
    )
    far = ("Which quark is heaviest?", "Can penguins fly backwards?", "Why do volcanoes erupt?")
    for n in range(9):
        save(memory, near[n % 3], days=20, document="x")
        save(memory, near[n % 3], days=1, document="x")
    steady = report(home, memory).drift
    assert steady is not None and not steady.away and steady.change.value == pytest.approx(0, abs=1e-6)
    for n in range(9):
        save(memory, far[n % 3], days=2)
    moved = report(home, memory).drift
    assert moved is not None and moved.away and moved.recent < moved.before


def test_a_few_questions_are_no_drift(home: Settings, memory: Memory) -> None:
    save(memory, "Which quark?", days=1)
    save(memory, "How many days of leave?", days=20)
    assert report(home, memory).drift is None


def test_stale_documents(tmp_path: Path) -> None:
    settings = Settings(index=tmp_path / "index", embedder="hash")
    folder = tmp_path / "documents"
    folder.mkdir()
    for name in ("fine", "gone", "changed", "touched", "disliked"):
        (folder / f"{name}.md").write_text(f"# {name}\n\nA text on {name} things.\n", encoding="utf-8")
    for name in ("packed", "lost"):
        with ZipFile(folder / f"{name}.zip", "w") as archive:
            archive.writestr(f"{name}.md", f"# {name}\n\nA text on {name} things.\n")
    with open_pipeline(settings) as pipeline:
        pipeline.add([folder])
        pipeline.upload("sent.md", b"# Sent\n\nAn upload has no file.\n")
    (folder / "gone.md").unlink()
    (folder / "lost.zip").unlink()
    (folder / "changed.md").write_text("# changed\n\nSomething else.\n", encoding="utf-8")
    later = datetime.now(UTC).timestamp() + 60
    for name in ("changed.md", "touched.md", "packed.zip"):
        os.utime(folder / name, (later, later))
    memory = Memory(settings.state_url)
    for thumb in (-1, -1, 1):
        save(memory, "Disliked things?", document=id_of(settings, "disliked.md"), thumb=thumb)
    save(memory, "Fine things?", document=id_of(settings, "fine.md"), thumb=-1)
    save(memory, "Sent?", document="no-such-document", thumb=-1)

    def reasons(now: datetime) -> dict[str, list[str]]:
        with Index.open(settings.index) as index:
            found: dict[str, list[str]] = {}
            for one in look(index, memory.history(), now=now).stale:
                found.setdefault(Path(one.source).stem, []).append(one.kind)
            return found

    stale = {"disliked": ["disliked"], "gone": ["gone"], "lost": ["gone"], "changed": ["changed"]}
    assert reasons(datetime.now(UTC)) == stale
    old = reasons(datetime.now(UTC) + timedelta(days=400))
    assert old["fine"] == ["old"] and "old" in old["disliked"] and "touched" not in old  # nobody cites that one
    memory.close()


def test_nothing_was_asked(home: Settings, memory: Memory) -> None:
    empty = report(home, memory)
    assert (empty.questions, empty.gaps, empty.periods, empty.drift) == (0, [], [], None)
    assert "No subject was asked about twice" in html(empty)


def test_the_page_shows_what_people_typed_as_it_is(home: Settings, memory: Memory) -> None:
    evil = "<script>alert(1)</script> & gym"
    for days in (0, 1, 2):
        save(memory, evil, days=days)
    page = html(report(home, memory))
    assert "<script" not in page and "&lt;script&gt;alert(1)&lt;/script&gt; &amp; gym" in page
    assert "asked 3 times, 2026-11-23 to 2026-11-25" in page


# --- the command

RagBot = Callable[..., Outcome]


@pytest.fixture
def rag_bot(home: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> RagBot:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Outcome:
        return outcome_of(main, ("gaps", "--index", str(home.index), *arguments), capsys)

    return run


def test_the_command(rag_bot: RagBot, memory: Memory, tmp_path: Path) -> None:
    assert rag_bot().out == "Nobody has asked anything yet.\n"
    for days in (0, 1, 40):
        save(memory, "Is there a gym?", days=days)
    save(memory, "Which \x1b[31mquark?", days=1)
    told = rag_bot("--html", "out/gaps.html")
    assert told.code == 0 and "\x1b" not in told.out
    assert told.out.startswith("4 questions, 4 not answered, 0 sentences cut, thumbs 0 up and 0 down, since 2026-10-16.")
    assert "3\tgym\tIs there a gym?\t" in told.out and "1 more question that nobody else asked" in told.out
    assert (tmp_path / "out" / "gaps.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    data = rag_bot("--json", "--since", "2026-11-01").json
    assert data["questions"] == 3 and data["gaps"][0]["count"] == 2
    assert rag_bot("--json", "--last", "1").json["questions"] == 1


# --- /metrics


async def test_the_numbers_come_to_metrics_in_the_background(asked: Bot) -> None:
    monitor = Monitor(asked)
    assert list(monitor.collect()) == []
    now = datetime.now(UTC)
    for _ in range(2):
        await asked.answer("Which quark has the largest mass?")
    thread = monitor.look()
    assert thread is not None
    thread.join(30)
    assert monitor.look() is None  # not before an hour is over
    found = {(sample.name, *sample.labels.values()): sample.value for family in monitor.collect() for sample in family.samples}
    assert found["rag_bot_gap_questions", "largest mass"] == 2
    assert found["rag_bot_unanswered_questions",] == 2
    assert found["rag_bot_thumbs", "down"] == 0 and found["rag_bot_stale_documents", "gone"] == 0
    assert (datetime.now(UTC) - now).total_seconds() < 60


async def test_what_was_asked_on_a_chat_platform_is_counted_and_not_named(asked: Bot) -> None:
    state = ChatState(asked.memory)
    for n in range(3):
        answer = await asked.answer("Which quark has the largest mass?", turns=[])
        state.keep(
            answer, answer.question, thread="slack/T/DUANN/1", position=str(n), channel="slack/T/DUANN", asker="slack/T/UANN"
        )
    monitor = Monitor(asked)
    thread = monitor.look()
    assert thread is not None
    thread.join(30)
    found = [(sample.name, *sample.labels.values(), sample.value) for family in monitor.collect() for sample in family.samples]
    assert ("rag_bot_unanswered_questions", 3) in found
    assert not any(sample[0] == "rag_bot_gap_questions" for sample in found)


def test_metrics_answer_at_once_and_have_the_gaps_a_moment_later(home: Settings) -> None:
    with client_of(Bot(home, lambda: parts_of(home))) as client:
        wait_until(lambda: client.get("/health/ready").status_code == 200)
        for _ in range(2):
            assert client.post("/v1/chat", json={"question": "Which quark has the largest mass?"}).json()["abstained"]
        assert client.get("/metrics").status_code == 200
        wait_until(lambda: "rag_bot_unanswered_questions 2.0" in client.get("/metrics").text)


async def test_a_database_that_is_away_fails_no_scrape(asked: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked.memory, "history", lambda *_: 1 / 0)
    monitor = Monitor(asked)
    thread = monitor.look()
    assert thread is not None
    thread.join(10)
    assert list(monitor.collect()) == []
