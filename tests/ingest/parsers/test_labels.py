"""The labels that files give themselves: by front matter, `<meta>`, an attribute or a field; never text, never lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import BadLabels
from ingest.labels import LONGEST, MOST, labels_of
from ingest.parsers import parse
from ingest.parsers.wire import pack_parsed, unpack_parsed
from ingest.types import Parsed
from tests.ingest.parsers.support import check, texts

PAGE = (
    '<html><head><title>Pay</title><meta name="labels" content="HR, Board">'
    '<META NAME=" Labels " CONTENT="audit"><meta name="keywords" content="money"></head><body><p>Text.</p></body></html>'
)


def parsed(name: str, text: str) -> Parsed:
    return check(parse(text.encode(), name))


@pytest.mark.parametrize(
    ("name", "text", "labels"),
    [
        ("a.md", "---\ntitle: Pay\nlabels: [HR, Board]\n---\nText.\n", ("board", "hr")),
        ("a.md", "---\nLabels: HR, board,hr\n---\nText.\n", ("board", "hr")),
        ("a.md", "---\nlabels:\n  - hr\n  - 'board, audit'\n---\nText.\n", ("audit", "board", "hr")),
        ("a.md", "---\nlabels: |\n  hr\n  board\n---\nText.\n", ("board", "hr")),
        ("a.md", "\n\n---\nlabels: hr\n...\nText.\n", ("hr",)),
        ("a.md", "---\n{title: Pay, 'labels': [hr]}\n---\nText.\n", ("hr",)),
        ("a.md", "---\n{\n  labels: [hr]\n}\n---\nText.\n", ("hr",)),
        ("a.md", '---\n"labels": hr\n---\nText.\n', ("hr",)),
        ("a.md", "---\nlabels: hr\nLABELS: board\nlabels: [audit]\n---\nText.\n", ("audit", "board", "hr")),
        ("a.md", "---\nothers: &o [hr, board]\nlabels: *o\n---\nText.\n", ("board", "hr")),
        ("a.md", "---\nlabels: 7\n---\nText.\n", ("7",)),
        ("a.md", "---\nlabels:\ntitle: Pay\n---\nText.\n", ()),
        ("a.md", "---\nlabels: ~\n---\nText.\n", ()),
        ("a.md", "---\nmeta:\n  labels: hr\n---\nText.\n", ()),
        ("a.md", "+++\ntitle = 'Pay'\nlabels = ['hr', 'board']\n+++\nText.\n", ("board", "hr")),
        ("a.txt", "---\nlabels: hr\n---\nText.\n", ("hr",)),
        ("a.html", PAGE, ("audit", "board", "hr")),
        ("a.adoc", "= Pay\nJane Roe\n:labels: hr, \\\n  board\n:toc:\n\nText.\n", ("board", "hr")),
        ("a.adoc", "// a comment\n\n:labels: hr\n= Pay\n\nText.\n\n:labels: board\n", ("board", "hr")),
        ("a.rst", "Pay\n===\n\n:labels: hr, board\n\nText.\n", ("board", "hr")),
        ("a.rst", ".. c\n\n:Labels:\n  - hr\n  - board\n:author: Roe\n\nText.\n", ("board", "hr")),
    ],
)
def test_a_files_own_labels(name: str, text: str, labels: tuple[str, ...]) -> None:
    document = parsed(name, text)
    assert document.labels == labels
    assert texts(document)[-1] == "Text."
    if labels:
        assert "hr" not in document.text.lower() and "abels" not in document.text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.adoc", "= Pay\n\nA paragraph\n:labels: hr\n\n----\n:labels: hr\n----\n"),
        ("a.rst", "Pay\n===\n\nText.\n\n:labels: hr\n"),
        ("a.md", "# Pay\n\nlabels: hr\n\n<meta name='labels' content='hr'>\n"),
        ("a.txt", "labels: hr\n\n---\nlabels: hr\n---\n"),
        ("a.eml", "Subject: x\nContent-Type: text/html\n\n<meta name='labels' content='hr'><p>labels</p>\n"),
        ("a.csv", "labels,b\nhr,2\n"),
    ],
)
def test_what_is_no_head_gives_no_labels(name: str, text: str) -> None:
    document = parsed(name, text)
    assert document.labels == ()
    assert "labels" in document.text or name == "a.md"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("---\nlabels: [hr\n---\nText.\n", "can't be read"),
        ("---\nlabels: hr\n  b: : c\nprose\n---\nText.\n", "can't be read"),
        ("---\nlabels: {hr: board}\n---\nText.\n", "neither texts nor a list"),
        ("---\nlabels: [[hr, {a: b}]]\n---\nText.\n", "neither texts nor a list"),
        ("---\nlabels: hr\n\nText.\n", "without an end"),
        ("+++\nlabels = ['hr'\n+++\nText.\n", "can't be read"),
        (f"+++\nlabels = {'[' * 30_000}1{']' * 30_000}\n+++\nText.\n", "can't be read"),
        (f"---\nlabels: {'[' * 5_000}{']' * 5_000}\n---\nText.\n", "can't be read"),
        (f"---\nlabels: hr\nx: {'y' * 70_000}\n---\nText.\n", "more than 65,536 characters"),
        (f"---\nlabels: {[f'l{n}' for n in range(MOST + 1)]}\n---\nText.\n", f"more than {MOST} labels"),
        (f"---\nlabels: {'x' * (LONGEST + 1)}\n---\nText.\n", "has 65 characters"),
        (f"---\nlabels: '{', ' * 20_000}'\n---\nText.\n", "more than 20,000 characters"),
        ("---\na: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\n"
         "d: &d [*c,*c,*c,*c,*c,*c,*c,*c]\nlabels: [*d,*d,*d,*d,*d,*d,*d,*d]\n---\nText.\n", "more than 20,000 characters"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["a.md", "a.txt"])
def test_labels_that_can_not_be_read_refuse_the_file(name: str, text: str, reason: str) -> None:
    with pytest.raises(BadLabels, match=reason):
        parse(text.encode(), name)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.html", f'<meta name="labels" content="{", ".join(f"l{n}" for n in range(MOST + 1))}"><p>Text.'),
        ("a.adoc", f":labels: {'x' * 65}\n\nText.\n"),
        ("a.rst", f":labels: {'x' * 65}\n\nText.\n"),
    ],
)
def test_too_much_of_them_refuses_the_file_in_every_format(name: str, text: str) -> None:
    with pytest.raises(BadLabels):
        parse(text.encode(), name)


def test_front_matter_that_names_no_labels_may_be_anything() -> None:
    assert parsed("a.md", "---\ntitle: [broken\n---\nText.\n").text == "Text."
    assert parsed("a.md", "---\nprose\n\nlabelled: x\n").labels == ()
    assert parsed("a.md", "---\n{labels here}\n---\nText.\n").text.startswith("{labels here}")
    assert parsed("a.txt", "---\ntitle: Pay\n---\nText.\n").text == "---\ntitle: Pay\n---\nText."


def test_one_label_however_it_is_written() -> None:
    assert labels_of(["  H\u200bR\t", "ｈｒ", "Hr", ""]) == ("hr",)
    assert labels_of(["Top  Secret\nSTRASSE", "straße"]) == ("strasse", "top secret")
    assert labels_of(["e\u0301", "é"]) == ("é",)
    assert labels_of(["\ue000"]) == ("\ue000",)  # nothing that can be seen is lost
    assert labels_of(["x" * LONGEST]) == ("x" * LONGEST,)


@given(st.lists(st.text(max_size=30), max_size=10))
def test_labels_are_the_same_when_they_are_read_again(told: list[str]) -> None:
    labels = labels_of(told)
    assert labels_of(labels) == labels == tuple(sorted(set(labels)))
    assert labels_of([",".join(labels)]) == labels
    assert not any("," in label or "\n" in label or label != label.strip() or not label for label in labels)


@given(st.text(alphabet=st.sampled_from("-+.\n \"'{}[]:=,#&*!|labelsx"), max_size=80), st.sampled_from(["a.md", "a.txt"]))
def test_no_head_breaks_the_parser(head: str, name: str) -> None:
    try:
        parse(f"---\n{head}\n---\nText.\n".encode(), name)
    except BadLabels:
        assert "labels" in head


def test_they_come_out_of_the_parsers_process_as_they_went_in() -> None:
    document = parsed("a.md", "---\nlabels: [hr, board]\n---\nText.\n")
    header, body = pack_parsed(document)
    assert unpack_parsed(header, body) == document
    with pytest.raises(ValueError):
        unpack_parsed(header | {"labels": ["x" * 65]}, body)
