"""Conversations and feedback in a real database."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from rag_bot.errors import NotFound, StateError
from rag_bot.memory import Memory
from rag_bot.types import Answer, Citation, Sentence, Turn, Usage

UNTIL = "Leave is taken until March."


def an_answer(conversation_id: str, answer_id: str, text: str = UNTIL, **more: Any) -> Answer:
    return Answer(
        **{
            "answer": f"{text} [1]",
            "abstained": False,
            "question": "Until when is leave taken?",
            "model": "quote",
            "conversation_id": conversation_id,
            "answer_id": answer_id,
            "sentences": (Sentence(text, (1,), True),),
            "citations": (Citation(1, "d1", "leave.md", "Leave", 2, ("Holidays",), 10, 10 + len(text), text),),
            "usage": Usage(3, 4, 0.5),
            **more,
        }
    )


@pytest.fixture
def url(state_url: str) -> str:
    """Of each kind of database."""
    return state_url


@pytest.fixture
def memory(url: str) -> Iterator[Memory]:
    memory = Memory(url)
    yield memory
    memory.close()


@pytest.fixture
def in_file(tmp_path: Path) -> Iterator[Memory]:
    """In SQLite's file `state.sqlite3`."""
    memory = Memory(f"sqlite:///{tmp_path / 'state.sqlite3'}")
    yield memory
    memory.close()


def rows(memory: Memory, query: str) -> list[tuple[Any, ...]]:
    with memory.transaction() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(query)]


def test_a_new_conversation_is_stored_with_its_first_answer(memory: Memory) -> None:
    conversation_id = memory.start()
    with pytest.raises(NotFound, match="no conversation"):
        memory.turns(conversation_id)
    memory.save("Until when?", an_answer(conversation_id, "a1"))
    assert memory.turns(conversation_id) == [Turn("Until when?", f"{UNTIL} [1]", "Until when is leave taken?", False, ("d1",))]


def test_ids_are_url_safe_and_differ(memory: Memory) -> None:
    ids = {memory.start() for _ in range(100)}
    assert len(ids) == 100
    assert all(each.replace("-", "").replace("_", "").isalnum() and len(each) >= 20 for each in ids)


def test_turns_are_the_last_ones_oldest_first(memory: Memory) -> None:
    for n in range(8):
        memory.save(f"question {n}", an_answer("c", f"a{n}", abstained=n == 7))
    assert [turn.question for turn in memory.turns("c")] == [f"question {n}" for n in range(2, 8)]
    assert [(turn.question, turn.abstained) for turn in memory.turns("c", limit=2)] == [
        ("question 6", False),
        ("question 7", True),
    ]


def test_a_conversation_survives_a_restart_with_its_whole_answers(url: str, memory: Memory) -> None:
    answer = an_answer("c", "a1", text="Größe “mit” ‘allem’ 🦊")
    memory.save("Wie groß?", answer)
    memory.close()
    again = Memory(url)
    saved = again.conversation("c")
    again.close()
    assert saved.conversation.title == "Wie groß?"
    assert [turn.question for turn in saved.turns] == ["Wie groß?"]
    assert saved.turns[0].answer["citations"][0]["quote"] == "Größe “mit” ‘allem’ 🦊"
    assert saved.turns[0].answer["sentences"] == [{"text": "Größe “mit” ‘allem’ 🦊", "citations": [1], "supported": True}]
    assert saved.turns[0].answer["usage"] == {"prompt_tokens": 3, "completion_tokens": 4, "cost": 0.5}


@pytest.mark.parametrize(
    ("asked", "title"),
    [
        ("How long?", "How long?"),
        ("  two\n lines  ", "two lines"),
        ("word " * 16, ("word " * 16).strip()),
        ("word " * 17, "word " * 15 + "word…"),
        ("x" * 200, "x" * 79 + "…"),
        ("y" * 79 + " z", "y" * 79 + "…"),
    ],
)
def test_the_title_is_the_first_question_cut_at_a_word(memory: Memory, asked: str, title: str) -> None:
    memory.save(asked, an_answer("c", "a1"))
    memory.save("another question", an_answer("c", "a2"))
    assert memory.conversation("c").conversation.title == title
    assert len(title) <= 80


def test_the_list_is_last_used_first_and_goes_on_from_a_place(memory: Memory) -> None:
    for n in range(5):
        memory.save(f"question {n}", an_answer(f"c{n}", f"a{n}"))
    memory.save("again", an_answer("c0", "a5"))
    first = memory.conversations(limit=2)
    second = memory.conversations(limit=10, before=first[-1].updated_at)
    assert [each.id for each in first] == ["c0", "c4"]
    assert [each.id for each in second] == ["c3", "c2", "c1"]
    assert first[0].created_at < second[0].updated_at < first[0].updated_at


def test_rename_changes_the_title_alone(memory: Memory) -> None:
    memory.save("How long?", an_answer("c", "a1"))
    before = memory.conversations()[0]
    renamed = memory.rename("c", "Parental leave")
    assert (renamed.title, renamed.updated_at) == ("Parental leave", before.updated_at)
    assert memory.conversations() == [renamed]


def test_delete_takes_turns_and_feedback_along(memory: Memory) -> None:
    memory.save("How long?", an_answer("c", "a1"))
    memory.save("How long?", an_answer("other", "a2"))
    memory.feedback("a1", 1)
    memory.feedback("a2", -1)
    memory.delete("c")
    with pytest.raises(NotFound):
        memory.conversation("c")
    assert rows(memory, "SELECT answer_id FROM turns") == [("a2",)]
    assert rows(memory, "SELECT answer_id FROM feedback") == [("a2",)]


def test_feedback_is_kept_and_the_last_word_counts(memory: Memory) -> None:
    memory.save("How long?", an_answer("c", "a1"))
    assert memory.conversation("c").turns[0].thumb is None
    memory.feedback("a1", -1, "wrong year", "leave-2026.md")
    memory.feedback("a1", 1)
    assert memory.conversation("c").turns[0].thumb == 1
    memory.feedback("a1", -1, "wrong year", "leave-2026.md")
    kept = rows(memory, "SELECT answer_id, thumb, reason, right_source FROM feedback")
    assert kept == [("a1", -1, "wrong year", "leave-2026.md")]


def test_what_is_not_there_is_not_found(memory: Memory) -> None:
    for call in (memory.turns, memory.conversation, memory.delete):
        with pytest.raises(NotFound, match="'nothing'"):
            call("nothing")
    with pytest.raises(NotFound, match="'nothing'"):
        memory.rename("nothing", "title")
    with pytest.raises(NotFound, match="no answer 'nothing'"):
        memory.feedback("nothing", 1)


def test_many_threads_write_one_new_conversation(memory: Memory) -> None:
    together = threading.Barrier(8)

    def save(n: int) -> None:
        together.wait()
        memory.save(f"question {n}", an_answer("c", f"a{n}"))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(save, range(8)))
    saved = memory.conversation("c")
    assert {turn.question for turn in saved.turns} == {f"question {n}" for n in range(8)}


def test_two_processes_worth_of_memories_share_one_database(url: str, memory: Memory) -> None:
    other = Memory(url)
    memory.save("one", an_answer("c", "a1"))
    other.save("two", an_answer("c", "a2"))
    assert [turn.question for turn in memory.turns("c")] == ["one", "two"]
    other.close()


def test_many_memories_may_make_the_tables_at_once(url: str) -> None:
    memories = [Memory(url) for _ in range(6)]
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(Memory.open, memories))
    memories[0].save("one", an_answer("c", "a1"))
    assert [len(each.turns("c")) for each in memories] == [1] * 6
    for each in memories:
        each.close()


def test_in_memory_all_threads_see_the_same(tmp_path: Path) -> None:
    memory = Memory("sqlite://")
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda n: memory.save("same", an_answer("c", f"a{n}")), range(8)))
    assert len(memory.turns("c", limit=20)) == 8


def test_what_no_database_takes_is_left_out_of_a_question(memory: Memory) -> None:
    memory.save("a\x00\ud800b'; DROP TABLE turns; --", an_answer("c", "a1"))
    assert memory.turns("c")[0].question == "ab'; DROP TABLE turns; --"


def test_the_same_answer_twice_is_an_error_not_a_second_turn(memory: Memory) -> None:
    memory.save("one", an_answer("c", "a1"))
    with pytest.raises(StateError):
        memory.save("one", an_answer("c", "a1"))
    assert len(memory.turns("c")) == 1


def test_sqlite_is_in_wal_mode_with_foreign_keys(in_file: Memory, tmp_path: Path) -> None:
    in_file.open()
    with sqlite3.connect(tmp_path / "state.sqlite3") as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_with_an_owner_another_s_conversation_is_none(memory: Memory) -> None:
    memory.save("mine", an_answer("c", "a1"), owner="user:ada")
    memory.save("theirs", an_answer("d", "a2"), owner="user:bob")
    memory.save("nobody's", an_answer("e", "a3"))

    assert [one.id for one in memory.conversations(owner="user:ada")] == ["c"]
    assert {one.id for one in memory.conversations()} == {"c", "d", "e"}
    tried: list[Callable[[str], object]] = [
        lambda name: memory.turns(name, owner="user:ada"),
        lambda name: memory.conversation(name, "user:ada"),
        lambda name: memory.rename(name, "x", "user:ada"),
        lambda name: memory.delete(name, "user:ada"),
        lambda name: memory.save("more", an_answer(name, "a9"), new=False, owner="user:ada"),
    ]
    for name in ("d", "e", "nonesuch", "d\x00"):
        for act in tried:
            with pytest.raises(NotFound):
                act(name)
    with pytest.raises(NotFound):
        memory.feedback("a2", 1, owner="user:ada")
    memory.feedback("a1", 1, owner="user:ada")
    assert memory.conversation("d").conversation.title == "theirs" and len(memory.conversation("d").turns) == 1


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("not a url", "not a database's URL"),
        ("sqlite:////nowhere/at/all/state.sqlite3", "no folder /nowhere/at/all"),
        ("nosuchdialect://host/name", "not a database's URL|can't|not installed"),
    ],
)
def test_a_place_that_can_not_be_opened_is_said(url: str, said: str) -> None:
    with pytest.raises(StateError, match=said) as caught:
        Memory(url).open()
    assert caught.value.hint


def test_a_file_that_is_no_database_is_said(in_file: Memory, tmp_path: Path) -> None:
    (tmp_path / "state.sqlite3").write_text("this is a letter, not a database\n" * 50)
    with pytest.raises(StateError, match="not a database") as caught:
        in_file.start()
    assert "RAG_BOT_STATE" in caught.value.hint


def test_a_full_disk_is_said_and_what_was_there_stays(in_file: Memory) -> None:
    memory = in_file
    memory.save("one", an_answer("c", "a1"))
    with memory.database._engine.connect() as connection:  # SQLite's own way to run out of room
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StateError, match="full"):
        memory.save("two", an_answer("c", "a2", text="long " * 20_000))
    assert [turn.question for turn in memory.turns("c")] == ["one"]


@pytest.mark.parametrize("kind", ["postgresql+psycopg", "postgresql+pg8000", "nosuchdialect", "not a dialect"])
def test_a_password_is_not_said(kind: str) -> None:
    with pytest.raises(StateError) as caught:
        Memory(f"{kind}://someone:hunter2@127.0.0.1:1/none").open()
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"
