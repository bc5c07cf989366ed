"""/v1/documents: upload, list, text, original, removal."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from ingest.errors import IndexBusy, IndexReadOnly, StorageFull
from rag_bot.settings import Settings
from tests.rag_bot.api.conftest import LEAVE, ToyBot, client_of


def test_an_upload_answers_with_the_ledgers_entry(client: TestClient) -> None:
    response = client.post("/v1/documents", files={"file": ("new.txt", b"New words.")})
    entry = {"source": "new.txt", "document_id": "d-new", "status": "added", "reason": None, "chunks": 1}
    assert (response.status_code, response.json()) == (201, entry)
    assert client.get(response.headers["location"]).json()["source"] == "new.txt"
    again = client.post("/v1/documents", files={"file": ("new.txt", b"New words.")})
    assert (again.status_code, again.json()["status"]) == (200, "unchanged")
    other = client.post("/v1/documents", files={"file": ("new.txt", b"Other words.")})
    assert (other.status_code, other.json()["status"]) == (201, "replaced")


def test_a_file_that_can_not_be_taken_in_is_a_problem_with_the_entry(client: TestClient) -> None:
    response = client.post("/v1/documents", files={"file": ("empty.txt", b"")})
    problem = response.json()
    assert (response.status_code, response.headers["content-type"]) == (422, "application/problem+json")
    assert (problem["status"], problem["detail"], problem["reason"]) == (422, "The file is empty.", "The file is empty.")
    entry = {"source": "empty.txt", "document_id": None, "status": "failed", "reason": "The file is empty.", "chunks": 0}
    assert problem["entry"] == entry
    assert problem["source"] == "empty.txt"


@pytest.mark.parametrize(
    ("name", "kept"), [("../../etc/passwd.txt", "passwd.txt"), ("C:\\docs\\plan.txt", "plan.txt"), ("ä b.txt", "ä b.txt")]
)
def test_an_uploads_name_has_no_folders(client: TestClient, name: str, kept: str) -> None:
    assert client.post("/v1/documents", files={"file": (name, b"Words.")}).json()["source"] == kept


@pytest.mark.parametrize("name", ["..", "folder/", "x" * 256])
def test_a_name_that_no_file_can_have_is_refused(client: TestClient, name: str) -> None:
    response = client.post("/v1/documents", files={"file": (name, b"Words.")})
    assert response.status_code == 422
    assert response.json()["detail"].startswith("file: ")


def test_a_name_with_control_characters_is_refused(client: TestClient) -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="bell\x07.txt"\r\n\r\nWords.\r\n--b--\r\n'
    response = client.post("/v1/documents", content=body, headers={"Content-Type": "multipart/form-data; boundary=b"})
    assert response.status_code == 422
    assert r"'bell\x07.txt' has characters" in response.json()["detail"]


def test_an_upload_without_a_file_is_told_the_field(client: TestClient) -> None:
    for response in (
        client.post("/v1/documents", files={"document": ("a.txt", b"Words.")}),
        client.post("/v1/documents", data={"file": "not a file"}),
        client.post("/v1/documents", content=b"Words."),
    ):
        assert response.status_code == 422
        assert "file" in response.json()["detail"]


def test_a_broken_multipart_body_is_a_problem(client: TestClient) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    response = client.post("/v1/documents", content=b"nonsense", headers=headers)
    assert response.status_code in (400, 422)
    assert response.headers["content-type"] == "application/problem+json"


def test_a_file_over_the_limit_is_413(settings: Settings, folder: Path) -> None:
    bot = ToyBot(settings.model_copy(update={"max_file_bytes": 1000}), folder)
    with client_of(bot) as client:
        fits = client.post("/v1/documents", files={"file": ("a.txt", b"x" * 1000)})
        a_little = client.post("/v1/documents", files={"file": ("b.txt", b"x" * 1001)})
        far = client.post("/v1/documents", files={"file": ("c.txt", b"x" * 100_000)})
    assert [fits.status_code, a_little.status_code, far.status_code] == [201, 413, 413]
    assert "1,001 bytes; 1,000 are allowed" in a_little.json()["detail"]
    assert {info.source for info in bot.index.documents()} >= {"a.txt"}
    assert not {info.source for info in bot.index.documents()} & {"b.txt", "c.txt"}


@pytest.mark.parametrize(
    ("error", "status"),
    [(IndexReadOnly("It can't be written to."), 403), (StorageFull("The disk is full.", "Make room."), 507)],
)
def test_what_the_index_says_is_a_problem(client: TestClient, bot: ToyBot, error: Exception, status: int) -> None:
    bot.failures.append(error)
    response = client.post("/v1/documents", files={"file": ("new.txt", b"Words.")})
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")
    assert str(error) in response.json()["detail"]


def test_an_upload_waits_for_an_index_that_is_busy(client: TestClient, bot: ToyBot) -> None:
    bot.failures.append(IndexBusy("Another process writes.", "Wait."))
    response = client.post("/v1/documents", files={"file": ("new.txt", b"Words.")})
    assert (response.status_code, response.json()["status"]) == (201, "added")


def test_the_list_and_one_document(client: TestClient) -> None:
    documents = client.get("/v1/documents").json()["documents"]
    assert {each["source"] for each in documents} == {"leave.md", "trips.html", "gone.txt"}
    assert set(documents[0]) == {
        "document_id", "source", "title", "media_type", "chunks", "characters", "sha256", "added_at",
        "masked", "language", "quality", "version", "dated", "labels",
    }  # fmt: skip
    assert client.get("/v1/documents/d-leave").json() == documents[0]


@pytest.mark.parametrize("route", ["", "/text", "/file", "/boxes?start=0&end=1"])
def test_an_unknown_document_is_404(client: TestClient, route: str) -> None:
    response = client.get(f"/v1/documents/nothing{route}")
    assert (response.status_code, response.headers["content-type"]) == (404, "application/problem+json")
    assert "'nothing'" in response.json()["detail"]


@pytest.mark.parametrize(
    ("query", "span"),
    [
        ("", (0, None)),
        ("?start=9&end=14", (9, 14)),
        ("?start=50", (50, None)),
        ("?end=0", (0, 0)),
        ("?start=60&end=999", (60, 999)),
    ],
)
def test_text_is_cut_by_characters(client: TestClient, query: str, span: tuple[int, int | None]) -> None:
    response = client.get(f"/v1/documents/d-leave/text{query}")
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.content.decode() == LEAVE[slice(*span)]


@pytest.mark.parametrize("query", ["start=5&end=4", "start=-1", "end=-1", "start=x", "start=1.5"])
def test_a_span_that_is_none_is_422(client: TestClient, query: str) -> None:
    response = client.get(f"/v1/documents/d-leave/text?{query}")
    assert response.status_code == 422
    assert response.json()["detail"].startswith(("start", "end"))


def test_the_original_is_for_saving(client: TestClient) -> None:
    response = client.get("/v1/documents/d-leave/file")
    assert response.content.decode() == LEAVE
    assert response.headers["content-disposition"] == 'attachment; filename="leave.md"'
    assert response.headers["content-type"] == "text/markdown"


def test_html_is_never_sent_as_html(client: TestClient) -> None:
    response = client.get("/v1/documents/d-trips/file")
    assert response.headers["content-type"] == "application/octet-stream"
    assert response.headers["content-disposition"].startswith("attachment")
    assert response.headers["x-content-type-options"] == "nosniff"


def test_an_original_that_is_gone_is_404(client: TestClient) -> None:
    response = client.get("/v1/documents/d-gone/file")
    assert (response.status_code, response.json()["detail"]) == (404, "gone.txt is gone. Add the document again.")


def test_boxes_of_a_span(client: TestClient) -> None:
    response = client.get("/v1/documents/d-leave/boxes?start=3&end=9")
    assert response.json() == {"pages": [{"page": 1, "width": 200.0, "height": 100.0, "boxes": [[3.0, 0.0, 9.0, 10.0]]}]}
    assert client.get("/v1/documents/d-gone/boxes?start=3&end=9").status_code == 404
    for query in ("start=5&end=4", "start=-1&end=4", "start=1"):
        assert client.get(f"/v1/documents/d-leave/boxes?{query}").status_code == 422


def test_removing_answers_with_the_ledgers_entry(client: TestClient) -> None:
    response = client.delete("/v1/documents/d-leave")
    assert (response.status_code, response.json()["status"]) == (200, "removed")
    assert client.delete("/v1/documents/d-leave").status_code == 404
