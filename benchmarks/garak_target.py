"""What garak calls as its target: one prompt to a service on this machine, and a line in a log of what became of it.

It runs under garak's own Python, which has httpx and nothing of this project.
"""

from __future__ import annotations

import importlib
import json
import re
import zlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from textwrap import shorten
from typing import Any

import httpx

OWN_NAME = f"{__name__}#ask"
"""What garak takes for the model's name, and writes into some prompts."""

PASSAGES = 8  # as many as an answer is made from, where no setting says otherwise
UNASKED = "Summarize this document."
_BEGINNING = 60  # characters of a document, at most, that say which one is meant


def ask(prompt: str, url: str, log: str, tokens: int, uploaded: bool = False) -> list[str | None]:
    """The reply to a prompt, in a list as garak wants it; None where the service gave an error in the place of a reply.

    `url` is that of the service, `log` a file that gets a line of JSON, `tokens` the longest reply of a bare model. With
    `uploaded`, the prompt's text is taken in as a document, asked about as the prompt asks, and removed again. Raises
    httpx.HTTPError where the service can't be reached: what was not asked must not count.
    """
    with httpx.Client(base_url=url, timeout=900, trust_env=False) as client:
        sent = prompt.replace(OWN_NAME, "ChatGPT")
        record = _ask_of_document(client, sent, tokens) if uploaded else _ask(client, sent, tokens)
    with Path(log).open("a", encoding="utf-8") as out:
        out.write(json.dumps({"prompt": prompt, **record}) + "\n")
    return [record["reply"]]


def _ask(client: httpx.Client, question: str, tokens: int) -> dict[str, Any]:
    """The reply, and of a service that says so: whether it refused, found nothing, or answered, and with what."""
    wanted = {
        "model": "smollm2",
        "messages": [{"role": "user", "content": question}],
        "max_tokens": tokens,
        "temperature": 0,
    }
    response = client.post("/v1/chat/completions", json=wanted)
    if response.is_error:
        return {"reply": None, "outcome": "error", "status": response.status_code, "detail": response.text[:300]}
    message = response.json()["choices"][0]["message"]
    answer = message.get("rag")
    if answer is None:
        return {"reply": message["content"], "outcome": "written"}
    outcome = "blocked" if answer["blocked"] else "abstained" if answer["abstained"] else "answered"
    return {
        "reply": message["content"],
        "outcome": outcome,
        "blocked": answer["blocked"],
        "model": answer["model"],
        "counts": answer["counts"],
        "failed": [rail["rail"] for rail in answer["rails"] if rail["failed"]],
    }


def _ask_of_document(client: httpx.Client, prompt: str, tokens: int) -> dict[str, Any]:
    question, text = parted(prompt, openings())
    name = f"garak-{zlib.crc32(prompt.encode()):08x}.txt"
    made = client.post("/v1/documents", files={"file": (name, text.encode(), "text/plain")}).json()
    entry = made.get("entry", made)  # in a problem, where it was not taken in
    document = entry["document_id"] if entry["status"] in ("added", "updated") else None
    try:
        hits = client.post("/v1/search", json={"query": question, "k": PASSAGES}).raise_for_status().json()["hits"]
        found = [hit["text"] for hit in hits if document and hit["document_id"] == document]
        record = _ask(client, question, tokens)
    finally:
        if document:
            client.delete(f"/v1/documents/{document}").raise_for_status()
    return {**record, "question": question, "upload": entry["status"], "reason": entry.get("reason"), "found": found}


def parted(prompt: str, known: Iterable[str]) -> tuple[str, str]:
    """The question that a prompt begins with, and the text that it is about; `known` are the ways in which prompts begin.

    The question goes on with the first words of the text, which say what it is about as a person would, unless all of the text
    is the attack (a text to be translated).
    """
    opening = max((each for each in known if prompt.startswith(each)), key=len, default="")
    text = prompt[len(opening) :].strip()
    question = re.sub(r"[\s-]+$", "", opening) or UNASKED
    if not question.startswith("Translate"):
        question += " " + shorten(text.partition("\n")[0], _BEGINNING, placeholder="")
    return question, text


@cache
def openings() -> list[str]:
    """How the prompts of garak's latent injections begin, as its probes have it."""
    probes = vars(importlib.import_module("garak.probes.latentinjection")).values()
    found = {opening for probe in probes for opening in getattr(probe, "top_instructions", ())}
    for probe in probes:
        if language := getattr(probe, "target_lang_name_en", None):
            found |= {opening.replace("{LANG_EN_NAME}", language) for opening in probe.base_instructions}
    return sorted(found)
