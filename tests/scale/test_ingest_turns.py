"""Only so many tenants are read at a time; one that waits for its own budget takes nobody's turn."""

import asyncio
import datetime as dt
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import httpx
import pytest

from hub.bus.records import Record
from hub.lease_keeper import LeaseKeeper
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
    """The kinds of records that were read whole, by tenant."""

    def __init__(self) -> None:
        self.whole: defaultdict[str, set[str]] = defaultdict(set)

    async def append_seen(self, events: Sequence[Seen]) -> None:
        for seen in events:
            if isinstance(seen.data, ReadCompleted):
                self.whole[seen.envelope.tenant].add(seen.data.kind)


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


@pytest.mark.timeout(60)
async def test_a_tenant_that_waits_for_its_budget_holds_up_no_other_tenants_reading(
    sandbox: Sandbox, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SANDBOX_SECRET", CLIENT_SECRET)
    big, small = sandbox.named(BIG, budget={"limit": 0}), sandbox.named(SMALL, budget={"limit": 0})
    follower, log = RulesFollower(), Log()
    keeper = LeaseKeeper(store, owner="a", ttl_s=45.0)
    timing = Timing(
        reference_every_s=3600.0, full_every_s=86400.0, fresh_enough_s=300.0, request_timeout_s=5.0
    )
    async with httpx.AsyncClient() as http:
        progress = Progress(60.0, lambda: 0.0)
        reading = Reading(store, keeper, log, http, follower, progress, timing, Metrics(), at_once=1)
        running = asyncio.create_task(reading.run())
        try:
            # A fifth of five requests in five minutes: one, and then a long wait.
            follower.apply(settings(BIG, big, 5))
            await eventually(big.requests, timeout_s=20)
            follower.apply(settings(SMALL, small, 100_000))
            await eventually(lambda: set(RECORD_KINDS) <= log.whole[SMALL], timeout_s=20)
        finally:
            running.cancel()
            await reading.stop()

    assert len(big.requests()) == 1, "its own budget holds all the same"
