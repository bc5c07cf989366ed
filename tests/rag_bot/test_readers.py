"""Who may read what: the file's rules, scopes of several people, private documents; and that answers keep to it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.types import DocumentInfo
from rag_bot.bot import NOTHING_THERE
from rag_bot.errors import BadSetting
from rag_bot.readers import PRIVATE, Person, Readers, Rules, below
from rag_bot.settings import Settings
from tests.rag_bot.support import LEAVE, running

RULES = """
[people]
"ann@example.com" = ["hr", "sales"]
"UBOB" = ["hr"]

[documents]
"/docs/hr" = ["hr"]
"/docs/hr/public/" = ["*"]
"/docs/board/" = []
"upload:salaries.csv" = ["hr"]

[collections]
handbook = ["/docs/handbook/", "/docs/hr"]
"""
ANN, BOB, EVE = Person("UANN", "Ann@Example.com"), Person("UBOB", "bob@example.com"), Person("UEVE", "eve@example.com")


def info(source: str) -> DocumentInfo:
    return DocumentInfo("d", source, "t", "text/plain", 1, 1, "0", "2026-11-22T00:00:00+00:00")


@pytest.fixture
def readers(tmp_path: Path) -> Readers:
    path = tmp_path / "readers.toml"
    path.write_text(RULES)
    return Readers(path)


@pytest.mark.parametrize(
    ("source", "people", "may"),
    [
        ("/docs/trips.md", (), True),
        ("/docs/hr/pay.md", (), False),
        ("/docs/hr/pay.md", (ANN,), True),
        ("/docs/hr/pay.md", (ANN, BOB), True),
        ("/docs/hr/pay.md", (ANN, BOB, EVE), False),
        ("/docs/hr", (EVE,), False),
        ("/docs/hrx/pay.md", (EVE,), True),
        ("/docs/hr/public/a.md", (EVE,), True),
        ("/docs/board/a.md", (ANN, BOB), False),
        ("upload:salaries.csv", (EVE,), False),
        ("upload:salaries.csv", (BOB,), True),
        ("upload:salaries.csv!/2026.csv", (EVE,), False),
        ("upload:salaries.csv!/2026.csv", (BOB,), True),
        ("upload:salaries.csv!", (EVE,), True),
        ("/docs/hr/pay.md", (Person("UX", "ann@example.com", outside=True),), False),
        ("/docs/hr/pay.md", (Person("ubob", outside=True),), True),
    ],
)
def test_all_who_see_it_must_be_allowed(readers: Readers, source: str, people: tuple[Person, ...], may: bool) -> None:
    assert readers.scope(people)(info(source)) is may


def test_what_is_private_is_its_owners_alone(readers: Readers) -> None:
    mine = info(f"{PRIVATE}slack/T1/UANN/notes.txt")
    assert readers.scope([ANN], owner="slack/T1/UANN")(mine)
    for scope in (readers.everyone(), readers.scope([ANN]), readers.scope([ANN], owner="slack/T1/UAN")):
        assert not scope(mine)


def test_a_collection_narrows(readers: Readers) -> None:
    scope = readers.scope([ANN], collection="handbook")
    assert scope(info("/docs/handbook/a.md")) and scope(info("/docs/hr/pay.md"))
    assert not scope(info("/docs/trips.md"))
    assert not readers.scope([EVE], collection="handbook")(info("/docs/hr/pay.md"))
    assert not readers.scope([ANN], collection="gone")(info("/docs/trips.md"))


def test_scopes_are_known_again(readers: Readers) -> None:
    assert readers.scope([ANN, BOB]) == readers.scope([BOB, ANN, BOB])
    assert hash(readers.everyone()) == hash(readers.scope([EVE]))
    assert readers.scope([ANN]) != readers.scope([BOB])


@pytest.mark.parametrize(
    "text",
    [
        "[people", "[extra]\na = []", "[people]\na = 1", "[documents]\n'/x' = [1]", "people = 3", "[personal]\npeople = []",
        "[personal]\ngroups = 'hr'",
    ],
)  # fmt: skip
def test_a_file_that_says_something_else_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "readers.toml"
    path.write_text(text)
    with pytest.raises(BadSetting, match=r"readers\.toml"):
        Readers(path)


def test_the_file_is_read_again_and_a_broken_one_opens_nothing(readers: Readers, tmp_path: Path) -> None:
    path = tmp_path / "readers.toml"
    path.write_text(RULES.replace('"UBOB" = ["hr"]', ""))
    assert not readers.scope([BOB])(info("/docs/hr/pay.md"))
    path.write_text("[people")
    with pytest.raises(BadSetting):
        readers.everyone()
    path.unlink()
    with pytest.raises(BadSetting):
        readers.everyone()


groups = st.frozensets(st.sampled_from("abc"), max_size=3)


@given(
    people=st.lists(st.tuples(st.sampled_from(["u1", "u2", "u3", "u4"]), groups), max_size=4),
    rules=st.lists(st.tuples(st.sampled_from(["/a", "/a/", "/a/b", "/b/", "upload:"]), groups), max_size=5),
    source=st.sampled_from(["/a", "/a/x", "/a/b", "/a/b/c", "/ab", "/b/x", "upload:x", f"{PRIVATE}slack/u1/x"]),
    seeing=st.lists(st.sampled_from(["u1", "u2", "u3", "u4"]), max_size=4),
)
def test_a_scope_never_lets_through_what_one_of_them_may_not_read(
    people: list[tuple[str, frozenset[str]]], rules: list[tuple[str, frozenset[str]]], source: str, seeing: list[str]
) -> None:
    known = Rules(dict(people), tuple(dict(rules).items()))
    readers = Readers()
    readers._rules = known
    together = readers.scope([Person(one) for one in seeing])(info(source))
    alone = [readers.scope([Person(one)])(info(source)) for one in seeing]
    assert together == (all(alone) if alone else readers.everyone()(info(source)))
    if source.startswith(PRIVATE):
        assert not together
    matching = [(beginning, needed) for beginning, needed in known.documents if below(source, beginning)]
    if together and seeing and matching and not source.startswith(PRIVATE):
        _, needed = max(matching, key=lambda one: len(one[0]))
        assert all(needed & known.groups_of(Person(one)) for one in seeing)


async def test_answers_and_refusals_keep_to_what_is_allowed(home: Settings) -> None:
    async with running(home) as bot:
        assert not (await bot.answer(LEAVE)).abstained

        def others(source: DocumentInfo) -> bool:
            return "leave" not in source.source

        refused = await bot.answer(LEAVE, allowed=others)
        assert refused.abstained
        assert refused.citations and not any("leave" in citation.source for citation in refused.citations)
        assert all(others(hit.document) for hit in await bot.search("paid leave", 9, allowed=others))
        nothing = await bot.answer(LEAVE, allowed=lambda _: False)
        assert (nothing.answer, nothing.citations) == (NOTHING_THERE, ())


async def test_nobody_finds_a_private_document_by_chance(home: Settings) -> None:
    async with running(home) as bot:
        await bot.upload("private/slack/T1/UANN/plan.txt", b"The secret launch of the blue rocket is on Monday.")
        question = "When is the secret launch of the blue rocket?"
        assert (await bot.answer(question)).abstained
        assert all("rocket" not in hit.chunk.text for hit in await bot.search("blue rocket", 9))
        owner = bot.readers.scope([ANN], owner="slack/T1/UANN")
        assert "Monday" in (await bot.answer(question, allowed=owner)).answer
        other = bot.readers.scope([BOB], owner="slack/T1/UBOB")
        assert "Monday" not in (await bot.answer(question, allowed=other)).answer
