"""Whatever the rules, labels, folders, people and documents: a search finds what may be read, all of it, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.index import Index
from ingest.types import DocumentInfo, Mode
from rag_bot.errors import NotFound
from rag_bot.readers import PRIVATE, Person, Readers, Scope
from tests.ingest.support import HASH, put

MODES: tuple[Mode, ...] = ("hybrid", "dense", "keyword")
# Long enough to be folded where they are the same.
TEXTS = (
    "Leave is asked for in writing, at least two weeks before it begins, and the manager answers within three days of that.",
    "Dogs may come to the office on Fridays, if nobody there is afraid of them, while cats and birds have to stay at home.",
    "Trips to Oslo are booked by the office, which pays for the night train, the hotel and whatever is eaten on the way.",
)
OWNERS = ("slack/T1/UANN", "slack/T1/UBOB")
SOURCES = (
    "/docs/a.md", "/docs/b.md", "/docs/hr/a.md", "/docs/hr/b.md", "/docs/hr/old/a.md", "/docs/hrx/a.md", "/docs/hr.md", "/a.md",
    "upload:a.md", "upload:b.md", "upload:all.zip!/a.md", "upload:all.zip!/hr/a.md",
    *(f"{PRIVATE}{owner}/{name}.md" for owner in OWNERS for name in "ab"),
)  # fmt: skip
BEGINNINGS = (
    "/", "/docs", "/docs/", "/docs/hr", "/docs/hr/", "/docs/hr/old", "/docs/hr/a.md", "/a.md", "upload:", "upload:all.zip",
    "upload:all.zip!/hr", "upload:a.md", "upload:private/",
)  # fmt: skip
LABELS = ("hr", "board", "open", "typo")
GROUPS = ("g1", "g2", "g3")
PEOPLE = ("u1", "u2", "u3")

beginnings, labels, groups = st.sampled_from(BEGINNINGS), st.sampled_from(LABELS), st.sampled_from(GROUPS)
allowed = st.lists(st.one_of(groups, st.just("*")), max_size=2)
documents = st.lists(
    st.tuples(st.sampled_from(SOURCES), st.lists(labels, max_size=2, unique=True), st.sampled_from(TEXTS)),
    min_size=1,
    max_size=9,
    unique_by=lambda one: one[0],
)
collection = st.fixed_dictionaries(
    {"sources": st.lists(beginnings, max_size=2), "labels": st.lists(labels, max_size=1)}, optional={"groups": allowed}
)
rules = st.fixed_dictionaries(
    {},
    optional={
        "people": st.dictionaries(st.sampled_from(PEOPLE), st.lists(groups, max_size=2)),
        "documents": st.dictionaries(beginnings, allowed, max_size=3),
        "labels": st.dictionaries(labels, allowed, max_size=4),
        "folders": st.dictionaries(beginnings, st.lists(labels, min_size=1, max_size=2), max_size=2),
        "collections": st.dictionaries(st.just("some"), st.one_of(collection, st.lists(beginnings, max_size=2))),
    },
)
Said = Mapping[str, Mapping[str, object]]


@dataclass(frozen=True)
class Oracle:
    """Reads the rules as a person would, one after another, for one who asks."""

    said: Said
    people: Sequence[frozenset[str]]
    owner: str
    collection: str

    def may(self, info: DocumentInfo) -> bool:
        if info.source.startswith("upload:private/"):
            return self.owner != "" and info.source.startswith(f"upload:private/{self.owner}/")
        carried = set(info.labels)
        for folder, names in self._section("folders"):
            if _covers(folder, info.source):
                carried |= set(names)
        named = [(folder, names) for folder, names in self._section("documents") if _covers(folder, info.source)]
        if named and not self._in(max(named, key=lambda one: len(one[0]))[1]):
            return False
        if "labels" in self.said:
            for label in carried:
                if label not in self.said["labels"] or not self._in(dict(self._section("labels"))[label]):
                    return False
        return not self.collection or self._is_in(info.source, carried)

    def _is_in(self, source: str, carried: set[str]) -> bool:
        asked = self.said.get("collections", {}).get(self.collection)
        if isinstance(asked, list):
            return any(_covers(folder, source) for folder in asked)
        if not isinstance(asked, dict) or ("groups" in asked and not self._in(asked["groups"])):
            return False
        return any(_covers(folder, source) for folder in asked["sources"]) or bool(carried & set(asked["labels"]))

    def _in(self, wanted: Sequence[str]) -> bool:
        return "*" in wanted or all(set(wanted) & mine for mine in self.people)

    def _section(self, name: str) -> list[tuple[str, list[str]]]:
        return [(key, list(value)) for key, value in self.said.get(name, {}).items()]  # type: ignore[call-overload]


def _covers(folder: str, source: str) -> bool:
    if folder.endswith(("/", ":")):
        return source.startswith(folder)
    return source == folder or source.startswith((f"{folder}/", f"{folder}!/"))


def as_toml(said: Said) -> str:
    lines = []
    for section, values in said.items():
        lines.append(f"[{section}]")
        for name, value in values.items():
            if isinstance(value, dict):
                table = ", ".join(f"{key} = {json.dumps(words)}" for key, words in value.items())
                lines.append(f"{json.dumps(name)} = {{{table}}}")
            else:
                lines.append(f"{json.dumps(name)} = {json.dumps(value)}")
    return "\n".join(lines)


def check(index: Index, scope: Scope, oracle: Oracle) -> None:
    documents = {info.document_id: info for info in index.documents()}
    may = {own for own, info in documents.items() if oracle.may(info)}
    assert {own for own, info in documents.items() if scope(info)} == may
    assert index.holds(scope) == bool(may)
    for text in TEXTS:
        own = {i for i in documents if index.text(i) == text}
        for mode in MODES:
            hits = index.search(text, 20, mode, allowed=scope)
            found = {hit.document.document_id for hit in hits}
            places = {twin.document_id for hit in hits for twin in hit.also}
            assert found | places <= may
            assert all(twin.source == documents[twin.document_id].source for hit in hits for twin in hit.also)
            assert own & may <= found | places
            (best,) = index.search(text, 1, mode, allowed=scope) or (None,)
            if own & may:
                assert best and index.text(best.document.document_id) == text


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    held=documents,
    later=documents,
    said=rules,
    askers=st.lists(
        st.tuples(
            st.lists(st.sampled_from(PEOPLE), max_size=2),
            st.sampled_from(("", *OWNERS)),
            st.sampled_from(("", "", "some", "none")),
        ),
        min_size=1,
        max_size=3,
    ),
    newest=st.booleans(),
)
def test_a_search_finds_what_may_be_read_all_of_it_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory,
    held: list[tuple[str, list[str], str]],
    later: list[tuple[str, list[str], str]],
    said: Said,
    askers: list[tuple[list[str], str, str]],
    newest: bool,
) -> None:
    folder = tmp_path_factory.mktemp("rights")
    file = folder / "readers.toml"
    file.write_text(as_toml(said))
    readers = Readers(file)
    known = {person: frozenset(mine) for person, mine in said.get("people", {}).items()}  # type: ignore[call-overload]
    policy = HASH.model_copy(update={"documents_versions": "newest" if newest else "keep"})
    with Index.open(folder / "index", settings=policy, write=True, create=True) as index:
        for some in (held, later):  # and then some of them with other texts and labels
            for source, named, text in some:
                put(index, source, f"---\nlabels: {json.dumps(named)}\n---\n{text}\n")
            for people, owner, name in askers:
                groups_of = [known.get(person, frozenset()) for person in people] or [frozenset()]
                oracle = Oracle(said, groups_of, owner, name)
                check(index, readers.scope([Person(one) for one in people], owner, name), oracle)
                if len(groups_of) == 1:
                    try:
                        alone = readers.scope_of(groups_of[0], owner, name)
                    except NotFound:
                        assert name and name not in readers.collections_of(groups_of[0])
                    else:
                        check(index, alone, oracle)


def test_the_oracle_and_the_rules_are_not_both_deaf(tmp_path: Path) -> None:
    """What the test above checks does happen: documents are hidden by each kind of rule, copies are folded and named."""
    said: Said = {
        "people": {"u1": ["g1"]},
        "documents": {"/docs/hr": ["g1"]},
        "labels": {"hr": ["g1"], "open": ["*"]},
        "folders": {"upload:all.zip": ["hr"]},
        "collections": {"some": {"sources": ["/docs"], "labels": ["open"], "groups": ["g1"]}},
    }
    (tmp_path / "readers.toml").write_text(as_toml(said))
    readers = Readers(tmp_path / "readers.toml")
    with Index.open(tmp_path / "index", settings=HASH, write=True, create=True) as index:
        for source in SOURCES:
            label = {"/a.md": "open", "/docs/b.md": "hr", "upload:b.md": "typo"}.get(source, "")
            put(index, source, f"---\nlabels: {label}\n---\n{TEXTS[0]}\n")

        def found(scope: Scope) -> set[str]:
            (hit,) = index.search(TEXTS[0], 20, allowed=scope)
            return {hit.document.source, *(twin.source for twin in hit.also)}

        everybody = {"/a.md", "/docs/a.md", "/docs/hr.md", "/docs/hrx/a.md", "upload:a.md"}
        hr = {one for one in SOURCES if one.startswith(("/", "upload:a"))}
        assert found(readers.everyone()) == everybody
        assert found(readers.scope([Person("u1")])) == hr
        assert found(readers.scope([Person("u1"), Person("u2")])) == everybody
        assert found(readers.scope([Person("u1")], collection="some")) == {one for one in hr if one.startswith("/")}
        assert found(readers.scope([], OWNERS[0])) == everybody | {f"{PRIVATE}{OWNERS[0]}/{name}.md" for name in "ab"}
