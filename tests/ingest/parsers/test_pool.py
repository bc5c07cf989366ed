"""The pool: what one file does to its parser is no harm to the next, nor to the program."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from reportlab.lib.pdfencrypt import StandardEncryption

from ingest.errors import BrokenDocument, DocumentError, EmptyDocument, Encrypted, TooLarge
from ingest.parsers import parse
from ingest.parsers.pool import ParserPool
from ingest.parsers.wire import pack_parsed, unpack_parsed
from tests.ingest.parsers.support import check, draw_pdf, texts


@pytest.fixture
def pool() -> Iterator[ParserPool]:
    with ParserPool(seconds=60, memory_mb=1024) as pool:
        yield pool


def child_of(pool: ParserPool) -> int:
    """The process id of the child that waits."""
    (child,) = pool._idle
    return child.pid


def test_it_gives_what_the_parser_gives(pool: ParserPool, tmp_path: Path) -> None:
    data = "# Leave\n\nMüller 👍 has 25 days.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n".encode()
    path = tmp_path / "policy.md"
    path.write_bytes(data)
    expected = parse(data, "policy.md")
    assert pool(path, path.name) == expected
    assert pool(None, "policy.md", data) == expected
    pdf = draw_pdf([[(72, 700, "One.")], [(72, 700, "Two.")]])
    assert [block.page for block in pool(None, "a.pdf", pdf).blocks] == [1, 2]


def test_the_child_starts_late_and_is_used_again() -> None:
    with ParserPool(60, 1024) as pool:
        assert pool._idle == []
        pool(None, "a.txt", b"one")
        first = child_of(pool)
        with pytest.raises(EmptyDocument, match="holds no text"):
            pool(None, "a.txt", b" ")
        pool(None, "b.txt", b"two")
        assert child_of(pool) == first
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)


def test_passwords_are_told_to_the_child_and_to_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_BOT_PASSWORDS", "open sesame")
    locked = draw_pdf([[(72, 700, "Secret.")]], encrypt=StandardEncryption("open sesame", canPrint=0))
    with ParserPool(60, 1024, passwords=["wrong", "open sesame"]) as pool:
        assert texts(pool(None, "a.pdf", locked)) == ["Secret."]
        process = Path(f"/proc/{child_of(pool)}")
        if process.is_dir():
            assert b"sesame" not in (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
    with ParserPool(60, 1024, passwords=["wrong"]) as pool, pytest.raises(Encrypted) as refused:
        pool(None, "a.pdf", locked)
    assert "wrong" not in f"{refused.value} {refused.value.hint}"


def test_reasons_and_hints_come_through(tmp_path: Path) -> None:
    with ParserPool(60, 1024, max_bytes=10) as pool:
        (tmp_path / "big.txt").write_bytes(b"12345678901")
        for path, data in ((tmp_path / "big.txt", None), (None, b"12345678901")):
            with pytest.raises(TooLarge, match="has 11 bytes, more than the 10") as caught:
                pool(path, "big.txt", data)
            assert "RAG_BOT_MAX_FILE_BYTES" in caught.value.hint


def test_paths_that_hold_no_file(pool: ParserPool, tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="can't be read: No such file"):
        pool(tmp_path / "gone.txt", "gone.txt")
    os.mkfifo(tmp_path / "pipe.txt")
    with pytest.raises(DocumentError, match="is not a regular file"):
        pool(tmp_path / "pipe.txt", "pipe.txt")
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/odd\xff\n name.txt"))
    odd.write_bytes(b"Odd.")
    assert texts(pool(odd, odd.name)) == ["Odd."]


def test_a_file_that_takes_too_long_is_given_up() -> None:
    with ParserPool(seconds=3, memory_mb=2048) as pool:
        with pytest.raises(BrokenDocument, match=r"gave up after 3 s"):
            pool(None, "slow.md", b"*a_ " * 2_000_000)
        assert texts(pool(None, "a.txt", b"next")) == ["next"]


def test_a_file_that_needs_too_much_memory_is_given_up() -> None:
    with ParserPool(seconds=60, memory_mb=160) as pool:
        with pytest.raises(TooLarge, match="needed more than 160 MB"):
            pool(None, "big.csv", b"1,2,3,4,5,6,7,8\n" * 600_000)
        assert texts(pool(None, "a.txt", b"next")) == ["next"]


def test_a_parser_that_crashes_is_replaced() -> None:
    with ParserPool(seconds=60, memory_mb=2048, size=1) as pool:
        pool(None, "a.txt", b"one")
        killer = threading.Timer(0.5, os.kill, (child_of(pool), signal.SIGSEGV))
        killer.start()
        with pytest.raises(BrokenDocument, match=r"the parser crashed \(signal 11\)"):
            pool(None, "slow.md", b"*a_ " * 2_000_000)
        assert texts(pool(None, "a.txt", b"three")) == ["three"]


def test_a_child_that_died_while_it_waited_is_no_fault_of_the_next_file(pool: ParserPool) -> None:
    pool(None, "a.txt", b"one")
    first = child_of(pool)
    os.kill(first, signal.SIGKILL)
    pool._idle[0]._process.wait()
    assert texts(pool(None, "a.txt", b"two")) == ["two"]
    assert child_of(pool) != first


def test_a_child_is_replaced_after_many_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.parsers.pool._MOST_FILES", 3)
    with ParserPool(60, 1024, size=1) as pool:
        children = []
        for _ in range(4):
            pool(None, "a.txt", b"one")
            children += [child.pid for child in pool._idle]
        assert len(children) == 3 and len(set(children)) == 2


def test_more_text_than_is_allowed_is_refused() -> None:
    with ParserPool(60, 1024, size=1, output_mb=1) as pool:
        with pytest.raises(TooLarge, match="makes 2 MB of text, more than the 1 MB") as caught:
            pool(None, "a.txt", b"word " * 500_000)
        assert "RAG_BOT_PARSE_OUTPUT_MB" in caught.value.hint
        first = child_of(pool)
        assert texts(pool(None, "a.txt", b"next")) == ["next"]
        assert child_of(pool) == first


def test_threads_are_served_at_once_and_in_order_of_need() -> None:
    with ParserPool(60, 1024, size=2) as pool:
        results: dict[int, list[str]] = {}

        def work(number: int) -> None:
            for _ in range(5):
                results[number] = texts(pool(None, "a.txt", f"number {number}".encode()))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results == {number: [f"number {number}"] for number in range(6)}
        assert 1 <= len(pool._idle) <= 2


def test_a_slow_file_holds_up_no_other() -> None:
    with ParserPool(seconds=6, memory_mb=2048, size=2) as pool:
        outcomes: list[str] = []

        def slow() -> None:
            try:
                pool(None, "slow.md", b"*a_ " * 2_000_000)
            except DocumentError as error:
                outcomes.append(str(error))

        thread = threading.Thread(target=slow)
        thread.start()
        while not pool._busy:
            time.sleep(0.01)
        for number in range(3):
            assert texts(pool(None, "a.txt", f"{number}".encode())) == [f"{number}"]
        assert outcomes == []
        thread.join()
        assert outcomes == ["gave up after 6 s"]


def test_closing_does_not_wait_for_a_file_that_is_being_parsed() -> None:
    pool = ParserPool(seconds=300, memory_mb=2048, size=1)
    outcomes: list[str] = []

    def slow() -> None:
        try:
            pool(None, "slow.md", b"*a_ " * 2_000_000)
        except DocumentError as error:
            outcomes.append(str(error))

    thread = threading.Thread(target=slow)
    thread.start()
    while not pool._busy:
        time.sleep(0.01)
    pool.close()
    thread.join(60)
    assert outcomes == ["was not parsed: the program is stopping"]


def test_children_outlive_the_threads_that_asked_for_them(pool: ParserPool) -> None:
    thread = threading.Thread(target=pool, args=(None, "a.txt", b"one"))
    thread.start()
    thread.join()
    first = child_of(pool)
    time.sleep(0.2)
    assert texts(pool(None, "a.txt", b"two")) == ["two"]
    assert child_of(pool) == first


def test_the_child_ends_with_its_parent() -> None:
    program = (
        "import os, time; from ingest.parsers.pool import ParserPool; pool = ParserPool(300, 2048); pool(None, 'a.txt', b'x');"
        "import threading; child = pool._idle[0].pid;"
        "busy = threading.Thread(target=pool, args=(None, 'slow.md', b'*a_ ' * 2_000_000), daemon=True);"
        "busy.start(); time.sleep(0.5); print(child, flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=False, text=True)
    child = int(done.stdout)
    for _ in range(200):
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        if Path(f"/proc/{child}/stat").exists() and Path(f"/proc/{child}/stat").read_text().split()[2] == "Z":
            return
        time.sleep(0.05)
    raise AssertionError(f"the child {child} is still running")


def test_the_child_imports_nothing_heavy() -> None:
    program = "import sys, ingest.parsers.worker; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=True, text=True)
    loaded = set(done.stdout.split())
    assert not loaded & {"numpy", "torch", "faiss", "pydantic", "docx", "lxml", "pypdfium2", "selectolax", "charset_normalizer"}


def test_a_message_that_lies_about_the_text_is_refused() -> None:
    header, body = pack_parsed(check(parse(b"# Title\n\nText.", "a.md")))
    assert unpack_parsed(header, body).text == "Title\n\nText."
    header["blocks"][1][2] = 10_000
    with pytest.raises(ValueError, match="a block from"):
        unpack_parsed(header, body)
