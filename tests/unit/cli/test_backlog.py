"""`hub backlog`: what waits is seen, and so is what waits for a person."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.backlog import span
from cli.main import run
from hub.store import pending
from hub.store.engine import Store
from hub.store.pending import Pending


@pytest.fixture
def waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts rows into a store that `hub` then looks at: tenant, target, reason, age in seconds."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'hub.db'}"
    monkeypatch.setenv("HUB_STORE_URL", url)

    async def put(rows: tuple[tuple[str, str, str, float], ...]) -> None:
        store = await Store.open(url)
        await store.migrate()
        now = await store.now()
        async with store.write() as conn:
            for tenant, target, reason, age_s in rows:
                await pending.put(
                    conn,
                    Pending(
                        tenant=tenant,
                        stage="writer",
                        target_key=target,
                        message_id=f"m-{target}",
                        message_type="upsert_quote.v1",
                        headers=b"{}",
                        value=b'{"title": "Secret project"}',
                        reason=reason,
                        not_before=now + 60,
                        since=now - age_s,
                        phase=1,
                        note="which of the two is it?",
                    ),
                )
        await store.close()

    return lambda *rows: asyncio.run(put(rows))


def shown(capsys: pytest.CaptureFixture[str], *options: str) -> list[dict[str, Any]]:
    assert run(["backlog", "--json", *options]) == 0
    rows: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return rows


def test_the_backlog_is_shown_oldest_first_with_reason_and_age(
    waiting: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    waiting(
        ("acme", "Q-1", "halo.down", 30.0),
        ("acme", "Q-2", "decision", 7300.0),
        ("north", "Q-3", "halo.down", 1.0),
    )
    assert [row["target"] for row in shown(capsys)] == ["Q-2", "Q-1", "Q-3"]
    (decision,) = shown(capsys, "--reason", "decision")
    assert decision["note"] == "which of the two is it?"
    assert 7300 <= decision["age_s"] < 7400
    assert [row["target"] for row in shown(capsys, "--tenant", "north")] == ["Q-3"]
    assert run(["backlog"]) == 0
    out = capsys.readouterr().out
    assert "decision" in out
    assert "Secret project" not in out


def test_an_empty_backlog_says_so(waiting: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    waiting()
    assert run(["backlog"]) == 0
    assert "nothing waits" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("seconds", "text"), [(-5, "0 s"), (119, "119 s"), (600, "10 min"), (9000, "2 h"), (300_000, "3 d")]
)
def test_spans_read_well(seconds: float, text: str) -> None:
    assert span(seconds) == text
