"""`hub event`: what it makes is correct, and what it is given is judged whole."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pytest

from cli.main import run
from schemas.registry import SOURCE_TYPES

LOCAL = "127.0.0.1:1"
ODD = ("s3cr\nt", "s3cr\u00e9t", "s3cr t")


def made(event_type: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert run(["event", "new", event_type, "--tenant", "acme", "--source", "mytool"]) == 0
    event: dict[str, Any] = json.loads(capsys.readouterr().out)
    return event


@pytest.mark.feature("beyond.catalog", part="cli")
@pytest.mark.parametrize("event_type", sorted(SOURCE_TYPES))
def test_a_new_event_is_valid(event_type: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    event = made(event_type, capsys)
    assert (event["source"], event["tenant"], event["type"]) == ("/mytool", "acme", event_type)
    assert "halo_id" not in json.dumps(event), "an id of someone's Halo is wrong in any other"
    file = tmp_path / "event.json"
    file.write_text(json.dumps(event))
    assert run(["event", "validate", str(file)]) == 0


def test_new_events_of_one_quote_can_be_sent_one_after_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    life = ("quote.published.v1", "quote.updated.v1", "quote.status_changed.v1", "quote.converted.v1")
    revisions = [made(event_type, capsys)["revision"] for event_type in life]
    assert revisions == sorted(set(revisions))
    other = {made(event_type, capsys)["revision"] for event_type in SOURCE_TYPES - set(life)}
    assert other == {1}


@pytest.mark.feature("beyond.catalog", part="cli")
def test_every_fault_of_every_event_is_told_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = made("quote.published.v1", capsys)
    bad = {**good, "time": "yesterday", "tenant": "ACME", "data": {"title": 5, "lines": [{"id": "1"}]}}
    worse = {"specversion": "1.0", "type": "quote.gone.v1"}
    file = tmp_path / "events.json"
    file.write_text(json.dumps([good, bad, worse]))
    assert run(["event", "validate", str(file), "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    found = {(fault["index"], fault["at"]) for fault in answer["faults"]}
    assert not answer["valid"]
    assert found >= {
        (1, "time"),
        (1, "tenant"),
        (1, "data.title"),
        (1, "data"),
        (1, "data.lines[0]"),
        (2, "id"),
        (2, "type"),
        (2, "data"),
    }
    assert all(index != 0 for index, _ in found)


@pytest.mark.parametrize("content", ["", "not json", "[]", "[1, 2"])
def test_a_file_without_events_is_bad_input(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "events.json"
    file.write_text(content)
    assert run(["event", "validate", str(file)]) in (1, 2)
    captured = capsys.readouterr()
    assert "JSON" in captured.out + captured.err or "no event" in captured.err


def test_the_address_of_the_hub_has_no_path_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_TOKEN", "t0ken")
    file = tmp_path / "event.json"
    file.write_text(json.dumps(made("quote.published.v1", capsys)))
    assert run(["event", "send", str(file), "--http", "http://127.0.0.1:1/v1/events"]) == 2
    assert "without /v1/events" in capsys.readouterr().err


def test_a_faulty_event_is_not_sent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    event = made("quote.published.v1", capsys)
    file = tmp_path / "event.json"
    file.write_text(json.dumps({**event, "data": {}}))
    assert run(["event", "send", str(file)]) == 1
    assert "data" in capsys.readouterr().out


def test_sending_over_http_needs_a_token(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "event.json"
    file.write_text(json.dumps(made("quote.published.v1", capsys)))
    monkeypatch.delenv("HUB_TOKEN", raising=False)
    assert run(["event", "send", str(file), "--http", "http://127.0.0.1:1"]) == 2
    monkeypatch.setenv("HUB_TOKEN", "t")
    assert run(["event", "send", str(file), "--http", "http://127.0.0.1:1"]) == 1
    assert "can't be reached" in capsys.readouterr().err


@pytest.mark.parametrize(("address", "token"), [("127.0.0.1:1", "t"), *((f"http://{LOCAL}", t) for t in ODD)])
def test_what_no_request_can_be_made_of_is_bad_input_and_shows_no_token(
    address: str,
    token: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HUB_TOKEN", token)
    file = tmp_path / "event.json"
    file.write_text(json.dumps(made("quote.published.v1", capsys)))
    assert run(["event", "send", str(file), "--http", address]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "s3cr" not in err


def test_a_tokens_hash_is_what_the_producers_file_wants(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_TOKEN", "a-secret")
    assert run(["event", "token"]) == 0
    assert capsys.readouterr().out.strip() == hashlib.sha256(b"a-secret").hexdigest()


@pytest.mark.parametrize(("piped", "code"), [("a-secret\n", 0), ("", 2)])
def test_a_token_may_be_piped_in(
    piped: str, code: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HUB_TOKEN", raising=False)
    monkeypatch.setattr("sys.stdin", io.StringIO(piped))
    assert run(["event", "token"]) == code
    if code == 0:
        assert capsys.readouterr().out == hashlib.sha256(b"a-secret").hexdigest() + "\n"
