"""`hub backlog`: what waits is seen, and so is what waits for a person."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.backlog import span, summarised
from cli.main import run
from hub.store import pending
from hub.store.engine import Store
from hub.store.holds import HALO, WINDOW, Hold
from hub.store.pending import Backlog, Pending
from hub.tenants.shares import Allowance


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
                        note="which of the two is it?",
                    ),
                )
        await store.close()

    return lambda *rows: asyncio.run(put(rows))


def shown(capsys: pytest.CaptureFixture[str], *options: str) -> list[dict[str, Any]]:
    assert run(["backlog", "--json", *options]) == 0
    rows: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["rows"]
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


@pytest.mark.feature("beyond.backlog", part="cli")
def test_a_tenant_is_summed_up_with_size_age_reasons_holds_and_time_to_drain() -> None:
    counts = [
        Backlog("acme", "writer", "unreachable", 40, 900.0),
        Backlog("acme", "writer", "dependency", 10, 950.0),
        Backlog("acme", "mapper", "base", 1, 990.0),
        Backlog("north", "writer", "decision", 1, 500.0),
    ]
    held = [
        Hold(tenant="acme", scope=HALO, reason="unreachable", since=880.0, probe_at=1030.0, note="no answer"),
        Hold(tenant="north", scope=WINDOW, reason="limited", since=800.0, probe_at=999.0),
    ]
    north, acme = summarised(counts, held, {"acme": Allowance(100, 50.0, 5.0)}, 1000.0)
    assert (acme.tenant, acme.waiting, acme.oldest_s) == ("acme", 51, 100.0)
    assert acme.reasons == {"base": 1, "dependency": 10, "unreachable": 40}
    assert acme.drain_s == 30.0 + 50 * 2 * 0.5, (
        "the writer's rows at up to two requests each, after the next try"
    )
    assert [(hold["scope"], hold["since_s"], hold["again_in_s"]) for hold in acme.holds] == [
        (HALO, 120.0, 30.0)
    ]
    assert (north.drain_s, north.holds) == (None, []), "no settings, and its window is over"


@pytest.mark.parametrize(
    ("seconds", "text"), [(-5, "0 s"), (119, "119 s"), (600, "10 min"), (9000, "2 h"), (300_000, "3 d")]
)
def test_spans_read_well(seconds: float, text: str) -> None:
    assert span(seconds) == text
