"""Who may read what: the file's rules, scopes of several people, private documents; and that answers keep to it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.types import DocumentInfo
from rag_bot.bot import NOTHING_THERE
from rag_bot.errors import BadSetting, NotFound
from rag_bot.readers import PRIVATE, Collection, Person, Readers, Rules, below
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
LABELLED = """
[people]
"uann" = ["hr", "sales"]
"ubob" = ["hr"]

[documents]
"/docs/hr" = ["hr"]

[labels]
HR = ["hr"]
board = ["board", "audit"]
open = ["*"]
nobody = []

[folders]
"/docs/minutes" = ["Board"]
"/docs/minutes/published/" = ["open"]
"/docs/leaflets/" = ["opne"]
"""
ANN, BOB, EVE = Person("UANN", "Ann@Example.com"), Person("UBOB", "bob@example.com"), Person("UEVE", "eve@example.com")


def info(source: str, *labels: str) -> DocumentInfo:
    return DocumentInfo("d", source, "t", "text/plain", 1, 1, "0", "2026-11-22T00:00:00+00:00", labels=labels)


@pytest.fixture
def readers(tmp_path: Path) -> Readers:
    path = tmp_path / "readers.toml"
    path.write_text(RULES)
    return Readers(path)


def readers_of(folder: Path, rules: str) -> Readers:
    path = folder / f"rules-{len(list(folder.iterdir()))}.toml"
    path.write_text(rules)
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


@pytest.mark.parametrize(
    ("groups", "source", "labels", "may"),
    [
        ("", "/docs/a.md", (), True),
        ("", "/docs/a.md", ("hr",), False),
        ("hr", "/docs/a.md", ("hr",), True),
        ("hr", "/docs/a.md", ("board", "hr"), False),
        ("hr audit", "/docs/a.md", ("board", "hr"), True),
        ("", "/docs/a.md", ("open",), True),
        ("hr board audit", "/docs/a.md", ("nobody",), False),
        ("hr board audit", "/docs/a.md", ("hr", "unheard of"), False),
        ("hr", "/docs/hr/a.md", ("open",), True),
        ("", "/docs/hr/a.md", ("open",), False),
        ("board", "/docs/hr/a.md", ("board",), False),
        ("hr board", "/docs/hr/a.md", ("board",), True),
        ("", "/docs/minutes/a.md", (), False),
        ("board", "/docs/minutes/a.md", (), True),
        ("board", "/docs/minutes/a.md", ("hr",), False),
        ("", "/docs/minutes/published/a.md", (), False),  # a folder's labels are those of the folders above it, too
        ("audit", "/docs/minutes/published/a.md", (), True),
        ("hr board", "/docs/leaflets/a.md", (), False),  # a label misspelt
    ],
)  # fmt: skip
def test_each_of_a_documents_labels_must_be_met(
    tmp_path: Path, groups: str, source: str, labels: tuple[str, ...], may: bool
) -> None:
    readers = readers_of(tmp_path, LABELLED)
    assert readers.scope_of(frozenset(groups.split()))(info(source, *labels)) is may
    anybody = Readers()
    assert anybody.everyone()(info(source, *labels))  # without rules labels restrict nobody


def test_without_a_section_of_labels_they_restrict_nobody_and_with_an_empty_one_everybody(tmp_path: Path) -> None:
    without = readers_of(tmp_path, '[folders]\n"/docs" = ["hr"]\n')
    assert without.everyone()(info("/docs/a.md", "board")) and not without.rules.withhold
    empty = readers_of(tmp_path, '[labels]\n[folders]\n"/docs" = ["hr"]\n')
    assert not empty.everyone()(info("/docs/a.md")) and not empty.everyone()(info("/a.md", "hr"))
    assert empty.everyone()(info("/a.md")) and empty.rules.withhold
    assert empty.rules.unnamed(info("/docs/a.md", "board")) == {"hr", "board"}
    assert without.rules.unnamed(info("/docs/a.md", "board")) == frozenset()


def test_all_who_see_it_must_meet_each_label(tmp_path: Path) -> None:
    readers = readers_of(tmp_path, LABELLED)
    assert readers.scope([ANN, BOB])(info("/docs/a.md", "hr"))
    assert not readers.scope([ANN, BOB, EVE])(info("/docs/a.md", "hr"))
    assert not readers.scope(())(info("/docs/a.md", "hr"))
    assert readers.groups_of(ANN) == {"hr", "sales"} and readers.groups_of(EVE) == frozenset()


def test_what_is_private_is_its_owners_whatever_its_labels(tmp_path: Path) -> None:
    mine = info(f"{PRIVATE}slack/T1/UANN/notes.md", "board")
    readers = readers_of(tmp_path, LABELLED)
    assert readers.scope([EVE], owner="slack/T1/UANN")(mine)
    assert not readers.scope_of(frozenset({"board"}))(mine)


COLLECTIONS = """
[labels]
hr = ["hr"]
trip = ["*"]

[folders]
"/docs/oslo" = ["trip"]

[collections]
handbook = ["/docs/handbook/"]
trips = {sources = ["/docs/trips"], labels = ["Trip", "hr"]}
staff = {sources = ["/docs/"], groups = ["hr", "sales"]}
anybody = {labels = ["trip"], groups = ["*"]}
closed = {labels = ["trip"], groups = []}
empty = []
"""


def test_a_collection_is_made_of_sources_and_of_labels(tmp_path: Path) -> None:
    readers = readers_of(tmp_path, COLLECTIONS)
    hr = readers.scope_of(frozenset({"hr"}), collection="trips")
    for one in (info("/docs/trips/a.md"), info("/a.md", "trip"), info("/docs/oslo/a.md"), info("/a.md", "hr")):
        assert hr(one)
    assert not hr(info("/docs/a.md")) and not hr(info("/docs/tripsx"))
    everybody = readers.scope_of(frozenset(), collection="trips")
    assert everybody(info("/a.md", "trip")) and not everybody(info("/a.md", "hr"))  # it opens nothing
    assert not readers.scope_of(frozenset(), collection="handbook")(info("/a.md", "trip"))
    assert not readers.scope_of(frozenset(), collection="empty")(info("/docs/a.md"))


def test_a_collection_that_is_for_others_is_as_one_that_is_not_there(tmp_path: Path) -> None:
    readers = readers_of(tmp_path, COLLECTIONS)
    assert readers.collections_of(frozenset()) == ["anybody", "empty", "handbook", "trips"]
    assert readers.collections_of(frozenset({"sales"})) == ["anybody", "empty", "handbook", "staff", "trips"]
    assert readers.scope_of(frozenset({"sales"}), collection="staff")(info("/docs/a.md"))
    assert readers.collection_for(frozenset({"hr"}), "staff").sources == ("/docs/",)
    told = set()
    for groups, name in ((frozenset(), "staff"), (frozenset({"hr"}), "closed"), (frozenset({"hr"}), "nowhere")):
        for ask in (readers.scope_of, lambda groups, owner, name: readers.collection_for(groups, name)):
            with pytest.raises(NotFound) as caught:
                ask(groups, "", name)
            told.add((str(caught.value).replace(name, "…"), caught.value.hint))
    assert len(told) == 1
    # A channel is simply told that there is nothing in it.
    assert not readers.scope([EVE], collection="staff")(info("/docs/a.md"))
    assert not readers.scope([ANN], collection="nowhere")(info("/docs/a.md"))


def test_scopes_are_known_again(readers: Readers) -> None:
    assert readers.scope([ANN, BOB]) == readers.scope([BOB, ANN, BOB])
    assert hash(readers.everyone()) == hash(readers.scope([EVE]))
    assert readers.scope([ANN]) != readers.scope([EVE])
    assert readers.scope([ANN]) == readers.scope([BOB])  # for the rules it makes no difference that she is in sales, too


@pytest.mark.parametrize(
    "text",
    [
        "[people", "[extra]\na = []", "[people]\na = 1", "[documents]\n'/x' = [1]", "people = 3", "[personal]\npeople = []",
        "[personal]\ngroups = 'hr'", "[labels]\nhr = 'hr'", "[labels]\nhr = ['a']\nHR = ['b']",
        "[labels]\n'a,b' = []",
        "[labels]\n' ' = []", "[folders]\n'/x' = ['']", "[folders]\n'/x' = [['a']]", "[collections]\na = 'x'",
        "[collections]\na = {}",
        "[collections]\na = {groups = ['x']}", "[collections]\na = {sources = 'x'}", "[collections]\na = {labels = [1]}",
        "[collections]\na = {sources = [], sauces = []}", "[labels]\n'" + "x" * 65 + "' = []",
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


def test_scopes_say_by_equality_and_hash_that_they_let_through_the_same(tmp_path: Path) -> None:
    readers, again = readers_of(tmp_path, LABELLED), readers_of(tmp_path, LABELLED)
    hr, sales = frozenset({"hr"}), frozenset({"sales"})
    assert readers.scope_of(hr) == readers.scope_of(hr | sales) == again.scope_of(hr) == readers.scope([BOB])
    assert hash(readers.scope_of(hr)) == hash(again.scope_of(hr))
    others = [
        readers.scope_of(sales),
        readers.scope_of(hr, "slack/T1/UANN"),
        readers_of(tmp_path, LABELLED.replace('"hr"]', '"hr", "board"]', 3)).scope_of(hr),
        readers_of(tmp_path, LABELLED.replace('["Board"]', '["hr"]')).scope_of(hr),
        readers_of(tmp_path, LABELLED.partition("[labels]")[0]).scope_of(hr),
    ]
    assert readers.scope_of(hr) not in others
    assert len({*others, readers.scope_of(hr)}) == len(others) + 1


groups = st.frozensets(st.sampled_from("abc"), max_size=3)
names = st.text(alphabet=st.sampled_from("ab/:!"), max_size=8)


@given(st.lists(names, max_size=6), st.lists(names, max_size=6), st.lists(names, max_size=6), st.lists(names.filter(bool)))
def test_the_rules_for_a_source_are_those_that_it_is_below(
    documents: list[str], folders: list[str], collected: list[str], sources: list[str]
) -> None:
    """However it is looked up: the longest of `documents`, and all of the others."""
    rules = Rules(
        documents=tuple((one, frozenset({one})) for one in documents),
        folders=tuple((one, (f"l{one}",)) for one in dict.fromkeys(folders)),
        collections={f"c{one}": Collection((one,)) for one in collected},
    )
    for source in sources:
        ruled = rules.ruling.about(source)
        longest = max((one for one in documents if below(source, one)), key=len, default=None)
        assert ruled.readers == (None if longest is None else {longest})
        assert ruled.labels == {f"l{one}" for one in folders if below(source, one)}
        assert ruled.collections == {f"c{one}" for one in collected if below(source, one)}
        assert rules.ruling.about(source) is ruled


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
