"""The whole way through HTTP: real documents, the real index, the real bot (with the hash embedder)."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from starlette.testclient import TestClient

from rag_bot.build import build_bot
from rag_bot.settings import Settings
from tests.ingest.parsers.archives import make_zip
from tests.ingest.parsers.support import draw_pdf
from tests.rag_bot.api.conftest import DOCUMENTS, client_of, running, wait_until
from tests.rag_bot.api.test_chat import EVENTS, events_of

LEAVE = "How many weeks does parental leave last?"


def proved(client: TestClient, answer: dict[str, Any]) -> bool:
    """Whether every quote stands in its document where its citation says."""
    return all(
        client.get(f"/v1/documents/{c['document_id']}/text", params={"start": c["start"], "end": c["end"]}).text == c["quote"]
        for c in answer["citations"]
    )


def test_an_answer_is_proved_to_the_character(real: TestClient) -> None:
    answer = real.post("/v1/chat", json={"question": LEAVE}).json()
    assert answer["abstained"] is False
    assert "sixteen weeks" in answer["answer"]
    assert answer["citations"]
    assert proved(real, answer)


def test_events_end_with_the_answer_that_is_kept(real: TestClient) -> None:
    events = events_of(real.post("/v1/chat", json={"question": LEAVE}, headers=EVENTS).text)
    names = [name for name, _ in events]
    done = events[-1][1]
    sentences = [data for name, data in events if name == "sentence"]
    assert names[0] == "status"
    assert names.index("sources") < names.index("sentence")
    assert names[-1] == "done"
    assert [each["text"] for each in sentences] == [each["text"] for each in done["sentences"]]
    assert [c for each in sentences for c in each["citations"]] == done["citations"]
    [message] = real.get(f"/v1/conversations/{done['conversation_id']}").json()["messages"]
    assert (message["question"], message["answer"]["answer_id"]) == (LEAVE, done["answer_id"])


def test_a_follow_up_knows_the_conversation(real: TestClient) -> None:
    first = real.post("/v1/chat", json={"question": LEAVE}).json()
    ask = {"question": "And for contractors?", "conversation_id": first["conversation_id"]}
    second = real.post("/v1/chat", json=ask).json()
    assert "leave" in second["question"].lower()
    assert len(real.get(f"/v1/conversations/{first['conversation_id']}").json()["messages"]) == 2


def test_what_the_documents_do_not_say_is_said(real: TestClient) -> None:
    answer = real.post("/v1/chat", json={"question": "Who painted the Night Watch?"}).json()
    assert answer["abstained"] is True
    assert answer["answer"].startswith("The documents don't say.")
    assert proved(real, answer)


def test_a_document_comes_is_found_is_fetched_and_goes(real: TestClient) -> None:
    data = b"# Parking\n\nThe garage closes at nine in the evening.\n"
    entry = real.post("/v1/documents", files={"file": ("parking.md", data)}).json()
    [hit] = real.post("/v1/search", json={"query": "When does the garage close?", "k": 1}).json()["hits"]
    original = real.get(f"/v1/documents/{entry['document_id']}/file")
    assert (entry["status"], hit["document_id"]) == ("added", entry["document_id"])
    assert original.content == data
    assert original.headers["content-disposition"] == 'attachment; filename="parking.md"'
    assert real.post("/v1/documents", files={"file": ("parking.md", data)}).status_code == 200
    assert real.delete(f"/v1/documents/{entry['document_id']}").json()["status"] == "removed"
    assert entry["document_id"] not in {each["document_id"] for each in real.get("/v1/documents").json()["documents"]}
    assert real.get(f"/v1/documents/{entry['document_id']}/file").status_code == 404


def test_the_files_in_an_archive_are_documents(real: TestClient) -> None:
    pdf = draw_pdf([[(72, 700, "Bicycles are parked in the cellar.")]])
    data = make_zip([("in/bicycles.pdf", pdf), ("broken.pdf", b"%PDF-1.4 but not really")])
    response = real.post("/v1/documents", files={"file": ("house.zip", data)})
    assert (response.status_code, response.json()["status"], response.json()["document_id"]) == (201, "added", None)
    assert response.json()["reason"].startswith("1 of 2 files in it are taken in; broken.pdf: ")
    [hit] = real.post("/v1/search", json={"query": "Where are bicycles parked?", "k": 1}).json()["hits"]
    assert hit["source"] == "upload:house.zip!/in/bicycles.pdf"
    document = f"/v1/documents/{hit['document_id']}"
    original = real.get(f"{document}/file")
    assert original.content == pdf
    assert original.headers["content-disposition"] == 'attachment; filename="bicycles.pdf"'
    found = real.get(f"{document}/boxes", params={"start": hit["start"], "end": hit["end"]}).json()
    assert [page["page"] for page in found["pages"]] == [1]
    broken = real.post("/v1/documents", files={"file": ("house.zip", data[:-30])})
    assert (broken.status_code, broken.json()["entry"]["status"]) == (422, "failed")
    assert real.get(document).status_code == 200  # what was known of it stays
    assert real.delete(document).json()["status"] == "removed"


def test_a_quote_of_a_pdf_has_a_box_on_its_page(real: TestClient) -> None:
    data = draw_pdf([[(72, 700, "The first page.")], [(72, 600, "Bicycles are parked in the cellar.")]])
    entry = real.post("/v1/documents", files={"file": ("bicycles.pdf", data)}).json()
    [hit] = real.post("/v1/search", json={"query": "Where are bicycles parked?", "k": 1}).json()["hits"]
    start = hit["start"] + hit["text"].index("Bicycles")
    document = f"/v1/documents/{entry['document_id']}"
    found = real.get(f"{document}/boxes", params={"start": start, "end": start + 34}).json()
    [[left, top, right, bottom]] = found["pages"][0]["boxes"]
    assert [page["page"] for page in found["pages"]] == [2]
    assert (left, bottom) == (pytest.approx(72, abs=1), pytest.approx(841.89 - 600, abs=4))
    assert 10 < bottom - top < 18 and 150 < right - left < 200
    text = real.get("/v1/documents").json()["documents"][0]
    assert real.get(f"/v1/documents/{text['document_id']}/boxes?start=0&end=9").json() == {"pages": []}
    real.delete(document)
    assert real.get(f"{document}/boxes?start=0&end=9").status_code == 404


def test_a_masked_document_has_no_boxes(real: TestClient) -> None:
    data = draw_pdf([[(72, 700, "The key is AKIAIOSFODNN7EXAMPLA and opens the store.")]])
    entry = real.post("/v1/documents", files={"file": ("key.pdf", data)}).json()
    info = real.get(f"/v1/documents/{entry['document_id']}").json()
    assert info["masked"] is True
    assert real.get(f"/v1/documents/{entry['document_id']}/boxes?start=0&end=9").status_code == 404
    real.delete(f"/v1/documents/{entry['document_id']}")


def test_a_file_that_is_no_document_is_refused_with_the_ledgers_reason(real: TestClient) -> None:
    response = real.post("/v1/documents", files={"file": ("broken.pdf", b"%PDF-1.4 but not really")})
    assert (response.status_code, response.json()["entry"]["status"]) == (422, "failed")
    assert response.json()["detail"] == response.json()["entry"]["reason"]


def test_a_hostile_document_comes_as_bytes_to_save(real: TestClient) -> None:
    documents = real.get("/v1/documents").json()["documents"]
    attack = next(each for each in documents if each["source"].endswith("attack.html"))
    response = real.get(f"/v1/documents/{attack['document_id']}/file")
    assert response.text == DOCUMENTS["attack.html"]
    assert response.headers["content-type"] == "application/octet-stream"
    assert response.headers["content-disposition"].startswith("attachment")


def test_conversations_survive_a_restart(real_settings: Settings) -> None:
    with client_of(build_bot(real_settings)) as client:
        wait_until(lambda: client.get("/health/ready").status_code == 200)
        answer = client.post("/v1/chat", json={"question": LEAVE}).json()
    with client_of(build_bot(real_settings)) as client:
        wait_until(lambda: client.get("/health/ready").status_code == 200)
        [kept] = client.get(f"/v1/conversations/{answer['conversation_id']}").json()["messages"]
    assert kept["answer"]["citations"] == answer["citations"]


def test_without_an_index_it_is_said_and_an_index_that_comes_is_taken(settings: Settings) -> None:
    with client_of(build_bot(settings)) as client:
        wait_until(lambda: "no index" in client.get("/health/ready").json()["detail"].lower())
        assert client.post("/v1/chat", json={"question": LEAVE}).status_code == 503
        assert client.get("/v1/conversations").status_code == 503
        assert client.get("/v1/models").status_code == 503
        assert client.get("/").status_code == 200


def test_the_official_client_streams_what_it_gets_whole(real_settings: Settings) -> None:
    questions = {
        LEAVE: "sixteen weeks",
        "Is Oslo 140 euros?": "| 140 euros |",
        "Who painted the Moon?": "don't say",
    }
    with running(build_bot(real_settings)) as server:
        client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=20)
        for question, said in questions.items():
            messages: Any = [{"role": "user", "content": question}]
            whole = client.chat.completions.create(model="quote", messages=messages)
            chunks = list(client.chat.completions.create(model="quote", messages=messages, stream=True))
            words = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
            last: Any = chunks[-1]
            assert said in words
            assert words == whole.choices[0].message.content == last.rag["answer"]
        client.close()


def test_what_belongs_to_one_person_is_nowhere_to_be_seen(real: TestClient) -> None:
    bot = real.app.state.service.bot  # type: ignore[attr-defined]
    assert real.portal
    entry = real.portal.call(bot.upload, "private/slack/T1/UANN/plan.txt", b"The blue rocket starts on Monday.")
    assert entry.status == "added"
    assert all("private" not in one["source"] for one in real.get("/v1/documents").json()["documents"])
    for path in ("", "/text", "/file"):
        assert real.get(f"/v1/documents/{entry.document_id}{path}").status_code == 404
    assert real.delete(f"/v1/documents/{entry.document_id}").status_code == 404
    hits = real.post("/v1/search", json={"query": "blue rocket"}).json()["hits"]
    assert all("rocket" not in hit["text"] for hit in hits)
