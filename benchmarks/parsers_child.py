"""One library that reads files, in a process of its own: a path a line comes in, a line of JSON with text and seconds of the
processor goes out.

Run by `benchmarks.parsers`, with any Python that has the library: this file needs nothing else.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Read = Callable[[Path], str]


def ours() -> Read:
    """This project's parsers, as the pool's child calls them."""
    from ingest.parsers import parse

    return lambda path: parse(path.read_bytes(), path.name).text


def pypdfium2() -> Read:
    """The text that pdfium gives of each page, as it comes."""
    library: Any = importlib.import_module("pypdfium2")

    def read(path: Path) -> str:
        document = library.PdfDocument(path)
        try:
            return "\n\n".join(page.get_textpage().get_text_range() for page in document)
        finally:
            document.close()

    return read


def markitdown() -> Read:
    """markitdown's Markdown; plugins and LLMs are off by default."""
    converter = importlib.import_module("markitdown").MarkItDown()
    return lambda path: str(converter.convert(str(path)).text_content)


def trafilatura() -> Read:
    """The main content of a web page as Markdown with tables."""
    extract = importlib.import_module("trafilatura").extract
    return lambda path: extract(path.read_bytes(), output_format="markdown", include_tables=True) or ""


def unstructured() -> Read:
    """unstructured's elements, tables as the rows of its HTML; PDFs by their text, without models."""
    partition = importlib.import_module("unstructured.partition.auto").partition

    def read(path: Path) -> str:
        strategy = {"strategy": "fast"} if path.suffix == ".pdf" else {}
        elements = partition(filename=str(path), **strategy)
        return "\n\n".join(
            _rows(html) if (html := getattr(one.metadata, "text_as_html", None)) else str(one) for one in elements
        )

    return read


def docling() -> Read:
    """docling's Markdown."""
    converter = importlib.import_module("docling.document_converter").DocumentConverter()
    return lambda path: str(converter.convert(path).document.export_to_markdown())


def langchain() -> Read:
    """The loader that LangChain's documentation shows for each format."""
    loaders = importlib.import_module("langchain_community.document_loaders")
    named = {
        ".pdf": loaders.PyPDFLoader,
        ".docx": loaders.Docx2txtLoader,
        ".html": loaders.BSHTMLLoader,
        ".csv": loaders.CSVLoader,
        ".md": loaders.TextLoader,
    }
    return lambda path: "\n\n".join(page.page_content for page in named[path.suffix](str(path)).load())


READERS: dict[str, Callable[[], Read]] = {
    "ours": ours,
    "pypdfium2": pypdfium2,
    "markitdown": markitdown,
    "trafilatura": trafilatura,
    "unstructured": unstructured,
    "docling": docling,
    "langchain": langchain,
}


def _rows(html: str) -> str:
    """A table in HTML as lines with a bar between cells."""
    rows = re.findall(r"<tr.*?>(.*?)</tr>", html, re.DOTALL)
    cells = [[re.sub(r"<[^>]+>", " ", cell) for cell in re.findall(r"<t[dh].*?>(.*?)</t[dh]>", row, re.DOTALL)] for row in rows]
    return "\n".join(" | ".join(" ".join(cell.split()) for cell in row) for row in cells)


def main() -> None:
    """Say whether the library is there, then read file after file. What libraries print goes to the error output."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(message: dict[str, object]) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    try:
        with contextlib.redirect_stdout(io.StringIO()):
            read = READERS[sys.argv[1]]()
    except Exception as error:
        return say({"missing": f"{type(error).__name__}: {error}"})
    say({"ready": True})
    for line in sys.stdin:
        began = time.process_time()
        try:
            answer: dict[str, object] = {"text": read(Path(json.loads(line)))}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"[:300]}
        say({**answer, "seconds": time.process_time() - began})
    return None


if __name__ == "__main__":
    main()
