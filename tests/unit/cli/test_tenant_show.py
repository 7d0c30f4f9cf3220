"""The rules behind a command's rule revision can be printed, also after they were replaced."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from cli.main import run
from hub.store import proofs, rule_sets
from hub.store.engine import Store
from hub.store.rule_sets import RuleSetRow
from schemas.control import ArrayProof


@pytest.fixture
def two_revisions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'store.db'}"
    monkeypatch.setenv("HUB_STORE_URL", url)

    async def fill() -> None:
        store = await Store.open(url)
        await store.migrate()
        async with store.write() as conn:
            for sequence, currency in ((1, "GBP"), (2, "USD")):
                text = json.dumps({"tenant": "acme", "currency": currency})
                row = RuleSetRow(
                    tenant="acme", sequence=sequence, hash=f"h{sequence}", text=text, accepted_at=0.0
                )
                await rule_sets.put(conn, row)
            known = [
                ArrayProof(kind="item", ok=False, why="Halo answered 400 to an array of 20: no such group"),
                ArrayProof(kind="user", ok=True),
            ]
            await proofs.put_arrays(conn, "acme", "acme.halopsa.com", known, 1_700_000_000.0)
        await store.close()

    asyncio.run(fill())


@pytest.mark.usefixtures("two_revisions")
@pytest.mark.parametrize(("arguments", "currency"), [([], "USD"), (["--at", "1"], "GBP")])
def test_the_newest_revision_is_shown_or_the_one_asked_for(
    arguments: list[str], currency: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["tenant", "show", "acme", *arguments]) == 0
    assert json.loads(capsys.readouterr().out)["rules"]["currency"] == currency


@pytest.mark.usefixtures("two_revisions")
def test_a_revision_that_never_was_is_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["tenant", "show", "acme", "--at", "9"]) == 2
    assert "no revision 9; its newest is 2" in capsys.readouterr().err


@pytest.mark.usefixtures("two_revisions")
def test_a_tenant_that_never_was_is_bad_input_with_the_one_that_was_meant(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["tenant", "show", "acne"]) == 2
    assert "did you mean acme?" in capsys.readouterr().err


@pytest.mark.feature("beyond.bulk", part="writer")
@pytest.mark.usefixtures("two_revisions")
def test_why_a_kind_goes_singly_is_shown_with_its_time(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["tenant", "show", "acme"]) == 0
    item, user = json.loads(capsys.readouterr().out)["arrays"]
    assert item == {
        "instance": "acme.halopsa.com",
        "since": "2023-11-14T22:13:20+00:00",
        "kind": "item",
        "ok": False,
        "why": "Halo answered 400 to an array of 20: no such group",
    }
    assert (user["kind"], user["ok"]) == ("user", True)
