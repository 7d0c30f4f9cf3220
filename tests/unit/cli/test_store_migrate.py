"""`hub store migrate`: the tables are there before any service is, and again does no harm."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from cli.main import run

NEWER = "9999"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "hub.db"
    monkeypatch.setenv("HUB_STORE_URL", f"sqlite+aiosqlite:///{path}")
    return path


def test_an_empty_store_gets_its_tables_and_again_changes_nothing(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["store", "migrate", "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    with sqlite3.connect(file) as db:
        assert db.execute("SELECT version_num FROM alembic_version").fetchall() == [(first["revision"],)]
        tables = db.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
    assert run(["store", "migrate"]) == 0
    assert first["revision"] in capsys.readouterr().out
    with sqlite3.connect(file) as db:
        assert db.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall() == tables
    assert run(["backlog", "--json"]) == 0


def test_what_a_newer_release_has_made_stays(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["store", "migrate"]) == 0
    with sqlite3.connect(file) as db:
        db.execute("UPDATE alembic_version SET version_num = ?", (NEWER,))
    capsys.readouterr()
    assert run(["store", "migrate", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"revision": NEWER}
    with sqlite3.connect(file) as db:
        assert db.execute("SELECT version_num FROM alembic_version").fetchall() == [(NEWER,)]


def test_a_store_that_is_not_there_fails_the_job(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_STORE_URL", "postgresql+asyncpg://hub:s3cret@127.0.0.1:1/hub")
    assert run(["store", "migrate"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert "s3cret" not in err
