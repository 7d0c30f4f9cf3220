"""A tenant's backlog is told by its owner alone: the same rows told by two writers would count twice.

What is told of a tenant without work, or while the store is away, is told to be so.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from hub.bus.producer import partition_of
from hub.bus.records import Partition
from hub.store import pending
from hub.store.engine import Store
from hub.store.errors import StoreUnavailable
from hub.store.pending import Pending
from hub.telemetry.metrics import Metrics
from hub.tenants.follower import RulesFollower
from schemas.topics import COMMANDS
from services.halo_writer.writer import Writer
from tests.support.eventually import eventually

PARTITIONS = 12


async def test_each_writer_tells_the_backlog_of_its_own_tenants_and_forgets_one_that_leaves(
    tmp_path: Path,
) -> None:
    ours, theirs = "acme", "zenith"
    assert partition_of(ours.encode(), PARTITIONS) != partition_of(theirs.encode(), PARTITIONS)
    store = await opened(tmp_path)
    async with store.write() as conn:
        for tenant in (ours, theirs):
            await pending.put(conn, waiting(tenant))
    metrics = Metrics()
    writer = writer_on(store, metrics)
    mine = frozenset({Partition(COMMANDS, partition_of(ours.encode(), PARTITIONS))})
    await writer.assigned(mine)
    sweeping = asyncio.create_task(writer.sweep())

    def told(tenant: str) -> float | None:
        return metrics.registry.get_sample_value("hub_pending_rows", {"tenant": tenant, "reason": "limited"})

    await eventually(lambda: told(ours) == 1)
    assert told(theirs) is None
    await writer.revoked(mine)
    await eventually(lambda: told(ours) is None)
    sweeping.cancel()
    await store.close()


async def test_what_waits_for_one_reason_in_the_mapper_and_in_the_writer_is_one_sum(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    now = await store.now()
    async with store.write() as conn:
        await pending.put(conn, replace(waiting("acme"), stage="mapper", since=now - 60.0))
        await pending.put(conn, replace(waiting("acme"), since=now - 600.0))
    metrics = Metrics()
    writer = writer_on(store, metrics)
    await writer.assigned(frozenset(Partition(COMMANDS, number) for number in range(PARTITIONS)))
    await writer._sweep_once()
    labels = {"tenant": "acme", "reason": "limited"}
    value = metrics.registry.get_sample_value
    assert value("hub_pending_rows", labels) == 2
    assert 600 <= (value("hub_pending_oldest_age_seconds", labels) or 0) < 660
    await store.close()


async def test_a_store_that_is_away_is_told_until_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.halo_writer.writer._SWEEP_S", 0.02)
    store = await opened(tmp_path)
    metrics = Metrics()
    sweeping = asyncio.create_task(writer_on(store, metrics).sweep())
    await eventually(lambda: metrics.registry.get_sample_value("hub_store_away") == 0)

    async def away() -> float:
        raise StoreUnavailable("the server is gone")

    with monkeypatch.context() as patch:
        patch.setattr(store, "now", away)
        await eventually(lambda: metrics.registry.get_sample_value("hub_store_away") == 1)
    await eventually(lambda: metrics.registry.get_sample_value("hub_store_away") == 0)
    sweeping.cancel()
    await store.close()


async def test_a_tenant_whose_lane_has_ended_without_work_lacks_no_owner(tmp_path: Path) -> None:
    metrics = Metrics()
    writer = writer_on(as_any(None), metrics)

    def told() -> float | None:
        return metrics.registry.get_sample_value("hub_lease_held", {"tenant": "acme"})

    lane, task = SimpleNamespace(held=None, requests_left=None), asyncio.get_running_loop().create_future()
    writer._lanes["acme"] = (as_any(lane), as_any(task))
    writer._tell_lanes()
    assert told() == 0
    lane.held = object()
    writer._tell_lanes()
    assert told() == 1
    task.set_result(None)
    writer._tell_lanes()
    assert told() is None


async def opened(directory: Path) -> Store:
    store = await Store.open(f"sqlite+aiosqlite:///{directory / 'store.db'}")
    await store.migrate()
    return store


def writer_on(store: Store, metrics: Metrics) -> Writer:
    none = as_any(None)
    services = as_any(SimpleNamespace(store=store))
    return Writer(
        services, RulesFollower(), none, metrics, none, partitions=PARTITIONS, request_timeout_s=1.0
    )


def waiting(tenant: str) -> Pending:
    return Pending(
        tenant=tenant,
        stage="writer",
        target_key=f"{tenant}/quote",
        message_id="m",
        message_type="upsert_quote.v1",
        headers=b"{}",
        value=b"{}",
        reason="limited",
        not_before=1e12,
        since=0.0,
    )


def as_any(value: object) -> Any:
    return value
