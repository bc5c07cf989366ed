"""What files hide from their readers: found in every format, at its place, and told from what honest documents do."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from reportlab.pdfgen import canvas

from ingest.parsers import parse
from ingest.parsers.builder import TextBuilder, clean, marked
from ingest.parsers.wire import pack_parsed, unpack_parsed
from ingest.types import Parsed
from tests.ingest.parsers.support import check, draw_pdf, make_docx, texts
from tests.ingest.parsers.test_docx import in_body, repacked


def read(data: str | bytes, name: str) -> Parsed:
    """The parsed document, as it comes out of the child process."""
    parsed = check(parse(data.encode() if isinstance(data, str) else data, name))
    for hidden in parsed.hidden:
        assert 0 <= hidden.start <= hidden.end <= len(parsed.text)
        assert not (hidden.beside and hidden.start < hidden.end)
    assert unpack_parsed(*pack_parsed(parsed)) == parsed
    return parsed


def surely(parsed: Parsed) -> list[tuple[str, str]]:
    """(way, text) of what only who wants to hide does, in the text."""
    return [(h.kind, parsed.text[h.start : h.end]) for h in parsed.hidden if h.sure]


def perhaps(parsed: Parsed) -> list[tuple[str, str]]:
    """(way, text) of what honest documents do, too, in the text or beside it."""
    return [(h.kind, h.beside or parsed.text[h.start : h.end]) for h in parsed.hidden if not h.sure]


# --- HTML


@pytest.mark.parametrize(
    ("way", "html"),
    [
        ("white", "<p>Seen <span style='color:#FFF'>unseen</span> again"),
        ("white", "<p>Seen <span style='color: rgb(250, 250,250)'>unseen</span> again"),
        ("white", "<p>Seen <span style='color:hsl(0, 0%, 100%)'>unseen</span> again"),
        ("white", "<p>Seen <font color=White>unseen</font> again"),
        ("white", "<table bgcolor=black><tr><td>Seen <span style='color:#000'>unseen</span> again</table>"),
        ("white", "<div style='background:navy;color:white'>Seen <i style='color:#000080'>unseen</i> again</div>"),
        ("white", "<style>.x { color: white } /* } */ #y{}</style><p>Seen <b class='a x'>unseen</b> again"),
        ("tiny", "<p>Seen <span style='font-size:0'>unseen</span> again"),
        ("tiny", "<p>Seen <span style='font: 1px serif'>unseen</span> again"),
        ("tiny", "<p>Seen <span style='font-size:10%'>unseen</span> again"),
        ("tiny", "<style>i, u{font-size:1px!important}</style><p>Seen <u>unseen</u> again"),
        ("transparent", "<p>Seen <span style='opacity: 0.01'>unseen</span> again"),
        ("transparent", "<p>Seen <span style='color: transparent'>unseen</span> again"),
        ("transparent", "<p>Seen <span style='color:#00000000'>unseen</span> again"),
        ("off page", "<p>Seen <span style='position:absolute;left:-9999px'>unseen</span> again"),
        ("off page", "<p>Seen <span style='position:absolute;clip:rect(0 0 0 0)'>unseen</span> again"),
        ("off page", "<p>Seen <span style='text-indent:-200em'>unseen</span> again"),
        ("not displayed", "<style>.gone{display:none}</style><p>Seen <span class=gone>unseen</span> again"),
    ],
)
def test_html_that_is_not_seen(way: str, html: str) -> None:
    document = read(html, "a.html")
    assert "Seen unseen again" in document.text
    assert surely(document) == [(way, "unseen")]


@pytest.mark.parametrize(
    "html",
    [
        "<p style='color:#333'>seen",
        "<div style='background:#024'><p style='color:white'>seen</div>",
        "<table><tr><td bgcolor='#003366'><font color=white>seen</font></table>",
        "<div style='background:url(x.png)'><p style='color:white'>seen</div>",
        "<div style='background:linear-gradient(red, blue)'><p style='color:white'>seen</div>",
        "<h1 style='color:transparent;background:linear-gradient(red,blue);background-clip:text'>seen</h1>",
        "<div style='font-size:0'> <p style='font-size:12px'>seen</div>",
        "<p style='font: 300 14px/1.5 serif'>seen",
        "<p style='position:absolute;left:-20px'>seen",
        "<p style='position:relative;left:-99%'>seen",
        "<p style='opacity:0.6'>seen",
        "<p style='color:#'>seen",
        "<style>@media print { p { display: none } }</style><p>seen",
    ],
)
def test_html_that_is_seen(html: str) -> None:
    document = read(html, "a.html")
    assert (document.text, document.hidden) == ("seen", ())


@pytest.mark.parametrize(
    "around",
    [
        "<link rel=stylesheet href=x.css>",
        "<style>.card p { color: black }</style>",
        "<style>@import 'x.css';</style>",
        "<style>@media screen { p { background: black } }</style>",
    ],
)
def test_html_whose_other_styles_are_not_known_is_in_doubt(around: str) -> None:
    document = read(f"{around}<style>.x{{color:white}}</style><p>Seen <b class=x>perhaps</b>", "a.html")
    assert (surely(document), perhaps(document)) == ([], [("white", "perhaps")])


def test_html_that_a_script_may_show_is_in_doubt() -> None:
    page = "<script>show()</script><style>.tab{display:none}</style><p>Seen<p class=tab>The answer, at a click."
    document = read(page, "a.html")
    assert (surely(document), perhaps(document)) == ([], [("not displayed", "The answer, at a click.")])


def test_html_beside_the_text() -> None:
    document = read(
        "<!-- before --><p title='a tip'>Seen<!-- amid -->.<img src=x alt='A map'></p><p hidden>not shown</p>"
        "<p style='display:none'>nor <b>this</b></p><nav>Menu</nav><noscript>no <b>script</b></noscript>"
        "<template><p>later</p></template><span aria-hidden=true>star</span><script>no</script>",
        "a.html",
    )
    assert surely(document) == []
    assert sorted(perhaps(document)) == [
        ("alternative text", "A map"),
        ("aria-hidden", "star"),
        ("comment", "amid"),
        ("comment", "before"),
        ("noscript", "no script"),
        ("not displayed", "nor this"),
        ("not displayed", "not shown"),
        ("template", "later"),
        ("title", "a tip"),
    ]
    assert document.text == "Seen.A map\n\nstar"


def test_hidden_headings_and_cells_stand_where_the_text_has_them() -> None:
    document = read(
        "<h1 style='opacity:0'>Ghost  story</h1><p>Below.<table><tr><th>A<th>B<tr><td>1<td style='color:#fff'>x  y</table>",
        "a.html",
    )
    assert surely(document) == [("transparent", "Ghost story"), ("white", "x y")]
    assert [block.heading for block in document.blocks] == [(), ("Ghost story",), ("Ghost story",)]
    assert document.title == "Ghost story"


def test_what_is_hidden_in_one_way_over_several_blocks_is_one() -> None:
    document = read("<div style='color:white'><p>One</p><p>and <b>two</b>.</p></div><p>Seen.", "a.html")
    assert surely(document) == [("white", "One\n\nand two.")]


# --- Markdown


def test_markdown() -> None:
    document = read(
        '# Leave\n\nSeen <!-- note -->[link](http://x "a tip") ![a **map**](m.png "its tip") '
        "<span style='color:white'>white *and* <span>deep</span></span> end.\n\n<!-- block\nnote -->\n\n"
        "[//]: # (a remark)\n[//]: # (another)\n[Do as I say]: #\n[x]: <say it here>\n",
        "a.md",
    )
    assert surely(document) == [("white", "white and deep")]
    assert sorted(perhaps(document)) == [
        ("alternative text", "a map"),
        ("comment", "block note"),
        ("comment", "note"),
        ("reference", "// a remark"),
        ("reference", "// another"),
        ("reference", "do as i say"),
        ("reference", "x say it here"),
        ("title", "a tip"),
        ("title", "its tip"),
    ]
    assert texts(document)[1] == "Seen link a map white and deep end."


def test_markdown_inside_html_that_hides_it() -> None:
    document = read(
        "<div style='font-size:0'>\n\nHidden *words*.\n\n- and items\n\n<div>\nraw\n</div>\n\n</div>\n\nSeen.\n\n"
        "<p style='opacity:0'>also</p>\n\n<p hidden>never</p>\n\nAnd <b>seen</b> <br> <img alt='x' src=y>.\n",
        "a.md",
    )
    assert surely(document) == [("tiny", "Hidden words.\n\nand items\n\nraw"), ("transparent", "also")]
    assert ("not displayed", "never") in perhaps(document)


def test_an_element_that_a_paragraph_leaves_open_ends_with_it() -> None:
    assert surely(read("One <font color=white>two\n\nthree.\n", "a.md")) == [("white", "two")]


# --- Word


def run(text: str, properties: str = "") -> str:
    return f"<w:r><w:rPr>{properties}</w:rPr><w:t>{text}</w:t></w:r>"


WHITE, BLUE, GREY = (f'<w:color w:val="{colour}"/>' for colour in ("FFFFFF", "1F4E79", "222222"))
ON_BLUE, ON_MARKER = '<w:shd w:fill="1F4E79"/>', '<w:highlight w:val="darkBlue"/>'
NOT_VANISHED = '<w:vanish w:val="0"/>'
TINY, SMALL = '<w:sz w:val="2"/>', '<w:sz w:val="16"/>'


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        (run("Seen") + run(" white", WHITE), [("white", "white")]),
        (run("Seen") + run(" tiny", TINY), [("tiny", "tiny")]),
        (run("blue", BLUE + ON_BLUE) + run("Seen"), [("white", "blue")]),
        (run("Seen", SMALL + GREY), []),
        (f"<w:pPr>{ON_BLUE}</w:pPr>" + run("Seen", WHITE), []),
        (run("Seen", WHITE + ON_MARKER), []),
        (run("Seen", WHITE + ON_BLUE), []),
    ],
)
def test_word_that_is_not_seen(runs: str, expected: list[tuple[str, str]]) -> None:
    document = read(in_body(f"<w:p>{runs}</w:p>"), "a.docx")
    assert "Seen" in document.text
    assert surely(document) == expected


def table(cell: str, style: str = "") -> bytes:
    row = f"<w:tr><w:tc>{cell}</w:tc><w:tc><w:p>{run('Seen')}</w:p></w:tc></w:tr>"
    return in_body(f"<w:tbl><w:tblPr>{style}</w:tblPr>{row}{row}</w:tbl>")


def test_word_in_tables_goes_by_the_shade_of_the_cell() -> None:
    white = f"<w:p>{run('head', WHITE)}</w:p>"
    shaded = read(table(f'<w:tcPr><w:shd w:fill="1F4E79"/></w:tcPr>{white}'), "a.docx")
    assert (surely(shaded), perhaps(shaded)) == ([], [])
    assert surely(read(table(white), "a.docx")) == [("white", "head"), ("white", "head")]
    styled = read(table(white, '<w:tblStyle w:val="GridTable5Dark"/>'), "a.docx")
    assert (surely(styled), set(perhaps(styled))) == ([], {("white", "head")})


def test_word_by_style() -> None:
    def fill(document: Any) -> None:
        from docx.shared import Pt, RGBColor

        ghost = document.styles.add_style("Ghost", 1)
        ghost.font.color.rgb = RGBColor(255, 255, 255)
        child = document.styles.add_style("Child of ghost", 1)
        child.base_style = ghost
        small = document.styles.add_style("Small", 2)
        small.font.size = Pt(1)
        document.add_paragraph("Seen. ").add_run("tiny", style="Small")
        document.add_paragraph("ghostly", style="Child of ghost")

    assert surely(read(make_docx(fill), "a.docx")) == [("tiny", "tiny"), ("white", "ghostly")]


def test_word_beside_the_text() -> None:
    drawing = (
        '<w:drawing><wp:inline xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing">'
        '<wp:docPr id="1" name="x" descr="A map" title="Map"/></wp:inline></w:drawing>'
    )
    data = in_body(
        f"<w:p>{run('Seen')}{run('vanished', '<w:vanish/>')}{run(' too', NOT_VANISHED)}"
        f"<w:del><w:r><w:delText>deleted</w:delText></w:r></w:del><w:r>{drawing}</w:r></w:p>"
    )
    document = read(data, "a.docx")
    assert document.text == "Seen too"
    assert (surely(document), sorted(perhaps(document))) == (
        [],
        [("alternative text", "Map A map"), ("deleted", "deleted"), ("not displayed", "vanished")],
    )


def with_comment(comments: bytes) -> bytes:
    def fill(document: Any) -> None:
        document.add_comment(document.add_paragraph("Seen.").runs, text="a remark", author="x")

    data = make_docx(fill)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        (name,) = [name for name in archive.namelist() if "comments" in name and "rels" not in name]
    return repacked(data, name, comments) if comments else data


def test_word_comments() -> None:
    assert perhaps(read(with_comment(b""), "a.docx")) == [("comment", "a remark")]


# --- PDF


def drawn(draw: Callable[[canvas.Canvas], None], **options: Any) -> Parsed:
    stream = io.BytesIO()
    page = canvas.Canvas(stream, **options)
    page.drawString(72, 700, "Seen at the top.")
    draw(page)
    page.showPage()
    page.save()
    return read(stream.getvalue(), "a.pdf")


def mode(page: canvas.Canvas, number: int, x: float, y: float, text: str) -> None:
    line = page.beginText(x, y)
    line.setTextRenderMode(number)
    line.textLine(text)
    page.drawText(line)


def coloured(*rgb: float) -> Callable[[canvas.Canvas], None]:
    def draw(page: canvas.Canvas) -> None:
        page.setFillColorRGB(*rgb)
        page.drawString(72, 500, "Not seen.")

    return draw


def small(page: canvas.Canvas) -> None:
    page.setFont("Helvetica", 1)
    page.drawString(72, 500, "Not seen.")


def see_through(page: canvas.Canvas) -> None:
    page.setFillAlpha(0)
    page.drawString(72, 500, "Not seen.")


def on_a_box_of_its_colour(page: canvas.Canvas) -> None:
    page.setFillColorRGB(0.1, 0.1, 0.4)
    page.rect(50, 480, 300, 60, fill=1, stroke=0)
    page.drawString(72, 500, "Not seen.")


@pytest.mark.parametrize(
    ("way", "draw"),
    [
        ("white", coloured(1, 1, 1)),
        ("white", coloured(0.97, 0.97, 0.99)),
        ("white", on_a_box_of_its_colour),
        ("tiny", small),
        ("transparent", see_through),
        ("transparent", lambda page: mode(page, 3, 72, 500, "Not seen.")),
        ("off page", lambda page: page.drawString(72, -40, "Not seen.")),
        ("off page", lambda page: page.drawString(-300, 500, "Not seen.")),
    ],
)
def test_pdf_that_is_not_seen(way: str, draw: Callable[[canvas.Canvas], None]) -> None:
    document = drawn(draw)
    assert texts(document) == ["Seen at the top.", "Not seen."]
    assert [(h.kind, h.sure, h.page, document.text[h.start : h.end]) for h in document.hidden] == [(way, True, 1, "Not seen.")]


def white_on_a_box(page: canvas.Canvas) -> None:
    page.setFillColorRGB(0.1, 0.3, 0.6)
    page.rect(50, 480, 300, 60, fill=1, stroke=0)
    page.setFillColorRGB(1, 1, 1)
    page.drawString(72, 500, "White on blue.")


def white_on_a_picture(page: canvas.Canvas) -> None:
    page.drawImage(picture("black"), 50, 450, 300, 100)
    page.setFillColorRGB(1, 1, 1)
    page.drawString(72, 500, "White on black.")


def outlined(page: canvas.Canvas) -> None:
    page.setFillColorRGB(1, 1, 1)
    mode(page, 2, 72, 500, "White with an outline.")


def picture(colour: str) -> Any:
    from PIL import Image
    from reportlab.lib.utils import ImageReader

    stream = io.BytesIO()
    Image.new("RGB", (40, 40), colour).save(stream, "PNG")
    return ImageReader(io.BytesIO(stream.getvalue()))


@pytest.mark.parametrize("draw", [white_on_a_box, white_on_a_picture, outlined, coloured(0.6, 0.6, 0.6)])
def test_pdf_that_is_seen(draw: Callable[[canvas.Canvas], None]) -> None:
    assert drawn(draw).hidden == ()


def test_the_text_layer_of_a_scan_is_honest_but_not_beside_the_scan() -> None:
    def draw(page: canvas.Canvas) -> None:
        page.drawImage(picture("lightgrey"), 0, 200, 595, 642)
        mode(page, 3, 72, 500, "Read from the scan.")
        mode(page, 3, 72, 100, "Slipped in below.")

    document = drawn(draw)
    assert "Read from the scan." in document.text
    assert surely(document) == [("transparent", "Slipped in below.")]


def test_pdf_a_word_in_a_line_and_a_turned_page() -> None:
    stream = io.BytesIO()
    page = canvas.Canvas(stream)
    page.setPageRotation(90)
    line = page.beginText(72, 500)
    line.textOut("Seen before ")
    line.setFillColorRGB(1, 1, 1)
    line.textOut("unseen words ")
    line.setFillColorRGB(0, 0, 0)
    line.textOut("seen after.")
    page.drawText(line)
    page.showPage()
    page.save()
    document = read(stream.getvalue(), "a.pdf")
    assert document.text == "Seen before unseen words seen after."
    assert surely(document) == [("white", "unseen words")]


def test_pdf_annotations() -> None:
    document = drawn(lambda page: page.textAnnotation("A sticky note: größer 🦊", Rect=[0, 0, 10, 10]))
    assert [(h.kind, h.page, h.beside) for h in document.hidden] == [("annotation", 1, "A sticky note: größer 🦊")]
    assert "sticky" not in document.text


def test_pdf_pages_that_take_too_long_to_draw_leave_it_in_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.parsers.pdf.Eyes.__init__", lambda self: setattr(self, "_left", 0.0))
    document = drawn(coloured(1, 1, 1))
    assert (surely(document), perhaps(document)) == ([], [("white", "Not seen.")])


# --- invisible characters, in every format


def tags(text: str) -> str:
    return "".join(chr(0xE0000 + ord(letter)) for letter in text)


def variants(text: str) -> str:
    return "".join(chr(0xFE00 + byte if byte < 16 else 0xE0100 + byte - 16) for byte in text.encode())


@pytest.mark.parametrize(
    ("name", "page"), [("a.txt", "{}"), ("a.md", "{}"), ("a.csv", "a,b\n{},2\n"), ("a.html", "<p>{}")], ids=lambda v: v[-4:]
)
@pytest.mark.parametrize("smuggled", [tags("do as I say"), "😀" + variants("do as I say")], ids=["tags", "variants"])
def test_letters_that_nobody_sees_are_taken_out_and_read(name: str, page: str, smuggled: str) -> None:
    document = read(page.format(f"See{smuggled}n"), name)
    assert "Seen" in document.text.replace("😀", "")
    assert [(h.kind, h.sure, h.beside) for h in document.hidden] == [("invisible", True, "do as I say")]


def test_word_smuggles_letters_too() -> None:
    document = read(make_docx(lambda document: document.add_paragraph(f"See{tags('do as I say')}n")), "a.docx")
    assert (document.text, [h.beside for h in document.hidden]) == ("Seen", ["do as I say"])


@pytest.mark.parametrize("run", ["\u200b" * 8, "\u200b\u200c" * 8, "\u202eneeS\u202c", "\ufeff\u200d\u2060" * 4])
def test_long_runs_and_turned_text_are_told(run: str) -> None:
    document = read(f"Words {run} words", "a.txt")
    assert [(h.kind, h.sure, h.beside) for h in document.hidden] == [("invisible", True, "")]
    assert not set(document.text) & set("\u200b\u200c\u200d\u2060\u202e\ufeff")


@pytest.mark.parametrize(
    "text",
    [
        "👩‍❤️‍💋‍👨 and 👍🏽 and 1️⃣",
        "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f is England",
        "می‌خواهم",
        "क्‍ष",
        "葛\U000e0100城",
        "\u2068Ŝalom\u2069 \u200eשלום\u200f",
    ],
)
def test_scripts_and_emoji_keep_their_joiners(text: str) -> None:
    document = read(text, "a.txt")
    assert (document.text, document.hidden) == (text, ())


def test_clean_is_clean_however_runs_meet() -> None:
    for text in (
        "\u200c\u200c\u200b\u200c\u200c",
        "\u200c\u200c\u202e\u200c\u200c",
        f"\U0001f3f4\u200b{tags('gbeng')}\U000e007f",
    ):
        assert clean(clean(text)) == clean(text)


# --- the builder


def test_signs_that_a_document_holds_itself_do_no_harm() -> None:
    for text in ("a \ufdd0 b", "a \ufdd1\ufdd2 b \ufdd0\ufdd0", "\ufdd3", "\ufdef x"):
        builder = TextBuilder()
        builder.heading(1, text)
        builder.text(text)
        builder.table([[text, text]])
        check(builder.build("t", "text/plain")) if text.strip("\ufdd0\ufdd1\ufdd2\ufdd3") else None


def test_very_much_beside_the_text_is_not_kept() -> None:
    builder = TextBuilder()
    builder.text("Text.")
    for n in range(5_000):
        builder.beside("comment", f"{n} " * 50_000)
    hidden = builder.build("t", "text/plain").hidden
    assert 1 <= len(hidden) <= 500
    assert sum(len(one.beside) for one in hidden) < 200_000


def test_marked_keeps_the_space_outside() -> None:
    builder = TextBuilder()
    builder.text("a" + marked("  b c  ", "white") + "d")
    parsed = builder.build("t", "text/plain")
    assert (parsed.text, parsed.hidden[0].start, parsed.hidden[0].end) == ("a  b c  d", 3, 6)


# --- hostile files take no longer than their length


@pytest.mark.parametrize(
    "html",
    [
        "<" * 1_000_000,
        "<!--" * 250_000,
        "<p style='" + "color:#fff;" * 90_000 + "'>x",
        "<p style='background:" + "rgb(" * 250_000 + "'>x",
        "<p style='font:" + "1" * 1_000_000 + "'>x",
        "<style>" + "{" * 390_000 + "</style>x",
        "<style>" + "a{color:red}" * 30_000 + "</style>x",
        "<style>" + "/*" * 190_000 + "</style>x",
        "<style>" + ".a," * 130_000 + "{color:red}</style>x",
        "<span style='color:white'>x" * 40_000,
        "<p class='" + "x " * 500_000 + "'>x",
        "<template>" + "<b>" * 300_000,
        "<p hidden>x" * 90_000,
    ],
    ids=lambda html: html[:20],
)
def test_hostile_pages(html: str) -> None:
    began = time.process_time()
    parse(("<html><p>x" + html + "<p>x").encode(), "a.html")
    assert time.process_time() - began < 10


@pytest.mark.parametrize(
    "text",
    [
        "\u200b" * 1_000_000,
        tags("x") * 500_000,
        ("\u200c" * 3 + "x") * 250_000,
        "\ufdd1" * 1_000_000,
        ("\ufdd1a\ufdd0 " * 250_000),
    ],
    ids=["zero-width", "tags", "joiners", "signs", "marked"],
)
def test_hostile_characters(text: str) -> None:
    began = time.process_time()
    parse(("x " + text).encode(), "a.txt")
    assert time.process_time() - began < 10


def test_a_message_that_lies_about_what_is_hidden_is_refused() -> None:
    header, body = pack_parsed(parse(b"<p>Seen <!-- not -->", "a.html"))
    header["hidden"][0][2] = 10_000
    with pytest.raises(ValueError, match="something hidden from"):
        unpack_parsed(header, body)


def test_a_pdf_that_hides_nothing_has_nothing_hidden() -> None:
    assert read(draw_pdf([[(72, 700, "Leave is twenty-five days.")], [(72, 700, "Two.")]]), "a.pdf").hidden == ()
