"""The report on an index as one HTML page; nothing in it is loaded from elsewhere, and no text of a document is markup."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from html import escape

from ingest.draw.page import page, plot, table, tile
from ingest.draw.svg import Bar, bars, cloud
from ingest.report import Contradiction, IndexReport, Said, Share

_ROWS = 200  # of a table; the JSON has them all
_PIECE = re.compile(r"\w+|\s+|[^\w\s]")
_UNKNOWN = "not known"


def html(found: IndexReport) -> str:
    """The whole page."""
    return page("What is in the index", [part for part in _parts(found) if part])


def _parts(found: IndexReport) -> Iterator[str]:
    yield "<h1>What is in the index</h1>"
    yield f'<p class="dim">{escape(found.path)}, {escape(found.at)}</p>'
    yield f'<div class="tiles">{"".join(_tiles(found))}</div>'
    yield f'<div class="plots">{"".join(_plots(found))}</div>'
    yield _section(
        "Contradictory twins",
        "Sentences that are the same but for a number, a date or a negation, in passages that read alike.",
        "".join(map(_pair, found.contradictions)),
    )
    yield _listed(
        "Versions",
        "Documents of the same name or title that read alike and say which is newer.",
        ("Source", "Version", "Of", "Replaced by"),
        [(one.source, one.version, one.dated, one.replaced_by or "") for one in found.versions],
    )
    yield _listed("Failed", "Files whose latest try failed.", ("Source", "Reason"), found.failures)
    yield _listed("In quarantine", "What was held back.", ("Source", "Reason"), found.quarantine)
    yield _listed(
        "Pages without text",
        "Pages, before the last one with text, from which nothing was read: blank ones, or pictures of text.",
        ("Source", "Pages"),
        [(source, _runs(pages)) for source, pages in found.without_text],
    )
    yield _section("The same text in several places", "A search shows one of them and names the others.", _copies(found))
    yield _listed(
        "Documents that are nearly the same",
        "Their words agree to four fifths or more; numbers are not compared.",
        ("Sources",),
        [(", ".join(group),) for group in found.same_documents],
    )
    yield _listed(
        "Repeated over pages",
        "Headers, footers and page numbers that are in no passage.",
        ("Source", "Blocks", "Characters"),
        [(source, f"{blocks:,}", f"{characters:,}") for source, blocks, characters in found.boilerplate],
        (1, 2),
    )
    yield _listed(
        "Text of low quality",
        "The score is the product of its parts, each 1 where all is well.",
        ("Source", "Score", "Lowered by"),
        [
            (
                source,
                f"{score:.2f}",
                ", ".join(f"{name} {part:.2f}" for name, part in sorted(flaws.items(), key=lambda f: f[1])),
            )
            for source, score, flaws in found.worst
        ],
        (1,),
    )
    yield _listed(
        "The largest documents",
        "",
        ("Source", "Title", "Characters", "Chunks"),
        [(info.source, info.title, f"{info.characters:,}", f"{info.chunks:,}") for info in found.largest],
        (2, 3),
    )


def _tiles(found: IndexReport) -> Iterator[str]:
    status = found.status
    yield tile(f"{status['documents']:,}", "documents", f"{found.characters:,} characters")
    yield tile(f"{status['chunks']:,}", "chunks", f"{found.folded_chunks:,} say what another says")
    yield tile(f"{_megabytes(status['bytes'])}", "on the disk", str(status["embedder"]))
    yield tile(str(len(found.contradictions)), "contradictions", "listed below")
    yield tile(f"{len(found.failures):,}", "files failed", f"{len(found.quarantine):,} in quarantine")
    yield tile(_UNKNOWN if found.quality is None else f"{found.quality:.2f}", "mean quality of the text", "0 to 1")


def _plots(found: IndexReport) -> Iterator[str]:
    if found.topics:
        groups: dict[str, list[tuple[float, float, str]]] = {}
        for point in found.topics:
            groups.setdefault(point.topic, []).append((point.x, point.y, point.title))
        ordered = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
        note = "Each point is a document; near each other stand those about the same. Hold the mouse on one for its title."
        yield plot("Topics", cloud("Topics", ordered), note)
    yield plot("Formats", _bars("Formats", found.formats))
    yield plot("Languages", _bars("Languages", found.languages))
    most = max((count for _, count in found.sizes), default=1)
    rows = [Bar(f"{name} characters", count, count, count, f"{count:,}") for name, count in found.sizes]
    yield plot("Sizes of documents", bars("Sizes of documents", rows, most))


def _bars(title: str, shares: Sequence[Share]) -> str:
    most = max((share.documents for share in shares), default=1)
    rows = [
        Bar(share.name or _UNKNOWN, share.documents, share.documents, share.documents, f"{share.documents:,}")
        for share in shares
    ]
    return bars(title, rows[:20], most)


def _section(title: str, note: str, body: str) -> str:
    told = f'<p class="dim">{escape(note)}</p>' if note else ""
    return f"<h2>{escape(title)}</h2>{told}{body}" if body else ""


def _listed(title: str, note: str, head: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    if not rows:
        return ""
    more = f'<p class="dim">and {len(rows) - _ROWS:,} more</p>' if len(rows) > _ROWS else ""
    return _section(f"{title} ({len(rows):,})", note, table(head, rows[:_ROWS], numbers) + more)


def _copies(found: IndexReport) -> str:
    parts = []
    for one in found.copies:
        places = "".join(f"<li>{_place(place)}</li>" for place in one.places)
        more = f'<p class="dim">and {one.count - len(one.places):,} more</p>' if one.count > len(one.places) else ""
        short = " ".join(one.text.split())[:120]
        parts.append(
            f"<details><summary>{one.count:,} × {escape(short)}</summary><blockquote>{escape(one.text)}</blockquote>"
            f"<ul>{places}</ul>{more}</details>"
        )
    return "".join(parts)


def _pair(found: Contradiction) -> str:
    one, other = _marked(found.one.text, found.other.text)
    note = '<p class="dim">One document is a newer version of the other.</p>' if found.replaced else ""
    return (
        f'<div class="pair"><div><blockquote>{one}</blockquote><span class="dim">{_place(found.one)}</span></div>'
        f'<div><blockquote>{other}</blockquote><span class="dim">{_place(found.other)}</span></div></div>{note}'
    )


def _marked(one: str, other: str) -> tuple[str, str]:
    """Both texts as HTML, with what differs marked."""
    ours, theirs = _PIECE.findall(one), _PIECE.findall(other)
    left: list[str] = []
    right: list[str] = []
    for kind, a, b, c, d in SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes():
        for parts, text in ((left, "".join(ours[a:b])), (right, "".join(theirs[c:d]))):
            if text:
                parts.append(escape(text) if kind == "equal" else f"<mark>{escape(text)}</mark>")
    return "".join(left), "".join(right)


def _place(said: Said) -> str:
    page = f", page {said.page}" if said.page is not None else ""
    return f"{escape(said.title)}{page} · {escape(said.source)}"


def _runs(pages: Sequence[int]) -> str:
    """`1-3, 7`."""
    runs: list[list[int]] = []
    for number in pages:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def _megabytes(size: object) -> str:
    return f"{int(str(size)) / 2**20:,.1f} MiB"
