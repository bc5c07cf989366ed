"""10,000 requests by people of one tenant for what is another's, on every route: does anything of it show, or take its time?"""

from __future__ import annotations

import itertools
import json
import random
import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from benchmarks.answers import auroc
from benchmarks.registry import Options
from benchmarks.results import Asked, Result, Table
from benchmarks.tenants import ATTACKERS, FORM, WORD, Caller, Foreign, Reply, Words, World, form, text_of, world
from tests.fakes.openai import OpenAIServer
from tests.fakes.server import Request, Say

_PROBES = {"quote": 6_000, "generate": 2_000, "quote-llm": 2_000}  # by who answers
_COPIES, _FILL = 3, 400
_TIMED = 2_000  # requests of each of two kinds that are timed side by side
_DRAWS = 400
_EVENTS = {"Accept": "text/event-stream"}
_TOLD = ("date", "x-trace-id", "ratelimit", "ratelimit-policy")  # headers that differ from request to request
# What differs from answer to answer, whatever is asked.
_CHANGING = frozenset({"timings_ms", "conversation_id", "answer_id", "id", "created", "ms", "added_at", "usage"})

Compare: TypeAlias = Literal["absent", "bare", ""]


@dataclass(frozen=True, slots=True)
class Probe:
    """A request for something of the other tenant's.

    `sent` are the words and ids of the other's that are in it. `compare` says with what its reply must be the same: that to
    the same request for what there is not (`absent` takes the place of the id that was sent), or that of a service in which
    the other tenant has nothing.
    """

    kind: str
    who: str
    method: str
    path: str
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    sent: str = ""
    compare: Compare = ""
    absent: str = ""

    def twin(self) -> Probe:
        """The same for what there is not."""
        text = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        swapped = text.replace(self.sent.encode(), self.absent.encode())
        body = None if self.body is None else swapped if isinstance(self.body, bytes) else json.loads(swapped)
        path = self.path.replace(self.sent, self.absent)
        return Probe(self.kind, self.who, self.method, path, body, self.headers, self.absent)

    def ask(self, found: World) -> Reply:
        return found.callers[self.who](self.method, self.path, self.body, self.headers)


@dataclass
class Found:
    """What came of many probes: what showed, and where replies were not the same (`differ`). Of those that were compared with a
    service without the other's documents: which differed in scores (`numbers`), or in which of the asker's own passages came
    first (`order`)."""

    made: Counter[str] = field(default_factory=Counter)
    shown: list[str] = field(default_factory=list)
    differ: list[str] = field(default_factory=list)
    numbers: Counter[str] = field(default_factory=Counter)
    order: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    compared: int = 0
    owner_sees: int = 0

    def add(self, other: Found) -> None:
        self.made += other.made
        self.shown += other.shown
        self.differ += other.differ
        self.numbers += other.numbers
        self.order += other.order
        self.statuses += other.statuses
        self.compared += other.compared
        self.owner_sees += other.owner_sees


@dataclass(frozen=True, slots=True)
class Told:
    """How well a number tells the other tenant's from what there is not: the area under the curve (.5: not at all), with the
    interval in which 95 of 100 draws lie, and the medians."""

    auc: float
    low: float
    high: float
    foreign: float
    absent: float
    requests: int

    @classmethod
    def of(cls, foreign: Sequence[float], absent: Sequence[float]) -> Told:
        """From the numbers of both kinds."""
        ours, none, draws = np.asarray(foreign), np.asarray(absent), np.random.default_rng(3)
        areas = [_area(draws.choice(ours, len(ours)), draws.choice(none, len(none))) for _ in range(_DRAWS)]
        low, high = np.percentile(areas, [2.5, 97.5])
        medians = float(np.median(ours)), float(np.median(none))
        return cls(_area(ours, none), float(low), float(high), *medians, len(ours) + len(none))

    @property
    def tells(self) -> float:
        return abs(self.auc - 0.5)

    @property
    def row(self) -> list[object]:
        return [self.requests, self.foreign, self.absent, self.auc, f"{self.low:.3f} to {self.high:.3f}"]


def run(options: Options) -> dict[str, Any]:
    """Three services, one for each way of answering, with a bare one beside each; then times."""
    found, times, scores = Found(), {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for answer, count in _PROBES.items():
            home = Path(folder) / answer
            home.mkdir()
            copies, fill = (1, 40) if options.quick else (_COPIES, _FILL)
            with services(home, answer, copies=copies, fill=fill) as (whole, bare, words):
                found.add(probe(whole, bare, words, count // 40 if options.quick else count))
                if answer == "quote":
                    scores = scored(whole, words)
                    times = timed(whole, words, 60 if options.quick else _TIMED)
    return _result(found, times, scores).as_dict()


@contextmanager
def services(home: Path, answer: str = "quote", *, copies: int, fill: int) -> Iterator[tuple[World, World, Words]]:
    """A service of two tenants, the same one in which the other tenant has nothing, and words that neither knows."""
    words, environment = Words(1), {"RAG_BOT_ANSWER": answer}
    with ExitStack() as stack:
        if answer != "quote":
            llm = stack.enter_context(Echo("m", limit="max_tokens", key="none"))
            environment |= {"RAG_BOT_LLM": f"openai-compatible:{llm.url}/v1#m", "RAG_BOT_GATE": "off"}
        sizes = {"copies": copies, "fill": fill}
        bare = stack.enter_context(world(home, words, environment, whole=False, **sizes))
        whole = stack.enter_context(world(home, words, environment, whole=True, **sizes))
        yield whole, bare, words


class Echo(OpenAIServer):
    """An LLM that says what it was given, so that whatever came into a prompt shows in the answer."""

    def frames(self, say: Say, request: Request) -> tuple[bytes, list[bytes], bytes]:
        given = request.json["messages"][-1]["content"]
        return super().frames(Say(re.findall(r"\S+\s*", given)), request)


# --- the probes


def probe(whole: World, bare: World, words: Words, count: int) -> Found:
    """Ask both services, and look at what comes back."""
    found, secrets, ids = Found(), whole.secrets, [one.encode() for one in whole.ids]
    said: dict[str, set[str]] = {}
    for each in itertools.islice(probes(whole, words), count):
        reply = each.ask(whole)
        found.made[each.kind] += 1
        found.statuses[reply.status] += 1
        said.setdefault(each.who, set()).add(each.sent)
        titles = said[each.who] if each.path == "/v1/conversations" else {each.sent}  # which are one's own questions
        if leaked := _leaked(reply, secrets, ids, titles):
            found.shown.append(f"{_line(each)}: {leaked[:5]}")
        if each.compare == "absent":
            twin = each.twin()
            _same(found, each, _plain(reply, each.sent), _plain(twin.ask(whole), twin.sent))
        elif each.compare == "bare":
            _alike(found, each, reply, each.ask(bare))
    found.add(_just_deleted(whole, words, max(2, count // 200)))
    found.owner_sees = _owner_sees(whole)
    return found


def probes(found: World, words: Words) -> Iterator[Probe]:
    """Without an end: every kind of probe in turn, by every attacker, for every document and id."""
    chance = random.Random(7)
    makers = [*_TEXT, *_LISTS, *_IDS]
    absent = [words.new() for _ in range(50)]
    for turn in itertools.count():
        documents = chance.sample(found.foreign, len(found.foreign))
        for n, make in enumerate(makers):
            who = ATTACKERS[(turn + n) % len(ATTACKERS)]
            yield make(found, who, documents[n % len(documents)], chance, absent)


Maker: TypeAlias = Callable[[World, str, Foreign, random.Random, Sequence[str]], Probe]
_NO_HEADERS: Mapping[str, str] = {}
_QUESTIONS = (
    "What is the budget of {}?",
    "Where does the office in {} close?",
    "What is the plan for {}?",
    "Who signs the plan for the garden and for {}?",
    "{}",
)


def _text(kind: str, body: Callable[[str], Any], path: str, headers: Mapping[str, str] = _NO_HEADERS) -> Maker:
    """Ask with one of the other's words, in a question or alone."""

    def make(found: World, who: str, one: Foreign, chance: random.Random, absent: Sequence[str]) -> Probe:
        word = chance.choice([*one.words, *found.common])
        question = chance.choice(_QUESTIONS).format(word)
        return Probe(kind, who, "POST", path, body(question), headers, word, "bare")

    return make


def _search(mode: str, k: int) -> Callable[[str], Any]:
    return lambda question: {"query": question, "mode": mode, "k": k}


def _completion(question: str, *, stream: bool = False, before: bool = False) -> Any:
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": "I don't know."}] if before else []
    last = {"role": "user", "content": "And who signs the plan for it?" if before else question}
    return {"model": "rag", "messages": [*turns, last], "stream": stream}


_TEXT: list[Maker] = [
    _text("chat", lambda q: {"question": q}, "/v1/chat"),
    _text("chat, streamed", lambda q: {"question": q}, "/v1/chat", _EVENTS),
    _text("completions", _completion, "/v1/chat/completions"),
    _text("completions, streamed", partial(_completion, stream=True), "/v1/chat/completions"),
    _text("completions, a follow-up", partial(_completion, before=True), "/v1/chat/completions"),
    *(_text(f"search, {mode}", _search(mode, k), "/v1/search") for mode in ("dense", "keyword", "hybrid") for k in (5, 100)),
]


def _list(path: str, compare: Compare = "bare", method: str = "GET") -> Maker:
    def make(found: World, who: str, one: Foreign, chance: random.Random, absent: Sequence[str]) -> Probe:
        # An admin's numbers count all there is, and the log and the lists of people are theirs to read.
        open_to_admin = who == "admin" and path in ("/metrics", "/v1/audit", "/v1/users", "/v1/keys")
        return Probe("numbers, lists and pages", "reader" if open_to_admin else who, method, path, compare=compare)

    return make


_LISTS: list[Maker] = [
    *map(
        _list, ("/v1/documents", "/v1/collections", "/v1/models", "/health/ready", "/health/live", "/metrics", "/openapi.json")
    ),
    *map(_list, ("/v1/audit", "/v1/users", "/v1/keys", "/docs", "/")),
    _list("/v1/session", ""),
    _list("/v1/conversations", ""),
    _list("/v1/documents", "bare", "HEAD"),
    _list("/v1/documents", "bare", "PUT"),
]


def _by_id(
    kind: str, method: str, path: str, of: str, body: Any = None, headers: Mapping[str, str] | None = None, who: str = ""
) -> Maker:
    """Ask with an id of the other's, where `{id}` stands; beside it with one that there is not."""

    def make(found: World, asker: str, one: Foreign, chance: random.Random, absent: Sequence[str]) -> Probe:
        real = one.id if of == "documents" else chance.choice(getattr(found, of))
        other = "".join(chance.choice("0123456789abcdef") if c.isalnum() else c for c in real)
        sent = json.loads(json.dumps(body).replace("{id}", real))
        return Probe(kind, who or asker, method, path.replace("{id}", real), sent, headers or {}, real, "absent", other)

    return make


def _named(kind: str, name: Callable[[str], Any], path: str) -> Maker:
    """Ask for the other's collection, and for one that there is not."""

    def make(found: World, who: str, one: Foreign, chance: random.Random, absent: Sequence[str]) -> Probe:
        return Probe(kind, who, "POST", path, name("blue-books"), {}, "blue-books", "absent", "blue-boots")

    return make


def _upload(found: World, who: str, one: Foreign, chance: random.Random, absent: Sequence[str]) -> Probe:
    """Put a file where the other's stand, under the name of one of them, and under a name that there is not."""
    there = chance.choice([each for each in found.foreign if each.way == "folder" and each.state != "relabelled"])
    other = f"{chance.choice(absent)}.md"
    body = form(there.name, "Some words.", "blue")
    return Probe("upload into a foreign folder", "editor", "POST", "/v1/documents", body, FORM, there.name, "absent", other)


def _page(found: World, who: str, one: Foreign, chance: random.Random, absent: Sequence[str]) -> Probe:
    """A page by a name of the other's; the error names it, as it does any."""
    path = chance.choice(("/v1/models/{}", "/v1/{}", "/static/{}", "/v1/documents/{}", "/v1/conversations/{}"))
    word = chance.choice(one.words)
    return Probe("errors", who, "GET", path.format(word), None, {}, word, "absent", chance.choice(absent))


_DOCUMENT = "/v1/documents/{id}"
_IDS: list[Maker] = [
    _by_id("a document's id", "GET", _DOCUMENT, "documents"),
    _by_id("a document's id", "GET", f"{_DOCUMENT}/text", "documents"),
    _by_id("a document's id", "GET", f"{_DOCUMENT}/text?start=2&end=40", "documents"),
    _by_id("a document's id", "GET", f"{_DOCUMENT}/file", "documents"),
    _by_id("a document's id", "GET", f"{_DOCUMENT}/boxes?start=0&end=20", "documents"),
    _by_id("a document's id", "HEAD", _DOCUMENT, "documents"),
    _by_id("a document's id", "DELETE", _DOCUMENT, "documents", who="editor"),
    _by_id("a document's id", "DELETE", _DOCUMENT, "documents", who="session"),
    _by_id("a conversation's id", "GET", "/v1/conversations/{id}", "conversations"),
    _by_id("a conversation's id", "PATCH", "/v1/conversations/{id}", "conversations", {"title": "Mine"}),
    _by_id("a conversation's id", "DELETE", "/v1/conversations/{id}", "conversations"),
    _by_id("a conversation's id", "POST", "/v1/chat", "conversations", {"question": "And?", "conversation_id": "{id}"}),
    _by_id(
        "a conversation's id", "POST", "/v1/chat", "conversations", {"question": "And?", "conversation_id": "{id}"}, _EVENTS
    ),
    _by_id("an answer's id", "POST", "/v1/feedback", "answers", {"answer_id": "{id}", "thumb": 1}),
    _by_id("a job's id", "GET", "/v1/jobs/{id}", "jobs"),
    _by_id("a job's id", "GET", "/v1/jobs/{id}", "jobs", who="editor"),
    _by_id("a job's id", "GET", "/v1/jobs/{id}/events", "jobs", who="editor"),
    _by_id("a job's id", "DELETE", "/v1/jobs/{id}", "jobs", who="editor"),
    _by_id("a person's or a key's id", "PATCH", "/v1/users/{id}", "people", {"role": "admin"}, who="editor"),
    _by_id("a person's or a key's id", "DELETE", "/v1/keys/{id}", "people", who="editor"),
    _named("a foreign collection", lambda name: {"question": "What is the budget?", "collection": name}, "/v1/chat"),
    _named("a foreign collection", lambda name: {"query": "budget", "collection": name}, "/v1/search"),
    _upload,
    _page,
]


# --- what came back


def _line(each: Probe) -> str:
    return f"{each.who}: {each.method} {each.path} {each.body if not isinstance(each.body, bytes) else ''}"[:200]


def _leaked(reply: Reply, secrets: frozenset[bytes], ids: Sequence[bytes], sent: Collection[str]) -> list[str]:
    """Words and ids of the other's in a reply, but for what was sent."""
    whole = reply.body + b" ".join(value.encode() for value in reply.headers.values())
    words = {word for word in WORD.findall(whole.lower()) if word in secrets}
    known = {one for one in ids if one in whole}
    return sorted(one for one in map(bytes.decode, words | known) if not any(one in each for each in sent))


def _plain(reply: Reply, sent: str) -> tuple[int, dict[str, str], bytes]:
    """A reply without what was sent, and what no two replies share."""
    headers = {name: value.replace(sent, "*") for name, value in reply.headers.items() if name not in _TOLD}
    return reply.status, headers, reply.body.replace(sent.encode(), b"*")


def _same(found: Found, each: Probe, one: object, other: object) -> None:
    found.compared += 1
    if one != other:
        found.differ.append(f"{_line(each)}: {str(one)[:150]} / {str(other)[:150]}")


def _alike(found: Found, each: Probe, one: Reply, other: Reply) -> None:
    """Whether both services say the same, but for times, the ids of what was made, and maybe numbers."""
    found.compared += 1
    left, right = _values(one), _values(other)
    if one.status != other.status or (left != right and (not each.sent or isinstance(left, bytes))):
        found.differ.append(f"{_line(each)}: {one.status} {str(left)[:300]} / {other.status} {str(right)[:300]}")
    elif left != right:
        (found.numbers if _rough(left) == _rough(right) else found.order)[each.kind] += 1


def _values(reply: Reply) -> Any:
    """The values of a reply: of JSON, of a stream of events, or its bytes."""
    kind = reply.headers.get("content-type", "")
    if "json" in kind and reply.body:
        return _steady(reply.json)
    if "event-stream" in kind:
        lines = reply.body.decode().splitlines()
        data = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
        return [_steady(json.loads(one)) for one in data if one != "[DONE]"]
    return reply.body


def _steady(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _steady(each) for name, each in value.items() if name not in _CHANGING}
    return [_steady(each) for each in value] if isinstance(value, list) else value


def _rough(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rough(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_rough(each) for each in value]
    return 0.0 if isinstance(value, float) else value


def _just_deleted(found: World, words: Words, count: int) -> Found:
    """Documents that their owner deletes: right after that neither the owner nor others find anything of them."""
    result, blue = Found(), found.callers["blue"]
    for n in range(count):
        own = words.some(5)
        taken = blue.upload(f"{own[0]}.md", text_of("folder", own), "blue").json
        document_id = taken["document_id"]
        assert blue("DELETE", f"/v1/documents/{document_id}").status == 200
        for who, (method, path, body) in itertools.product(("blue", ATTACKERS[n % len(ATTACKERS)]), _AFTER):
            sent = body and json.loads(json.dumps(body).replace("{word}", own[2]))
            reply = found.callers[who](method, path.format(id=document_id), sent)
            each = Probe("right after deletion", who, method, path, sent, {}, f"{own[2]} {document_id}")
            result.made[each.kind] += 1
            result.statuses[reply.status] += 1
            if leaked := _leaked(reply, frozenset(word.encode() for word in own), [document_id.encode()], {each.sent}):
                result.shown.append(f"{_line(each)}: {leaked}")
            if "{id}" in path and reply.status != 404:
                result.differ.append(f"{_line(each)}: {reply.status}")
    return result


_AFTER: list[tuple[str, str, Any]] = [
    ("POST", "/v1/search", {"query": "{word}", "mode": "keyword", "k": 100}),
    ("POST", "/v1/search", {"query": "What is the budget of {word}?", "mode": "hybrid", "k": 100}),
    ("POST", "/v1/chat", {"question": "What is the budget of {word}?"}),
    ("GET", "/v1/documents", None),
    ("GET", "/v1/documents/{id}", None),
    ("GET", "/v1/documents/{id}/text", None),
    ("GET", "/v1/documents/{id}/file", None),
]


def _owner_sees(found: World) -> int:
    """How many of the documents their owner still finds, by their words, by their ids and in the list: the probes look where
    there is something to find, and have taken nothing away."""
    blue = found.callers["blue"]
    listed = {one["document_id"] for one in blue("GET", "/v1/documents").json["documents"]}
    seen = 0
    for one in found.foreign:
        if one.shown:
            hits = blue("POST", "/v1/search", {"query": one.shown[3], "mode": "keyword"}).json["hits"]
            text = blue("GET", f"/v1/documents/{one.id}/text").body
            answer = blue("POST", "/v1/chat", {"question": f"What is the budget of {one.shown[3]}?"}).body
            seen += (
                one.id in listed
                and any(hit["document_id"] == one.id for hit in hits)
                and all(one.shown[3].encode() in text_ for text_ in (text, answer))
            )
    return seen


# --- scores and times


def scored(found: World, words: Words) -> dict[str, Told]:
    """Scores and the confidence for one's own words together with a word of the other's, beside those with an unknown one."""
    ask = found.callers["reader"]

    def best(mode: str) -> Callable[[str], float]:
        def score(word: str) -> float:
            query = {"query": f"the budget of the garden and {word}", "mode": mode}
            return float(ask("POST", "/v1/search", query).json["hits"][0]["score"])

        return score

    def confidence(word: str) -> float:
        question = {"question": f"What is the budget of the garden and {word}?"}
        return float(ask("POST", "/v1/chat", question).json["confidence"])

    kinds = {"keyword search": best("keyword"), "search": best("hybrid"), "an answer's confidence": confidence}
    absent = words.some(200)
    none = {kind: [number(word) for word in absent] for kind, number in kinds.items()}
    single = [word for one in found.foreign for word in one.shown]
    known = {"a word of one document": single, "a word of many documents": found.common}
    return {
        f"{kind}, {which}": Told.of([number(word) for word in some], none[kind])
        for kind, number in kinds.items()
        for which, some in known.items()
    }


def timed(found: World, words: Words, count: int) -> dict[str, Told]:
    """The time of requests for what is the other's beside that of requests for what there is not, in turns by chance.

    There are as many things that are not there as such that are, and they are made before: what comes anew each time, or with
    more work just before, takes the asker's own processor some microseconds longer.
    """
    chance = random.Random(5)
    foreign = [word for one in found.foreign for word in one.shown]
    ids = [one.id for one in found.foreign if one.shown]

    def by_id(method: str, path: str, of: Sequence[str], body: Any = None, headers: Mapping[str, str] | None = None) -> Ask:
        absent = ["".join(chance.choice("0123456789abcdef") if c.isalnum() else c for c in one) for one in of]

        def ask(real: bool) -> tuple[str, str, Any, Mapping[str, str]]:
            one = chance.choice(of if real else absent)
            sent = body and json.loads(json.dumps(body).replace("{id}", one))
            return method, path.replace("{id}", one), sent, headers or {}

        return ask

    def by_word(path: str, body: Callable[[str], Any], known: Sequence[str]) -> Ask:
        absent = words.some(len(known))

        def ask(real: bool) -> tuple[str, str, Any, Mapping[str, str]]:
            return "POST", path, body(chance.choice(known if real else absent)), {}

        return ask

    def query(mode: str) -> Callable[[str], Any]:
        return lambda word: {"query": f"the budget of {word}", "mode": mode}

    def question(word: str) -> Any:
        return {"question": f"What is the budget of {word}?"}

    kinds: dict[str, Ask] = {
        "GET /v1/documents/{id}": by_id("GET", _DOCUMENT, ids),
        "GET …/text": by_id("GET", f"{_DOCUMENT}/text", ids),
        "GET …/file": by_id("GET", f"{_DOCUMENT}/file", ids),
        "GET …/boxes": by_id("GET", f"{_DOCUMENT}/boxes?start=0&end=20", ids),
        "DELETE /v1/documents/{id}": by_id("DELETE", _DOCUMENT, ids),
        "GET /v1/conversations/{id}": by_id("GET", "/v1/conversations/{id}", found.conversations),
        "DELETE /v1/conversations/{id}": by_id("DELETE", "/v1/conversations/{id}", found.conversations),
        "a question in a conversation": by_id(
            "POST", "/v1/chat", found.conversations, {"question": "And?", "conversation_id": "{id}"}
        ),
        "POST /v1/feedback": by_id("POST", "/v1/feedback", found.answers, {"answer_id": "{id}", "thumb": 1}),
        "GET /v1/jobs/{id}": by_id("GET", "/v1/jobs/{id}", found.jobs),
        "keyword search, a word of one document": by_word("/v1/search", query("keyword"), foreign),
        "keyword search, a word of many documents": by_word("/v1/search", query("keyword"), found.common),
        "search, a word of one document": by_word("/v1/search", query("hybrid"), foreign),
        "search, a word of many documents": by_word("/v1/search", query("hybrid"), found.common),
        "a question, a word of one document": by_word("/v1/chat", question, foreign),
        "a question, a word of many documents": by_word("/v1/chat", question, found.common),
    }
    caller = found.callers["editor"]
    return {name: _side_by_side(caller, ask, count, chance) for name, ask in kinds.items()}


Ask: TypeAlias = Callable[[bool], tuple[str, str, Any, Mapping[str, str]]]


def _side_by_side(caller: Caller, ask: Ask, count: int, chance: random.Random) -> Told:
    times: dict[bool, list[float]] = {True: [], False: []}
    for n in range(-20, count):  # the first ones warm up
        for real in chance.sample([True, False], 2):
            request = ask(real)
            began = time.perf_counter()
            caller(*request)
            if n >= 0:
                times[real].append((time.perf_counter() - began) * 1000)
    return Told.of(times[True], times[False])


def _area(ours: np.ndarray[Any, Any], none: np.ndarray[Any, Any]) -> float:
    return auroc(np.concatenate([ours, none]), np.arange(len(ours) + len(none)) < len(ours))


# --- the result


def _result(found: Found, times: Mapping[str, Told], scores: Mapping[str, Told]) -> Result:
    rows = [[kind, made, found.numbers[kind], found.order[kind]] for kind, made in sorted(found.made.items())]
    note = (
        "Each reply was looked through for every word, file name and id of the other tenant's, and compared: for an id with "
        "the reply to an id that there is not (byte for byte), for words with that of the same service without the other's "
        "documents (all but times and new ids). `numbers` are replies that were the same but for scores, `order` those with "
        "other ones of the asker's own passages: BM25 knows the mean length of all texts."
    )
    said = (
        "Median milliseconds of requests for the other tenant's and for what there is not, sent in turns over one connection; "
        "the area under the curve is how well one such time tells which it was (.5: not at all), with its 95 % interval."
    )
    numbers = (
        "The same for the scores and the confidence of questions about one's own documents that have such a word beside. What "
        "is left of it in answers and search is the embedder's: words are not alike."
    )
    columns = ("requests", "the other's", "none", "area", "interval")
    most = max((each.tells for each in times.values()), default=0.0)
    return Result(
        {
            "probes": dict(found.made),
            "statuses": {str(status): n for status, n in sorted(found.statuses.items())},
            "compared": found.compared,
            "shown": found.shown[:20],
            "differ": found.differ[:20],
            "numbers": dict(found.numbers),
            "order": dict(found.order),
            "times": {name: asdict(each) for name, each in times.items()},
            "scores": {name: asdict(each) for name, each in scores.items()},
        },
        [
            Table("Probes by kind", ("kind", "probes", "numbers", "order"), rows, note),
            Table("Times", ("request", *columns), [[name, *each.row] for name, each in times.items()], said),
            Table("Scores", ("number", *columns), [[name, *each.row] for name, each in scores.items()], numbers),
        ],
        [
            Asked("probes", sum(found.made.values()), at_least=10_000),
            Asked("replies with anything of the other tenant's", len(found.shown), at_most=0),
            Asked("replies that are not the same", len(found.differ), at_most=0),
            Asked("largest distance of an area from .5", most, at_most=0.05),
        ],
    )
