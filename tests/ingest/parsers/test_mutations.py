"""Files made wrong in many ways, in a plain loop: only DocumentError comes out of a parser, and what is taken in keeps its
promises. `make fuzz` looks far longer, and by coverage."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from email.message import EmailMessage
from functools import cache
from pathlib import Path

import pytest

from benchmarks.mutations import mutate
from ingest.errors import DocumentError
from ingest.parsers.containers import unpack
from ingest.parsers.formats import BY_KIND
from scripts.fuzz import run_one
from tests.ingest.parsers.archives import make_tar, make_zip
from tests.ingest.parsers.support import draw_pdf, make_docx, outcome

HANDBOOK = Path(__file__).resolve().parents[3] / "samples" / "handbook"


@cache
def seeds() -> Mapping[str, bytes]:
    """One file or more of each kind that can be made here."""
    mail = EmailMessage()
    mail["Subject"], mail["From"] = "Ünser Angebot", "Ann <ann@example.com>"
    mail.set_content("Hello.\n\n> quoted\n> words\n\nBye.")
    mail.add_alternative("<p>Hello.</p><blockquote>quoted</blockquote>", subtype="html")
    mail.add_attachment(b"a,b\n1,2\n", maintype="text", subtype="csv", filename="a.csv")
    files = {path.name: path.read_bytes() for path in sorted(HANDBOOK.iterdir())}
    return {
        **files,
        "made.pdf": draw_pdf([[(72, 700, "One.")], [(72, 700, "Two.")]]),
        "made.docx": make_docx(lambda document: document.add_table(2, 2)),
        "a.eml": mail.as_bytes(),
        "a.mbox": b"From ann Mon\n" + mail.as_bytes() + b"\n\nFrom bob Tue\nSubject: Two\n\nBody.\n",
        "a.zip": make_zip({"a.txt": b"A.", "in.zip": make_zip({"b.txt": b"B."})}),
        "a.tar.gz": make_tar([("a.txt", b"A."), ("b/c.txt", b"C.")]),
        "a.tar": make_tar([("a.txt", b"A."), ("b/c.txt", b"C.")], ""),
    }


@pytest.mark.parametrize("slice_", range(10))
def test_only_a_document_error_comes_out(slice_: int) -> None:
    for number in range(slice_ * 40, slice_ * 40 + 40):
        one = mutate(seeds(), number, "tests")
        assert outcome(one.data, one.name)
        with contextlib.suppress(DocumentError):
            unpack(one.data, one.name, 0, 1_000, 50_000_000, 10_000_000)


@pytest.mark.parametrize("kind", sorted(BY_KIND))
def test_each_target_of_the_fuzzer_runs(kind: str) -> None:
    for data in (b"", b"x", b"<a>", bytes(600), *(list(seeds().values())[::5])):
        run_one(kind, data)


def test_the_same_seed_makes_the_same_files() -> None:
    assert [mutate(seeds(), n) for n in range(20)] == [mutate(seeds(), n) for n in range(20)]
    assert len({mutate(seeds(), n).way for n in range(200)}) == 12
