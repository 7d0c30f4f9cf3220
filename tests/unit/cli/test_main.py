"""Exit codes and messages of `hub` as a whole."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from cli.main import run
from hub.settings import Settings
from schemas.registry import SOURCE_TYPES


@pytest.mark.parametrize(
    "arguments",
    [
        ["event"],
        ["event", "validate"],
        ["no-such-command"],
        ["event", "new", "no.such.type"],
        ["dlq", "redrive"],
        ["event", "new", "quote.published.v1", "--tenant", "Acme Ltd"],
    ],
)
def test_what_can_not_be_used_ends_in_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_help_ends_in_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    out = capsys.readouterr().out
    for group in (
        "audit",
        "backlog",
        "catalog",
        "dlq",
        "event",
        "rules",
        "run",
        "sandbox",
        "tenant",
        "topics",
    ):
        assert group in out


@pytest.mark.parametrize("arguments", [["topics", "apply"], ["dlq", "list"], ["audit", "show", "Q-1"]])
def test_a_broker_that_is_not_there_is_one_message_and_1(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    assert run(arguments) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: Kafka at 127.0.0.1:1 can't be used")
    assert captured.err.count("\n") == 1


def test_settings_that_can_not_be_read_are_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_HTTP_PORT", "http")
    monkeypatch.setenv("HUB_KAFKA_SASL_PASSWORD", "hunter22")
    assert run(["topics", "apply"]) == 2
    err = capsys.readouterr().err
    assert "HUB_HTTP_PORT" in err
    assert "hunter22" not in err


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HUB_BOOTSTRAP_SERVERS", "kafka:port"),
        ("HUB_BOOTSTRAP_SERVERS", "kafka://kafka:9092"),
        ("HUB_BOOTSTRAP_SERVERS", ""),
        ("HUB_BOOTSTRAP_SERVERS", "kafka:9092,"),
        ("HUB_LEASE_TTL_S", "5"),
        ("HUB_STORE_URL", "hub.db"),
        ("HUB_STORE_URL", "mysql://db/hub"),
    ],
)
def test_a_service_does_not_start_with_a_setting_that_no_waiting_can_mend(
    name: str, value: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    assert run(["run", "mapper"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert name in err or "store" in err


@pytest.mark.parametrize(
    "servers", ["kafka", "kafka:9092", "a-1.example:9092, b:9092", "[::1]:9092", "10.0.0.1:9092"]
)
def test_what_the_kafka_client_takes_for_an_address_is_taken(servers: str) -> None:
    assert Settings(bootstrap_servers=servers).bootstrap_servers == servers


def test_a_type_that_is_nearly_one_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["catalog", "example", "quote.publishd.v1"]) == 2
    assert "did you mean quote.published.v1" in capsys.readouterr().err


def test_the_release_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("halo-hub ")


def test_a_port_that_is_taken_is_one_message_and_1(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run(["sandbox", "--port", str(port)]) == 1
    err = capsys.readouterr().err
    assert err.startswith(f"error: cannot listen on 127.0.0.1:{port}")
    assert "--port" in err


def test_a_store_that_is_not_there_is_one_message_and_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_STORE_URL", "postgresql+asyncpg://hub:s3cret@127.0.0.1:1/hub")
    assert run(["backlog"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert "s3cret" not in err


@pytest.mark.feature("beyond.catalog", part="cli")
def test_json_is_one_document_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["catalog", "list", "--json"]) == 0
    types = {message["type"] for message in json.loads(capsys.readouterr().out)}
    assert types == SOURCE_TYPES
    assert {
        "quote.published.v1",
        "quote.updated.v1",
        "quote.status_changed.v1",
        "quote.converted.v1",
        "question.answered.v1",
    } <= types
    assert run(["catalog", "schema", "quote.published.v1"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "quote.published.v1"
    assert run(["catalog", "asyncapi"]) == 0
    assert json.loads(capsys.readouterr().out)["asyncapi"] == "3.0.0"
    assert run(["catalog", "example", "command.applied.v1"]) == 0
    assert json.loads(capsys.readouterr().out)["type"] == "command.applied.v1"


def test_the_sandbox_says_why_it_can_not_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sandbox", "--fixture", str(tmp_path / "none.yaml")]) == 2
    assert "none.yaml" in capsys.readouterr().err
    assert run(["sandbox", "--ready-file", str(tmp_path / "none" / "ready")]) == 2
    assert "no such directory" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["backlog"], ["tenant", "show", "acme"]])
@pytest.mark.parametrize("content", [None, b"\xff\xfe is no database, but long enough to be looked at" * 20])
def test_what_is_not_the_hubs_store_is_one_message_and_2(
    arguments: list[str],
    content: bytes | None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = tmp_path / "hub.db"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv("HUB_STORE_URL", f"sqlite+aiosqlite:///{file}")
    assert run(arguments) == 2
    err = capsys.readouterr().err
    told = "there is no store at" if content is None else "this is not the hub's store"
    assert err.startswith(f"error: {told}")
    assert file.exists() is (content is not None), "looking leaves no store behind"
    assert err.count("\n") == 1
