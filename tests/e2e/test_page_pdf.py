"""A citation of a PDF in real Chromium: its page is drawn, and the box stands on the quoted words and on nothing else."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pypdfium2
import pytest
from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import Browser, ConsoleMessage, Page, expect
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen import canvas

from ingest.parsers import ocr
from tests.e2e.service import Service, running_service

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("page_pdf")]

PARKING = "The parking garage opens at 6 in the morning on every working day."
BICYCLES = "Bicycles are parked in the cellar of the office, behind the archive."
LAPTOPS = "A new laptop is approved by the head of the IT department."
SAUNA = "The sauna is heated on Thursday evenings from seven to ten."
PLANTS = "The porter waters the plants of the office on Mondays."
FILLER = "Offices have plants, and visitors sign the book at the door of the building."

# Of the red pixels on the page's canvas: how many lie inside a box as it is laid out, and how many outside of all.
RED = """() => {
  const canvas = document.querySelector(".sheet canvas"), at = canvas.getBoundingClientRect();
  const boxes = [...document.querySelectorAll(".quote-box")].map((box) => box.getBoundingClientRect());
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let inside = 0, outside = 0;
  for (let i = 0; i < data.length; i += 4) {
    if (data[i] < 150 || data[i + 1] > 90) continue;
    const x = at.left + ((i / 4) % canvas.width + .5) * at.width / canvas.width;
    const y = at.top + (Math.floor(i / 4 / canvas.width) + .5) * at.height / canvas.height;
    boxes.some((b) => b.left <= x && x <= b.right && b.top <= y && y <= b.bottom) ? inside++ : outside++;
  }
  return [inside, outside, boxes.reduce((sum, b) => sum + b.width * b.height, 0) / (at.width * at.height)];
}"""


def pdf(fact: str, page: int, x: float = 72, y: float = 400, **options: object) -> bytes:
    """Three pages of filler in black, with the fact in red on one of them."""
    stream = io.BytesIO()
    drawing = canvas.Canvas(stream, **options)
    for number in (1, 2, 3):
        for height in (700, 686, 672, 200, 186):
            drawing.drawString(72, height, FILLER)
        if number == page:
            drawing.setFillColorRGB(0.9, 0, 0)
            drawing.drawString(x, y, fact)
        drawing.showPage()
    drawing.save()
    return stream.getvalue()


def turned(data: bytes) -> bytes:
    """The same with its pages lying on their side, and cut at the left and below."""
    stream = io.BytesIO()
    with pypdfium2.PdfDocument(data) as document:
        for page in document:
            page.set_rotation(90)
            page.set_cropbox(60, 150, 595, 800)
        document.save(stream)
    return stream.getvalue()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    home = tmp_path_factory.mktemp("page-pdf")
    folder = home / "handbook"
    folder.mkdir()
    (folder / "parking.pdf").write_bytes(pdf(PARKING, page=2))
    (folder / "bicycles.pdf").write_bytes(turned(pdf(BICYCLES, page=3)))
    (folder / "sauna.pdf").write_bytes(pdf(SAUNA, page=1, encrypt=StandardEncryption("open sesame")))
    picture = Image.new("RGB", (900, 500), "white")
    ImageDraw.Draw(picture).text((60, 180), PLANTS, "black", ImageFont.load_default(26))
    if ocr.installed():
        picture.save(folder / "plants.png")
    (folder / "laptops.md").write_text(f"# Laptops\n\n{LAPTOPS}\n", encoding="utf-8")
    with running_service(folder, home, RAG_BOT_PASSWORDS="open sesame") as service:
        yield service


@pytest.fixture
def page(service: Service, chromium: Browser) -> Iterator[Page]:
    faults: list[str] = []

    def heard(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            faults.append(f"{message.type}: {message.text}")

    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    context.on("console", heard)
    context.on("weberror", lambda error: faults.append(f"uncaught: {error.error}"))
    context.on("request", lambda request: None if request.url.startswith(service.url) else faults.append(request.url))
    page = context.new_page()
    page.set_default_timeout(30_000)
    page.goto(service.url)
    yield page
    context.close()
    assert faults == []


def cite(page: Page, question: str) -> None:
    """Ask, and open the first source of the answer."""
    answers = page.locator(".toolbar")
    before = answers.count()
    page.get_by_label("Your question").fill(question)
    page.keyboard.press("Enter")
    expect(answers).to_have_count(before + 1, timeout=60_000)
    page.locator(".exchange").last.locator(".mark").first.click()


def show_page(page: Page) -> None:
    """Have the page shown, also where finding the place took so long that the text was."""
    expect(page.locator("#source-views")).to_be_visible(timeout=60_000)
    page.get_by_role("button", name="Page", exact=True).click()


@pytest.mark.parametrize(
    ("question", "number", "fact"),
    [("When does the parking garage open?", 2, PARKING), ("Where are bicycles parked?", 3, BICYCLES)],
)
def test_the_page_opens_with_the_box_on_the_quoted_words(page: Page, question: str, number: int, fact: str) -> None:
    cite(page, question)
    show_page(page)
    expect(page.locator(".pages-where")).to_have_text(f"Page {number} of 3")
    expect(page.locator(".quote-box")).to_have_count(1)
    expect(page.locator(".quote-box")).to_be_in_viewport()
    for zoom in range(3):
        inside, outside, share = page.evaluate(RED)
        assert inside > 300 and outside <= inside / 100, (inside, outside)
        assert 0.002 < share < 0.02, "the box is a line of the page, no more"
        if zoom < 2:
            width = page.locator(".sheet canvas").get_attribute("width")
            page.get_by_role("button", name="Larger").click()
            expect(page.locator(".sheet canvas")).not_to_have_attribute("width", width or "")
    page.get_by_role("button", name="Text", exact=True).click()
    assert page.locator("#source mark").evaluate("node => node.textContent") == fact
    page.get_by_role("button", name="Page", exact=True).click()
    expect(page.locator(".quote-box")).to_be_in_viewport()


def test_pages_are_turned(page: Page) -> None:
    cite(page, "When does the parking garage open?")
    show_page(page)
    expect(page.locator(".pages-where")).to_have_text("Page 2 of 3")
    page.get_by_role("button", name="Next page").click()
    expect(page.locator(".pages-where")).to_have_text("Page 3 of 3")
    expect(page.locator(".quote-box")).to_have_count(0)
    expect(page.get_by_role("button", name="Next page")).to_be_disabled()
    page.get_by_role("button", name="Previous page").click()
    expect(page.locator(".quote-box")).to_have_count(1)
    page.set_viewport_size({"width": 800, "height": 700})
    assert page.evaluate(RED)[1] <= page.evaluate(RED)[0] / 100, "the box moves with the page when the window gets smaller"


def test_an_encrypted_file_is_quoted_and_its_password_stays_here(page: Page, service: Service) -> None:
    cite(page, "When is the sauna heated?")
    expect(page.locator("#source mark")).to_have_text(SAUNA)
    expect(page.locator(".page-note")).to_contain_text("The file is encrypted")
    expect(page.locator("#source-views")).to_be_hidden()
    assert b"sesame" not in b"".join(path.read_bytes() for path in Path(service.index).parent.rglob("*.log"))


def test_other_formats_are_shown_as_text(page: Page) -> None:
    cite(page, "When does the parking garage open?")
    expect(page.locator("#source-views")).to_be_visible()
    cite(page, "Who approves a new laptop?")
    expect(page.locator("#source mark")).to_have_text(LAPTOPS)
    expect(page.locator("#source-views")).to_be_hidden()
    expect(page.locator(".pages")).to_have_count(0)


@pytest.mark.skipif(not ocr.installed(), reason="needs the extra `ocr`")
def test_a_quote_of_a_picture_is_boxed_on_it(page: Page) -> None:
    cite(page, "Who waters the plants of the office?")
    show_page(page)
    expect(page.locator(".sheet img")).to_be_visible()
    expect(page.locator(".quote-box")).to_have_count(1)
    image, box = (page.locator(name).bounding_box() for name in (".sheet img", ".quote-box"))
    assert image and box
    scale = image["width"] / 900
    assert box["x"] - image["x"] == pytest.approx(60 * scale, abs=5)
    assert image["y"] + 175 * scale < box["y"] < image["y"] + 195 * scale
    assert 20 * scale < box["height"] < 45 * scale


def test_on_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    cite(page, "When does the parking garage open?")
    show_page(page)
    expect(page.locator(".quote-box")).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    boxes = "[...document.querySelectorAll('body, #source-body')].map(box => box.scrollWidth - box.clientWidth)"
    assert max(page.evaluate(boxes)) <= 0
