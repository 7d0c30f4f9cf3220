"""Only so many tenants are read at a time; one that waits for its budget or its Halo takes nobody's turn."""

import asyncio
import datetime as dt
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import cast

import httpx
import pytest

from hub.bus.records import Record
from hub.lease_keeper import Held, LeaseKeeper
from hub.store.catalogue import HaloEvent
from hub.store.catalogue_projection import apply_dated
from hub.store.engine import Store
from hub.telemetry.health import Progress
from hub.telemetry.metrics import Metrics
from hub.tenants.follower import RulesFollower
from hub.tenants.load import accept
from hub.tenants.publisher import message
from schemas.halo_events import ReadCompleted
from services.ingest.catalogue import RECORD_KINDS, Seen
from services.ingest.reading import Reading, Timing
from tests.sandbox.server import CLIENT_SECRET, Sandbox, start_sandbox
from tests.support.eventually import eventually
from tests.support.hub import tenant_file

BIG, SMALL = "big", "small"
AT = dt.datetime(2026, 11, 2, tzinfo=dt.UTC)


class Log:
    """The kinds of records that were read whole, by tenant; with a store, whose catalogue follows at once."""

    def __init__(self, store: Store | None = None) -> None:
        self.whole: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._store = store

    async def append_seen(self, events: Sequence[Seen]) -> None:
        for seen in events:
            if isinstance(seen.data, ReadCompleted):
                self.whole[seen.envelope.tenant][seen.data.kind] += 1
            if self._store is not None:
                instance = seen.envelope.producer.removeprefix("halo/")
                dated = [(cast(HaloEvent, seen.data), seen.envelope.time.timestamp())]
                async with self._store.write() as conn:
                    await apply_dated(conn, seen.envelope.tenant, instance, dated)


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    process = start_sandbox(tmp_path)
    with Sandbox(process.url) as found:
        yield found
    process.stop()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await Store.open(f"sqlite+aiosqlite:///{tmp_path / 'store.db'}")
    await opened.migrate()
    yield opened
    await opened.close()


def settings(tenant: str, sandbox: Sandbox, requests: int) -> Record:
    text = tenant_file(tenant, sandbox).replace("requests: 100000", f"requests: {requests}")
    out = message(accept(text.replace("window: 10s", "window: 300s").encode()), 1, AT)
    return Record(out.topic, 0, 0, 0, out.key, out.value, out.headers)


async def test_a_tenant_that_waits_for_its_budget_holds_up_no_other_tenants_reading(
    sandbox: Sandbox, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SANDBOX_SECRET", CLIENT_SECRET)
    big, small = sandbox.named(BIG, budget={"limit": 0}), sandbox.named(SMALL, budget={"limit": 0})
    follower, log = RulesFollower(), Log()
    keeper = LeaseKeeper(store, owner="a", ttl_s=300.0)
    timing = Timing(
        reference_every_s=3600.0, full_every_s=86400.0, fresh_enough_s=300.0, request_timeout_s=60.0
    )
    async with httpx.AsyncClient() as http:
        progress = Progress(60.0, lambda: 0.0)
        reading = Reading(store, keeper, log, http, follower, progress, timing, Metrics(), at_once=1)
        running = asyncio.create_task(reading.run())
        try:
            # A fifth of five requests in five minutes: one, and then a long wait.
            follower.apply(settings(BIG, big, 5))
            await eventually(big.requests, timeout_s=90)
            follower.apply(settings(SMALL, small, 100_000))
            await eventually(lambda: set(RECORD_KINDS) <= log.whole[SMALL].keys(), timeout_s=90)
        finally:
            running.cancel()
            await reading.stop()

    assert len(big.requests()) == 1, "its own budget holds all the same"


@pytest.mark.fault("F42")
async def test_a_halo_that_does_not_answer_holds_up_no_other_tenants_reading(
    sandbox: Sandbox, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SANDBOX_SECRET", CLIENT_SECRET)
    monkeypatch.setattr("services.ingest.reading._LONGEST_TURN_S", 0.1, raising=False)
    big, small = sandbox.named(BIG, budget={"limit": 0}), sandbox.named(SMALL, budget={"limit": 0})
    big.arm("hang", on="all", times=0)
    follower, log = RulesFollower(), Log()
    keeper = LeaseKeeper(store, owner="a", ttl_s=300.0)
    timing = Timing(
        reference_every_s=3600.0, full_every_s=86400.0, fresh_enough_s=300.0, request_timeout_s=60.0
    )
    async with httpx.AsyncClient() as http:
        progress = Progress(60.0, lambda: 0.0)
        reading = Reading(store, keeper, log, http, follower, progress, timing, Metrics(), at_once=1)
        running = asyncio.create_task(reading.run())
        try:
            follower.apply(settings(BIG, big, 100_000))
            await eventually(lambda: big.requests(kind="token"), timeout_s=90)
            follower.apply(settings(SMALL, small, 100_000))
            await eventually(lambda: set(RECORD_KINDS) <= log.whole[SMALL].keys(), timeout_s=90)
        finally:
            running.cancel()
            await reading.stop()

    assert not log.whole[BIG]


@pytest.mark.feature("hub.k8s", part="all")
async def test_several_replicas_read_each_halo_once(
    sandbox: Sandbox, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SANDBOX_SECRET", CLIENT_SECRET)
    monkeypatch.setattr("services.ingest.reading._LEASE_TAKEN_S", 0.2)
    halo = sandbox.named(SMALL, budget={"limit": 0})
    follower, log = RulesFollower(), Log(store)
    follower.apply(settings(SMALL, halo, 100_000))
    timing = Timing(
        reference_every_s=3600.0, full_every_s=86400.0, fresh_enough_s=300.0, request_timeout_s=60.0
    )
    progress = Progress(60.0, lambda: 0.0)
    looked: Counter[str] = Counter()

    class Keeper(LeaseKeeper):
        async def take(self, tenant: str, share: str) -> Held | None:
            held = await super().take(tenant, share)
            looked[self._owner] += held is not None
            return held

    async with httpx.AsyncClient() as http:
        replicas = [
            Reading(
                store,
                Keeper(store, owner=name, ttl_s=300.0),
                log,
                http,
                follower,
                progress,
                timing,
                Metrics(),
            )
            for name in ("a", "b", "c")
        ]
        running = [asyncio.create_task(replica.run()) for replica in replicas]
        try:
            await eventually(lambda: all(looked[name] for name in ("a", "b", "c")), timeout_s=90)
            await eventually(lambda: set(RECORD_KINDS) <= log.whole[SMALL].keys(), timeout_s=90)
        finally:
            for task in running:
                task.cancel()
            for replica in replicas:
                await replica.stop()

    assert set(log.whole[SMALL].values()) == {1}
