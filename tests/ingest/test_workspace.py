"""Folders for what is half done go away, also those of processes that were killed, and no others."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from ingest.workspace import abandoned, workspace


def made(folder: Path, name: str, *files: str) -> Path:
    (folder / name).mkdir()
    for file in files:
        (folder / name / file).write_text("x")
    return folder / name


def test_it_goes_away_at_the_end_however_that_comes(tmp_path: Path) -> None:
    with workspace(tmp_path, "work-") as place:
        assert place.parent == tmp_path and place.stat().st_mode & 0o777 == 0o700
        (place / "sub").mkdir()
        (place / "sub" / "file").write_text("x")
    with pytest.raises(KeyboardInterrupt), workspace(tmp_path, "work-"):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_what_nobody_uses_any_more_goes_with_the_next(tmp_path: Path) -> None:
    killed = made(tmp_path, "work-killed", ".lock", "file")
    half_gone = made(tmp_path, "work-half-gone", "file")
    old = made(tmp_path, "work-old")
    os.utime(old, (0, time.time() - 3_600))
    kept = [
        made(tmp_path, "work-just-made"),
        made(tmp_path, "other-killed", ".lock"),
        tmp_path / "work-file",
        tmp_path / "work-link",
    ]
    kept[2].write_text("x")
    kept[3].symlink_to(made(tmp_path, "elsewhere", ".lock", "file"))
    with workspace(tmp_path, "work-") as living:
        assert not any(path.exists() for path in (killed, half_gone, old))
        assert all(path.exists() for path in kept)
        assert (tmp_path / "elsewhere" / "file").exists()
        assert abandoned(tmp_path, "work-") == []
        with workspace(tmp_path, "work-") as another:
            assert living.exists() and another != living
        assert living.exists()


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), workspace(tmp_path / "nowhere", "work-"):
        pass
