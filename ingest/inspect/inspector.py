"""Decides what becomes of a document: taken in as it is, with parts of it masked, or held back until a person says so."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from ingest.inspect import Finding, Group, masked
from ingest.inspect.hidden import ORDERS, SURE, Detector, find_hidden
from ingest.types import Block, Chunk, Document, Parsed, Span

Policy = Literal["keep", "mask", "quarantine"]

_NAMES: dict[Group, str] = {
    "personal": "personal data",
    "secret": "secrets",
    "order": "orders to a model",
    "hidden": "hidden text",
}
_HIDDEN_ORDERS = "hidden text that gives orders to a model"
_MOST_PAGES = 5
_REACH = 500  # characters around an order


@dataclass(frozen=True, slots=True)
class Policies:
    """What is done with a document that holds something of a group."""

    personal: Policy = "keep"
    secret: Policy = "mask"
    order: Policy = "keep"
    hidden: Policy = "mask"

    def of(self, group: Group) -> Policy:
        policy: Policy = getattr(self, group)
        return policy


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found in a document and what becomes of it.

    `parsed` is the document with what is to be masked masked, in its title and headings, too; every offset is as it was.
    `findings` are in order of place; those of the title stand at 0..0. `reason` says why a document is held back, by groups,
    kinds and pages, and never repeats what was found.
    """

    action: Policy
    parsed: Parsed
    findings: tuple[Finding, ...] = ()
    reason: str = ""

    @property
    def text(self) -> str:
        return self.parsed.text


@dataclass(frozen=True, slots=True)
class Inspector:
    """Looks at documents with one detector for each group, and treats what they find by the policies.

    Hidden text comes from the parser, and has its document held back, whatever the policy for orders, when it gives some:
    unless the policy for hidden text is `keep`.
    """

    detectors: Mapping[Group, Detector]
    policies: Policies = field(default_factory=Policies)

    def __call__(self, parsed: Parsed, *, released: bool = False) -> Inspection:
        """`released`: a person has said that the document may come in, so what it would be held back for is left as it is."""
        found = [finding for detect in self.detectors.values() for finding in detect(parsed.text)]
        found += find_hidden(parsed.text, parsed.hidden, self.detectors.get("order"))
        titled = {finding for detect in self.detectors.values() for finding in detect(parsed.title)}
        holding = [f for f in (*found, *titled) if self._holds(f)]
        if holding and not released:
            return Inspection("quarantine", parsed, _in_order(found, titled), _reason(holding, parsed))
        forgiven = {finding.group for finding in holding}
        hiding = [f for f in found if self._masks(f, forgiven)]
        result = _masked(parsed, hiding, [f for f in titled if self._masks(f, forgiven)])
        return Inspection("keep" if result is parsed else "mask", result, _in_order(found, titled))

    def _holds(self, finding: Finding) -> bool:
        policy = self.policies.of(finding.group)
        hidden_orders = finding.group == "hidden" and finding.note == ORDERS and policy != "keep"
        return hidden_orders or (policy == "quarantine" and finding.score >= SURE)

    def _masks(self, finding: Finding, forgiven: Collection[Group]) -> bool:
        return finding.score >= SURE and finding.group not in forgiven and self.policies.of(finding.group) == "mask"


def _in_order(found: Sequence[Finding], titled: Collection[Finding]) -> tuple[Finding, ...]:
    of_title = (replace(f, start=0, end=0, note=f"{f.note}; in the title".removeprefix("; ")) for f in titled)
    return tuple(sorted({*found, *of_title}, key=_order))


def _masked(parsed: Parsed, found: Sequence[Finding], titled: Sequence[Finding]) -> Parsed:
    """The document with the findings masked wherever its text stands again: in paths of headings and in the title."""
    text, title = masked(parsed.text, found), masked(parsed.title, titled)
    if text == parsed.text and title == parsed.title:
        return parsed
    changed = {
        parsed.text[block.start : block.end]: text[block.start : block.end]
        for block in parsed.blocks
        if block.kind == "heading" and parsed.text[block.start : block.end] != text[block.start : block.end]
    }
    blocks = tuple(_renamed(_reheaded(block, changed), changed) for block in parsed.blocks) if changed else parsed.blocks
    return replace(parsed, text=text, title=changed.get(title, title), blocks=blocks)


def _reheaded(block: Block, changed: Mapping[str, str]) -> Block:
    if not any(words in changed for words in block.heading):
        return block
    return replace(block, heading=tuple(changed.get(words, words) for words in block.heading))


def _renamed(block: Block, changed: Mapping[str, str]) -> Block:
    """The block without what was masked in the names of its places: sheets are headings, too."""
    if not any(words in place.name for place in block.places for words in changed):
        return block
    places = []
    for place in block.places:
        for words, masked_words in changed.items():
            place = place._replace(name=place.name.replace(words, masked_words))
        places.append(place)
    return replace(block, places=tuple(places))


def _reason(holding: Sequence[Finding], parsed: Parsed) -> str:
    """`holds hidden text that gives orders to a model: 1 comment, 2 white (pages 3, 4)`."""
    groups: dict[str, list[Finding]] = {}
    for finding in holding:
        name = _HIDDEN_ORDERS if finding.group == "hidden" and finding.note == ORDERS else _NAMES[finding.group]
        groups.setdefault(name, []).append(finding)
    starts = [block.start for block in parsed.blocks]
    noted = {(hidden.kind, hidden.start, hidden.end): hidden.page for hidden in parsed.hidden}

    def page_of(finding: Finding) -> int | None:
        block = bisect_right(starts, finding.start) - 1
        return noted.get((finding.kind, finding.start, finding.end), parsed.blocks[block].page if block >= 0 else None)

    parts = []
    for name, findings in groups.items():
        kinds = Counter(finding.kind for finding in findings)
        pages = sorted({page for finding in findings if (page := page_of(finding)) is not None})
        where = ""
        if pages:
            shown = ", ".join(map(str, pages[:_MOST_PAGES])) + (", …" if len(pages) > _MOST_PAGES else "")
            where = f" (page{'s' if len(pages) > 1 else ''} {shown})"
        parts.append(f"{name}: {', '.join(f'{count:,} {kind}' for kind, count in sorted(kinds.items()))}{where}")
    return "holds " + "; ".join(parts)


def share_out(document: Document, chunks: Sequence[Chunk]) -> tuple[Chunk, ...]:
    """The chunks, each with those of the document's findings that stand in it or in what is shown with it: its headings,
    the header of its table, the document's title. An order to a model also belongs to the chunks right beside it: what it is
    about, a piece of code say, may stand there."""
    if not document.findings:
        return tuple(chunks)
    of_title = [f for f in document.findings if f.start == f.end == 0 and f.group != "hidden"]
    headings = _headings_above(document, chunks)
    around = {span for spans in headings for span in spans} | {chunk.header for chunk in chunks if chunk.header}
    places = [(chunk.start, chunk.end) for chunk in chunks]
    inside = _inside(places, document.findings)
    reaching = {
        replace(f, start=max(0, f.start - _REACH), end=f.end + _REACH): f
        for f in document.findings
        if f.group == "order" and f.score >= SURE
    }
    for place, near in _inside(places, list(reaching)).items():
        inside[place] += [reaching[finding] for finding in near]
    beside = _inside(sorted(around), document.findings)
    result = []
    for chunk, above in zip(chunks, headings, strict=True):
        spans = [*above, chunk.header] if chunk.header else above
        found = {*of_title, *inside[chunk.start, chunk.end], *(finding for span in spans for finding in beside[span])}
        result.append(replace(chunk, findings=tuple(sorted(found, key=_order))) if found else chunk)
    return tuple(result)


def _order(finding: Finding) -> tuple[int, int, str, str]:
    return finding.start, finding.end, finding.group, finding.kind


def _inside(spans: Sequence[Span], findings: Sequence[Finding]) -> dict[Span, list[Finding]]:
    """For each of the spans, which are in order and don't overlap, the findings that have a part in it."""
    found: dict[Span, list[Finding]] = {span: [] for span in spans}
    ends = [end for _, end in spans]
    for finding in findings:
        at = bisect_right(ends, finding.start)
        while at < len(spans) and spans[at][0] < finding.end:
            found[spans[at]].append(finding)
            at += 1
    return found


def _headings_above(document: Document, chunks: Sequence[Chunk]) -> list[list[Span]]:
    """For each of the chunks, which are in order, where the headings above it stand."""
    latest: dict[tuple[str, ...], Span] = {}
    blocks = iter(document.blocks)
    block = next(blocks, None)
    result = []
    for chunk in chunks:
        while block and block.start <= chunk.start:
            if block.kind == "heading":
                latest[*block.heading, document.text[block.start : block.end]] = block.start, block.end
            block = next(blocks, None)
        paths = (chunk.heading[:depth] for depth in range(1, len(chunk.heading) + 1))
        result.append([latest[path] for path in paths if path in latest])
    return result
