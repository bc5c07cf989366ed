"""Finding files: each once, in order, with a reason for what can't be taken."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from ingest.sources.files import Found, find, source_of


def make(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def sources(root: Path, *paths: Path) -> list[str]:
    """What is found, relative to `root`."""
    return [os.path.relpath(found.source, root) for found in find(paths or [root])]


def errors(root: Path, *paths: Path) -> dict[str, str]:
    return {os.path.relpath(found.source, root): found.error for found in find(paths or [root]) if found.error}


def test_folders_are_walked_in_order(tmp_path: Path) -> None:
    make(tmp_path, "b.txt", "a/2.txt", "a/1.txt", "c/d/deep.txt")
    assert sources(tmp_path) == ["a/1.txt", "a/2.txt", "b.txt", "c/d/deep.txt"]
    assert next(find([tmp_path])) == Found(str(tmp_path / "a/1.txt"), tmp_path / "a/1.txt")


def test_hidden_files_and_droppings_are_passed_over(tmp_path: Path) -> None:
    make(
        tmp_path,
        ".git/config",
        ".hidden.txt",
        "~$plan.docx",
        "Thumbs.db",
        "desktop.ini",
        "old.txt~",
        "#x#",
        "__MACOSX/a",
        "a~b.txt",
    )
    assert sources(tmp_path) == ["a~b.txt"]
    assert sources(tmp_path, tmp_path / ".hidden.txt") == [".hidden.txt"]


def test_a_file_named_twice_is_found_once(tmp_path: Path) -> None:
    make(tmp_path, "a/x.txt", "b.txt")
    assert sources(tmp_path, tmp_path / "a/x.txt", tmp_path, tmp_path / "a/../b.txt") == ["a/x.txt", "b.txt"]


def test_the_source_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "x.txt")
    monkeypatch.chdir(tmp_path)
    assert [found.source for found in find([Path(".")])] == [str(tmp_path / "x.txt")]


def test_links_are_followed_once_and_after_the_files_themselves(tmp_path: Path) -> None:
    make(tmp_path, "docs/z.txt", "elsewhere/far.txt", "elsewhere/sub/deep.txt")
    (tmp_path / "docs/a-link.txt").symlink_to("z.txt")
    (tmp_path / "docs/b-link.txt").symlink_to("../elsewhere/far.txt")
    (tmp_path / "docs/folder").symlink_to("../elsewhere")
    assert sources(tmp_path, tmp_path / "docs") == ["docs/z.txt", "docs/b-link.txt", "docs/folder/sub/deep.txt"]
    assert sources(tmp_path, tmp_path / "docs/a-link.txt") == ["docs/a-link.txt"]


def test_links_that_lead_nowhere_or_round_in_circles(tmp_path: Path) -> None:
    make(tmp_path, "docs/x.txt")
    (tmp_path / "docs/gone").symlink_to("nothing")
    (tmp_path / "docs/self").symlink_to("self")
    (tmp_path / "docs/up").symlink_to("../docs")
    assert errors(tmp_path) == {
        "docs/gone": "is a link to something that does not exist",
        "docs/self": "is a link that can't be followed: can't be read: too many levels of symbolic links",
        "docs/up": "is a link to a folder that it stands in itself",
    }
    assert "docs/x.txt" in sources(tmp_path)


def test_what_is_no_file_is_never_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "x.txt")
    monkeypatch.chdir(tmp_path)  # a socket's path may not be long
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        assert errors(tmp_path) == {"pipe": "is a named pipe, not a file", "socket": "is a socket, not a file"}
    assert [found.error for found in find([Path("/dev/null")])] == ["is a device, not a file"]


def test_a_path_that_does_not_exist_does_not_stop_the_others(tmp_path: Path) -> None:
    make(tmp_path, "x.txt")
    assert [(os.path.relpath(found.source, tmp_path), found.error) for found in find([tmp_path / "gone", tmp_path])] == [
        ("gone", "does not exist"),
        ("x.txt", None),
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_has_a_reason(tmp_path: Path) -> None:
    make(tmp_path, "closed/x.txt", "secret.txt", "open.txt")
    (tmp_path / "closed").chmod(0)
    (tmp_path / "secret.txt").chmod(0)
    try:
        assert errors(tmp_path) == {
            "closed": "can't be read: permission denied",
            "secret.txt": "can't be read: permission denied",
        }
    finally:
        (tmp_path / "closed").chmod(0o700)


def test_names_with_odd_characters(tmp_path: Path) -> None:
    odd = os.fsencode(tmp_path) + b"/caf\xe9 \xf0\x9f\x98\x80\n'\".txt"
    Path(os.fsdecode(odd)).write_bytes(b"Odd.")
    (found,) = find([tmp_path])
    assert found.source == f"{tmp_path}/caf\\xe9 😀\n'\".txt"
    found.source.encode()
    assert found.path.read_bytes() == b"Odd."
    assert source_of(found.path) == found.source


def test_folders_may_nest_deeply(tmp_path: Path) -> None:
    folder = tmp_path
    for _ in range(300):
        folder /= "d"
    folder.mkdir(parents=True)
    (folder / "x.txt").write_text("deep")
    assert len(list(find([tmp_path]))) == 1
