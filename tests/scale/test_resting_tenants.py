"""Thousands of tenants are configured and few have work: one at rest costs its text, and nothing that ticks."""

import asyncio
import contextlib
import functools
import gc
import tracemalloc
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from benchmarks.kafka_log import KafkaLog
from benchmarks.tenant_files import settings_of
from hub.bus.producer import Publisher
from hub.bus.records import Outgoing, Record
from hub.bus.settings import BusSettings
from hub.bus.topics import create_topics
from hub.lease_keeper import LeaseKeeper
from hub.runtime import Service
from hub.settings import Settings
from hub.store import tables
from hub.store.engine import Store
from hub.store.errors import StoreUnavailable
from hub.telemetry.health import Health, Progress
from hub.telemetry.metrics import Metrics
from hub.tenants.follower import RulesFollower
from hub.tenants.load import from_text
from schemas.topics import CONTROL, TOPICS
from services.halo_writer import app
from services.ingest import reading
from tests.support.kafka import KafkaServer
from tests.support.postgres import PostgresServer

TENANTS = 2_000
NAMES = tuple(f"tenant{number:04}" for number in range(TENANTS))
# A whole tenant file's text has about 1,100 bytes, its rules in memory about 12,000.
BYTES_AT_REST = 3_000


@functools.cache
def settings(count: int = TENANTS) -> tuple[Outgoing, ...]:
    """The accepted settings of the first tenants."""
    return tuple(settings_of(name, number) for number, name in enumerate(NAMES[:count]))


def records(messages: Sequence[Outgoing]) -> list[Record]:
    return [
        Record(out.topic, 0, offset, 0, out.key, out.value, out.headers)
        for offset, out in enumerate(messages)
    ]


@contextlib.contextmanager
def traced() -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()


def allocated() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


@pytest.mark.feature("beyond.scale", part="all")
def test_a_tenant_at_rest_costs_its_text() -> None:
    log = records(settings())
    with traced():
        before = allocated()
        follower = RulesFollower()
        for record in log:
            follower.apply(record)
        after = allocated()

    assert len(follower.tenants()) == TENANTS
    assert (after - before) / TENANTS < BYTES_AT_REST


@pytest.mark.feature("beyond.scale", part="all")
def test_what_rules_take_in_memory_is_bounded_however_many_tenants_are_asked_for() -> None:
    kept_bytes = 100_000
    follower = RulesFollower(max_parsed_bytes=kept_bytes)
    for record in records(settings()):
        follower.apply(record)
    with traced():
        before = allocated()
        rules = [follower.get(name) is not None for name in NAMES]
        after = allocated()

    assert all(rules)
    assert after - before < 30 * kept_bytes


class Unreachable:
    """A store that answers nobody."""

    async def now(self) -> float:
        raise StoreUnavailable("test")


@pytest.mark.feature("beyond.scale", part="all")
async def test_ingest_parses_the_rules_of_a_resting_tenant_once_however_often_it_looks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parsed = 0

    def counting(text: str | bytes) -> Any:
        nonlocal parsed
        parsed += 1
        return from_text(text)

    monkeypatch.setattr("hub.tenants.follower.from_text", counting)
    monkeypatch.setattr(reading, "_LOOK_EVERY_S", 0.01)
    follower = RulesFollower(max_parsed_bytes=0)
    for record in records(settings(50)):
        follower.apply(record)
    store: Any = Unreachable()
    enough = asyncio.Event()

    class Looks(Progress):
        looks = 0

        def tick(self) -> None:
            self.looks += 1
            if self.looks >= 30 and parsed >= 50:
                enough.set()

    timing = reading.Timing(3600.0, 86400.0, 300.0, 30.0)
    log: Any = None
    async with httpx.AsyncClient() as http:
        reads = reading.Reading(
            store,
            LeaseKeeper(store, owner="a", ttl_s=45.0),
            log,
            http,
            follower,
            Looks(60.0, lambda: 0.0),
            timing,
            Metrics(),
        )
        running = asyncio.create_task(reads.run())
        try:
            async with asyncio.timeout(120):
                await enough.wait()
        finally:
            running.cancel()
            await reads.stop()

    assert parsed <= 2 * 50, "each tenant's own turn, and one more try at most; never the look at all of them"


@pytest.fixture
async def broker() -> AsyncIterator[str]:
    """A Kafka of its own: the hub's topics have fixed names."""
    server = KafkaServer()
    await asyncio.to_thread(server.start)
    await create_topics(server.bootstrap, TOPICS)
    yield server.bootstrap
    await asyncio.to_thread(server.stop)


class Running:
    """A writer in this process, so that what it keeps can be counted."""

    def __init__(self, bootstrap: str, store_url: str) -> None:
        self.bootstrap = bootstrap
        self.settings = Settings(bootstrap_servers=bootstrap, store_url=store_url)
        self.service = Service("writer", Metrics(), Health())

    async def __aenter__(self) -> "Running":
        self._task = asyncio.create_task(app.run(self.settings, self.service))
        self.service.run(self.service.observe(), "observer")
        async with asyncio.timeout(120):
            while not self.service.health.ready().ok:
                if self._task.done():
                    self._task.result()
                await asyncio.sleep(0.05)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.service.stop()
        await self._task
        await self.service.close()

    async def takes_in(self, messages: Sequence[Outgoing]) -> None:
        """Publish to the control topic; return when the writer has taken all of it in."""
        publisher = Publisher(BusSettings(bootstrap_servers=self.bootstrap, client_id="test"))
        await publisher.start()
        await publisher.publish(messages)
        await publisher.stop()
        log = KafkaLog(self.bootstrap)
        await log.start()
        await log.finished(app.FEEDS_GROUP, CONTROL)
        await log.stop()

    def tasks(self) -> int:
        return len(asyncio.all_tasks())

    def timers(self) -> int:
        """How many calls the event loop has scheduled for later."""
        loop: Any = asyncio.get_running_loop()
        return sum(not handle.cancelled() for handle in loop._scheduled)

    async def rows(self, name: str) -> int:
        store = await Store.open(self.settings.store_url)
        try:
            async with store.read() as conn:
                counted = select(func.count()).select_from(getattr(tables, name))
                return int((await conn.execute(counted)).scalar_one())
        finally:
            await store.close()


@pytest.mark.feature("beyond.scale", part="all")
async def test_a_resting_tenant_has_no_task_no_timer_and_no_lease_in_the_writer(
    broker: str, postgres: PostgresServer
) -> None:
    async with Running(broker, postgres.create_database()) as writer:
        resting = settings()[20:]
        await writer.takes_in(settings(20))
        with traced():
            tasks, timers, before = writer.tasks(), writer.timers(), allocated()
            await writer.takes_in(resting)
            after = allocated()

            assert await writer.rows("rule_set") == TENANTS, "the writer knows all of them"
            # A few of its own loops may be between two naps.
            assert writer.tasks() <= tasks + 10
            assert writer.timers() <= timers + 20
            assert await writer.rows("lease") == 0
            assert (after - before) / TENANTS < 2 * BYTES_AT_REST
