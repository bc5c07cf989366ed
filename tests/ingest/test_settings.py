"""Settings of ingestion that are read in a way of their own."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from ingest import settings as home
from ingest.build import open_parsers
from ingest.console import load_settings
from ingest.parsers.child import Limits
from ingest.settings import IngestSettings


@pytest.mark.parametrize(
    ("value", "passwords"),
    [
        ("", []),
        ("sesame, and a comma", ["sesame, and a comma"]),
        ('["sesame-one", "sesame-two"]', ["sesame-one", "sesame-two"]),
        ("[918273645]", ["918273645"]),
        ("[not a list", ["[not a list"]),
    ],
)
def test_passwords_are_one_or_a_list_and_are_shown_nowhere(
    monkeypatch: pytest.MonkeyPatch, value: str, passwords: list[str]
) -> None:
    monkeypatch.setenv("RAG_BOT_PASSWORDS", value)
    settings = IngestSettings()
    assert [password.get_secret_value() for password in settings.passwords] == passwords
    shown = f"{settings!r} {settings.model_dump_json()}"
    assert not any(password in shown for password in passwords)


def test_passwords_from_the_file_of_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rag-bot.toml").write_text('passwords = ["one", "two"]\n', encoding="utf-8")
    assert [password.get_secret_value() for password in IngestSettings().passwords] == ["one", "two"]


def test_the_limits_of_parsing_reach_the_parsers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"SECONDS": 7, "MEMORY_MB": 512, "OUTPUT_MB": 3, "PROCESSES": 5}.items():
        monkeypatch.setenv(f"RAG_BOT_PARSE_{name}", str(value))
    with open_parsers(IngestSettings()) as pool:
        assert (pool.limits, pool.size) == (Limits(seconds=7, memory_mb=512, output_mb=3), 5)


def test_secrets_are_read_from_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    container, credentials = tmp_path / "container", tmp_path / "credentials"
    monkeypatch.chdir(tmp_path)
    for folder in (container, credentials):
        folder.mkdir()
    monkeypatch.setattr(home, "CONTAINER_SECRETS", container)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    (tmp_path / "rag-bot.toml").write_text('embedder = "hash"\nchunk_tokens = 100\n', encoding="utf-8")
    (container / "rag_bot_passwords").write_text("sesame\n", encoding="utf-8")
    (container / "RAG_BOT_EMBEDDER").write_text("minilm", encoding="utf-8")
    (credentials / "rag_bot_parse_seconds").write_text("7\n", encoding="utf-8")
    (credentials / "another_secret").write_text("of somebody else", encoding="utf-8")
    settings = IngestSettings()
    assert [password.get_secret_value() for password in settings.passwords] == ["sesame"]
    assert (settings.embedder, settings.parse_seconds, settings.chunk_tokens) == ("minilm", 7, 100)
    monkeypatch.setenv("RAG_BOT_EMBEDDER", "hash")
    assert IngestSettings().embedder == "hash"


def test_folders_of_secrets_that_are_not_there_say_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.setattr(home, "CONTAINER_SECRETS", tmp_path / "none")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "none either"))
    assert IngestSettings().embedder == "minilm"
    assert not recwarn.list


def test_a_secret_that_is_no_text_is_named_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(home, "CONTAINER_SECRETS", tmp_path)
    (tmp_path / "rag_bot_passwords").write_bytes(b"\xff\xfe")
    with pytest.raises(typer.Exit) as ended:
        load_settings(IngestSettings)
    assert ended.value.exit_code == 2
    assert "a file of secrets can't be read" in capsys.readouterr().err
