"""The story of an answer, with the real index and the hash embedder."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ingest.build import open_pipeline
from ingest.errors import DocumentNotFound, IndexMissing
from ingest.index import Index
from rag_bot.answer import Brief
from rag_bot.bot import NOTHING_THERE, REFUSAL, Bot, text_reader
from rag_bot.build import build_bot
from rag_bot.errors import BadQuestion, Busy, NotFound, StateError
from rag_bot.gate import Gate
from rag_bot.memory import Memory
from rag_bot.settings import Settings
from rag_bot.types import (
    Answer,
    BlockedEvent,
    Claim,
    DoneEvent,
    Report,
    SentenceEvent,
    SourcesEvent,
    StatusEvent,
    Turn,
    Usage,
    Verdict,
)
from tests.rag_bot.support import (
    LEAVE,
    LEAVE_SENTENCE,
    ScriptedAnswerer,
    WordRails,
    assert_exact,
    events_of,
    fill,
    first_sentences,
    running,
)

UNKNOWN = "Who painted the Night Watch?"


def turn_of(question: str, answer: Answer) -> Turn:
    return Turn(question, answer.answer, answer.question, answer.abstained)


def sources(answer: Answer) -> list[str]:
    return [citation.source.removeprefix("upload:") for citation in answer.citations]


# --- answers


async def test_an_answer_is_a_sentence_word_for_word_with_its_exact_place(asked: Bot) -> None:
    answer = await asked.answer(LEAVE)
    assert (answer.abstained, answer.blocked, answer.model) == (False, None, "quote")
    assert answer.sentences[0].text == LEAVE_SENTENCE
    assert answer.sentences[0].supported
    assert answer.answer.startswith(f"{LEAVE_SENTENCE} [1]")
    [first, *_] = answer.citations
    assert (first.n, first.source, first.title, first.heading, first.quote) == (
        1, "upload:leave.md", "Leave", ("Leave",), LEAVE_SENTENCE,
    )  # fmt: skip
    assert_exact(asked.index, answer)


async def test_places_count_characters_whatever_stands_before(asked: Bot) -> None:
    answer = await asked.answer("When is the summer party held?")
    [citation] = [c for c in answer.citations if "summer party" in c.quote]
    assert citation.quote == "The summer party 🦊 is held on 3 July — in Ghent 👩‍👩‍👧."
    assert_exact(asked.index, answer)


@pytest.mark.parametrize(
    ("question", "quotes"),
    [
        ("Is Oslo 140 euros?", ["| city | night rate |\n| --- | --- |\n| Oslo | 140 euros |"]),
        ("Does Paris cost 180 euros?", ["| city | night rate |\n| --- | --- |", "| Paris | 180 euros |"]),
    ],
)
async def test_a_row_of_a_table_is_quoted_with_its_header(asked: Bot, question: str, quotes: list[str]) -> None:
    answer = await asked.answer(question)
    row = answer.sentences[0]
    assert row.text == "\n".join(quotes)
    assert [c.quote for c in answer.citations if c.n in row.citations] == quotes
    assert_exact(asked.index, answer)


async def test_an_answer_is_one_to_three_sentences(asked: Bot) -> None:
    questions = (LEAVE, "paid leave", "When is the summer party held?", "Do contractors get salary during illness?", "euros")
    answers = [await asked.answer(question) for question in questions]
    assert all(1 <= len(answer.sentences) <= 3 for answer in answers if not answer.abstained)
    assert sum(not answer.abstained for answer in answers) >= 4


async def test_documents_that_disagree_are_both_quoted(tmp_path: Path) -> None:
    documents = {
        "new.md": "# Hotels\n\nHotels cost 165 euros a night at most.\n",
        "old.md": "# Hotels\n\nHotels cost 120 euros a night at most.\n",
        "copy.md": "# Hotels\n\nHotels cost 165 euros a night at most.\n",
    }
    async with running(fill(tmp_path / "index", documents)) as bot:
        answer = await bot.answer("How many euros do hotels cost a night?")
        assert sorted(s.text for s in answer.sentences) == [
            "Hotels cost 120 euros a night at most.",
            "Hotels cost 165 euros a night at most.",
        ]
        assert_exact(bot.index, answer)


# --- refusals


async def test_a_refusal_names_the_nearest_sections_with_exact_marks(asked: Bot) -> None:
    answer = await asked.answer("Who paints the leave of contractors in Rome?")
    assert answer.abstained and not answer.sentences
    assert answer.answer.startswith(f"{REFUSAL} Closest: ")
    assert "Leave › Contractors [" in answer.answer
    assert 1 <= len(answer.citations) <= 3
    assert_exact(asked.index, answer)


@pytest.mark.parametrize("question", ["???", "🙂", "the of and", '"" AND (OR) NOT *:*', "a" * 300, "x " * 300])
async def test_what_asks_for_nothing_is_refused_not_broken(asked: Bot, question: str) -> None:
    answer = await asked.answer(question)
    assert answer.abstained
    assert answer.answer.startswith(REFUSAL)
    assert_exact(asked.index, answer)


async def test_without_documents_it_says_so(tmp_path: Path) -> None:
    async with running(fill(tmp_path / "index", {})) as bot:
        events, answer = await events_of(bot.stream(LEAVE))
    assert (answer.answer, answer.abstained, answer.citations) == (NOTHING_THERE, True, ())
    assert [event.hits for event in events if isinstance(event, SourcesEvent)] == [()]


# --- what can't be asked


@pytest.mark.parametrize(
    ("question", "says"),
    [("", "empty"), (" \n\t ", "empty"), ("\ud800\udfff", "empty"), ("x" * 10_001, "10,001 characters; 10,000")],
)
async def test_what_is_no_question_is_refused_before_the_first_event(asked: Bot, question: str, says: str) -> None:
    with pytest.raises(BadQuestion, match=says) as caught:
        await anext(asked.stream(question))
    assert caught.value.hint
    assert asked.memory.conversations() == []


async def test_half_a_surrogate_pair_in_a_question_is_left_out(asked: Bot) -> None:
    answer = await asked.answer(f"\udc80{LEAVE}\ud83d")
    assert answer.question == LEAVE
    assert answer.sentences[0].text == LEAVE_SENTENCE
    assert asked.memory.turns(answer.conversation_id)[0].question == LEAVE


async def test_the_limit_on_a_question_is_a_setting(home: Settings) -> None:
    async with running(home.model_copy(update={"max_question_chars": 10})) as bot:
        assert (await bot.answer("0123456789")).abstained
        with pytest.raises(BadQuestion, match="11 characters; 10"):
            await bot.answer("0123456789X")


async def test_a_conversation_that_is_not_there_is_not_found(asked: Bot) -> None:
    with pytest.raises(NotFound):
        await asked.answer(LEAVE, "no-such-conversation")


async def test_before_it_is_started_and_after_it_is_closed_nothing_is_answered(home: Settings) -> None:
    async with running(home) as bot:
        assert bot.ready() is None
    for idle in (bot, Bot(home, lambda: pytest.fail("never opened"))):
        assert "being loaded" in (idle.ready() or "")
        with pytest.raises(Busy, match="being loaded"):
            await idle.answer(LEAVE)


async def test_a_start_that_failed_is_told_and_can_be_tried_again(tmp_path: Path, home: Settings) -> None:
    place = tmp_path / "later"

    bot = build_bot(Settings(index=place))
    with pytest.raises(IndexMissing):
        await bot.start()
    assert "no index" in (bot.ready() or "")
    shutil.copytree(home.index, place)
    await bot.start()
    assert bot.ready() is None
    await bot.close()


# --- conversations


async def test_a_follow_up_is_about_what_the_conversation_is_about(asked: Bot) -> None:
    for question, told in (
        ("How many days of paid leave are there?", "Contractors get no paid leave."),
        ("Is salary paid during illness?", "Contractors get no salary during illness."),
    ):
        first = await asked.answer(question)
        given = await asked.answer("And for contractors?", turns=[turn_of(question, first)])
        stored = await asked.answer("And for contractors?", first.conversation_id)
        for answer in (given, stored):
            assert told in [sentence.text for sentence in answer.sentences]
            assert answer.question == f"{question} And for contractors?"
        assert first.conversation_id == stored.conversation_id != given.conversation_id


async def test_a_new_topic_is_not_mixed_with_the_old_one(asked: Bot) -> None:
    first = await asked.answer(LEAVE)
    second = await asked.answer("When is the summer party held in Ghent?", first.conversation_id)
    assert second.question == "When is the summer party held in Ghent?"
    assert set(sources(second)) == {"party.txt"}


async def test_a_conversation_outlives_the_bot(home: Settings) -> None:
    async with running(home) as bot:
        first = await bot.answer("Is salary paid during illness?")
    async with running(home) as bot:
        second = await bot.answer("And for contractors?", first.conversation_id)
        kept = bot.memory.conversation(first.conversation_id)
    assert "Contractors get no salary during illness." in second.answer
    assert [turn.answer["answer_id"] for turn in kept.turns] == [first.answer_id, second.answer_id]
    assert kept.turns[0].answer["citations"][0]["quote"] == first.citations[0].quote


async def test_an_answer_that_can_not_be_kept_is_given_all_the_same(home: Settings, caplog: pytest.LogCaptureFixture) -> None:
    class Full(Memory):
        def save(self, *arguments: Any, **named: Any) -> None:
            raise StateError("The disk is full.")

    async with running(home, memory=Full(home.state_url)) as bot:
        assert (await bot.answer(LEAVE)).sentences[0].text == LEAVE_SENTENCE
    assert "The disk is full." in caplog.text


async def test_a_conversation_that_is_deleted_while_it_is_answered_stays_deleted(asked: Bot) -> None:
    first = await asked.answer(LEAVE)
    async for event in asked.stream(LEAVE, first.conversation_id):
        if event.name == "sources":
            asked.memory.delete(first.conversation_id)
    assert asked.memory.conversations() == []


async def test_turns_that_the_caller_keeps_are_not_stored(asked: Bot) -> None:
    await asked.answer(LEAVE, turns=[])
    assert asked.memory.conversations() == []


async def test_refusals_are_kept_too(asked: Bot) -> None:
    answer = await asked.answer(UNKNOWN)
    [turn] = asked.memory.turns(answer.conversation_id)
    assert (turn.question, turn.answer, turn.abstained) == (UNKNOWN, answer.answer, True)


# --- events


async def test_events_come_in_order_and_the_last_is_the_whole(asked: Bot) -> None:
    events, answer = await events_of(asked.stream(LEAVE))
    names = [event.name for event in events]
    sentences = [event for event in events if isinstance(event, SentenceEvent)]
    assert names == ["status", "sources", "status", "status", *["sentence"] * len(sentences), "done"]
    assert [event.step for event in events if isinstance(event, StatusEvent)] == ["search", "read", "answer"]
    assert tuple(event.sentence for event in sentences) == answer.sentences
    assert [c for event in sentences for c in event.citations] == list(answer.citations)
    [hits] = [event.hits for event in events if isinstance(event, SourcesEvent)]
    assert sources(answer)[0] in {hit.document.source.removeprefix("upload:") for hit in hits}


async def test_a_refusal_has_no_sentence_among_its_events(asked: Bot) -> None:
    events, answer = await events_of(asked.stream(UNKNOWN))
    assert [event.name for event in events] == ["status", "sources", "status", "done"]
    assert answer.abstained


async def test_every_step_is_timed(asked: Bot) -> None:
    timings = (await asked.answer(LEAVE)).timings_ms
    assert set(timings) == {
        "rewrite",
        "rails",
        "embed",
        "queue",
        "search",
        "evidence",
        "gate",
        "first_sentence",
        "memory",
        "total",
    }
    assert all(0 <= ms <= timings["total"] for ms in timings.values())


@pytest.mark.parametrize("name", ["status", "sources", "sentence"])
async def test_closing_the_stream_stops_the_work_and_keeps_nothing(home: Settings, name: str) -> None:
    answerer = ScriptedAnswerer()
    async with running(home, answerer=answerer) as bot:
        stream = bot.stream(LEAVE)
        async for event in stream:
            if event.name == name:
                break
        await stream.aclose()
        assert answerer.closed == bool(answerer.asked) == (name == "sentence")
        assert bot.memory.conversations() == []
        assert not (await bot.answer(LEAVE)).abstained


async def test_a_task_that_is_cancelled_keeps_nothing(home: Settings) -> None:
    reached = asyncio.Event()

    class Waiting:
        name = "waiting"

        async def __call__(self, brief: Brief) -> AsyncGenerator[Claim | Report, None]:
            yield first_sentences(brief.passages)[0]
            reached.set()
            await asyncio.Event().wait()

    async with running(home, answerer=Waiting()) as bot:
        task = asyncio.create_task(bot.answer(LEAVE))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert bot.memory.conversations() == []


async def test_few_questions_are_looked_up_at_a_time_and_who_leaves_the_queue_holds_up_nobody(
    asked: Bot, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, go_on, search = threading.Lock(), threading.Event(), asked.index.search
    at_once, most = 0, 0

    def watched(*arguments: Any, **named: Any) -> Any:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        try:
            assert go_on.wait(30)
            return search(*arguments, **named)
        finally:
            with lock:
                at_once -= 1

    monkeypatch.setattr(asked.index, "search", watched)
    asking = [asyncio.create_task(asked.answer(LEAVE)) for _ in range(8)]
    while at_once < 2:
        await asyncio.sleep(0.01)
    for left in (asking[3], asking[5]):
        left.cancel()
    await asyncio.sleep(0.1)
    assert most == 2
    go_on.set()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert [isinstance(answer, Answer) for answer in answers].count(True) == 6
    assert most == 2


async def test_many_questions_at_once_get_their_own_answers(asked: Bot) -> None:
    questions = [LEAVE, "When is the summer party held?", "Is Oslo 140 euros?", UNKNOWN] * 6
    answers = await asyncio.gather(*(asked.answer(question) for question in questions))
    assert [answer.question for answer in answers] == questions
    assert len({answer.answer_id for answer in answers}) == len(answers)
    for number in range(4):
        assert len({answer.answer for answer in answers[number::4]}) == 1
    for answer in answers:
        assert_exact(asked.index, answer)


# --- rails, answerer and gate meet


async def test_a_question_that_a_rail_refuses_is_blocked_before_anything_is_looked_for(home: Settings) -> None:
    async with running(home, rails=WordRails("salary", "nothing"), evidence=None, answerer=ScriptedAnswerer()) as bot:
        events, answer = await events_of(bot.stream("What is the salary of the boss?"))
        [kept] = bot.memory.conversation(answer.conversation_id).turns
        assert bot.memory.turns(answer.conversation_id) == []  # no follow-up goes on from it
    assert [type(event) for event in events] == [BlockedEvent, DoneEvent]
    assert answer.as_dict()["blocked"] == {
        "rail": "words",
        "reason": "word",
        "message": "We don't speak of salary.",
    }
    assert (answer.abstained, answer.sentences, answer.citations) == (False, (), ())
    assert answer.answer == "We don't speak of salary." == kept.answer["answer"]


async def test_a_sentence_that_a_rail_refuses_is_left_out(home: Settings) -> None:
    answerer = ScriptedAnswerer()
    async with running(home, answerer=answerer) as bot:
        whole = await bot.answer(LEAVE)
    async with running(home, answerer=answerer, rails=WordRails("nothing", "26 days")) as bot:
        without = await bot.answer(LEAVE)
        assert_exact(bot.index, without)
    assert "26 days" in whole.answer and "26 days" not in without.answer
    assert len(without.sentences) == len(whole.sentences) - 1


async def test_an_answer_of_which_a_rail_leaves_nothing_is_blocked(home: Settings) -> None:
    async with running(home, rails=WordRails("nothing", "")) as bot:
        events, answer = await events_of(bot.stream(LEAVE))
        assert_exact(bot.index, answer)
    assert [type(event) for event in events[-2:]] == [BlockedEvent, DoneEvent]
    assert answer.blocked == Verdict(False, "words", "word", "That is not for here.")
    assert (answer.abstained, answer.sentences) == (False, ())
    assert "26 days" not in answer.answer


class Liar:
    """Proposes a sentence that is proved, and the same with another figure."""

    name = "liar"

    async def __call__(self, brief: Brief) -> AsyncGenerator[Claim | Report, None]:
        [first, *_, last] = first_sentences(brief.passages)
        yield replace(first, text=f"{first.text} And a car.")
        yield last


@pytest.mark.parametrize(("mode", "supported"), [("strict", [True]), ("flag", [False, True]), ("off", [True, True])])
async def test_what_is_not_proved_is_dropped_or_flagged(home: Settings, mode: str, supported: list[bool]) -> None:
    settings = home.model_copy(update={"gate": mode})
    async with running(settings, answerer=Liar()) as bot:
        events, answer = await events_of(bot.stream(LEAVE))
        assert_exact(bot.index, answer)
    assert [sentence.supported for sentence in answer.sentences] == supported
    assert ("And a car." in answer.answer) == (mode != "strict")
    assert [event.sentence for event in events if isinstance(event, SentenceEvent)] == list(answer.sentences)


async def test_what_an_llm_took_and_said_is_in_the_answer(home: Settings) -> None:
    class Spending(ScriptedAnswerer):
        async def __call__(self, brief: Brief) -> AsyncGenerator[Claim | Report, None]:
            brief.budget.spend("marvin", Usage(120, 3, 0.5))
            async for item in super().__call__(brief):
                yield item

    async with running(home) as bot:
        claims = first_sentences(await bot.search(LEAVE, 1))
    async with running(
        home, answerer=Spending([Report("marvin", notes=("It was tired.",), counts={"passages": 1}), *claims])
    ) as bot:
        answer = await bot.answer(LEAVE)
    assert answer.as_dict()["usage"] == {"prompt_tokens": 120, "completion_tokens": 3, "cost": 0.5}
    assert [sentence.text for sentence in answer.sentences] == [claim.text for claim in claims]
    assert (answer.model, answer.notes, answer.counts) == ("marvin", ("It was tired.",), {"passages": 1})


@pytest.mark.parametrize("mode", ["strict", "flag"])
async def test_a_document_that_goes_while_it_is_quoted_proves_nothing(home: Settings, mode: str) -> None:
    """The document is removed between the search and the gate."""
    settings = home.model_copy(update={"gate": mode})

    class Removing(ScriptedAnswerer):
        async def __call__(self, brief: Brief) -> AsyncGenerator[Claim | Report, None]:
            with Index.open(settings.index, settings=settings, write=True) as writer:
                for document_id in {passage.document.document_id for passage in brief.passages}:
                    writer.remove(document_id)
            async for claim in super().__call__(brief):
                yield claim

    async with running(settings, answerer=Removing()) as bot:
        answer = await bot.answer(LEAVE)
    if mode == "strict":
        assert (answer.abstained, answer.sentences, answer.citations) == (True, (), ())
        assert answer.answer == NOTHING_THERE
    else:
        assert [sentence.supported for sentence in answer.sentences] == [False] * len(answer.sentences) != []


async def test_a_refusal_leads_to_no_document_that_is_gone(home: Settings) -> None:
    class Removing(ScriptedAnswerer):
        async def __call__(self, brief: Brief) -> AsyncGenerator[Claim | Report, None]:
            with Index.open(home.index, settings=home, write=True) as writer:
                writer.remove(brief.passages[0].document.document_id)
            return
            yield

    async with running(home, answerer=Removing()) as bot:
        answer = await bot.answer(LEAVE)
        assert answer.abstained and answer.answer.startswith(f"{REFUSAL} Closest: ")
        assert_exact(bot.index, answer)
        assert "leave.md" not in sources(answer)


# --- the documents change


async def test_what_is_uploaded_is_known_to_the_next_question_and_what_is_removed_is_not(asked: Bot) -> None:
    question = "When does the garage close?"
    assert (await asked.answer(question)).abstained
    entry = await asked.upload("parking.md", b"# Parking\n\nThe garage closes at nine.\n")
    assert (entry.status, entry.source) == ("added", "upload:parking.md")
    answer = await asked.answer(question)
    assert answer.sentences[0].text == "The garage closes at nine."
    assert_exact(asked.index, answer)
    assert (await asked.upload("parking.md", b"# Parking\n\nThe garage closes at ten.\n")).status == "replaced"
    assert (await asked.answer(question)).sentences[0].text == "The garage closes at ten."
    assert entry.document_id
    assert (await asked.remove(entry.document_id)).status == "removed"
    assert (await asked.answer(question)).abstained
    with pytest.raises(DocumentNotFound):
        await asked.remove(entry.document_id)


async def test_what_can_not_be_read_gets_a_ledger_line_and_changes_nothing(asked: Bot) -> None:
    entry = await asked.upload("broken.pdf", b"%PDF-1.7 and then nothing")
    assert entry.status == "failed" and entry.reason
    assert not (await asked.answer(LEAVE)).abstained


async def test_uploads_at_once_wait_for_one_another(asked: Bot) -> None:
    files = {f"city{n}.md": f"# City {n}\n\nThe mayor of city{n} is called M{n}.\n" for n in range(4)}
    entries = await asyncio.gather(*(asked.upload(name, text.encode()) for name, text in files.items()))
    assert [entry.status for entry in entries] == ["added"] * 4
    assert "M3" in (await asked.answer("How is the mayor of city3 called?")).answer


async def test_what_another_process_writes_is_noticed_between_questions(home: Settings) -> None:
    async with running(home) as bot:
        assert (await bot.answer("When does the garage close?")).abstained
        with open_pipeline(home) as other:
            entry = other.upload("parking.md", b"# Parking\n\nThe garage closes at nine.\n")
        answer = await bot.answer("When does the garage close?")
        assert answer.sentences[0].text == "The garage closes at nine."
        assert_exact(bot.index, answer)
        with open_pipeline(home) as other:
            assert entry.document_id
            other.remove([entry.document_id])
        assert (await bot.answer("When does the garage close?")).abstained


async def test_search_takes_any_text_in_every_mode(asked: Bot) -> None:
    for mode in ("hybrid", "dense", "keyword"):
        assert (await asked.search("summer party", 1, mode))[0].document.source == "upload:party.txt"
        for query in ("", "\ud800", '"(*:', "x" * 10_000):
            assert isinstance(await asked.search(query, 3, mode), list)


async def test_the_gate_of_the_story_reads_the_index(asked: Bot) -> None:
    gate = Gate(text_reader(asked.index))
    [claim] = first_sentences(await asked.search(LEAVE, 1))
    assert gate(claim).allowed
    await asked.remove(claim.citations[0].document_id)
    assert not gate(claim).allowed
