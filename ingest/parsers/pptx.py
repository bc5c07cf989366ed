"""PowerPoint: slides as pages with their titles as headings, text, tables and charts' words, and the speaker's notes."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from ingest.parsers.builder import TextBuilder, marked
from ingest.parsers.css import RGB, WHITE, from_digits, near
from ingest.parsers.formulas import add_chart
from ingest.parsers.grid import Cell, add_table
from ingest.parsers.names import title_of
from ingest.parsers.tree import local, read_xml, relations, title_in
from ingest.parsers.zipped import opened
from ingest.types import Parsed

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
_TITLES = ("title", "ctrTitle")
_FURNITURE = ("dt", "ftr", "sldNum", "hdr", "sldImg")  # what every slide repeats
_TINY = 200  # hundredths of a point
_DEEPEST_GROUP = 20


def parse_pptx(data: bytes, name: str) -> Parsed:
    """A presentation of PowerPoint 2007 or later, also a template or a show."""
    builder = TextBuilder()
    with opened(data, "PowerPoint presentation") as archive:
        title = title_in(archive)
        for number, (part, is_shown) in enumerate(_slides(archive), 1):
            builder.page, builder.place = number, f"slide {number}"
            slide = read_xml(archive.read(part))
            related = relations(archive, part)
            if is_shown and slide.get("show") not in ("0", "false"):
                _Slide(builder, archive, related).read(slide)
            else:
                builder.beside("hidden slide", " ".join(t.text or "" for t in slide.iter("{*}t")))
            _beside(builder, archive, slide, related)
    return builder.build("" if title.lower().startswith("powerpoint pres") else title, MEDIA_TYPE, title_of(name))


def _slides(archive: zipfile.ZipFile) -> Iterator[tuple[str, bool]]:
    """(part, whether the presentation lists it as shown) of each slide in order."""
    main = next((part for kind, part in relations(archive, "").values() if kind == "officeDocument"), "ppt/presentation.xml")
    related = relations(archive, main)
    for slide in read_xml(archive.read(main)).iterfind("{*}sldIdLst/{*}sldId"):
        kind, part = related.get(next((value for key, value in slide.attrib.items() if key.endswith("}id")), ""), ("", ""))
        if kind == "slide":
            yield part, slide.get("show") not in ("0", "false")


def _beside(builder: TextBuilder, archive: zipfile.ZipFile, slide: Any, related: dict[str, tuple[str, str]]) -> None:
    """Note what a slide holds and does not show: descriptions of pictures, comments."""
    for shape in slide.iter("{*}cNvPr"):
        builder.beside("alternative text", f"{shape.get('title') or ''} {shape.get('descr') or ''}")
    for kind, part in related.values():
        if kind == "comments":
            with suppress(SyntaxError):  # comments that can't be read are no reason to refuse the slides
                for comment in read_xml(archive.read(part)).iter("{*}cm"):
                    builder.beside("comment", " ".join(t.text or "" for t in comment.iter("{*}text", "{*}t")))


class _Slide:
    """Reads the shapes of one slide; the title first, then as they stand from top to bottom."""

    def __init__(self, builder: TextBuilder, archive: zipfile.ZipFile, related: dict[str, tuple[str, str]]) -> None:
        self.builder = builder
        self._archive = archive
        self._related = related
        self._paper: RGB | None = WHITE

    def read(self, slide: Any) -> None:
        """All of it, its notes last."""
        background = slide.find("{*}cSld/{*}bg")
        self._paper = _solid(background) if background is not None else None
        tree = slide.find("{*}cSld/{*}spTree")
        shapes = list(_shapes(tree)) if tree is not None else []
        titles = [shape for shape in shapes if _placeholder(shape) in _TITLES]
        for shape in titles[:1]:
            self.builder.heading(1, " ".join(self._paragraphs(shape)))
        rest = [shape for shape in shapes if shape not in titles[:1] and _placeholder(shape) not in _FURNITURE]
        for shape in sorted(rest, key=_top) if all(_top(shape) >= 0 for shape in rest) else rest:
            self._shape(shape)
        for kind, part in self._related.values():
            if kind == "notesSlide":
                self._notes(read_xml(self._archive.read(part)))

    def _shape(self, shape: Any) -> None:
        if not _is_seen(shape):
            self.builder.beside("not displayed", " ".join(t.text or "" for t in shape.iter("{*}t")))
            return
        tables = list(shape.iter("{*}tbl"))
        for table in tables:
            self._table(table)
        if tables:
            return
        if local(shape) == "graphicFrame":
            self._graphic(shape)
        elif _placeholder(shape) == "subTitle":
            self.builder.text("\n".join(self._paragraphs(shape)))
        else:
            for text in self._paragraphs(shape):
                self.builder.text(text)

    def _graphic(self, frame: Any) -> None:
        """A diagram or a chart: its words."""
        for element in frame.iter():
            name = local(element)
            ids = [value for key, value in element.attrib.items() if key.endswith(("}dm", "}id"))]
            kind, part = self._related.get(ids[0], ("", "")) if ids else ("", "")
            with suppress(SyntaxError):  # a chart that can't be read is no reason to refuse the slides
                if name == "relIds" and kind == "diagramData":
                    for point in read_xml(self._archive.read(part)).iter("{*}pt"):
                        self.builder.text("\n".join(self._paragraphs(point)))
                elif name == "chart" and kind == "chart":
                    add_chart(self.builder, read_xml(self._archive.read(part)))

    def _table(self, table: Any) -> None:
        rows: list[list[Cell]] = []
        for row in table.iterfind("{*}tr"):
            cells = []
            for cell in row.iterfind("{*}tc"):
                if cell.get("hMerge") not in ("1", "true") and cell.get("vMerge") not in ("1", "true"):
                    text = "\n".join(self._paragraphs(cell, behind=_fill(cell.find("{*}tcPr"))))
                    cells.append(Cell(text, int(cell.get("gridSpan") or 1), int(cell.get("rowSpan") or 1)))
            rows.append(cells)
        add_table(self.builder, rows)

    def _notes(self, notes: Any) -> None:
        for shape in notes.iter("{*}sp"):
            if _placeholder(shape) == "body" and (texts := list(self._paragraphs(shape))):
                self.builder.text("\n".join(["Notes:", *texts]))

    def _paragraphs(self, shape: Any, behind: RGB | None = None) -> Iterator[str]:
        """The paragraphs of a shape or a cell that hold something."""
        own = shape.find("{*}spPr")
        filled = own is not None and any(local(child).endswith("Fill") and local(child) != "noFill" for child in own)
        paper = behind or (_fill(own) if filled else None if shape.find("{*}style") is not None else self._paper)
        for paragraph in shape.iter("{*}p"):
            parts = []
            for run in paragraph:
                name = local(run)
                if name == "br":
                    parts.append("\n")
                elif name in ("r", "fld"):
                    text = "".join(t.text or "" for t in run.iterfind("{*}t"))
                    way = _hides(run.find("{*}rPr"), paper)
                    parts.append(marked(text, way) if way else text)
                elif name in ("m", "AlternateContent"):
                    parts.append("".join(t.text or "" for t in run.iter("{*}t")))
            text = "".join(parts).replace("\x0b", "\n").strip()
            if text:
                yield text


def _shapes(parent: Any, depth: int = 0) -> Iterator[Any]:
    """The shapes of a slide, those in groups too; a group that is hidden as a whole."""
    for shape in parent:
        name = local(shape)
        if name == "grpSp" and not _is_seen(shape):
            yield shape
        elif name == "grpSp" and depth < _DEEPEST_GROUP:
            yield from _shapes(shape, depth + 1)
        elif name == "AlternateContent":
            choice = shape.find("{*}Choice")
            if choice is not None and depth < _DEEPEST_GROUP:
                yield from _shapes(choice, depth + 1)
        elif name in ("sp", "graphicFrame", "cxnSp", "pic"):
            yield shape


def _placeholder(shape: Any) -> str:
    """What kind of placeholder a shape is; `body` where it does not say, '' where it is none."""
    held = shape.find("{*}nvSpPr/{*}nvPr/{*}ph")
    return (held.get("type") or "body") if held is not None else ""


def _top(shape: Any) -> int:
    """How far below the slide's upper edge a shape begins; -1 where its layout decides that."""
    offset = shape.find("{*}spPr/{*}xfrm/{*}off")
    for path in ("{*}xfrm/{*}off", "{*}grpSpPr/{*}xfrm/{*}off"):
        offset = shape.find(path) if offset is None else offset
    return max(0, int(offset.get("y") or 0)) if offset is not None else -1


def _is_seen(shape: Any) -> bool:
    own = next((element for element in shape.iter("{*}cNvPr")), None)
    return own is None or own.get("hidden") not in ("1", "true")


def _hides(properties: Any, paper: RGB | None) -> str:
    """The way in which a run hides its text, '' for none."""
    if properties is None:
        return ""
    size = properties.get("sz") or ""
    if size.isdigit() and int(size) < _TINY:
        return "tiny"
    ink = _fill(properties)
    return "white" if ink and paper and near(ink, paper) else ""


def _fill(element: Any) -> RGB | None:
    """The one colour that something is filled with, where it is given as such."""
    fill = element.find("{*}solidFill") if element is not None else None
    return _solid(fill)


def _solid(element: Any) -> RGB | None:
    colour = next(element.iter("{*}srgbClr"), None) if element is not None else None
    return from_digits(colour.get("val") or "") if colour is not None and len(colour) == 0 else None
