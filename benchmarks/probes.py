"""One tenant looks for what is another's in every way that the API has: does a text, a title, a count or a delay tell?"""

from __future__ import annotations

import json
import random
import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from benchmarks.registry import Options
from benchmarks.results import Asked, Result, Table
from benchmarks.serving import command, served

_PROBES, _QUICK = 10_000, 300
_PAIRS = 1_500  # for each comparison of times
_DOCUMENTS = 24  # of each tenant
_BOOTSTRAPS = 1_000
_PASSWORD = "probes may come in here"
_READERS = """
[documents]
"{files}/red" = ["red"]
"{files}/blue" = ["blue"]
"upload:red/" = ["red"]
"upload:blue/" = ["blue"]

[labels]
red = ["red"]
blue = ["blue"]

[collections]
reds = {{sources = ["{files}/red/"], groups = ["red"]}}
blues = {{sources = ["{files}/blue/"], groups = ["blue"]}}
"""
_SAID = ("the contract with {0} ends in the year {1}", "{0} is the name of project {1}", "ask {0} for the key of room {1}")


@dataclass
class Tenant:
    """A group's documents: what they hold that nobody else may learn, and how the group comes in."""

    name: str
    common: str = ""
    secrets: list[str] = field(default_factory=list)
    documents: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    conversation: str = ""
    answer: str = ""
    job: str = ""


@dataclass
class World:
    """A service of two tenants. `gone` are words of documents that were removed."""

    client: httpx.Client
    prober: Tenant
    other: Tenant
    gone: list[str]
    random: random.Random


@dataclass(frozen=True, slots=True)
class Probe:
    """A request that looks for something; `knows` is what the request itself holds of the other's."""

    kind: str
    method: str
    path: str
    body: Any = None
    files: Any = None
    headers: tuple[tuple[str, str], ...] = ()
    knows: tuple[str, ...] = ()


def run(options: Options) -> dict[str, Any]:
    """Every probe in its turn, then times side by side."""
    with tempfile.TemporaryDirectory() as name, world(Path(name)) as made:
        found, counts = probe(made, _QUICK if options.quick else _PROBES)
        differing = same_words(made)
        times = timing(made, 60 if options.quick else _PAIRS)
    return _result(found, counts, differing, times).as_dict()


@contextmanager
def world(home: Path) -> Iterator[World]:
    """A service with two tenants, by folders and by labels, some documents removed."""
    rng = random.Random(1)
    red, blue = Tenant("red", _word(rng)), Tenant("blue", _word(rng))
    gone: list[str] = []
    files = home / "files"
    for tenant in (red, blue):
        for n in range(_DOCUMENTS):
            _write(files, tenant, n, rng)
    readers = home / "readers.toml"
    readers.write_text(_READERS.format(files=files), encoding="utf-8")
    environment = {
        "RAG_BOT_INDEX": str(home / "index"),
        "RAG_BOT_AUTH": "on",
        "RAG_BOT_ADMIN_PASSWORD": _PASSWORD,
        "RAG_BOT_READERS": str(readers),
        "RAG_BOT_MAX_WRONG": "0.9",
    }
    command("ingest.cli", "add", str(files), environment=environment)
    for tenant in (red, blue):
        arguments = ("rag_bot.cli", "keys", "create", tenant.name, "--role", "editor", "--group", tenant.name)
        tenant.headers = {"Authorization": f"Bearer {command(*arguments, environment=environment).strip()}"}
    with served(home, environment) as service, httpx.Client(base_url=service.url, timeout=60) as client:
        for tenant in (red, blue):
            _live(client, tenant, gone)
        yield World(client, red, blue, gone, rng)


def _write(files: Path, tenant: Tenant, n: int, rng: random.Random) -> None:
    """One document: every other one is told by its label, the rest by their folder."""
    labelled = n % 2 == 0
    folder = files / ("mixed" if labelled else tenant.name)
    folder.mkdir(parents=True, exist_ok=True)
    word, number = _word(rng), rng.randrange(10**8, 10**9)
    tenant.secrets += [word, str(number)]
    head = f"---\nlabels: [{tenant.name}]\n---\n" if labelled else ""
    said = _SAID[n % len(_SAID)].format(word.capitalize(), number)
    text = f"{head}# Plan {word}\n\nIt is known that {said}. Lunch is at {tenant.common}.\n"
    (folder / f"{word}-plan.md").write_text(text, encoding="utf-8")


def _live(client: httpx.Client, tenant: Tenant, gone: list[str]) -> None:
    """What a tenant does: asks, uploads, removes."""
    answer = client.post("/v1/chat", headers=tenant.headers, json={"question": f"What ends for {tenant.secrets[0]}?"}).json()
    tenant.conversation, tenant.answer = answer["conversation_id"], answer["answer_id"]
    word = tenant.secrets[-2]
    sent = client.post(
        "/v1/documents",
        headers={**tenant.headers, "Prefer": "respond-async"},
        data={"folder": tenant.name},
        files={"file": (f"{word}.txt", f"The note of {word} is a secret.".encode())},
    ).json()
    tenant.job = sent["job_id"]
    while client.get(f"/v1/jobs/{tenant.job}", headers=tenant.headers).json()["state"] != "done":
        time.sleep(0.05)
    listed = client.get("/v1/documents", headers=tenant.headers).json()["documents"]
    for info in listed[:3]:
        client.delete(f"/v1/documents/{info['document_id']}", headers=tenant.headers)
        gone.append(re.sub(r"-plan$|\.\w+$", "", Path(info["source"]).stem))
    tenant.documents = {info["document_id"]: info["source"] for info in listed}


def _word(rng: random.Random) -> str:
    """A word that no text has."""
    return "".join(rng.choice("bdfgklmnprstvz") + rng.choice("aeiou") for _ in range(5))


# --- probes


def probe(world: World, count: int) -> tuple[list[str], Counter[str]]:
    """What told something, and how many probes there were of each kind."""
    found, counts = [], Counter[str]()
    theirs = (
        {world.other.common}
        | set(world.other.secrets)
        | set(world.gone)
        | set(world.other.documents)
        | {world.other.conversation}
    )
    for one in islice(_probes(world), count):
        counts[one.kind] += 1
        answer = world.client.request(
            one.method,
            one.path,
            headers={**world.prober.headers, **dict(one.headers)},
            json=one.body,
            files=one.files,
        )
        headers = {name: value for name, value in answer.headers.items() if name != "x-trace-id"}
        said = f"{headers} {answer.text}".lower()
        for known in one.knows:
            said = said.replace(known.lower(), "")
        if leaked := [secret for secret in theirs if secret.lower() in said]:
            found.append(f"{one.method} {one.path}: {leaked[:3]}")
        if answer.status_code >= 500:
            found.append(f"{one.method} {one.path}: {answer.status_code}")
    return found, counts


def _probes(world: World) -> Iterator[Probe]:
    """Probes without end, each kind in its turn."""
    rng, other = world.random, world.other
    asked = (*other.secrets[::2], *world.gone)  # the prober's own questions hold these words
    words, ids = cycle([*other.secrets[::2], *world.gone]), cycle(other.documents)
    kinds: list[Callable[[], Probe]] = [
        *(
            lambda mode=mode: _asking("search", "/v1/search", {"query": _question(rng, next(words)), "mode": mode, "k": 20})
            for mode in ("hybrid", "dense", "keyword")
        ),
        lambda: _asking("chat", "/v1/chat", {"question": _question(rng, next(words))}),
        lambda: _asking(
            "chat, streamed", "/v1/chat", {"question": _question(rng, next(words))}, ("Accept", "text/event-stream")
        ),
        lambda: _asking("chat in a collection", "/v1/chat", {"question": "What ends?", "collection": "blues"}),
        lambda: _asking("chat in a conversation", "/v1/chat", {"question": "And then?", "conversation_id": other.conversation}),
        lambda: _asking("completions", "/v1/chat/completions", _messages(rng, next(words), stream=False)),
        lambda: _asking("completions, streamed", "/v1/chat/completions", _messages(rng, next(words), stream=True)),
        lambda: Probe("documents", "GET", "/v1/documents"),
        *(
            lambda method=method, rest=rest: _naming("a document", method, "/v1/documents/{}" + rest, next(ids))
            for method, rest in (
                ("GET", ""),
                ("GET", "/text"),
                ("GET", "/file"),
                ("GET", "/boxes?start=0&end=9"),
                ("DELETE", ""),
            )
        ),
        *(
            lambda method=method, rest=rest: _naming("a job", method, "/v1/jobs/{}" + rest, other.job)
            for method, rest in (("GET", ""), ("GET", "/events"), ("DELETE", ""))
        ),
        lambda: Probe("conversations", "GET", "/v1/conversations", knows=asked),
        lambda: _naming("a conversation", "GET", "/v1/conversations/{}", other.conversation),
        lambda: _naming("a conversation", "DELETE", "/v1/conversations/{}", other.conversation),
        lambda: Probe(
            "a conversation", "PATCH", f"/v1/conversations/{other.conversation}", {"title": "Mine"}, knows=(other.conversation,)
        ),
        lambda: _asking("feedback", "/v1/feedback", {"answer_id": other.answer, "thumb": -1}),
        lambda: _upload(next(words)),
        lambda: Probe("collections", "GET", "/v1/collections"),
        *(
            lambda path=path: Probe("what admins and machines read", "GET", path)
            for path in ("/metrics", "/health/ready", "/v1/users", "/v1/keys", "/v1/audit", "/v1/models", "/openapi.json")
        ),
    ]
    for make in cycle(kinds):
        yield make()


def _question(rng: random.Random, word: str) -> str:
    return rng.choice(("What do you know of {}?", "Plan {}", "{}", "Which contract with {} ends, and in which year?")).format(
        word
    )


def _messages(rng: random.Random, word: str, *, stream: bool) -> dict[str, Any]:
    turns = [{"role": "user", "content": f"Tell me of {word}."}, {"role": "assistant", "content": f"{word} is a plan."}]
    return {"model": "rag-bot", "messages": [*turns, {"role": "user", "content": _question(rng, word)}], "stream": stream}


def _asking(kind: str, path: str, body: dict[str, Any], *headers: tuple[str, str]) -> Probe:
    return Probe(kind, "POST", path, body, headers=headers, knows=_words_of(body))


def _naming(kind: str, method: str, path: str, which: str) -> Probe:
    return Probe(kind, method, path.format(which), knows=(which,))


def _upload(word: str) -> Probe:
    """Into the other's folder, under the name of a file that may be there."""
    fields = {"folder": (None, "blue"), "file": (f"{word}.txt", b"Mine.")}
    return Probe("an upload", "POST", "/v1/documents", files=fields, knows=(word,))


def _words_of(body: object) -> tuple[str, ...]:
    """All that a request says, word by word: an answer may repeat it."""
    return tuple(re.findall(r"[\w-]{4,}", json.dumps(body)))


# --- the same words for what is another's and for what is not there


def same_words(world: World) -> list[str]:
    """Routes on which an id of the other's is answered otherwise than one that nobody has."""
    differing = []
    client, headers = world.client, world.prober.headers
    document, job, conversation = next(iter(world.other.documents)), world.other.job, world.other.conversation
    asks = [
        *(("GET", f"/v1/documents/{{}}{rest}", document) for rest in ("", "/text", "/file", "/boxes?start=0&end=9")),
        ("DELETE", "/v1/documents/{}", document),
        *((method, "/v1/jobs/{}", job) for method in ("GET", "DELETE")),
        ("GET", "/v1/jobs/{}/events", job),
        *((method, "/v1/conversations/{}", conversation) for method in ("GET", "DELETE")),
    ]
    for method, path, theirs in asks:
        nobodys = _other_id(theirs)
        seen = [
            (answer.status_code, answer.text.replace(which, "ID"), sorted(set(answer.headers) - {"x-trace-id"}))
            for which in (theirs, nobodys)
            for answer in (client.request(method, path.format(which), headers=headers),)
        ]
        if seen[0] != seen[1]:
            differing.append(f"{method} {path}: {seen}")
    return differing


def _other_id(known: str) -> str:
    """An id of the same form that nobody has."""
    return "".join(character if not character.isalnum() else "7" if character != "7" else "8" for character in known)


# --- times


def timing(world: World, pairs: int) -> dict[str, tuple[float, float, float]]:
    """How often the first of two kinds of requests takes longer than the second (AUC), with a 95 % interval by bootstrap."""
    document, absent = next(iter(world.other.documents)), _other_id(next(iter(world.other.documents)))
    words, nobodys = (
        cycle(world.other.secrets[::2]),
        cycle([_word(random.Random(seed)) for seed in range(100, 100 + _DOCUMENTS)]),
    )
    gone = cycle(world.gone)
    kinds: dict[str, tuple[Callable[[], Probe], Callable[[], Probe]]] = {
        "a document of another's, and none": (
            lambda: _naming("t", "GET", "/v1/documents/{}/text", document),
            lambda: _naming("t", "GET", "/v1/documents/{}/text", absent),
        ),
        "a word of all of another's documents, and of none (keyword)": (
            lambda: _asking("t", "/v1/search", {"query": world.other.common, "mode": "keyword"}),
            lambda: _asking("t", "/v1/search", {"query": next(nobodys), "mode": "keyword"}),
        ),
        "a word of another's documents, and of none (keyword)": (
            lambda: _asking("t", "/v1/search", {"query": next(words), "mode": "keyword"}),
            lambda: _asking("t", "/v1/search", {"query": next(nobodys), "mode": "keyword"}),
        ),
        "a word of another's documents, and of none (hybrid)": (
            lambda: _asking("t", "/v1/search", {"query": next(words)}),
            lambda: _asking("t", "/v1/search", {"query": next(nobodys)}),
        ),
        "a word of a removed document, and of none (hybrid)": (
            lambda: _asking("t", "/v1/search", {"query": next(gone)}),
            lambda: _asking("t", "/v1/search", {"query": next(nobodys)}),
        ),
    }
    return {name: _auc(*_times(world, first, second, pairs)) for name, (first, second) in kinds.items()}


def _times(
    world: World, first: Callable[[], Probe], second: Callable[[], Probe], pairs: int
) -> tuple[list[float], list[float]]:
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(pairs + 20):
        for which in (0, 1) if number % 2 else (1, 0):
            one = (first, second)[which]()
            began = time.perf_counter()
            world.client.request(one.method, one.path, headers=world.prober.headers, json=one.body)
            if number >= 20:
                taken[which].append(time.perf_counter() - began)
    return taken


def _auc(first: list[float], second: list[float]) -> tuple[float, float, float]:
    """The share of pairs in which the first took longer (Mann and Whitney's U), and its 95 % interval."""
    rng = np.random.default_rng(1)
    a, b = np.array(first), np.array(second)

    def share(x: np.ndarray[Any, Any], y: np.ndarray[Any, Any]) -> float:
        ranks = np.argsort(np.argsort(np.concatenate([x, y])))
        return float((ranks[: len(x)].sum() - len(x) * (len(x) - 1) / 2) / (len(x) * len(y)))

    drawn = [share(rng.choice(a, len(a)), rng.choice(b, len(b))) for _ in range(_BOOTSTRAPS)]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return share(a, b), float(low), float(high)


# --- figures


def _result(
    found: list[str], counts: Counter[str], differing: list[str], times: dict[str, tuple[float, float, float]]
) -> Result:
    worst = max(abs(share - 0.5) for share, _, _ in times.values())
    return Result(
        {"probes": dict(counts), "told": found[:20], "differing": differing, "times": times},
        [
            Table("Probes of another tenant's documents", ("kind", "probes"), [[kind, n] for kind, n in counts.most_common()]),
            Table(
                "Times side by side",
                ("what", "share of pairs in which the first took longer", "95 %"),
                [[name, share, f"{low:.3f} to {high:.3f}"] for name, (share, low, high) in times.items()],
                ".5: nothing can be told by a watch.",
            ),
        ],
        [
            Asked("probes", sum(counts.values()), at_least=_PROBES),
            Asked("answers with a foreign text, title, file name or id, or a 500", len(found), at_most=0),
            Asked("routes that answer otherwise for another's id than for nobody's", len(differing), at_most=0),
            Asked("farthest of the shares from .5", worst, at_most=0.05),
        ],
    )
