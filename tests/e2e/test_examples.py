"""`hub demo --like` as a person runs it; each example's quotes are checked in one process by the writer's tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
NAME = "quotewerks"
LIMIT_S = 800.0


@pytest.fixture(scope="module")
def ended() -> subprocess.CompletedProcess[str]:
    # Somebody's own hub and proxy must not be met.
    foreign = {"HUB_BOOTSTRAP_SERVERS": "127.0.0.1:1", "http_proxy": "http://127.0.0.1:1"}
    return subprocess.run(
        [sys.executable, "-m", "tests.e2e.patient", "demo", "--like", NAME, "--json"],
        cwd=ROOT,
        env={**os.environ, **foreign},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


@pytest.fixture(scope="module")
def told(ended: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert ended.stdout, f"hub demo said nothing; exit code {ended.returncode}:\n{ended.stderr}"
    (one,) = json.loads(ended.stdout)["examples"]
    return dict(one)


@pytest.mark.timeout(LIMIT_S + 10)
@pytest.mark.feature("hub.no_code", part="mapper")
@pytest.mark.feature("beyond.simulate", part="sandbox")
@pytest.mark.feature("beyond.simulate", part="cli")
def test_halo_holds_what_is_expected_of_each_of_the_ten_quotes(
    ended: subprocess.CompletedProcess[str], told: dict[str, Any]
) -> None:
    assert [(quote["quote"], quote["faults"]) for quote in told["quotes"] if quote["faults"]] == []
    assert (told["like"], told["ok"], told["faults"]) == (NAME, True, [])
    assert len(told["quotes"]) == 11, "ten quotes, and what is new beside them"
    assert ended.returncode == 0


def test_what_is_told_was_counted_at_the_sandbox(told: dict[str, Any]) -> None:
    """Nine documents were sold, each with one request for its quote; one opportunity was picked, one published."""
    calls = told["requests"]["calls"]
    assert (calls["POST /Quotation"], calls["POST /Client"]) == (9, 1)
    assert sum(len(quote["halo"].get("quotes", ())) for quote in told["quotes"]) == 9


@pytest.mark.feature("won.opp.missing", part="mapper")
def test_the_hub_asks_and_goes_on_when_it_is_answered(told: dict[str, Any]) -> None:
    quotes = {quote["quote"]: quote for quote in told["quotes"]}
    assert quotes["AAAQ1208"]["sent"] == ["published (1)", "converted to order (2)", "answered create"]
    assert quotes["AAAQ1208"]["halo"]["asked"] == ["won.opp.missing"]
    assert quotes["AAAQ1208"]["halo"]["opportunity"]["status"] == "Won"
    assert quotes["AAAQ1203"]["halo"]["quotes"] == []
