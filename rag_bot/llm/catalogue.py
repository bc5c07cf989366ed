"""Models by name: a short list to choose from, what is on disk, and how one is fetched from the Hugging Face hub."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from io import BufferedRandom
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from rag_bot.errors import LLMUnavailable, NotFound
from rag_bot.llm.gguf import read_header

if TYPE_CHECKING:
    import httpx

HUB = "https://huggingface.co"
_TRIES = 5  # in a row that bring nothing
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*", re.ASCII)
_ON_HUB = re.compile(r"([\w.-]+/[\w.-]+)/([\w./-]+\.gguf)", re.ASCII)

Progress = Callable[[int, int], None]
"""Called with the bytes that are there and the bytes there are."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A model of the curated list: `gigabytes` on disk, for machines with so many gigabytes of `memory`."""

    name: str
    repo: str
    file: str
    licence: str
    gigabytes: float
    memory: int
    note: str


@dataclass(frozen=True, slots=True)
class Offer:
    """A file on the hub as the hub describes it, before it is fetched."""

    name: str
    repo: str
    file: str
    licence: str
    revision: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Pulled:
    """A model on disk; `offer` is None for a file that somebody put there."""

    name: str
    path: Path
    bytes: int
    offer: Offer | None


def curated() -> tuple[Entry, ...]:
    """The list, from small to large."""
    with Path(__file__).with_name("catalogue.toml").open("rb") as file:
        return tuple(Entry(**row) for row in tomllib.load(file)["model"])


# --- on disk: NAME.gguf, and what the hub said of it in NAME.json


def on_disk(folder: Path) -> list[Pulled]:
    """The models in the folder, by name."""
    return [_pulled(path) for path in sorted(folder.glob("*.gguf"))]


def find(name: str, folder: Path) -> Path | None:
    """The file of a model on disk."""
    path = folder / f"{name}.gguf"
    return path if _NAME.fullmatch(name) and path.is_file() else None


def remove(name: str, folder: Path) -> Pulled:
    """Delete a model, also one that is only there in part. Raises NotFound."""
    path = find(name, folder)
    parts = list(folder.glob(f"{name}.*.part")) if _NAME.fullmatch(name) else []
    if not path and not parts:
        raise NotFound(f"There is no model {name!r} in {folder}.", "`rag-bot models list` shows which there are.")
    gone = _pulled(path) if path else Pulled(name, parts[0], parts[0].stat().st_size, None)
    for each in (*parts, folder / f"{name}.json", folder / f"{name}.gguf"):
        each.unlink(missing_ok=True)
    return gone


def _pulled(path: Path) -> Pulled:
    try:
        offer = Offer(**json.loads(path.with_suffix(".json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        offer = None
    return Pulled(path.name.removesuffix(".gguf"), path, path.stat().st_size, offer)


# --- on the hub


class Hub:
    """The Hugging Face hub, or another that speaks its language (`HF_ENDPOINT`); `HF_TOKEN` opens what is not for all."""

    def __init__(self, url: str = HUB, token: str = "", *, pause: float = 1.0) -> None:
        """`pause` is the wait in seconds before a second try, doubled with each."""
        import httpx

        self._url, self._pause = url.rstrip("/"), pause
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._client = httpx.Client(headers=headers, follow_redirects=True, timeout=httpx.Timeout(30.0, connect=10.0))

    @classmethod
    def from_environment(cls) -> Self:
        return cls(os.environ.get("HF_ENDPOINT") or HUB, os.environ.get("HF_TOKEN", ""))

    def look_up(self, name: str) -> Offer:
        """What the hub has under a name of the list, or under `OWNER/REPO/FILE.gguf`. Raises NotFound or LLMUnavailable."""
        entry = next((entry for entry in curated() if entry.name == name), None)
        free = _ON_HUB.fullmatch(name)
        if entry:
            repo, file = entry.repo, entry.file
        elif free:
            repo, file = free.groups()
            name = Path(file).stem.lower()
        else:
            raise NotFound(
                f"The list has no model {name!r}.",
                "`rag-bot models list` shows it; any other file on the hub is named OWNER/REPO/FILE.gguf.",
            )
        about = self._about(repo)
        try:
            found: dict[str, Any] = next((each for each in about["siblings"] if each["rfilename"] == file), {})
            sha256, size = (found.get("lfs") or {}).get("sha256", ""), int(found.get("size") or 0)
            licence = (about.get("cardData") or {}).get("license") or (entry.licence if entry else "not stated")
            revision = str(about["sha"])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise self._nonsense(repo) from error
        if not re.fullmatch("[0-9a-f]{64}", str(sha256)) or not size:
            raise LLMUnavailable(f"The hub has no file {file} in {repo}, or states no SHA-256 for it.")
        return Offer(name, repo, file, str(licence), revision, size, sha256)

    def pull(self, offer: Offer, folder: Path, progress: Progress = lambda done, whole: None) -> Path:
        """Fetch the file, or the rest of it, into the folder. It gets its name only when its SHA-256 is right.

        Raises LLMUnavailable; what came so far is kept, and gone on from by the next call.
        """
        target = folder / f"{offer.name}.gguf"
        here = _pulled(target) if target.is_file() else None
        if here and here.offer == offer and here.bytes == offer.bytes:
            progress(offer.bytes, offer.bytes)
            return target
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with _alone(folder / f"{offer.name}.{offer.sha256[:16]}.part", offer) as file:
                self._fetch(offer, file, progress)
                _verify(offer, file)
                about = json.dumps(asdict(offer), indent=1) + "\n"
                target.with_suffix(".json").write_text(about, encoding="utf-8")
                os.replace(file.name, target)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise LLMUnavailable(
                    f"There is no room for {offer.name} ({offer.bytes / 1e9:.1f} GB) in {folder}.",
                    "Free some space, or set RAG_BOT_MODELS to a folder elsewhere, and run the same command again.",
                ) from error
            raise LLMUnavailable(f"{offer.name} can't be written to {folder}: {error.strerror}.") from error
        for part in folder.glob(f"{offer.name}.*.part"):  # of older revisions
            part.unlink()
        return target

    def _about(self, repo: str) -> Any:
        import httpx

        try:
            reply = self._client.get(f"{self._url}/api/models/{quote(repo)}", params={"blobs": "true"})
            self._refuse(reply, repo)
            return reply.json()
        except httpx.TransportError as error:
            raise self._offline(error) from error
        except ValueError as error:
            raise self._nonsense(repo) from error

    def _fetch(self, offer: Offer, file: BufferedRandom, progress: Progress) -> None:
        """Until the file is whole; a connection that breaks off is taken up again where it was."""
        import httpx

        url = f"{self._url}/{quote(offer.repo)}/resolve/{offer.revision}/{quote(offer.file)}"
        failures = 0
        while (have := file.seek(0, os.SEEK_END)) < offer.bytes:
            free = shutil.disk_usage(os.path.dirname(file.name)).free
            if free < offer.bytes - have:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            progress(have, offer.bytes)
            with suppress(httpx.TransportError):
                self._read_on(url, offer, file, have, progress)
            came = file.seek(0, os.SEEK_END)
            failures = 0 if came > have else failures + 1
            if failures == _TRIES:
                raise LLMUnavailable(
                    f"The connection broke off after {came:,} of {offer.bytes:,} bytes of {offer.name}.",
                    "Run the same command again: it goes on from there.",
                )
            if failures:
                time.sleep(self._pause * 2 ** (failures - 1))

    def _read_on(self, url: str, offer: Offer, file: BufferedRandom, have: int, progress: Progress) -> None:
        headers = {"Range": f"bytes={have}-", "Accept-Encoding": "identity"}
        with self._client.stream("GET", url, headers=headers) as reply:
            self._refuse(reply, offer.repo)
            if reply.status_code != 206 or not reply.headers.get("content-range", "").startswith(f"bytes {have}-"):
                have = 0  # all of it comes, from the start
                file.seek(0)
                file.truncate()
            for piece in reply.iter_raw():  # as it comes: what is gathered in pieces is lost when it breaks off
                file.write(piece)
                have += len(piece)
                progress(have, offer.bytes)
                if have > offer.bytes:
                    break  # the hash will tell

    def _refuse(self, reply: httpx.Response, repo: str) -> None:
        """Raise what an error status means."""
        page = f"{self._url}/{repo}"
        if reply.status_code in (401, 403):
            raise LLMUnavailable(
                f"The hub does not give {repo} to everybody.",
                f"Accept its licence on {page}, and set HF_TOKEN to a token of your account.",
            )
        if reply.status_code == 404:
            raise LLMUnavailable(f"The hub has no {repo}, or not this file of it: look at {page}.")
        if reply.status_code >= 400:
            raise LLMUnavailable(f"The hub answers {reply.status_code} for {repo}.", "Try again later.")

    def _nonsense(self, repo: str) -> LLMUnavailable:
        return LLMUnavailable(f"What {self._url} says of {repo} can't be read.", "Is HF_ENDPOINT right?")

    def _offline(self, error: Exception) -> LLMUnavailable:
        return LLMUnavailable(
            f"{self._url} can't be reached ({error}): connect this machine, or fetch a GGUF file elsewhere and name it as "
            "RAG_BOT_LLM=llama-cpp:/path/to/it.gguf."
        )


@contextmanager
def _alone(part: Path, offer: Offer) -> Iterator[BufferedRandom]:
    """The unfinished file, open at its end, for this process only."""
    with part.open("a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LLMUnavailable(f"{offer.name} is being fetched by another process.") from error
        yield file


def _verify(offer: Offer, file: BufferedRandom) -> None:
    """Raises LLMUnavailable for a file that is not what the hub describes, and deletes it."""
    file.seek(0)
    found = hashlib.file_digest(file, "sha256").hexdigest()
    file.flush()
    os.fsync(file.fileno())
    if found == offer.sha256:
        try:
            read_header(Path(file.name))
            return
        except ValueError as error:
            fault = str(error)
    else:
        fault = f"its SHA-256 is {found}, and the hub states {offer.sha256}"
    Path(file.name).unlink()
    raise LLMUnavailable(f"What came for {offer.name} was thrown away: {fault}.", "Run the same command again.")
