"""Two tenants of one service, with documents that only one of them may read, each full of words that stand nowhere else."""

from __future__ import annotations

import http.client
import json
import random
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.serving import command, served

WORD = re.compile(rb"zq[a-z]{8}")
PASSWORD = "probes may not come in"
WAYS = ("folder", "label", "meta", "shelf")
"""What keeps a document from others: a rule for its folder, a label in its head (Markdown, HTML), a label of its folder."""
STATES = ("there", "deleted", "replaced", "relabelled")
_READERS = """
[documents]
"upload:blue/" = ["blue"]
"{docs}/blue/" = ["blue"]
"{docs}/red/" = ["red"]
[labels]
blue = ["blue"]
red = ["red"]
[folders]
"upload:shelf/" = ["blue"]
[collections]
red-books = {{sources = ["{docs}/red/"], groups = ["red"]}}
blue-books = {{sources = ["upload:blue/", "{docs}/blue/"], labels = ["blue"], groups = ["blue"]}}
"""
_OWN = """# The {place}

The budget of the {place} is {n} euros. The office in the {place} closes at {n} in the evening.

## Plans

The plan for the {place} is to open it to everybody next year. The head of the {place} signs it.
"""
_PLACES = ("garden", "garage", "library", "kitchen", "harbour", "workshop", "theatre", "stable", "museum", "bakery")


class Words:
    """Words that stand nowhere else, all of one form (`WORD`)."""

    def __init__(self, seed: int) -> None:
        self._random, self._given = random.Random(seed), set[str]()

    def new(self) -> str:
        while True:
            word = "zq" + "".join(self._random.choice("bdfgklmnprtv") + self._random.choice("aeiou") for _ in range(4))
            if word not in self._given:
                self._given.add(word)
                return word

    def some(self, count: int) -> list[str]:
        return [self.new() for _ in range(count)]


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Caller:
    """Somebody's own connection to a service, kept open; `headers` say who they are."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._place, self._headers = urlsplit(url), dict(headers)
        self._connection = self._open()

    def __call__(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Reply:
        sent = {**self._headers, **(headers or {})}
        if body is not None and not isinstance(body, bytes):
            body, sent["Content-Type"] = json.dumps(body).encode(), "application/json"
        try:
            self._connection.request(method, path, body, sent)
            answer = self._connection.getresponse()
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):  # it was kept for too long
            self._connection = self._open()
            self._connection.request(method, path, body, sent)
            answer = self._connection.getresponse()
        return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())

    def upload(self, name: str, text: str, folder: str = "", prefer: str = "wait=60") -> Reply:
        """Send a file."""
        return self("POST", "/v1/documents", form(name, text, folder), {**FORM, "Prefer": prefer})

    def _open(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._place.hostname or "", self._place.port, timeout=120)


FORM = {"Content-Type": "multipart/form-data; boundary=-b-"}


def form(name: str, text: str, folder: str) -> bytes:
    """The body of an upload."""
    parts = [("folder", "", folder), ("file", f'; filename="{name}"', text)]
    fields = [f'---b-\r\nContent-Disposition: form-data; name="{a}"{b}\r\n\r\n{value}\r\n' for a, b, value in parts]
    return "".join([*fields, "---b---\r\n"]).encode()


@dataclass(slots=True)
class Foreign:
    """A document of the other tenant. `words` are all that were ever in it, `shown` those that its readers find now."""

    way: str
    state: str
    name: str
    words: tuple[str, ...]
    shown: tuple[str, ...]
    id: str = ""


@dataclass(slots=True)
class World:
    """A running service. In one that is `whole` the other tenant has documents, conversations and jobs."""

    url: str
    log: Path
    whole: bool
    callers: dict[str, Caller] = field(default_factory=dict)
    foreign: list[Foreign] = field(default_factory=list)
    common: list[str] = field(default_factory=list)
    conversations: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    jobs: list[str] = field(default_factory=list)
    people: list[str] = field(default_factory=list)

    @property
    def secrets(self) -> frozenset[bytes]:
        """Every word of the other tenant's."""
        return frozenset(word.encode() for one in self.foreign for word in one.words) | {one.encode() for one in self.common}

    @property
    def ids(self) -> list[str]:
        """Every id of the other tenant's."""
        return [*(one.id for one in self.foreign), *self.conversations, *self.answers, *self.jobs, *self.people]


ATTACKERS = ("reader", "editor", "admin", "stranger", "session")
"""Keys of the tenant `red` (a reader's, an editor's), an admin's and one without any group; somebody of `red` on the page."""


@contextmanager
def world(home: Path, words: Words, environment: Mapping[str, str], *, whole: bool, copies: int, fill: int) -> Iterator[World]:
    """A service of two tenants, `red` and `blue`; of a world that is not whole `blue` has nothing.

    `copies` is how many documents there are of each way and state, `fill` how many files blue has beside them.
    """
    docs, own = home / "docs", home / ("whole" if whole else "bare")
    own.mkdir(parents=True)
    readers = own / "readers.toml"
    readers.write_text(_READERS.format(docs=docs), encoding="utf-8")
    settings = {
        "RAG_BOT_INDEX": str(own / "index"),
        "RAG_BOT_EMBEDDER": "hash",
        "RAG_BOT_MAX_WRONG": "0.4",
        "RAG_BOT_AUTH": "on",
        "RAG_BOT_ADMIN_PASSWORD": PASSWORD,
        "RAG_BOT_READERS": str(readers),
        **environment,
    }
    _write_own(docs)
    command("ingest.cli", "add", str(docs / "red"), str(docs / "public"), environment=settings)
    common = words.some(20)
    if whole:
        _write_fill(docs / "blue", common, fill)
        command("ingest.cli", "add", str(docs / "blue"), environment=settings)
    admin = command("rag_bot.cli", "keys", "create", "first", "--role", "admin", environment=settings).strip()
    with served(own, settings) as service:
        found = World(service.url, service.log, whole)
        found.callers["admin"] = Caller(service.url, {"Authorization": f"Bearer {admin}"})
        for name, role, groups in (
            ("reader", "reader", ["red"]),
            ("editor", "editor", ["red"]),
            ("stranger", "reader", []),
            ("blue", "editor", ["blue"]),
        ):
            made = found.callers["admin"]("POST", "/v1/keys", {"name": name, "role": role, "groups": groups}).json
            found.callers[name] = Caller(service.url, {"Authorization": f"Bearer {made['key']}"})
        found.callers["session"] = _signed_in(found)
        if whole:
            found.common = common
            _fill(found, words, copies, readers)
        yield found


def _write_own(docs: Path) -> None:
    for tenant in ("red", "public"):
        (docs / tenant).mkdir(parents=True, exist_ok=True)
        for n, place in enumerate(_PLACES, 1):
            text = _OWN.format(place=place if tenant == "public" else f"red {place}", n=n)
            (docs / tenant / f"{place}.md").write_text(text, encoding="utf-8")


def _write_fill(folder: Path, common: Sequence[str], count: int) -> None:
    folder.mkdir()
    for n in range(count):
        text = f"# Minutes {n}\n\nThe budget of {' '.join(common[:10])} is {n} euros. "
        text += f"The plan for {' '.join(common[10:])} is old.\n"
        (folder / f"minutes-{n}.md").write_text(text, encoding="utf-8")


def _signed_in(found: World) -> Caller:
    person = {"name": "ann", "password": PASSWORD, "role": "editor", "groups": ["red"]}
    assert found.callers["admin"]("POST", "/v1/users", person).status == 201
    place = urlsplit(found.url)
    raw = http.client.HTTPConnection(place.hostname or "", place.port)
    raw.request("POST", "/v1/session", json.dumps({"name": "ann", "password": PASSWORD}), {"Content-Type": "application/json"})
    cookies = dict(
        value.partition(";")[0].partition("=")[::2] for value in raw.getresponse().headers.get_all("set-cookie") or ()
    )
    raw.close()
    jar = "; ".join(f"{name}={value}" for name, value in cookies.items())
    return Caller(found.url, {"Cookie": jar, "X-CSRF-Token": cookies["rag_bot_csrf"]})


# --- what the other tenant has


def text_of(way: str, words: Sequence[str], *, closed: bool = True) -> str:
    """A document of five words; where a label keeps it from others, with the label, if it is `closed`."""
    title, heading, *body = words
    sentences = (
        f"The budget of {body[0]} is forty euros. The office in {body[1]} closes at noon.",
        f"The plan for {body[2]} is to sell it. The head of {body[0]} signs it.",
    )
    if way == "meta":
        meta = '<meta name="labels" content="blue">' if closed else ""
        return (
            f"<html><head><title>{title}</title>{meta}</head><body><h1>{title}</h1><p>{sentences[0]}</p>"
            f"<h2>{heading}</h2><p>{sentences[1]}</p></body></html>"
        )
    head = "---\nlabels: [blue]\n---\n" if way == "label" and closed else ""
    return f"{head}# {title}\n\n{sentences[0]}\n\n## {heading}\n\n{sentences[1]}\n"


def folder_of(way: str, *, closed: bool = True) -> str:
    """Where such a document stands."""
    return {"folder": "blue", "shelf": "shelf"}.get(way, "hall") if closed else "hall"


def _fill(found: World, words: Words, copies: int, readers: Path) -> None:
    blue = found.callers["blue"]
    for _ in range(copies):
        for way in WAYS:
            for state in STATES:
                found.foreign.append(_document(blue, way, state, words, readers))
    for one in found.foreign:
        if one.shown:
            answer = blue("POST", "/v1/chat", {"question": f"What is the budget of {one.shown[3]}?"}).json
            found.conversations.append(answer["conversation_id"])
            found.answers.append(answer["answer_id"])
    for n in range(10):
        sent = blue.upload(f"{words.new()}.md", text_of("folder", words.some(5)), "blue", "respond-async")
        found.jobs.append(sent.json["job_id"])
        while n == 9 and blue("GET", f"/v1/jobs/{found.jobs[-1]}").json["state"] not in ("done", "failed"):
            time.sleep(0.05)
    ben = {"name": "ben", "password": PASSWORD, "groups": ["blue"]}
    found.people.append(found.callers["admin"]("POST", "/v1/users", ben).json["id"])
    found.people += [key["id"] for key in found.callers["admin"]("GET", "/v1/keys").json["keys"] if key["name"] == "blue"]


def _document(blue: Caller, way: str, state: str, words: Words, readers: Path) -> Foreign:
    name, now = words.new(), words.some(5)
    file = f"{name}.{'html' if way == 'meta' else 'md'}"
    before: list[str] = []
    if state == "replaced":
        before = words.some(5)
        _taken(blue.upload(file, text_of(way, before), folder_of(way)))
    by_rule = state == "relabelled" and way in ("folder", "shelf")
    if state == "relabelled":  # everybody could read it, before a label or a rule came
        _taken(blue.upload(file, text_of(way, now, closed=False), "hall"))
    if by_rule:
        text = readers.read_text(encoding="utf-8")
        rule = f'[documents]\n"upload:hall/{file}" = ["blue"]\n'
        readers.write_text(text.replace("[documents]\n", rule), encoding="utf-8")
        found = next(one for one in blue("GET", "/v1/documents").json["documents"] if one["source"] == f"upload:hall/{file}")
        document_id = found["document_id"]
    else:
        document_id = _taken(blue.upload(file, text_of(way, now), folder_of(way)))
    if state == "deleted":
        assert blue("DELETE", f"/v1/documents/{document_id}").status == 200
    shown = () if state == "deleted" else (name, *now)
    return Foreign(way, state, file, (name, *now, *before), shown, document_id)


def _taken(answer: Reply) -> str:
    assert answer.status == 201, answer.body
    return str(answer.json["document_id"])
