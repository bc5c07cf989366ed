"""Files and folders on this machine: every file below the given paths, once, with the reason where one can't be taken."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ingest.errors import SourceError

# What editors and operating systems leave in folders: lock and backup files, thumbnails, resource forks.
_DROPPINGS = re.compile(r"\.|~\$|.*~$|#.*#$|(?:thumbs\.db|desktop\.ini|__macosx|icon\r)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Found:
    """A file, or what stands where one was expected. `source` is its absolute path as text that can be stored and printed.

    What has no place of its own on this machine comes with its bytes, as `data`; `path` is then what it came in, or the name
    that it was sent under.
    """

    source: str
    path: Path
    error: str | None = None
    data: bytes | None = None

    @property
    def name(self) -> str:
        """The file's own name."""
        own = self.data is None and self.error is None
        return self.path.name if own or self.source.endswith(str(self.path)) else PurePosixPath(self.source).name


def find(paths: Sequence[Path]) -> Iterator[Found]:
    """The files at and below `paths`, folders in sorted order, each file once; what links lead to comes after the rest.

    A file's own place wins over the links to it, whichever is named first, so its source stays the same.
    """
    walk = _Walk()
    for path in paths:
        yield from walk.visit(os.path.abspath(path))
    yield from walk.follow_links()


def source_of(path: str | Path) -> str:
    """A path as text: absolute, links not resolved, bytes that are no UTF-8 written as \\xNN."""
    return os.fsencode(os.path.abspath(path)).decode("utf-8", "backslashreplace")


def outside(paths: Sequence[Path], folder: Path, find: Callable[[Sequence[Path]], Iterable[Found]] = find) -> list[Found]:
    """The files at and below `paths`, but for those in the index's own `folder`, which may lie among them."""
    own = os.path.join(os.path.realpath(folder), "")
    for path in paths:
        if os.path.join(os.path.realpath(path), "").startswith(own):
            raise SourceError(f"{path} is in the folder of the index itself.", "Choose another folder with --index.")
    return [file for file in find(paths) if not os.path.realpath(file.path).startswith(own)]


def root_of(folder: Path) -> str:
    """The absolute path of a folder that is to be mirrored. Raises SourceError if it can't be read."""
    root = os.path.abspath(folder)
    if not os.path.isdir(root) or not os.access(root, os.R_OK | os.X_OK):
        raise SourceError(f"The folder {root} can't be read: nothing was changed.", "Check that it is there and mounted.")
    return root


def check_not_emptied(root: str, found: Sequence[Found], known: int) -> None:
    """Raises SourceError where a folder has suddenly nothing in it, but the index has `known` documents from it."""
    if known and not any(file.error is None for file in found):
        raise SourceError(
            f"The folder {root} has no readable file in it, but the index has {known} documents from it: nothing was removed.",
            "If they are to go, remove them by name: ingest remove DOCUMENT_ID…",
        )


def path_of(source: str) -> Path:
    """The path that a source is the text of, as `source_of` writes it."""
    if os.path.lexists(source) or "\\x" not in source:
        return Path(source)
    raw = re.sub(rb"\\x([0-9a-f]{2})", lambda found: bytes([int(found[1], 16)]), source.encode())
    return Path(os.fsdecode(raw))


class _Walk:
    """What has been seen so far, by device and number, so that no file is yielded and no folder entered twice."""

    def __init__(self) -> None:
        self._files: set[str] = set()
        self._folders: set[str] = set()
        self._links: list[str] = []

    def visit(self, path: str) -> Iterator[Found]:
        """The files at or below `path`; links are put aside."""
        stack = [path]
        while stack:
            path = stack.pop()
            try:
                mode = os.lstat(path).st_mode
            except OSError as error:
                yield _failed(path, "does not exist" if isinstance(error, FileNotFoundError) else _reason(error))
                continue
            if stat.S_ISLNK(mode):
                self._links.append(path)
            elif stat.S_ISDIR(mode):
                names, failure = self._enter(path)
                stack += [os.path.join(path, name) for name in reversed(names)]
                if failure:
                    yield failure
            else:
                yield from self._file(path, mode)

    def follow_links(self) -> Iterator[Found]:
        """What the links lead to, and the links found on the way."""
        while self._links:
            links, self._links = self._links, []
            for link in links:
                yield from self._follow(link)

    def _follow(self, link: str) -> Iterator[Found]:
        try:
            mode = os.stat(link).st_mode
        except OSError as error:
            reason = f"is a link that can't be followed: {_reason(error)}"
            if isinstance(error, FileNotFoundError):
                reason = "is a link to something that does not exist"
            yield _failed(link, reason)
            return
        if not stat.S_ISDIR(mode):
            yield from self._file(link, mode)
            return
        target = os.path.join(os.path.realpath(link), "")
        if os.path.join(os.path.realpath(os.path.dirname(link)), "").startswith(target):
            yield _failed(link, "is a link to a folder that it stands in itself")
            return
        names, failure = self._enter(link)
        if failure:
            yield failure
        for name in names:
            yield from self.visit(os.path.join(link, name))

    def _enter(self, folder: str) -> tuple[list[str], Found | None]:
        """The names in a folder, sorted; none where it has been entered already or can't be read."""
        real = os.path.realpath(folder)
        if real in self._folders:
            return [], None
        self._folders.add(real)
        try:
            names = os.listdir(folder)
        except OSError as error:
            return [], _failed(folder, _reason(error))
        return sorted(name for name in names if not _DROPPINGS.match(name)), None

    def _file(self, path: str, mode: int) -> Iterator[Found]:
        real = os.path.realpath(path)
        if real in self._files:
            return
        self._files.add(real)
        if not stat.S_ISREG(mode):
            yield _failed(path, f"is {_kind(mode)}, not a file")
        elif not os.access(path, os.R_OK):
            yield _failed(path, "can't be read: permission denied")
        else:
            yield Found(source_of(path), Path(path))


def _failed(path: str, error: str) -> Found:
    return Found(source_of(path), Path(path), error)


def _reason(error: OSError) -> str:
    return f"can't be read: {(error.strerror or str(error)).lower()}"


def _kind(mode: int) -> str:
    if stat.S_ISFIFO(mode):
        return "a named pipe"
    return "a socket" if stat.S_ISSOCK(mode) else "a device"
