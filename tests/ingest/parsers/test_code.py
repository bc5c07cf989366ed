"""Source code by its definitions."""

from __future__ import annotations

import pytest

from ingest.parsers import parse
from tests.ingest.parsers.support import check, place_of, view


def headings(source: str, name: str) -> list[str]:
    return [text for kind, text in view(check(parse(source.encode(), name))) if kind == "heading"]


def test_python_by_its_own_parser() -> None:
    source = '''"""Pays."""
import os

RATE = 3

class Pay:
    """What is paid."""

    @property
    def total(self) -> int:
        def inner(): ...
        return 1


# by region
async def by_region(name): return "def fake(): x"
'''
    parsed = check(parse(source.encode(), "src/pay.py"))
    assert view(parsed) == [
        ("text", '"""Pays."""\nimport os\n\nRATE = 3'),
        ("heading", "class Pay"),
        ("text", 'class Pay:\n    """What is paid."""'),
        ("heading", "def total"),
        ("text", "    @property\n    def total(self) -> int:\n        def inner(): ...\n        return 1\n\n\n# by region"),
        ("heading", "def by_region"),
        ("text", 'async def by_region(name): return "def fake(): x"'),
    ]
    assert parsed.blocks[4].heading == ("class Pay", "def total")
    assert parsed.blocks[6].heading == ("def by_region",)
    assert parsed.title == "pay.py"
    assert place_of(parsed, "return 1") == "line 12"
    assert place_of(parsed, "    @property\n    def total") == "lines 9-10"


@pytest.mark.parametrize(
    ("name", "source", "expected"),
    [
        ("a.py", "def old():\n    print 'x'\nclass New: pass\n", ["def old()", "class New: pass"]),
        (
            "a.ts",
            "/** A cart. */\n@Injectable()\nexport class Cart<T> extends Base {\n  // function fake() {\n"
            "  constructor(private http: Http) {\n    if (a) {\n    }\n  }\n}\n"
            "export const add = (a: number, b: number): number => a + b;\nexport interface Item { n: string }\n",
            ["export class Cart<T> extends Base", "constructor(private http: Http)",
             "export const add = (a: number, b: number): number", "export interface Item"],
        ),
        ("a.js", "const s = `\nclass Fake {\n`;\nasync function go(a) {\n}\n", ["async function go(a)"]),
        ("a.c", '/* x */\nstatic int\nadd(int a)\n{\n return f("int g() {");\n}\nint main(void) {\n while (x(1)) { }\n}\n',
         ["add(int a)", "int main(void)"]),
        ("a.java", "package a;\n@Entity\npublic class Invoice {\n  public <T> List<T> find(String a,\n"
         "      int b) throws E {\n  }\n}\n",
         ["public class Invoice", "public <T> List<T> find(String a,"]),
        ("a.go", "package main\n// Start it.\nfunc (s *Server) Start(a int) error {\n}\ntype Server struct {\n}\n",
         ["func (s *Server) Start(a int) error", "type Server struct"]),
        ("a.rs", "impl<'a> P<'a> {\n    pub fn new(x: &'a str) -> Self {\n    }\n}\n",
         ["impl<'a> P<'a>", "pub fn new(x: &'a str) -> Self"]),
        ("a.sql", "-- people\nCREATE TABLE people (\n id INT\n);\ncreate or replace view v as select 1;\n",
         ["CREATE TABLE people", "create or replace view v as select 1;"]),
        ("a.sh", "# hi\nhello() {\n  echo\n}\nfunction bye {\n}\n", ["hello()", "function bye"]),
        ("a.rb", "module A\n  class B\n    def c(d)\n    end\n  end\nend\n", ["module A", "class B", "def c(d)"]),
    ],
)  # fmt: skip
def test_other_languages_by_their_words(name: str, source: str, expected: list[str]) -> None:
    assert headings(source, name) == expected


def test_what_is_nested_stands_below_and_comments_with_what_they_are_of() -> None:
    parsed = check(parse(b"class A {\n\n  /** Says hi. */\n  public void hi() {\n  }\n}\n", "a.java"))
    assert parsed.blocks[-1].heading == ("class A", "public void hi()")
    assert place_of(parsed, "/** Says hi. */") == "line 3"
    assert parsed.text.endswith("  /** Says hi. */\n  public void hi() {\n  }\n}")


def test_lines_that_could_be_read_in_very_many_ways_take_no_longer() -> None:
    many = "throws a " * 40
    assert headings(f"class A {{\n void f() {many};\n void g() {':  a  ' * 40} +\n}}\n", "A.java") == ["class A"]
    assert headings("create or replace " * 40 + "\n", "a.sql") == []
    assert headings("create or replace function f() returns int\n", "a.sql") == ["create or replace function f() returns int"]


def test_python_with_more_branches_than_can_be_walked() -> None:
    branches = "".join(f"elif x == {n}:\n    pass\n" for n in range(1500))
    assert headings(f"if x < 0:\n    pass\n{branches}\ndef last():\n    pass\n", "a.py") == ["def last()"]


@pytest.mark.parametrize("source", ["(" * 10_000, "-" * 10_000 + "1", "x = '''", "\0\0", "if " * 5000, "f(" * 3000 + "{"])
def test_odd_sources_are_read_all_the_same(source: str) -> None:
    from tests.ingest.parsers.support import outcome

    for suffix in (".py", ".js", ".c"):
        assert outcome(source.encode(), "a" + suffix)
