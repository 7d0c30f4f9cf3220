"""A tenant's backlog is told by its owner alone: the same rows told by two writers would count twice."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hub.bus.producer import partition_of
from hub.bus.records import Partition
from hub.store import pending
from hub.store.engine import Store
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
    store = await Store.open(f"sqlite+aiosqlite:///{tmp_path / 'store.db'}")
    await store.migrate()
    async with store.write() as conn:
        for tenant in (ours, theirs):
            await pending.put(conn, waiting(tenant))
    metrics, services, none = Metrics(), SimpleNamespace(store=store), None
    writer = Writer(
        as_any(services),
        RulesFollower(),
        as_any(none),
        metrics,
        as_any(none),
        partitions=PARTITIONS,
        request_timeout_s=1.0,
    )
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
        phase=0,
    )


def as_any(value: object) -> Any:
    return value
