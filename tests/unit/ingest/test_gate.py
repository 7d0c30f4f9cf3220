"""The share of a tenant's budget that is not the writer's: never exceeded, handed over whole, fenced by its lease."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import update

from halo import Budget, GateClosed
from hub.lease_keeper import Held, LeaseKeeper
from hub.store.engine import Store
from hub.store.tables import lease
from hub.throttle import SharedBlock
from services.ingest.gate import ShareGate


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await Store.open(f"sqlite+aiosqlite:///{tmp_path / 'store.db'}")
    await opened.migrate()
    yield opened
    await opened.close()


def budget() -> Budget:
    return Budget(6, 60.0, 10.0)


async def took(keeper: LeaseKeeper) -> Held:
    held = await keeper.take("acme", "read")
    assert held is not None
    return held


async def took_of(keeper: LeaseKeeper, tenant: str) -> Held:
    held = await keeper.take(tenant, "read")
    assert held is not None
    return held


def shared(store: Store) -> SharedBlock:
    return SharedBlock(store, "acme")


async def spend_all(gate: ShareGate) -> int:
    for spent in range(100):
        try:
            await gate.admit("GET", "/Client", 1.0)
        except GateClosed:
            return spent
    raise AssertionError("the budget never ended")


async def test_no_more_requests_pass_than_the_share_allows(store: Store) -> None:
    keeper = LeaseKeeper(store, owner="a", ttl_s=600.0)
    gate = ShareGate(keeper, await took(keeper), budget(), shared(store), patience_s=0.0)
    assert await spend_all(gate) == 6
    with pytest.raises(GateClosed) as closed:
        await gate.admit("GET", "/Client", 1.0)
    assert (closed.value.retry_after_s or 0) > 0, "the caller is told when to come again"


async def test_a_successor_starts_from_what_was_spent_or_granted(store: Store) -> None:
    first = LeaseKeeper(store, owner="a", ttl_s=600.0)
    gate = ShareGate(first, await took(first), budget(), shared(store), patience_s=0.0)
    await gate.admit("GET", "/Client", 1.0)
    async with store.write() as conn:
        await conn.execute(update(lease).values(until=0.0))
    second = LeaseKeeper(store, owner="b", ttl_s=600.0)
    successor = ShareGate(second, await took(second), budget(), shared(store), patience_s=0.0)
    assert await spend_all(successor) == 1, "five were granted before the crash, and count as sent"


async def test_counts_of_a_lease_that_was_given_back_are_exact(store: Store) -> None:
    first = LeaseKeeper(store, owner="a", ttl_s=600.0)
    held = await took(first)
    gate = ShareGate(first, held, budget(), shared(store), patience_s=0.0)
    await spend_all(gate)
    await first.release(held, gate.spend())
    second = LeaseKeeper(store, owner="b", ttl_s=600.0)
    assert (
        await spend_all(ShareGate(second, await took(second), budget(), shared(store), patience_s=0.0)) == 0
    )


async def test_nothing_is_sent_that_could_outlive_the_lease_or_under_a_lost_one(store: Store) -> None:
    keeper = LeaseKeeper(store, owner="a", ttl_s=100.0)
    held = await took(keeper)
    gate = ShareGate(keeper, held, budget(), shared(store), patience_s=0.0)
    with pytest.raises(GateClosed, match="longer term"):
        await gate.admit("GET", "/Client", 500.0)
    await keeper.release(held)
    with pytest.raises(GateClosed, match="another process"):
        await ShareGate(keeper, held, budget(), shared(store), patience_s=0.0).admit("GET", "/Client", 0.1)


async def test_a_429_closes_the_share_for_as_long_as_halo_asked(store: Store) -> None:
    keeper = LeaseKeeper(store, owner="a", ttl_s=600.0)
    gate = ShareGate(keeper, await took(keeper), budget(), shared(store), patience_s=0.0)
    gate.throttled(3_000.0)
    with pytest.raises(GateClosed) as closed:
        await gate.admit("GET", "/Client", 1.0)
    assert closed.value.retry_after_s == pytest.approx(3_000.0, abs=300.0)


@pytest.mark.feature("hub.rate", part="halo client")
async def test_a_429_that_one_share_met_stops_the_others_in_other_processes(store: Store) -> None:
    one, other = (LeaseKeeper(store, owner=name, ttl_s=600.0) for name in "ab")
    met = ShareGate(one, await took(one), budget(), shared(store), patience_s=0.0)
    held = await other.take("acme", "ops")
    assert held is not None
    neighbour = ShareGate(other, held, budget(), shared(store), patience_s=0.0)
    met.throttled(3_000.0)
    await met.tell_others()
    with pytest.raises(GateClosed) as closed:
        await neighbour.admit("GET", "/Client", 1.0)
    assert closed.value.retry_after_s == pytest.approx(3_000.0, abs=300.0)
    stranger = ShareGate(
        one, await took_of(one, "stranger"), budget(), SharedBlock(store, "stranger"), patience_s=0.0
    )
    await stranger.admit("GET", "/Client", 1.0)
