"""A real server: hang-ups, SIGTERM, the address, a port that is taken."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rag_bot.api.serve import check_open, listen, serve
from rag_bot.errors import BadSetting
from rag_bot.settings import Settings
from tests.rag_bot.api.conftest import Running, ToyBot, running, wait_until

ROOT = Path(__file__).parents[3]
PROGRAM = """
import sys
from pathlib import Path
from tests.rag_bot.api.conftest import ToyBot
from rag_bot.api.serve import listen, run
from rag_bot.settings import Settings

folder = Path(sys.argv[1])
run(ToyBot(Settings(index=folder, shutdown_seconds=float(sys.argv[2])), folder), listen("127.0.0.1", 0))
"""


def ask(port: int, question: str, *, path: str = "/v1/chat", events: bool = True) -> http.client.HTTPConnection:
    """A request on its way."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    chat = {"question": question}
    body = chat if path == "/v1/chat" else {"messages": [{"role": "user", "content": question}], "stream": events}
    headers = {"Content-Type": "application/json"} | ({"Accept": "text/event-stream"} if events else {})
    connection.request("POST", path, json.dumps(body), headers)
    return connection


@pytest.fixture
def server(bot: ToyBot) -> Iterator[Running]:
    with running(bot) as server:
        yield server


@pytest.mark.parametrize("path", ["/v1/chat", "/v1/chat/completions"])
@pytest.mark.parametrize("question", ["endless", "silent"])
@pytest.mark.parametrize("events", [True, False])
def test_a_client_that_hangs_up_stops_the_work(server: Running, bot: ToyBot, path: str, question: str, events: bool) -> None:
    connection = ask(server.port, question, path=path, events=events)
    if events:
        response = connection.getresponse()
        assert response.readline()
        response.close()
    assert bot.working.wait(10)
    assert not bot.stopped.is_set()
    connection.close()
    assert bot.stopped.wait(10)
    wait_until(lambda: 'rag_bot_questions_total{outcome="hung_up"} 1.0' in metrics(server.port))
    assert "rag_bot_streams_open 0.0" in metrics(server.port)


def test_an_open_stream_is_counted(server: Running, bot: ToyBot) -> None:
    connection = ask(server.port, "endless")
    connection.getresponse().readline()
    assert "rag_bot_streams_open 1.0" in metrics(server.port)
    connection.close()
    wait_until(lambda: "rag_bot_streams_open 0.0" in metrics(server.port))


def test_events_leave_as_they_come(server: Running, bot: ToyBot) -> None:
    response = ask(server.port, "endless").getresponse()
    lines = [response.readline() for _ in range(7)]
    assert b"event: sentence\n" in lines
    assert not bot.stopped.is_set()
    response.close()


def test_the_server_does_not_name_itself(server: Running) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("GET", "/health/live")
    assert connection.getresponse().getheader("server") is None
    connection.close()


def metrics(port: int) -> str:
    return got(port, "/metrics")[1]


def ready(port: int) -> bool:
    return got(port, "/health/ready")[0] == 200


def got(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", path)
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response.status, text


@contextmanager
def process(folder: Path, seconds: float, after: str = "") -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The server in a process of its own, and its port; what it does `after` it has stopped."""
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", PROGRAM + after, str(folder), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env) as child:
        assert child.stdout is not None
        line = child.stdout.readline().strip()
        assert line.startswith("rag-bot is at http://127.0.0.1:"), child.stderr and child.stderr.read()
        try:
            yield child, int(line.rsplit(":", 1)[1])
        finally:
            if child.poll() is None:
                child.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_open_streams_with_a_last_event_and_exits_0(folder: Path, number: signal.Signals) -> None:
    with process(folder, 2.0) as (child, port):
        chat = ask(port, "endless").getresponse()
        openai = ask(port, "endless", path="/v1/chat/completions").getresponse()
        chat.readline()
        openai.readline()
        whole = ask(port, "silent", events=False)
        child.send_signal(number)
        event, data = chat.read().decode().strip().split("\n\n")[-1].split("\n")
        last = openai.read().decode().strip().split("\n\n")[-1]
        response = whole.getresponse()
        assert child.wait(20) == 0
        assert child.stderr is not None
        said = child.stderr.read()
    assert event == "event: error"
    problem = json.loads(data.removeprefix("data: "))
    assert problem["status"] == 503
    assert problem["detail"].startswith("The service is stopping.")
    assert json.loads(last.removeprefix("data: "))["error"]["code"] == "stopping"
    assert (response.status, response.getheader("retry-after")) == (503, "5")
    assert said == ""


def test_an_answer_that_is_nearly_done_may_end(folder: Path) -> None:
    with process(folder, 6.0) as (child, port):
        response = ask(port, "slow").getresponse()
        response.readline()
        child.send_signal(signal.SIGTERM)
        text = response.read().decode()
        assert child.wait(20) == 0
    assert text.strip().split("\n\n")[-1].startswith("event: done\n")


def test_what_is_loaded_is_not_gone_through_again_by_the_garbage_collector(folder: Path) -> None:
    with process(folder, 30.0, "import gc; print(gc.get_freeze_count())") as (child, port):
        wait_until(lambda: ready(port))
        child.send_signal(signal.SIGTERM)
        assert child.stdout is not None
        assert int(child.stdout.read()) > 50_000


def test_without_work_a_signal_ends_it_at_once(folder: Path) -> None:
    with process(folder, 30.0) as (child, _):
        child.send_signal(signal.SIGTERM)
        assert child.wait(20) == 0


def test_a_port_that_is_taken_is_said_in_a_line(settings: Settings) -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BadSetting, match=f"Port {port} on 127.0.0.1 is already taken") as caught:
            listen("127.0.0.1", port)
    assert "\n" not in f"{caught.value} {caught.value.hint}"
    assert "--port" in caught.value.hint


def test_a_setting_that_can_not_be_used_ends_it_at_once(settings: Settings) -> None:
    with pytest.raises(BadSetting, match="needs an LLM"):
        serve(settings.model_copy(update={"answer": "generate"}))


def test_a_host_that_is_none_is_said() -> None:
    with pytest.raises(BadSetting, match=r"no\.such\.host\.invalid:8000 can\'t be listened on"):
        listen("no.such.host.invalid", 8000)


@pytest.mark.parametrize(
    ("host", "auth", "open_to_others"), [("0.0.0.0", "off", True), ("0.0.0.0", "on", False), ("127.0.0.1", "off", False)]
)
def test_others_reach_no_service_without_accounts(host: str, auth: Any, open_to_others: bool) -> None:
    with listen(host, 0) as sock:
        if open_to_others:
            with pytest.raises(BadSetting, match="without accounts") as refused:
                check_open(sock, Settings(host=host, auth=auth))
            assert "RAG_BOT_AUTH=on" in refused.value.hint
        else:
            check_open(sock, Settings(host=host, auth=auth))


def test_ipv6_is_listened_on_where_it_is() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        sock = listen("::1", 0)
    except BadSetting as error:
        pytest.skip(str(error))
    assert sock.family == socket.AF_INET6
    sock.close()
