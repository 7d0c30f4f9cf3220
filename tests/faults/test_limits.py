"""Halo's request limit: a 429 stops every share of its tenant's budget and nobody else, also under another owner.

Windows are scaled: seconds for Halo's five minutes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from hub.store import holds
from hub.store.engine import Store
from hub.store.holds import WINDOW
from tests.faults.conftest import all_commands_ended, warm_hub
from tests.faults.on_the_log import letters
from tests.faults.tenants import (
    PATIENCE_S,
    ask_to_read,
    assigned,
    at,
    backlog,
    each_once,
    owner_among,
    partition,
    publish_quotes,
)
from tests.support.hub import Hub, eventually
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.timeout(600)
_TENANTS = ("hinted", "unhinted", "orphaned", "spent", "free")
_WINDOW_S = 8.0
_OWN_GRANT_S = 6.0
"""A share may send for about a second what it was granted before; with something to spare for a busy machine."""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer) -> Iterator[Hub]:
    """Two writers, so that one of them is there at once when the other is killed.

    The budgets get small once Halo's lists are read, and before a writer begins.
    """
    with warm_hub(tmp_path_factory.mktemp("hub"), postgres, *_TENANTS) as running:
        set_budget(running, "unhinted", "{requests: 1000, window: 6s}")
        set_budget(running, "spent", "{requests: 20, window: 6s}")
        for name in ("one", "two"):
            running.start("writer", name)
        running.wait_ready("one", "two")
        yield running


@pytest.fixture(autouse=True)
def two_writers(hub: Hub) -> Iterator[None]:
    yield
    hub.sandbox.disarm()
    for name in ("one", "two"):
        if not hub.processes[name].is_running():
            hub.start("writer", name)
            hub.wait_ready(name)


def limited(hub: Hub, tenant: str, since: int = 0) -> list[dict[str, Any]]:
    """The requests that were answered 429."""
    return [entry for entry in hub.halo(tenant).requests(since=since) if entry["status"] == 429]


def set_budget(hub: Hub, tenant: str, budget: str) -> None:
    """Edit the tenant file; return when its new revision is published."""
    path = hub.directory / "tenants" / f"{tenant}.yaml"
    before = _published(hub, tenant)
    path.write_text(path.read_text().replace("{requests: 100000, window: 10s}", budget))
    eventually(lambda: _published(hub, tenant) > before, what="the new budget")


def _published(hub: Hub, tenant: str) -> int:
    lines = hub.processes["mapper"].lines()
    return len([line for line in lines if line["event"] == "settings.published" and line["tenant"] == tenant])


def hold_is_stored(hub: Hub, tenant: str) -> bool:
    """Whether what Halo said is where a successor will look."""

    async def look() -> bool:
        store = await Store.open(hub.store_url)
        try:
            async with store.read() as conn:
                return any(hold.scope == WINDOW for hold in await holds.of_tenant(conn, tenant))
        finally:
            await store.close()

    return asyncio.run(look())


@pytest.mark.feature("hub.rate", part="halo client")
@pytest.mark.fault("F16")
def test_a_429_with_retry_after_stops_every_share_of_its_tenant_and_nobody_else(hub: Hub) -> None:
    halo, free = hub.halo("hinted"), hub.halo("free")
    window_s = 1.5 * _WINDOW_S
    # A read of all lists takes longer than it takes to be limited.
    halo.arm("slow", method="GET", delay_s=0.7, times=0)
    began = hub.sandbox.last_request()
    ask_to_read(hub, "hinted")
    eventually(lambda: halo.requests(since=began, method="GET"), PATIENCE_S, what="a read that has begun")
    halo.arm("throttle", method="POST", path="^/Opportunities$", retry_after_s=window_s)
    quotes = publish_quotes(hub, "hinted", [f"limited-{number}" for number in range(5)])
    (told,) = eventually(lambda: limited(hub, "hinted"), PATIENCE_S, what="a 429")
    others = publish_quotes(hub, "free", [f"free-{number}" for number in range(3)])
    # Kept as it is now: when the window is over nothing waits for it any more.
    waiting = eventually(lambda: all_limited(hub, "hinted", len(quotes)), PATIENCE_S, what="a backlog")
    eventually(lambda: all_commands_ended(hub), PATIENCE_S, what="every command settled or in a row")
    each_once(hub, "free", others)
    each_once(hub, "hinted", quotes)

    assert {row["attempts"] for row in waiting} == {0}, "waiting out a limit spends no attempt"
    eventually(lambda: gone_on(hub, "hinted", at(told) + window_s), PATIENCE_S, what="the rest of the read")
    after = halo.requests(since=told["n"])
    early = [entry for entry in after if at(entry) < at(told) + window_s]
    assert [entry for entry in early if entry["method"] == "POST"] == [], "the writer sent on"
    assert [entry for entry in early if at(entry) > at(told) + _OWN_GRANT_S] == [], "another share sent on"
    assert len(limited(hub, "hinted")) == 1
    assert letters(hub, tenant="hinted") == []
    went_on = next(entry for entry in after if entry["method"] == "POST")
    served = [entry["n"] for entry in free.requests(since=told["n"], method="POST")]
    assert len(served) == 2 * len(others)
    assert max(served) < went_on["n"], "another tenant waited for this one's window"


def all_limited(hub: Hub, tenant: str, quotes: int) -> list[dict[str, Any]] | None:
    """The tenant's rows, once so many quotes with their opportunities wait, and all of it for the window."""
    rows = backlog(hub, tenant)
    counts = [len([row for row in rows if f"/{kind}/" in row["target"]]) for kind in ("opportunity", "quote")]
    return rows if counts == [quotes, quotes] and {row["reason"] for row in rows} == {"limited"} else None


def gone_on(hub: Hub, tenant: str, after: float) -> bool:
    """Whether ingest has read something again since."""
    return any(at(entry) >= after for entry in hub.halo(tenant).requests(method="GET"))


@pytest.mark.fault("F17")
def test_a_429_without_retry_after_waits_out_the_whole_window_without_asking_again(hub: Hub) -> None:
    hub.halo("unhinted").arm("throttle", method="POST", path="^/Opportunities$")
    quotes = publish_quotes(hub, "unhinted", [f"silent-{number}" for number in range(4)])
    (told,) = eventually(lambda: limited(hub, "unhinted"), PATIENCE_S, what="a 429")
    each_once(hub, "unhinted", quotes)
    after = hub.halo("unhinted").requests(since=told["n"])
    assert at(after[0]) >= at(told) + 6.0
    assert [entry["status"] for entry in after] == [201] * (2 * len(quotes)), (
        "nothing but the writes themselves"
    )


@pytest.mark.fault("F16")
def test_the_successor_of_a_writer_that_was_killed_after_a_429_waits_too(hub: Hub) -> None:
    owner = owner_among(hub, "orphaned", "one", "two")
    successor = "two" if owner == "one" else "one"
    hub.halo("orphaned").arm("throttle", method="POST", path="^/Opportunities$", retry_after_s=_WINDOW_S)
    quotes = publish_quotes(hub, "orphaned", [f"orphan-{number}" for number in range(4)])
    (told,) = eventually(lambda: limited(hub, "orphaned"), PATIENCE_S, every_s=0.02, what="a 429")
    eventually(lambda: hold_is_stored(hub, "orphaned"), PATIENCE_S, every_s=0.02, what="the hold")
    hub.processes[owner].kill()
    eventually(
        lambda: partition("orphaned") in assigned(hub.processes[successor]), PATIENCE_S, what="an owner"
    )
    each_once(hub, "orphaned", quotes)
    after = hub.halo("orphaned").requests(since=told["n"])
    assert at(after[0]) >= at(told) + _WINDOW_S
    assert len(limited(hub, "orphaned")) == 1


@pytest.mark.fault("F43")
def test_the_successor_of_a_writer_that_was_killed_with_the_window_spent_causes_no_429(hub: Hub) -> None:
    """20 requests in 6 s are Halo's limit, 14 the writer's share: twice that by two owners would be over it."""
    owner = owner_among(hub, "spent", "one", "two")
    halo = hub.halo("spent")
    halo.configure(budget={"limit": 20, "window_s": 6.0})
    began = hub.sandbox.last_request()
    quotes = publish_quotes(hub, "spent", [f"spent-{number}" for number in range(14)])
    eventually(lambda: len(halo.requests(since=began)) >= 14, PATIENCE_S, every_s=0.02, what="a spent window")
    hub.processes[owner].kill()
    killed_at = hub.sandbox.last_request()
    each_once(hub, "spent", quotes)
    assert limited(hub, "spent") == []
    sent = [at(entry) for entry in halo.requests(since=began)]
    assert len(halo.requests(since=killed_at)) >= 14, "the successor had little to send"
    # At Halo they come a little closer together than they left, when the first of them was held up on its way.
    assert most_within(sent, 5.0) <= 14, "the writer's share"


def most_within(times: list[float], window_s: float) -> int:
    """The most requests in any window of this length."""
    return max(len([at_ for at_ in times if start <= at_ < start + window_s]) for start in times)
