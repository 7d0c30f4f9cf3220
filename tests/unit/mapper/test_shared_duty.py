"""One mapper reads the tenant files for all, and it alone tells what is wrong with them."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from hub.bus.records import Outgoing
from hub.lease_keeper import LeaseKeeper
from hub.store.engine import Store
from hub.store.errors import StoreUnavailable
from hub.telemetry.health import Health
from hub.telemetry.metrics import Metrics
from hub.tenants.follower import RulesFollower
from hub.tenants.publisher import SettingsPublisher
from services.mapper.release import release_waiting
from services.mapper.shared_duty import SharedDuty
from tests.support.eventually import eventually


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(f"sqlite+aiosqlite:///{tmp_path / 'store.db'}")
    await store.migrate()
    yield store
    await store.close()


async def publish(_records: Sequence[Outgoing]) -> None:
    return


def duty(store: Store, directory: Path, metrics: Metrics, owner: str) -> SharedDuty:
    follower = RulesFollower()
    files = SettingsPublisher(directory, follower, publish, now=lambda: dt.datetime.now(dt.UTC))
    progress = Health().progress("settings files", max_age_s=60.0)
    keeper = LeaseKeeper(store, owner=owner, ttl_s=30.0)
    release = partial(release_waiting, store, follower, publish)
    return SharedDuty(keeper, files, release, progress, metrics, every_s=0.02)


@pytest.mark.feature("hub.k8s", part="all")
async def test_only_the_mapper_that_reads_the_files_tells_which_are_invalid(
    store: Store, tmp_path: Path
) -> None:
    (tmp_path / "acme.yaml").write_text("tenant: [acme")
    told, other = Metrics(), Metrics()
    first, second = duty(store, tmp_path, told, "first"), duty(store, tmp_path, other, "second")
    await first.once()
    await second.once()
    labels = {"file": "acme.yaml"}
    assert told.registry.get_sample_value("hub_tenant_file_invalid", labels) == 1
    assert other.registry.get_sample_value("hub_tenant_file_invalid", labels) is None
    await first.stop()
    await second.once()
    await first.once()
    assert told.registry.get_sample_value("hub_tenant_file_invalid", labels) is None
    assert other.registry.get_sample_value("hub_tenant_file_invalid", labels) == 1


async def test_a_store_that_is_away_is_told_until_it_is_back(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics = Metrics()
    running = asyncio.create_task(duty(store, tmp_path, metrics, "one").run())
    away_told = metrics.registry.get_sample_value
    await eventually(lambda: away_told("hub_store_away") == 0)

    async def away() -> float:
        raise StoreUnavailable("the server is gone")

    with monkeypatch.context() as patch:
        patch.setattr(store, "now", away)
        await eventually(lambda: away_told("hub_store_away") == 1)
    await eventually(lambda: away_told("hub_store_away") == 0)
    running.cancel()
