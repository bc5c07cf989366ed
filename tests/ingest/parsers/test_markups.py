"""reStructuredText, AsciiDoc and LaTeX."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from ingest.parsers import parse
from tests.ingest.parsers.support import check, hidden, outcome, texts, view

RST = """
=====
Guide
=====

.. a remark

Leave
=====

Everyone has **25 days**, see :ref:`the pay <pay>` and :doc:`other`.

.. note::

   Apply early.

.. versionadded:: 2.0
   Half days.

.. code-block:: python

   x = 1

.. toctree::
   :maxdepth: 2

   hidden/page

====== ====
Region Days
====== ====
North  25
South  26
====== ====

1. One
2. Two

CPU
  The brain

Deep
----
"""
ADOC = """= Guide
Ann Person <ann@example.com>
:company: Acme

Everyone at {company} has *25 days* of _paid_ leave, see https://example.com/x[the page] or <<pay,Pay>>.
// a remark

== Pay

.Rates
[cols="1,1",options="header"]
|===
|Region |Rate

|North
|4

.2+|South |5
|6
|===

* One
. First

CPU:: The brain

----
code *here*
----

====
An *example*.
====

=== Deep
image::a.png[A picture]
include::/etc/passwd[]
"""
TEX = r"""\documentclass{article}
\title{Leave \& Pay}
\author{A. Person}
\begin{document}
\maketitle
\section{Leave}\label{sec:leave}
Everyone has 25~days\footnote{Full time.} of leave, see~\ref{sec:pay}. % a remark
It costs \$5 --- or 10\%. Caf\'e, na\"{\i}ve, \c{c}a, Stra\ss e.

With $E = mc^2$ and \textbf{bold \textit{both}} words.
\begin{enumerate}
\item One
\begin{itemize} \item inner \end{itemize}
\item Two
\end{enumerate}
\subsection[short]{Pay {\em now}}
\begin{table}\caption{Rates}
\begin{tabular}{l|r}
Region & Rate \\ \hline
\multirow{2}{*}{North} & 4 \\
 & 5 \\
\end{tabular}
\end{table}
\begin{lstlisting}[language=C]
int x = 5; % kept
\end{lstlisting}
\textcolor{white}{pale}
\input{/etc/passwd}
\end{document}
beyond
"""


def test_restructuredtext() -> None:
    parsed = check(parse(RST.encode(), "a.rst"))
    assert view(parsed) == [
        ("heading", "Guide"),
        ("heading", "Leave"),
        ("text", "Everyone has 25 days, see the pay and other."),
        ("text", "Apply early."),
        ("text", "versionadded: 2.0"),
        ("text", "Half days."),
        ("text", "x = 1"),
        ("table", "| Region | Days |\n| --- | --- |\n| North | 25 |\n| South | 26 |"),
        ("text", "1. One"),
        ("text", "2. Two"),
        ("text", "CPU\nThe brain"),
        ("heading", "Deep"),
    ]
    assert hidden(parsed) == [("comment", "a remark")]
    assert parsed.blocks[2].heading == ("Guide", "Leave")
    assert "hidden/page" not in parsed.text


def test_restructuredtext_draws_nothing_in(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("SECRET")
    for directive in ("include", "literalinclude", "csv-table:: x\n   :file", "raw:: html\n   :file"):
        source = f"Seen.\n\n.. {directive}:: {tmp_path}/secret.txt\n"
        assert "SECRET" not in parse(source.encode(), "a.rst").text


def test_asciidoc() -> None:
    parsed = check(parse(ADOC.encode(), "a.adoc"))
    assert view(parsed) == [
        ("heading", "Guide"),
        ("text", "Ann Person <ann@example.com>"),
        ("text", "Everyone at Acme has 25 days of paid leave, see the page or Pay."),
        ("heading", "Pay"),
        ("text", "Rates"),
        ("table", "| Region | Rate |\n| --- | --- |\n| North | 4 |\n| South | 5 |\n| South | 6 |"),
        ("text", "One"),
        ("text", "First"),
        ("text", "CPU\nThe brain"),
        ("text", "code *here*"),
        ("text", "An example."),
        ("heading", "Deep"),
    ]
    assert hidden(parsed) == [("comment", "a remark"), ("alternative text", "A picture")]
    assert parsed.blocks[-1].heading == ("Guide", "Pay")


def test_latex() -> None:
    parsed = check(parse(TEX.encode(), "a.tex"))
    assert view(parsed) == [
        ("heading", "Leave & Pay"),
        ("text", "A. Person"),
        ("heading", "Leave"),
        ("text", "Everyone has 25 days (Full time.) of leave, see [sec:pay]. It costs $5 — or 10%. Café, naïve, ça, Straße."),
        ("text", "With E = mc^2 and bold both words."),
        ("text", "1. One"),
        ("text", "inner"),
        ("text", "2. Two"),
        ("heading", "Pay now"),
        ("text", "Rates"),
        ("table", "| Region | Rate |\n| --- | --- |\n| North | 4 |\n| North | 5 |"),
        ("text", "int x = 5; % kept"),
        ("text", "pale"),
    ]
    assert [(kind, said) for kind, said in hidden(parsed)] == [("comment", "a remark"), ("white", "pale")]
    assert parsed.title == "Leave & Pay"


@pytest.mark.parametrize("name", ["a.rst", "a.adoc", "a.tex"])
@pytest.mark.parametrize(
    "text",
    [
        "\\begin{a}" * 2000, "{" * 50_000, "\\" * 1001, "[" * 20_000, "|===\n" + "|a\n" * 2000, "====\n" * 500,
        "* " * 20_000, ".. " * 5000, ".. note::\n" * 50, "".join(" " * n + "* a\n\n" for n in range(200)), "$" * 9999,
        "\\item" * 999, "`" * 30_000, "\\textbf{" * 1000, "=" * 10_000 + "\n", "*a " * 2000,
    ],
    ids=range(16),
)  # fmt: skip
def test_hostile_texts_give_a_document_or_a_reason(name: str, text: str) -> None:
    gc.collect()  # else what earlier tests left is finalized in the deepest recursion, and fails there
    assert outcome(f"Seen.\n\n{text}".encode(), name)


def test_a_part_of_a_latex_document() -> None:
    assert texts(parse("Code \ufdef7\ufdef \\verb|a_b|.".encode(), "a.tex")) == ["Code 7 a_b."]
    assert texts(parse(rb"\chapter{One} Words \emph{here}.", "a.tex")) == ["One", "Words here."]


def test_headings_of_asciidoc_may_be_closed_by_their_signs() -> None:
    parsed = parse(b"== Leave ==\n\nC\n\n== C ===\n\n=== a" + b" " * 50_000 + b"b\n", "a.adoc")
    assert texts(parsed) == ["Leave", "C", "C ===", "a b"]


def test_what_stands_in_sphinx_only_and_raw_and_before_the_first_item_is_read() -> None:
    source = (
        b".. only:: html\n\n   Kept words.\n\n"
        b".. raw:: html\n\n   <p>Seen <i>too</i>.</p><!-- not -->\n\n.. raw:: latex\n\n   \\newpage\n"
    )
    parsed = check(parse(source, "a.rst"))
    assert (texts(parsed), hidden(parsed)) == (["Kept words.", "Seen too."], [("comment", "not"), ("comment", "\\newpage")])
    assert texts(parse(rb"\begin{itemize}Before. \item One\end{itemize}", "a.tex")) == ["Before.", "One"]
    assert texts(parse(rb"\begin{itemize}[leftmargin=*]\item One\end{itemize}", "a.tex")) == ["One"]
