"""`hub backlog`: what waits is seen, and so is what waits for a person."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest

from cli.backlog import REASONS, drains_in, span, summarised
from cli.main import run
from hub.store import holds, pending, rule_sets
from hub.store.engine import Store
from hub.store.holds import HALO, WINDOW, Hold
from hub.store.pending import Backlog, Pending
from hub.store.rule_sets import RuleSetRow
from hub.tenants.shares import Allowance
from services.halo_writer.decisions import Wait

ROOT = Path(__file__).resolve().parents[3]


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


def test_a_reason_or_a_tenant_that_is_not_there_is_refused_with_those_that_were_meant(
    waiting: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    waiting(("acme", "Q-1", "queued", 1.0), ("north", "Q-2", "of a newer release", 1.0))
    for option, name, said in (
        ("--reason", "decsion", "there is no reason 'decsion'; did you mean decision"),
        ("--reason", "x", "there is no reason 'x'; there are queued, limited, "),
        ("--tenant", "acne", "there is no tenant 'acne'; did you mean acme?"),
        ("--tenant", "zzz", "there is no tenant 'zzz'; the store holds no accepted file of it"),
    ):
        assert run(["backlog", option, name]) == 2
        assert said in capsys.readouterr().err
    assert run(["backlog", "--reason", "denied"]) == 0
    assert "nothing waits for the reason 'denied'" in capsys.readouterr().out
    assert [row["target"] for row in shown(capsys, "--reason", "of a newer release")] == ["Q-2"]


async def test_a_tenant_with_an_accepted_file_is_known_though_nothing_of_it_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'hub.db'}"
    monkeypatch.setenv("HUB_STORE_URL", url)
    store = await Store.open(url)
    await store.migrate()
    async with store.write() as conn:
        await rule_sets.put(conn, RuleSetRow(tenant="calm", sequence=1, hash="h", text="{}", accepted_at=0.0))
    await store.close()

    assert await asyncio.to_thread(run, ["backlog", "--tenant", "calm"]) == 0
    assert "nothing of tenant 'calm' waits" in capsys.readouterr().out
    assert await asyncio.to_thread(run, ["backlog", "--tenant", "clam"]) == 2
    assert "did you mean calm?" in capsys.readouterr().err


def test_every_reason_is_told_of_in_the_documentation() -> None:
    section = (
        (ROOT / "docs" / "operating.md")
        .read_text()
        .partition("| reason | waits for |")[2]
        .partition("\n\n")[0]
    )
    told = [
        name for line in section.splitlines() for name in re.findall(r"`([a-z]+)`", line.partition(" | ")[0])
    ]

    assert sorted(told) == sorted(REASONS)
    assert {*get_args(holds.Reason), *get_args(Wait.__annotations__["reason"])} <= set(REASONS)


def test_what_drains_in_less_than_a_second_is_not_said_to_drain_in_none() -> None:
    assert [drains_in(seconds) for seconds in (None, 0.0, 0.1, 30.0)] == [
        None,
        None,
        "1 s or less",
        "30 s or less",
    ]


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
