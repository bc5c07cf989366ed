"""Where a passage stands in its file, from the parser to the hit and the citation."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ingest.build import open_pipeline
from ingest.index import Index
from ingest.parsers.builder import TextBuilder
from ingest.parsers.wire import pack_parsed, unpack_parsed
from ingest.places import Place, label, pack_places, read_places, within
from ingest.settings import IngestSettings
from tests.ingest.parsers.test_xlsx import make_xlsx


@pytest.mark.parametrize(
    ("places", "shown"),
    [
        ([], None),
        ([Place(0, "slide 3")], "slide 3"),
        ([Place(0, "00:01:02"), Place(9, "00:01:30")], "00:01:02"),
        ([Place(0, "", "line", 7)], "line 7"),
        ([Place(0, "", "line", 3), Place(5, "", "line", 4), Place(9, "", "line", 7)], "lines 3-7"),
        ([Place(0, "Sheet 'Q1'", "row", 2), Place(5, "Sheet 'Q1'", "row", 9)], "Sheet 'Q1', rows 2-9"),
        ([Place(0, "Sheet 'Q1'", "A:F", 2), Place(5, "Sheet 'Q1'", "A:F", 9)], "Sheet 'Q1', A2:F9"),
        ([Place(0, "Sheet 'Q1'", "B:B", 2)], "Sheet 'Q1', B2"),
        ([Place(0, "Sheet 'Q1'", "A:F", 8), Place(5, "Sheet 'Q2'", "A:F", 9)], "Sheet 'Q1', A8:F8"),
        ([Place(0, "", "line", None)], None),
    ],
)
def test_labels(places: list[Place], shown: str | None) -> None:
    assert label(places) == shown
    assert read_places(json.loads(json.dumps(pack_places(places)))) == tuple(places)


def test_a_span_has_the_places_that_it_touches() -> None:
    places = [Place(0, "", "line", 1), Place(10, "", "line", 2), Place(20, "", "line", 3)]
    assert within(places, 0, 10) == tuple(places[:1])
    assert within(places, 12, 21) == tuple(places[1:])
    assert within(places, 40, 41) == tuple(places[2:])
    assert within([Place(5, "slide 1")], 0, 5) == ()


def test_lines_and_rows_are_counted_as_the_file_counts_them() -> None:
    builder = TextBuilder()
    builder.place, builder.unit = "Sheet 'Q1'", "A:B"
    builder.heading(1, "Q1")
    builder.table([["Region", "Days"], ["", ""], ["North", "25"]], numbers=[1, 2, 3])
    builder.table([["1", "2"], ["3", "4"]], numbers=[7, 8], header=False)
    builder.place, builder.unit = "", "line"
    builder.text("\n\nOne.\nTwo.\n", 20)
    parsed = builder.build("", "text/plain", "a")
    assert unpack_parsed(*pack_parsed(parsed)) == parsed

    def at(words: str) -> str | None:
        start = parsed.text.index(words)
        places = [place for block in parsed.blocks for place in block.places]
        return label(within(places, start, start + len(words)))

    assert at("Q1") == "Sheet 'Q1'"
    assert at("| Region | Days |") == "Sheet 'Q1', A1:B1"
    assert at("| North | 25 |") == "Sheet 'Q1', A3:B3"
    assert at("| Region | Days |\n| --- | --- |\n| North | 25 |") == "Sheet 'Q1', A1:B3"
    assert at("| 3 | 4 |") == "Sheet 'Q1', A8:B8"
    assert at("One.") == "line 22"
    assert at("One.\nTwo.") == "lines 22-23"


def test_a_place_comes_along_to_the_hit_and_stays(tmp_path: Path) -> None:
    def fill(book: Any) -> None:
        sheet = book.active
        sheet.title = "Rates of ann.lee@example.com"
        sheet.append(["City", "Night rate"])
        for number in range(300):
            sheet.append([f"Town{number}", f"{number} euros"])

    (tmp_path / "rates.xlsx").write_bytes(make_xlsx(fill))
    (tmp_path / "talk.srt").write_text("1\n00:01:02,000 --> 00:01:03,000\nDogs may come on Fridays.\n")
    settings = IngestSettings(embedder="hash", documents_personal="mask")
    with open_pipeline(settings, path=tmp_path / "index") as pipeline:
        pipeline.add([tmp_path / "rates.xlsx", tmp_path / "talk.srt"])
    with Index.open(tmp_path / "index") as index:
        row = index.search("Town250", 1, mode="keyword")[0]
        talk = index.search("dogs on Fridays", 1, mode="keyword")[0]
        chunk = row.chunk
        start = chunk.text.index("| Town250 |") + chunk.start
        assert "example.com" not in str(chunk.place)
        assert re.fullmatch(r"Sheet 'Rates of .*', A\d+:B\d+", chunk.place or "")
        assert (chunk.place_at(start, start + 20) or "").endswith("', A252:B252")
        assert row.as_dict()["place"] == chunk.place
        assert talk.chunk.place == "00:01:02"


def test_a_name_is_one_line_and_not_endless() -> None:
    builder = TextBuilder()
    builder.place = "Sheet 'a\n b\u200b'"
    builder.text("One.")
    builder.place = "x" * 1000
    builder.text("Two.")
    assert [block.places for block in builder.build("", "text/plain", "a").blocks] == [(Place(0, "Sheet 'a b'"),), ()]
