"""What a writer keeps of a tenant that has nothing more to do."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from benchmarks.tenant_files import settings_of
from hub.bus.records import Partition, Record
from hub.store.engine import Store
from hub.telemetry.metrics import Metrics
from hub.tenants.follower import RulesFollower
from schemas.topics import COMMANDS
from services.halo_writer.writer import Writer
from tests.support.eventually import eventually

TENANT = "acme"


class BriefLane:
    """A lane that looks at its tenant's settings, and has nothing more to do."""

    held = requests_left = None
    waiting = False
    kept: weakref.ref[Any] | None = None

    def __init__(self, tenant: str, _services: Any, settings: Callable[[], Any]) -> None:
        self.tenant = tenant
        self._settings = settings

    def submit(self, _work: Any) -> None: ...

    def heard(self, _holds: Any, _answered: Any = ()) -> None: ...

    def stop(self) -> None: ...

    async def run(self) -> None:
        BriefLane.kept = weakref.ref(self._settings())


@pytest.mark.feature("beyond.scale", part="all")
async def test_nothing_is_kept_of_a_tenant_whose_lane_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.halo_writer.writer.Lane", BriefLane)
    monkeypatch.setattr("services.halo_writer.writer._SWEEP_S", 0.01)
    work: Any = SimpleNamespace(command=SimpleNamespace(target=SimpleNamespace(tenant=TENANT)), done=[])
    monkeypatch.setattr("services.halo_writer.writer.read_command", lambda _record: work)
    out = settings_of(TENANT, 1)
    follower = RulesFollower(max_parsed_bytes=0)
    follower.apply(Record(out.topic, 0, 0, 0, out.key, out.value, out.headers))
    store = await Store.open(f"sqlite+aiosqlite:///{tmp_path / 'store.db'}")
    await store.migrate()
    services: Any = SimpleNamespace(store=store, steps=SimpleNamespace(reached=lambda _step: None))
    metrics, none = Metrics(), None
    letters: Any = none
    async with httpx.AsyncClient() as http:
        writer = Writer(services, follower, http, metrics, letters, partitions=1, request_timeout_s=1.0)
        await writer.assigned(frozenset({Partition(COMMANDS, 0)}))
        delivery: Any = SimpleNamespace(record=None, active=True, done=lambda: None)
        await writer.take([delivery])
        await eventually(lambda: BriefLane.kept is not None)
        assert BriefLane.kept is not None
        assert BriefLane.kept() is not None, (
            "the writer keeps the tenant's connection while its lane is there"
        )

        def forgotten() -> bool:
            gc.collect()
            assert BriefLane.kept is not None
            return BriefLane.kept() is None

        sweeping = asyncio.create_task(writer.sweep())
        await eventually(forgotten)
        sweeping.cancel()
    await store.close()
    assert metrics.registry.get_sample_value("hub_lease_held", {"tenant": TENANT}) is None
