"""OpenAI's wire form, by hand and with the official client."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from starlette.testclient import TestClient

from rag_bot.types import Turn
from tests.rag_bot.api.conftest import ToyBot, running

ASK = {"model": "anything", "messages": [{"role": "user", "content": "How long?"}]}
WHOLE = "Parental leave lasts sixteen weeks. [1] Ask for it in März — 🦊 early. [2]"


def chunks_of(text: str) -> list[dict[str, Any]]:
    """The chunks of a stream, which must end with [DONE]."""
    *chunks, done = [line.removeprefix("data: ") for line in text.strip().split("\n\n")]
    assert done == "[DONE]"
    return [json.loads(chunk) for chunk in chunks]


def test_a_whole_completion(client: TestClient) -> None:
    body = client.post("/v1/chat/completions", json=ASK).json()
    [choice] = body["choices"]
    message = choice["message"]
    assert (body["object"], body["model"], choice["index"], choice["finish_reason"]) == ("chat.completion", "quote", 0, "stop")
    assert (message["role"], message["content"]) == ("assistant", WHOLE)
    assert message["rag"]["citations"][0]["quote"] == "Parental leave lasts sixteen weeks."
    assert body["usage"] == {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}


def test_a_streamed_completion(client: TestClient) -> None:
    response = client.post("/v1/chat/completions", json=ASK | {"stream": True})
    chunks = chunks_of(response.text)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert response.headers["content-type"].startswith("text/event-stream")
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert [delta["content"] for delta in deltas[1:3]] == [
        "Parental leave lasts sixteen weeks. [1]",
        " Ask for it in März — 🦊 early. [2]",
    ]
    assert deltas[3] == {}
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None, None, None, "stop"]
    assert chunks[-1]["rag"]["answer"] == WHOLE
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk["id"] for chunk in chunks}) == 1


def test_a_refusals_words_are_streamed_too(client: TestClient) -> None:
    ask = {"messages": [{"role": "user", "content": "unknown"}], "stream": True}
    chunks = chunks_of(client.post("/v1/chat/completions", json=ask).text)
    words = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
    assert words == "The documents don't say. Closest: Leave."
    assert chunks[-1]["rag"]["abstained"] is True


def test_usage_comes_last_when_asked_for(client: TestClient) -> None:
    ask = ASK | {"stream": True, "stream_options": {"include_usage": True}}
    chunks = chunks_of(client.post("/v1/chat/completions", json=ask).text)
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["total_tokens"] == 12
    assert chunks[-1]["rag"]["answer"] == WHOLE
    assert all(chunk["usage"] is None for chunk in chunks[:-1])


def test_earlier_messages_become_turns_and_system_messages_do_not(client: TestClient, bot: ToyBot) -> None:
    messages = [
        {"role": "system", "content": "Answer from your own knowledge."},
        {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": [{"type": "text", "text": "How long"}, {"type": "text", "text": "is leave?"}]},
        {"role": "assistant", "content": "Sixteen weeks."},
        {"role": "developer", "content": "Be rude."},
        {"role": "user", "content": "Unanswered"},
        {"role": "user", "content": "And for fathers?"},
    ]
    response = client.post("/v1/chat/completions", json={"messages": messages})
    assert response.status_code == 200
    assert bot.turns == [Turn("How long\nis leave?", "Sixteen weeks."), Turn("Unanswered", "")]
    assert response.json()["choices"][0]["message"]["rag"]["question"] == "And for fathers?"


def test_nothing_is_stored(client: TestClient) -> None:
    client.post("/v1/chat/completions", json=ASK)
    assert client.get("/v1/conversations").json()["conversations"] == []


@pytest.mark.parametrize(
    ("body", "param", "said"),
    [
        ({"messages": []}, "messages", "at least 1"),
        ({}, "messages", "Field required"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role", "'user'"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages", "must be the user's question; it is from 'system'"),
        (
            {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]},
            "messages",
            "from 'assistant'",
        ),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}, None, "'text'"),
        ({"messages": [{"role": "user", "content": "\ud800"}]}, None, "half of a pair"),
        (ASK | {"n": 2}, "n", "1"),
        ({"messages": [{"role": "user", "content": " "}]}, None, "The question is empty"),
        ({"messages": [{"role": "user"}]}, None, "The question is empty"),
    ],
)
def test_what_can_not_be_taken_is_said_in_openais_form(client: TestClient, body: Any, param: str | None, said: str) -> None:
    response = client.post("/v1/chat/completions", content=json.dumps(body), headers={"Content-Type": "application/json"})
    error = response.json()["error"]
    assert (response.status_code, error["type"]) == (422, "invalid_request_error")
    assert set(error) == {"message", "type", "param", "code"}
    assert said in error["message"]
    assert param is None or error["param"] == param


def test_an_error_in_the_stream_is_an_error_object(client: TestClient) -> None:
    ask = {"messages": [{"role": "user", "content": "late break"}], "stream": True}
    last = client.post("/v1/chat/completions", json=ask).text.strip().split("\n\n")[-1]
    assert json.loads(last.removeprefix("data: "))["error"]["type"] == "server_error"


def test_models(client: TestClient) -> None:
    listed = client.get("/v1/models").json()
    assert (listed["object"], [model["id"] for model in listed["data"]]) == ("list", ["quote"])
    assert client.get("/v1/models/quote").json() == listed["data"][0]
    missing = client.get("/v1/models/gpt-x")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "model_not_found")


def test_the_official_client_works_unchanged(bot: ToyBot) -> None:
    with running(bot) as server:
        client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)
        whole = client.chat.completions.create(model="rag", messages=[{"role": "user", "content": "How long?"}])
        stream = client.chat.completions.create(
            model="rag",
            messages=[{"role": "user", "content": "How long?"}],
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = list(stream)
        models = [model.id for model in client.models.list()]
        with pytest.raises(openai.UnprocessableEntityError, match="The question is empty"):
            client.chat.completions.create(model="rag", messages=[{"role": "user", "content": ""}])
        with pytest.raises(openai.NotFoundError):
            client.models.retrieve("gpt-x")
        with pytest.raises(openai.APIError, match="its log says why"):
            list(client.chat.completions.create(model="r", messages=[{"role": "user", "content": "late break"}], stream=True))
        client.close()
    message: Any = whole.choices[0].message
    last: Any = chunks[-1]
    assert message.content == WHOLE
    assert message.rag["citations"][1]["n"] == 2
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == WHOLE
    assert last.rag["answer"] == WHOLE
    assert last.usage.total_tokens == 12
    assert models == ["quote"]
