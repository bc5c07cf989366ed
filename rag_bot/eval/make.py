"""Questions from the documents of an index without an LLM: from headings, definitions, table cells, sentences with figures.

Each knows the place that answers it. Some are kept to be asked with that place taken out: they are to be refused.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from ingest.index import Index
from ingest.sentences import split
from ingest.types import Allowed, Block, Document
from rag_bot.eval import cloze
from rag_bot.eval.cloze import lowered
from rag_bot.eval.types import Case, Wanted
from rag_bot.words import STOPWORDS

_SECTION = 4_000  # characters of a section that a heading stands for
_LONGEST_CELL, _LONGEST_NAME = 80, 60
_LOOKED_AT = 400_000  # characters of a document; a book has questions enough in these
_TABLE = 50_000  # of a table
_NUMBERING = re.compile(r"^(?:\d+(?:\.\d+)*\.?|[A-Z]\.|§\s*\d+|Chapter \d+[:.]?|Article \d+[:.]?)\s+")
_VAGUE = frozenset(
    "introduction overview general purpose contents contact appendix references summary notes background scope".split()
)
_DEFINED = re.compile(
    r"(?P<what>(?:An?|The|Your|Our|Every)?\s?[A-Z\"“]?[\w-]{2,30}(?: [\w-]{2,30}){0,3}) "
    r"(?P<verb>is|are|means|refers to|stands for) "
    r"(?P<how>(?:an?|the|one|any|everyone|anyone|those|people|all)\b.{8,300})\."
)
_NAMED = re.compile(r"(?P<what>[A-Z][\w -]{2,30}): (?P<how>[^\s:.][^:.]{2,80})\.?")
_NO_TERM = frozenset("this that it these those there he she they you we i what which who nobody everyone here each".split())
_DETERMINERS = frozenset("a an the your our of for".split())
_VERBAL = frozenset("is are be can may must pays pay paid belongs gets get has have say says to sees".split())
_CELLS = re.compile(r"(?<!\\)\|")
_EMPTY = frozenset(("", "-", "–", "—", "n/a", "none"))
_NAMES = re.compile(r"(?<=[a-z0-9,;] )[A-Z]\w*")  # words with a capital inside a sentence
_WORD = re.compile(r"[^\W_]+")


def candidates(index: Index, allowed: Allowed) -> list[Case]:
    """Every question that can be made of the documents that are `allowed`; ids tell the question and its place."""
    documents = [index.parsed(info.document_id) for info in index.documents() if allowed(info)]
    cells = _shared_names(documents)
    names = {name for document in documents for name in _NAMES.findall(document.text[:_LOOKED_AT])}
    found: dict[str, Case] = {}
    for document in documents:
        for case in (
            *_headings(document, names),
            *_definitions(document, names),
            *_table_cells(document, cells, names),
            *_figures(document, names),
        ):
            found.setdefault(case.question.lower(), case)
    return list(found.values())


def choose(cases: Sequence[Case], count: int, seed: int) -> list[Case]:
    """So many of the questions, as evenly over documents and kinds as they come; the same for the same seed."""
    shuffled = random.Random(seed).sample(list(cases), len(cases))
    heaps: dict[tuple[str, str], list[Case]] = {}
    for case in shuffled:
        heaps.setdefault((case.wanted[0].document, case.kind), []).append(case)
    chosen: list[Case] = []
    taken: dict[str, int] = {}
    while heaps and len(chosen) < count:
        # The kind and the document that have had the fewest so far.
        key = min(heaps, key=lambda pair: (taken.get(f"d {pair[0]}", 0), taken.get(f"k {pair[1]}", 0)))
        chosen.append(heaps[key].pop())
        for name in (f"d {key[0]}", f"k {key[1]}"):
            taken[name] = taken.get(name, 0) + 1
        if not heaps[key]:
            del heaps[key]
    return chosen


@dataclass(frozen=True, slots=True)
class Share:
    """How many questions are wanted, and how many of these without an answer."""

    count: int
    unanswerable: float

    @property
    def without(self) -> int:
        return round(self.count * self.unanswerable)


def make(index: Index, allowed: Allowed, share: Share, seed: int = 1, more: Iterable[Case] = ()) -> list[Case]:
    """A set of questions, `more` (an LLM's) before those made by rules; those without an answer come last."""
    by_rules = candidates(index, allowed)
    written = list(more)
    known = {case.question.lower() for case in written}
    rest = [case for case in by_rules if case.question.lower() not in known]
    hideable = [case for case in rest if case.answers]
    without = [taken_out(index, allowed, case) for case in choose(hideable, share.without, seed)]
    hidden = {case.id for case in without}
    rest = [case for case in rest if f"{case.id}/hidden" not in hidden]
    with_answer = choose(written, share.count - len(without), seed)
    with_answer += choose(rest, share.count - len(without) - len(with_answer), seed)
    return [*with_answer, *without]


def taken_out(index: Index, allowed: Allowed, case: Case) -> Case:
    """The question with its place taken out, and with it whatever the search finds for it that holds the same answer."""
    hidden = list(case.wanted)
    wanted = {_folded(answer) for answer in case.answers}
    for hit in index.search(case.question, 30, allowed=allowed):
        text = _folded(hit.chunk.text)
        if any(f" {answer} " in f" {text} " for answer in wanted):
            hidden.append(Wanted(hit.document.source, hit.chunk.text))
    return replace(
        case,
        id=f"{case.id}/hidden",
        answerable=False,
        answers=(),
        wanted=(),
        hidden=tuple(dict.fromkeys(hidden)),
        kind="taken out",
    )


def _case(document: Document, kind: str, question: str, quote: str, answers: tuple[str, ...] = ()) -> Case:
    question = " ".join(question.split())
    digest = hashlib.sha256(f"{document.source}\0{question}".encode("utf-8", "replace")).hexdigest()
    return Case(digest[:10], question, True, answers, (Wanted(document.source, quote),), kind=kind)


def _folded(text: str) -> str:
    return " ".join(_WORD.findall(text.lower()))


# --- headings


def _headings(document: Document, names: Collection[str]) -> Iterator[Case]:
    """A heading that asks is the question; of another, what the document says about it."""
    blocks = document.blocks
    for at, block in enumerate(blocks):
        if block.kind != "heading":
            continue
        text = document.text[block.start : block.end]
        name = _NUMBERING.sub("", text).strip()
        section = _section(blocks, at + 1, (*block.heading, text))
        words = name.split()
        if (
            section is None
            or not 1 <= len(words) <= 12
            or name.lower() in (*_VAGUE, document.title.lower())
            or not block.heading
        ):
            continue
        quote = document.text[section[0] : section[1]]
        if name.endswith("?"):
            yield _case(document, "heading", name, quote)
            continue
        yield _case(document, "heading", f"What does {document.title} say about {lowered(name, names)}?", quote)


def _section(blocks: Sequence[Block], first: int, path: tuple[str, ...]) -> tuple[int, int] | None:
    """The span of what stands below a heading, from the block at `first` as far as the next heading."""
    own: list[Block] = []
    for at in range(first, len(blocks)):
        block = blocks[at]
        if block.kind == "heading" or block.heading != path or (own and block.end - own[0].start > _SECTION):
            break
        own.append(block)
    return (own[0].start, own[-1].end) if own else None


# --- definitions


def _definitions(document: Document, names: Collection[str]) -> Iterator[Case]:
    for sentence in _sentences(document):
        flat = " ".join(sentence.split())
        if match := _DEFINED.fullmatch(flat):
            what = match["what"].strip(' "“”')
            if {word.lower() for word in what.split()} & (_NO_TERM | STOPWORDS - _DETERMINERS):
                continue
            shown, verb = lowered(what, names), match["verb"]
            asked = f"What {verb} {shown}?" if verb in ("is", "are") else f"What does {shown} mean?"
            yield _case(document, "definition", asked, sentence, (match["how"],))
        elif (match := _NAMED.fullmatch(flat)) and _is_label(match["what"]):
            what = lowered(match["what"], names)
            yield _case(document, "definition", f"What is given as {what} in {document.title}?", sentence, (match["how"],))


def _is_label(text: str) -> bool:
    """Whether what stands before a colon names what follows, such as "Owner": a few words, none of them a verb."""
    words = text.lower().split()
    return len(words) <= 2 and not text.isupper() and not set(words) & (STOPWORDS | _VERBAL)


def _sentences(document: Document) -> Iterator[str]:
    for block in document.blocks:
        if block.kind == "text" and block.end <= _LOOKED_AT:
            text = document.text[block.start : block.end]
            for start, end in split(text):
                if end - start <= 500:
                    yield text[start:end]


# --- cells of tables


def _table_cells(document: Document, cells: dict[str, int], names: Collection[str]) -> Iterator[Case]:
    """What stands in a row under a column; where a row's name stands in several tables, the document is named."""
    for block in document.blocks:
        if block.kind != "table" or block.header is None:
            continue
        head = _split_row(document.text[block.header[0] : block.header[1]].split("\n")[0])
        lines = _rows(document, block)
        rows = [_split_row(line) for line in lines]
        firsts = Counter(row[0].lower() for row in rows if row)
        for line, row in zip(lines, rows, strict=True):
            if not row or len(row) != len(head) or not row[0] or firsts[row[0].lower()] > 1 or len(row[0]) > _LONGEST_NAME:
                continue
            where = f" according to {document.title}" if cells.get(row[0].lower(), 0) > 1 else ""
            for column, cell in list(zip(head, row, strict=True))[1:]:
                if column and cell.lower() not in _EMPTY and len(cell) <= _LONGEST_CELL:
                    yield _case(document, "table", f"{_of_cell(lowered(column, names), row[0])}{where}?", line, (cell,))


def _of_cell(column: str, name: str) -> str:
    words = column.split()
    if len(words) <= 3 and not words[0].istitle() and not _VERBAL & {word.lower() for word in words}:
        return f"What is the {column} for {name}"
    return f"What stands under “{column}” for {name}"


def _rows(document: Document, block: Block) -> list[str]:
    """The lines of a table below its header; of a large one, those at the beginning."""
    start = block.header[1] + 1 if block.header else block.start
    lines = document.text[start : min(block.end, start + _TABLE)].split("\n")
    return lines if block.end <= start + _TABLE else lines[:-1]


def _split_row(line: str) -> list[str]:
    return [cell.strip() for cell in _CELLS.split(line.strip().removeprefix("|").removesuffix("|"))] if line.strip() else []


def _shared_names(documents: Iterable[Document]) -> dict[str, int]:
    """In how many tables each row's name stands."""
    found: dict[str, int] = {}
    for document in documents:
        for block in document.blocks:
            if block.kind == "table" and block.header:
                for name in {row[0].lower() for line in _rows(document, block) if (row := _split_row(line))}:
                    found[name] = found.get(name, 0) + 1
    return found


# --- sentences with figures


def _figures(document: Document, names: Collection[str]) -> Iterator[Case]:
    for sentence in _sentences(document):
        for made in cloze.questions(sentence, names):
            yield _case(document, "figure", made.question, sentence, (made.answer,))
