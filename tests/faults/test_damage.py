"""Damaged and missing files of the index: noticed, said, set aside, made again, and the answers stay the same."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ingest.errors import IndexDamaged
from ingest.index import STORE, Index
from ingest.types import Mode
from tests.faults.support import RESTRICTED, can_restrict, environment, ingest
from tests.ingest.support import HASH, READER, assert_whole, fill, found, put

PAGE = 4096
QUESTIONS = ["When may dogs come?", "rate in Lisbon", "word77", "parental leave", "nothing of the kind"]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index with files of several pages, and with documents that were removed and added since the first publication."""
    path = tmp_path_factory.mktemp("damage") / "index"
    with Index.open(path, settings=HASH, write=True, create=True) as index:
        fill(index)
        for n in range(40):
            put(index, f"/docs/{n}.txt", f"The rule of word{n} says that word{n + 1} and word{n + 2} are left out.")
        index.publish()
        index.remove(put(index, "/docs/7.txt", "The wombat.").document_id or "")
        put(index, "/docs/late.txt", "Dogs that come late in word77 wait outside.")
    return path


@pytest.fixture
def path(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "index"))


Answers = list[list[tuple[str, str]]]


def answers(index: Index) -> Answers:
    modes: tuple[Mode, ...] = ("hybrid", "dense", "keyword")
    return [sorted(found(index.search(question, 3, mode))) for question in QUESTIONS for mode in modes]


@pytest.fixture(scope="module")
def expected(original: Path, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """What the index answers when all is published."""
    copy = Path(shutil.copytree(original, tmp_path_factory.mktemp("expected") / "index"))
    with Index.open(copy, write=True) as index:
        index.rebuild()
        return answers(index)


def newest(path: Path, pattern: str) -> Path:
    return max(path.glob(pattern))


TARGETS: dict[str, Callable[[Path], Path]] = {
    "vectors": lambda path: newest(path, "vectors-*.faiss"),
    "keywords' postings": lambda path: max(newest(path, "keywords-*").glob("*.idx")),
    "keywords' terms": lambda path: max(newest(path, "keywords-*").glob("*.term")),
    "keywords' list": lambda path: newest(path, "keywords-*") / "meta.json",
    "manifest": lambda path: path / "manifest.json",
}


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def flip_a_bit(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def zero_a_page(file: Path) -> None:
    content = file.read_bytes()
    at = (len(content) // 2) // PAGE * PAGE
    file.write_bytes((content[:at] + bytes(PAGE) + content[at + PAGE :])[: len(content)])


def delete(file: Path) -> None:
    file.unlink()


DAMAGES = [truncate, empty, flip_a_bit, zero_a_page, delete]


@pytest.mark.parametrize("write", [False, True], ids=["reader", "writer"])
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("target", TARGETS)
def test_damage_is_noticed_and_mended(
    target: str, damage: Callable[[Path], None], write: bool, path: Path, expected: Answers
) -> None:
    file = TARGETS[target](path)
    damage(file)
    part = file.relative_to(path).parts[0]
    remains = sorted(f.read_bytes() for f in (path / part).glob("*") if f.is_file()) if (path / part).is_dir() else []
    remains = remains or ([file.read_bytes()] if file.exists() else [])

    with Index.open(path, repair=False) as index:
        assert any(part in note for note in index.notes)
        assert index.verify() != []
        assert answers(index) == expected

    with Index.open(path, write=write) as index:
        assert any(part in note and ("built again" in note) for note in index.notes)
        assert answers(index) == expected
        assert_whole(index)

    # What was damaged is still there under another name, as it was.
    aside = [f for kept in path.glob("damaged-*") for f in ([kept] if kept.is_file() else kept.iterdir())]
    assert {content for content in remains if content} <= {f.read_bytes() for f in aside}

    with Index.open(path) as index:
        assert index.notes == []
        assert answers(index) == expected
        assert_whole(index)


def test_everything_derived_may_be_gone(path: Path, expected: Answers) -> None:
    for file in path.iterdir():
        if file.name.startswith(("vectors-", "keywords-", "manifest")):
            shutil.rmtree(file) if file.is_dir() else file.unlink()
    with Index.open(path) as index:
        assert len(index.notes) == 1
        assert answers(index) == expected
        assert_whole(index)


@pytest.mark.parametrize("write", [False, True], ids=["reader", "writer"])
def test_a_store_put_back_from_an_older_copy(write: bool, path: Path, tmp_path: Path, expected: Answers) -> None:
    older = shutil.copy(path / STORE, tmp_path / "older")
    with Index.open(path, write=True) as index:
        for n in range(3):
            put(index, f"/docs/wombat{n}.txt", "A wombat came when dogs may come.")
        index.publish()
    shutil.copy(older, path / STORE)
    with Index.open(path, write=write) as index:
        assert any("ahead of the store" in note for note in index.notes)
        assert answers(index) == expected
    with Index.open(path, write=True) as index:
        assert index.notes == []
        put(index, "/docs/new.txt", "Something new takes the number of a chunk that was lost.")
        assert found(index.search("Something new", 1))[0][0] == "new.txt"
        assert "wombat0.txt" not in [name for name, _ in found(index.search("wombat", 10))]
        assert_whole(index)


def test_damage_under_an_open_writer_is_not_published_on(path: Path, expected: Answers) -> None:
    with Index.open(path, write=True) as index:
        flip_a_bit(TARGETS["keywords' postings"](path))
        put(index, "/docs/late.txt", "Dogs that come late in word77 wait outside.")
        index.publish()
        assert answers(index) == expected
        assert_whole(index)


def test_the_command_says_what_was_damaged(path: Path, tmp_path: Path) -> None:
    flip_a_bit(TARGETS["vectors"](path))
    assert ingest("verify", "--index", path, cwd=tmp_path).code == 1
    first = ingest("search", "When may dogs come?", "--index", path, "--json", cwd=tmp_path)
    assert first.code == 0
    assert "pets.txt" in {Path(hit["source"]).name for hit in first.json}
    assert "vectors-000003.faiss is damaged (vectors-000003.faiss does not match its hash)" in first.err
    assert "built again from the store" in first.err
    assert ingest("verify", "--index", path, cwd=tmp_path).code == 0
    again = ingest("search", "When may dogs come?", "--index", path, "--json", cwd=tmp_path)
    assert (again.json, again.err) == (first.json, "")


# --- where nothing can be written


def make_read_only(path: Path) -> None:
    for place in [path, *path.rglob("*")]:
        place.chmod(0o555 if place.is_dir() else 0o444)


restricted = pytest.mark.skipif(not can_restrict(), reason="this root can't give up its rights")


@restricted
@pytest.mark.parametrize("damage", [None, *TARGETS])
def test_a_read_only_index_answers_and_takes_nothing_in(damage: str | None, path: Path, tmp_path: Path) -> None:
    if damage:
        flip_a_bit(TARGETS[damage](path))
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    make_read_only(path)
    asked = ingest("search", "When may dogs come?", "--index", path, "--json", cwd=tmp_path, restricted=True)
    assert asked.code == 0, asked.err
    assert "pets.txt" in {Path(hit["source"]).name for hit in asked.json}
    assert ("read from the store instead" in asked.err) == bool(damage)
    if not damage:
        assert asked.err == ""
        assert ingest("list", "--index", path, "--json", cwd=tmp_path, restricted=True).code == 0
        note = tmp_path / "note.txt"
        note.write_text("A note.")
        added = ingest("add", note, "--index", path, cwd=tmp_path, restricted=True)
        assert added.code == 1
        assert f"The index {path} can't be written to: Permission denied." in added.err
        assert "permissions" in added.err
        assert "Traceback" not in added.err
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == before


def make_writable(path: Path) -> None:
    for place in [path, *path.rglob("*")]:
        place.chmod(0o755 if place.is_dir() else 0o644)


@restricted
def test_who_can_only_read_sees_what_others_write(path: Path) -> None:
    make_read_only(path)
    command = [*RESTRICTED, "-c", READER, str(path)]
    with subprocess.Popen(command, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as reader:

        def ask(question: str) -> list[str]:
            assert reader.stdin and reader.stdout
            print(question, file=reader.stdin, flush=True)
            return reader.stdout.readline().split()[1:]

        assert "pets.txt" in ask("dogs")
        for n in range(2):
            make_writable(path)
            with Index.open(path, write=True) as index:
                put(index, f"/docs/wombat{n}.txt", f"Wombat number {n} came to stay.")
                index.publish()
            make_read_only(path)
            assert f"wombat{n}.txt" in ask("wombat")
        assert reader.stdin
        reader.stdin.close()
    assert reader.returncode == 0


@restricted
def test_a_place_where_no_index_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "note.txt").write_text("A note.")
    (tmp_path / "locked").mkdir(0o555)
    added = ingest("add", "docs", "--index", "locked/index", cwd=tmp_path, restricted=True)
    assert added.code == 1
    assert f"The folder {tmp_path / 'locked' / 'index'} can't be made: Permission denied." in added.err


# --- the store itself can't be made again: it is left alone, and said


@pytest.mark.parametrize("damage", [empty, truncate, lambda file: file.write_bytes(b"not SQLite" * 1000)])
def test_a_store_that_is_lost_is_never_begun_anew(damage: Callable[[Path], None], path: Path) -> None:
    damage(path / STORE)
    before = (path / STORE).read_bytes()
    for write in (False, True):
        with pytest.raises(IndexDamaged, match=str(path / STORE)) as caught, Index.open(path, write=write) as index:
            answers(index)
        assert "copy" in caught.value.hint
    assert (path / STORE).read_bytes() == before
