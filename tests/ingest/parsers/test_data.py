"""JSON, JSON lines, YAML and notebooks."""

from __future__ import annotations

import json

import pytest

from ingest.errors import BrokenDocument, TooLarge
from ingest.parsers import parse
from tests.ingest.parsers.support import check, place_of, texts, view


def test_records_are_tables_and_nested_ones_sections() -> None:
    data = """{"title": "Shop", "open": true, "tax": 1.50, "none": null, "owner": {"name": "Ann", "tel": "12"},
      "products": [{"sku": "A1", "price": 12.50, "tags": ["a", "b"]}, {"sku": "B2", "price": 1e3}]}"""
    parsed = check(parse(data.encode(), "shop.json"))
    assert view(parsed) == [
        ("text", "title: Shop\nopen: true\ntax: 1.50\nowner.name: Ann\nowner.tel: 12"),
        ("heading", "products"),
        ("table", "| sku | price | tags |\n| --- | --- | --- |\n| A1 | 12.50 | a, b |\n| B2 | 1e3 |  |"),
    ]
    assert (parsed.title, parsed.media_type) == ("Shop", "application/json")
    assert place_of(parsed, "| B2 |") == "products, item 2"
    assert place_of(parsed, "| A1 | 12.50 | a, b |\n| B2") == "products, items 1-2"


def test_records_that_are_no_rows_stand_below_their_names() -> None:
    story = "Once. " * 300
    data = json.dumps({"pages": [{"title": "One", "body": story}, {"title": "Two", "body": "short"}]})
    parsed = check(parse(data.encode(), "a.json"))
    assert [text for kind, text in view(parsed) if kind == "heading"] == ["pages", "One", "Two"]
    assert parsed.blocks[-1].heading == ("pages", "Two")
    assert place_of(parsed, "body: short") == "pages[1]"


def test_lines_of_json() -> None:
    flat = b'{"a": 1, "b": "x"}\n\n{"a": 2, "b": "y"}\n'
    parsed = check(parse(flat, "a.jsonl"))
    assert texts(parsed) == ["| a | b |\n| --- | --- |\n| 1 | x |\n| 2 | y |"]
    assert place_of(parsed, "| 2 | y |") == "line 3"
    nested = b'{"a": {"b": 1}}\n{"a": {"b": 2, "c": [{"d": 3}]}}\n{"cut'
    parsed = check(parse(nested, "a.ndjson"))
    assert texts(parsed) == ["a.b: 1", "a.b: 2\na.c[0].d: 3", '{"cut']
    assert place_of(parsed, "a.c[0].d") == "line 2"
    assert check(parse(flat, "a.json")).media_type == "application/x-ndjson"


@pytest.mark.parametrize(
    ("data", "name", "reason"),
    [
        (b"{'a': 1}", "a.json", "is not JSON"),
        (b"[" * 100_000, "a.json", "nested too deeply"),
        (b"just\nwords\n", "a.jsonl", "has no JSON value on each"),
        (b"a: [1, 2", "a.yaml", "is not YAML"),
        (b"a: *b", "a.yaml", "refers to 'b' before that is complete"),
        (b"a: &a [*a]", "a.yaml", "refers to 'a' before that is complete"),
        (b"[" * 5000, "a.yaml", "nested too deeply"),
    ],
)
def test_a_refusal_says_why(data: bytes, name: str, reason: str) -> None:
    with pytest.raises(BrokenDocument, match=reason):
        parse(data, name)


def test_numbers_of_any_size_stay_as_they_are() -> None:
    assert texts(parse(b'{"a": ' + b"9" * 10_000 + b"}", "a.json")) == ["a: " + "9" * 10_000]


def test_yaml_has_no_types_tags_or_bombs() -> None:
    data = b"""%YAML 1.1
---
country: no
version: 1.10
run: !!python/object/apply:os.system [echo]
base: &b {x: 1}
sub:
  <<: *b
  y: 2
---
- a
- b
"""
    parsed = check(parse(data, "a.yml"))
    assert texts(parsed) == ["country: no\nversion: 1.10\nrun: echo\nbase.x: 1\nsub.x: 1\nsub.y: 2", "a\nb"]
    bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{one}: &{one} [{', '.join([f'*{before}'] * 10)}]\n" for before, one in zip("abcdefgh", "bcdefghi", strict=True)
    )
    with pytest.raises(TooLarge, match="by its aliases"):
        parse(bomb.encode(), "a.yaml")


def test_notebooks_cell_by_cell() -> None:
    book = {
        "nbformat": 4,
        "cells": [
            {"cell_type": "markdown", "source": ["# Sales\n", "By **region**."]},
            {
                "cell_type": "code",
                "source": "print(1)",
                "outputs": [
                    {"output_type": "stream", "text": ["1\n"]},
                    {"output_type": "execute_result", "data": {"text/html": "<table><tr><th>a<th>b<tr><td>1<td>2</table>"}},
                    {"output_type": "error", "ename": "ValueError", "evalue": "no"},
                    {"output_type": "display_data", "data": {"image/png": "iVBOR", "text/plain": ["<Figure>"]}},
                ],
            },
            {"cell_type": "raw", "source": None},
            "odd",
        ],
    }
    parsed = check(parse(json.dumps(book).encode(), "a.ipynb"))
    assert texts(parsed) == [
        "Sales", "By region.", "print(1)", "1", "| a | b |\n| --- | --- |\n| 1 | 2 |", "ValueError: no", "<Figure>",
    ]  # fmt: skip
    assert place_of(parsed, "By region.") == "cell 1"
    assert place_of(parsed, "ValueError") == "cell 2"
    with pytest.raises(BrokenDocument, match="is not a Jupyter notebook"):
        parse(b'{"a": 1}', "a.ipynb")


def test_what_cells_put_out_as_pages_alone_or_at_length() -> None:
    def shown(**data: str) -> dict[str, object]:
        return {"output_type": "display_data", "data": {name.replace("_", "/"): held for name, held in data.items()}}

    outputs = [shown(text_html="<p>Only here</p>"), shown(text_html="<table><tr><td>\ud800 a<td>b</table>"),
               shown(text_plain="so on " * 10_000)]  # fmt: skip
    book = {"cells": [{"cell_type": "code", "source": "run()", "outputs": outputs}]}
    parsed = check(parse(json.dumps(book).encode(), "a.ipynb"))
    assert texts(parsed)[:2] == ["run()", "Only here"]
    assert "a | b" in parsed.text and len(texts(parsed)[-1]) <= 20_000
    assert parsed.notes == ("of what cell 1 put out, only the first 20,000 characters are read",)


def test_what_is_said_twice_under_one_key_is_not_lost() -> None:
    assert texts(parse(b'{"days": 25, "days": 26, "null": null}', "a.json")) == ["days: 25, 26"]
    assert texts(parse(b"days: 25\ndays: 26\nat: x\n", "a.yaml")) == ["days: 25, 26\nat: x"]
